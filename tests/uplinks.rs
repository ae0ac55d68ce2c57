//! Uplinks that only a machine of their own has: bonds and VLANs below netplan, NICs of NetworkManager's and
//! of ifupdown's with units of systemd's, a kernel that has no bridges. Each joins a bridge while the
//! management node looks on, and is there again after a reboot.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Disk, Machine, Need, Site, same, static_programs, trial};
use libtest_mimic::Trial;

use crate::boot::first_boot;

/// Where the programs are put.
const PROGRAMS: &str = "/usr/local/sbin";

/// No engine: nothing else makes bridges, and the boot is quicker.
const NO_ENGINE: &str =
    "systemd.mask=docker.service systemd.mask=docker.socket systemd.mask=containerd.service";

/// NetworkManager in place of systemd-networkd.
const NETWORKMANAGER: &str = "systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket \
                              systemd.wants=NetworkManager.service";

/// How long a changed network may take to settle.
const SETTLING: Duration = Duration::from_secs(180);

/// Two NICs as one, and a VLAN on a third.
const NETPLAN: &str = "network:
  version: 2
  renderer: networkd
  ethernets:
    eth0: {dhcp4: true, link-local: []}
    eth1: {}
    eth2: {}
    eth3: {}
    eth4: {link-local: []}
  bonds:
    bond0:
      interfaces: [eth1, eth2]
      parameters: {mode: active-backup, mii-monitor-interval: 100}
      addresses: [10.78.0.2/24]
      routes:
        - {to: 10.99.0.0/16, via: 10.78.0.1}
  vlans:
    eth3.7:
      id: 7
      link: eth3
      addresses: [10.79.0.2/24]
";

pub(crate) fn trials() -> Vec<Trial> {
    let machine = &[Need::Machines, Need::MachineDisk];
    vec![
        trial(
            "boot::bonds_and_vlans_of_netplan_join_bridges_for_good",
            machine,
            netplan,
        ),
        trial(
            "boot::a_nic_of_networkmanager_joins_a_bridge_for_good",
            machine,
            networkmanager,
        ),
        trial(
            "boot::a_nic_of_ifupdown_joins_a_bridge_for_good",
            machine,
            ifupdown,
        ),
    ]
}

/// Boots a machine with the programs on it.
fn boot<'a>(site: &'a Site, name: &str, switches: &[&str], words: &str) -> Result<Machine<'a>> {
    let programs = static_programs()?;
    site.serve_addresses(&[])?;
    let disk = Disk::find().context("finding the disk of a machine")?;
    let machine = Machine::boot(site, name, &disk, switches, &format!("{NO_ENGINE} {words}"))?;
    machine.put(&programs, PROGRAMS)?;
    Ok(machine)
}

fn netplan() -> Result<()> {
    let site = Site::new()?;
    site.add_switch("sw1", "10.78.0.1/24")?;
    site.add_switch("sw2", "10.99.0.1/16")?;
    let mut machine = boot(&site, "netplan", &["sw", "sw1", "sw1", "sw2", "sw2"], "")?;
    machine.succeed(&format!(
        "rm /etc/systemd/network/uplink.network; umask 077; cat >/etc/netplan/site.yaml <<'END'\n{NETPLAN}END\n\
         systemd-run --quiet netplan apply"
    ))?;
    // The connection may be lost with the address.
    machine.wait(SETTLING)?;
    answers(&site, &["10.78.0.2"])?;
    vlan_answers(&machine)?;

    reports_a_kernel_without_bridges(&machine)?;
    let uplinks = [("bond0", "br0"), ("eth3.7", "br7")];
    for (nic, bridge) in uplinks {
        machine.succeed(&format!("bridgeprereq {nic}:{bridge}"))?;
    }
    answers(&site, &["10.78.0.2"])?;
    vlan_answers(&machine)?;
    holds_addresses(&machine, &uplinks)?;
    // The bond is still one: the other NIC takes over.
    machine.succeed("ip link set eth1 down")?;
    answers(&site, &["10.78.0.2"])?;
    machine.succeed("ip link set eth1 up")?;

    machine.reboot()?;
    answers(&site, &["10.78.0.2"])?;
    vlan_answers(&machine).context("after a reboot")?;
    holds_addresses(&machine, &uplinks).context("after a reboot")?;
    let bond = machine.succeed("cat /proc/net/bonding/bond0")?;
    ensure!(
        bond.matches("MII Status: up").count() == 3,
        "the bond: {bond}"
    );
    machine.power_off()
}

/// The VLAN is asked from beyond the switch, by the machine's last NIC in a namespace: not every kernel that
/// runs this has VLANs.
fn vlan_answers(machine: &Machine) -> Result<()> {
    machine.succeed(
        "if [ ! -e /run/netns/peer ]; then ip netns add peer && ip link set eth4 netns peer && \
         ip -n peer link set eth4 up && ip -n peer link add link eth4 name vlan7 type vlan id 7 && \
         ip -n peer address add 10.79.0.1/24 dev vlan7 && ip -n peer link set vlan7 up; fi && \
         for i in $(seq 30); do ip netns exec peer ping -q -c 1 -w 1 10.79.0.2 && exit 0; sleep 1; done; exit 1",
    )?;
    Ok(())
}

