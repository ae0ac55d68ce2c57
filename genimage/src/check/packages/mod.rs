//! Whether every package, group and pattern of a list is in the repositories that it comes from.
//!
//! A list and its repositories come in; what is missing goes out, with the nearest names. Only what lies
//! on disk is read: a repository that does not makes a note, and so does a package that only such a one
//! can have. Nothing is resolved: that packages go together is apt's or dnf's to say.

mod cache;
mod index;
mod index_file;
mod lookup;
mod messages;
mod names;
mod read;
mod suite;
#[cfg(test)]
mod tests;

use definitions::{Arch, Distro};

pub use self::cache::IndexCache;
use self::lookup::IndexedRepository;
use self::messages::PackageQuery;
use super::Findings;
use crate::pkglist::{ListItem, PkgList};
use crate::repository::Repository;

/// The nodes that install: their release, whose package manager reads the indices, and their architecture.
#[derive(Debug, Clone, Copy)]
pub struct TargetPlatform<'a> {
    /// The release.
    pub distro: &'a Distro,
    /// The architecture.
    pub arch: Arch,
}

/// What is to be done with a name of a list.
#[derive(Debug, Clone, Copy)]
enum ItemUse {
    Install,
    Group,
    Exclude,
}

/// Looks up everything that a list names. The shelf keeps what was read for the next list.
pub fn packages(
    list: &PkgList,
    repositories: &[Repository],
    platform: TargetPlatform<'_>,
    cache: &IndexCache,
) -> Findings {
    let mut findings = Findings::default();
    let queries: Vec<_> = queries(list).collect();
    if queries.is_empty() {
        return findings;
    }
    let debarch = debian_name(platform.arch);
    let slots: Vec<_> = repositories
        .iter()
        .filter(|repository| is_used(repository, debarch))
        .map(|repository| {
            (
                repository,
                cache.index_of(repository, debarch, platform.distro),
            )
        })
        .collect();
    let sources: Vec<_> = slots
        .iter()
        .filter_map(|(repository, slot)| {
            let repo_index = slot.get()?;
            Some(IndexedRepository {
                repository,
                repo_index,
            })
        })
        .collect();
    for source in &sources {
        source.add_read_errors(&mut findings);
    }
    for (what, item) in queries {
        let query = PackageQuery {
            item,
            sources: &sources_for(item, &sources),
            cache,
        };
        match what {
            ItemUse::Install => query.package(debarch, &mut findings),
            ItemUse::Group => query.group(&mut findings),
            ItemUse::Exclude => query.excluded(debarch, &mut findings),
        }
    }
    findings
}

fn queries(list: &PkgList) -> impl Iterator<Item = (ItemUse, &ListItem)> {
    list.transactions.iter().flat_map(|transaction| {
        let groups = transaction.groups.iter().map(|item| (ItemUse::Group, item));
        let install = transaction
            .install
            .iter()
            .map(|item| (ItemUse::Install, item));
        let exclude = transaction.exclude.iter().chain(&transaction.remove_after);
        groups
            .chain(install)
            .chain(exclude.map(|item| (ItemUse::Exclude, item)))
    })
}

/// Debian's name of an architecture: the last of Debian's that differ, the kernel's own otherwise.
fn debian_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86 => "i386",
        Arch::Armv7l => "armhf",
        other => other.names().last().copied().unwrap_or("all"),
    }
}

/// Whether a node of that architecture takes packages from it.
fn is_used(repository: &Repository, debarch: &str) -> bool {
    let limits = &repository.architectures;
    limits.is_empty() || limits.iter().any(|limit| limit == debarch)
}

/// The sources that an item can come from: `directory/name` names one of several.
fn sources_for<'a>(
    item: &ListItem,
    sources: &[IndexedRepository<'a>],
) -> Vec<IndexedRepository<'a>> {
    let named: Vec<_> = sources
        .iter()
        .copied()
        .filter(|source| {
            let directory = source.repository.directory.as_deref();
            directory
                .zip(item.directory.as_deref())
                .is_some_and(|(directory, wanted)| {
                    std::path::Path::new(directory).ends_with(wanted)
                })
        })
        .collect();
    if named.is_empty() {
        sources.to_vec()
    } else {
        named
    }
}
