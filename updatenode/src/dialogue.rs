//! What is said with one node: its lines come in, what to do goes out. Pure.
//!
//! Before the shell there says that it is ready, what comes is no script's: greetings, warnings, ssh's own
//! complaints. It is held back, and shown when it is why the node was not reached.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use definitions::{Results, ScriptResult};

use crate::lines::Tail;
use crate::outcome::{Verdict, failures};
use crate::{remote, ssh};

/// ssh's own exit code, for all that goes wrong on the way.
const LOST: i32 = 255;

/// A conversation.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    stage: Stage,
    /// What was held back.
    held: Tail,
    /// What was printed since.
    pub(crate) output: Tail,
    /// Whether the program was asked for.
    pub(crate) refreshed: bool,
    /// What became of the scripts, once the node has said it.
    pub(crate) scripts: Option<Vec<ScriptResult>>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// ssh connects, or the shell compares.
    #[default]
    Greeting,
    /// The shell was sent the program.
    Refreshing,
    /// The program runs.
    Running,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What to do about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Show it.
    Show,
    /// It is held back.
    Hold,
    /// Send the program.
    SendProgram,
    /// Send the list, and no more.
    SendList,
    /// The node has said all that counts.
    Done,
}

impl Dialogue {
    /// Hears a line.
    pub(crate) fn hear(&mut self, stream: Stream, line: &str) -> Answer {
        match (self.stage, stream) {
            (Stage::Running, Stream::Out) => {
                if let Some(results) = self.results(line) {
                    self.scripts = Some(results.scripts);
                    return Answer::Done;
                }
                self.output.keep(line);
                Answer::Show
            }
            (Stage::Running, Stream::Err) => {
                self.output.keep(line);
                Answer::Show
            }
            (Stage::Greeting, Stream::Out) if line == remote::SEND => {
                self.stage = Stage::Refreshing;
                self.refreshed = true;
                Answer::SendProgram
            }
            (_, Stream::Out) if line == remote::READY => {
                self.stage = Stage::Running;
                Answer::SendList
            }
            _ => {
                self.held.keep(line);
                Answer::Hold
            }
        }
    }

    /// Reads the last line; a second one is a script's own.
    fn results(&self, line: &str) -> Option<Results> {
        let json = line.strip_prefix(Results::MARK)?;
        serde_json::from_str(json)
            .ok()
            .filter(|_| self.scripts.is_none())
    }

    /// Says how it ended, from how ssh did; `None` where ssh was stopped once the results were there.
    pub(crate) fn verdict(&self, status: Option<ExitStatus>) -> Verdict {
        let said = self.scripts.as_deref().and_then(failures);
        let code = match status {
            None => None,
            Some(status) => status.code().filter(|code| *code != LOST),
        };
        match (self.stage, code) {
            (Stage::Running, Some(0)) => Verdict::Ok,
            (Stage::Running, Some(code)) => Verdict::Failed {
                code: exit_code(code),
                reason: said.unwrap_or_else(|| self.complaint(code)),
            },
            // The node's last word counts, whatever became of the connection then.
            (Stage::Running, None) => match &self.scripts {
                Some(scripts) => by_scripts(scripts),
                None => Verdict::Unreachable(format!(
                    "the connection was lost{}; what it was running may go on there",
                    self.last_words(status)
                )),
            },
            (_, Some(code)) => Verdict::Failed {
                code: exit_code(code).max(1),
                reason: match self.held.iter().rev().find(|line| !line.trim().is_empty()) {
                    Some(last) => format!("nothing was run: {last}"),
                    None => format!(
                        "nothing was run: its login shell ended with {code} and said nothing"
                    ),
                },
            },
            (_, None) => match status.and_then(|status| status.signal()) {
                Some(signal) => Verdict::Unreachable(format!("ssh was ended by signal {signal}")),
                None => Verdict::Unreachable(ssh::complaint(&self.held.iter().collect::<Vec<_>>())),
            },
        }
    }

    /// Returns what the program said when it ran nothing.
    fn complaint(&self, code: i32) -> String {
        let last = self.output.iter().next_back();
        match last.and_then(|line| line.strip_prefix("firstboot: ")) {
            Some(complaint) => complaint.to_owned(),
            None => format!("firstboot ended with {code}"),
        }
    }

    /// Returns what ssh said when it lost the connection.
    fn last_words(&self, status: Option<ExitStatus>) -> String {
        if let Some(signal) = status.and_then(|status| status.signal()) {
            return format!(" (ssh was ended by signal {signal})");
        }
        match self.output.iter().next_back() {
            Some(line)
                if line.contains("closed by")
                    || line.contains("reset by")
                    || line.starts_with("Timeout") =>
            {
                format!(" ({line})")
            }
            _ => String::new(),
        }
    }
}

