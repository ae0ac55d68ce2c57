//! The markers in a node's output: they distinguish the lines of our shell command and of `firstboot` from all others.
//!
//! Each contains a nonce of the session, which a greeting, a script or another node cannot know. The shell gets its nonce
//! on its command line, which every process on the node may read; the nonce of the results is sent before the list, on the
//! standard input of `firstboot`, and nowhere else.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use definitions::{Results, hex};

/// Where random bytes come from: random(4).
const RANDOM: &str = "/dev/urandom";

/// The nonces of one session, and the markers made from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionMarkers {
    shell: String,
    results: String,
}

/// A program that a signal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KilledProgram {
    pub(crate) signal: i32,
    /// The script that it ran then, if its status names one.
    pub(crate) script: Option<String>,
}

impl SessionMarkers {
    /// Makes markers from fresh random numbers.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            shell: nonce()?,
            results: nonce()?,
        })
    }

    /// Returns the nonce that the shell gets.
    pub(crate) fn shell_nonce(&self) -> &str {
        &self.shell
    }

    /// Returns the nonce that `firstboot` gets.
    pub(crate) fn results_nonce(&self) -> &str {
        &self.results
    }

    /// Returns the line with which the shell requests the program.
    pub(crate) fn send_request(&self) -> String {
        format!("slipway: send {}", self.shell)
    }

    /// Returns the line that says that the program is in place and reads its list.
    pub(crate) fn ready_notice(&self) -> String {
        format!("slipway: ready {}", self.shell)
    }

    /// Parses the notice of the shell that a signal ended the program; returns the text before it, too, as a program that
    /// is killed ends in a line of output.
    pub(crate) fn parse_killed<'l>(&self, line: &'l str) -> Option<(&'l str, KilledProgram)> {
        let mark = format!("slipway: killed {} ", self.shell);
        let at = line.rfind(&mark)?;
        let rest = &line[at + mark.len()..];
        let (code, running) = rest.split_once(' ').unwrap_or((rest, ""));
        let signal = code.parse::<i32>().ok()?.checked_sub(128)?;
        // `"line": "the script",`, one for each that ran
        let script = running.trim().strip_prefix("\"line\": ").and_then(|value| {
            let mut values = serde_json::Deserializer::from_str(value).into_iter();
            values.next()?.ok()
        });
        Some((&line[..at], KilledProgram { signal, script }))
    }

    /// Parses the results in a line; returns the text before them, too: output without a newline may precede them.
    pub(crate) fn parse_results<'l>(&self, line: &'l str) -> Option<(&'l str, Results)> {
        let mark = Results::mark(&self.results);
        let at = line.rfind(&mark)?;
        let mut values = serde_json::Deserializer::from_str(&line[at + mark.len()..]).into_iter();
        Some((&line[..at], values.next()?.ok()?))
    }

    /// Makes markers for tests, from the nonces `S` and `R`.
    #[cfg(test)]
    pub(crate) fn known() -> Self {
        Self {
            shell: "S".to_owned(),
            results: "R".to_owned(),
        }
    }
}

/// Whether a line ends in a notice, but for what a terminal does not show after it: a shell whose output goes through a
/// program that colours it adds escape sequences (ECMA-48 §5.4, and xterm's for titles) to each line.
pub(crate) fn ends_with_notice(line: &str, notice: &str) -> bool {
    let at = line.rfind(notice);
    at.is_some_and(|at| shows_nothing(&line[at + notice.len()..]))
}

fn shows_nothing(text: &str) -> bool {
    let mut rest = text.trim_start_matches(|c: char| c.is_control() && c != ESCAPE || c == ' ');
    while let Some(sequence) = rest.strip_prefix(ESCAPE) {
        let is_last = match sequence.chars().next() {
            Some('[') => |c: char| ('@'..='~').contains(&c),
            Some(']') => |c: char| c == '\u{7}',
            _ => |_: char| true,
        };
        let begin = usize::from(sequence.starts_with(['[', ']']));
        let mut inside = sequence.char_indices().skip(begin);
        let end = inside.find(|(_, c)| is_last(*c));
        rest = end.map_or("", |(at, c)| &sequence[at + c.len_utf8()..]);
        rest = rest.trim_start_matches(|c: char| c.is_control() && c != ESCAPE || c == ' ');
    }
    rest.is_empty()
}

