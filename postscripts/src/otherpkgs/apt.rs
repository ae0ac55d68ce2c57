//! apt: sources as deb822, and the command lines.
//!
//! References: sources.list(5), apt-get(8), apt.conf(5). Nothing here upgrades, and nothing removes what it was
//! not asked to: an installation that would is refused.

use definitions::{AptKey, AptSource, PackageChanges, RepositoryFormat, RequestedPackage};

use super::command::{CommandOutput, PackageCommand};
use super::inventory::Inventory;
use super::locks::{self, Locks};
use super::package_manager::{
    PackageManager, RefreshCommands, RepoLayout, RepoView, Simulation, WRITTEN_BY, interrupted_run,
    last_line,
};
use super::sources::PackageSource;

/// Where dpkg keeps the changes of its database that it has not merged yet.
const DPKG_UPDATES: &str = "/var/lib/dpkg/updates";

/// A configuration file that was changed on the node stays.
const KEEP: [&str; 4] = [
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
];

/// Without a signature nothing is taken, whatever apt.conf(5) on the node allows: an entry that is to be trusted says so.
const VERIFIED: [&str; 8] = [
    "-o",
    "APT::Get::AllowUnauthenticated=0",
    "-o",
    "Acquire::AllowInsecureRepositories=0",
    "-o",
    "Acquire::AllowWeakRepositories=0",
    "-o",
    "Acquire::AllowDowngradeToInsecureRepositories=0",
];

/// apt, with dpkg.
#[derive(Debug)]
pub(super) struct Apt;

