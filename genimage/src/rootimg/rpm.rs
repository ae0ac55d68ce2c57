//! The RHEL family, Fedora and SUSE: `dnf --installroot` and `zypper --root`, and an archive by tar(1).
//!
//! A plan comes in; the programs and their arguments go out, and an archive on standard output. The package manager of
//! the management node serves: its settings, its repositories and its plugins count for nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::{RpmRepo, RpmSignatures};

use super::container::host::CONTAINER_PACKAGES;
use super::inside::{NOTE, Workspace, archive, customize, done, prepare};
use super::plan::{BuildPlan, PackageSource, RootFormat, SourceTrust, Transaction};

/// Where the root's repositories are configured.
const REPOSITORIES: &str = "repos.d";
/// The settings of dnf, of the library that zypper uses, and of zypper: files that say nothing.
const DNF_CONFIG: &str = "dnf.conf";
const ZYPP_CONFIG: &str = "zypp.conf";
const ZYPPER_CONFIG: &str = "zypper.conf";

/// Builds the root, and archives it.
pub(super) fn install(workspace: &Workspace, plan: &BuildPlan) -> Result<()> {
    let root = workspace.path("root");
    fs::create_dir_all(workspace.path(REPOSITORIES))
        .context("making the directory of repositories")?;
    for source in &plan.sources {
        let name = format!("{REPOSITORIES}/{}.repo", source.name);
        workspace.write(
            &name,
            repository(workspace, source, plan.format)?.as_bytes(),
        )?;
    }
    // Settings of the management node are for its own packages: dnf.conf(5), zypp.conf of libzypp, zypper(8).
    workspace.write(DNF_CONFIG, b"[main]\n")?;
    workspace.write(ZYPP_CONFIG, b"[main]\n")?;
    workspace.write(ZYPPER_CONFIG, b"[main]\n")?;
    // Debian's rpm keeps its database in a place of its own, where the booted system does not look.
    workspace.write(".rpmmacros", database(plan).as_bytes())?;
    prepare(&root)?;
    if plan.base.is_some() {
        erase_placeholders(workspace, plan, &root)?;
    }
    if plan.format == RootFormat::Zypper {
        // Of itself zypper takes a key only from who is asked, or whatever the repository brings.
        for source in plan
            .sources
            .iter()
            .filter(|source| source.trust != SourceTrust::Explicit)
        {
            let mut import = workspace.command("rpmkeys", plan);
            import.arg("--root").arg(&root).arg("--import");
            done(import.arg(workspace.path(&format!("{}.asc", source.name))))?;
        }
    }
    let all = |of: fn(&Transaction) -> &Vec<String>| {
        plan.transactions.iter().flat_map(of).cloned().collect()
    };
    let at_once = [Transaction {
        install: all(|one| &one.install),
        groups: all(|one| &one.groups),
        exclude: all(|one| &one.exclude),
        ..Transaction::default()
    }];
    let transactions = if plan.simulate {
        &at_once[..]
    } else {
        &plan.transactions
    };
    for transaction in transactions {
        for words in commands(workspace, plan, transaction) {
            let (program, words) = words.split_first().context("composing a command")?;
            let mut command = workspace.command(program, plan);
            command
                .args(words)
                .env("ZYPP_CONF", workspace.path(ZYPP_CONFIG))
                .envs(
                    transaction
                        .environment
                        .iter()
                        .map(|(name, value)| (name, value)),
                )
                .stdout(std::io::stderr());
            done(&mut command)?;
        }
    }
    if plan.simulate {
        return Ok(());
    }
    customize(workspace, plan, &root)?;
    archive(workspace, plan, &root)
}

/// Erases packages that only hold the place of others, which conflict with them.
fn erase_placeholders(workspace: &Workspace, plan: &BuildPlan, root: &Path) -> Result<()> {
    let rpm = || {
        let mut command = workspace.command("rpm", plan);
        command.arg("--root").arg(root).stdout(std::io::stderr());
        command
    };
    for name in CONTAINER_PACKAGES {
        let found = rpm()
            .args(["--query", name])
            .status()
            .context("running rpm")?;
        if found.success() {
            done(rpm().args(["--erase", "--nodeps", name]))?;
            eprintln!("{NOTE}the package {name}, which only containers have, was removed");
        }
    }
    Ok(())
}

