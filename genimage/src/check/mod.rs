//! What an installer would say of a file, and a repository of a package, before a node asks.
//!
//! ```text
//! list + repositories ─> packages ─┐
//! a rendered file     ─> preseed, kickstart, autoinstall, autoyast, agama ─┴─> findings
//! ```
//!
//! Nothing here runs a program or reaches a network: each installer's rules are tables of ours, held in
//! tests against the installer's own checker. What cannot be checked makes a note.

pub mod packages;

mod agama;
mod autoinstall;
mod autoyast;
mod boot;
mod findings;
mod json;
mod kickstart;
mod passwords;
mod preseed;
mod schema;
mod time_zones;
mod value;
mod xml;
mod yaml;

use self::findings::FindingsBuilder;
pub(crate) use self::passwords::plain_passwords;
pub(crate) use self::time_zones::time_zones;

use definitions::Distro;

use crate::installer::InstallerKind;
use crate::problem::Problem;

/// Checks a file that an installer of that release will read; `name` is how problems call it.
pub fn installer_file(
    installer: InstallerKind,
    distro: &Distro,
    name: &str,
    text: &str,
) -> Findings {
    match installer {
        InstallerKind::Preseed | InstallerKind::Kickstart if says_nothing(text) => {
            let mut findings = FindingsBuilder::of(name);
            findings.problem(0, EMPTY);
            findings.finish()
        }
        InstallerKind::Preseed => preseed::check(name, text),
        InstallerKind::Kickstart => kickstart::check(distro, name, text),
        InstallerKind::Autoinstall => autoinstall::check(name, text),
        InstallerKind::Agama => agama::check(distro, name, text),
        InstallerKind::Autoyast => autoyast::check(name, text),
        InstallerKind::Netboot => Findings::default(),
    }
}

/// Checks the script that iPXE runs.
pub(crate) fn boot_script(name: &str, text: &str) -> Findings {
    boot::check(name, text)
}

/// What is wrong with an installer's file without a line.
const EMPTY: &str = "the file is empty, so that the installer would ask";

/// Whether a text has no line but comments.
pub(crate) fn says_nothing(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong: nothing is written for the node.
    pub problems: Vec<Problem>,
    /// What a person should know, such as a check that could not run; it stops nothing.
    pub notes: Vec<Problem>,
}

impl Findings {
    /// Whether nothing is wrong; there may be notes.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Takes over what another check found, and was not found before.
    pub fn append(&mut self, other: Self) {
        for (all, found) in [
            (&mut self.problems, other.problems),
            (&mut self.notes, other.notes),
        ] {
            for one in found {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_comments_alone_would_make_the_installer_ask() {
        let distro = "rocky9.4".parse().unwrap();
        for (installer, name) in [
            (InstallerKind::Preseed, "preseed.cfg"),
            (InstallerKind::Kickstart, "ks.cfg"),
        ] {
            for text in ["", "\n", "# nothing\n\n  # more\n"] {
                let found = installer_file(installer, &distro, name, text);
                let found: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
                assert_eq!(found, [format!("{name}: {EMPTY}")], "{text:?}");
            }
        }
    }

    #[test]
    fn what_two_checks_found_is_reported_once() {
        let found = |notes: &[&str]| Findings {
            problems: vec![Problem::new("p")],
            notes: notes.iter().map(|note| Problem::new(*note)).collect(),
        };
        let mut all = found(&["a"]);
        all.append(found(&["a", "b"]));
        assert_eq!(all, found(&["a", "b"]));
    }
}
