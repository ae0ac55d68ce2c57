//! The full chain, for real: an install medium becomes a docker host, unattended.
//!
//! `tests/e2e` builds the medium and runs this. Commands are typed as an administrator types them, from
//! binaries that are installed below a prefix of their own; the management node is a network namespace in
//! which the distribution's dnsmasq and slipwayd run; the bare machine is one of qemu. With `LEVEL=2` it boots the
//! site's own iPXE, built from the source that `IPXE_SOURCE` names, else from the source package. What its
//! console says is kept in `target/machines/console/`.

mod management_node;
mod unattended;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use e2e::{DockerHost, Need, Progress, Site};

use management_node::ManagementNode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let medium = std::env::args_os().nth(1).map(PathBuf::from);
    let medium = medium.context("expected an install medium")?;
    let needs = [
        Need::Machines,
        Need::Tools(DockerHost::TOOLS),
        Need::Tools(&["script", "ssh-keygen"]),
    ];
    if let Some(lacking) = needs.into_iter().find_map(Need::lacking) {
        bail!("the full chain {lacking}");
    }
    let mut progress = Progress::begin();
    let management_node = ManagementNode::open(&medium)?;
    progress.done("programs built and installed");
    let osimage = management_node.import(&medium)?;
    progress.done("copycds");
    management_node.define()?;
    if std::env::var("LEVEL").is_ok_and(|level| level == "2") {
        management_node.build_ipxe()?;
        progress.done("slipway-trust ipxe");
    }
    management_node.render(&osimage)?;
    progress.done("nodeset");

    let site = Site::new()?;
    management_node.serve(&site)?;
    progress.done("makedhcp, slipwayd");
    let mut machine = unattended::install(&management_node, &site, &mut progress)?;
    machine.wait_for_first_boot()?;
    let status = "/opt/slipway/bin/firstboot --status";
    println!("$ ssh root@host01 {status}\n{}", machine.succeed(status)?);
    progress.done("firstboot: enrol, bridgeprereq, setupdockerhost");
    management_node.has_enrolled(&machine)?;
    let host = DockerHost::by(&site, management_node.client()?);
    host.start_container()?;
    host.holds(&machine)?;
    progress.done("container started, host proven");
    management_node.run_container(&site)?;
    progress.done("mkdocker, rpower, lsdocker, rcons");
    machine.reboot()?;
    progress.done("rebooted");
    host.holds(&machine).context("after the reboot")?;
    management_node.has_its_container(&site)?;
    progress.done("host proven again");
    machine.has_not_said("systemd-shutdown")?;
    management_node.update(&site)?;
    progress.done("updatenode -P setupdockerhost: nothing to do");
    machine.power_off()?;
    println!("\n{progress}");
    Ok(())
}