/// Where the root's rpm has its database: `/usr/lib/sysimage/rpm` since EL 10 and in SUSE, `/var/lib/rpm` before.
fn database(plan: &BuildPlan) -> String {
    let major = plan.release.split('.').next().unwrap_or_default();
    let old = plan.format == RootFormat::Dnf && major.parse().is_ok_and(|major: u32| major < 10);
    let place = if old {
        "/var/lib/rpm"
    } else {
        "/usr/lib/sysimage/rpm"
    };
    format!("%_dbpath {place}\n%_netsharedpath /proc:/sys\n")
}

/// A file of yum.repos.d(5), with the keys beside it.
fn repository(workspace: &Workspace, source: &PackageSource, format: RootFormat) -> Result<String> {
    let key = match &source.trust {
        SourceTrust::Explicit => None,
        SourceTrust::Keys(keys) => {
            let name = format!("{}.asc", source.name);
            Some(workspace.write(&name, keys.as_bytes())?)
        }
    };
    let uri = match source.directory() {
        Some(directory) => format!("file://{}", directory.display()),
        None => source.location.clone(),
    };
    let repo = RpmRepo {
        name: source.name.clone(),
        uri,
        key_urls: key
            .map(|path| format!("file://{}", path.display()))
            .into_iter()
            .collect(),
        signatures: RpmSignatures::unless_trusted(source.trust == SourceTrust::Explicit),
        zypper: format == RootFormat::Zypper,
    };
    Ok(repo.render())
}

/// The commands of one transaction.
fn commands(
    workspace: &Workspace,
    plan: &BuildPlan,
    transaction: &Transaction,
) -> Vec<Vec<String>> {
    let path = |name: &str| workspace.path(name).display().to_string();
    let (root, repositories) = (path("root"), path(REPOSITORIES));
    let (base, install, remove) = match plan.format {
        RootFormat::Dnf | RootFormat::Apt => (
            vec![
                "dnf".to_owned(),
                "--assumeyes".to_owned(),
                format!("--config={}", path(DNF_CONFIG)),
                format!("--installroot={root}"),
                format!("--releasever={}", plan.release),
                format!("--forcearch={}", plan.arch),
                format!("--setopt=reposdir={repositories}"),
                "--setopt=plugins=0".to_owned(),
                "--setopt=install_weak_deps=False".to_owned(),
                "--setopt=varsdir=/nonexistent".to_owned(),
            ],
            "install",
            "remove",
        ),
        RootFormat::Zypper => (
            vec![
                "zypper".to_owned(),
                format!("--config={}", path(ZYPPER_CONFIG)),
                "--non-interactive".to_owned(),
                format!("--root={root}"),
                format!("--reposd-dir={repositories}"),
            ],
            "install",
            "remove",
        ),
    };
    let is_dnf = plan.format != RootFormat::Zypper;
    let mut found = Vec::new();
    let mut operands: Vec<String> = transaction.install.clone();
    operands.extend(transaction.groups.iter().map(|group| {
        if is_dnf {
            format!("@{group}")
        } else {
            format!("pattern:{group}")
        }
    }));
    if !operands.is_empty() {
        let mut words = base.clone();
        if is_dnf && plan.simulate {
            // Downloads and checks nothing but the solution; "no" to its question would be a failure.
            words.push("--setopt=tsflags=test".to_owned());
        }
        if is_dnf && !transaction.exclude.is_empty() {
            words.push(format!("--exclude={}", transaction.exclude.join(",")));
        }
        words.push(install.to_owned());
        if !is_dnf {
            words.push("--no-recommends".to_owned());
            words.push("--auto-agree-with-licenses".to_owned());
            words.extend(plan.simulate.then(|| "--dry-run".to_owned()));
            operands.extend(transaction.exclude.iter().map(|name| format!("!{name}")));
        }
        words.extend(operands);
        found.push(words);
    }
    if !transaction.remove_after.is_empty() && !plan.simulate {
        let mut words = base;
        words.push(remove.to_owned());
        words.extend(transaction.remove_after.iter().cloned());
        found.push(words);
    }
    found
}