/// Judges by what the scripts ended with: the last that failed counts.
fn by_scripts(scripts: &[ScriptResult]) -> Verdict {
    let last = scripts.iter().rfind(|script| script.code != 0);
    match (last, failures(scripts)) {
        (Some(script), Some(reason)) => Verdict::Failed {
            code: script.code,
            reason,
        },
        _ => Verdict::Ok,
    }
}

/// Makes an exit code of what ssh ended with.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(code << 8))
    }

    /// Tells a whole conversation: `>` before a line of standard output, `!` before one of standard error.
    fn told(lines: &[&str], status: Option<ExitStatus>) -> (Vec<Answer>, Verdict) {
        let mut dialogue = Dialogue::default();
        let hear = |line: &&str| match line.split_at(1) {
            (">", line) => dialogue.hear(Stream::Out, line),
            (_, line) => dialogue.hear(Stream::Err, line),
        };
        let answers = lines.iter().map(hear).collect();
        (answers, dialogue.verdict(status))
    }

    const OK: &str = r#">slipway-results: {"scripts":[{"line":"a","code":0,"seconds":0.1}]}"#;
    const BAD: &str = r#">slipway-results: {"scripts":[{"line":"a","code":9,"seconds":0.1},{"line":"b","code":0,"seconds":0}]}"#;

    #[test]
    fn the_program_is_sent_when_it_is_asked_for_and_what_came_before_is_held() {
        use Answer::{Done, Hold, SendList, SendProgram, Show};
        let (answers, verdict) = told(
            &[
                "!Warning: greetings",
                ">welcome",
                ">slipway: send",
                ">slipway: ready",
                ">one",
                "!two",
                ">slipway: ready",
                OK,
                OK,
            ],
            exited(0),
        );
        assert_eq!(
            answers,
            [
                Hold,
                Hold,
                SendProgram,
                SendList,
                Show,
                Show,
                Show,
                Done,
                Show
            ]
        );
        assert_eq!(verdict, Verdict::Ok);
        let (answers, _) = told(
            &["!slipway: ready", ">slipway: ready", ">slipway-results: {}"],
            exited(0),
        );
        assert_eq!(
            answers,
            [Hold, SendList, Show],
            "what is not quite it is a line like others"
        );
    }

    #[test]
    fn the_verdict_tells_a_script_that_fails_from_a_connection_that_does() {
        let failed = |code, reason: &str| Verdict::Failed {
            code,
            reason: reason.to_owned(),
        };
        let unreachable = |reason: &str| Verdict::Unreachable(reason.to_owned());
        for (lines, status, expected) in [
            (
                &[">slipway: ready", BAD][..],
                exited(9),
                failed(9, "a ended with 9"),
            ),
            (
                &[">slipway: ready", ">oops"],
                exited(4),
                failed(4, "firstboot ended with 4"),
            ),
            (
                &[">slipway: ready", "!firstboot: another one is at work"],
                exited(1),
                failed(1, "another one is at work"),
            ),
            (
                &[">slipway: ready", BAD],
                exited(255),
                failed(9, "a ended with 9"),
            ),
            (&[">slipway: ready", BAD], None, failed(9, "a ended with 9")),
            (&[">slipway: ready", OK], exited(255), Verdict::Ok),
            (
                &[
                    ">slipway: ready",
                    ">x",
                    "!Connection to n1 closed by remote host.",
                ],
                exited(255),
                unreachable(
                    "the connection was lost (Connection to n1 closed by remote host.); what it was running may go on there",
                ),
            ),
            (
                &[">slipway: ready", ">x"],
                exited(255),
                unreachable("the connection was lost; what it was running may go on there"),
            ),
            (
                &[">slipway: ready"],
                Some(ExitStatus::from_raw(11)),
                unreachable(
                    "the connection was lost (ssh was ended by signal 11); what it was running may go on there",
                ),
            ),
            (
                &["!ssh: connect to host n1 port 22: Connection refused"],
                exited(255),
                unreachable("connect to host n1 port 22: Connection refused"),
            ),
            (
                &[],
                Some(ExitStatus::from_raw(9)),
                unreachable("ssh was ended by signal 9"),
            ),
            (
                &[">This account is currently not available."],
                exited(1),
                failed(
                    1,
                    "nothing was run: This account is currently not available.",
                ),
            ),
            (
                &[">slipway: send", "!no space"],
                exited(1),
                failed(1, "nothing was run: no space"),
            ),
            (
                &[],
                exited(0),
                failed(
                    1,
                    "nothing was run: its login shell ended with 0 and said nothing",
                ),
            ),
        ] {
            assert_eq!(told(lines, status).1, expected, "{lines:?}");
        }
    }
}
