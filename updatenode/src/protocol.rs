//! The protocol with one node: its lines come in, actions go out. Pure.
//!
//! Only a line with a marker of the session ([`crate::markers`]) changes the state, on either stream: a login shell may
//! send both one way. Of several results the last one counts. Lines before the shell's ready notice come from no script:
//! greetings, warnings, messages of ssh. They are held back, and shown when they are the reason why the node was not
//! reached.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use definitions::{Results, Runlist};

use crate::lines::OutputTail;
use crate::markers::{KilledProgram, SessionMarkers, ends_with_notice};
use crate::outcome::{NodeStatus, failures};
use crate::ssh;

/// The exit code of ssh itself, for every failure of the connection: ssh(1).
const SSH_FAILED: i32 = 255;

/// How many characters of a line a reason quotes.
const MAX_EXCERPT: usize = 300;
/// How the line begins that sudo prints after its reason.
const SUDO_REPORTED: &str = "This incident ";

/// The state of the protocol with one node.
#[derive(Debug, Default)]
pub(crate) struct Protocol {
    markers: SessionMarkers,
    state: ProtocolState,
    /// The lines that were held back.
    held: OutputTail,
    /// The last lines since then.
    pub(crate) output: OutputTail,
    /// Whether the node requested the program.
    pub(crate) refreshed: bool,
    /// The results of the scripts, once the node has sent them.
    pub(crate) results: Option<Results>,
    /// What ended the program, if it was a signal.
    killed: Option<KilledProgram>,
    /// Whether standard output had a line before the shell was ready: only a shell prints there, not ssh.
    shell_printed: bool,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ProtocolState {
    /// ssh connects, or the shell compares.
    #[default]
    Greeting,
    /// The shell was sent the program.
    Refreshing,
    /// The program runs.
    Running,
}

/// The stream that a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Out,
    Err,
}

