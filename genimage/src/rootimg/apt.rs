//! Debian and Ubuntu: mmdebstrap(1), which apt of the management node does for.
//!
//! A plan comes in; the programs and their arguments go out, and an archive on standard output. Nothing is
//! unauthenticated but what the plan trusts by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::inside::{POLICY, Workspace, archive, customize, done, prepare};
use super::plan::{BuildPlan, PackageSource, SourceTrust, Transaction};

/// Where apt's settings are for a root that is there.
const CONFIG: &str = "apt.conf";

/// Builds the root, and archives it.
pub(super) fn install(workspace: &Workspace, plan: &BuildPlan) -> Result<()> {
    let mut sources = Vec::new();
    for source in &plan.sources {
        let keyring = match &source.trust {
            SourceTrust::Explicit => None,
            SourceTrust::Keys(keys) => {
                let name = format!("{}.asc", source.name);
                Some(workspace.write(&name, keys.as_bytes())?)
            }
        };
        sources.push(line(source, keyring.as_deref(), &plan.arch));
    }
    if plan.base.is_some() {
        return install_into(workspace, plan, &sources);
    }
    let mut command = workspace.command("mmdebstrap", plan);
    command.args(arguments(plan));
    if !plan.simulate {
        let step = workspace.path("step");
        command.env("SLIPWAY_STEP", step);
        command.env("SLIPWAY_WORKSPACE", workspace.path(""));
        command.arg(
            "--customize-hook=\"$SLIPWAY_STEP\" --inside customize \"$SLIPWAY_WORKSPACE\" \"$1\"",
        );
    }
    command.args([plan.release.as_str(), "-"]).args(sources);
    let first = plan.transactions.first();
    command.envs(first.into_iter().flat_map(variables));
    done(&mut command)
}

/// Installs into a root that is there, and archives it: by the apt of the management node, with the root's packages.
/// Settings and repositories of the root count for nothing.
fn install_into(workspace: &Workspace, plan: &BuildPlan, sources: &[String]) -> Result<()> {
    let root = workspace.path("root");
    ensure!(
        root.join("var/lib/dpkg/status").is_file(),
        "the container image has no packages of dpkg: there is no /var/lib/dpkg/status in it"
    );
    prepare(&root)?;
    let policy = root.join(POLICY);
    // Only now: one of the image was removed.
    fs::create_dir_all(root.join("usr/sbin")).context("making the root")?;
    fs::write(&policy, "#!/bin/sh\nexit 101\n").context("keeping services from starting")?;
    fs::set_permissions(&policy, PermissionsExt::from_mode(0o755))
        .context("keeping services from starting")?;
    for directory in ["lists/partial", "root/var/cache/apt/archives/partial"] {
        fs::create_dir_all(workspace.path(directory)).context("making apt's directories")?;
    }
    workspace.write("sources.list", (sources.join("\n") + "\n").as_bytes())?;
    workspace.write(CONFIG, config(workspace, plan).as_bytes())?;
    let apt = AptGet::new(workspace, plan, &root, workspace.path(CONFIG));
    let none = Transaction::default();
    apt.run(&["update"], &[], &none)?;
    if plan.simulate {
        let all: Vec<_> = plan.transactions.iter().flat_map(operands).collect();
        return apt.run(&["install", "--no-remove", "--simulate"], &all, &none);
    }
    customize(workspace, plan, &root)?;
    archive(workspace, plan, &root)
}

