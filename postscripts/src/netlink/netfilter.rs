//! Requests to netfilter and their answers: one blocking socket, bounded in time and in size.
//!
//! Reference: linux/netfilter/nfnetlink.h; changes of nf_tables come in batches that the kernel makes
//! as a whole or refuses.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::attribute::{self, NetlinkAttribute, attributes};

/// `sizeof(struct nlmsghdr)`.
const NLMSG_HDRLEN: usize = 16;
/// The kernel answers at once or not at all.
const TIMEOUT_SECONDS: i64 = 5;
/// The largest ruleset that is read.
const MAX_BYTES: usize = 64 << 20;
/// How often a dump is begun anew because the rules changed meanwhile.
const MAX_ATTEMPTS: usize = 5;

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

/// What came of a dump.
enum Dump {
    Whole(Vec<NetfilterObject>),
    /// It is not of one moment.
    Interrupted,
    TooLarge,
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
            &TimeVal::seconds(TIMEOUT_SECONDS),
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
        let all = self.dump_up_to(MAX_BYTES, kind, family, body)?;
        all.ok_or_else(|| io::Error::other("the rules are too many to be looked through"))
    }

    /// Asks for the same; `None` when it is larger than that.
    pub(crate) fn dump_up_to(
        &self,
        bytes: usize,
        kind: u16,
        family: u8,
        body: &[u8],
    ) -> io::Result<Option<Vec<NetfilterObject>>> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        for _ in 0..MAX_ATTEMPTS {
            let header = MessageHeader {
                kind,
                flags,
                family,
                ..MessageHeader::default()
            };
            self.send(&message(header, body))?;
            match self.collect(bytes) {
                Ok(Dump::Interrupted) => {}
                Ok(Dump::TooLarge) => return Ok(None),
                Ok(Dump::Whole(objects)) => return Ok(Some(objects)),
                Err(error) if is_absent(&error) => return Ok(Some(Vec::new())),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the rules change all the time"))
    }

    /// Reads a dump to its end, and keeps no more of it than so many bytes.
    fn collect(&self, bytes: usize) -> io::Result<Dump> {
        let (mut objects, mut size, mut interrupted) = (Vec::new(), 0, false);
        loop {
            let answer = self.receive()?;
            size += answer.len();
            for part in parts(&answer)? {
                interrupted |= i32::from(part.flags) & libc::NLM_F_DUMP_INTR != 0;
                match i32::from(part.kind) {
                    libc::NLMSG_DONE if interrupted => return Ok(Dump::Interrupted),
                    libc::NLMSG_DONE if size > bytes => return Ok(Dump::TooLarge),
                    libc::NLMSG_DONE => return Ok(Dump::Whole(objects)),
                    libc::NLMSG_ERROR => part.refusal()?,
                    _ if size > bytes => objects.clear(),
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
        let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut batch = batch_limit(libc::NFNL_MSG_BATCH_BEGIN);
        for (number, request) in (1..).zip(requests) {
            let flags = acknowledged | request.flags;
            batch.extend(message(
                MessageHeader {
                    kind: request.kind,
                    flags,
                    sequence: number,
                    family: request.family,
                    resource: 0,
                },
                &request.body,
            ));
        }
        batch.extend(batch_limit(libc::NFNL_MSG_BATCH_END));
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

    /// Receives messages of the kernel and of nobody else.
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

/// Reports whether the kernel has no such part of netfilter, or no such family of it.
fn is_absent(error: &io::Error) -> bool {
    let codes = [libc::EINVAL, libc::EOPNOTSUPP, libc::EAFNOSUPPORT];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// The number of a message of nf_tables.
pub(crate) fn nftables(message: c_int) -> u16 {
    subsystem(libc::NFNL_SUBSYS_NFTABLES) | message as u16
}

/// The number of a message of ipset.
pub(crate) fn ipset(message: u16) -> u16 {
    subsystem(libc::NFNL_SUBSYS_IPSET) | message
}

/// A subsystem's number is the high byte of a message's.
fn subsystem(number: c_int) -> u16 {
    (number as u16) << 8
}

/// The headers of a message: `struct nlmsghdr` and `struct nfgenmsg`.
#[derive(Debug, Clone, Copy, Default)]
struct MessageHeader {
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
}

/// Begins or ends a batch of changes of nf_tables.
fn batch_limit(kind: c_int) -> Vec<u8> {
    let header = MessageHeader {
        kind: kind as u16,
        flags: libc::NLM_F_REQUEST as u16,
        resource: libc::NFNL_SUBSYS_NFTABLES as u16,
        ..MessageHeader::default()
    };
    message(header, &[])
}

fn message(header: MessageHeader, body: &[u8]) -> Vec<u8> {
    let length = NLMSG_HDRLEN + 4 + body.len().next_multiple_of(4);
    let mut bytes = u32::try_from(length)
        .unwrap_or(u32::MAX)
        .to_ne_bytes()
        .to_vec();
    bytes.extend(header.kind.to_ne_bytes());
    bytes.extend(header.flags.to_ne_bytes());
    bytes.extend(header.sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([header.family, 0]);
    bytes.extend(header.resource.to_be_bytes());
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
    while let Some(header) = bytes.first_chunk::<NLMSG_HDRLEN>() {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let body = bytes.get(NLMSG_HDRLEN..length);
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
