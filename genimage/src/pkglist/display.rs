//! Lists as text again: the file that says the same, and the variables that xCAT's postscripts read. Pure.

use std::fmt;

use super::{ListItem, ListRole, PackageTransaction, PkgList, VersionPin};

impl fmt::Display for PkgList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, list) in self.transactions.iter().enumerate() {
            if at > 0 {
                f.write_str("#NEW_INSTALL_LIST#\n")?;
            }
            for (name, value) in &list.environment {
                writeln!(f, "#ENV:{name}={value}#")?;
            }
            for entry in list.entries() {
                writeln!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for VersionPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => write!(f, "={version}"),
            Self::Suite(suite) => write!(f, "/{suite}"),
        }
    }
}

impl fmt::Display for ListItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.directory {
            write!(f, "{directory}/")?;
        }
        f.write_str(&self.wanted())
    }
}

impl PackageTransaction {
    /// Returns the lines of a list, without the environment.
    fn entries(&self) -> impl Iterator<Item = String> {
        let signed = |sign: &'static str, items: &[ListItem]| {
            let signed = items.iter().map(move |item| format!("{sign}{item}"));
            signed.collect::<Vec<_>>()
        };
        let lines = [
            signed("-", &self.exclude),
            signed("-@", &self.exclude_groups),
            signed("@", &self.groups),
            signed("", &self.install),
            signed("--", &self.remove_after),
        ];
        lines.into_iter().flatten()
    }
}

impl PkgList {
    /// Returns the variables that tell a postscript of the list: `OSPKGS` and `ENVLIST` of the tree's
    /// packages; `OTHERPKGS1`, `ENVLIST1`, … and `OTHERPKGS_INDEX`, how many there are, of others.
    pub fn variables(&self, role: ListRole) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let (packages, number): (_, fn(usize) -> String) = match role {
            ListRole::Tree => ("OSPKGS", |_| String::new()),
            ListRole::Others => ("OTHERPKGS", |at| (at + 1).to_string()),
        };
        let joined = |lists: &[PackageTransaction]| {
            let entries = lists.iter().flat_map(PackageTransaction::entries);
            let pairs = lists.iter().flat_map(|list| &list.environment);
            let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
            (
                entries.collect::<Vec<_>>().join(","),
                pairs.collect::<Vec<_>>().join(" "),
            )
        };
        let size = match role {
            ListRole::Tree => self.transactions.len().max(1),
            ListRole::Others => 1,
        };
        for (at, lists) in self.transactions.chunks(size).enumerate() {
            let (entries, environment) = joined(lists);
            variables.push((format!("{packages}{}", number(at)), entries));
            if !environment.is_empty() {
                variables.push((format!("ENVLIST{}", number(at)), environment));
            }
        }
        if role == ListRole::Others && !self.transactions.is_empty() {
            let count = self.transactions.len().to_string();
            variables.push(("OTHERPKGS_INDEX".to_owned(), count));
        }
        variables
    }
}
