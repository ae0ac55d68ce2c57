//! The installation: indices read, names resolved, repositories written, packages installed and removed.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use definitions::{PackageChanges, RequestedPackage};
use tempfile::TempDir;

use super::architectures;
use super::cli::Args;
use super::command::PackageCommand;
use super::failure::{FailureKind, RetryLater};
use super::inventory::Inventory;
use super::package_manager::{PackageManager, RefreshCommands, RepoView, Simulation, bare};
use super::repo_files::RepoFiles;
use super::report::Report;
use super::request::Request;
use super::runner::ExclusiveRunner;
use super::sources::PackageSource;

/// What has to be done on this node.
pub(super) struct Installation<'a> {
    pub(super) manager: &'a dyn PackageManager,
    pub(super) runner: &'a ExclusiveRunner,
    pub(super) request: &'a Request,
    pub(super) sources: &'a [PackageSource],
    pub(super) files: &'a RepoFiles,
    /// The packages at the beginning.
    pub(super) before: Inventory,
    /// The packages once what an interrupted run left was completed.
    pub(super) now: Inventory,
}

impl<'a> Installation<'a> {
    /// Does it.
    ///
    /// # Errors
    /// When a name cannot be resolved, and then nothing was changed; or when a transaction fails.
    pub(super) fn run(mut self, args: &Args, report: &mut Report) -> Result<()> {
        let files = self.files;
        let due = files.due()?;
        let preview = if due.is_empty() {
            None
        } else {
            Some(files.preview(self.manager)?)
        };
        let directory = preview.as_ref().map(TempDir::path);
        let repositories = match directory {
            Some(directory) => files.preview_path(directory, &files.repositories),
            None => files.repositories.clone(),
        };
        let architectures = if args.repoonly {
            Vec::new()
        } else {
            architectures::missing(self.manager, self.runner, &self.request.transactions)?
        };
        let view = RepoView {
            directory,
            ours: files.has_repositories().then_some(&*repositories),
            architectures: &architectures,
        };
        let transactions = self.check(view, !due.is_empty(), args, report)?;
        for (path, text) in &due {
            let verb = if text.is_some() { "write" } else { "remove" };
            report.step(format!("{verb} {}", path.display()));
            report.files.push(path.display().to_string());
        }
        let added = self.additions(&architectures, &transactions);
        for (_, command) in &added {
            report.step(command.to_string());
        }
        if args.dry_run {
            for transaction in transactions {
                self.describe(transaction, report);
            }
            return Ok(());
        }
        if !due.is_empty() {
            self.write_repositories(report)?;
            report.changed = true;
        }
        for (arch, command) in added {
            self.run_checked(command, &PackageChanges::default())
                .with_context(|| format!("adding the architecture {arch}"))?;
            report.changed = true;
        }
        let mut was = self.now.clone();
        for transaction in transactions {
            self.describe(transaction, report);
            self.apply(transaction)?;
            let is = inventory(self.manager, self.runner)?;
            self.check_done(transaction, &was, &is)?;
            was = is;
        }
        self.finish(args, report)
    }

