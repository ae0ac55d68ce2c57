//! Policy rules: `struct fib_rule_hdr` and `FRA_*` (linux/fib_rules.h).

use std::io;

use crate::bridge::net::PolicyRule;
use crate::netlink::AF_INET6;
use crate::netlink::attribute::{MessageBuilder, split, take_text};
use crate::netlink::uapi::{
    FIB_RULE_IIF_DETACHED, FIB_RULE_OIF_DETACHED, FRA_IIFNAME, FRA_OIFNAME,
};

/// Whether the named devices exist at the moment: a finding, no part of the rule.
const DETACHED: u32 = FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED;

/// Reads an `RTM_NEWRULE`.
pub(crate) fn decode_rule(bytes: &[u8]) -> io::Result<PolicyRule> {
    let (mut header, mut rest) = split::<12>(bytes)?;
    let [.., f0, f1, f2, f3] = header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]) & !DETACHED;
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    Ok(PolicyRule {
        v6: header[0] == AF_INET6,
        header: header.to_vec(),
        input: take_text(&mut rest, FRA_IIFNAME),
        output: take_text(&mut rest, FRA_OIFNAME),
        other: rest,
    })
}

/// Writes a rule.
pub(crate) fn encode_rule(rule: &PolicyRule) -> Vec<u8> {
    MessageBuilder::new(&rule.header)
        .maybe(rule.input.as_deref(), |body, name| {
            body.text(FRA_IIFNAME, name)
        })
        .maybe(rule.output.as_deref(), |body, name| {
            body.text(FRA_OIFNAME, name)
        })
        .others(&rule.other)
        .into_bytes()
}
