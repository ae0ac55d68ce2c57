//! The work itself: indices read, names resolved, repositories written, packages installed and removed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::apt;
use super::cli::Args;
use super::command::Line;
use super::inventory::Inventory;
use super::manager::{Manager, Seen, Verdict, bare};
use super::places::Source;
use super::report::Report;
use super::request::{Request, Transaction};
use super::trouble::{Later, Trouble};
use super::turn::Turn;
use super::view::Wanted;

/// What is to be done on this node.
pub(super) struct Job<'a> {
    pub(super) manager: Manager,
    pub(super) turn: &'a Turn,
    pub(super) request: &'a Request,
    pub(super) sources: &'a [Source],
    pub(super) wanted: &'a Wanted,
    /// The packages at the beginning.
    pub(super) before: Inventory,
    /// The packages once what an earlier run left half done was ended.
    pub(super) now: Inventory,
}

impl Job<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When a name cannot be resolved, and then nothing was changed; or when a transaction fails.
    pub(super) fn work(mut self, args: &Args, report: &mut Report) -> Result<()> {
        let due: Vec<_> = self
            .wanted
            .due()?
            .iter()
            .map(|(path, text)| (path.to_path_buf(), text.is_some()))
            .collect();
        let preview = (!due.is_empty())
            .then(|| self.wanted.preview(self.manager))
            .transpose()?;
        let repositories = match &preview {
            Some(directory) => self
                .wanted
                .seen(directory.path(), &self.wanted.repositories),
            None => self.wanted.repositories.clone(),
        };
        let seen = Seen {
            directory: preview.as_ref().map(|directory| directory.path()),
            ours: self
                .wanted
                .has_repositories()
                .then_some(repositories.as_path()),
        };
        let transactions: &[Transaction] = match args.repoonly {
            true => &[],
            false => &self.request.transactions,
        };
        let mends = !args.repoonly && !self.now.unfinished.is_empty();
        let works = !transactions.is_empty() || !due.is_empty() || mends;
        if works {
            self.refresh(seen, report)?;
        }
        if mends {
            self.mend(seen, args, report)?;
        }
        let due_transactions = match works {
            true => self.resolve(seen, transactions)?,
            false => Vec::new(),
        };
        for (path, stays) in &due {
            let verb = if *stays { "write" } else { "remove" };
            report.step(format!("{verb} {}", path.display()));
            report.files.push(path.display().to_string());
        }
        if args.dry_run {
            for transaction in due_transactions {
                self.describe(transaction, report);
            }
            return Ok(());
        }
        self.establish(&due, report)?;
        report.changed = !due.is_empty();
        for transaction in due_transactions {
            self.describe(transaction, report);
            self.apply(transaction)?;
        }
        let after = inventory(self.manager, self.turn)?;
        report.compare(&self.before.installed, &after.installed);
        report.changed |= !(report.installed.is_empty()
            && report.upgraded.is_empty()
            && report.removed.is_empty());
        match self.manager.left_over(&after, &journal) {
            Some(left) if !args.repoonly => bail!(
                "this is left half done: {left}: mend what is said of it above, then run this again"
            ),
            _ => Ok(()),
        }
    }

    /// Ends what is still half done, before anything else: a package manager thinks nothing through beside it.
    /// A package that cannot be configured now is no reason to stop; it is one to fail in the end.
    fn mend(&mut self, seen: Seen<'_>, args: &Args, report: &mut Report) -> Result<()> {
        let line = apt::mend(seen, &self.now, true);
        let answer = self.turn.ask(&line, &[])?;
        let verdict = self.manager.understand(&answer, &self.now.leaving);
        let half_done = self.now.half_done().unwrap_or_default();
        match verdict {
            Verdict::Nothing => return Ok(()),
            Verdict::Problem(why) => {
                bail!("nothing was changed: {half_done} cannot be ended: {why}")
            }
            Verdict::Changes => {}
        }
        let names = self.now.unfinished.keys();
        let names: Vec<_> = names.map(String::as_str).collect();
        report.step(format!("end what is left of {}", names.join(", ")));
        if !args.dry_run {
            self.turn.run(&apt::mend(seen, &self.now, false), &[])?;
            self.now = inventory(self.manager, self.turn)?;
        }
        Ok(())
    }

    /// Reads the indices: all of ours must be had, the node's own as far as they can.
    fn refresh(&self, seen: Seen<'_>, report: &mut Report) -> Result<()> {
        let (ours, others) = self.manager.refresh(seen, self.sources);
        if let Some(line) = ours {
            let answer = self.turn.ask(&line, &[])?;
            if let Some(problem) = self.manager.unread(&answer, self.sources) {
                let trouble = Trouble::of(&problem);
                let keyed = self.sources.iter().all(|source| source.key.is_some());
                let what = format!(
                    "nothing was changed: reading the indices of the repositories: {}{}",
                    problem.trim_end_matches('.'),
                    trouble.advice(keyed)
                );
                return match trouble.may_pass() {
                    true => Err(Later(what).into()),
                    false => bail!("{what}"),
                };
            }
        }
        if let Some(line) = others {
            let answer = self.turn.ask(&line, &[])?;
            if answer.code != Some(0) {
                report.note(format!(
                    "reading the node's other repositories: {}",
                    self.manager.errors(&answer)
                ));
            }
        }
        Ok(())
    }

    /// Has the package manager think every transaction through; returns those that would change something.
    fn resolve<'t>(
        &self,
        seen: Seen<'_>,
        transactions: &'t [Transaction],
    ) -> Result<Vec<&'t Transaction>> {
        let mut due = Vec::new();
        let mut problems = Vec::new();
        for transaction in transactions {
            let gone = self.present(&transaction.before, &self.now);
            let later = self.present(&transaction.after, &self.now);
            let removes = !gone.is_empty() || !later.is_empty();
            for names in [&gone, &later] {
                problems.extend(self.drags(names)?);
            }
            if transaction.install.is_empty() && transaction.groups.is_empty() {
                due.extend(removes.then_some(transaction));
                continue;
            }
            problems.extend(self.several(transaction)?);
            let line = self.manager.simulate(seen, transaction, &gone);
            let answer = self.turn.ask(&line, &transaction.environment)?;
            match self.manager.understand(&answer, &gone) {
                Verdict::Nothing => due.extend(removes.then_some(transaction)),
                Verdict::Changes => due.push(transaction),
                Verdict::Problem(why) => problems.push(why),
            }
        }
        match problems.is_empty() {
            true => Ok(due),
            false => bail!("nothing was changed: {}", problems.join("; ")),
        }
    }

    /// Returns those of the names of which there is anything.
    fn present(&self, names: &[String], packages: &Inventory) -> Vec<String> {
        names
            .iter()
            .filter(|name| packages.has(bare(name)))
            .cloned()
            .collect()
    }

    /// Says which packages of a list are installed twice, as an upgrade leaves them that was cut short. Some may
    /// be: kernels say so of themselves.
    fn several(&self, transaction: &Transaction) -> Result<Option<String>> {
        if self.manager == Manager::Apt {
            return Ok(None);
        }
        let mut twice = Vec::new();
        for name in transaction.install.iter().map(|name| bare(name)) {
            if self.now.several.contains(name) {
                let line = Line::new("rpm", &["-q", "--provides", name]);
                let provides = self.turn.ask(&line, &[])?.text;
                let may = ["installonlypkg(", "multiversion("];
                if !may.iter().any(|mark| provides.contains(mark)) {
                    twice.push(name);
                }
            }
        }
        Ok((!twice.is_empty()).then(|| {
            format!(
                "{} is installed in two versions, as an upgrade leaves it that was cut short: see 'rpm -q {}', \
                 and remove the older one with 'rpm -e NAME-VERSION'",
                twice.join(", "),
                twice.join(" ")
            )
        }))
    }

    fn describe(&self, transaction: &Transaction, report: &mut Report) {
        let gone = self.present(&transaction.before, &self.now);
        let groups = transaction.groups.iter().map(|group| format!("@{group}"));
        let names: Vec<_> = transaction.install.iter().cloned().chain(groups).collect();
        for (verb, names) in [
            ("remove", gone),
            ("install", names),
            ("remove", transaction.after.clone()),
        ] {
            if !names.is_empty() {
                report.step(format!("{verb} {}", names.join(" ")));
            }
        }
    }

    /// Writes the repositories down. zypper also gets to know their keys and reads them once more: what it
    /// thought through came from a cache of its own.
    fn establish(&self, due: &[(PathBuf, bool)], report: &mut Report) -> Result<()> {
        if due.is_empty() {
            return Ok(());
        }
        let before = self.wanted.write()?;
        if self.manager != Manager::Zypper {
            return Ok(());
        }
        let own = Seen {
            directory: None,
            ours: self
                .wanted
                .has_repositories()
                .then_some(self.wanted.repositories.as_path()),
        };
        let known = self.import(report).and_then(|()| self.refresh(own, report));
        if known.is_err() {
            before
                .restore()
                .context("putting back the repositories that stood before")?;
        }
        known
    }

    /// Gives rpm the keys that zypper takes for granted.
    fn import(&self, report: &mut Report) -> Result<()> {
        let mut keys: Vec<_> = self
            .sources
            .iter()
            .filter_map(|source| source.key.as_deref())
            .collect();
        keys.dedup();
        for key in keys {
            let line = Line::new("rpm", &["--import", key]);
            if self.turn.run(&line, &[])? != Some(0) {
                bail!("nothing was changed: {line} did not succeed: is {key} a public key?");
            }
            report.step(format!("have rpm know the key {key}"));
        }
        Ok(())
    }

    /// Says why packages should not be removed, if others would go with them.
    fn drags(&self, names: &[String]) -> Result<Option<String>> {
        if names.is_empty() {
            return Ok(None);
        }
        let line = self.manager.simulate_removal(names);
        let answer = self.turn.ask(&line, &[])?;
        Ok(self.manager.drags(&answer, names))
    }

    fn apply(&self, transaction: &Transaction) -> Result<()> {
        self.remove(&transaction.before, transaction)?;
        if !transaction.install.is_empty() || !transaction.groups.is_empty() {
            self.must(self.manager.install(transaction), transaction)
                .context("installing packages")?;
        }
        self.remove(&transaction.after, transaction)
    }

    /// Removes what is there of some packages, and nothing with them.
    fn remove(&self, names: &[String], transaction: &Transaction) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let gone = self.present(names, &inventory(self.manager, self.turn)?);
        if let Some(why) = self.drags(&gone)? {
            bail!("removing packages: {why}: what was done before stays");
        }
        match gone.is_empty() {
            true => Ok(()),
            false => self
                .must(self.manager.remove(&gone), transaction)
                .context("removing packages"),
        }
    }

    /// Runs what has to succeed.
    fn must(&self, line: Line, transaction: &Transaction) -> Result<()> {
        let code = self.turn.run(&line, &transaction.environment)?;
        if self.manager.succeeded(code) {
            return Ok(());
        }
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        let half_done = inventory(self.manager, self.turn)?.half_done();
        let half_done = half_done.map_or_else(String::new, |names| format!("; half done: {names}"));
        bail!(
            "{} ended with {code}: what was done before stays{half_done}",
            line.program
        )
    }
}

/// Returns the packages as they are now.
pub(super) fn inventory(manager: Manager, turn: &Turn) -> Result<Inventory> {
    let answer = turn.ask(&manager.list(), &[])?;
    if answer.code != Some(0) {
        bail!(
            "listing the installed packages: {}",
            manager.errors(&answer)
        );
    }
    Ok(Inventory::parse(&answer.text))
}

/// Lists a directory, for what a package manager that was cut short left there.
pub(super) fn journal(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}
