//! What the environment asks for: repositories, and what is removed and installed together.
//!
//! Variables come in, one value goes out. A name that a package manager could take for something else, an
//! option or a pattern, is refused. Pure.

use anyhow::{Context, Result, bail};

use super::repository::{self, RepoEntry};

/// The most transactions.
const MAX_TRANSACTIONS: usize = 1000;

/// Which of xCAT's two lists is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackageList {
    /// `OTHERPKGDIR` and `OTHERPKGS1` …: what the tree does not have.
    Others,
    /// `OSPKGDIR` and `OSPKGS`: packages of the tree.
    Os,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) entries: Vec<RepoEntry>,
    pub(super) transactions: Vec<PackageTransaction>,
}

/// What happens together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PackageTransaction {
    pub(super) environment: Vec<(String, String)>,
    /// `-name`, in order.
    pub(super) before: Vec<String>,
    /// Names, with their versions.
    pub(super) install: Vec<String>,
    /// Without the `@`.
    pub(super) groups: Vec<String>,
    /// `--name`.
    pub(super) after: Vec<String>,
    /// The directories that names came with.
    pub(super) directories: Vec<String>,
}

impl PackageList {
    /// Returns what installers call a repository without a name, before its number.
    pub(super) fn installer_stem(self) -> &'static str {
        match self {
            Self::Others => "extra",
            Self::Os => "mirror",
        }
    }

    /// Returns the variable that holds the key of an entry; those of the tree's list are counted after the tree.
    pub(super) fn key_variable(self, number: usize) -> String {
        match self {
            Self::Others => format!("OTHERPKGKEY{number}"),
            Self::Os => format!("OSPKGKEY{number}"),
        }
    }

    /// Returns what its files are called.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Self::Others => "slipway-otherpkgs",
            Self::Os => "slipway-ospkgs",
        }
    }
}

/// Reads what the environment asks for.
pub(super) fn read(
    list: PackageList,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Request> {
    let (directories, lists) = match list {
        PackageList::Others => ("OTHERPKGDIR", "OTHERPKGS"),
        PackageList::Os => ("OSPKGDIR", "OSPKGS"),
    };
    let value = |name: &str| variable(name).unwrap_or_default();
    let mut entries =
        repository::parse(&value(directories)).context(format!("reading {directories}"))?;
    if list == PackageList::Os {
        // The first is the tree: the installer has told this node of it, in its own way.
        entries.drain(..entries.len().min(1));
    }
    let pid_places: Vec<String> = match list {
        PackageList::Os => vec![String::new()],
        PackageList::Others => {
            let index = value("OTHERPKGS_INDEX");
            let count = match index.trim() {
                "" => 0,
                number => match number.parse() {
                    Ok(count) if count <= MAX_TRANSACTIONS => count,
                    _ => bail!(
                        "OTHERPKGS_INDEX is '{number}' and not the number of lists, {MAX_TRANSACTIONS} at most"
                    ),
                },
            };
            (1..=count).map(|number| number.to_string()).collect()
        }
    };
    let mut transactions = Vec::new();
    for number in pid_places {
        let name = format!("{lists}{number}");
        let mut transaction = parse(&value(&name)).with_context(|| format!("reading {name}"))?;
        transaction.environment = environment(&value(&format!("ENVLIST{number}")));
        if !transaction.is_empty() {
            transactions.push(transaction);
        }
    }
    Ok(Request {
        entries,
        transactions,
    })
}

/// Reads `K=V K2=V2`.
fn environment(text: &str) -> Vec<(String, String)> {
    let pairs = text
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(name, _)| !name.is_empty());
    named
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Reads one list.
fn parse(text: &str) -> Result<PackageTransaction> {
    let mut transaction = PackageTransaction::default();
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        if let Some(name) = item.strip_prefix("--") {
            add(&mut transaction.after, checked(name)?);
        } else if let Some(name) = item.strip_prefix('-') {
            if name.starts_with('@') {
                bail!("'{item}' removes a group, which nothing here can: name its packages");
            }
            add(&mut transaction.before, checked(name)?);
        } else if let Some(group) = item.strip_prefix('@') {
            add(&mut transaction.groups, checked_group(group)?);
        } else {
            let (directory, name) = match item.rsplit_once('/') {
                Some((directory, name)) => (Some(directory), name),
                None => (None, item),
            };
            if let Some(directory) = directory {
                let plain = |part: &str| !part.starts_with('.') && part.chars().all(is_plain);
                if !directory
                    .split('/')
                    .all(|part| !part.is_empty() && plain(part))
                {
                    bail!("'{directory}' of '{item}' is no directory in OTHERPKGDIR");
                }
                add(&mut transaction.directories, directory.to_owned());
            }
            add(&mut transaction.install, checked(name)?);
        }
    }
    Ok(transaction)
}

