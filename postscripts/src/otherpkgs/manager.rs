//! Which package manager this node has, and what every one of them can be asked.

use std::path::Path;

use anyhow::{Result, bail};

use super::command::{Answer, Line};
use super::inventory::Inventory;
use super::locks::{self, Locks};
use super::places::Source;
use super::request::Transaction;
use super::{apt, dnf, zypper};

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    /// dnf's ancestor, on EL 7.
    Yum,
    Zypper,
}

/// What a package manager says to a transaction that it only thought through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    Changes,
    /// It cannot be done, and why.
    Problem(String),
}

/// The repositories that a package manager reads instead of those that stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The directory that takes the place of the node's own; `None`: the node's own.
    pub(super) directory: Option<&'a Path>,
    /// The file of ours among them, if there is one.
    pub(super) ours: Option<&'a Path>,
}

impl Manager {
    /// Finds it from os-release(5): some systems have another family's tools too.
    pub(super) fn detect(os_release: &str, has: &dyn Fn(&str) -> bool) -> Result<Self> {
        let mut words = Vec::new();
        for line in os_release.lines() {
            if let Some(("ID" | "ID_LIKE", value)) = line.split_once('=') {
                words.extend(value.trim_matches(['"', '\'']).split_whitespace());
            }
        }
        let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
        let rh = || if has("dnf") { Self::Dnf } else { Self::Yum };
        let manager = if is(&["debian", "ubuntu"]) {
            Self::Apt
        } else if is(&["suse", "sles", "opensuse", "sle"]) {
            Self::Zypper
        } else if is(&["rhel", "fedora", "centos"]) {
            rh()
        } else if has("apt-get") {
            Self::Apt
        } else if has("zypper") {
            Self::Zypper
        } else {
            rh()
        };
        if !has(manager.program()) {
            bail!("this node has none of apt-get, dnf, yum and zypper that fits its system");
        }
        Ok(manager)
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
            Self::Zypper => "zypper",
        }
    }

    /// Returns the directory of its repositories, the extension of their files, and the directory of keys.
    pub(super) fn homes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Apt => ("/etc/apt/sources.list.d", "sources", "/etc/apt/keyrings"),
            Self::Dnf | Self::Yum => ("/etc/yum.repos.d", "repo", "/etc/pki/rpm-gpg"),
            Self::Zypper => ("/etc/zypp/repos.d", "repo", "/etc/pki/rpm-gpg"),
        }
    }

    /// Returns the file that names repositories.
    pub(super) fn render(self, sources: &[Source]) -> Result<String> {
        match self {
            Self::Apt => Ok(apt::render(sources)),
            Self::Dnf | Self::Yum => dnf::render(sources, false),
            Self::Zypper => dnf::render(sources, true),
        }
    }

    /// Returns what it and others of its family lock.
    pub(super) fn locks(self) -> &'static Locks {
        match self {
            Self::Apt => &locks::DEB,
            Self::Dnf | Self::Yum | Self::Zypper => &locks::RPM,
        }
    }

    /// Says what an earlier run left half done; `journal` lists a directory.
    pub(super) fn left_over(
        self,
        packages: &Inventory,
        journal: &dyn Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        let cut_short = |directory: &str, is_ours: &dyn Fn(&str) -> bool| {
            let names = journal(directory);
            let ours = names.iter().any(|name| is_ours(name));
            ours.then(|| format!("a run that was cut short, of which {directory} knows"))
        };
        match self {
            Self::Apt => packages.half_done().or_else(|| {
                cut_short("/var/lib/dpkg/updates", &|name| {
                    name.bytes().all(|b| b.is_ascii_digit())
                })
            }),
            Self::Yum => cut_short("/var/lib/yum", &|name| name.starts_with("transaction-all.")),
            Self::Dnf | Self::Zypper => None,
        }
    }

    /// Returns what ends what an earlier run left half done.
    pub(super) fn recover(self) -> Line {
        match self {
            Self::Yum => Line::new("yum-complete-transaction", &["-y"]),
            _ => Line::new(
                "dpkg",
                &["--force-confdef", "--force-confold", "--configure", "-a"],
            ),
        }
    }

    /// Returns what reads the indices of our repositories, and what reads those of the others.
    pub(super) fn refresh(
        self,
        seen: Seen<'_>,
        sources: &[Source],
    ) -> (Option<Line>, Option<Line>) {
        match self {
            Self::Apt => apt::refresh(seen),
            Self::Dnf | Self::Yum => (dnf::refresh(self.program(), seen, sources), None),
            Self::Zypper => (zypper::refresh(seen, sources), None),
        }
    }

    /// Says what could not be read of our repositories, from what [`Self::refresh`] printed.
    pub(super) fn unread(self, answer: &Answer, sources: &[Source]) -> Option<String> {
        match self {
            Self::Apt => apt::unread(answer, sources),
            _ => (answer.code != Some(0)).then(|| self.errors(answer)),
        }
    }

    /// Returns what thinks a transaction through.
    pub(super) fn simulate(
        self,
        seen: Seen<'_>,
        transaction: &Transaction,
        gone: &[String],
    ) -> Line {
        match self {
            Self::Apt => apt::simulate(seen, transaction, gone),
            Self::Dnf | Self::Yum => dnf::simulate(self.program(), seen, transaction, gone),
            Self::Zypper => zypper::simulate(seen, transaction, gone),
        }
    }

    /// Understands what [`Self::simulate`] printed.
    pub(super) fn understand(self, answer: &Answer, gone: &[String]) -> Verdict {
        match self {
            Self::Apt => apt::understand(answer, gone),
            Self::Dnf | Self::Yum => dnf::understand(answer),
            Self::Zypper => zypper::understand(answer),
        }
    }

    /// Returns what installs a transaction's packages.
    pub(super) fn install(self, transaction: &Transaction) -> Line {
        match self {
            Self::Apt => apt::install(transaction),
            Self::Dnf | Self::Yum => dnf::install(self.program(), transaction),
            Self::Zypper => zypper::install(transaction),
        }
    }

    /// Returns what removes packages.
    pub(super) fn remove(self, names: &[String]) -> Line {
        match self {
            Self::Apt => apt::remove(names),
            Self::Dnf | Self::Yum => dnf::remove(self.program(), names),
            Self::Zypper => Line::new("zypper", &["--non-interactive", "remove"]).and(names),
        }
    }

    /// Returns what thinks a removal through.
    pub(super) fn simulate_removal(self, names: &[String]) -> Line {
        match self {
            Self::Apt => apt::simulate_removal(names),
            _ => Line::new("rpm", &["--erase", "--test"]).and(names),
        }
    }

    /// Says why packages should not be removed, if others would go with them: from what
    /// [`Self::simulate_removal`] printed.
    pub(super) fn drags(self, answer: &Answer, names: &[String]) -> Option<String> {
        if self == Self::Apt {
            return match apt::understand(answer, names) {
                Verdict::Problem(why) => Some(why),
                _ => None,
            };
        }
        let needed = answer
            .text
            .lines()
            .filter_map(|line| line.split_once(" is needed by (installed) "));
        let needed: Vec<_> = needed
            .map(|(what, by)| format!("{by} needs {}", what.trim()))
            .collect();
        (!needed.is_empty()).then(|| {
            let needed = needed.join(", ");
            format!("{needed}: if they are to go too, put them into the list with a '-' in front")
        })
    }

    /// Returns what it said was wrong, in one line.
    pub(super) fn errors(self, answer: &Answer) -> String {
        match self {
            Self::Apt => apt::errors(&answer.text),
            Self::Dnf | Self::Yum => dnf::errors(&answer.text),
            Self::Zypper => zypper::errors(&answer.text),
        }
    }

    /// Says whether an exit code of an installation or a removal is a success.
    pub(super) fn succeeded(self, code: Option<i32>) -> bool {
        // zypper(8): 100 to 103 say that something is to be restarted.
        matches!((self, code), (_, Some(0)) | (Self::Zypper, Some(100..=103)))
    }

    /// Returns what lists the packages for [`Inventory::parse`].
    pub(super) fn list(self) -> Line {
        match self {
            Self::Apt => Line::new(
                "dpkg-query",
                &[
                    "-W",
                    "-f",
                    "${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${Architecture}\\n",
                ],
            ),
            _ => Line::new(
                "rpm",
                &[
                    "-qa",
                    "--queryformat",
                    "ii \\t%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n",
                ],
            ),
        }
    }
}