/// A module that may not be loaded: refused in one sentence, and nothing is changed.
fn reports_a_kernel_without_bridges(machine: &Machine) -> Result<()> {
    ensure!(
        machine.run("grep -q '^bridge ' /proc/modules")?.code == Some(1),
        "bridges are there already"
    );
    machine.succeed("echo 'install bridge /bin/false' >/etc/modprobe.d/none.conf")?;
    // Not IPv6, whose addresses and routes may still be settling by themselves.
    let look = "ip -o -4 address; ip -4 route show table all; ip -o link | cut -d: -f2; cat /etc/netplan/*";
    let before = machine.succeed(look)?;
    let refused = machine.run("bridgeprereq bond0:br0")?;
    let last = refused.stderr.lines().last().unwrap_or_default();
    same(
        &last,
        &"bridgeprereq: this kernel cannot make a bridge: let it load the module 'bridge' (modprobe bridge), \
          or boot one that has it; nothing was changed",
    )?;
    same(&refused.code, &Some(1))?;
    same(&machine.succeed(look)?, &before)?;
    machine.succeed("rm /etc/modprobe.d/none.conf").map(drop)
}

fn networkmanager() -> Result<()> {
    let site = Site::new()?;
    let mut machine = boot(&site, "networkmanager", &["sw"], NETWORKMANAGER)?;
    let uplinks = [("eth0", "mydocker0")];
    // NetworkManager takes the address away while it activates the bridge's profile, for a moment.
    let mut ping = site.command("ping");
    let ping = ping
        .args(["-q", "-n", "-i", "0.01", "-c", "2000", Machine::ADDRESS])
        .stdout(Stdio::piped())
        .spawn()?;
    machine.succeed(
        "bridgeprereq eth0:mydocker0 || { code=$?; journalctl -q -o short-precise -u NetworkManager -n 120; exit $code; }",
    )?;
    let seen = String::from_utf8(ping.wait_with_output()?.stdout)?;
    let summary = seen.lines().find(|line| line.contains("packets"));
    println!(
        "networkmanager: {}",
        summary.context("ping counts nothing")?
    );
    holds_addresses(&machine, &uplinks)?;
    machine.reboot()?;
    holds_addresses(&machine, &uplinks).context("after a reboot")?;
    let active = machine.succeed("nmcli -t -f DEVICE,STATE device")?;
    ensure!(
        active.contains("mydocker0:connected\n"),
        "NetworkManager says: {active}"
    );
    machine.power_off()
}

/// What Debian's installer sets up: ifupdown, whose client is dhcpcd.
fn ifupdown() -> Result<()> {
    let site = Site::new()?;
    let mut machine = boot(&site, "ifupdown", &["sw"], "")?;
    machine.succeed(
        "printf '%s\\n' 'auto lo' 'iface lo inet loopback' 'allow-hotplug eth0' 'iface eth0 inet dhcp' \
         >/etc/network/interfaces; \
         systemctl --quiet disable systemd-networkd; systemctl --quiet enable networking",
    )?;
    machine.reboot()?;
    let uplinks = [("eth0", "mydocker0")];
    machine.succeed("pgrep -f 'dhcpcd: eth0'")?;
    first_boot(
        &site,
        &machine,
        &static_programs()?,
        &["xHRM bridgeprereq eth0:mydocker0"],
    )?;
    holds_addresses(&machine, &uplinks)?;
    machine.reboot()?;
    holds_addresses(&machine, &uplinks).context("after a reboot")?;
    // The client that was handed over ended on request: no shutdown waited for it.
    machine.has_not_said("systemd-shutdown")?;
    machine.power_off()
}

/// What is true of uplinks that have joined: each NIC is a port without an address, and a further run finds
/// nothing to do.
fn holds_addresses(machine: &Machine, uplinks: &[(&str, &str)]) -> Result<()> {
    for (nic, bridge) in uplinks {
        let link = machine.succeed(&format!("ip -o link show {nic}"))?;
        ensure!(
            link.contains(&format!(" master {bridge} ")),
            "{nic}: {link}"
        );
        same(
            &machine
                .succeed(&format!("ip -o -4 address show dev {nic}"))?
                .as_str(),
            &"",
        )?;
        let said = machine.succeed(&format!("bridgeprereq {nic}:{bridge}"))?;
        same(&said.as_str(), &"nothing to do\n")?;
    }
    Ok(())
}

fn answers(site: &Site, addresses: &[&str]) -> Result<()> {
    for address in addresses {
        let is_up = site.reaches(address, SETTLING.as_secs())?;
        ensure!(is_up, "{address} does not answer");
    }
    Ok(())
}
