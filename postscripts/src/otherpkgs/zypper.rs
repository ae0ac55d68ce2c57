//! zypper: the command lines. Its repositories are `.repo` files, see [`super::dnf`].
//!
//! Reference: zypper(8). It takes a key for granted that rpm knows, so a new key is given to rpm first; what is
//! only thought through with repositories that do not stand yet goes into a cache of its own, unchecked, and
//! nothing is installed from there.

use super::command::{Answer, Line};
use super::manager::{Seen, Verdict};
use super::places::Source;
use super::request::Transaction;

/// zypper with what every call has, reading what is to be seen.
fn zypper(seen: Seen<'_>) -> Line {
    let line = Line::new("zypper", &["--non-interactive"]);
    match seen.directory {
        None => line,
        Some(directory) => line
            .and(["--reposd-dir".to_owned(), directory.display().to_string()])
            .and([
                "--cache-dir".to_owned(),
                directory.join("cache").display().to_string(),
            ])
            .and(["--no-gpg-checks"]),
    }
}

/// Reads the indices of our repositories; zypper reads the others' itself where they say autorefresh.
pub(super) fn refresh(seen: Seen<'_>, sources: &[Source]) -> Option<Line> {
    seen.ours?;
    let names = sources.iter().map(|source| &source.name);
    Some(zypper(seen).and(["refresh"]).and(names))
}

/// What an installation names: packages, patterns, and behind `!` what must go.
fn wanted(transaction: &Transaction) -> Vec<String> {
    let patterns = transaction
        .groups
        .iter()
        .map(|group| format!("pattern:{group}"));
    transaction
        .install
        .iter()
        .cloned()
        .chain(patterns)
        .collect()
}

fn installing(line: Line) -> Line {
    line.and(["install", "--no-recommends", "--auto-agree-with-licenses"])
}

pub(super) fn simulate(seen: Seen<'_>, transaction: &Transaction, gone: &[String]) -> Line {
    let line = installing(zypper(seen))
        .and(["--dry-run", "--"])
        .and(wanted(transaction));
    line.and(gone.iter().map(|name| format!("!{name}")))
}

/// Reads what `zypper install --dry-run` prints.
pub(super) fn understand(answer: &Answer) -> Verdict {
    let lines = answer.text.lines().map(str::trim);
    let told = |line: &&str| {
        line.ends_with(" not found.")
            || line.starts_with("No provider of ")
            || line.contains("Problem: ")
    };
    match answer.code {
        Some(0 | 100..=103) => match lines.clone().any(|line| line == "Nothing to do.") {
            true => Verdict::Nothing,
            false => Verdict::Changes,
        },
        _ => {
            let why: Vec<_> = lines.filter(told).collect();
            Verdict::Problem(match why.is_empty() {
                true => answer
                    .text
                    .trim()
                    .lines()
                    .last()
                    .unwrap_or("it gave no reason")
                    .to_owned(),
                false => why.join("; "),
            })
        }
    }
}

/// Returns the errors among what `zypper refresh` printed.
pub(super) fn errors(text: &str) -> String {
    let signs = [
        "signed with an unknown key",
        "is unsigned",
        "Signature verification failed",
        "Curl error",
        "not found at",
    ];
    let told = |line: &&str| signs.iter().any(|sign| line.contains(sign));
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let lines: Vec<_> = lines
        .filter(told)
        .map(|line| line.split(" Continue? ").next().unwrap_or(line))
        .collect();
    match lines.is_empty() {
        true => text
            .trim()
            .lines()
            .last()
            .unwrap_or("it gave no reason")
            .to_owned(),
        false => lines.join("; "),
    }
}

pub(super) fn install(transaction: &Transaction) -> Line {
    let own = Seen {
        directory: None,
        ours: None,
    };
    installing(zypper(own)).and(["--"]).and(wanted(transaction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_understood() {
        for (code, text, expected) in [
            (
                0,
                "Resolving package dependencies...\nNothing to do.\n",
                Verdict::Nothing,
            ),
            (
                0,
                "The following NEW package is going to be installed:\n  a\n",
                Verdict::Changes,
            ),
            (
                102,
                "The following NEW package is going to be installed:\n  kernel\n",
                Verdict::Changes,
            ),
            (
                104,
                "'helo' not found in package names. Trying capabilities.\nNo provider of 'helo' found.\n",
                Verdict::Problem("No provider of 'helo' found.".to_owned()),
            ),
            (
                4,
                "Problem: nothing provides 'b' needed by the to be installed a-1-1.noarch\n Solution 1: x\n",
                Verdict::Problem(
                    "Problem: nothing provides 'b' needed by the to be installed a-1-1.noarch"
                        .to_owned(),
                ),
            ),
        ] {
            let answer = Answer {
                code: Some(code),
                text: text.to_owned(),
            };
            assert_eq!(understand(&answer), expected, "{text}");
        }
    }
}
