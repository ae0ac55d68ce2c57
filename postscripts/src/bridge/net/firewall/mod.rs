//! Rules of the host's firewall that name the NIC: traffic will come in by the bridge, and they would
//! not match.
//!
//! In: which NIC goes into which bridge. Out: a [`Survey`]: each such rule with what has to be added beside
//! it, a [`Translation`]; what stays bound to the NIC and goes on; which files of the next boot name it.
//! `nf_tables` is read by netlink, with nothing of the host's in between; the old tables by the tool that
//! belongs to them. Nothing is changed.

mod device;
mod ipset;
mod named;
mod physdev;
mod search;
mod stored;
#[cfg(test)]
mod tests;
mod traffic;
mod translation;
mod xtables;

use std::io;
use std::path::Path;

use nix::libc;
use nix::net::if_::{if_indextoname, if_nametoindex};

use super::kernel::HostKernel;
use super::{NetState, Uplink, rules_file};
use crate::netlink::netfilter::Netfilter;
use crate::nftables::{NftRule, NftRuleset, place};
pub use translation::Translation;

/// What becomes of a rule about the bridge or about ports, once the NIC is one.
const BEGINS: &str = "begins to match when the NIC is a port";
const ENDS: &str = "no longer matches when the NIC is a port";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Rules that would not match any more.
    pub findings: Vec<RuleFinding>,
    /// Lines of files for the next boot that name the NIC and not the bridge.
    pub stored: Vec<String>,
    /// What stays as it is though it might surprise.
    pub notes: Vec<String>,
}

/// A rule that names the NIC, and what has to be added beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFinding {
    /// The rule, as its own tool prints it where it is known.
    pub rule: String,
    /// What it needs beside it, or in its place.
    pub becomes: String,
    /// The same as a change; nothing where it is for the administrator to decide.
    pub translation: Option<Translation>,
}

/// A NIC on its way into a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    nic: String,
    nic_index: u32,
    /// What the kernel calls its kind by; nothing for hardware.
    nic_kind: Option<String>,
    nic_group: u32,
    bridge: String,
    /// As it will be.
    bridge_group: u32,
    /// Nothing as long as the bridge is not made.
    bridge_index: Option<u32>,
    /// Whether it is there already.
    is_port: bool,
}

impl RuleFinding {
    fn by_hand(rule: String, need: &str) -> Self {
        Self {
            rule,
            becomes: need.to_owned(),
            translation: None,
        }
    }

    /// The rule of nf_tables that would be added, and its words.
    fn translated_rule(&mut self) -> Option<(&NftRule, &mut String)> {
        match &mut self.translation {
            Some(Translation::Rule { rule, words, .. }) => Some((rule, words)),
            _ => None,
        }
    }
}

/// Looks through every table of rules that the kernel has in this network namespace, and the files below
/// the root that they come from.
///
/// # Errors
/// When the kernel does not answer.
pub fn survey(
    kernel: &HostKernel,
    root: &Path,
    uplinks: &[Uplink],
    state: &NetState,
) -> io::Result<Survey> {
    let moves: Vec<_> = uplinks
        .iter()
        .map(|uplink| Move::of(uplink, state))
        .collect();
    let mut stored = stored::find(root, &moves);
    // rules of ours are about the NIC itself
    let ours: Vec<_> = moves.iter().map(|one| rules_file(&one.bridge)).collect();
    stored
        .lines
        .retain(|line| !ours.iter().any(|file| line.starts_with(file)));
    let mut survey = Survey {
        stored: stored.lines,
        notes: stored.unread,
        ..Survey::default()
    };
    match by_netlink(&moves) {
        Ok(found) => {
            survey.findings = found.findings;
            survey.stored.extend(found.stored);
            survey.notes.extend(found.notes);
        }
        Err(error) if is_forbidden(&error) => {
            survey
                .notes
                .push("the firewall was not read: that needs root".to_owned());
        }
        Err(error) => return Err(error),
    }
    for found in [xtables::find(&moves), xtables::find_of_bridges(&moves)] {
        match found {
            Ok(found) => survey.findings.extend(found),
            Err(error) => {
                let why = format!("{error:#}");
                survey.findings.push(RuleFinding::by_hand(
                    why,
                    "check manually whether they name the NIC",
                ));
            }
        }
    }
    let name = |index| {
        if_indextoname(index).map_or_else(
            |_| index.to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    traffic::look_through(&kernel.filters()?, &moves, name, &mut survey);
    for one in &moves {
        let kinds = kernel.shapers(one.nic_index)?;
        if !kinds.is_empty() {
            let (nic, kinds) = (&one.nic, kinds.join(", "));
            survey.notes.push(format!(
                "tc: {kinds} of {nic} stays there and is about all that passes the port, containers' traffic too"
            ));
        }
    }
    Ok(survey)
}

/// What the kernel reports.
fn by_netlink(moves: &[Move]) -> io::Result<Survey> {
    let Some(netfilter) = Netfilter::open()? else {
        return Ok(Default::default());
    };
    let ruleset = NftRuleset::load(&netfilter, search::is_looked_up_by_device)?;
    let mut findings = search::find(&ruleset, moves);
    xtables::explain(&mut findings, &ruleset, moves);
    findings.extend(ipset::find(&netfilter, moves)?);
    Ok(Survey {
        findings,
        stored: search::by_group(&ruleset, moves),
        notes: hooks(&ruleset, moves),
    })
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// What hooks the NIC itself, or sends to it, below the bridge.
fn hooks(ruleset: &NftRuleset, moves: &[Move]) -> Vec<String> {
    let mut notes = Vec::new();
    for (hook, devices) in &ruleset.hooks {
        for one in moves.iter().filter(|one| devices.contains(&one.nic)) {
            notes.push(format!("nft: {hook} stays bound to {}, as a port", one.nic));
        }
    }
    for rule in ruleset.rules.iter().filter(|rule| ruleset.is_below(rule)) {
        for (at, one) in rule.expressions.iter().enumerate() {
            let destination = device::destination(one, &rule.expressions[..at]);
            let named = |one: &&Move| {
                destination
                    .as_ref()
                    .is_some_and(|it| one.is_destination(it))
            };
            notes.extend(moves.iter().filter(named).map(|named| {
                let (place, name) = (place(rule), &one.name);
                format!(
                    "nft: {name} of {place} goes on to send to {}, as a port",
                    named.nic
                )
            }));
        }
    }
    notes
}

impl Move {
    fn of(uplink: &Uplink, state: &NetState) -> Self {
        let (nic, bridge) = (uplink.nic.as_str(), uplink.bridge.as_str());
        let link = state.link(nic);
        let is_port = uplink.is_connected(state);
        let nic_group = link.map(|link| link.group).unwrap_or_default();
        // one without other ports gets the NIC's
        let shaped = is_port || state.ports(bridge).next().is_some();
        let known = state.link(bridge).filter(|_| shaped);
        Self {
            nic: nic.to_owned(),
            nic_index: if_nametoindex(nic).unwrap_or_default(),
            nic_kind: link.and_then(|link| match &link.kind {
                super::LinkKind::Other(kind) => Some(kind.clone()),
                _ => None,
            }),
            nic_group,
            bridge_group: known.map_or(nic_group, |link| link.group),
            bridge: bridge.to_owned(),
            bridge_index: if_nametoindex(bridge).ok(),
            is_port,
        }
    }
}
