//! What the lookups found, in sentences.

use definitions::{RepositoryFormat, did_you_mean, nearest};

use super::ItemUse;
use super::cache::{IndexCache, RepoIndex};
use super::lookup::{IndexedRepository, LookupResult, apt, group, groups, indices, rpm};
use crate::check::Findings;
use crate::pkglist::{ListItem, VersionPin};
use crate::problem::Problem;
use crate::repository::Repository;

/// A name of a list, and where it is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackageQuery<'a> {
    pub(super) item: &'a ListItem,
    pub(super) sources: &'a [IndexedRepository<'a>],
    pub(super) cache: &'a IndexCache,
}

impl<'a> PackageQuery<'a> {
    /// Tells of an item that cannot be used as its list says.
    pub(super) fn look_up(&self, what: ItemUse, debarch: &str, findings: &mut Findings) {
        match what {
            ItemUse::Install => self.package(debarch, findings),
            ItemUse::Group => self.group(findings),
            ItemUse::Exclude => self.excluded(debarch, findings),
        }
    }

    /// Tells of a package that cannot be installed.
    fn package(&self, debarch: &str, findings: &mut Findings) {
        let name = &self.item.name;
        match self.answer(debarch) {
            LookupResult::Found => {}
            LookupResult::NotLookedUp(kind) => findings.notes.push(self.not_looked_up(kind)),
            LookupResult::Missing => {
                let advice = "correct the name, or name its repository in otherpkgdir";
                self.add_unless_partial(self.missing(advice), findings);
            }
            LookupResult::Virtual(providers) => {
                let quote_first = quote_first(&providers);
                let message = format!(
                    "'{name}' is a virtual package: name one that provides it, such as {quote_first}"
                );
                self.add_unless_partial(Some(self.problem(message)), findings);
            }
            LookupResult::OtherSuites(suites) => {
                let wanted = self.item.wanted();
                let message = format!(
                    "'{wanted}' asks for a suite that none of its repositories has: there is {}",
                    quote_first(&suites)
                );
                self.add_unless_partial(Some(self.problem(message)), findings);
            }
            LookupResult::OtherVersions(versions) => {
                let (name, version) = self.wanted_version();
                let (read, quote_first) = (self.read(), quote_first(&versions));
                let message = format!(
                    "there is no version '{version}' of '{name}' in {read}: there is {quote_first}"
                );
                self.add_unless_partial(Some(self.problem(message)), findings);
            }
        }
    }

    /// Tells of a package that is to be kept out and is not there anyway: at most a note.
    fn excluded(&self, debarch: &str, findings: &mut Findings) {
        match self.answer(debarch) {
            LookupResult::Found
            | LookupResult::Virtual(_)
            | LookupResult::OtherVersions(_)
            | LookupResult::OtherSuites(_) => {}
            LookupResult::NotLookedUp(kind) => findings.notes.push(self.not_looked_up(kind)),
            LookupResult::Missing => {
                let advice = "the package to keep out does not exist anyway";
                findings.notes.extend(self.missing(advice));
            }
        }
    }

    /// Tells of a group, a pattern, an environment or a task that is not there.
    fn group(&self, findings: &mut Findings) {
        let name = self.item.name.trim_start_matches('^');
        if group(&self.item.name, self.sources) || self.is_apt() && name == "standard" {
            return;
        }
        if name.contains(':') && !self.is_apt() {
            findings.notes.push(self.not_looked_up("modules"));
            return;
        }
        let environment = self.item.name.starts_with('^');
        let form = self.sources.first().map(|source| source.repository.form);
        let kind = match (form, environment) {
            (Some(RepositoryFormat::Apt), _) => "task",
            (_, true) => "environment",
            (Some(RepositoryFormat::Zypper), _) => "pattern",
            (_, false) => "group",
        };
        let found = self.not_found(kind, name, "correct the name", || {
            if !environment && group(&format!("^{name}"), self.sources) {
                Some(format!("write '@^{name}', which is an environment"))
            } else {
                did_you_mean(&nearest(name, groups(environment, self.sources)))
            }
        });
        self.add_unless_partial(found, findings);
    }

