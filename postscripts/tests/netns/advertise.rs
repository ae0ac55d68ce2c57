//! Frames on a packet socket: a router's advertisement (RFC 4861 §4.2) is sent, what hosts tell of
//! themselves (RFC 5227 §3, RFC 4861 §7.2.6) is heard.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
};
use nix::sys::time::TimeVal;

use crate::lab::{Lab, Place};

/// Advertises 2001:db8:1::/64 and a default route by fe80::1 for so many seconds.
pub(crate) fn advertise(device: &str, lifetime: u32) {
    let link = getifaddrs()
        .unwrap()
        .filter(|interface| interface.interface_name == device)
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .unwrap();
    let kind = SockType::Raw;
    let socket = socket(AddressFamily::Packet, kind, SockFlag::empty(), None).unwrap();
    let frame = frame(link.addr().unwrap(), lifetime);
    sendto(socket.as_raw_fd(), &frame, &link, MsgFlags::empty()).unwrap();
}

fn frame(mac: [u8; 6], lifetime: u32) -> Vec<u8> {
    let router: Ipv6Addr = "fe80::1".parse().unwrap();
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let prefix: Ipv6Addr = "2001:db8:1::".parse().unwrap();
    let mut icmp = vec![134, 0, 0, 0, 64, 0];
    icmp.extend((lifetime as u16).to_be_bytes());
    icmp.extend([0; 8]);
    icmp.extend([3, 4, 64, 0xc0]); // a prefix, on the link and for addresses
    icmp.extend(lifetime.to_be_bytes());
    icmp.extend(lifetime.to_be_bytes());
    icmp.extend([0; 4]);
    icmp.extend(prefix.octets());
    icmp.extend([1, 1]);
    icmp.extend(mac);
    let mut pseudo = [router.octets(), all_nodes.octets()].concat();
    pseudo.extend([0, 0, 0, icmp.len() as u8, 0, 0, 0, 58]);
    pseudo.extend(&icmp);
    let words = pseudo
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, icmp.len() as u8, 58, 255]);
    frame.extend(router.octets());
    frame.extend(all_nodes.octets());
    frame.extend(icmp);
    frame
}

/// Somebody who listens until he is told to stop.
pub(crate) struct Listener {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Listener {
    /// Stops, and returns what was told unasked: `arp MAC ADDRESS`, `neighbour advertisement MAC
    /// ADDRESS`.
    pub(crate) fn stop(self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(100));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Listens to every device that a place has.
pub(crate) fn listen(lab: &Lab, place: Place) -> Listener {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = lab.thread(place, move || {
        let flags = SockFlag::SOCK_CLOEXEC;
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 20_000)).unwrap();
        ready.send(()).unwrap();
        let mut heard = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let mut bytes = [0; 2048];
            if let Ok(count) = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                heard.extend(told(&bytes[..count]));
            }
        }
        heard
    });
    is_ready.recv().unwrap();
    Listener { stop, thread }
}

/// What a frame tells of its sender without having been asked.
fn told(frame: &[u8]) -> Option<String> {
    let mac = frame.get(6..12)?;
    let mac: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let mac = mac.join(":");
    let body = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x06] => {
            let (sender, target) = (body.get(14..18)?, body.get(24..28)?);
            let ip = Ipv4Addr::from(<[u8; 4]>::try_from(sender).ok()?);
            (sender == target).then(|| format!("arp {mac} {ip}"))
        }
        [0x86, 0xdd] => {
            let icmp = body.get(40..)?;
            let unsolicited =
                body[6] == 58 && icmp.first() == Some(&136) && icmp.get(4)? & 0x40 == 0;
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(icmp.get(8..24)?).ok()?);
            unsolicited.then(|| format!("neighbour advertisement {mac} {ip}"))
        }
        _ => None,
    }
}
