//! Pings and a TCP stream across a change.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;

use crate::lab::{Lab, Place};

/// One side of an echo conversation.
struct Pinger {
    socket: OwnedFd,
    to: IpAddr,
    id: [u8; 2],
}

impl Pinger {
    fn new(to: IpAddr) -> Self {
        let (family, protocol) = match to {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(family, SockType::Raw, flags, protocol).unwrap();
        let unique = socket.as_raw_fd() as u16 ^ std::process::id() as u16;
        Self {
            socket,
            to,
            id: unique.to_be_bytes(),
        }
    }

    fn send(&self, sequence: u16) {
        let kind = if self.to.is_ipv4() { 8 } else { 128 };
        let [a, b] = self.id;
        let [c, d] = sequence.to_be_bytes();
        let mut message = [kind, 0, 0, 0, a, b, c, d];
        let words = message
            .chunks(2)
            .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
        let sum: u32 = words.sum();
        let sum = !((sum & 0xffff) as u16).wrapping_add((sum >> 16) as u16);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let to = SockaddrStorage::from(SocketAddr::new(self.to, 0));
        // a network that is not there at the moment is what is measured
        let _ = sendto(self.socket.as_raw_fd(), &message, &to, MsgFlags::empty());
    }

    /// Waits for a reply and returns its number.
    fn receive(&self, patience: Duration) -> Option<u16> {
        let end = Instant::now() + patience;
        let (reply, header) = if self.to.is_ipv4() { (0, 20) } else { (129, 0) };
        loop {
            let left = end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_micros(1));
            let left = TimeVal::new(left.as_secs() as i64, left.subsec_micros().into());
            setsockopt(&self.socket, ReceiveTimeout, &left).unwrap();
            let mut bytes = [0; 128];
            let count = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty()).ok()?;
            let answer = bytes[..count].get(header..header + 8)?;
            if answer[0] == reply && answer[4..6] == self.id {
                return Some(u16::from_be_bytes([answer[6], answer[7]]));
            }
            if Instant::now() > end {
                return None;
            }
        }
    }
}

/// Says whether a host answers, asking every 100 ms until it does.
pub(crate) fn answers(ip: IpAddr, patience: Duration) -> bool {
    let pinger = Pinger::new(ip);
    let end = Instant::now() + patience;
    let mut sequence = 0;
    while Instant::now() < end {
        sequence += 1;
        pinger.send(sequence);
        if pinger.receive(Duration::from_millis(100)).is_some() {
            return true;
        }
    }
    false
}

/// What the gateway saw of the host while something happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    /// The longest time between two replies.
    pub(crate) gap: Duration,
}

/// A gateway that pings the host every 10 ms until it is told to stop.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    pub(crate) fn start(lab: &Lab, address: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ip, stopped) = (address.parse().unwrap(), Arc::clone(&stop));
        let thread = lab.thread(Place::Gateway, move || watch(ip, &stopped));
        std::thread::sleep(Duration::from_millis(200));
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Seen {
        std::thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn watch(ip: IpAddr, stop: &AtomicBool) -> Seen {
    let pinger = Pinger::new(ip);
    let (mut sent, mut replies) = (0u16, vec![Instant::now()]);
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        sent += 1;
        pinger.send(sent);
        let next = begin + Duration::from_millis(10) * u32::from(sent);
        while pinger
            .receive(next.saturating_duration_since(Instant::now()))
            .is_some()
        {
            replies.push(Instant::now());
        }
    }
    while pinger.receive(Duration::from_millis(100)).is_some() {
        replies.push(Instant::now());
    }
    let gaps = replies.windows(2).map(|pair| pair[1] - pair[0]);
    Seen {
        sent: usize::from(sent),
        // some may be answered twice while two devices receive
        lost: usize::from(sent).saturating_sub(replies.len() - 1),
        gap: gaps.max().unwrap_or_default(),
    }
}

/// A TCP stream from the gateway to the host.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<std::io::Result<u64>>,
    receiver: JoinHandle<std::io::Result<(u64, Duration)>>,
}

impl Stream {
    pub(crate) fn start(lab: &Lab, address: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let to: SocketAddr = format!("{address}:5001").parse().unwrap();
        let listener = lab.within(Place::Host, move || TcpListener::bind(to).unwrap());
        let receiver = lab.thread(Place::Host, move || receive(&listener));
        let stopped = Arc::clone(&stop);
        let sender = lab.thread(Place::Gateway, move || {
            let mut stream = TcpStream::connect(to)?;
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                stream.write_all(&[7; 1000])?;
                sent += 1000;
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(sent)
        });
        std::thread::sleep(Duration::from_millis(100));
        Self {
            stop,
            sender,
            receiver,
        }
    }

    /// Stops it; returns the longest time that nothing came.
    pub(crate) fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self
            .sender
            .join()
            .unwrap()
            .expect("the stream breaks at its sender");
        let (received, gap) = self.receiver.join().unwrap().expect("the stream breaks");
        assert_eq!(sent, received, "bytes are lost");
        gap
    }
}

fn receive(listener: &TcpListener) -> std::io::Result<(u64, Duration)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut total, mut gap, mut last) = (0, Duration::ZERO, Instant::now());
    let mut bytes = [0; 65536];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok((total, gap));
        }
        total += count as u64;
        gap = gap.max(last.elapsed());
        last = Instant::now();
    }
}