/// The settings of apt for a root that is there: apt.conf(5).
fn config(workspace: &Workspace, plan: &BuildPlan) -> String {
    let path = |name: &str| workspace.path(name).display().to_string();
    let root = path("root");
    [
        ("APT::Architecture", plan.arch.clone()),
        ("APT::Architectures::", plan.arch.clone()),
        ("APT::Install-Recommends", "false".to_owned()),
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::Retries", "2".to_owned()),
        ("Dir", format!("{root}/")),
        ("Dir::State::status", format!("{root}/var/lib/dpkg/status")),
        ("Dir::State::lists", path("lists/")),
        ("Dir::Cache::pkgcache", String::new()),
        ("Dir::Cache::srcpkgcache", String::new()),
        ("Dir::Log", path("")),
        ("Dir::Etc::main", "/dev/null".to_owned()),
        ("Dir::Etc::parts", "/dev/null".to_owned()),
        ("Dir::Etc::preferences", "/dev/null".to_owned()),
        ("Dir::Etc::preferencesparts", "/dev/null".to_owned()),
        ("Dir::Etc::sourcelist", path("sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
        ("DPkg::Options::", "--force-unsafe-io".to_owned()),
        ("DPkg::Options::", "--force-confold".to_owned()),
    ]
    .map(|(name, value)| format!("{name} \"{value}\";\n"))
    .concat()
}

/// apt-get(8) for one root.
struct AptGet<'a> {
    workspace: &'a Workspace,
    plan: &'a BuildPlan,
    root: &'a Path,
    config: PathBuf,
}

impl<'a> AptGet<'a> {
    fn new(workspace: &'a Workspace, plan: &'a BuildPlan, root: &'a Path, config: PathBuf) -> Self {
        Self {
            workspace,
            plan,
            root,
            config,
        }
    }

    fn run(&self, words: &[&str], operands: &[String], transaction: &Transaction) -> Result<()> {
        let mut command = self.workspace.command("apt-get", self.plan);
        command
            .env("APT_CONFIG", &self.config)
            .args(["--yes", "-oDpkg::Use-Pty=false"])
            .arg(format!("-oDPkg::Chroot-Directory={}", self.root.display()))
            .args(words)
            .args(operands)
            .envs(variables(transaction))
            .stdout(std::io::stderr());
        done(&mut command)
    }
}

fn variables(transaction: &Transaction) -> impl Iterator<Item = (&str, &str)> {
    let variables = transaction.environment.iter();
    variables.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// A line of sources.list(5).
fn line(source: &PackageSource, keyring: Option<&Path>, arch: &str) -> String {
    let trust = match keyring {
        Some(path) => format!("signed-by={}", path.display()),
        None => "trusted=yes".to_owned(),
    };
    let uri = match source.directory() {
        Some(directory) => format!("copy:{}", directory.display()),
        None => source.location.clone(),
    };
    let suite = source.suite.as_deref().unwrap_or("./");
    let components = source.components.join(" ");
    format!("deb [arch={arch} {trust}] {uri} {suite} {components}")
        .trim_end()
        .to_owned()
}

/// The arguments of mmdebstrap, without the suite and what follows it. All transactions are looked up at once; the
/// first is installed here, and the others by a hook.
fn arguments(plan: &BuildPlan) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--verbose",
        "--mode=root",
        "--variant=minbase",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--aptopt=Acquire::Languages \"none\"",
        "--aptopt=Acquire::Retries \"2\"",
        "--aptopt=APT::Sandbox::User \"root\"",
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=force-confold",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--architectures={}", plan.arch));
    let mut wanted = Vec::new();
    if plan.simulate {
        arguments.extend(["--simulate".to_owned(), "--format=null".to_owned()]);
        wanted.extend(plan.transactions.iter().flat_map(operands));
    } else {
        arguments.push("--format=tar".to_owned());
        wanted.extend(plan.transactions.first().into_iter().flat_map(operands));
    }
    if !wanted.is_empty() {
        arguments.push(format!("--include={}", wanted.join(",")));
    }
    arguments
}

/// A transaction as apt-get takes it: tasks end in `^`, what is kept out in `-`.
fn operands(transaction: &Transaction) -> Vec<String> {
    let groups = transaction.groups.iter().map(|task| format!("{task}^"));
    let exclude = transaction.exclude.iter().map(|name| format!("{name}-"));
    let install = transaction.install.iter().cloned();
    install.chain(groups).chain(exclude).collect()
}

/// Installs the transactions that mmdebstrap has not, and removes what is to be removed.
pub(super) fn further_transactions(
    workspace: &Workspace,
    plan: &BuildPlan,
    root: &Path,
) -> Result<()> {
    ensure!(
        root.join(POLICY).is_file(),
        "{POLICY} is missing in the root, and services would start: mmdebstrap is older than 1.0, or a package \
         replaced it"
    );
    // The first is mmdebstrap's, which has configured apt for the root.
    let (first, config) = if plan.base.is_some() {
        (0, workspace.path(CONFIG))
    } else {
        let config = std::env::var("MMDEBSTRAP_APT_CONFIG");
        (1, config.context("reading mmdebstrap's apt.conf")?.into())
    };
    let apt = AptGet::new(workspace, plan, root, config);
    for (at, transaction) in plan.transactions.iter().enumerate() {
        let operands = operands(transaction);
        if at >= first && !operands.is_empty() {
            // What a container image has is there on purpose: who conflicts with it is told so.
            let words = if plan.base.is_some() {
                &["install", "--no-remove"][..]
            } else {
                &["install"]
            };
            apt.run(words, &operands, transaction)?;
        }
        if !transaction.remove_after.is_empty() {
            let words = ["purge", "--auto-remove"];
            apt.run(&words, &transaction.remove_after, transaction)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_authenticated_unless_it_is_trusted_explicitly() {
        let mut source = PackageSource {
            name: "tree".into(),
            location: "/install/debian12/x86_64".into(),
            suite: Some("bookworm".into()),
            components: vec!["main".into(), "contrib".into()],
            trust: SourceTrust::Explicit,
        };
        assert_eq!(
            line(&source, None, "amd64"),
            "deb [arch=amd64 trusted=yes] copy:/install/debian12/x86_64 bookworm main contrib"
        );
        source.location = "https://packages.example.invalid/debian".into();
        source.suite = None;
        source.components.clear();
        assert_eq!(
            line(&source, Some(Path::new("/mnt/tree.asc")), "amd64"),
            "deb [arch=amd64 signed-by=/mnt/tree.asc] https://packages.example.invalid/debian ./"
        );
    }

    #[test]
    fn a_transaction_keeps_out_what_its_list_excludes() {
        let transaction = Transaction {
            install: vec!["docker.io".into(), "linux-image-amd64=6.1".into()],
            groups: vec!["ssh-server".into()],
            exclude: vec!["exim4".into()],
            ..Transaction::default()
        };
        assert_eq!(
            operands(&transaction),
            [
                "docker.io",
                "linux-image-amd64=6.1",
                "ssh-server^",
                "exim4-"
            ]
        );
    }
}