const ESCAPE: char = '\u{1b}';

/// Makes 128 random bits, in hexadecimal digits.
fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    File::open(RANDOM)
        .and_then(|mut random| random.read_exact(&mut bytes))
        .with_context(|| format!("reading {RANDOM}"))?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_may_have_after_it_what_a_terminal_does_not_show() {
        for (line, is_one) in [
            ("mark", true),
            ("prompt> mark", true),
            ("mark\r\r", true),
            ("mark  ", true),
            ("mark\u{1b}[0m\u{1b}[K\r", true),
            ("\u{1b}[32mmark\u{1b}[0m", true),
            ("mark\u{1b}]0;title\u{7}", true),
            ("mark' slipway", false),
            ("mark\u{1b}[0m end", false),
            ("mark\u{1b}c", true),
            ("mark\u{1b}cd", false),
            ("marked", false),
            ("mar", false),
        ] {
            assert_eq!(ends_with_notice(line, "mark"), is_one, "{line:?}");
        }
    }

    #[test]
    fn marks_differ_from_session_to_session_and_from_each_other() {
        let (one, other) = (
            SessionMarkers::new().unwrap(),
            SessionMarkers::new().unwrap(),
        );
        assert_eq!(one.shell.len(), 32);
        assert!(
            one.shell != one.results && one.shell != other.shell && one.results != other.results
        );
    }

    #[test]
    fn the_signal_that_ended_the_program_is_read_with_the_script_that_ran() {
        for (line, expected) in [
            (
                "slipway: killed S 137 \"line\": \"mine \\\"a b\\\"\",",
                Some(("", 9, Some("mine \"a b\""))),
            ),
            (
                "no endslipway: killed S 143 \"line\": \"a\", \"line\": \"b\",",
                Some(("no end", 15, Some("a"))),
            ),
            ("slipway: killed S 137 ", Some(("", 9, None))),
            ("slipway: killed S 137 sed: no", Some(("", 9, None))),
            ("slipway: killed R 137 ", None),
            ("slipway: killed S x", None),
        ] {
            let expected = expected.map(|(before, signal, script)| {
                let script = script.map(str::to_owned);
                (before, KilledProgram { signal, script })
            });
            let found = SessionMarkers::known().parse_killed(line);
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn text_before_results_is_returned_apart() {
        let line = "no end slipway-results R: {\"scripts\":[],\"code\":0}";
        assert_eq!(
            SessionMarkers::known().parse_results(line),
            Some(("no end ", Results::default()))
        );
    }

    #[test]
    fn results_are_read_after_their_own_marker_only() {
        let markers = SessionMarkers::new().unwrap();
        let mark = Results::mark(markers.results_nonce());
        let json = r#"{"scripts":[],"code":7}"#;
        for (line, code) in [
            (format!("{mark}{json}"), Some(7)),
            (format!("without an end{mark}{json}"), Some(7)),
            (format!("{mark}{json}after them"), Some(7)),
            (format!("{mark}{mark}{json}"), Some(7)),
            (format!("slipway-results: {json}"), None),
            (
                format!("{}{json}", Results::mark(markers.shell_nonce())),
                None,
            ),
            (
                format!(
                    "{}{json}",
                    Results::mark(SessionMarkers::new().unwrap().results_nonce())
                ),
                None,
            ),
            (mark.clone(), None),
            (format!("{mark}{{}}"), None),
        ] {
            assert_eq!(
                markers
                    .parse_results(&line)
                    .map(|(_, results)| results.code),
                code,
                "{line}"
            );
        }
    }
}