impl PackageManager for Apt {
    fn program(&self) -> &'static str {
        "apt-get"
    }

    fn format(&self) -> RepositoryFormat {
        RepositoryFormat::Apt
    }

    fn layout(&self) -> RepoLayout {
        RepoLayout {
            directory: "/etc/apt/sources.list.d",
            extension: "sources",
            keys: "/etc/apt/keyrings",
            other_extension: Some("list"),
            other_file: Some("/etc/apt/sources.list"),
        }
    }

    fn locks(&self) -> &'static Locks {
        &locks::DEB
    }

    fn render(&self, sources: &[PackageSource]) -> String {
        let stanza = |source: &PackageSource| format!("\n{}", apt_source(source).render());
        let stanzas: String = sources.iter().map(stanza).collect();
        format!("{WRITTEN_BY}{stanzas}")
    }

    fn names_source(&self, text: &str, source: &PackageSource) -> bool {
        let suite = source.suite.as_deref().unwrap_or("./");
        let mut named = AptSource::parse_all(text).into_iter();
        named.any(|named| source.is_at(&named.uri) && named.suite == suite)
    }

    fn allows_duplicate_sources(&self) -> bool {
        false
    }

    fn index_files(&self, suite: Option<&str>) -> Vec<String> {
        const FLAT: [&str; 8] = [
            "Packages",
            "InRelease",
            "Release",
            "Packages.gz",
            "Packages.xz",
            "Packages.zst",
            "Packages.bz2",
            "Packages.lz4",
        ];
        match suite {
            None => FLAT.map(str::to_owned).into(),
            Some(suite) if suite.ends_with('/') => {
                let directory = suite.trim_start_matches("./");
                FLAT.map(|name| format!("{directory}{name}")).into()
            }
            Some(suite) => ["InRelease", "Release"]
                .map(|name| format!("dists/{suite}/{name}"))
                .into(),
        }
    }

    fn list(&self) -> PackageCommand {
        const FORMAT: &str = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n";
        PackageCommand::new("dpkg-query", &["-W", "-f", FORMAT])
    }

    fn list_architectures(&self) -> Vec<PackageCommand> {
        ["--print-architecture", "--print-foreign-architectures"]
            .map(|option| PackageCommand::new("dpkg", &[option]))
            .into()
    }

    fn add_architecture(&self, arch: &str) -> Option<PackageCommand> {
        Some(PackageCommand::new("dpkg", &["--add-architecture", arch]))
    }

    fn unfinished_run(
        &self,
        packages: &Inventory,
        list_directory: &dyn Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        packages.half_done().or_else(|| {
            let names = list_directory(DPKG_UPDATES);
            let is_update = |name: &String| name.bytes().all(|b| b.is_ascii_digit());
            names
                .iter()
                .any(is_update)
                .then(|| interrupted_run(DPKG_UPDATES))
        })
    }

    fn recover(&self) -> Option<PackageCommand> {
        let arguments = ["--force-confdef", "--force-confold", "--configure", "-a"];
        Some(PackageCommand::new("dpkg", &arguments))
    }

    /// What is missing is installed, what is not whole is unpacked again, what was being removed is removed, and
    /// nothing else.
    fn repair(
        &self,
        view: RepoView<'_>,
        now: &Inventory,
        simulated: bool,
    ) -> Option<PackageCommand> {
        let no_remove = now.removing.is_empty().then_some("--no-remove");
        let command = apt_get(&[
            "-y",
            "--fix-broken",
            "--reinstall",
            "--no-install-recommends",
        ]);
        let command = command.and(no_remove).and(KEEP).and(view_options(view));
        let command = command.and(simulated.then_some("-s")).and(["install"]);
        let removed = now.removing.iter().map(|name| format!("{name}-"));
        Some(command.and(&now.reinstall).and(removed))
    }

    /// Our sources alone; then all, as far as they can be read.
    fn refresh(&self, view: RepoView<'_>, _sources: &[PackageSource]) -> RefreshCommands {
        let ours = view.ours.map(|file| {
            apt_get(&["update", "-o", "APT::Get::List-Cleanup=0"])
                .and(VERIFIED)
                .and([
                    "-o".to_owned(),
                    format!("Dir::Etc::SourceList={}", file.display()),
                ])
                .and(["-o", "Dir::Etc::SourceParts=/dev/null"])
                .and(architecture_options(view))
        });
        RefreshCommands {
            ours,
            others: Some(apt_get(&["update"]).and(view_options(view))),
        }
    }

    fn refresh_problem(&self, output: &CommandOutput, sources: &[PackageSource]) -> Option<String> {
        refresh_problem(output, sources)
    }

    /// apt takes a name with a full stop for a regular expression, and one that ends in `+` for another with an order,
    /// where there is no such package.
    fn look_up(&self, view: RepoView<'_>, names: &[&str]) -> Option<PackageCommand> {
        let doubtful = |name: &&&str| name.contains('.') || name.ends_with('+');
        let mut doubtful = names.iter().filter(doubtful).peekable();
        doubtful.peek()?;
        let command = PackageCommand::new("apt-cache", &["showpkg"]).and(view_options(view));
        Some(command.and(doubtful.map(|name| (*name).to_owned())))
    }

    fn simulate(
        &self,
        view: RepoView<'_>,
        transaction: &PackageChanges,
        gone: &[String],
    ) -> PackageCommand {
        let command = apt_get(&["-s", "-y", "--no-install-recommends"])
            .and(view_options(view))
            .and(["install"]);
        let removed = gone.iter().map(|name| format!("{name}-"));
        command.and(names(transaction)).and(removed)
    }

    fn parse_simulation(&self, output: &CommandOutput, gone: &[String]) -> Simulation {
        parse_simulation(output, gone)
    }

    fn install(&self, transaction: &PackageChanges) -> PackageCommand {
        let command = apt_get(&["-y", "--no-install-recommends", "--no-remove"]).and(KEEP);
        let command = command.and(VERIFIED);
        command.and(["install"]).and(names(transaction))
    }

    fn remove(&self, names: &[String]) -> PackageCommand {
        apt_get(&["-y", "remove"]).and(names)
    }

    fn simulate_removal(&self, names: &[String]) -> PackageCommand {
        apt_get(&["-s", "-y", "remove"]).and(names)
    }

    fn would_remove(&self, output: &CommandOutput, names: &[String]) -> Option<String> {
        match parse_simulation(output, names) {
            Simulation::Problem(why) => Some(why),
            Simulation::Nothing | Simulation::Changes => None,
        }
    }

    fn errors(&self, output: &CommandOutput) -> String {
        errors(&output.text)
    }
}

/// Returns a source as apt is configured for it.
fn apt_source(source: &PackageSource) -> AptSource {
    AptSource {
        uri: source.uri.clone(),
        suite: source.suite.as_deref().unwrap_or("./").to_owned(),
        components: source.components.clone(),
        architectures: source.architectures.clone(),
        signed_by: source.key.clone().map(AptKey::File),
        trusted: source.trusted,
    }
}

/// Returns what an installation names: packages with their versions or releases.
fn names(transaction: &PackageChanges) -> impl Iterator<Item = String> {
    transaction
        .install
        .iter()
        .map(RequestedPackage::with_version)
}

