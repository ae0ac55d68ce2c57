//! Policy rules: `struct fib_rule_hdr` and `FRA_*` (linux/fib_rules.h).

use std::io;

use crate::bridge::net::Rule;
use crate::netlink::AF_INET6;
use crate::netlink::attribute::{MessageBuilder, split, take_text};

const INPUT: u16 = 3;
const OUTPUT: u16 = 17;
/// `FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED`: whether the named devices exist at the moment.
const DETACHED: u32 = 0x8 | 0x10;

/// Reads an `RTM_NEWRULE`.
pub(crate) fn decode_rule(bytes: &[u8]) -> io::Result<Rule> {
    let (mut header, mut rest) = split::<12>(bytes)?;
    let [.., f0, f1, f2, f3] = header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]) & !DETACHED;
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    Ok(Rule {
        v6: header[0] == AF_INET6,
        header: header.to_vec(),
        input: take_text(&mut rest, INPUT),
        output: take_text(&mut rest, OUTPUT),
        other: rest,
    })
}

/// Writes a rule.
pub(crate) fn encode_rule(rule: &Rule) -> Vec<u8> {
    MessageBuilder::new(&rule.header)
        .maybe(rule.input.as_deref(), |body, name| body.text(INPUT, name))
        .maybe(rule.output.as_deref(), |body, name| body.text(OUTPUT, name))
        .others(&rule.other)
        .into_bytes()
}
