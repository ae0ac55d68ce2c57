//! Who else answers DHCP on the networks that are served here: such a server gives machines other addresses, and boots them
//! from elsewhere.
//!
//! Interfaces come in; the servers that offer an address go out. A hardware address that no machine has asks on each
//! interface, from the port of clients. Nothing is taken: an offer that nobody accepts ends by itself. Reference: RFC 2131;
//! xCAT's detect_dhcpd(1).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use serde_json::json;

use super::cli::Args;
use super::networks::{ServedNetworks, local_addresses};
use crate::report::write;
use crate::trust::random;

/// A server may first ask the network, for up to three seconds, whether somebody has the address that it offers.
const LISTEN: Duration = Duration::from_secs(6);
/// How often it is asked meanwhile.
const ASK_INTERVAL: Duration = Duration::from_secs(2);
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// The fixed part of a message, and the mark of options behind it.
const OPTIONS: usize = 240;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// What relays and old servers expect at least.
const LENGTH: usize = 300;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const END: u8 = 255;
const PADDING: u8 = 0;
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;

/// A server that offered an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    server: Ipv4Addr,
    address: Ipv4Addr,
}

/// Says who else answers.
///
/// # Errors
/// When nothing is served here, or an interface cannot be asked on.
pub(super) fn detect(args: &Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let served = ServedNetworks::load(&catalog, &catalog.site()?)?;
    let own: BTreeSet<_> = local_addresses()?
        .iter()
        .map(|local| local.address)
        .collect();
    let asked: Vec<_> = thread::scope(|scope| {
        let interfaces = served.interfaces().into_iter();
        let threads: Vec<_> = interfaces
            .map(|interface| (interface, scope.spawn(move || offers(interface))))
            .collect();
        let ended = threads.into_iter().map(|(interface, thread)| {
            let offers = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            offers.map(|offers| (interface, offers))
        });
        ended.collect::<Result<_>>()
    })?;
    let others: Vec<_> = asked
        .iter()
        .flat_map(|(interface, offers)| offers.iter().map(move |offer| (*interface, *offer)))
        .filter(|(_, offer)| !own.contains(&offer.server.into()))
        .collect();
    if args.json {
        let servers = others.iter().map(|(interface, offer)| {
            json!({ "interface": interface, "server": offer.server, "offers": offer.address })
        });
        let document = json!({ "servers": servers.collect::<Vec<_>>() });
        write(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let lines = others.iter().map(|(interface, offer)| {
            format!(
                "{interface}: the DHCP server {} is not this machine's, and offers {}\n",
                offer.server, offer.address
            )
        });
        write(&escaped(&lines.collect::<String>(), '\n'))?;
    }
    Ok(if others.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Asks on an interface for an address, and returns what is offered.
fn offers(interface: &str) -> Result<BTreeSet<Offer>> {
    let socket = client(interface)
        .with_context(|| format!("opening the port of DHCP clients on {interface}"))?;
    let mut asking = Discover::new()?;
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
    let (begun, mut asked) = (Instant::now(), None);
    let mut found = BTreeSet::new();
    while begun.elapsed() < LISTEN {
        if asked.is_none_or(|asked: Instant| asked.elapsed() >= ASK_INTERVAL) {
            asking.seconds(begun.elapsed());
            socket
                .send_to(&asking.message, to)
                .with_context(|| format!("asking for DHCP servers on {interface}"))?;
            asked = Some(Instant::now());
        }
        let mut answer = [0; 1500];
        match socket.recv(&mut answer) {
            Ok(length) => found.extend(asking.offer(&answer[..length])),
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(err) => {
                return Err(err).with_context(|| format!("hearing DHCP servers on {interface}"));
            }
        }
    }
    Ok(found)
}

/// Opens the port that answers come to, whatever address they are for.
fn client(interface: &str) -> Result<UdpSocket> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Broadcast, &true)?;
    setsockopt(&socket, sockopt::BindToDevice, &interface.into())?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
    bind(socket.as_raw_fd(), &SockaddrIn::from(any))?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket)
}

