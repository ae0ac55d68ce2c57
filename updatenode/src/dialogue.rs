//! What is said with one node: its lines come in, what to do goes out. Pure.
//!
//! Only what stands behind a mark of the session ([`crate::marks`]) says anything about it; of several results the
//! last count. Before the shell there says that it is ready, what comes is no script's: greetings, warnings, ssh's own
//! complaints. It is held back, and shown when it is why the node was not reached.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use definitions::Results;

use crate::lines::Tail;
use crate::marks::Marks;
use crate::outcome::{Verdict, failures};
use crate::ssh;

/// ssh's own exit code, for all that goes wrong on the way.
const LOST: i32 = 255;

/// A conversation.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    marks: Marks,
    stage: Stage,
    /// What was held back.
    held: Tail,
    /// What was printed since.
    pub(crate) output: Tail,
    /// Whether the program was asked for.
    pub(crate) refreshed: bool,
    /// What became of the scripts, once the node has said it.
    pub(crate) results: Option<Results>,
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
pub(crate) enum Answer<'l> {
    /// Show it.
    Show(&'l str),
    /// It is held back.
    Hold(&'l str),
    /// Send the program.
    SendProgram,
    /// Send the list, and no more.
    SendList,
    /// The node has said all that counts; this was printed before it, without an end.
    Done(&'l str),
}

impl Dialogue {
    /// Begins.
    pub(crate) fn new(marks: Marks) -> Self {
        Self {
            marks,
            ..Self::default()
        }
    }

    /// Hears a line.
    pub(crate) fn hear<'l>(&mut self, stream: Stream, line: &'l str) -> Answer<'l> {
        match (self.stage, stream) {
            (Stage::Running, _) => {
                let read = self.marks.read(line).filter(|_| stream == Stream::Out);
                if let Some((before, results)) = read {
                    self.results = Some(results);
                    if !before.is_empty() {
                        self.output.keep(before);
                    }
                    return Answer::Done(before);
                }
                self.output.keep(line);
                Answer::Show(line)
            }
            (Stage::Greeting, Stream::Out) if line.ends_with(&self.marks.send()) => {
                self.stage = Stage::Refreshing;
                self.refreshed = true;
                Answer::SendProgram
            }
            (_, Stream::Out) if line.ends_with(&self.marks.ready()) => {
                self.stage = Stage::Running;
                Answer::SendList
            }
            _ => {
                self.held.keep(line);
                Answer::Hold(line)
            }
        }
    }

    /// Says what has not happened yet, as long as no script can run.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let what = match self.stage {
            Stage::Greeting => "its shell has run no command",
            Stage::Refreshing => "firstboot has not arrived",
            Stage::Running => return None,
        };
        Some(match self.last_held() {
            None => what.to_owned(),
            Some(last) => format!("{what} (it said: {last})"),
        })
    }

    /// Says how it ended, from how ssh did; `None` where ssh was stopped once the results were there.
    pub(crate) fn verdict(&self, status: Option<ExitStatus>) -> Verdict {
        let code = match status {
            None => None,
            Some(status) => status.code().filter(|code| *code != LOST),
        };
        match (self.stage, &self.results, code) {
            // The node's last word counts, whatever a shell or the connection made of it then.
            (Stage::Running, Some(results), _) => by_results(results),
            (Stage::Running, None, Some(code)) => Verdict::Failed {
                code: exit_code(code).max(1),
                reason: self.complaint(code),
            },
            (Stage::Running, None, None) => Verdict::Unreachable(format!(
                "the connection was lost{}; what it was running may go on there",
                self.last_words(status)
            )),
            (_, _, Some(code)) => Verdict::Failed {
                code: exit_code(code).max(1),
                reason: match self.last_held() {
                    Some(last) => format!("nothing was run: {last}"),
                    None => format!(
                        "nothing was run: its login shell ended with {code} and said nothing"
                    ),
                },
            },
            (_, _, None) => match status.and_then(|status| status.signal()) {
                Some(signal) => Verdict::Unreachable(format!("ssh was ended by signal {signal}")),
                None => Verdict::Unreachable(ssh::complaint(&self.held.iter().collect::<Vec<_>>())),
            },
        }
    }

    /// Returns the last that was held back.
    fn last_held(&self) -> Option<&str> {
        self.held.iter().rev().find(|line| !line.trim().is_empty())
    }

    /// Returns what the program said when it ran nothing.
    fn complaint(&self, code: i32) -> String {
        let last = self.output.iter().next_back();
        match last.and_then(|line| line.strip_prefix("firstboot: ")) {
            Some(complaint) => complaint.to_owned(),
            None if code == 0 => "firstboot did not say what became of the scripts".to_owned(),
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

/// Judges by what the node said last.
fn by_results(results: &Results) -> Verdict {
    match results.code {
        0 => Verdict::Ok,
        code => Verdict::Failed {
            code,
            reason: failures(&results.scripts)
                .unwrap_or_else(|| format!("firstboot ended with {code}")),
        },
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
    fn told<'l>(lines: &[&'l str], status: Option<ExitStatus>) -> (Vec<Answer<'l>>, Verdict) {
        let mut dialogue = Dialogue::new(Marks::known());
        let hear = |line: &&'l str| match line.split_at(1) {
            (">", line) => dialogue.hear(Stream::Out, line),
            (_, line) => dialogue.hear(Stream::Err, line),
        };
        let answers = lines.iter().map(hear).collect();
        (answers, dialogue.verdict(status))
    }

    const READY: &str = ">slipway: ready S";
    const OK: &str =
        r#">slipway-results R: {"scripts":[{"line":"a","code":0,"seconds":0.1}],"code":0}"#;
    const BAD: &str = r#">slipway-results R: {"scripts":[{"line":"a","code":9,"seconds":0.1},{"line":"b","code":0,"seconds":0}],"code":9}"#;
    /// What a script prints that would like to be the results.
    const FALSE: &str = r#">slipway-results: {"scripts":[],"code":0}"#;

    #[test]
    fn the_program_is_sent_when_it_is_asked_for_and_what_came_before_is_held() {
        use Answer::{Done, Hold, SendList, SendProgram, Show};
        let (answers, verdict) = told(
            &[
                "!Warning: greetings",
                ">welcome",
                ">slipway: send",
                ">no end, then \u{1b}[0mslipway: send S",
                READY,
                ">one",
                "!two",
                READY,
                OK,
                ">bye",
            ],
            exited(0),
        );
        assert_eq!(
            answers,
            [
                Hold("Warning: greetings"),
                Hold("welcome"),
                Hold("slipway: send"),
                SendProgram,
                SendList,
                Show("one"),
                Show("two"),
                Show("slipway: ready S"),
                Done(""),
                Show("bye"),
            ]
        );
        assert_eq!(verdict, Verdict::Ok);
        let trace = ">+ exec sh -c 'slipway: ready S' slipway";
        let (answers, _) = told(&["!slipway: ready S", trace, READY, FALSE], exited(0));
        let shown = Show(&FALSE[1..]);
        assert_eq!(
            answers,
            [Hold("slipway: ready S"), Hold(&trace[1..]), SendList, shown],
            "what is not quite it is a line like others"
        );
    }

    #[test]
    fn the_last_results_that_are_valid_count_whatever_comes_behind() {
        let failed = Verdict::Failed {
            code: 9,
            reason: "a ended with 9".to_owned(),
        };
        let half = r#">slipway-results R: {"scripts":"#;
        for lines in [
            &[READY, OK, BAD][..],
            &[READY, FALSE, BAD, half, FALSE, ">bye"],
        ] {
            for status in [exited(0), exited(3), exited(255), None] {
                assert_eq!(told(lines, status).1, failed, "{lines:?}");
            }
        }
        let joined = r#">no endslipway-results R: {"scripts":[],"code":0}"#;
        let (answers, verdict) = told(&[READY, joined], exited(0));
        assert_eq!((answers[1], verdict), (Answer::Done("no end"), Verdict::Ok));
        let (_, verdict) = told(&[READY, FALSE], exited(0));
        assert_eq!(
            verdict,
            Verdict::Failed {
                code: 1,
                reason: "firstboot did not say what became of the scripts".to_owned()
            }
        );
    }

    #[test]
    fn a_node_that_runs_nothing_in_its_time_says_how_far_it_came() {
        for (lines, expected) in [
            (&[][..], Some("its shell has run no command")),
            (
                &[">Password expired."],
                Some("its shell has run no command (it said: Password expired.)"),
            ),
            (&[">slipway: send S"], Some("firstboot has not arrived")),
            (&[READY], None),
        ] {
            let mut dialogue = Dialogue::new(Marks::known());
            for line in lines {
                let _ = dialogue.hear(Stream::Out, &line[1..]);
            }
            assert_eq!(dialogue.waits_for().as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_verdict_tells_a_script_that_fails_from_a_connection_that_does() {
        let failed = |code, reason: &str| Verdict::Failed {
            code,
            reason: reason.to_owned(),
        };
        let unreachable = |reason: &str| Verdict::Unreachable(reason.to_owned());
        for (lines, status, expected) in [
            (&[READY, BAD][..], exited(9), failed(9, "a ended with 9")),
            (
                &[READY, ">oops"],
                exited(4),
                failed(4, "firstboot ended with 4"),
            ),
            (
                &[READY, "!firstboot: another one is at work"],
                exited(1),
                failed(1, "another one is at work"),
            ),
            (&[READY, BAD], exited(255), failed(9, "a ended with 9")),
            (&[READY, BAD], None, failed(9, "a ended with 9")),
            (&[READY, OK], exited(255), Verdict::Ok),
            (
                &[READY, ">x", "!Connection to n1 closed by remote host."],
                exited(255),
                unreachable(
                    "the connection was lost (Connection to n1 closed by remote host.); what it was running may go on there",
                ),
            ),
            (
                &[READY, ">x"],
                exited(255),
                unreachable("the connection was lost; what it was running may go on there"),
            ),
            (
                &[READY],
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
                &[">slipway: send S", "!no space"],
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