/// Adds what is not there yet.
fn add(to: &mut Vec<String>, name: String) {
    if !to.contains(&name) {
        to.push(name);
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+-~^:".contains(c)
}

/// Checks a package's name, which a version may follow.
fn checked(name: &str) -> Result<String> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let (bare, version) = name.split_once('=').unwrap_or((name, "1"));
    // apt takes a name that ends in '-' for one to remove.
    let good = begins && bare.chars().all(is_plain) && !bare.ends_with('-');
    if !good || version.is_empty() || !version.chars().all(is_plain) {
        bail!(
            "'{}' is not a package name: write NAME or NAME=VERSION",
            name.escape_debug()
        );
    }
    Ok(name.to_owned())
}

fn checked_group(name: &str) -> Result<String> {
    let bare = name.strip_prefix('^').unwrap_or(name);
    let begins = bare.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !bare.chars().all(|c| is_plain(c) || " ()&/".contains(c)) {
        bail!("'@{}' is not a group name", name.escape_debug());
    }
    Ok(name.to_owned())
}

impl PackageTransaction {
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.before, &self.install, &self.groups, &self.after];
        lists.into_iter().all(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(list: PackageList, variables: &[(&str, &str)]) -> Result<Request> {
        read(list, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn lists_are_removed_before_installed_and_removed_after() {
        let request = read_from(
            PackageList::Others,
            &[
                ("OTHERPKGS_INDEX", "3"),
                (
                    "OTHERPKGS1",
                    "-docker.io, docker-ce=5:27.1-1~x,tools/mine,mine,--git,@Development Tools",
                ),
                ("ENVLIST1", "LANG=de ACCEPT=yes= x"),
                ("OTHERPKGS2", " , "),
                ("OTHERPKGS3", "last"),
                ("OTHERPKGS4", "never"),
            ],
        )
        .unwrap();
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            request.transactions,
            [
                PackageTransaction {
                    environment: vec![
                        ("LANG".to_owned(), "de".to_owned()),
                        ("ACCEPT".to_owned(), "yes=".to_owned())
                    ],
                    before: words(&["docker.io"]),
                    install: words(&["docker-ce=5:27.1-1~x", "mine"]),
                    groups: words(&["Development Tools"]),
                    after: words(&["git"]),
                    directories: words(&["tools"]),
                },
                PackageTransaction {
                    install: words(&["last"]),
                    ..PackageTransaction::default()
                }
            ]
        );
        let os = [
            ("OSPKGS", "a,-b"),
            ("OSPKGDIR", "/install/debian12/x86_64"),
            ("ENVLIST", "A=1"),
        ];
        let request = read_from(PackageList::Os, &os).unwrap();
        assert_eq!((request.entries.len(), request.transactions.len()), (0, 1));
        assert_eq!(
            read_from(PackageList::Others, &[]).unwrap(),
            Request::default()
        );
    }

    #[test]
    fn what_a_package_manager_could_take_for_something_else_is_refused() {
        for (list, message) in [
            (
                "a;b",
                "'a;b' is not a package name: write NAME or NAME=VERSION",
            ),
            (
                "foo-",
                "'foo-' is not a package name: write NAME or NAME=VERSION",
            ),
            (
                "---force",
                "'-force' is not a package name: write NAME or NAME=VERSION",
            ),
            ("*", "'*' is not a package name: write NAME or NAME=VERSION"),
            (
                "a=",
                "'a=' is not a package name: write NAME or NAME=VERSION",
            ),
            (
                "a\nb",
                "'a\\nb' is not a package name: write NAME or NAME=VERSION",
            ),
            ("../a", "'..' of '../a' is no directory in OTHERPKGDIR"),
            ("@", "'@' is not a group name"),
            (
                "-@base",
                "'-@base' removes a group, which nothing here can: name its packages",
            ),
        ] {
            let variables = [("OTHERPKGS_INDEX", "1"), ("OTHERPKGS1", list)];
            let error = read_from(PackageList::Others, &variables).unwrap_err();
            assert_eq!(
                format!("{error:#}"),
                format!("reading OTHERPKGS1: {message}")
            );
        }
        let error = read_from(PackageList::Others, &[("OTHERPKGS_INDEX", "many")]).unwrap_err();
        let message = "OTHERPKGS_INDEX is 'many' and not the number of lists, 1000 at most";
        assert_eq!(error.to_string(), message);
    }
}
