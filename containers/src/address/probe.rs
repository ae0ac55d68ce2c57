//! Who answers at addresses that nobody is to have yet: the last look before containers are started.
//!
//! Addresses come in; those that somebody has on a network of this machine go out. An empty datagram has the kernel ask for
//! the hardware address (ARP, RFC 826), and its table of neighbours has the answer: no rights are needed, and a hundred
//! addresses take as long as one. A neighbour that it remembers is forgotten first, where that is allowed. What is not on a network of this machine is not looked at, and a router that answers for
//! others (proxy ARP) is told apart by its own hardware address. IPv4 alone: the kernel shows its IPv6 neighbours nowhere
//! in a file. Reference: arp(7), whose times those below follow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::neighbour::{ArpTable, neighbours};

/// How long the kernel asks for a neighbour that it does not know: three times a second, and a little more.
const UNKNOWN_TIMEOUT: Duration = Duration::from_millis(3_300);
/// How long it believes one that it does know, at most, before it asks again, and finds nobody.
const KNOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the table is read, and how often an address is asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const SEND_INTERVAL: Duration = Duration::from_secs(1);
/// The port for what nobody is to read (RFC 863).
const DISCARD: u16 = 9;

/// Finds those of the addresses that somebody has; each with who that is.
///
/// # Errors
/// When the kernel cannot be asked.
pub(crate) fn taken(
    addresses: &BTreeSet<Ipv4Addr>,
    routers: &BTreeSet<Ipv4Addr>,
) -> Result<BTreeMap<Ipv4Addr, String>> {
    let mut taken = BTreeMap::new();
    if addresses.is_empty() {
        return Ok(taken);
    }
    for address in addresses {
        // Only an address of this machine can be bound to.
        if UdpSocket::bind((*address, 0)).is_ok() {
            taken.insert(*address, "this machine".to_owned());
        }
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("opening a socket")?;
    for (address, neighbour) in &neighbours()? {
        if addresses.contains(address) {
            // Without the right to it, what is remembered has to prove itself.
            let _ = neighbour.forget(*address);
        }
    }
    let known = neighbours()?;
    let routers: BTreeSet<_> = routers.iter().copied().chain(default_routers()).collect();
    let (begun, mut sent) = (Instant::now(), None);
    let mut open: BTreeSet<_> = addresses
        .difference(&taken.keys().copied().collect())
        .copied()
        .collect();
    while !open.is_empty() {
        if sent.is_none_or(|sent: Instant| sent.elapsed() >= SEND_INTERVAL) {
            for address in open.iter().chain(&routers) {
                // What cannot be sent is not on a network of this machine, or was not found.
                let _ = socket.send_to(&[], (*address, DISCARD));
            }
            sent = Some(Instant::now());
        }
        sleep(LOOK_INTERVAL);
        let (now, age) = (neighbours()?, begun.elapsed());
        let proxies: BTreeSet<_> = routers
            .iter()
            .filter_map(|router| now.get(router)?.hardware.as_ref())
            .collect();
        open.retain(|address| {
            let hardware = |table: &ArpTable| Some(table.get(address)?.hardware.clone());
            let was_known = matches!(hardware(&known), Some(Some(_)));
            match judge(hardware(&now), was_known, age) {
                ProbeVerdict::Open => true,
                ProbeVerdict::Free => false,
                ProbeVerdict::Taken(hardware) => {
                    if !proxies.contains(&hardware) {
                        taken.insert(*address, hardware);
                    }
                    false
                }
            }
        });
    }
    Ok(taken)
}

/// What is known of an address by now.
#[derive(Debug, PartialEq, Eq)]
enum ProbeVerdict {
    /// Nothing yet.
    Open,
    /// Nobody has it, or nobody can say.
    Free,
    /// Somebody with this hardware address has it.
    Taken(String),
}

/// Judges an entry of the table. One that was there before may be of somebody who is gone: it counts when it is still
/// there after the kernel has asked again.
fn judge(entry: Option<Option<String>>, was_known: bool, age: Duration) -> ProbeVerdict {
    match entry {
        Some(Some(hardware)) if !was_known || age >= KNOWN_TIMEOUT => ProbeVerdict::Taken(hardware),
        Some(Some(_)) => ProbeVerdict::Open,
        Some(None) if was_known && age < KNOWN_TIMEOUT => ProbeVerdict::Open,
        Some(None) if age < UNKNOWN_TIMEOUT => ProbeVerdict::Open,
        // Without an entry there is no network on which it could be asked for; it has one at once where there is.
        None if age < LOOK_INTERVAL * 4 => ProbeVerdict::Open,
        Some(None) | None => ProbeVerdict::Free,
    }
}

/// Lists the routers that this machine sends all else to.
fn default_routers() -> Vec<Ipv4Addr> {
    let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let router = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (destination, router) = (words.next()?, words.next()?);
        // The kernel prints addresses as numbers in the machine's own order.
        let router = u32::from_str_radix(router, 16).ok()?.to_ne_bytes();
        (destination == "00000000").then(|| Ipv4Addr::from(router))
    };
    table.lines().skip(1).filter_map(router).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_when_it_is_new_or_outlasts_a_further_question() {
        let mac = Some(Some("52:54:00:00:00:01".to_owned()));
        let taken = || ProbeVerdict::Taken("52:54:00:00:00:01".to_owned());
        let asked = Some(None);
        for (entry, was_known, millis, expected) in [
            (mac.clone(), false, 50, taken()),
            (mac.clone(), true, 50, ProbeVerdict::Open),
            (mac, true, 60_100, taken()),
            (asked.clone(), true, 8_000, ProbeVerdict::Open),
            (asked.clone(), true, 60_100, ProbeVerdict::Free),
            (asked.clone(), false, 50, ProbeVerdict::Open),
            (asked, false, 3_400, ProbeVerdict::Free),
            (None, false, 50, ProbeVerdict::Open),
            (None, false, 250, ProbeVerdict::Free),
        ] {
            let shown = format!("{entry:?} {was_known} {millis}");
            let seen = judge(entry, was_known, Duration::from_millis(millis));
            assert_eq!(seen, expected, "{shown}");
        }
    }
}
