//! dnf and yum: the command lines. Their repositories are `.repo` files, see [`super::rpm`].
//!
//! References: dnf(8), yum(8) of EL 7.

use definitions::{PackageChanges, RepositoryFormat, RequestedPackage};

use super::command::{CommandOutput, PackageCommand};
use super::inventory::Inventory;
use super::locks::{self, Locks};
use super::package_manager::{
    PackageManager, RefreshCommands, RepoLayout, RepoView, Simulation, interrupted_run, last_line,
};
use super::rpm;
use super::sources::PackageSource;

/// Where yum keeps the transactions that it has not completed.
const YUM_TRANSACTIONS: &str = "/var/lib/yum";

/// dnf, or its ancestor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dnf {
    Dnf,
    /// On EL 7.
    Yum,
}

impl PackageManager for Dnf {
    fn program(&self) -> &'static str {
        match self {
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }

    fn format(&self) -> RepositoryFormat {
        RepositoryFormat::Dnf
    }

    fn layout(&self) -> RepoLayout {
        RepoLayout {
            directory: "/etc/yum.repos.d",
            extension: "repo",
            keys: "/etc/pki/rpm-gpg",
            other_extension: None,
            other_file: None,
        }
    }

    fn locks(&self) -> &'static Locks {
        &locks::RPM
    }

    fn render(&self, sources: &[PackageSource]) -> String {
        rpm::render_repo_file(sources, self.format())
    }

    fn names_source(&self, text: &str, source: &PackageSource) -> bool {
        rpm::names_source(text, source)
    }

    fn index_files(&self, _suite: Option<&str>) -> Vec<String> {
        rpm::index_files()
    }

    fn list(&self) -> PackageCommand {
        rpm::list()
    }

    fn list_capabilities(&self, name: &str) -> Option<PackageCommand> {
        Some(rpm::list_capabilities(name))
    }

    fn unfinished_run(
        &self,
        _packages: &Inventory,
        list_directory: &dyn Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        let is_unfinished = |name: &String| name.starts_with("transaction-all.");
        (*self == Self::Yum && list_directory(YUM_TRANSACTIONS).iter().any(is_unfinished))
            .then(|| interrupted_run(YUM_TRANSACTIONS))
    }

    fn recover(&self) -> Option<PackageCommand> {
        (*self == Self::Yum).then(|| PackageCommand::new("yum-complete-transaction", &["-y"]))
    }

    /// dnf reads the others' indices itself when they are old.
    fn refresh(&self, view: RepoView<'_>, sources: &[PackageSource]) -> RefreshCommands {
        let enabled = sources
            .iter()
            .map(|source| format!("--enablerepo={}", source.name));
        let command = self.command().and(["-y", "--disablerepo=*"]);
        let command = command.and(view_options(view)).and(enabled);
        let command = match self {
            Self::Yum => command.and(["makecache", "fast"]),
            // skipped, it would be one without packages, and no reason to try again
            Self::Dnf => command.and([
                "--setopt=skip_if_unavailable=False",
                "--refresh",
                "makecache",
            ]),
        };
        RefreshCommands {
            ours: view.ours.map(|_| command),
            others: None,
        }
    }

    fn simulate(
        &self,
        view: RepoView<'_>,
        transaction: &PackageChanges,
        gone: &[String],
    ) -> PackageCommand {
        // What is removed first may conflict now.
        let erasing = (*self == Self::Dnf && !gone.is_empty()).then_some("--allowerasing");
        self.installing()
            .and(["--assumeno"])
            .and(view_options(view))
            .and(["install"])
            .and(erasing)
            .and(names(transaction))
    }

    fn parse_simulation(&self, output: &CommandOutput, _gone: &[String]) -> Simulation {
        parse_simulation(output)
    }

    fn install(&self, transaction: &PackageChanges) -> PackageCommand {
        self.installing()
            .and(["-y", "install"])
            .and(names(transaction))
    }

    fn remove(&self, removed: &[String]) -> PackageCommand {
        // yum never removes what is no longer needed.
        let keeping = (*self == Self::Dnf).then_some("--noautoremove");
        let command = self.command().and(["-y"]);
        // dnf5 takes options of a command after it alone
        command.and(["remove"]).and(keeping).and(removed)
    }

    fn simulate_removal(&self, names: &[String]) -> PackageCommand {
        rpm::simulate_removal(names)
    }

    fn would_remove(&self, output: &CommandOutput, _names: &[String]) -> Option<String> {
        rpm::would_remove(output)
    }

    fn errors(&self, output: &CommandOutput) -> String {
        errors(&output.text)
    }
}

