//! apt: sources as deb822, and the command lines.
//!
//! References: sources.list(5), apt-get(8), apt.conf(5). Nothing here upgrades, and nothing removes what it was
//! not told to: an installation that would is refused.

use std::fmt::Write;

use super::command::{Answer, Line};
use super::inventory::Inventory;
use super::manager::{Seen, Verdict};
use super::places::Source;
use super::request::Transaction;

/// Renders sources as deb822.
pub(super) fn render(sources: &[Source]) -> String {
    let mut text =
        "# Written by otherpkgs from the osimage's otherpkgdir; changes are lost.\n".to_owned();
    for source in sources {
        let suite = source.suite.as_deref().unwrap_or("./");
        let _ = write!(
            text,
            "\nTypes: deb\nURIs: {}\nSuites: {suite}\n",
            source.uri
        );
        for (field, words) in [
            ("Components", &source.components),
            ("Architectures", &source.architectures),
        ] {
            if !words.is_empty() {
                let _ = writeln!(text, "{field}: {}", words.join(" "));
            }
        }
        if let Some(key) = &source.key {
            let _ = writeln!(text, "Signed-By: {key}");
        }
        if source.trusted {
            text += "Trusted: yes\n";
        }
    }
    text
}

/// Returns the options that have apt read what is to be seen.
fn view(seen: Seen<'_>) -> Vec<String> {
    let parts = seen
        .directory
        .map(|dir| format!("Dir::Etc::SourceParts={}", dir.display()));
    parts
        .into_iter()
        .flat_map(|parts| ["-o".to_owned(), parts])
        .collect()
}

/// apt-get with what every call has: some patience with locks that others take meanwhile, little with silent
/// servers.
fn apt_get(arguments: &[&str]) -> Line {
    let patience = ["-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::Retries=3"];
    let patience = patience
        .into_iter()
        .chain(["-o", "Acquire::http::Timeout=30"]);
    Line::new("apt-get", &["-q"]).and(patience).and(arguments)
}

/// Our sources alone; then all, as far as they go.
pub(super) fn refresh(seen: Seen<'_>) -> (Option<Line>, Option<Line>) {
    let ours = seen.ours.map(|file| {
        apt_get(&["update", "-o", "APT::Get::List-Cleanup=0"])
            .and([
                "-o".to_owned(),
                format!("Dir::Etc::SourceList={}", file.display()),
            ])
            .and(["-o", "Dir::Etc::SourceParts=/dev/null"])
    });
    (ours, Some(apt_get(&["update"]).and(view(seen))))
}

