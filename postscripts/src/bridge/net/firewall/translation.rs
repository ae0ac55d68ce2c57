//! The translation of a rule that names the NIC: what is added beside it, so that traffic by the bridge is
//! treated alike.
//!
//! A translation is plain data, so that the journal can hold it; it is found again by its content, and so can
//! be removed by a later process. Reference: linux/netfilter/nf_tables.h, iptables(8).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;
use serde::{Deserialize, Serialize};

use crate::netlink::NetlinkAttribute;
use crate::netlink::attribute::{MessageBuilder, NLA_F_NESTED};
use crate::netlink::netfilter::{BatchedChange, Netfilter, nftables};
use crate::netlink::uapi::{
    NFTA_DATA_VALUE, NFTA_LIST_ELEM, NFTA_RULE_CHAIN, NFTA_RULE_COMPAT, NFTA_RULE_COMPAT_FLAGS,
    NFTA_RULE_COMPAT_PROTO, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_POSITION,
    NFTA_RULE_TABLE, NFTA_RULE_USERDATA, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_KEY,
    NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
};
use crate::nftables::{Expression, NftRule, NftRuleset, encode, is_same, protocol};
use crate::program;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A rule, an element of a set, or a rule that only the tool of its kind can make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Translation {
    /// Goes right after the rule whose handle it has.
    Rule {
        /// What is added.
        rule: NftRule,
        /// The expressions that compare with a bridge's number, which it gets when it is made.
        numbered: Vec<(usize, String)>,
        /// The same in words.
        words: String,
    },
    /// Goes into a named set.
    Element {
        /// `NFPROTO_*`.
        family: u8,
        /// The table of the set.
        table: String,
        /// The set.
        set: String,
        /// Its key, with the bridge in it.
        key: Vec<u8>,
        /// What a map gives for it.
        data: Option<Vec<u8>>,
        /// How long it lives.
        #[serde(default)]
        lifetime: Vec<NetlinkAttribute>,
        /// Where in the key a bridge's number is.
        numbered: Option<(usize, String)>,
        /// The same in words.
        words: String,
    },
    /// Goes into a table of the old iptables.
    Legacy {
        /// The tool: `/usr/sbin/iptables-legacy`.
        program: PathBuf,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// Which rule of the chain it becomes.
        position: usize,
        /// Its content.
        words: Vec<String>,
    },
}

impl fmt::Display for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { words, .. } | Self::Element { words, .. } => f.write_str(words),
            Self::Legacy {
                program,
                table,
                chain,
                words,
                ..
            } => {
                let program = program.file_name().unwrap_or_default().to_string_lossy();
                write!(
                    f,
                    "{program} -t {table} -A {chain} {}",
                    super::xtables::quoted(words)
                )
            }
        }
    }
}

impl Translation {
    /// Reports whether it compares with the number of a bridge.
    pub fn is_numbered(&self) -> bool {
        match self {
            Self::Rule { numbered, .. } => !numbered.is_empty(),
            Self::Element { numbered, .. } => numbered.is_some(),
            Self::Legacy { .. } => false,
        }
    }

    /// Adds it.
    pub(in crate::bridge::net) fn add(&self) -> io::Result<()> {
        match self {
            Self::Rule { rule, .. } => {
                let expressions = self.expressions()?;
                let body = MessageBuilder::default()
                    .text(NFTA_RULE_TABLE, &rule.table)
                    .text(NFTA_RULE_CHAIN, &rule.chain)
                    .attribute(NLA_F_NESTED | NFTA_RULE_EXPRESSIONS, &encode(&expressions))
                    .attribute(NFTA_RULE_POSITION, &rule.handle.to_be_bytes())
                    .maybe(rule.note.as_deref(), |body, note| {
                        body.attribute(NFTA_RULE_USERDATA, note)
                    });
                // extensions of iptables look at the protocol that their rule asks for
                let compatible = expressions.iter().any(|one| is_extension(&one.name));
                let protocol = u32::from(protocol(&expressions).unwrap_or(0)).to_be_bytes();
                let checked = MessageBuilder::default()
                    .attribute(NFTA_RULE_COMPAT_PROTO, &protocol)
                    .attribute(NFTA_RULE_COMPAT_FLAGS, &[0; 4]);
                let body = if compatible {
                    body.attribute(NLA_F_NESTED | NFTA_RULE_COMPAT, &checked.into_bytes())
                } else {
                    body
                };
                let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
                change(libc::NFT_MSG_NEWRULE, flags, rule.family, body)
            }
            Self::Element { family, .. } => change(
                libc::NFT_MSG_NEWSETELEM,
                libc::NLM_F_CREATE,
                *family,
                self.element()?,
            ),
            Self::Legacy {
                position, words, ..
            } => self
                .tool("-I", Some(*position), words)
                .map_err(io::Error::other),
        }
    }

