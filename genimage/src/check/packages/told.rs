//! What the lookups found, in sentences.

use definitions::{RepositoryFormat, did_you_mean, nearest};

use super::lookup::{Answer, Source, apt, group, groups, indices, rpm};
use super::shelf::Shelf;
use crate::check::Findings;
use crate::pkglist::Item;
use crate::problem::Problem;
use crate::repository::Repository;

/// A name of a list, and where it is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) item: &'a Item,
    pub(super) sources: &'a [Source<'a>],
    pub(super) shelf: &'a Shelf,
}

impl<'a> Asked<'a> {
    /// Tells of a package that cannot be installed.
    pub(super) fn package(&self, debarch: &str, findings: &mut Findings) {
        let name = &self.item.name;
        match self.answer(debarch) {
            Answer::Found => {}
            Answer::NotLookedUp(kind) => findings.notes.push(self.not_looked_up(kind)),
            Answer::Missing => {
                let advice = "correct the name, or name its repository in otherpkgdir";
                self.doubtful(self.missing(advice), findings);
            }
            Answer::Virtual(providers) => {
                let some = some(&providers);
                let told = format!(
                    "'{name}' is a virtual package: name one that provides it, such as {some}"
                );
                self.doubtful(Some(self.problem(told)), findings);
            }
            Answer::OtherSuites(suites) => {
                let version = self.item.version.as_deref().unwrap_or_default();
                let told = format!(
                    "'{name}{version}' asks for a suite that none of its repositories is: there is {}",
                    some(&suites)
                );
                self.doubtful(Some(self.problem(told)), findings);
            }
            Answer::OtherVersions(versions) => {
                let (name, version) = self.version_asked();
                let (read, some) = (self.read(), some(&versions));
                let told = format!(
                    "there is no version '{version}' of '{name}' in {read}: there is {some}"
                );
                self.doubtful(Some(self.problem(told)), findings);
            }
        }
    }

    /// Tells of a package that is to be kept out and is not there anyway: at most a note.
    pub(super) fn excluded(&self, debarch: &str, findings: &mut Findings) {
        match self.answer(debarch) {
            Answer::Found
            | Answer::Virtual(_)
            | Answer::OtherVersions(_)
            | Answer::OtherSuites(_) => {}
            Answer::NotLookedUp(kind) => findings.notes.push(self.not_looked_up(kind)),
            Answer::Missing => {
                let advice = "what is to be kept out is not there anyway";
                findings.notes.extend(self.missing(advice));
            }
        }
    }

    /// Tells of a group, a pattern, an environment or a task that is not there.
    pub(super) fn group(&self, findings: &mut Findings) {
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
        let found = self.nowhere(kind, name, "correct the name", || {
            match !environment && group(&format!("^{name}"), self.sources) {
                true => Some(format!("write '@^{name}', which is an environment")),
                false => did_you_mean(&nearest(name, groups(environment, self.sources))),
            }
        });
        self.doubtful(found, findings);
    }

    fn answer(&self, debarch: &str) -> Answer<'a> {
        match self.is_apt() {
            true => apt(
                &self.item.name,
                self.item.version.as_deref(),
                debarch,
                self.sources,
            ),
            false => rpm(&self.item.name, self.version(), self.sources),
        }
    }

    fn is_apt(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.repository.suite.is_some())
    }

    fn version(&self) -> Option<&'a str> {
        self.item.version.as_deref()?.strip_prefix('=')
    }

    /// Parts what is asked for into the name and the version, or rpm's architecture, that is not there.
    fn version_asked(&self) -> (&'a str, &'a str) {
        let name = self.item.name.as_str();
        match self.version() {
            Some(version) => (name, version),
            None => name.rsplit_once('.').unwrap_or((name, "")),
        }
    }

    fn missing(&self, advice: &str) -> Option<Problem> {
        let names = || indices(self.sources).flat_map(|index| index.packages.iter());
        self.nowhere("package", &self.item.name, advice, || {
            did_you_mean(&nearest(&self.item.name, names()))
        })
    }

    /// Says that a name is nowhere, where it was not looked for, and what to do. Where nothing was read,
    /// that was said once, and no name is told.
    fn nowhere(
        &self,
        kind: &str,
        name: &str,
        advice: &str,
        near: impl FnOnce() -> Option<String>,
    ) -> Option<Problem> {
        let read = self.read();
        if read.is_empty() {
            return None;
        }
        let mut told = format!("there is no {kind} '{name}' in {read}");
        let unread = self.unread();
        if !unread.is_empty() {
            told = format!("{told}, and {unread} could not be asked");
        }
        let near = self.shelf.advice(&told, near);
        let advice = near.as_deref().unwrap_or(advice);
        Some(self.problem(format!("{told}: {advice}")))
    }

    /// A problem, unless a repository that was not read may settle it.
    fn doubtful(&self, found: Option<Problem>, findings: &mut Findings) {
        match self.sources.iter().any(Source::is_partial) {
            true => findings.notes.extend(found),
            false => findings.problems.extend(found),
        }
    }

    /// Names the sources of which something was read.
    fn read(&self) -> String {
        let names = self.sources.iter().filter(|source| source.is_read());
        let names: Vec<_> = names
            .map(|source| match source.is_partial() {
                true => format!("what was read of {}", told(source.repository)),
                false => told(source.repository),
            })
            .collect();
        names.join(", ")
    }

    /// Names the sources of which nothing could be read.
    fn unread(&self) -> String {
        let names = self.sources.iter();
        let names = names.filter(|source| !source.is_read() && source.is_partial());
        let names: Vec<_> = names.map(|source| told(source.repository)).collect();
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

impl Source<'_> {
    /// Says what could not be read of it.
    pub(super) fn tell(&self, findings: &mut Findings) {
        findings.problems.extend_from_slice(&self.stock.damaged);
        let name = told(self.repository);
        let notes = self
            .stock
            .unread
            .iter()
            .map(|why| Problem::new(format!("packages of {name} are not looked up: {why}")));
        findings.notes.extend(notes);
    }

    /// Whether it may hold more than was read.
    fn is_partial(&self) -> bool {
        !self.stock.unread.is_empty() || !self.stock.damaged.is_empty()
    }

    fn is_read(&self) -> bool {
        self.stock.read
    }
}

/// Names a repository so that a person finds it: `tree (/install/debian12.9.0/x86_64 bookworm main)`.
fn told(repository: &Repository) -> String {
    let mut told = format!(
        "{} ({}",
        repository.name,
        repository.directory.as_ref().unwrap_or(&repository.uri)
    );
    let suite = repository.suite.iter().filter(|suite| *suite != "./");
    for word in suite.chain(&repository.components) {
        told.push(' ');
        told.push_str(word);
    }
    told.push(')');
    told
}

/// Quotes the first few.
fn some(names: &[&str]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .take(5)
        .map(|name| format!("'{name}'"))
        .collect();
    quoted.join(", ")
}
