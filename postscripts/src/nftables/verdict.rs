//! What a rule or an element of a map decides (`enum nft_verdicts`).

use std::fmt;

use nix::libc;

use super::expression::text;
use crate::netlink::attribute::attributes;
use crate::netlink::uapi::{NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE};

/// The low bits of a verdict of netfilter itself (`NF_VERDICT_MASK`).
const NF_VERDICT_MASK: i32 = 0xff;

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    /// A program of the host decides.
    Queue,
    /// The next rule.
    Continue,
    Jump(String),
    Goto(String),
    Return,
    /// One that is not known here.
    Other(i32),
}

impl Verdict {
    /// Reads the data of an expression or of an element; nothing where they are no verdict.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let parts = attributes(data).ok()?;
        let verdict = parts.iter().find(|part| part.is(NFTA_DATA_VERDICT))?;
        let parts = attributes(&verdict.value).ok()?;
        let part = |kind| parts.iter().find(|part| part.is(kind));
        let code = <[u8; 4]>::try_from(part(NFTA_VERDICT_CODE)?.value.as_slice()).ok()?;
        let chain = || part(NFTA_VERDICT_CHAIN).map(|chain| text(&chain.value));
        Some(match i32::from_be_bytes(code) {
            libc::NF_DROP => Self::Drop,
            libc::NF_ACCEPT => Self::Accept,
            // a rule that breaks ends, and the next one follows
            libc::NFT_CONTINUE | libc::NFT_BREAK => Self::Continue,
            libc::NFT_JUMP => Self::Jump(chain()?),
            libc::NFT_GOTO => Self::Goto(chain()?),
            libc::NFT_RETURN => Self::Return,
            code if code & NF_VERDICT_MASK == libc::NF_QUEUE => Self::Queue,
            code => Self::Other(code),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Queue => f.write_str("queue"),
            Self::Continue => f.write_str("continue"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Return => f.write_str("return"),
            Self::Other(code) => write!(f, "verdict {code}"),
        }
    }
}
