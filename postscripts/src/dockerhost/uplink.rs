//! The NIC into the bridge, before anything else: by `bridgeprereq`, which is in the directory of this program.
//!
//! A program of its own and no call: its watchdog is a second process of the same program, and what it
//! needs to speak to the kernel would double the size of this one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use definitions::{DockerNetwork, IfName};

use super::cli::Args;
use super::service;

/// Has the NIC join the bridge of the network; fails with what that program printed.
pub(super) fn join(network: &DockerNetwork, nic: &IfName, args: &Args) -> Result<()> {
    let mut command = Command::new(beside()?);
    command.arg(format!("{nic}:{}", network.name()));
    command.arg("--root").arg(&args.root);
    if args.dry_run {
        command.arg("--dry-run");
    }
    service::run(&mut command)
        .with_context(|| format!("moving {nic} into {}", network.name()))
        .map(drop)
}

/// Returns the program's path: the directory of this one.
fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's directory")?;
    let path = own.with_file_name("bridgeprereq");
    if !path.exists() {
        bail!(
            "no bridgeprereq beside {}: put both into one directory",
            own.display()
        );
    }
    Ok(path)
}
