//! The marks in what a node says: how its shell and its `firstboot` are told from all else that is printed there.
//!
//! A nonce of the session makes them: a greeting, a script or another node cannot know it. The shell is told its own
//! on its command line, which whatever runs there may read; the one of the results stands before the list, on the
//! standard input of `firstboot`, and is told to nobody else.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use definitions::{Results, hex};

/// Where random bytes come from: random(4).
const RANDOM: &str = "/dev/urandom";

/// The marks of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    shell: String,
    results: String,
}

impl Marks {
    /// Makes marks that nobody knows.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            shell: nonce()?,
            results: nonce()?,
        })
    }

    /// Returns the nonce that the shell is told.
    pub(crate) fn shell(&self) -> &str {
        &self.shell
    }

    /// Returns the nonce that `firstboot` is told.
    pub(crate) fn results(&self) -> &str {
        &self.results
    }

    /// Asks for the program.
    pub(crate) fn send(&self) -> String {
        format!("slipway: send {}", self.shell)
    }

    /// Says that the program is in place and reads its list.
    pub(crate) fn ready(&self) -> String {
        format!("slipway: ready {}", self.shell)
    }

    /// Reads the results in a line; what was printed without an end may stand before them, and is returned, too.
    pub(crate) fn read<'l>(&self, line: &'l str) -> Option<(&'l str, Results)> {
        let mark = Results::mark(&self.results);
        let at = line.rfind(&mark)?;
        let mut values = serde_json::Deserializer::from_str(&line[at + mark.len()..]).into_iter();
        Some((&line[..at], values.next()?.ok()?))
    }

    /// Makes marks that a test knows: `S` and `R`.
    #[cfg(test)]
    pub(crate) fn known() -> Self {
        Self {
            shell: "S".to_owned(),
            results: "R".to_owned(),
        }
    }
}

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
    fn marks_differ_from_session_to_session_and_from_each_other() {
        let (one, other) = (Marks::new().unwrap(), Marks::new().unwrap());
        assert_eq!(one.shell.len(), 32);
        assert!(
            one.shell != one.results && one.shell != other.shell && one.results != other.results
        );
    }

    #[test]
    fn what_stands_before_them_is_no_part_of_them() {
        let line = "no end slipway-results R: {\"scripts\":[],\"code\":0}";
        assert_eq!(
            Marks::known().read(line),
            Some(("no end ", Results::default()))
        );
    }

    #[test]
    fn results_are_read_behind_their_own_mark_alone() {
        let marks = Marks::new().unwrap();
        let mark = Results::mark(marks.results());
        let json = r#"{"scripts":[],"code":7}"#;
        for (line, code) in [
            (format!("{mark}{json}"), Some(7)),
            (format!("without an end{mark}{json}"), Some(7)),
            (format!("{mark}{json}behind them"), Some(7)),
            (format!("{mark}{mark}{json}"), Some(7)),
            (format!("slipway-results: {json}"), None),
            (format!("{}{json}", Results::mark(marks.shell())), None),
            (
                format!("{}{json}", Results::mark(Marks::new().unwrap().results())),
                None,
            ),
            (mark.clone(), None),
            (format!("{mark}{{}}"), None),
        ] {
            assert_eq!(
                marks.read(&line).map(|(_, results)| results.code),
                code,
                "{line}"
            );
        }
    }
}