/// Returns the options that have apt read what is to be seen.
fn view_options(view: RepoView<'_>) -> Vec<String> {
    let parts = view
        .directory
        .map(|dir| format!("Dir::Etc::SourceParts={}", dir.display()));
    parts
        .into_iter()
        .flat_map(|parts| ["-o".to_owned(), parts])
        .chain(architecture_options(view))
        .collect()
}

/// Returns the options that have apt read architectures as if dpkg knew them, beside those that it knows (apt.conf(5),
/// `APT::Architectures`).
fn architecture_options(view: RepoView<'_>) -> impl Iterator<Item = String> {
    let listed = view.architectures.iter();
    listed.flat_map(|arch| ["-o".to_owned(), format!("APT::Architectures::={arch}")])
}

/// apt-get with what every call has: some patience with locks that others take meanwhile, little with silent
/// servers.
fn apt_get(arguments: &[&str]) -> PackageCommand {
    let patience = ["-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::Retries=3"];
    let patience = patience
        .into_iter()
        .chain(["-o", "Acquire::http::Timeout=30"]);
    PackageCommand::new("apt-get", &["-q"])
        .and(patience)
        .and(arguments)
}

/// Says what could not be read of our sources: apt itself goes on with older indices and calls it a success.
/// A source that is trusted in words may have a signature of whomever.
fn refresh_problem(output: &CommandOutput, sources: &[PackageSource]) -> Option<String> {
    if output.code != Some(0) {
        return Some(errors(&output.text));
    }
    let mut problems = Vec::new();
    let mut lines = output.text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(what) = line.strip_prefix("Err:") else {
            continue;
        };
        let uri = what.split_whitespace().nth(1).unwrap_or_default();
        let why = lines.peek().map_or("", |line| line.trim());
        let about_keys = why.contains("signature") || why.contains("not signed");
        let is_trusted = |source: &PackageSource| source.trusted && uri.starts_with(&source.uri);
        if !(about_keys && sources.iter().any(is_trusted)) {
            problems.push(format!("{uri}: {why}"));
        }
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Reads what `apt-get -s` prints: `Inst name (version …)`, `Conf name …`, `Remv name …`, or `E:` and why not.
fn parse_simulation(output: &CommandOutput, gone: &[String]) -> Simulation {
    if output.code != Some(0) {
        return Simulation::Problem(errors(&output.text));
    }
    let name = |line: &str| {
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    let lines = output.text.lines();
    let removed: Vec<_> = lines
        .filter(|line| line.starts_with("Remv "))
        .map(name)
        .collect();
    let extra: Vec<_> = removed
        .iter()
        .filter(|name| !gone.contains(name))
        .cloned()
        .collect();
    if !extra.is_empty() {
        let extra = extra.join(", ");
        return Simulation::Problem(format!(
            "it would remove {extra}: if that is meant, put them into the list with a '-' in front"
        ));
    }
    // `Conf` alone is of what is half done, and not of what was asked for.
    let installs = output.text.lines().any(|line| line.starts_with("Inst "));
    if installs || !removed.is_empty() {
        Simulation::Changes
    } else {
        Simulation::Nothing
    }
}

/// What apt names before it refuses, each with what it is and what to do.
const REFUSED: [(&str, &str, &str); 2] = [
    (
        "The following held packages will be changed:",
        "packages on hold would be changed",
        "release them ('apt-mark unhold'), or take them off the list",
    ),
    (
        "The following packages will be DOWNGRADED:",
        "packages would be downgraded",
        "name no older version in the list, or remove them before, with a '-' in front",
    ),
];

/// Returns the errors among what apt printed, with what it said of dependencies before.
fn errors(text: &str) -> String {
    let refused = |(heading, what, advice): &(&str, &str, &str)| {
        let mut lines = text.lines().skip_while(|line| line != heading).skip(1);
        let names = lines.by_ref().take_while(|line| line.starts_with("  "));
        let names: Vec<_> = names.flat_map(str::split_whitespace).collect();
        (!names.is_empty()).then(|| format!("{what} ({}): {advice}", names.join(", ")))
    };
    if let Some(refused) = REFUSED.iter().find_map(refused) {
        return refused;
    }
    let is_error = |line: &'_ str| {
        let depends = line.contains(" : Depends: ").then_some(line);
        let why = line.strip_prefix("E: ").or_else(|| {
            let signature = line.strip_prefix("W: ")?;
            signature.starts_with("GPG error: ").then_some(signature)
        });
        why.or(depends).map(|line| line.trim().to_owned())
    };
    let lines: Vec<_> = text.lines().filter_map(is_error).collect();
    if lines.is_empty() {
        last_line(text)
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests;
