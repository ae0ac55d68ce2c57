//! Lists as text again: the file that says the same, and the variables of postscripts. Pure.

use std::fmt;

use definitions::{PackageChanges, PackageOrigin, RequestedPackage};

use super::{Item, PkgList, Transaction};

impl fmt::Display for PkgList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, list) in self.transactions.iter().enumerate() {
            if at > 0 {
                f.write_str("#NEW_INSTALL_LIST#\n")?;
            }
            for (name, value) in &list.environment {
                writeln!(f, "#ENV:{name}={value}#")?;
            }
            for entry in list.changes().entries() {
                writeln!(f, "{entry}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.directory {
            write!(f, "{directory}/")?;
        }
        f.write_str(&self.wanted())
    }
}

impl PkgList {
    /// Returns the variables of the list for a postscript.
    pub fn variables(&self, origin: PackageOrigin) -> Vec<(String, String)> {
        let lists: Vec<_> = self.transactions.iter().map(Transaction::changes).collect();
        PackageChanges::to_variables(&lists, origin)
    }
}

impl Transaction {
    /// Returns it without the places of its names.
    fn changes(&self) -> PackageChanges {
        let names = |items: &[Item]| items.iter().map(Item::wanted).collect();
        let package = |item: &Item| RequestedPackage {
            directory: item.directory.clone(),
            name: item.name.clone(),
            version: item.version.clone(),
        };
        PackageChanges {
            environment: self.environment.clone(),
            remove_before: names(&self.exclude),
            exclude_groups: names(&self.exclude_groups),
            groups: names(&self.groups),
            install: self.install.iter().map(package).collect(),
            remove_after: names(&self.remove_after),
        }
    }
}