    /// Returns what adds the architectures of what is going to be installed.
    fn additions<'m>(
        &self,
        missing: &'m [String],
        transactions: &[&PackageChanges],
    ) -> Vec<(&'m str, PackageCommand)> {
        let needed = |arch: &&String| {
            let mut lists = transactions.iter();
            lists.any(|list| architectures::needed(list, "").any(|one| one == **arch))
        };
        let due = missing.iter().filter(needed);
        let command =
            |arch: &'m String| Some((arch.as_str(), self.manager.add_architecture(arch)?));
        due.filter_map(command).collect()
    }

    /// Reads the indices, completes what is unfinished and resolves every name, where there is anything to do; returns
    /// the transactions that would change something.
    fn check(
        &mut self,
        view: RepoView<'_>,
        writes_files: bool,
        args: &Args,
        report: &mut Report,
    ) -> Result<Vec<&'a PackageChanges>> {
        let transactions: &[PackageChanges] = if args.repoonly {
            &[]
        } else {
            &self.request.transactions
        };
        let repairs = !args.repoonly && !self.now.unfinished.is_empty();
        if transactions.is_empty() && !writes_files && !repairs {
            return Ok(Vec::new());
        }
        self.refresh(view, report)?;
        if repairs {
            self.repair(view, args, report)?;
        }
        self.resolve(view, transactions)
    }

    /// Compares the packages with those at the beginning; fails when something is unfinished in the end.
    fn finish(&self, args: &Args, report: &mut Report) -> Result<()> {
        let after = inventory(self.manager, self.runner)?;
        report.compare(&self.before.installed, &after.installed);
        report.changed |= !(report.installed.is_empty()
            && report.upgraded.is_empty()
            && report.removed.is_empty());
        match self.manager.unfinished_run(&after, &list_directory) {
            Some(left) if !args.repoonly => bail!(
                "still unfinished: {left}: fix what the messages above name, then run this again"
            ),
            _ => Ok(()),
        }
    }

    /// Fails when a transaction is still due: package managers have options by which they succeed and install nothing
    /// (apt.conf(5), `APT::Get::Download-Only`; dnf.conf(5), `tsflags=test`). They are asked where a name is not that of an
    /// installed package, for it may be what another provides, and where nothing changed.
    fn check_done(
        &self,
        transaction: &PackageChanges,
        was: &Inventory,
        after: &Inventory,
    ) -> Result<()> {
        let names = transaction
            .install
            .iter()
            .map(|package| bare(&package.name));
        let is_asked =
            was.installed == after.installed || names.clone().any(|name| !after.has(name));
        let goes_again = |name| {
            transaction
                .remove_after
                .iter()
                .any(|gone| bare(gone) == name)
        };
        let is_empty = transaction.install.is_empty() && transaction.groups.is_empty();
        let is_asked = is_asked && !is_empty && !names.clone().any(goes_again);
        let removed = [&transaction.remove_before, &transaction.remove_after];
        let mut removed = removed.into_iter().flatten().map(|name| bare(name));
        let is_left = |gone| after.has(gone) && !names.clone().any(|name| name == gone);
        let is_due = removed.any(is_left)
            || is_asked && {
                let line = self.manager.simulate(RepoView::default(), transaction, &[]);
                let output = self.runner.capture(&line, &transaction.environment)?;
                self.manager.parse_simulation(&output, &[]) != Simulation::Nothing
            };
        if is_due {
            bail!(
                "{} ended without an error, and not everything was done: does its configuration say to download, to test \
                 or to simulate only?",
                self.manager.program()
            );
        }
        Ok(())
    }

    /// Completes what is still unfinished, before anything else: a package manager simulates nothing until then.
    /// A package that cannot be configured now is no reason to stop; it is one to fail in the end.
    fn repair(&mut self, view: RepoView<'_>, args: &Args, report: &mut Report) -> Result<()> {
        let command = |simulated| self.manager.repair(view, &self.now, simulated);
        let Some((simulation, repair)) = command(true).zip(command(false)) else {
            return Ok(());
        };
        let output = self.runner.capture(&simulation, &[])?;
        match self.manager.parse_simulation(&output, &self.now.removing) {
            Simulation::Nothing => return Ok(()),
            Simulation::Problem(why) => {
                let unfinished = self.now.half_done().unwrap_or_default();
                bail!("nothing was changed: {unfinished} cannot be completed: {why}")
            }
            Simulation::Changes => {}
        }
        let names: Vec<_> = self.now.unfinished.keys().map(String::as_str).collect();
        report.step(format!("complete {}", names.join(", ")));
        if !args.dry_run {
            self.runner.run(&repair, &[])?;
            self.now = inventory(self.manager, self.runner)?;
        }
        Ok(())
    }

    /// Reads the indices: all of ours must be readable, the node's own as far as possible.
    fn refresh(&self, view: RepoView<'_>, report: &mut Report) -> Result<()> {
        let RefreshCommands { ours, others } = self.manager.refresh(view, self.sources);
        if let Some(command) = ours {
            let output = self.runner.capture(&command, &[])?;
            if let Some(problem) = self.manager.refresh_problem(&output, self.sources) {
                return Err(self.refresh_error(&problem));
            }
        }
        if let Some(command) = others {
            let output = self.runner.capture(&command, &[])?;
            if output.code != Some(0) {
                report.note(format!(
                    "reading the node's other repositories: {}",
                    self.manager.errors(&output)
                ));
            }
        }
        Ok(())
    }

    fn refresh_error(&self, problem: &str) -> anyhow::Error {
        let kind = FailureKind::of(problem);
        let keyed = self.sources.iter().all(|source| source.key.is_some());
        let what = format!(
            "nothing was changed: reading the indices of the repositories: {}{}",
            problem.trim_end_matches('.'),
            kind.advice(keyed, self.manager.format().key_option())
        );
        if kind.is_temporary() {
            RetryLater(what).into()
        } else {
            anyhow!(what)
        }
    }

    /// Has the package manager simulate every transaction; returns those that would change something.
    fn resolve<'t>(
        &self,
        view: RepoView<'_>,
        transactions: &'t [PackageChanges],
    ) -> Result<Vec<&'t PackageChanges>> {
        let mut due = Vec::new();
        let mut problems = Vec::new();
        for transaction in transactions {
            let gone = self.present(&transaction.remove_before, &self.now);
            let later = self.present(&transaction.remove_after, &self.now);
            let removes = !gone.is_empty() || !later.is_empty();
            for names in [&gone, &later] {
                problems.extend(self.would_remove(names)?);
            }
            if transaction.install.is_empty() && transaction.groups.is_empty() {
                due.extend(removes.then_some(transaction));
                continue;
            }
            problems.extend(self.duplicates(transaction)?);
            problems.extend(self.unknown(view, transaction)?);
            let line = self.manager.simulate(view, transaction, &gone);
            let output = self.runner.capture(&line, &transaction.environment)?;
            match self.manager.parse_simulation(&output, &gone) {
                Simulation::Nothing => due.extend(removes.then_some(transaction)),
                Simulation::Changes => due.push(transaction),
                Simulation::Problem(why) => problems.push(why),
            }
        }
        if problems.is_empty() {
            Ok(due)
        } else {
            bail!("nothing was changed: {}", problems.join("; "))
        }
    }

    /// Returns those of the names that are installed, wholly or in part.
    fn present(&self, names: &[String], packages: &Inventory) -> Vec<String> {
        names
            .iter()
            .filter(|name| packages.has(bare(name)))
            .cloned()
            .collect()
    }

    /// Says which names of a list are none of a package, and would be taken for something else.
    fn unknown(&self, view: RepoView<'_>, transaction: &PackageChanges) -> Result<Option<String>> {
        let names = transaction.install.iter();
        let names = names.map(|package| bare(&package.name).split(':').next().unwrap_or_default());
        let names: Vec<_> = names.collect();
        let Some(line) = self.manager.look_up(view, &names) else {
            return Ok(None);
        };
        let printed = self.runner.capture(&line, &[])?.text;
        let is_known = |name: &str| {
            let known = |line: &str| line.strip_prefix("Package: ") == Some(name);
            !line.arguments.iter().any(|one| one == name) || printed.lines().any(known)
        };
        let unknown: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
        Ok((!unknown.is_empty()).then(|| {
            format!(
                "there is no package {}, and {} would take that for a pattern",
                unknown.join(", "),
                self.manager.program()
            )
        }))
    }

    /// Says which packages of a list are installed twice, as an interrupted upgrade leaves them. Some may be: kernels
    /// have a capability for it.
    fn duplicates(&self, transaction: &PackageChanges) -> Result<Option<String>> {
        let mut twice = Vec::new();
        for name in transaction
            .install
            .iter()
            .map(|package| package.name.as_str())
        {
            if self.now.duplicates.contains(name)
                && let Some(line) = self.manager.list_capabilities(name)
            {
                let provides = self.runner.capture(&line, &[])?.text;
                let may = ["installonlypkg(", "multiversion("];
                if !may.iter().any(|mark| provides.contains(mark)) {
                    twice.push(name);
                }
            }
        }
        Ok((!twice.is_empty()).then(|| {
            format!(
                "{} is installed in two versions, as an interrupted upgrade leaves it: see 'rpm -q {}', \
                 and remove the older one with 'rpm -e NAME-VERSION'",
                twice.join(", "),
                twice.join(" ")
            )
        }))
    }

    fn describe(&self, transaction: &PackageChanges, report: &mut Report) {
        let gone = self.present(&transaction.remove_before, &self.now);
        let groups = transaction.groups.iter().map(|group| format!("@{group}"));
        let packages = transaction.install.iter();
        let packages = packages.map(RequestedPackage::with_version);
        let names: Vec<_> = packages.chain(groups).collect();
        for (verb, names) in [
            ("remove", gone),
            ("install", names),
            ("remove", transaction.remove_after.clone()),
        ] {
            if !names.is_empty() {
                report.step(format!("{verb} {}", names.join(" ")));
            }
        }
    }

    /// Writes the repositories. zypper also gets their keys and reads them once more: it simulated with a cache of its
    /// own.
    fn write_repositories(&self, report: &mut Report) -> Result<()> {
        let before = self.files.write()?;
        if !self.manager.imports_keys() {
            return Ok(());
        }
        let own = RepoView {
            directory: None,
            ours: self
                .files
                .has_repositories()
                .then_some(self.files.repositories.as_path()),
            architectures: &[],
        };
        let known = self
            .import_keys(report)
            .and_then(|()| self.refresh(own, report));
        if known.is_err() {
            before
                .restore()
                .context("restoring the previous repositories")?;
        }
        known
    }

    /// Imports the keys into rpm, which zypper trusts.
    fn import_keys(&self, report: &mut Report) -> Result<()> {
        let mut keys: Vec<_> = self
            .sources
            .iter()
            .filter_map(|source| source.key.as_deref())
            .collect();
        keys.dedup();
        for key in keys {
            let line = PackageCommand::new("rpm", &["--import", key]);
            if self.runner.run(&line, &[])? != Some(0) {
                bail!("nothing was changed: {line} failed: is {key} a public key?");
            }
            report.step(format!("import the key {key} into rpm"));
        }
        Ok(())
    }

    /// Says why packages should not be removed, if others would be removed with them.
    fn would_remove(&self, names: &[String]) -> Result<Option<String>> {
        if names.is_empty() {
            return Ok(None);
        }
        let line = self.manager.simulate_removal(names);
        let output = self.runner.capture(&line, &[])?;
        Ok(self.manager.would_remove(&output, names))
    }

    fn apply(&self, transaction: &PackageChanges) -> Result<()> {
        self.remove(&transaction.remove_before, transaction)?;
        if !transaction.install.is_empty() || !transaction.groups.is_empty() {
            self.run_checked(self.manager.install(transaction), transaction)
                .context("installing packages")?;
        }
        self.remove(&transaction.remove_after, transaction)
    }

    /// Removes those of the packages that are installed, and nothing with them.
    fn remove(&self, names: &[String], transaction: &PackageChanges) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let gone = self.present(names, &inventory(self.manager, self.runner)?);
        if let Some(why) = self.would_remove(&gone)? {
            bail!("removing packages: {why}: earlier steps stay in effect");
        }
        if gone.is_empty() {
            Ok(())
        } else {
            self.run_checked(self.manager.remove(&gone), transaction)
                .context("removing packages")
        }
    }

    /// Runs what has to succeed.
    fn run_checked(&self, line: PackageCommand, transaction: &PackageChanges) -> Result<()> {
        let code = self.runner.run(&line, &transaction.environment)?;
        if self.manager.succeeded(code) {
            return Ok(());
        }
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        let half_done = inventory(self.manager, self.runner)?.half_done();
        let half_done =
            half_done.map_or_else(String::new, |names| format!("; unfinished: {names}"));
        bail!(
            "{} ended with {code}: earlier steps stay in effect{half_done}",
            line.program
        )
    }
}

/// Returns the packages as they are now.
pub(super) fn inventory(
    manager: &dyn PackageManager,
    runner: &ExclusiveRunner,
) -> Result<Inventory> {
    let output = runner.capture(&manager.list(), &[])?;
    if output.code != Some(0) {
        bail!(
            "listing the installed packages: {}",
            manager.errors(&output)
        );
    }
    Ok(Inventory::parse(&output.text))
}

/// Lists a directory, for what an interrupted package manager left there.
pub(super) fn list_directory(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}