/// Says what could not be read of our sources: apt itself goes on with older indices and calls it a success.
/// A source that is trusted in words may have a signature of whomever.
pub(super) fn unread(answer: &Answer, sources: &[Source]) -> Option<String> {
    if answer.code != Some(0) {
        return Some(errors(&answer.text));
    }
    let mut problems = Vec::new();
    let mut lines = answer.text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(what) = line.strip_prefix("Err:") else {
            continue;
        };
        let uri = what.split_whitespace().nth(1).unwrap_or_default();
        let why = lines.peek().map_or("", |line| line.trim());
        let about_keys = why.contains("signature") || why.contains("not signed");
        let is_trusted = |source: &Source| source.trusted && uri.starts_with(&source.uri);
        if !(about_keys && sources.iter().any(is_trusted)) {
            problems.push(format!("{uri}: {why}"));
        }
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

pub(super) fn simulate(seen: Seen<'_>, transaction: &Transaction, gone: &[String]) -> Line {
    let line = apt_get(&["-s", "-y", "--no-install-recommends"])
        .and(view(seen))
        .and(["install"]);
    line.and(&transaction.install)
        .and(gone.iter().map(|name| format!("{name}-")))
}

/// Reads what `apt-get -s` prints: `Inst name (version …)`, `Conf name …`, `Remv name …`, or `E:` and why not.
pub(super) fn understand(answer: &Answer, gone: &[String]) -> Verdict {
    if answer.code != Some(0) {
        return Verdict::Problem(errors(&answer.text));
    }
    let name = |line: &str| {
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    let lines = answer.text.lines();
    let removed: Vec<_> = lines
        .filter(|line| line.starts_with("Remv "))
        .map(name)
        .collect();
    let extra: Vec<_> = removed
        .iter()
        .filter(|name| !gone.contains(name))
        .cloned()
        .collect();
    if !extra.is_empty() {
        let extra = extra.join(", ");
        return Verdict::Problem(format!(
            "it would remove {extra}: if that is meant, put them into the list with a '-' in front"
        ));
    }
    // `Conf` alone is of what is half done, and not of what was asked for.
    let installs = answer.text.lines().any(|line| line.starts_with("Inst "));
    match installs || !removed.is_empty() {
        true => Verdict::Changes,
        false => Verdict::Nothing,
    }
}

/// Returns the errors among what apt printed, with what it said of dependencies before.
pub(super) fn errors(text: &str) -> String {
    let told = |line: &'_ str| {
        let depends = line.contains(" : Depends: ").then_some(line);
        let why = line.strip_prefix("E: ").or_else(|| {
            let signature = line.strip_prefix("W: ")?;
            signature.starts_with("GPG error: ").then_some(signature)
        });
        why.or(depends).map(|line| line.trim().to_owned())
    };
    let lines: Vec<_> = text.lines().filter_map(told).collect();
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

/// A configuration file that was changed on the node stays.
const KEEP: [&str; 4] = [
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
];

pub(super) fn install(transaction: &Transaction) -> Line {
    let line = apt_get(&["-y", "--no-install-recommends", "--no-remove"]).and(KEEP);
    line.and(["install"]).and(&transaction.install)
}

/// Returns what ends what is half done: what it lacks is installed, what is not whole is unpacked again, and what
/// was being removed is removed, and nothing else.
pub(super) fn mend(seen: Seen<'_>, now: &Inventory, simulated: bool) -> Line {
    let stays = now.leaving.is_empty().then_some("--no-remove");
    let line = apt_get(&[
        "-y",
        "--fix-broken",
        "--reinstall",
        "--no-install-recommends",
    ]);
    let line = line.and(stays).and(KEEP).and(view(seen));
    line.and(simulated.then_some("-s"))
        .and(["install"])
        .and(&now.again)
        .and(now.leaving.iter().map(|name| format!("{name}-")))
}

pub(super) fn remove(names: &[String]) -> Line {
    apt_get(&["-y", "remove"]).and(names)
}

pub(super) fn simulate_removal(names: &[String]) -> Line {
    apt_get(&["-s", "-y", "remove"]).and(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_was_not_read_is_no_success() {
        let text = "Get:1 http://a/deb stable InRelease [3 kB]
Err:1 http://a/deb stable InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 1
Err:2 http://b/deb stable InRelease
  Could not connect to b:80 (10.1.0.2). - connect (111: Connection refused)
Reading package lists...
";
        let answer = Answer {
            code: Some(0),
            text: text.to_owned(),
        };
        let source = |uri: &str, trusted| Source {
            uri: uri.to_owned(),
            trusted,
            ..Source::default()
        };
        let b = "http://b/deb: Could not connect to b:80 (10.1.0.2). - connect (111: Connection refused)";
        let both = format!(
            "http://a/deb: The following signatures couldn't be verified because the public key is not \
             available: NO_PUBKEY 1; {b}"
        );
        let sources = [source("http://a/deb", true), source("http://b/deb", true)];
        assert_eq!(unread(&answer, &sources).as_deref(), Some(b));
        assert_eq!(
            unread(&answer, &[source("http://a/deb", false)]),
            Some(both)
        );
        let fine = Answer {
            code: Some(0),
            text: "Hit:1 http://a/deb stable InRelease\n".to_owned(),
        };
        assert_eq!(unread(&fine, &sources), None);
    }

    #[test]
    fn a_simulation_is_understood() {
        let gone = vec!["docker.io".to_owned()];
        for (code, text, expected) in [
            (0, "Reading package lists...\n0 upgraded, 0 newly installed\n", Verdict::Nothing),
            (0, "Inst hello (2.10 Debian [amd64])\nConf hello (2.10)\n", Verdict::Changes),
            (0, "Remv docker.io [20.10]\nInst docker-ce (27 Docker [amd64])\n", Verdict::Changes),
            (
                0,
                "Remv docker.io [20.10]\nRemv compose [1]\nInst docker-ce (27 Docker [amd64])\n",
                Verdict::Problem(
                    "it would remove compose: if that is meant, put them into the list with a '-' in front"
                        .to_owned(),
                ),
            ),
            (
                100,
                "Reading...\nE: Unable to locate package helo\nE: Unable to locate package x\n",
                Verdict::Problem("Unable to locate package helo; Unable to locate package x".to_owned()),
            ),
            (
                100,
                "The following packages have unmet dependencies:\n a : Depends: b but it is not installable\n\
                 E: Unable to correct problems, you have held broken packages.\n",
                Verdict::Problem(
                    "a : Depends: b but it is not installable; Unable to correct problems, you have held \
                     broken packages."
                        .to_owned(),
                ),
            ),
        ] {
            let answer = Answer { code: Some(code), text: text.to_owned() };
            assert_eq!(understand(&answer, &gone), expected, "{text}");
        }
    }
}
