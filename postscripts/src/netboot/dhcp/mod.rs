//! The address of a node whose definition has none: asked of a DHCP server.
//!
//! Whoever is on the network can answer. Taken is the answer of the management node alone, or of a server that sends nodes to it:
//! the one from which the node boots. The others are named, once each.

mod message;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::{IfName, MacAddresses, NetbootAddress};
use ipnetwork::{IpNetwork, Ipv4Network, ipv4_mask_to_prefix};
use nix::sys::socket::{setsockopt, sockopt};

use super::console::Console;
use message::{DhcpQuestion, DhcpReply, DhcpReplyKind, HardwareAddress};

/// How often an address is asked for, and how long an answer may take at first; twice as long each time.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(4);
/// The most bytes of an answer.
const MAX_MESSAGE: usize = 1500;

/// Asks for an address at a NIC; `boots_from` is where the root image is.
///
/// # Errors
/// When nobody who is believed gives one.
pub(super) fn ask(
    link: &IfName,
    mac: &MacAddresses,
    boots_from: Ipv4Addr,
    console: &Console,
) -> Result<NetbootAddress> {
    let opening = || format!("opening a socket for DHCP at {link}");
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).with_context(opening)?;
    socket.set_broadcast(true).with_context(opening)?;
    setsockopt(&socket, sockopt::BindToDevice, &link.to_string().into())
        .map_err(io::Error::from)
        .with_context(opening)?;
    let wire = Wire {
        socket,
        mac: hardware_address(mac).with_context(|| format!("reading {}", mac.first()))?,
        transaction: transaction()?,
    };
    let mut chooser = OfferChooser {
        boots_from,
        refused: BTreeSet::new(),
    };
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        if let Some(address) = chooser.exchange(&wire, wait, console)? {
            return Ok(address);
        }
        console.say(format!("{link} has no address by DHCP yet"));
        wait *= 2;
    }
    let others: Vec<_> = chooser.refused.iter().map(ToString::to_string).collect();
    let others = if others.is_empty() {
        "nobody answered".to_owned()
    } else {
        format!("there answered {}", others.join(", "))
    };
    bail!(
        "no DHCP server that sends nodes to {boots_from} gave {link} an address: {others}; give the node an ip, then nodeset, or \
         run makedhcp"
    )
}

fn hardware_address(mac: &MacAddresses) -> Option<HardwareAddress> {
    let parts: Result<Vec<u8>, _> = mac
        .first()
        .split(':')
        .map(|part| u8::from_str_radix(part, 16))
        .collect();
    parts.ok()?.try_into().ok()
}

/// A number by which the answers to this node's questions are known.
fn transaction() -> Result<u32> {
    let mut bytes = [0; 4];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.context("reading random bytes")?;
    Ok(u32::from_be_bytes(bytes))
}

/// What is sent and received at one NIC.
struct Wire {
    socket: UdpSocket,
    mac: HardwareAddress,
    transaction: u32,
}

impl Wire {
    fn send(&self, question: DhcpQuestion) -> Result<()> {
        let bytes = message::render(question, self.transaction, self.mac);
        let sent = self.socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67));
        sent.context("asking for an address").map(drop)
    }

    /// Waits for the next answer.
    fn receive(&self, until: Instant) -> Result<Option<DhcpReply>> {
        let receiving = || "waiting for an address";
        let mut bytes = [0; MAX_MESSAGE];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket
                .set_read_timeout(Some(left))
                .with_context(receiving)?;
            match self.socket.recv(&mut bytes) {
                Ok(length) => {
                    let reply = message::parse(&bytes[..length], self.transaction, self.mac);
                    if reply.is_some() {
                        return Ok(reply);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(receiving),
            }
        }
    }
}

/// Who is believed.
struct OfferChooser {
    boots_from: Ipv4Addr,
    /// Who answered and is not.
    refused: BTreeSet<Ipv4Addr>,
}

