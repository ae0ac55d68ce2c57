//! The outcome of one node.

use std::fmt::Write as _;
use std::time::Duration;

use definitions::ScriptResult;

use crate::lines::OutputTail;

/// The outcome of one node.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) node: String,
    /// The address of its session; `None` for a node that needs no session.
    pub(crate) address: Option<String>,
    pub(crate) status: NodeStatus,
    pub(crate) took: Duration,
    /// Whether the program on the node differed and was replaced.
    pub(crate) refreshed: bool,
    pub(crate) scripts: Vec<ScriptResult>,
    /// The last lines that the node printed.
    pub(crate) output: OutputTail,
}

/// How a node ended, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeStatus {
    /// All is done.
    Ok,
    /// Scripts failed, or the program that runs them.
    Failed { code: u8, reason: String },
    /// It has no assets, or they lack a requested script.
    Unprepared(String),
    /// It took too long.
    TimedOut {
        after: Duration,
        /// What had not happened yet, if no script could run.
        before: Option<String>,
    },
    /// It could not be reached.
    Unreachable(String),
    /// The session ended while `firstboot` ran, and this is what ssh reported.
    Lost(String),
    /// The administrator interrupted it.
    Interrupted,
    /// The administrator interrupted the run before its session started.
    NotBegun,
}

impl NodeStatus {
    /// Returns its name in output and JSON.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed { .. } => "failed",
            Self::Unprepared(_) => "unprepared",
            Self::TimedOut { .. } => "timed out",
            Self::Unreachable(_) | Self::Lost(_) => "unreachable",
            Self::Interrupted => "interrupted",
            Self::NotBegun => "not begun",
        }
    }

    /// Returns its exit code; the greatest of all nodes counts.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed { code, .. } => *code,
            Self::Unprepared(_) => 1,
            Self::TimedOut { .. } => 124,
            Self::Interrupted | Self::NotBegun => 130,
            Self::Unreachable(_) | Self::Lost(_) => 255,
        }
    }

    /// Returns the reason, where there is one.
    pub(crate) fn reason(&self) -> Option<String> {
        match self {
            Self::Ok | Self::NotBegun => None,
            Self::Failed { reason, .. } | Self::Unprepared(reason) | Self::Unreachable(reason) => {
                Some(reason.clone())
            }
            Self::Lost(how) => Some(format!("{how}; its script may still be running")),
            Self::TimedOut { after, before } => {
                let what = before.as_deref().unwrap_or("not done");
                let rest = match before {
                    None => "its script may still be running",
                    Some(_) => "nothing was run",
                };
                Some(format!("{what} within {} s; {rest}", after.as_secs()))
            }
            Self::Interrupted => Some("its script may still be running".to_owned()),
        }
    }
}

impl Outcome {
    /// Renders the outcome as one line.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{}: {}", self.node, self.status.word());
        if let Some(reason) = self.status.reason() {
            let _ = write!(line, ": {reason}");
        }
        if self.status != NodeStatus::NotBegun {
            let _ = write!(line, " ({:.1} s)", self.took.as_secs_f64());
        }
        line
    }
}

/// Lists the scripts that failed, with their exit codes or errors.
pub(crate) fn failures(scripts: &[ScriptResult]) -> Option<String> {
    let failed = scripts.iter().filter(|script| script.code != 0);
    let failed: Vec<_> = failed
        .map(|script| match &script.error {
            Some(error) => format!("{}: {error}", script.line),
            None => format!("{} ended with {}", script.line, script.code),
        })
        .collect();
    (!failed.is_empty()).then(|| failed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_one_line() {
        for (status, expected) in [
            (NodeStatus::Ok, "n1: ok (1.5 s)"),
            (
                NodeStatus::Failed {
                    code: 3,
                    reason: "mine ended with 3".to_owned(),
                },
                "n1: failed: mine ended with 3 (1.5 s)",
            ),
            (
                NodeStatus::TimedOut {
                    after: Duration::from_secs(60),
                    before: None,
                },
                "n1: timed out: not done within 60 s; its script may still be running (1.5 s)",
            ),
            (
                NodeStatus::Interrupted,
                "n1: interrupted: its script may still be running (1.5 s)",
            ),
            (NodeStatus::NotBegun, "n1: not begun"),
        ] {
            let outcome = Outcome {
                node: "n1".to_owned(),
                address: None,
                status,
                took: Duration::from_millis(1500),
                refreshed: false,
                scripts: Vec::new(),
                output: OutputTail::default(),
            };
            assert_eq!(outcome.line(), expected);
        }
    }

    #[test]
    fn scripts_that_failed_are_named() {
        let script = |line: &str, code, error: Option<&str>| ScriptResult {
            line: line.parse().unwrap(),
            code,
            seconds: 0.0,
            error: error.map(str::to_owned),
        };
        assert_eq!(failures(&[script("a", 0, None)]), None);
        assert_eq!(
            failures(&[
                script("a x", 3, None),
                script("b", 0, None),
                script("c", 126, Some("its digest is wrong"))
            ])
            .unwrap(),
            "a x ended with 3, c: its digest is wrong"
        );
    }
}
