//! What hosts run, on real machines: an installed disk is booted in qemu, twice, and both become docker hosts, whose
//! containers reach each other; one is rebooted, and all still holds. All from the management node's side: over ssh, TLS
//! and ping.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{
    Disk, DockerHost, Machine, Need, Progress, Site, same, static_programs, trial, workspace,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::neighbours::Neighbours;

pub(crate) fn trials() -> Vec<Trial> {
    let machine = &[
        Need::Machines,
        Need::MachineDisk,
        Need::Tools(DockerHost::TOOLS),
    ];
    vec![trial(
        "boot::booted_hosts_become_docker_hosts_and_still_are_after_a_reboot",
        machine,
        become_docker_hosts,
    )]
}

fn become_docker_hosts() -> Result<()> {
    let programs = static_programs()?;
    let mut progress = Progress::begin();
    let site = Site::new()?;
    site.serve_addresses(&[])?;
    let disk = Disk::find().context("finding the disk of a machine")?;
    let names = ["docker-host", "docker-host-2"];
    let [mut machine, second] = Machine::boot_two(&site, names, &disk)?;
    let what = machine.succeed("uname -r; dockerd --version")?;
    progress.done(&format!("booted: {}", what.trim().replace('\n', ", ")));
    site.serve_files(&workspace().join("target"))?;
    for machine in [&machine, &second] {
        begin_first_boot(&site, machine, &programs, &DockerHost::SCRIPTS)?;
    }
    loses_power(&mut machine)?;
    machine.wait_for_first_boot()?;
    second.wait_for_first_boot()?;
    progress.done("firstboot, with a loss of power: bridgeprereq, setupdockerhost");
    let host = DockerHost::of(&site, &machine)?;
    host.start_container()?;
    progress.done("container started");
    host.holds(&machine)?;
    let neighbours = Neighbours::start(&site, [&machine, &second], DockerHost::IMAGE)?;
    neighbours.hold([&machine, &second])?;
    progress.done("proven, and containers of both hosts");
    dockerd_reads_before_it_is_restarted(&machine)?;
    progress.done("a wrong setting refused");
    machine.reboot()?;
    progress.done("rebooted");
    host.holds(&machine).context("after a reboot")?;
    neighbours
        .hold([&machine, &second])
        .context("after a reboot")?;
    progress.done("proven again");
    second.power_off()?;
    machine.power_off()?;
    progress.done("switched off");
    println!("{progress}");
    Ok(())
}

/// The machine loses power in the middle of the last script, which is begun again at the next boot; what was
/// done is not done again.
fn loses_power(machine: &mut Machine) -> Result<()> {
    machine.succeed(
        "for i in $(seq 6000); do pgrep -x setupdockerhost && exit; sleep 0.1; done; exit 1",
    )?;
    let before = first_result(machine)?;
    machine.lose_power()?;
    same(&first_result(machine)?, &before)
}

/// What the status says of the first script, which is done.
fn first_result(machine: &Machine) -> Result<Value> {
    let status: Value =
        serde_json::from_str(&machine.succeed("cat /var/lib/slipway/status.json")?)?;
    let first = status["scripts"][0].clone();
    ensure!(first["state"] == "done", "{status:#}");
    Ok(first)
}

/// From 23.0 on dockerd can be asked whether it takes a configuration: one that it does not take is
/// refused with its own words, and the daemon that runs is not touched.
fn dockerd_reads_before_it_is_restarted(machine: &Machine) -> Result<()> {
    let daemon = "systemctl show -P MainPID docker.service; cat /etc/docker/tls/cert.pem";
    let before = machine.succeed(daemon)?;
    machine.succeed("sed -i.good 's/^{/{ \"no-such-setting\": 1,/' /etc/docker/daemon.json")?;
    let refused = machine.run("/opt/slipway/postscripts/setupdockerhost --renew")?;
    let said = refused.stderr.lines().last().unwrap_or_default();
    ensure!(
        refused.code == Some(1)
            && said.starts_with(
                "setupdockerhost: having dockerd check /etc/docker/daemon.json as it would be: "
            )
            && said.contains("no-such-setting"),
        "{refused:?}"
    );
    same(&machine.succeed(daemon)?, &before)?;
    machine
        .succeed("mv /etc/docker/daemon.json.good /etc/docker/daemon.json")
        .map(drop)
}

/// Has the machine run scripts as after its installation, from what the site serves; returns when all went
/// well.
pub(crate) fn first_boot(
    site: &Site,
    machine: &Machine,
    programs: &[PathBuf],
    scripts: &[&str],
) -> Result<()> {
    site.serve_files(&workspace().join("target"))?;
    begin_first_boot(site, machine, programs, scripts)?;
    machine.wait_for_first_boot()
}

fn begin_first_boot(
    site: &Site,
    machine: &Machine,
    programs: &[PathBuf],
    scripts: &[&str],
) -> Result<()> {
    machine.succeed("mkdir -p /opt/slipway/bin /var/lib/slipway")?;
    machine.put(&[program(programs, "firstboot")?], "/opt/slipway/bin/")?;
    machine.put(
        &[runlist(site, machine, programs, scripts)?],
        "/var/lib/slipway/",
    )?;
    // As an installer does before it reboots: what is lost with the power is not what was installed.
    machine.succeed("/opt/slipway/bin/firstboot --enable && sync && systemctl daemon-reload")?;
    machine
        .succeed("systemctl start slipway-firstboot.service")
        .map(drop)
}

/// Finds a static program.
fn program(programs: &[PathBuf], name: &str) -> Result<PathBuf> {
    let found = programs.iter().find(|path| path.ends_with(name));
    Ok(found.with_context(|| format!("no program {name}"))?.clone())
}

/// Writes the list that `nodeset` would write: the scripts, and what the programs must be.
fn runlist(
    site: &Site,
    machine: &Machine,
    programs: &[PathBuf],
    scripts: &[&str],
) -> Result<PathBuf> {
    let mut named = serde_json::Map::new();
    for (name, path) in [
        ("xHRM", program(programs, "bridgeprereq")?),
        ("bridgeprereq", program(programs, "bridgeprereq")?),
        ("setupdockerhost", program(programs, "setupdockerhost")?),
    ] {
        let sum = Command::new("sha256sum").arg(&path).output()?.stdout;
        let sum = String::from_utf8(sum)?;
        let sum = sum.split(' ').next().context("sha256sum prints no sum")?;
        let size = fs::metadata(path)?.len();
        named.insert(name.to_owned(), json!({ "sha256": sum, "size": size }));
    }
    let entry = |line: &&str| json!({ "origin": "node", "line": line });
    let entries: Vec<_> = scripts.iter().map(entry).collect();
    let list = json!({
        "node": machine.host(),
        "osimage": "none",
        "source": format!("http://{}/install/postscripts", Site::ADDRESS),
        "environment": { "NODE": machine.host(), "MASTER": Site::ADDRESS },
        "postscripts": [],
        "postbootscripts": entries,
        "programs": named,
    });
    let path = site.path("postscripts.json");
    fs::write(&path, serde_json::to_vec_pretty(&list)?)?;
    Ok(path)
}
