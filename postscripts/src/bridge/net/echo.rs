//! Asks a host, wherever it is, whether it is there: an ICMP echo, or failing that a TCP connection
//! that is accepted or refused.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;

/// A port that a management node serves.
const HTTP: u16 = 80;

/// Reports whether the host answers within the time given.
pub(crate) fn answers(ip: IpAddr, timeout: Duration) -> bool {
    echo(ip, timeout / 2).unwrap_or(false) || connects(ip, timeout / 2)
}

fn connects(ip: IpAddr, timeout: Duration) -> bool {
    match TcpStream::connect_timeout(&SocketAddr::new(ip, HTTP), timeout) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

/// Sends one echo request (RFC 792, RFC 4443 §4.1) and waits for its reply.
fn echo(ip: IpAddr, timeout: Duration) -> io::Result<bool> {
    let (family, protocol, request, reply) = match ip {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let mut message = [request, 0, 0, 0, high, low, 0, 1];
    let sum = checksum(&message); // of IPv6 the kernel writes its own
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let to = SockaddrStorage::from(SocketAddr::new(ip, 0));
    sendto(socket.as_raw_fd(), &message, &to, MsgFlags::empty())?;
    let end = Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Ok(false);
        }
        let left = TimeVal::new(left.as_secs() as i64, left.subsec_micros().into());
        setsockopt(&socket, ReceiveTimeout, &left)?;
        let mut bytes = [0; 512];
        let count = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
        let header = match ip {
            IpAddr::V4(_) => usize::from(bytes[0] & 0x0f) * 4,
            IpAddr::V6(_) => 0,
        };
        let answer = bytes[..count].get(header..header + 8);
        if answer.is_some_and(|a| a[0] == reply && a[4..8] == message[4..8]) {
            return Ok(true);
        }
    }
}

fn checksum(bytes: &[u8; 8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    !((sum & 0xffff) as u16 + (sum >> 16) as u16)
}
