//! A bare machine is switched on, and nobody touches it until it is a docker host.

use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{BareMachine, Machine, Progress, Site};

use crate::management_node::ManagementNode;

/// The size of its disk, of which little is ever written.
const DISK: u64 = 12 << 30;
/// How long one stage of the installation may take.
const STAGE_TIMEOUT: Duration = Duration::from_secs(3600);

/// What the console says first when a stage begins, and what is over then.
const STAGES: [(&str, &str); 4] = [
    ("Linux version", "power on, DHCP, boot script"),
    ("Detecting network hardware", "kernel and installer"),
    ("Installing the base system", "components, disk"),
    ("Select and install software", "base system"),
];

/// Switches the machine on; returns when its new system lets root in.
pub(crate) fn install<'a>(
    management_node: &ManagementNode,
    site: &'a Site,
    progress: &mut Progress,
) -> Result<Machine<'a>> {
    let disk = management_node.path("disk.raw");
    File::create(&disk)?.set_len(DISK)?;
    let kernel = kernel(management_node)?;
    let bare = BareMachine {
        site,
        name: "full-chain",
        disk: &disk,
        kernel: &kernel,
        key: management_node.key(),
    };
    let mut machine = bare.switch_on()?;
    println!("$ ipmitool -H host01-bmc power on    # here: qemu, with an empty disk");
    for (said, over) in STAGES {
        let end = Instant::now() + STAGE_TIMEOUT;
        while !machine.has_said(said)? {
            ensure!(
                machine.is_on()?,
                "the machine went off: {}",
                machine.last_words()
            );
            ensure!(
                Instant::now() < end,
                "{over} does not end: {}",
                machine.last_words()
            );
            sleep(Duration::from_millis(500));
        }
        progress.done(over);
    }
    machine
        .wait(STAGE_TIMEOUT)
        .context("waiting for the installed system")?;
    progress.done("packages, boot loader, late scripts, reboot from disk");
    Ok(machine)
}

/// The installer's kernel in the tree that was imported.
fn kernel(management_node: &ManagementNode) -> Result<std::path::PathBuf> {
    let releases = std::fs::read_dir(management_node.installdir())?;
    releases
        .filter_map(|entry| Some(entry.ok()?.path().join("x86_64/install.amd/vmlinuz")))
        .find(|path| path.exists())
        .context("the tree has no kernel")
}