    /// Takes it away, if it is there.
    pub(in crate::bridge::net) fn remove(&self) -> io::Result<()> {
        match self {
            Self::Rule { rule, .. } => {
                let ours = self.expressions()?;
                let netfilter = Netfilter::open()?.ok_or(io::ErrorKind::Unsupported)?;
                let there = NftRuleset::load(&netfilter, |_, _| false)?
                    .rules
                    .into_iter()
                    .find(|other| other.is_beside(rule) && is_same(&other.expressions, &ours));
                let Some(there) = there else {
                    return Ok(());
                };
                let body = MessageBuilder::default()
                    .text(NFTA_RULE_TABLE, &rule.table)
                    .text(NFTA_RULE_CHAIN, &rule.chain)
                    .attribute(NFTA_RULE_HANDLE, &there.handle.to_be_bytes());
                change(libc::NFT_MSG_DELRULE, 0, rule.family, body)
            }
            Self::Element { family, .. } => {
                match change(libc::NFT_MSG_DELSETELEM, 0, *family, self.element()?) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
                    result => result,
                }
            }
            Self::Legacy { words, .. } => match self.tool("-C", None, words) {
                Ok(()) => self.tool("-D", None, words).map_err(io::Error::other),
                Err(_) => Ok(()),
            },
        }
    }

    /// The expressions of a rule, with the numbers that bridges have now.
    fn expressions(&self) -> io::Result<Vec<Expression>> {
        let Self::Rule { rule, numbered, .. } = self else {
            return Ok(Vec::new());
        };
        let mut expressions = rule.expressions.clone();
        for (at, bridge) in numbered {
            if let Some(one) = expressions.get_mut(*at) {
                *one = one.comparing(&index(bridge)?.to_ne_bytes());
            }
        }
        Ok(expressions)
    }

    /// The message about an element, with the number that its bridge has now.
    fn element(&self) -> io::Result<MessageBuilder> {
        let Self::Element {
            table,
            set,
            key,
            data,
            lifetime,
            numbered,
            ..
        } = self
        else {
            return Ok(MessageBuilder::default());
        };
        let mut key = key.clone();
        if let Some((at, bridge)) = numbered
            && let Some(place) = key.get_mut(*at..*at + 4)
        {
            place.copy_from_slice(&index(bridge)?.to_ne_bytes());
        }
        let key = MessageBuilder::default()
            .attribute(NFTA_DATA_VALUE, &key)
            .into_bytes();
        let element = MessageBuilder::default()
            .attribute(NLA_F_NESTED | NFTA_SET_ELEM_KEY, &key)
            .maybe(data.as_deref(), |body, data| {
                body.attribute(NLA_F_NESTED | NFTA_SET_ELEM_DATA, data)
            })
            .others(lifetime);
        let list = MessageBuilder::default()
            .attribute(NLA_F_NESTED | NFTA_LIST_ELEM, &element.into_bytes());
        let body = MessageBuilder::default()
            .text(NFTA_SET_ELEM_LIST_TABLE, table)
            .text(NFTA_SET_ELEM_LIST_SET, set);
        Ok(body.attribute(
            NLA_F_NESTED | NFTA_SET_ELEM_LIST_ELEMENTS,
            &list.into_bytes(),
        ))
    }

    /// Runs the tool of the old iptables.
    fn tool(&self, verb: &str, at: Option<usize>, words: &[String]) -> anyhow::Result<()> {
        let Self::Legacy {
            program,
            table,
            chain,
            ..
        } = self
        else {
            return Ok(());
        };
        let mut command = Command::new(program);
        command.args(["-w", "5", "-t", table, verb, chain]);
        command.args(at.map(|at| at.to_string())).args(words);
        program::run(&mut command, Stdio::null(), TIMEOUT).map(drop)
    }
}

/// Reports whether an expression is an extension of iptables that nf_tables carries (nft_compat.c).
fn is_extension(name: &str) -> bool {
    matches!(name, "match" | "target")
}

fn change(message: i32, flags: i32, family: u8, body: MessageBuilder) -> io::Result<()> {
    let netfilter = Netfilter::open()?.ok_or(io::ErrorKind::Unsupported)?;
    netfilter.change(&[BatchedChange {
        kind: nftables(message),
        flags: flags as u16,
        family,
        body: body.into_bytes(),
    }])
}

fn index(name: &str) -> io::Result<u32> {
    if_nametoindex(name).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}
