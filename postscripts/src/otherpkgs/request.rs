//! What the environment asks for: repositories, and what is removed and installed together.
//!
//! Variables come in, one value goes out. Pure; the forms are those of [`definitions`].

use anyhow::{Result, anyhow, bail};
use definitions::{PackageChanges, PackageOrigin, RepositoryEntry, RepositoryFormat};

/// What is requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// The repositories, without the tree.
    pub(super) entries: Vec<RepositoryEntry>,
    pub(super) transactions: Vec<PackageChanges>,
}

/// Returns the name, without an extension, of the files that are written for a list.
pub(super) fn file_stem(origin: PackageOrigin) -> &'static str {
    match origin {
        PackageOrigin::Others => "slipway-otherpkgs",
        PackageOrigin::Tree => "slipway-ospkgs",
    }
}

/// Reads what the environment asks for.
///
/// # Errors
/// Which variable is wrong, and why.
pub(super) fn read(
    origin: PackageOrigin,
    format: RepositoryFormat,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Request> {
    let directories = origin.directories_variable();
    let text = variable(directories).unwrap_or_default();
    let mut entries = RepositoryEntry::parse_list(&text, format)
        .map_err(|why| anyhow!("reading {directories}: the entry {why}"))?;
    if origin == PackageOrigin::Tree {
        // The first is the tree, which the installer has configured in its own way.
        entries.drain(..entries.len().min(1));
    }
    let transactions =
        PackageChanges::from_variables(origin, variable).map_err(|why| anyhow!(why))?;
    for transaction in &transactions {
        if let Some(group) = transaction.exclude_groups.first() {
            bail!("'-@{group}' removes a group, which is not supported: name the group's packages");
        }
    }
    Ok(Request {
        entries,
        transactions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(origin: PackageOrigin, variables: &[(&str, &str)]) -> Result<Request> {
        read(origin, RepositoryFormat::Apt, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_tree_is_no_repository_of_ours() {
        let tree = [
            ("OSPKGS", "a,-b"),
            (
                "OSPKGDIR",
                "/install/debian12/x86_64,[trusted=yes arch=amd64,arm64] /install/updates",
            ),
            ("ENVLIST", "A=1"),
        ];
        let request = read_from(PackageOrigin::Tree, &tree).unwrap();
        let entries: Vec<_> = request.entries.iter().map(ToString::to_string).collect();
        assert_eq!(
            entries,
            ["[arch=amd64 arch=arm64 trusted=yes] /install/updates"]
        );
        assert_eq!(request.transactions.len(), 1);
        let none = read_from(PackageOrigin::Others, &[]).unwrap();
        assert_eq!(none, Request::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_variable() {
        for (variables, message) in [
            (
                &[("OTHERPKGDIR", "/a,ftp://host main")][..],
                "reading OTHERPKGDIR: the entry 'ftp://host main' has 'ftp://host', which is neither an absolute \
                 directory nor an http or https URI",
            ),
            (
                &[("OTHERPKGS_INDEX", "1"), ("OTHERPKGS1", "-@base")],
                "'-@base' removes a group, which is not supported: name the group's packages",
            ),
        ] {
            let error = read_from(PackageOrigin::Others, variables).unwrap_err();
            assert_eq!(format!("{error:#}"), message);
        }
    }
}