    fn answer(&self, debarch: &str) -> LookupResult<'a> {
        if self.is_apt() {
            apt(
                &self.item.name,
                self.item.version.as_ref(),
                debarch,
                self.sources,
            )
        } else {
            rpm(&self.item.name, self.version(), self.sources)
        }
    }

    fn is_apt(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.repository.suite.is_some())
    }

    fn version(&self) -> Option<&'a str> {
        match self.item.version.as_ref()? {
            VersionPin::Exact(version) => Some(version),
            VersionPin::Suite(_) => None,
        }
    }

    /// Splits what is wanted into the name and the version, or rpm's architecture, that is not there.
    fn wanted_version(&self) -> (&'a str, &'a str) {
        let name = self.item.name.as_str();
        match self.version() {
            Some(version) => (name, version),
            None => name.rsplit_once('.').unwrap_or((name, "")),
        }
    }

    fn missing(&self, advice: &str) -> Option<Problem> {
        let names = || indices(self.sources).flat_map(|index| index.packages.iter());
        self.not_found("package", &self.item.name, advice, || {
            // the architecture is not a part of the names
            let (name, arch) = match self.item.name.split_once(':') {
                Some((name, arch)) if self.is_apt() => (name, format!(":{arch}")),
                _ => (&*self.item.name, String::new()),
            };
            let near = nearest(name, names()).into_iter();
            let near: Vec<String> = near.map(|near| format!("{near}{arch}")).collect();
            did_you_mean(&near.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Says that a name is nowhere, where it was not looked for, and what to do. Where nothing was read,
    /// that was reported once, and names are not.
    fn not_found(
        &self,
        kind: &str,
        name: &str,
        advice: &str,
        near: impl FnOnce() -> Option<String>,
    ) -> Option<Problem> {
        let read = self.read();
        let mut message = if read.is_empty() {
            // a repository without an index of another architecture has no packages of it
            let names = self
                .sources
                .iter()
                .filter(|source| source.is_foreign && !source.is_partial());
            let names: Vec<_> = names.map(|source| label(source.repository)).collect();
            let (_, arch) = name.rsplit_once(':')?;
            if names.is_empty() {
                return None;
            }
            let names = names.join(", ");
            format!("'{name}' is not looked up: there is no index of {arch} in {names}")
        } else {
            format!("there is no {kind} '{name}' in {read}")
        };
        let unread = self.unread();
        if !unread.is_empty() {
            message = format!("{message}, and {unread} could not be read");
        }
        let near = self.cache.advice(&message, near);
        let advice = near.as_deref().unwrap_or(advice);
        Some(self.problem(format!("{message}: {advice}")))
    }

    /// A problem, unless a repository that was not read may settle it.
    fn add_unless_partial(&self, found: Option<Problem>, findings: &mut Findings) {
        if self.sources.iter().any(IndexedRepository::is_partial) {
            findings.notes.extend(found)
        } else {
            findings.problems.extend(found)
        }
    }

    /// Names the sources of which something was read.
    fn read(&self) -> String {
        let names = self.sources.iter().filter(|source| source.is_read());
        let names: Vec<_> = names
            .map(|source| {
                if source.is_partial() {
                    format!("what was read of {}", label(source.repository))
                } else {
                    label(source.repository)
                }
            })
            .collect();
        names.join(", ")
    }

    /// Names the sources of which nothing could be read.
    fn unread(&self) -> String {
        let names = self.sources.iter();
        let names = names.filter(|source| !source.is_read() && source.is_partial());
        let names: Vec<_> = names.map(|source| label(source.repository)).collect();
        names.join(", ")
    }

    fn not_looked_up(&self, kind: &str) -> Problem {
        self.problem(format!(
            "'{}' is not looked up: {kind} are not",
            self.item.name
        ))
    }

    fn problem(&self, message: String) -> Problem {
        Problem::at(self.item.place.clone(), message)
    }
}

impl IndexedRepository<'_> {
    /// Says what could not be read of it.
    pub(super) fn add_read_errors(&self, findings: &mut Findings) {
        findings
            .problems
            .extend_from_slice(&self.repo_index.damaged);
        let name = label(self.repository);
        let notes = self
            .repo_index
            .unread
            .iter()
            .chain(&self.repo_index.absent)
            .map(|why| Problem::new(format!("packages of {name} are not looked up: {why}")));
        findings.notes.extend(notes);
    }

    /// Whether it may hold more than was read.
    fn is_partial(&self) -> bool {
        let RepoIndex {
            absent,
            unread,
            damaged,
            ..
        } = self.repo_index;
        !unread.is_empty() || !damaged.is_empty() || !self.is_foreign && !absent.is_empty()
    }

    fn is_read(&self) -> bool {
        self.repo_index.read
    }
}

/// Names a repository so that a person finds it: `tree (/install/debian12.9.0/x86_64 bookworm main)`.
fn label(repository: &Repository) -> String {
    let mut label = format!(
        "{} ({}",
        repository.name,
        repository.directory.as_ref().unwrap_or(&repository.uri)
    );
    let suite = repository.suite.iter().filter(|suite| *suite != "./");
    for word in suite.chain(&repository.components) {
        label.push(' ');
        label.push_str(word);
    }
    label.push(')');
    label
}

/// Quotes the first few.
fn quote_first(names: &[&str]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .take(5)
        .map(|name| format!("'{name}'"))
        .collect();
    quoted.join(", ")
}