/// What to do after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineAction<'l> {
    /// OutputPrinter it.
    OutputPrinter(&'l str),
    /// Hold it back.
    Hold(&'l str),
    /// Send the program.
    SendProgram,
    /// Send the list, and no more.
    SendList,
    /// The results are there; this text was on the same line before them.
    Done(&'l str),
}

impl Protocol {
    /// Returns the state at the start of a session.
    pub(crate) fn new(markers: SessionMarkers) -> Self {
        Self {
            markers,
            ..Self::default()
        }
    }

    /// Processes a line.
    pub(crate) fn on_line<'l>(&mut self, stream: OutputStream, line: &'l str) -> LineAction<'l> {
        match (self.state, stream) {
            (ProtocolState::Running, _) => {
                if let Some((before, results)) = self.markers.parse_results(line) {
                    self.results = Some(results);
                    if !before.is_empty() {
                        self.output.keep(before);
                    }
                    return LineAction::Done(before);
                }
                if let Some((before, killed)) = self.markers.parse_killed(line) {
                    self.killed = Some(killed);
                    if before.is_empty() {
                        return LineAction::Hold(line);
                    }
                    self.output.keep(before);
                    return LineAction::OutputPrinter(before);
                }
                self.output.keep(line);
                LineAction::OutputPrinter(line)
            }
            (ProtocolState::Greeting, _)
                if ends_with_notice(line, &self.markers.send_request()) =>
            {
                self.state = ProtocolState::Refreshing;
                self.refreshed = true;
                LineAction::SendProgram
            }
            _ if ends_with_notice(line, &self.markers.ready_notice()) => {
                self.state = ProtocolState::Running;
                LineAction::SendList
            }
            _ => {
                self.shell_printed |= stream == OutputStream::Out;
                self.held.keep(line);
                LineAction::Hold(line)
            }
        }
    }

    /// Returns what has not happened yet, as long as no script can run.
    pub(crate) fn pending_event(&self) -> Option<String> {
        let what = match self.state {
            ProtocolState::Greeting if self.shell_printed => {
                "connected, but the remote shell printed nothing that updatenode asked for"
            }
            ProtocolState::Greeting => "ssh reports no error, and the remote shell printed nothing",
            ProtocolState::Refreshing => {
                "firstboot was sent, but the remote shell did not say that it has arrived"
            }
            ProtocolState::Running => return None,
        };
        Some(match self.last_held() {
            None => what.to_owned(),
            Some(last) => format!("{what} (it printed: {last})"),
        })
    }

    /// Returns how the session ended, from the exit status of ssh; `None` where ssh was stopped after the results.
    pub(crate) fn status(&self, status: Option<ExitStatus>) -> NodeStatus {
        let code = match status {
            None => None,
            Some(status) => status.code().filter(|code| *code != SSH_FAILED),
        };
        match (self.state, &self.results, code) {
            // The results count, whatever a shell or the connection did afterwards.
            (ProtocolState::Running, Some(results), _) => by_results(results),
            (ProtocolState::Running, None, Some(code)) => NodeStatus::Failed {
                code: exit_code(code).max(1),
                reason: self.firstboot_error(code),
            },
            (ProtocolState::Running, None, None) => NodeStatus::Lost(self.loss(status)),
            (_, _, Some(code)) => NodeStatus::Failed {
                code: exit_code(code).max(1),
                reason: match self.last_held() {
                    Some(last) => format!("nothing was run: {last}{}", advice(&last)),
                    None => format!(
                        "nothing was run: its login shell ended with {code} and printed nothing"
                    ),
                },
            },
            (_, _, None) => match status.and_then(|status| status.signal()) {
                Some(signal) => {
                    NodeStatus::Unreachable(format!("ssh was ended by signal {signal}"))
                }
                None => NodeStatus::Unreachable(ssh::reason(&self.held.iter().collect::<Vec<_>>())),
            },
        }
    }

    /// Returns the last line that was held back and says something, as much of it as one line of a report has room for.
    fn last_held(&self) -> Option<String> {
        let says = |line: &&str| !line.trim().is_empty() && !line.starts_with(SUDO_REPORTED);
        let line = self.held.iter().rev().find(says)?;
        let mut rest = line.chars();
        let mut shown: String = rest.by_ref().take(MAX_EXCERPT).collect();
        if rest.next().is_some() {
            shown.push('…');
        }
        Some(shown)
    }

    /// Returns the error of a `firstboot` that ran nothing.
    fn firstboot_error(&self, code: i32) -> String {
        if let Some(KilledProgram { signal, script }) = &self.killed {
            let script = script.as_ref().map(|script| {
                format!(" while it ran {script}, and the scripts after it were not run")
            });
            return format!(
                "firstboot was ended by signal {signal}{}",
                script.unwrap_or_default()
            );
        }
        let last = self.output.iter().next_back();
        match last.and_then(|line| line.strip_prefix("firstboot: ")) {
            Some(firstboot_error) => firstboot_error.to_owned(),
            None if code == 0 => "firstboot ended without reporting results".to_owned(),
            // what a shell ends with that may not execute a file: POSIX.1-2017, XCU §2.8.2
            None if code == 126 => format!(
                "{} could not be executed there: is its file system mounted with noexec?",
                Runlist::FIRSTBOOT
            ),
            None => format!("firstboot ended with {code}"),
        }
    }

    /// Returns what ended the session, by the last message of ssh. Where ssh prints none, the connection was sound, and a
    /// signal ended what ran on the node (RFC 4254 §6.10, `exit-signal`).
    fn loss(&self, status: Option<ExitStatus>) -> String {
        if let Some(signal) = status.and_then(|status| status.signal()) {
            return format!("the connection was lost (ssh was ended by signal {signal})");
        }
        let of_ssh = |line: &&str| {
            ["closed by", "reset by", "Broken pipe", "Connection "]
                .iter()
                .any(|words| line.contains(words))
                || line.starts_with("Timeout")
        };
        match self.output.iter().next_back().filter(of_ssh) {
            Some(line) => format!("the connection was lost ({line})"),
            None => "the shell that ran firstboot was killed".to_owned(),
        }
    }

    /// Returns how a session that was lost ended, from what a second one read in the node's record: nothing where that one
    /// did not get so far.
    pub(crate) fn status_of_lost(&self, how: &str) -> Option<NodeStatus> {
        let KilledProgram { script, .. } = self.killed.as_ref()?;
        let reason = match script {
            Some(script) => format!(
                "{how} while it ran {script}, which may still be running: see firstboot --status there"
            ),
            None => format!("{how}, and no script is running there: see firstboot --status there"),
        };
        Some(NodeStatus::Failed { code: 1, reason })
    }
}

/// Returns the status that follows from the results.
fn by_results(results: &Results) -> NodeStatus {
    match results.code {
        0 => NodeStatus::Ok,
        code => NodeStatus::Failed {
            code,
            reason: failures(&results.scripts)
                .unwrap_or_else(|| format!("firstboot ended with {code}")),
        },
    }
}

/// Returns an exit code as a byte.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Returns what to do where sudo refused, by its messages: sudo(8) of Todd Miller, and sudo-rs.
fn advice(message: &str) -> &'static str {
    let refuses = message.starts_with("sudo: ")
        || [
            " is not in the sudoers file",
            " is not allowed to ",
            "you must have a tty",
        ]
        .iter()
        .any(|words| message.contains(words));
    if refuses {
        ": log in as root, or give the account sudo without a password"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests;
