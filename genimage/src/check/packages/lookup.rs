//! One name, looked up as the package manager of the release would take it.

use definitions::{Arch, glob};

use super::cache::RepoIndex;
use super::index::{Index, is_group};
use super::names::NameTable;
use crate::pkglist::VersionPin;
use crate::repository::Repository;

/// A repository with what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedRepository<'a> {
    pub(super) repository: &'a Repository,
    pub(super) repo_index: &'a RepoIndex,
    /// Whether packages of an architecture that the nodes do not have are looked up in it.
    pub(super) is_foreign: bool,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LookupResult<'a> {
    /// It can be had.
    Found,
    /// It is virtual: one of these provides it.
    Virtual(Vec<&'a str>),
    /// Only in these versions.
    OtherVersions(Vec<&'a str>),
    /// Only in these suites.
    OtherSuites(Vec<&'a str>),
    /// It is of a kind that no index read here tells.
    NotLookedUp(&'static str),
    /// Not in what was read.
    Missing,
}

/// Looks up a package for apt: `name`, `name:arch` in sources of that architecture, a virtual package that one package
/// provides.
pub(super) fn apt<'a>(
    name: &str,
    version: Option<&VersionPin>,
    debarch: &str,
    sources: &[IndexedRepository<'a>],
) -> LookupResult<'a> {
    let version = match version {
        Some(VersionPin::Suite(suite)) => {
            let of_suite = |source: &&IndexedRepository<'_>| {
                source.repo_index.suites.iter().any(|one| one == suite)
            };
            let of_suite: Vec<_> = sources.iter().filter(of_suite).copied().collect();
            if of_suite.is_empty() {
                let mut all: Vec<_> = sources
                    .iter()
                    .flat_map(|source| source.repo_index.suites.iter().map(String::as_str))
                    .collect();
                all.sort_unstable();
                all.dedup();
                return LookupResult::OtherSuites(all);
            }
            return apt(name, None, debarch, &of_suite);
        }
        Some(VersionPin::Exact(version)) => Some(version.as_str()),
        None => None,
    };
    let name = match name.split_once(':') {
        Some((name, arch)) if arch == debarch || matches!(arch, "all" | "any" | "native") => name,
        // sources of another architecture are asked for its packages alone
        _ => name,
    };
    let answer = by_name(name, version, is_deb_version, sources);
    if answer != LookupResult::Missing || version.is_some() {
        return answer;
    }
    let mut providers: Vec<_> = indices(sources)
        .flat_map(|index| index.provides.values(name))
        .collect();
    providers.sort_unstable();
    providers.dedup();
    match providers.len() {
        0 => LookupResult::Missing,
        1 => LookupResult::Found,
        _ => LookupResult::Virtual(providers),
    }
}

/// Looks up a package for dnf or zypper: `name`, `name.arch`, `name-version`, `name-version.arch`, what a package
/// provides. An architecture is the package's own: nothing but `noarch` is there for all of them.
pub(super) fn rpm<'a>(
    name: &str,
    version: Option<&str>,
    sources: &[IndexedRepository<'a>],
) -> LookupResult<'a> {
    if name.starts_with('/') {
        return LookupResult::NotLookedUp("files of packages");
    }
    let answer = by_name(name, version, is_rpm_version, sources);
    if answer != LookupResult::Missing || version.is_some() {
        return answer;
    }
    if indices(sources).any(|index| index.provides.contains(name)) {
        return LookupResult::Found;
    }
    if let Some((name, arch)) = name.rsplit_once('.')
        && is_rpm_arch(arch)
    {
        let of_arch = |wanted: &str, known: &str| of_arch(known) == wanted;
        let answer = by_name(name, Some(arch), of_arch, sources);
        if answer != LookupResult::Missing {
            return answer;
        }
    }
    // `bash-5.1.8-9.el9`: everything after a hyphen may be a version.
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let mut versioned = dashes.filter_map(|at| {
        let answer = by_name(&name[..at], Some(&name[at + 1..]), is_rpm_version, sources);
        (answer == LookupResult::Found).then_some(answer)
    });
    versioned.next_back().unwrap_or(LookupResult::Missing)
}

fn by_name<'a>(
    name: &str,
    version: Option<&str>,
    is_version: fn(&str, &str) -> bool,
    sources: &[IndexedRepository<'a>],
) -> LookupResult<'a> {
    if glob::is_pattern(name) {
        let any = indices(sources).any(|index| {
            index
                .packages
                .iter()
                .any(|known| glob::matches(name, known))
        });
        return if any {
            LookupResult::Found
        } else {
            LookupResult::Missing
        };
    }
    let mut others: Vec<&str> = Vec::new();
    for known in indices(sources).flat_map(|index| index.packages.values(name)) {
        if version.is_none_or(|version| is_version(version, known)) {
            return LookupResult::Found;
        }
        others.push(known);
    }
    others.sort_unstable();
    others.dedup();
    if others.is_empty() {
        LookupResult::Missing
    } else {
        LookupResult::OtherVersions(others)
    }
}

/// Whether apt takes a version for the wanted one: whole, or by wildcards.
fn is_deb_version(wanted: &str, known: &str) -> bool {
    glob::matches(wanted, known)
}

/// The architecture of a version as rpm's indices give it: `x86_64` of `5.2-1.el9.x86_64`.
fn of_arch(known: &str) -> &str {
    known.rsplit_once('.').map_or("", |(_, arch)| arch)
}

/// Whether rpm builds packages for a word: our own architectures, and those of 32 bits that rpm tells apart.
fn is_rpm_arch(word: &str) -> bool {
    matches!(word, "noarch" | "i386" | "i486" | "i586" | "i686") || word.parse::<Arch>().is_ok()
}

/// Whether dnf or zypper does: whole, or without its architecture, its epoch, its release or any of these.
fn is_rpm_version(wanted: &str, known: &str) -> bool {
    let (known, wanted) = match (known.rsplit_once('.'), wanted.rsplit_once('.')) {
        // a wanted architecture has to be this one
        (Some((known, arch)), Some((wanted, of))) if is_rpm_arch(of) => {
            if arch != of {
                return false;
            }
            (known, wanted)
        }
        (Some((known, _)), _) => (known, wanted),
        (None, _) => (known, wanted),
    };
    let without_epoch = known.split_once(':').map_or(known, |(_, rest)| rest);
    [known, without_epoch].into_iter().any(|known| {
        glob::matches(wanted, known)
            || known
                .rsplit_once('-')
                .is_some_and(|(version, _)| version == wanted)
    })
}

/// Looks up a group, or an environment when the name begins with `^`.
pub(super) fn group(name: &str, sources: &[IndexedRepository<'_>]) -> bool {
    let is = |wanted: &str, names: &NameTable| {
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
    sources: &[IndexedRepository<'a>],
) -> impl Iterator<Item = &'a str> {
    let all = move |index: &'a Index| {
        if environments {
            index.environments.pairs()
        } else {
            index.groups.pairs()
        }
    };
    indices(sources)
        .flat_map(all)
        .flat_map(|(id, name)| [id, name])
        .filter(|name| !name.is_empty())
}

/// What was read of each source.
pub(super) fn indices<'a>(sources: &[IndexedRepository<'a>]) -> impl Iterator<Item = &'a Index> {
    sources.iter().map(|source| &source.repo_index.index)
}
