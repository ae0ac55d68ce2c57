//! What `otherpkgs` needs of a package manager: command lines to run, and the meaning of what they print.
//!
//! Pure: an implementation returns commands and parses output; [`super::installation`] runs them.

use std::path::Path;

use definitions::{PackageChanges, RepositoryFormat};

use super::command::{CommandOutput, PackageCommand};
use super::inventory::Inventory;
use super::locks::Locks;
use super::sources::PackageSource;

/// The first line of files that are written here.
pub(super) const WRITTEN_BY: &str =
    "# Written by otherpkgs from the osimage's otherpkgdir; changes are lost.\n";

/// What a package manager says of a transaction that it only simulated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Simulation {
    Nothing,
    Changes,
    /// It cannot be done, and why.
    Problem(String),
}

/// The repositories that a package manager reads instead of the node's present ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RepoView<'a> {
    /// The directory that takes the place of the node's own; `None`: the node's own.
    pub(super) directory: Option<&'a Path>,
    /// The file of ours among them, if there is one.
    pub(super) ours: Option<&'a Path>,
    /// Architectures that the node does not have yet, which are read as if it had them.
    pub(super) architectures: &'a [String],
}

/// Where a package manager keeps its repositories and their keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepoLayout {
    /// The directory of the files that name repositories.
    pub(super) directory: &'static str,
    /// The extension of the file that is written there.
    pub(super) extension: &'static str,
    /// The directory of the keys.
    pub(super) keys: &'static str,
    /// Another extension of files that it reads in `directory`.
    pub(super) other_extension: Option<&'static str>,
    /// A file elsewhere that names repositories too.
    pub(super) other_file: Option<&'static str>,
}

/// What reads the indices of repositories.
#[derive(Debug, Default)]
pub(super) struct RefreshCommands {
    /// Those of our repositories, all of which must be readable.
    pub(super) ours: Option<PackageCommand>,
    /// Those of the node's other ones.
    pub(super) others: Option<PackageCommand>,
}

/// A package manager. Yum is dnf's ancestor, on EL 7.
pub(super) trait PackageManager {
    /// Returns the name of its program.
    fn program(&self) -> &'static str;

    /// Returns the format of its repositories.
    fn format(&self) -> RepositoryFormat;

    /// Returns where it keeps its repositories.
    fn layout(&self) -> RepoLayout;

    /// Returns what it and others of its family lock.
    fn locks(&self) -> &'static Locks;

    /// Returns the text of the file that names repositories.
    fn render(&self, sources: &[PackageSource]) -> String;

    /// Says whether the text of a repository file names a repository.
    fn names_source(&self, text: &str, source: &PackageSource) -> bool;

    /// Says whether two files may name one repository.
    fn allows_duplicate_sources(&self) -> bool {
        true
    }

    /// Says whether new keys are imported first and the indices read again: a simulation used a cache of its own, without
    /// looking at signatures.
    fn imports_keys(&self) -> bool {
        false
    }

    /// Returns files of which a repository with this suite has at least one.
    fn index_files(&self, suite: Option<&str>) -> Vec<String>;

    /// Returns what lists the packages for [`Inventory::parse`].
    fn list(&self) -> PackageCommand;

    /// Returns what lists the capabilities of an installed package; `None` where no package is installed in two versions.
    fn list_capabilities(&self, _name: &str) -> Option<PackageCommand> {
        None
    }

    /// Returns what prints the node's own architecture, and what prints the others that it takes packages of; nothing where
    /// names have no architecture to add.
    fn list_architectures(&self) -> Vec<PackageCommand> {
        Vec::new()
    }

    /// Returns what adds an architecture of [`Self::list_architectures`].
    fn add_architecture(&self, _arch: &str) -> Option<PackageCommand> {
        None
    }

    /// Says what an interrupted run left unfinished; `list_directory` lists a directory.
    fn unfinished_run(
        &self,
        _packages: &Inventory,
        _list_directory: &dyn Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        None
    }

    /// Returns what completes an interrupted run, where it can leave one.
    fn recover(&self) -> Option<PackageCommand> {
        None
    }

    /// Returns what completes packages that are still unfinished after [`Self::recover`].
    fn repair(
        &self,
        _view: RepoView<'_>,
        _now: &Inventory,
        _simulated: bool,
    ) -> Option<PackageCommand> {
        None
    }

    /// Returns what reads the indices.
    fn refresh(&self, view: RepoView<'_>, sources: &[PackageSource]) -> RefreshCommands;

    /// Says what could not be read of our repositories, from what [`Self::refresh`] printed.
    fn refresh_problem(
        &self,
        output: &CommandOutput,
        _sources: &[PackageSource],
    ) -> Option<String> {
        (output.code != Some(0)).then(|| self.errors(output))
    }

    /// Returns what prints `Package: NAME` of those names that are packages, of the ones that it would take for something
    /// else where they are none; `None` where there is no such name.
    fn look_up(&self, _view: RepoView<'_>, _names: &[&str]) -> Option<PackageCommand> {
        None
    }

    /// Returns what simulates a transaction; `gone` names the packages that it removes first.
    fn simulate(
        &self,
        view: RepoView<'_>,
        transaction: &PackageChanges,
        gone: &[String],
    ) -> PackageCommand;

    /// Parses what [`Self::simulate`] printed.
    fn parse_simulation(&self, output: &CommandOutput, gone: &[String]) -> Simulation;

    /// Returns what installs a transaction's packages.
    fn install(&self, transaction: &PackageChanges) -> PackageCommand;

    /// Returns what removes packages.
    fn remove(&self, names: &[String]) -> PackageCommand;

    /// Returns what simulates a removal.
    fn simulate_removal(&self, names: &[String]) -> PackageCommand;

    /// Says why packages should not be removed, if others would be removed with them: from what
    /// [`Self::simulate_removal`] printed.
    fn would_remove(&self, output: &CommandOutput, names: &[String]) -> Option<String>;

    /// Returns the errors that it printed, in one line.
    fn errors(&self, output: &CommandOutput) -> String;

    /// Says whether an exit code of an installation or a removal is a success.
    fn succeeded(&self, code: Option<i32>) -> bool {
        code == Some(0)
    }
}

/// Says of an interrupted run that a directory has files of it.
pub(super) fn interrupted_run(directory: &str) -> String {
    format!("an interrupted run, which left files in {directory}")
}

/// Returns the last line of what a program printed, for want of a better reason.
pub(super) fn last_line(text: &str) -> String {
    text.trim()
        .lines()
        .last()
        .unwrap_or("it gave no reason")
        .to_owned()
}

/// Returns the name of `name=version` and `name/release`.
pub(super) fn bare(name: &str) -> &str {
    name.split(['=', '/']).next().unwrap_or(name)
}