impl OfferChooser {
    /// Asks once; `None` when nobody who is believed answers in time.
    fn exchange(
        &mut self,
        wire: &Wire,
        wait: Duration,
        console: &Console,
    ) -> Result<Option<NetbootAddress>> {
        wire.send(DhcpQuestion::Discover)?;
        let until = Instant::now() + wait;
        let offer = loop {
            match wire.receive(until)? {
                None => return Ok(None),
                Some(reply) if self.is_ours(&reply, console) => break reply,
                Some(_) => {}
            }
        };
        let (address, server) = (offer.address, offer.server);
        wire.send(DhcpQuestion::Request { address, server })?;
        let until = Instant::now() + wait;
        while let Some(reply) = wire.receive(until)? {
            match reply.kind {
                _ if reply.server != server => {}
                DhcpReplyKind::Granted if reply.address == address => {
                    return granted(&reply).map(Some);
                }
                DhcpReplyKind::Refused => {
                    console.say(format!(
                        "the DHCP server {server} takes its offer of {address} back"
                    ));
                    return Ok(None);
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn is_ours(&mut self, reply: &DhcpReply, console: &Console) -> bool {
        if reply.kind != DhcpReplyKind::Offer {
            return false;
        }
        let is_ours = [reply.server, reply.next_server].contains(&self.boots_from);
        if !is_ours && self.refused.insert(reply.server) {
            console.say(format!(
                "the DHCP server {} offers {}, and does not send nodes to {}, where this one boots from: its offer is not \
                 taken",
                reply.server, reply.address, self.boots_from
            ));
        }
        is_ours
    }
}

/// Reads what was granted.
fn granted(reply: &DhcpReply) -> Result<NetbootAddress> {
    let reading = || {
        format!(
            "reading the address that the DHCP server {} gave",
            reply.server
        )
    };
    let mask = reply.mask.context("it came without a mask");
    let prefix = mask.and_then(|mask| Ok(ipv4_mask_to_prefix(mask)?));
    let network = Ipv4Network::new(reply.address, prefix.with_context(reading)?);
    let network = IpNetwork::V4(network.with_context(reading)?);
    NetbootAddress::new(network, reply.router.map(Into::into)).with_context(reading)
}

#[cfg(test)]
mod tests {
    use super::message::tests::offer;
    use super::*;

    #[test]
    fn only_who_sends_nodes_to_the_management_node_is_believed() {
        let console = Console::standard_error();
        let mut chooser = OfferChooser {
            boots_from: [10, 1, 0, 1].into(),
            refused: BTreeSet::new(),
        };
        let other = Ipv4Addr::new(10, 1, 0, 9);
        let relayed = DhcpReply {
            server: other,
            ..offer()
        };
        let foreign = DhcpReply {
            server: other,
            next_server: other,
            ..offer()
        };
        let granted = DhcpReply {
            kind: DhcpReplyKind::Granted,
            ..offer()
        };
        for (reply, expected) in [
            (offer(), true),
            (relayed, true),
            (foreign, false),
            (granted, false),
        ] {
            assert_eq!(chooser.is_ours(&reply, &console), expected, "{reply:?}");
        }
        assert_eq!(chooser.refused, BTreeSet::from([other]));
    }

    #[test]
    fn what_is_granted_is_the_address_of_a_host_in_a_network() {
        assert_eq!(
            granted(&offer()).unwrap().to_string(),
            "10.1.0.77/24@10.1.0.254"
        );
        let begin = "reading the address that the DHCP server 10.1.0.1 gave: ";
        for (change, expected) in [
            (
                DhcpReply {
                    mask: None,
                    ..offer()
                },
                "it came without a mask",
            ),
            (
                DhcpReply {
                    address: [10, 1, 0, 255].into(),
                    ..offer()
                },
                "'10.1.0.255/24' is not a node's address: expected the address of a host in its network",
            ),
            (
                DhcpReply {
                    router: Some([10, 2, 0, 1].into()),
                    ..offer()
                },
                "'10.2.0.1' is not a gateway: expected the address of another host in 10.1.0.77/24",
            ),
        ] {
            let error = granted(&change).unwrap_err();
            assert_eq!(format!("{error:#}"), format!("{begin}{expected}"));
        }
        let holes = DhcpReply {
            mask: Some([255, 0, 255, 0].into()),
            ..offer()
        };
        assert!(granted(&holes).is_err());
    }
}