impl Dnf {
    /// Both wait for another package manager without a limit unless this option is given.
    fn command(self) -> PackageCommand {
        PackageCommand::new(self.program(), &["--setopt=exit_on_lock=1"])
    }

    /// dnf installs weak dependencies unless this option is given; yum knows none.
    fn installing(self) -> PackageCommand {
        match self {
            Self::Yum => self.command(),
            Self::Dnf => self.command().and(["--setopt=install_weak_deps=False"]),
        }
    }
}

fn view_options(view: RepoView<'_>) -> Vec<String> {
    let directory = view
        .directory
        .map(|dir| format!("--setopt=reposdir={}", dir.display()));
    directory.into_iter().collect()
}

/// Returns what an installation names: packages and groups.
fn names(transaction: &PackageChanges) -> Vec<String> {
    let groups = transaction.groups.iter().map(|group| format!("@{group}"));
    transaction
        .install
        .iter()
        .map(RequestedPackage::with_version)
        .chain(groups)
        .collect()
}

/// Reads what `dnf --assumeno` prints; it ends with 1 when it would have done something.
fn parse_simulation(output: &CommandOutput) -> Simulation {
    let missing: Vec<_> = output
        .text
        .lines()
        .filter(|line| {
            line.starts_with("No package ") || line.starts_with("No match for argument: ")
        })
        .collect();
    if !missing.is_empty() {
        return Simulation::Problem(missing.join("; "));
    }
    if output
        .text
        .lines()
        .any(|line| line.starts_with("Operation aborted") || line == "Exiting on user command")
    {
        return Simulation::Changes;
    }
    if output.code == Some(0) {
        return Simulation::Nothing;
    }
    Simulation::Problem(errors(&output.text))
}

/// What the errors of yum, dnf and dnf5 begin with.
const ERRORS: [&str; 5] = [
    "Error",
    ">>> ",
    "Failed to resolve",
    "Failed to download",
    "Transaction failed",
];
/// What dnf5 advises after them, by options that are not ours to give.
const ADVICE: &str = "You can try to add to command line:";

