//! One name, looked up as the package manager of the release would take it.

use definitions::Arch;

use super::glob;
use super::index::{Index, is_group};
use super::names::Names;
use super::shelf::Stock;
use crate::repository::Repository;

/// A repository with what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) repository: &'a Repository,
    pub(super) stock: &'a Stock,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// It can be had.
    Found,
    /// apt must be told which of these.
    Virtual(Vec<&'a str>),
    /// Only in these versions.
    OtherVersions(Vec<&'a str>),
    /// It is of a kind that no index read here tells.
    NotLookedUp(&'static str),
    /// Not in what was read.
    Missing,
}

/// Looks up a package for apt: `name`, `name:arch`, a virtual package that one package provides.
pub(super) fn apt<'a>(
    name: &str,
    version: Option<&str>,
    debarch: &str,
    sources: &[Source<'a>],
) -> Answer<'a> {
    let name = match name.split_once(':') {
        Some((name, arch)) if arch == debarch || matches!(arch, "all" | "any" | "native") => name,
        Some(_) => return Answer::NotLookedUp("packages of another architecture"),
        None => name,
    };
    let answer = by_name(name, version, is_deb_version, sources);
    if answer != Answer::Missing || version.is_some() {
        return answer;
    }
    let mut providers: Vec<_> = indices(sources)
        .flat_map(|index| index.provides.values(name))
        .collect();
    providers.sort_unstable();
    providers.dedup();
    match providers.len() {
        0 => Answer::Missing,
        1 => Answer::Found,
        _ => Answer::Virtual(providers),
    }
}

/// Looks up a package for dnf or zypper: `name`, `name.arch`, `name-version`, what a package provides.
pub(super) fn rpm<'a>(name: &str, version: Option<&str>, sources: &[Source<'a>]) -> Answer<'a> {
    if name.starts_with('/') {
        return Answer::NotLookedUp("files of packages");
    }
    let answer = by_name(name, version, is_rpm_version, sources);
    if answer != Answer::Missing || version.is_some() {
        return answer;
    }
    if indices(sources).any(|index| index.provides.contains(name)) {
        return Answer::Found;
    }
    if let Some((name, arch)) = name.rsplit_once('.')
        && (arch == "noarch" || arch.parse::<Arch>().is_ok())
    {
        return rpm(name, None, sources);
    }
    // `bash-5.1.8-9.el9`: whatever stands behind a hyphen may be a version.
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let mut versioned = dashes.filter_map(|at| {
        let answer = by_name(&name[..at], Some(&name[at + 1..]), is_rpm_version, sources);
        (answer == Answer::Found).then_some(answer)
    });
    versioned.next_back().unwrap_or(Answer::Missing)
}

fn by_name<'a>(
    name: &str,
    version: Option<&str>,
    is_version: fn(&str, &str) -> bool,
    sources: &[Source<'a>],
) -> Answer<'a> {
    if glob::is_pattern(name) {
        let any = indices(sources).any(|index| {
            index
                .packages
                .iter()
                .any(|known| glob::matches(name, known))
        });
        return if any { Answer::Found } else { Answer::Missing };
    }
    let mut others: Vec<&str> = Vec::new();
    for known in indices(sources).flat_map(|index| index.packages.values(name)) {
        if version.is_none_or(|version| is_version(version, known)) {
            return Answer::Found;
        }
        others.push(known);
    }
    others.sort_unstable();
    others.dedup();
    match others.is_empty() {
        true => Answer::Missing,
        false => Answer::OtherVersions(others),
    }
}

/// Whether apt takes a version for the wanted one: whole, or by wildcards.
fn is_deb_version(wanted: &str, known: &str) -> bool {
    glob::matches(wanted, known)
}

/// Whether dnf or zypper does: whole, or without its epoch, its release or both.
fn is_rpm_version(wanted: &str, known: &str) -> bool {
    let without_epoch = known.split_once(':').map_or(known, |(_, rest)| rest);
    [known, without_epoch].into_iter().any(|known| {
        glob::matches(wanted, known)
            || known
                .rsplit_once('-')
                .is_some_and(|(version, _)| version == wanted)
    })
}

/// Looks up a group, or an environment when the name begins with `^`.
pub(super) fn group(name: &str, sources: &[Source<'_>]) -> bool {
    let is = |wanted: &str, names: &Names| {
        let mut groups = names.pairs();
        groups.any(|(id, name)| is_group(wanted, id, name))
    };
    match name.strip_prefix('^') {
        Some(name) => indices(sources).any(|index| is(name, &index.environments)),
        None => indices(sources).any(|index| is(name, &index.groups)),
    }
}

/// Every group, or every environment, under both of its names.
pub(super) fn groups<'a>(
    environments: bool,
    sources: &[Source<'a>],
) -> impl Iterator<Item = &'a str> {
    let all = move |index: &'a Index| match environments {
        true => index.environments.pairs(),
        false => index.groups.pairs(),
    };
    indices(sources)
        .flat_map(all)
        .flat_map(|(id, name)| [id, name])
        .filter(|name| !name.is_empty())
}

/// What was read of each source.
pub(super) fn indices<'a>(sources: &[Source<'a>]) -> impl Iterator<Item = &'a Index> {
    sources.iter().map(|source| &source.stock.index)
}
