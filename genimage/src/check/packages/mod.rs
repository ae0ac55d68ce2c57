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
mod parsed;
mod read;
mod store;
mod suite;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use definitions::{Arch, Distro, foreign_architecture};

pub use self::cache::IndexCache;
use self::cache::RepoIndex;
use self::lookup::IndexedRepository;
use self::messages::PackageQuery;
use super::Findings;
use crate::pkglist::{ListItem, PkgList};
use crate::problem::Problem;
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
    let debarch = platform.arch.debian_name();
    let slots = index_slots(repositories, debarch, platform, cache);
    let sources = indexed(&slots, false);
    for source in &sources {
        source.add_read_errors(&mut findings);
    }
    let is_apt = repositories.iter().any(|one| one.suite.is_some());
    for (what, item) in queries {
        match foreign_architecture(&item.name, debarch).filter(|_| is_apt) {
            Some(arch) => {
                let slots = index_slots(repositories, arch, platform, cache);
                match &*indexed(&slots, true) {
                    [] => no_repository(what, item, arch, &mut findings),
                    sources => PackageQuery {
                        item,
                        sources: &sources_for(item, sources),
                        cache,
                    }
                    .look_up(what, arch, &mut findings),
                }
            }
            None => PackageQuery {
                item,
                sources: &sources_for(item, &sources),
                cache,
            }
            .look_up(what, debarch, &mut findings),
        }
    }
    findings
}

/// A repository, and where its index is once it was read.
type IndexSlot<'a> = (&'a Repository, Arc<OnceLock<RepoIndex>>);

/// Reads the indices of an architecture, each one once a run.
fn index_slots<'a>(
    repositories: &'a [Repository],
    arch: &str,
    platform: TargetPlatform<'_>,
    cache: &IndexCache,
) -> Vec<IndexSlot<'a>> {
    let used = repositories
        .iter()
        .filter(|repository| is_used(repository, arch));
    used.map(|repository| {
        (
            repository,
            cache.index_of(repository, arch, platform.distro),
        )
    })
    .collect()
}

fn indexed<'a>(slots: &'a [IndexSlot<'a>], is_foreign: bool) -> Vec<IndexedRepository<'a>> {
    let read = slots
        .iter()
        .filter_map(|(repository, slot)| Some((repository, slot.get()?)));
    read.map(|(repository, repo_index)| IndexedRepository {
        repository,
        repo_index,
        is_foreign,
    })
    .collect()
}

/// Tells of a package of an architecture that no repository is for: `arch=` limits all of them to others.
fn no_repository(what: ItemUse, item: &ListItem, arch: &str, findings: &mut Findings) {
    let message = format!(
        "there is no package '{}': no repository is for {arch}: correct the name, or name its repository in otherpkgdir",
        item.name
    );
    let found = match what {
        ItemUse::Install => &mut findings.problems,
        ItemUse::Group | ItemUse::Exclude => &mut findings.notes,
    };
    found.push(Problem::at(item.place.clone(), message));
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
