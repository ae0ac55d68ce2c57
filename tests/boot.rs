//! What hosts run, on a real machine: an installed disk is booted in qemu, becomes a docker host, is
//! rebooted, and still is one. All from the management node's side: over ssh, TLS and ping.

use anyhow::{Context, Result};
use e2e::{Disk, DockerHost, Machine, Need, Progress, Site, static_programs, story};
use libtest_mimic::Trial;

/// Where the programs are put.
const PROGRAMS: &str = "/usr/local/sbin";

pub(crate) fn stories() -> Vec<Trial> {
    let machine = &[
        Need::Machines,
        Need::MachineDisk,
        Need::Tools(DockerHost::TOOLS),
    ];
    vec![story(
        "boot::a_booted_host_becomes_a_docker_host_and_is_one_after_a_reboot",
        machine,
        becomes_a_docker_host,
    )]
}

fn becomes_a_docker_host() -> Result<()> {
    let programs = static_programs()?;
    let mut progress = Progress::begin();
    let site = Site::new()?;
    site.serve_addresses(&[])?;
    let disk = Disk::find(Disk::SUITE).context("finding the disk of a machine")?;
    let mut machine = Machine::boot(&site, "docker-host", &disk, &["sw"], "")?;
    progress.done("booted");
    machine.put(&programs, PROGRAMS)?;
    machine.succeed(&format!("ln -s bridgeprereq {PROGRAMS}/xHRM"))?;
    for script in DockerHost::SCRIPTS {
        machine.succeed(script)?;
        progress.done(script);
    }
    let host = DockerHost::of(&site, &machine)?;
    host.start_container()?;
    progress.done("container started");
    host.holds(&machine, PROGRAMS)?;
    progress.done("proven");
    machine.reboot()?;
    progress.done("rebooted");
    host.holds(&machine, PROGRAMS).context("after a reboot")?;
    progress.done("proven again");
    machine.power_off()?;
    progress.done("switched off");
    Ok(())
}
