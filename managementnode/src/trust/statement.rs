//! What certificates are to say, before they are any.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Result, bail};
use ipnetwork::IpNetwork;
use time::OffsetDateTime;

/// What a certificate of an authority permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// To sign authorities.
    Root,
    /// To sign identities of hosts in these domains and networks.
    Hosts {
        domains: BTreeSet<String>,
        networks: BTreeSet<IpNetwork>,
    },
    /// To sign clients, which speak for no name and no address.
    Clients,
    /// To sign what signs boot files.
    Boot,
    /// To sign boot files.
    BootFiles,
}

/// What an authority's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorityStatement {
    /// Who the authority is.
    pub(crate) subject: String,
    pub(crate) scope: Scope,
    pub(crate) serial: Serial,
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To answer as this host, and to speak as it.
    Host,
    /// To speak as a client.
    Client,
}

/// What a certificate is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Who it is about.
    pub(crate) subject: String,
    pub(crate) domains: BTreeSet<String>,
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) purpose: Purpose,
    pub(crate) serial: Serial,
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
    /// A comment: what else its holder may trust.
    pub(crate) comment: Option<String>,
}

/// The number of a certificate, which no other has: 126 random bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial(String);

impl Serial {
    /// Makes a serial of random bytes; the first bits are 01, so that it is positive and always as long.
    pub(crate) fn new(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(definitions::hex(&bytes))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a serial that is stored.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("'{text}' is no serial: expected 32 hexadecimal digits");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Returns its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&self.0[at..at + 2], 16).unwrap_or_default();
        (0..32).step_by(2).map(digit).collect()
    }
}
