//! dnf and yum: `.repo` files, which zypper reads too, and the command lines.
//!
//! References: dnf(8), dnf.conf(5), yum(8) of EL 7, zypper(8). `gpgcheck` is on but where the definition
//! says `trusted=yes`.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::command::{Answer, Line};
use super::manager::{Seen, Verdict};
use super::places::Source;
use super::request::Transaction;

/// Renders sources as a `.repo` file.
pub(super) fn render(sources: &[Source], zypper: bool) -> Result<String> {
    let mut text =
        "# Written by otherpkgs from the osimage's otherpkgdir; changes are lost.\n".to_owned();
    for source in sources {
        if let Some(suite) = &source.suite {
            bail!(
                "'{} {suite}' names a suite, which only apt's repositories have: write '{}' alone",
                source.uri,
                source.uri
            );
        }
        let check = u8::from(!source.trusted);
        let _ = write!(
            text,
            "\n[{name}]\nname={name}\nbaseurl={uri}\nenabled=1\ngpgcheck={check}\n",
            name = source.name,
            uri = source.uri
        );
        if let Some(key) = &source.key {
            let scheme = if key.starts_with('/') { "file://" } else { "" };
            let _ = writeln!(text, "gpgkey={scheme}{key}");
        }
        if zypper {
            text += "type=rpm-md\nautorefresh=1\n";
        }
    }
    Ok(text)
}

fn view(seen: Seen<'_>) -> Vec<String> {
    let directory = seen
        .directory
        .map(|dir| format!("--setopt=reposdir={}", dir.display()));
    directory.into_iter().collect()
}

/// dnf or yum, which wait for another one without an end unless told not to.
fn call(program: &'static str) -> Line {
    Line::new(program, &["--setopt=exit_on_lock=1"])
}

/// Reads the indices of our repositories; dnf reads the others' itself when they are old.
pub(super) fn refresh(program: &'static str, seen: Seen<'_>, sources: &[Source]) -> Option<Line> {
    seen.ours?;
    let mut line = call(program).and(["-y", "--disablerepo=*"]).and(view(seen));
    line = line.and(
        sources
            .iter()
            .map(|source| format!("--enablerepo={}", source.name)),
    );
    Some(match program {
        "yum" => line.and(["makecache", "fast"]),
        _ => line.and(["--refresh", "makecache"]),
    })
}

/// What an installation names: packages and groups.
fn wanted(transaction: &Transaction) -> impl Iterator<Item = String> {
    let groups = transaction.groups.iter().map(|group| format!("@{group}"));
    transaction
        .install
        .iter()
        .cloned()
        .chain(groups)
        .collect::<Vec<_>>()
        .into_iter()
}

/// dnf takes weak dependencies for what it was told to install; yum knows none.
fn installing(program: &'static str) -> Line {
    match program {
        "yum" => call(program),
        _ => call(program).and(["--setopt=install_weak_deps=False"]),
    }
}

pub(super) fn simulate(
    program: &'static str,
    seen: Seen<'_>,
    transaction: &Transaction,
    gone: &[String],
) -> Line {
    let line = installing(program).and(["--assumeno"]).and(view(seen));
    // What is removed before may be in the way now.
    let erasing = program == "dnf" && !gone.is_empty();
    line.and(erasing.then_some("--allowerasing"))
        .and(["install"])
        .and(wanted(transaction))
}

/// Reads what `dnf --assumeno` prints; it ends with 1 when it would have done something.
pub(super) fn understand(answer: &Answer) -> Verdict {
    let missing: Vec<_> = answer
        .text
        .lines()
        .filter(|line| {
            line.starts_with("No package ") || line.starts_with("No match for argument: ")
        })
        .collect();
    if !missing.is_empty() {
        return Verdict::Problem(missing.join("; "));
    }
    if answer
        .text
        .lines()
        .any(|line| line.starts_with("Operation aborted") || line == "Exiting on user command")
    {
        return Verdict::Changes;
    }
    if answer.code == Some(0) {
        return Verdict::Nothing;
    }
    Verdict::Problem(errors(&answer.text))
}

/// Returns the errors among what dnf or yum printed.
pub(super) fn errors(text: &str) -> String {
    let why = text.lines().skip_while(|line| !line.starts_with("Error"));
    let why: Vec<_> = why
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(8)
        .collect();
    match why.is_empty() {
        true => text
            .trim()
            .lines()
            .last()
            .unwrap_or("it gave no reason")
            .to_owned(),
        false => why.join(" "),
    }
}

pub(super) fn remove(program: &'static str, names: &[String]) -> Line {
    // yum never takes along what nobody needs any more.
    let keeping = (program != "yum").then_some("--noautoremove");
    call(program)
        .and(["-y"])
        .and(keeping)
        .and(["remove"])
        .and(names)
}

pub(super) fn install(program: &'static str, transaction: &Transaction) -> Line {
    installing(program)
        .and(["-y", "install"])
        .and(wanted(transaction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_file_or_an_address() {
        let source = |key: &str| Source {
            name: "a".to_owned(),
            uri: "https://h/$releasever".to_owned(),
            key: Some(key.to_owned()),
            ..Source::default()
        };
        let sources = [source("/etc/pki/rpm-gpg/a.asc"), source("https://h/gpg")];
        let text = render(&sources, false).unwrap();
        let section = |key: &str| {
            format!(
                "\n[a]\nname=a\nbaseurl=https://h/$releasever\nenabled=1\ngpgcheck=1\ngpgkey={key}\n"
            )
        };
        let both = section("file:///etc/pki/rpm-gpg/a.asc") + &section("https://h/gpg");
        assert!(text.ends_with(&both), "{text}");
    }

    #[test]
    fn a_simulation_is_understood() {
        for (code, text, expected) in [
            (0, "Package a-1 is already installed.\nNothing to do.\nComplete!\n", Verdict::Nothing),
            (1, "Installing:\n a  noarch 1-1 x 6 k\nOperation aborted.\n", Verdict::Changes),
            (1, "Is this ok [y/d/N]: N\nExiting on user command\n", Verdict::Changes),
            (
                1,
                "No match for argument: helo\nNo match for argument: x\nError: Unable to find a match: helo x\n",
                Verdict::Problem("No match for argument: helo; No match for argument: x".to_owned()),
            ),
            (
                1,
                "No package helo available.\nIs this ok [y/d/N]: N\nExiting on user command\n",
                Verdict::Problem("No package helo available.".to_owned()),
            ),
            (
                1,
                "Error: \n Problem: conflicting requests\n  - nothing provides b needed by a-1-1.noarch\n",
                Verdict::Problem(
                    "Error: Problem: conflicting requests - nothing provides b needed by a-1-1.noarch"
                        .to_owned(),
                ),
            ),
        ] {
            let answer = Answer { code: Some(code), text: text.to_owned() };
            assert_eq!(understand(&answer), expected, "{text}");
        }
    }
}
