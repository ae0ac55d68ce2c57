//! Debian and Ubuntu: mmdebstrap(1), which apt of the management node does for.
//!
//! A plan comes in; the programs and their arguments go out, and an archive on standard output. Nothing is
//! unauthenticated but what the plan trusts by itself.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::inside::{POLICY, Workspace, done};
use super::plan::{BuildPlan, PackageSource, SourceTrust, Transaction};

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

/// Installs what follows the first transaction, and removes what is to be removed, with the apt that mmdebstrap has
/// configured for the root.
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
    let config = std::env::var("MMDEBSTRAP_APT_CONFIG").context("reading mmdebstrap's apt.conf")?;
    let apt = |words: &[&str], operands: &[String], transaction: &Transaction| {
        let mut command = workspace.command("apt-get", plan);
        command
            .env("APT_CONFIG", &config)
            .args(["--yes", "-oDpkg::Use-Pty=false"])
            .arg(format!("-oDPkg::Chroot-Directory={}", root.display()))
            .args(words)
            .args(operands)
            .envs(variables(transaction))
            .stdout(std::io::stderr());
        done(&mut command)
    };
    for (at, transaction) in plan.transactions.iter().enumerate() {
        if at > 0 {
            let operands = operands(transaction);
            if !operands.is_empty() {
                apt(&["install"], &operands, transaction)?;
            }
        }
        if !transaction.remove_after.is_empty() {
            let words = ["purge", "--auto-remove"];
            apt(&words, &transaction.remove_after, transaction)?;
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
