//! Requests to netfilter and their answers: one blocking socket, bounded in time and in size.
//!
//! Reference: linux/netfilter/nfnetlink.h; changes of nf_tables come in batches that the kernel makes
//! as a whole or refuses.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::attribute::{self, NetlinkAttribute, attributes};

/// `NFNL_SUBSYS_*`, above the message's own number.
pub(crate) const NFTABLES: u16 = 10 << 8;
pub(crate) const IPSET: u16 = 6 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const HEADER: usize = 16;
/// `NLM_F_DUMP_INTR`: something changed while the dump was made.
const TORN: u16 = 0x10;
/// The kernel answers at once or not at all.
const PATIENCE: i64 = 5;
/// The largest ruleset that is read.
const LIMIT: usize = 64 << 20;
/// How often a dump is begun anew because the rules changed meanwhile.
const ATTEMPTS: usize = 5;

/// A conversation with netfilter about this network namespace.
#[derive(Debug)]
pub(crate) struct Netfilter {
    socket: OwnedFd,
}

/// One object: its family and its attributes.
#[derive(Debug)]
pub(crate) struct NetfilterObject {
    pub(crate) family: u8,
    pub(crate) attributes: Vec<NetlinkAttribute>,
}

/// One change within a batch.
#[derive(Debug)]
pub(crate) struct BatchedChange {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) family: u8,
    pub(crate) body: Vec<u8>,
}

impl Netfilter {
    /// Opens one; `None` when this kernel has no netfilter.
    pub(crate) fn open() -> io::Result<Option<Self>> {
        let protocol = SockProtocol::NetlinkNetFilter;
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = match socket(AddressFamily::Netlink, SockType::Raw, flags, protocol) {
            Ok(socket) => socket,
            Err(nix::Error::EPROTONOSUPPORT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(PATIENCE),
        )?;
        Ok(Some(Self { socket }))
    }

    /// Asks for every object of a kind, of one family or (0) of all; none where the kernel has nothing
    /// of that kind.
    pub(crate) fn dump(
        &self,
        kind: u16,
        family: u8,
        body: &[u8],
    ) -> io::Result<Vec<NetfilterObject>> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        for _ in 0..ATTEMPTS {
            self.send(&message(kind, flags, 0, family, 0, body))?;
            match self.collect() {
                Ok(Some(objects)) => return Ok(objects),
                Ok(None) => {}
                Err(error) if is_absent(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the rules change all the time"))
    }

    /// Reads a dump to its end; `None` when it is not of one moment.
    fn collect(&self) -> io::Result<Option<Vec<NetfilterObject>>> {
        let (mut objects, mut size, mut torn) = (Vec::new(), 0, false);
        loop {
            let answer = self.receive()?;
            size += answer.len();
            if size > LIMIT {
                return Err(io::Error::other(
                    "the rules are too many to be looked through",
                ));
            }
            for part in parts(&answer)? {
                torn |= part.flags & TORN != 0;
                match i32::from(part.kind) {
                    libc::NLMSG_DONE => return Ok((!torn).then_some(objects)),
                    libc::NLMSG_ERROR => part.refusal()?,
                    _ => objects.push(NetfilterObject {
                        family: part.body.first().copied().unwrap_or_default(),
                        attributes: attributes(part.body.get(4..).unwrap_or_default())?,
                    }),
                }
            }
        }
    }

    /// Makes changes, all or none.
    pub(crate) fn change(&self, requests: &[BatchedChange]) -> io::Result<()> {
        let plain = libc::NLM_F_REQUEST as u16;
        let acknowledged = plain | libc::NLM_F_ACK as u16;
        let mut batch = message(BATCH_BEGIN, plain, 0, 0, NFTABLES >> 8, &[]);
        for (number, request) in (1..).zip(requests) {
            let kind = NFTABLES | request.kind;
            let flags = acknowledged | request.flags;
            batch.extend(message(
                kind,
                flags,
                number,
                request.family,
                0,
                &request.body,
            ));
        }
        batch.extend(message(BATCH_END, plain, 0, 0, NFTABLES >> 8, &[]));
        self.send(&batch)?;
        let (mut waiting, mut result) = (requests.len(), Ok(()));
        while waiting > 0 {
            for part in parts(&self.receive()?)? {
                if i32::from(part.kind) == libc::NLMSG_ERROR {
                    result = result.and(part.refusal());
                    waiting = waiting.saturating_sub(1);
                    if part.sequence == 0 {
                        return result; // the batch itself was refused
                    }
                }
            }
        }
        result
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), bytes, &kernel, MsgFlags::empty())?;
        Ok(())
    }

    /// Receives what the kernel says, and nobody else.
    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (length, sender) = recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer)?;
            if sender.is_some_and(|sender| sender.pid() == 0) {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}

/// Says whether the kernel has no such part of netfilter, or no such family of it.
fn is_absent(error: &io::Error) -> bool {
    let codes = [libc::EINVAL, libc::EOPNOTSUPP, libc::EAFNOSUPPORT];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

fn message(
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    body: &[u8],
) -> Vec<u8> {
    let length = HEADER + 4 + body.len().next_multiple_of(4);
    let mut bytes = u32::try_from(length)
        .unwrap_or(u32::MAX)
        .to_ne_bytes()
        .to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes.resize(length, 0);
    bytes
}

/// One netlink message out of several.
struct ReceivedMessage<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl ReceivedMessage<'_> {
    /// Reads an acknowledgement or an error.
    fn refusal(&self) -> io::Result<()> {
        let code = self
            .body
            .first_chunk::<4>()
            .map(|code| i32::from_ne_bytes(*code));
        match code {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
            None => Err(attribute::short()),
        }
    }
}

fn parts(mut bytes: &[u8]) -> io::Result<Vec<ReceivedMessage<'_>>> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let body = bytes.get(HEADER..length);
        found.push(ReceivedMessage {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body: body.ok_or_else(attribute::short)?,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}
