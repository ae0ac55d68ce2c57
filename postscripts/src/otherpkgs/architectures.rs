//! Packages of another architecture than the node's own: which architectures the package manager does not know yet.
//!
//! dpkg(1): `libc6:i386` can be installed once `dpkg --add-architecture i386` was run. Here is only read.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use definitions::{PackageChanges, foreign_architecture};

use super::package_manager::PackageManager;
use super::runner::ExclusiveRunner;

/// Finds the architectures that lists need and this node lacks; empty where the package manager has only one.
///
/// # Errors
/// When the package manager does not say which it has.
pub(super) fn missing(
    manager: &dyn PackageManager,
    runner: &ExclusiveRunner,
    transactions: &[PackageChanges],
) -> Result<Vec<String>> {
    let queries = manager.list_architectures();
    if !transactions
        .iter()
        .any(|list| needed(list, "").next().is_some())
    {
        return Ok(Vec::new());
    }
    let mut known = Vec::new();
    for query in queries {
        let output = runner.capture(&query, &[])?;
        ensure!(
            output.code == Some(0),
            "reading the architectures of this node: {query}: {}",
            output.text.trim()
        );
        known.extend(output.text.split_whitespace().map(str::to_owned));
    }
    let Some(native) = known.first() else {
        return Ok(Vec::new());
    };
    let needed = transactions.iter().flat_map(|list| needed(list, native));
    let missing: BTreeSet<_> = needed.filter(|arch| !known.contains(arch)).collect();
    Ok(missing.into_iter().collect())
}

/// The architectures, other than the node's own, of what a list installs.
pub(super) fn needed<'a>(
    list: &'a PackageChanges,
    native: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let names = list.install.iter().map(|package| package.name.as_str());
    names.filter_map(move |name| foreign_architecture(name, native).map(str::to_owned))
}
