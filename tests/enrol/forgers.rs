//! Somebody on the LAN answers every name with an address of its own. A node that enrols, renews and reports asks nobody.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, outcome, same};

use super::lab::Lab;

/// The hardware address of whoever answers.
const FORGER: &str = "52:54:00:66:66:66";
/// Its own address.
const OWN: &str = "10.77.0.66";
/// How long an answer may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A lab whose node and whoever forges have namespaces of their own, on the management node's switch.
struct Lan(Lab);

impl Lan {
    fn new() -> Result<Self> {
        let lan = Self(Lab::new()?);
        fs::create_dir_all(lan.0.node("etc"))?;
        lan.0.arm()?;
        let site = &lan.0.site;
        // names of namespaces are this test's own
        site.succeed("mkdir", &["-p", "/run/netns"])?;
        site.succeed("mount", &["-t", "tmpfs", "tmpfs", "/run/netns"])?;
        for (name, mac, address) in [
            ("node", "52:54:00:77:00:01", "10.77.0.11/24"),
            ("forger", FORGER, "10.77.0.66/24"),
        ] {
            let link = ["netns", name, "type", "veth", "peer", "name", name];
            site.succeed("ip", &["netns", "add", name])?;
            site.succeed("ip", &[&["link", "add", "eth0"], &link[..]].concat())?;
            site.succeed("ip", &["link", "set", name, "master", "sw", "up"])?;
            let own = ["-n", name];
            let set = ["link", "set", "eth0", "address", mac, "up"];
            site.succeed("ip", &[&own[..], &set].concat())?;
            let add = ["address", "add", address, "dev", "eth0"];
            site.succeed("ip", &[&own[..], &add].concat())?;
        }
        Ok(lan)
    }

    /// Prepares a program in one of the namespaces.
    fn command(&self, name: &str, program: &str) -> Command {
        let mut command = self.0.site.command("ip");
        command.args(["netns", "exec", name, program]);
        command
    }

    /// Runs `enrol` on the node.
    fn enrol(&self, more: &[&str]) -> Result<Outcome> {
        let program = super::lab::enrol_program()?;
        let mut command = self.command("node", "timeout");
        command.arg("120").arg(program).arg("--root");
        outcome(command.arg(self.0.node("")).args(more))
    }
}

/// Who answers every name with an address of its own is never asked: a node knows the management node by its address.
pub(super) fn by_dns() -> Result<()> {
    let mut lan = Lan::new()?;
    lan.0.serve()?;
    let log = lan.0.sandbox.path("dns.log");
    let mut server = lan.command("forger", "dnsmasq");
    server
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ])
        .args(["--no-resolv", "--no-hosts", "--log-queries", "--pid-file="])
        .arg(format!("--address=/#/{OWN}"))
        .arg(format!("--log-facility={}", log.display()));
    server.spawn().context("starting dnsmasq")?;
    let names = lan.0.sandbox.path("resolv.conf");
    fs::write(&names, format!("nameserver {OWN}\nsearch cluster\n"))?;
    let site = &lan.0.site;
    let names = names.display().to_string();
    site.succeed("mount", &["--bind", &names, "/etc/resolv.conf"])?;
    let end = Instant::now() + TIMEOUT;
    loop {
        let mut asked = lan.command("node", "busybox");
        let asked = outcome(asked.args(["nslookup", "slipwayd.cluster"]))?;
        if asked.stdout.contains(OWN) && fs::read_to_string(&log)?.contains("slipwayd.cluster") {
            break;
        }
        ensure!(Instant::now() < end, "names are not forged: {asked:?}");
    }
    let before = fs::read_to_string(&log)?;
    for tried in [&[][..], &["--renew"], &["--report", "booted"], &[]] {
        let ended = lan.enrol(tried)?;
        ensure!(ended.code == Some(0), "{tried:?}: {ended:?}");
    }
    same(&fs::read_to_string(&log)?, &before)?;
    same(&lan.0.alarms()?, &Vec::new())
}
