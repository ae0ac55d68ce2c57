//! The NIC with the hardware address of the node's definition, and its address.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{AddressSource, IfName, MacAddresses, NetbootAddress, NetbootParameters};
use ipnetwork::IpNetwork;
use nix::libc;

use super::console::Console;
use super::dhcp;
use super::drivers::names_in;
use crate::bridge::net::{Address, Hop, HostKernel, KernelRoute, Step};
use crate::http::Url;

/// Where the kernel lists NICs.
const NICS: &str = "/sys/class/net";
/// How long a link may take to come up: a switch with spanning tree keeps a port silent for half a minute.
const LINK_TIMEOUT: Duration = Duration::from_secs(90);
/// How often it is said that there is none.
const LINK_REMINDER: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Finds the NIC, waits for its link and sets its address, which it asks for where the definition has none.
///
/// # Errors
/// When there is no such NIC, it gets no link, or the kernel refuses the address.
pub(super) fn configure(parameters: &NetbootParameters, console: &Console) -> Result<()> {
    let nics = Path::new(NICS);
    let Some(name) = find(nics, &parameters.mac)? else {
        return Err(missing(nics, &parameters.mac));
    };
    let kernel = HostKernel::open().context("opening netlink")?;
    let link: IfName = name.parse()?;
    let up = Step::SetUp { link: link.clone() };
    kernel
        .perform(&up)
        .with_context(|| format!("bringing {name} up"))?;
    wait_for_link(nics, &name, console)?;
    let address = match parameters.address {
        AddressSource::Static(address) => address,
        AddressSource::Dhcp => {
            let url: Url = parameters.image.url.parse()?;
            let IpAddr::V4(server) = url.server.ip() else {
                bail!(
                    "the root image is at {}, and DHCP gives addresses of IPv4 alone: give the node an ip, then nodeset",
                    url.host
                );
            };
            dhcp::ask(&link, &parameters.mac, server, console)?
        }
    };
    let setting = || format!("setting the address {address} of {name}");
    for step in steps(&link, &address) {
        match kernel.perform(&step) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => result.with_context(setting)?,
        }
    }
    console.say(format!("{name} has the address {address}"));
    Ok(())
}

/// Finds the NIC that has a hardware address: a device of the machine before one that only exists in the kernel.
pub(super) fn find(nics: &Path, mac: &MacAddresses) -> Result<Option<String>> {
    let mut found = names_in(nics).with_context(|| format!("reading {}", nics.display()))?;
    found.retain(|name| address_of(nics, name).as_deref() == Some(mac.first()));
    found.sort_by_key(|name| !nics.join(name).join("device").exists());
    Ok(found.into_iter().next())
}

fn address_of(nics: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(nics.join(name).join("address")).ok()?;
    Some(text.trim().to_owned())
}

/// Says which NICs there are, where the one that is wanted is not among them.
pub(super) fn missing(nics: &Path, mac: &MacAddresses) -> anyhow::Error {
    let mut there = String::new();
    for name in names_in(nics).unwrap_or_default() {
        if let Some(address) = address_of(nics, &name).filter(|_| name != "lo") {
            let _ = write!(
                there,
                "{}{name} has {address}",
                if there.is_empty() { "" } else { ", " }
            );
        }
    }
    if there.is_empty() {
        there = "there is none that the initrd has a driver for".to_owned();
    }
    anyhow::anyhow!(
        "no NIC has the hardware address {}: {there}; correct the node's mac, or add the driver to the osimage's \
         netdrivers, then nodeset",
        mac.first()
    )
}

fn wait_for_link(nics: &Path, name: &str, console: &Console) -> Result<()> {
    let carrier = nics.join(name).join("carrier");
    let (began, mut reminded) = (Instant::now(), Instant::now());
    while !fs::read_to_string(&carrier).is_ok_and(|text| text.trim() == "1") {
        if began.elapsed() > LINK_TIMEOUT {
            bail!("{name} has no link: check its cable and the port of the switch");
        }
        if reminded.elapsed() > LINK_REMINDER {
            reminded = Instant::now();
            console.say(format!("{name} has no link yet"));
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Lists what gives a NIC its address and the node its default route.
fn steps(link: &IfName, address: &NetbootAddress) -> Vec<Step> {
    let network = address.address();
    let broadcast = match network {
        IpNetwork::V4(v4) if v4.prefix() < 31 => Some(v4.broadcast()),
        _ => None,
    };
    let mut steps = vec![Step::AddAddress {
        link: link.clone(),
        address: Address {
            ip: network.ip(),
            len: network.prefix(),
            peer: None,
            broadcast,
            label: None,
            scope: libc::RT_SCOPE_UNIVERSE,
            // nodeset found no other node with it, and the fetch cannot wait for the kernel to ask
            flags: libc::IFA_F_NODAD,
            lifetimes: None,
            other: Vec::new(),
        },
    }];
    steps.extend(address.gateway().map(|gateway| Step::AddRoute {
        route: KernelRoute {
            v6: gateway.is_ipv6(),
            destination: None,
            from: None,
            table: u32::from(libc::RT_TABLE_MAIN),
            protocol: libc::RTPROT_STATIC,
            scope: libc::RT_SCOPE_UNIVERSE,
            kind: libc::RTN_UNICAST,
            tos: 0,
            metric: gateway.is_ipv6().then_some(1024),
            source: None,
            hops: vec![Hop {
                device: Some(link.to_string()),
                gateway: Some(gateway),
                weight: 1,
                onlink: false,
                other: Vec::new(),
            }],
            nexthop: None,
            expires: None,
            other: Vec::new(),
        },
        first: false,
    }));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nics(found: &[(&str, &str, bool)]) -> tempfile::TempDir {
        let nics = tempfile::tempdir().unwrap();
        for (name, mac, is_device) in found {
            let directory = nics.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("address"), format!("{mac}\n")).unwrap();
            if *is_device {
                fs::create_dir(directory.join("device")).unwrap();
            }
        }
        nics
    }

    #[test]
    fn the_nic_is_found_by_its_hardware_address_and_devices_come_first() {
        let nics = nics(&[
            ("bond0", "52:54:00:00:00:02", false),
            ("eth0", "52:54:00:00:00:01", true),
            ("eth1", "52:54:00:00:00:02", true),
            ("lo", "00:00:00:00:00:00", false),
        ]);
        let mac = |text: &str| text.parse::<MacAddresses>().unwrap();
        let found = find(nics.path(), &mac("52-54-00-00-00-02")).unwrap();
        assert_eq!(found.as_deref(), Some("eth1"));
        let other = mac("52:54:00:00:00:03");
        assert_eq!(find(nics.path(), &other).unwrap(), None);
        assert_eq!(
            missing(nics.path(), &other).to_string(),
            "no NIC has the hardware address 52:54:00:00:00:03: bond0 has 52:54:00:00:00:02, eth0 has \
             52:54:00:00:00:01, eth1 has 52:54:00:00:00:02; correct the node's mac, or add the driver to the osimage's \
             netdrivers, then nodeset"
        );
    }

    #[test]
    fn a_machine_without_a_driver_for_its_nic_is_told() {
        let nics = nics(&[("lo", "00:00:00:00:00:00", false)]);
        assert_eq!(
            missing(nics.path(), &"52:54:00:00:00:03".parse().unwrap()).to_string(),
            "no NIC has the hardware address 52:54:00:00:00:03: there is none that the initrd has a driver for; correct \
             the node's mac, or add the driver to the osimage's netdrivers, then nodeset"
        );
    }
}
