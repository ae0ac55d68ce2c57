//! Requests to the kernel and their answers: the only file that knows rtnetlink's connection and its runtime.
//!
//! Synchronous verbs over a current-thread runtime. A message is its number and its bytes here: netlink-proto 0.14
//! logs an answer that its type cannot parse and goes on to the next, so that an object would be missing without an
//! error. Who gets the bytes parses them, and refuses what he cannot. What the kernel refuses is an [`io::Error`] with
//! its number.

use std::io;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::proto::sys::SocketAddr;
use rtnetlink::proto::sys::protocols::{
    NETLINK_GENERIC, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_XFRM,
};
use rtnetlink::proto::{ConnectionHandle, new_connection};
use tokio::runtime::{Builder, Runtime};

/// A message as the bytes after its netlink header.
#[derive(Debug)]
struct RawMessage {
    kind: u16,
    body: Vec<u8>,
}

impl NetlinkSerializable for RawMessage {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for RawMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: header.message_type,
            body: payload.to_vec(),
        })
    }
}

/// A conversation with the kernel about this network namespace.
#[derive(Debug)]
pub(crate) struct Connection {
    runtime: Runtime,
    handle: ConnectionHandle<RawMessage>,
}

impl Connection {
    pub(crate) fn open() -> io::Result<Self> {
        Self::speaking(NETLINK_ROUTE)
    }

    /// Opens one about sockets.
    pub(crate) fn about_sockets() -> io::Result<Self> {
        Self::speaking(NETLINK_SOCK_DIAG)
    }

    /// Opens one about IPsec.
    pub(crate) fn about_ipsec() -> io::Result<Self> {
        Self::speaking(NETLINK_XFRM)
    }

    /// Opens one about what has no protocol of its own.
    pub(crate) fn generic() -> io::Result<Self> {
        Self::speaking(NETLINK_GENERIC)
    }

    fn speaking(protocol: isize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let handle = {
            let _inside = runtime.enter();
            let (connection, handle, _) = new_connection::<RawMessage>(protocol)?;
            runtime.spawn(connection);
            handle
        };
        Ok(Self { runtime, handle })
    }

    /// Asks for every object of a kind and returns the bodies of the answers.
    pub(crate) fn dump(&self, kind: u16, body: Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
        self.exchange(kind, NLM_F_DUMP, body)
    }

    /// Asks for one object and returns the bodies of the answer.
    pub(crate) fn ask(&self, kind: u16, body: Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
        self.exchange(kind, NLM_F_ACK, body)
    }

    /// Asks for a change and waits until the kernel has made or refused it.
    pub(crate) fn change(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<()> {
        self.exchange(kind, flags | NLM_F_ACK, body).map(drop)
    }

    fn exchange(&self, kind: u16, flags: u16, body: Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
        let mut message = NetlinkMessage::new(
            NetlinkHeader::default(),
            NetlinkPayload::InnerMessage(RawMessage { kind, body }),
        );
        message.header.flags = flags | NLM_F_REQUEST;
        message.finalize();
        let answers = self.handle.request(message, SocketAddr::new(0, 0));
        let mut answers = answers.map_err(io::Error::other)?;
        self.runtime.block_on(async {
            let mut bodies = Vec::new();
            while let Some(answer) = answers.next().await {
                match answer.payload {
                    NetlinkPayload::InnerMessage(raw) => bodies.push(raw.body),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io());
                    }
                    _ => {}
                }
            }
            Ok(bodies)
        })
    }
}
