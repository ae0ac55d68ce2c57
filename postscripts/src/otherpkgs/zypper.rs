//! zypper: the command lines. Its repositories are `.repo` files, see [`super::rpm`].
//!
//! Reference: zypper(8). It trusts a key that rpm knows, so a new key is imported into rpm first. A simulation with
//! repositories that are not written yet uses a cache of its own, without looking at signatures, and nothing is
//! installed from there.

use definitions::{PackageChanges, RepositoryFormat, RequestedPackage};

use super::command::{CommandOutput, PackageCommand};
use super::locks::{self, Locks};
use super::package_manager::{
    PackageManager, RefreshCommands, RepoLayout, RepoView, Simulation, last_line,
};
use super::rpm;
use super::sources::PackageSource;

/// zypper.
#[derive(Debug)]
pub(super) struct Zypper;

impl PackageManager for Zypper {
    fn program(&self) -> &'static str {
        "zypper"
    }

    fn format(&self) -> RepositoryFormat {
        RepositoryFormat::Zypper
    }

    fn layout(&self) -> RepoLayout {
        RepoLayout {
            directory: "/etc/zypp/repos.d",
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

    fn imports_keys(&self) -> bool {
        true
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

    /// zypper reads the others' indices itself where they say autorefresh.
    fn refresh(&self, view: RepoView<'_>, sources: &[PackageSource]) -> RefreshCommands {
        let names = sources.iter().map(|source| &source.name);
        RefreshCommands {
            ours: view.ours.map(|_| zypper(view).and(["refresh"]).and(names)),
            others: None,
        }
    }

    /// A name with `!` in front is to be removed.
    fn simulate(
        &self,
        view: RepoView<'_>,
        transaction: &PackageChanges,
        gone: &[String],
    ) -> PackageCommand {
        installing(zypper(view))
            .and(["--dry-run", "--"])
            .and(names(transaction))
            .and(gone.iter().map(|name| format!("!{name}")))
    }

    fn parse_simulation(&self, output: &CommandOutput, _gone: &[String]) -> Simulation {
        parse_simulation(output)
    }

    fn install(&self, transaction: &PackageChanges) -> PackageCommand {
        installing(zypper(RepoView::default()))
            .and(["--"])
            .and(names(transaction))
    }

    fn remove(&self, names: &[String]) -> PackageCommand {
        PackageCommand::new("zypper", &["--non-interactive", "remove"]).and(names)
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

    fn succeeded(&self, code: Option<i32>) -> bool {
        succeeded(code)
    }
}

/// zypper with what every call has, reading what is to be seen.
fn zypper(view: RepoView<'_>) -> PackageCommand {
    let line = PackageCommand::new("zypper", &["--non-interactive"]);
    match view.directory {
        None => line,
        Some(directory) => line
            .and(["--reposd-dir".to_owned(), directory.display().to_string()])
            .and([
                "--cache-dir".to_owned(),
                directory.join("cache").display().to_string(),
            ])
            .and(["--no-gpg-checks"]),
    }
}

/// Returns what an installation names: packages and patterns.
fn names(transaction: &PackageChanges) -> Vec<String> {
    let patterns = transaction.groups.iter();
    let patterns = patterns.map(|group| format!("pattern:{group}"));
    transaction
        .install
        .iter()
        .map(RequestedPackage::with_version)
        .chain(patterns)
        .collect()
}

fn installing(line: PackageCommand) -> PackageCommand {
    line.and(["install", "--no-recommends", "--auto-agree-with-licenses"])
}

/// zypper(8): 100 to 103 say that something is to be restarted, 106 that another repository of the node cannot be read:
/// ours were read before.
fn succeeded(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 100..=103 | 106))
}

/// Reads what `zypper install --dry-run` prints.
fn parse_simulation(output: &CommandOutput) -> Simulation {
    let lines = output.text.lines().map(str::trim);
    let is_error = |line: &&str| {
        line.ends_with(" not found.")
            || line.starts_with("No provider of ")
            || line.contains("Problem: ")
    };
    match output.code {
        code if succeeded(code) => {
            if lines.clone().any(|line| line == "Nothing to do.") {
                Simulation::Nothing
            } else {
                Simulation::Changes
            }
        }
        _ => {
            let why: Vec<_> = lines.filter(is_error).collect();
            Simulation::Problem(if why.is_empty() {
                last_line(&output.text)
            } else {
                why.join("; ")
            })
        }
    }
}

/// Returns the errors among what `zypper refresh` printed.
fn errors(text: &str) -> String {
    let signs = [
        "signed with an unknown key",
        "is unsigned",
        "Signature verification failed",
        "Curl error",
        "not found at",
    ];
    let is_error = |line: &&str| signs.iter().any(|sign| line.contains(sign));
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let lines: Vec<_> = lines
        .filter(is_error)
        .map(|line| line.split(" Continue? ").next().unwrap_or(line))
        .collect();
    if lines.is_empty() {
        last_line(text)
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_understood() {
        for (code, text, expected) in [
            (
                0,
                "Resolving package dependencies...\nNothing to do.\n",
                Simulation::Nothing,
            ),
            (
                0,
                "The following NEW package is going to be installed:\n  a\n",
                Simulation::Changes,
            ),
            (
                102,
                "The following NEW package is going to be installed:\n  kernel\n",
                Simulation::Changes,
            ),
            (
                106,
                "Warning: Skipping repository 'x' because of the above error.\nNothing to do.\n",
                Simulation::Nothing,
            ),
            (
                104,
                "'helo' not found in package names. Trying capabilities.\nNo provider of 'helo' found.\n",
                Simulation::Problem("No provider of 'helo' found.".to_owned()),
            ),
            (
                4,
                "Problem: nothing provides 'b' needed by the to be installed a-1-1.noarch\n Solution 1: x\n",
                Simulation::Problem(
                    "Problem: nothing provides 'b' needed by the to be installed a-1-1.noarch"
                        .to_owned(),
                ),
            ),
        ] {
            let output = CommandOutput {
                code: Some(code),
                text: text.to_owned(),
            };
            assert_eq!(parse_simulation(&output), expected, "{text}");
        }
    }
}