/// Returns the errors among what dnf or yum printed.
fn errors(text: &str) -> String {
    let begins = |line: &str| ERRORS.iter().any(|begin| line.starts_with(begin));
    let why = text.lines().skip_while(|line| !begins(line));
    let mut why: Vec<_> = why
        .map(str::trim)
        .take_while(|line| *line != ADVICE)
        .filter(|line| !line.is_empty())
        .collect();
    // one for each try
    why.dedup();
    why.truncate(8);
    if why.is_empty() {
        last_line(text)
    } else {
        why.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_understood() {
        for (code, text, expected) in [
            (0, "Package a-1 is already installed.\nNothing to do.\nComplete!\n", Simulation::Nothing),
            (1, "Installing:\n a  noarch 1-1 x 6 k\nOperation aborted.\n", Simulation::Changes),
            (1, "Is this ok [y/d/N]: N\nExiting on user command\n", Simulation::Changes),
            (
                1,
                "No match for argument: helo\nNo match for argument: x\nError: Unable to find a match: helo x\n",
                Simulation::Problem("No match for argument: helo; No match for argument: x".to_owned()),
            ),
            (
                1,
                "No package helo available.\nIs this ok [y/d/N]: N\nExiting on user command\n",
                Simulation::Problem("No package helo available.".to_owned()),
            ),
            (
                1,
                "Error: \n Problem: conflicting requests\n  - nothing provides b needed by a-1-1.noarch\n",
                Simulation::Problem(
                    "Error: Problem: conflicting requests - nothing provides b needed by a-1-1.noarch"
                        .to_owned(),
                ),
            ),
            // dnf5
            (0, "Package \"a-1-1.noarch\" is already installed.\n\nNothing to do.\n", Simulation::Nothing),
            (1, "Transaction Summary:\n Installing: 1 package\n\nOperation aborted by the user.\n", Simulation::Changes),
            (
                1,
                "Failed to resolve the transaction:\nNo match for argument: helo\nYou can try to add to command \
                 line:\n  --skip-unavailable to skip unavailable packages\n",
                Simulation::Problem("No match for argument: helo".to_owned()),
            ),
            (
                1,
                "Repositories loaded.\nFailed to resolve the transaction:\nProblem: conflicting requests\n  - nothing \
                 provides b needed by a-1-1.noarch\nYou can try to add to command line:\n  --skip-broken to skip\n",
                Simulation::Problem(
                    "Failed to resolve the transaction: Problem: conflicting requests - nothing provides b needed by \
                     a-1-1.noarch"
                        .to_owned(),
                ),
            ),
        ] {
            let output = CommandOutput { code: Some(code), text: text.to_owned() };
            assert_eq!(parse_simulation(&output), expected, "{text}");
        }
    }

    #[test]
    fn dnf5_says_why_it_cannot() {
        let refused = "Failed to connect to 10.0.0.1:80: Could not connect to server]";
        let curl =
            format!(">>> Curl error (7): Could not connect to server for http://h/x [{refused}");
        let offline = format!(
            "Updating and loading repositories:\n off  ???% | 0.0 B/s\n{curl}\n{curl}\n>>> Usable URL not found\n\
             Failed to download metadata (baseurl: \"http://h/x\") for repository \"off\": Usable URL not found\n"
        );
        let why = errors(&offline);
        assert!(
            why.starts_with(&format!("{curl} >>> Usable URL not found Failed")),
            "{why}"
        );
        let unsigned = "Running transaction\nTransaction failed: Signature verification failed.\nOpenPGP check for \
                        package \"a-1-1.noarch\" from repo \"x\" has failed: no keys\n";
        let why = errors(unsigned);
        assert!(
            why.starts_with("Transaction failed: Signature verification failed. OpenPGP"),
            "{why}"
        );
    }

    #[test]
    fn options_of_a_command_come_after_it() {
        let view = RepoView {
            directory: None,
            ours: None,
            architectures: &[],
        };
        let gone = ["old".to_owned()];
        let commands = [
            (
                Dnf::Dnf.simulate(view, &PackageChanges::default(), &gone),
                "install",
                "--allowerasing",
            ),
            (Dnf::Dnf.remove(&gone), "remove", "--noautoremove"),
        ];
        for (command, verb, option) in commands {
            let at = |word: &str| command.arguments.iter().position(|one| one == word);
            assert!(at(verb) < at(option), "{command:?}");
        }
    }

    #[test]
    fn yum_leaves_transactions_that_it_can_complete() {
        let yum = "an interrupted run, which left files in /var/lib/yum";
        for (manager, names, expected) in [
            (
                Dnf::Yum,
                &["history", "transaction-all.2026-11-28.log"][..],
                Some(yum),
            ),
            (Dnf::Yum, &["history"], None),
            (Dnf::Dnf, &["transaction-all.2026-11-28.log"], None),
        ] {
            let list_directory = |_: &str| names.iter().map(|&name| name.to_owned()).collect();
            let left = manager.unfinished_run(&Inventory::default(), &list_directory);
            assert_eq!(left.as_deref(), expected, "{manager:?} {names:?}");
        }
    }
}