/// What is asked.
struct Discover {
    message: [u8; LENGTH],
}

impl Discover {
    /// Asks for a hardware address that is administered locally, and for an answer to everybody.
    fn new() -> Result<Self> {
        let [transaction @ .., a, b, c, d, e]: [u8; 9] = random()?;
        let mut message = [0; LENGTH];
        // A request, over Ethernet, whose hardware address is six bytes long.
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[4..8].copy_from_slice(&transaction);
        message[10] = 0x80;
        message[28..34].copy_from_slice(&[0x02, a, b, c, d, e]);
        message[OPTIONS - 4..OPTIONS].copy_from_slice(&MAGIC);
        message[OPTIONS..OPTIONS + 4].copy_from_slice(&[MESSAGE_TYPE, 1, DISCOVER, END]);
        Ok(Self { message })
    }

    /// Says for how long it asks: some servers leave the first seconds to others.
    fn seconds(&mut self, since: Duration) {
        let seconds = u16::try_from(since.as_secs()).unwrap_or(u16::MAX);
        self.message[8..10].copy_from_slice(&seconds.to_be_bytes());
    }

    /// Reads an answer; what is none to this question is nothing.
    fn offer(&self, answer: &[u8]) -> Option<Offer> {
        let is_reply = answer.first() == Some(&2);
        let is_ours = answer.get(4..8) == self.message.get(4..8);
        if !is_reply || !is_ours || answer.get(OPTIONS - 4..OPTIONS)? != MAGIC {
            return None;
        }
        let options = answer.get(OPTIONS..)?;
        if option(options, MESSAGE_TYPE)? != [OFFER] {
            return None;
        }
        let server: [u8; 4] = option(options, SERVER_IDENTIFIER)?.try_into().ok()?;
        let address: [u8; 4] = answer.get(16..20)?.try_into().ok()?;
        Some(Offer {
            server: server.into(),
            address: address.into(),
        })
    }
}

/// Finds an option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match *options {
            [PADDING, ref rest @ ..] => options = rest,
            [END, ..] | [] | [_] => return None,
            [code, length, ref rest @ ..] => {
                let (value, rest) = rest.split_at_checked(length.into())?;
                if code == wanted {
                    return Some(value);
                }
                options = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done to an answer.
    type Change = fn(&mut Vec<u8>);

    #[test]
    fn an_offer_is_an_answer_to_this_question_that_names_its_server() {
        let asked = Discover::new().unwrap();
        let answer = |change: Change| {
            let mut answer = asked.message[..OPTIONS].to_vec();
            answer[0] = 2;
            answer[16..20].copy_from_slice(&[10, 1, 0, 150]);
            answer.extend([0, 53, 1, 2, 51, 4, 0, 0, 14, 16, 54, 4, 10, 1, 0, 99, 255]);
            change(&mut answer);
            asked
                .offer(&answer)
                .map(|offer| (offer.server.to_string(), offer.address.to_string()))
        };
        let offered = Some(("10.1.0.99".to_owned(), "10.1.0.150".to_owned()));
        assert_eq!(answer(|_| {}), offered);
        let wrong: [(&str, Change); 8] = [
            ("a request", |answer| answer[0] = 1),
            ("another's", |answer| answer[4] ^= 1),
            ("no DHCP", |answer| answer[OPTIONS - 1] = 0),
            ("another message", |answer| answer[OPTIONS + 3] = 5),
            ("a cut one", |answer| answer.truncate(OPTIONS + 14)),
            ("a short one", |answer| answer.truncate(100)),
            ("an empty one", Vec::clear),
            ("without a server", |answer| answer[OPTIONS + 10] = 55),
        ];
        for (what, change) in wrong {
            assert_eq!(answer(change), None, "{what}");
        }
    }
}