/// Returns the name of `name=version`.
pub(super) fn bare(name: &str) -> &str {
    name.split_once('=').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_which_package_manager_it_has() {
        let all: &[&str] = &["apt-get", "dnf", "zypper"];
        for (os_release, has, expected) in [
            ("ID=debian\n", all, Ok(Manager::Apt)),
            ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", all, Ok(Manager::Apt)),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                all,
                Ok(Manager::Dnf),
            ),
            (
                "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\n",
                &["yum"],
                Ok(Manager::Yum),
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                all,
                Ok(Manager::Zypper),
            ),
            ("ID='sles'\n", &["zypper"], Ok(Manager::Zypper)),
            ("ID=other\n", &["zypper"], Ok(Manager::Zypper)),
            ("", &["yum"], Ok(Manager::Yum)),
            (
                "ID=debian\n",
                &["dnf"],
                Err("this node has none of apt-get, dnf, yum and zypper that fits its system"),
            ),
        ] {
            let found = Manager::detect(os_release, &|name| has.contains(&name));
            assert_eq!(
                found.map_err(|e| e.to_string()),
                expected.map_err(str::to_owned)
            );
        }
    }

    #[test]
    fn a_removal_that_drags_others_along_is_told() {
        let text = "error: Failed dependencies:\n\tslip-one is needed by (installed) slip-two-1-1.noarch\n";
        let answer = Answer {
            code: Some(1),
            text: text.to_owned(),
        };
        let names = ["slip-one".to_owned()];
        let message = "slip-two-1-1.noarch needs slip-one: if they are to go too, put them into the list \
                       with a '-' in front";
        assert_eq!(
            Manager::Dnf.drags(&answer, &names).as_deref(),
            Some(message)
        );
        let text = "Remv compose [1]\nRemv docker.io [20.10]\n";
        let answer = Answer {
            code: Some(0),
            text: text.to_owned(),
        };
        let names = ["docker.io".to_owned()];
        let message =
            "it would remove compose: if that is meant, put them into the list with a '-' in front";
        assert_eq!(
            Manager::Apt.drags(&answer, &names).as_deref(),
            Some(message)
        );
        let names = ["docker.io".to_owned(), "compose".to_owned()];
        assert_eq!(Manager::Apt.drags(&answer, &names), None);
    }

    #[test]
    fn what_was_cut_short_is_known_by_states_and_by_journals() {
        let half = Inventory::parse("iU \tlib\t1\tall\n");
        let whole = Inventory::default();
        let dpkg = "a run that was cut short, of which /var/lib/dpkg/updates knows";
        let yum = "a run that was cut short, of which /var/lib/yum knows";
        for (manager, packages, names, expected) in [
            (Manager::Apt, &half, &[][..], Some("lib (unpacked)")),
            (Manager::Apt, &whole, &["0007"], Some(dpkg)),
            (Manager::Apt, &whole, &["tmp.i"], None),
            (
                Manager::Yum,
                &whole,
                &["history", "transaction-all.2026-11-28.log"],
                Some(yum),
            ),
            (Manager::Yum, &whole, &["history"], None),
            (Manager::Dnf, &whole, &["0007"], None),
        ] {
            let journal = |_: &str| names.iter().map(|&name| name.to_owned()).collect();
            let left = manager.left_over(packages, &journal);
            assert_eq!(left.as_deref(), expected, "{manager:?} {names:?}");
        }
    }
}
