//! The work itself: indices read, names resolved, repositories written, packages installed and removed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::cli::Args;
use super::command::Line;
use super::manager::{self, Manager, Seen, Verdict, bare};
use super::places::Source;
use super::report::Report;
use super::request::{Request, Transaction};
use super::view::Wanted;

/// There was no network to read indices over.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Offline(String);

/// What is to be done on this node.
pub(super) struct Job<'a> {
    pub(super) manager: Manager,
    pub(super) request: &'a Request,
    pub(super) sources: &'a [Source],
    pub(super) wanted: &'a Wanted,
    /// What was installed at the beginning.
    pub(super) before: BTreeMap<String, String>,
}

impl Job<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When a name cannot be resolved, and then nothing was changed; or when a transaction fails.
    pub(super) fn work(&self, args: &Args, report: &mut Report) -> Result<()> {
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
        let due_transactions = match transactions.is_empty() && due.is_empty() {
            true => Vec::new(),
            false => {
                self.refresh(seen, report)?;
                self.resolve(seen, transactions)?
            }
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
        report.compare(&self.before, &self.installed()?);
        report.changed |= !(report.installed.is_empty()
            && report.upgraded.is_empty()
            && report.removed.is_empty());
        Ok(())
    }

    /// Reads the indices: all of ours must be had, the node's own as far as they can.
    fn refresh(&self, seen: Seen<'_>, report: &mut Report) -> Result<()> {
        let (ours, others) = self.manager.refresh(seen, self.sources);
        if let Some(line) = ours {
            let answer = line.ask(&[])?;
            if let Some(problem) = self.manager.unread(&answer, self.sources) {
                let what = format!(
                    "nothing was changed: reading the indices of the repositories: {problem}"
                );
                return match looks_offline(&problem) {
                    true => Err(Offline(what).into()),
                    false => bail!("{what}{}", hint(&problem)),
                };
            }
        }
        if let Some(line) = others {
            let answer = line.ask(&[])?;
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
            let gone = self.present(&transaction.before, &self.before);
            let later = self.present(&transaction.after, &self.before);
            let removes = !gone.is_empty() || !later.is_empty();
            for names in [&gone, &later] {
                problems.extend(self.drags(names)?);
            }
            if transaction.install.is_empty() && transaction.groups.is_empty() {
                due.extend(removes.then_some(transaction));
                continue;
            }
            let answer = self
                .manager
                .simulate(seen, transaction, &gone)
                .ask(&transaction.environment)?;
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

    /// Returns those of the names that are installed.
    fn present(&self, names: &[String], installed: &BTreeMap<String, String>) -> Vec<String> {
        names
            .iter()
            .filter(|name| installed.contains_key(bare(name)))
            .cloned()
            .collect()
    }

    fn describe(&self, transaction: &Transaction, report: &mut Report) {
        let gone = self.present(&transaction.before, &self.before);
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
            if line.run(&[])? != Some(0) {
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
        let answer = self.manager.simulate_removal(names).ask(&[])?;
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
        let gone = self.present(names, &self.installed()?);
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
        let code = line.run(&transaction.environment)?;
        if !self.manager.succeeded(code) {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            bail!(
                "{} ended with {code}: what was done before stays",
                line.program
            );
        }
        Ok(())
    }

    /// Returns what is installed now.
    pub(super) fn installed(&self) -> Result<BTreeMap<String, String>> {
        let line = self.manager.list();
        let answer = line.ask(&[])?;
        if answer.code != Some(0) {
            bail!(
                "listing the installed packages: {}",
                self.manager.errors(&answer)
            );
        }
        Ok(manager::installed(&answer.text))
    }
}

/// Says whether it was the network.
fn looks_offline(problem: &str) -> bool {
    const SIGNS: [&str; 10] = [
        "Could not connect",
        "Connection failed",
        "Connection refused",
        "Connection timed out",
        "Could not resolve",
        "Couldn't resolve host",
        "Temporary failure resolving",
        "Network is unreachable",
        "Timeout was reached",
        "Failed to connect",
    ];
    SIGNS.iter().any(|sign| problem.contains(sign))
}

/// Says what to do about signatures.
fn hint(problem: &str) -> &'static str {
    let about_keys = [
        "unknown key",
        "is unsigned",
        "Signature verification failed",
        "is not signed",
        "NO_PUBKEY",
        "couldn't be verified",
        "GPG",
        "does not have a Release file",
    ];
    match about_keys.iter().any(|sign| problem.contains(sign)) {
        true => ": name its key with [signed-by=PATH] in otherpkgdir, or say [trusted=yes] there",
        false => "",
    }
}
