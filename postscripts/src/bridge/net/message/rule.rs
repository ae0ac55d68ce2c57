//! Policy rules: `struct fib_rule_hdr` and `FRA_*` (linux/fib_rules.h).

use std::io;

use super::typed::{bytes, bytes_with, read, unreadable};
use crate::bridge::net::PolicyRule;
use crate::netlink::AF_INET6;
use crate::netlink::attribute::take_text;
use crate::netlink::packet_core::{Emitable, Parseable};
use crate::netlink::packet_route::rule::{RuleAttribute, RuleFlags, RuleHeader, RuleMessage};
use crate::netlink::uapi::{FRA_IIFNAME, FRA_OIFNAME};

/// Asks for the rules of a family.
pub(crate) fn encode_rules_request(family: u8) -> Vec<u8> {
    let mut message = RuleMessage::default();
    message.header.family = family.into();
    bytes(&message)
}

/// Reads an `RTM_NEWRULE`. All of its attributes stay as they are: a rule is found again by them alone.
pub(crate) fn decode_rule(message: &[u8]) -> io::Result<PolicyRule> {
    let unreadable = |error| unreadable("a policy rule", &error);
    let mut header = RuleHeader::parse(message).map_err(unreadable)?;
    // whether the named devices exist at the moment: a finding, no part of the rule
    header.flags -= RuleFlags::IifDetached | RuleFlags::OifDetached;
    let attributes = &message[header.buffer_len()..];
    let (_, mut other) =
        read(attributes, &[], |one| RuleAttribute::parse(one)).map_err(unreadable)?;
    Ok(PolicyRule {
        v6: u8::from(header.family) == AF_INET6,
        header: bytes(&header),
        input: take_text(&mut other, FRA_IIFNAME),
        output: take_text(&mut other, FRA_OIFNAME),
        other,
    })
}

/// Writes a rule.
pub(crate) fn encode_rule(rule: &PolicyRule) -> io::Result<Vec<u8>> {
    let mut message = RuleMessage::default();
    message.header = RuleHeader::parse(&rule.header).map_err(io::Error::other)?;
    let attributes = &mut message.attributes;
    attributes.extend(rule.input.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.output.clone().map(RuleAttribute::Oifname));
    Ok(bytes_with(&message, &rule.other))
}
