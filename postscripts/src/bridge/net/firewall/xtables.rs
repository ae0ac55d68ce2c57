//! Rules that the old iptables keeps outside nf_tables, as `iptables-save` prints them.
//!
//! Read only where the kernel has such tables: the tool would make them otherwise. Reference:
//! iptables-save(8); values with special characters are in double quotes, with backslashes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::libc;

use super::translation::Translation;
use super::{Move, RuleFinding, physdev};
use crate::nftables::{NftRule, NftRuleset};
use crate::program;

const TIMEOUT: Duration = Duration::from_secs(10);
/// What the kernel calls its tables by, and the tool that reads them.
const KINDS: [(&str, &str); 3] = [
    ("/proc/net/ip_tables_names", "iptables"),
    ("/proc/net/ip6_tables_names", "ip6tables"),
    ("/proc/net/arp_tables_names", "arptables"),
];

/// The tables of iptables, and `NFPROTO_*`.
const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
const NFPROTO_IPV4: u8 = libc::NFPROTO_IPV4 as u8;
const NFPROTO_IPV6: u8 = libc::NFPROTO_IPV6 as u8;

/// A rule out of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedRule {
    pub(super) table: String,
    pub(super) chain: String,
    /// Which rule of its chain it is, from 1.
    pub(super) number: usize,
    pub(super) words: Vec<String>,
    pub(super) text: String,
}

/// Looks through the old tables of every kind that the kernel has.
///
/// # Errors
/// When there are tables and nothing to read them with.
pub(super) fn find(moves: &[Move]) -> Result<Vec<RuleFinding>> {
    let mut findings = Vec::new();
    for (names, tool) in KINDS {
        // a kernel that has none has no such file
        let tables = fs::read_to_string(names).unwrap_or_default();
        if tables.trim().is_empty() {
            continue;
        }
        let Some(program) = legacy(tool) else {
            bail!(
                "this kernel has {tool} tables ({}) and this host no {tool}-legacy to read them with: install \
                 iptables",
                tables.split_whitespace().collect::<Vec<_>>().join(", ")
            );
        };
        let save = program.with_file_name(format!("{}-save", name(&program)));
        let text = program::run(&mut Command::new(&save), Stdio::null(), TIMEOUT)
            .with_context(|| format!("reading the rules of {tool}"))?;
        let complete = text.matches("\nCOMMIT").count() >= text.matches("\n*").count();
        if !complete || !text.contains("COMMIT") {
            bail!("{} did not print a complete ruleset", save.display());
        }
        findings.extend(look_through(&parse(&text), &program, moves));
    }
    Ok(findings)
}

/// Says rules that the new iptables keeps in nf_tables as iptables does, where its tool is here and both
/// count as many rules in a chain.
pub(super) fn explain(findings: &mut [RuleFinding], ruleset: &NftRuleset, moves: &[Move]) {
    for (family, tool) in [(NFPROTO_IPV4, "iptables"), (NFPROTO_IPV6, "ip6tables")] {
        let is_ours =
            |rule: &NftRule| rule.family == family && TABLES.contains(&rule.table.as_str());
        let sought = findings.iter_mut().filter_map(RuleFinding::translated_rule);
        if sought.filter(|(rule, _)| is_ours(rule)).count() == 0 {
            continue;
        }
        let tools = [format!("{tool}-nft-save"), format!("{tool}-save")];
        let Some(save) = tools.iter().find_map(|name| program::find(name)) else {
            continue;
        };
        let text = program::run(&mut Command::new(save), Stdio::null(), TIMEOUT);
        let lines = parse(&text.unwrap_or_default());
        for finding in findings.iter_mut() {
            if let Some((rule, words)) = finding.translated_rule()
                && is_ours(rule)
                && let Some(line) = line_of(rule, ruleset, &lines)
                && let NicMention::Translation(twin) = read(&line.words, moves)
            {
                let (table, chain) = (&line.table, &line.chain);
                *words = format!("{tool} -t {table} -A {chain} {}", quoted(&twin));
                finding.becomes = words.clone();
                finding.rule = format!("{tool} -t {table} {}", line.text);
            }
        }
    }
}

/// The line that a rule of nf_tables is in a listing.
fn line_of<'a>(
    rule: &NftRule,
    ruleset: &NftRuleset,
    lines: &'a [SavedRule],
) -> Option<&'a SavedRule> {
    let chain: Vec<_> = ruleset
        .rules
        .iter()
        .filter(|one| one.is_beside(rule))
        .collect();
    let place = (&rule.table, &rule.chain);
    let shown = lines
        .iter()
        .filter(|line| (&line.table, &line.chain) == place);
    let shown: Vec<_> = shown.collect();
    let at = chain.iter().position(|one| one.handle == rule.handle)?;
    shown
        .get(at)
        .filter(|_| chain.len() == shown.len())
        .copied()
}

/// Words as a shell would have to be given them.
pub(super) fn quoted(words: &[String]) -> String {
    let odd = |word: &str| {
        word.is_empty() || word.contains([' ', '"', '\'', '\\', '$', '`', '*', ';', '&', '|'])
    };
    let shown = words.iter().map(|word| {
        if odd(word) {
            format!("'{}'", word.replace('\'', "'\\''"))
        } else {
            word.clone()
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Looks through the old tables of bridges, which the kernel names nowhere: where their modules are loaded.
pub(super) fn find_of_bridges(moves: &[Move]) -> Result<Vec<RuleFinding>> {
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let settled = moves.iter().all(|one| one.is_port);
    if settled || !modules.lines().any(|line| line.starts_with("ebtable_")) {
        return Ok(Vec::new());
    }
    let Some(program) = legacy("ebtables") else {
        bail!(
            "this kernel has ebtables tables and this host no ebtables-legacy to read them with: install ebtables"
        );
    };
    let save = program.with_file_name(format!("{}-save", name(&program)));
    let text = program::run(&mut Command::new(&save), Stdio::null(), TIMEOUT)
        .context("reading the rules of ebtables")?;
    let lines = parse(&text).into_iter();
    let is_named = |words: &[String]| {
        !matches!(read(words, moves), NicMention::Not) || names_bridge(words, moves).is_some()
    };
    let named = lines.filter(|line| is_named(&line.words));
    let finding = |line: SavedRule| {
        RuleFinding::by_hand(
            format!("ebtables -t {} {}", line.table, line.text),
            super::BEGINS,
        )
    };
    Ok(named.map(finding).collect())
}

/// The tool for the old tables: where there are both, it has a name of its own.
fn legacy(tool: &str) -> Option<PathBuf> {
    let is_old = |path: &PathBuf| {
        let program = fs::canonicalize(path).unwrap_or_default();
        !name(&program).contains("nft")
    };
    let save = |name: &str| program::find(&format!("{name}-save"));
    let own = format!("{tool}-legacy");
    match save(&own) {
        Some(path) => Some(path.with_file_name(own)),
        None => save(tool)
            .filter(is_old)
            .map(|path| path.with_file_name(tool)),
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Finds the rules that name a NIC and have no translation.
pub(super) fn look_through(
    lines: &[SavedRule],
    program: &Path,
    moves: &[Move],
) -> Vec<RuleFinding> {
    let (mut findings, mut added): (Vec<RuleFinding>, Vec<(&str, &str)>) = Default::default();
    for line in lines {
        let tool = name(program);
        let rule = format!("{tool} -t {} {}", line.table, line.text);
        let twin = match read(&line.words, moves) {
            NicMention::Not => {
                if let Some(change) = changes(line, lines, moves) {
                    findings.push(RuleFinding::by_hand(rule, change));
                }
                continue;
            }
            NicMention::Negated(bridge) => {
                let need = format!("has to leave out {bridge} too");
                findings.push(RuleFinding::by_hand(rule, &need));
                continue;
            }
            NicMention::Sends(bridge, nic) => {
                let need = format!("has to send to {bridge} in place of {nic}");
                findings.push(RuleFinding::by_hand(rule, &need));
                continue;
            }
            NicMention::Translation(words) => words,
        };
        let place = (line.table.as_str(), line.chain.as_str());
        let there = |other: &SavedRule| {
            (other.table.as_str(), other.chain.as_str()) == place && other.words == twin
        };
        if lines.iter().any(there) {
            continue;
        }
        added.push(place);
        let before = added.iter().filter(|other| **other == place).count();
        let translation = Translation::Legacy {
            program: program.to_owned(),
            table: line.table.clone(),
            chain: line.chain.clone(),
            position: line.number + before,
            words: twin,
        };
        findings.push(RuleFinding {
            rule,
            becomes: translation.to_string(),
            translation: Some(translation),
        });
    }
    findings
}

/// How a rule names a NIC.
enum NicMention {
    Not,
    /// Everything but the NIC is meant: two devices cannot be left out by one rule.
    Negated(String),
    /// It sends packets to the NIC (TEE): to the bridge, in place of the NIC.
    Sends(String, String),
    /// The words of its translation.
    Translation(Vec<String>),
}

/// What becomes of a rule that names no NIC but a bridge or a port, unless it accepts, only counts, or is what
/// another one needs beside it.
fn changes(line: &SavedRule, lines: &[SavedRule], moves: &[Move]) -> Option<&'static str> {
    let words = &line.words;
    let mut targets = words
        .iter()
        .skip_while(|word| !matches!(word.as_str(), "-j" | "-g"));
    if targets.nth(1).is_none_or(|target| target == "ACCEPT") {
        return None;
    }
    let is_twin = |other: &SavedRule| {
        (&other.table, &other.chain) == (&line.table, &line.chain)
            && matches!(read(&other.words, moves), NicMention::Translation(twin) if twin == *words)
    };
    let change = if physdev::begins_in(words, moves) {
        super::BEGINS
    } else {
        names_bridge(words, moves)?
    };
    (!lines.iter().any(is_twin)).then_some(change)
}

/// What becomes of a rule that names a bridge.
fn names_bridge(words: &[String], moves: &[Move]) -> Option<&'static str> {
    let named = |word: &str| {
        let mut moves = moves.iter().filter(|one| !one.is_port);
        moves.any(|one| covers(word, &one.bridge) && !covers(word, &one.nic))
    };
    let is_option = |word: &str| matches!(word, "-i" | "-o" | "--logical-in" | "--logical-out");
    let at = (1..words.len()).find(|at| is_option(&words[at - 1]) && named(&words[*at]))?;
    Some(if at > 1 && words[at - 2] == "!" {
        super::ENDS
    } else {
        super::BEGINS
    })
}

fn read(words: &[String], moves: &[Move]) -> NicMention {
    let mut twin = words.to_vec();
    for at in 1..words.len() {
        let sends = words[at - 1] == "--oif";
        let is_device = sends || matches!(words[at - 1].as_str(), "-i" | "-o");
        let named = |one: &&Move| covers(&words[at], &one.nic) && !covers(&words[at], &one.bridge);
        let Some(named) = moves.iter().find(named).filter(|_| is_device) else {
            continue;
        };
        if at > 1 && words[at - 2] == "!" {
            return NicMention::Negated(named.bridge.clone());
        }
        if sends {
            return NicMention::Sends(named.bridge.clone(), named.nic.clone());
        }
        twin[at].clone_from(&named.bridge);
    }
    if twin == words {
        NicMention::Not
    } else {
        NicMention::Translation(twin)
    }
}

/// Whether a name in a rule is a device's: `eth+` is every name that begins so.
pub(super) fn covers(pattern: &str, device: &str) -> bool {
    match pattern.strip_suffix('+') {
        Some(start) => device.starts_with(start),
        None => pattern == device,
    }
}

/// Reads a listing.
pub(super) fn parse(text: &str) -> Vec<SavedRule> {
    let (mut lines, mut table): (Vec<SavedRule>, _) = (Vec::new(), String::new());
    let mut numbers = BTreeMap::<(String, String), usize>::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.trim().to_owned();
        }
        let words = split(line);
        let [verb, chain, words @ ..] = words.as_slice() else {
            continue;
        };
        if verb != "-A" {
            continue;
        }
        let number = numbers.entry((table.clone(), chain.clone())).or_default();
        *number += 1;
        lines.push(SavedRule {
            table: table.clone(),
            chain: chain.clone(),
            number: *number,
            words: words.to_vec(),
            text: line.to_owned(),
        });
    }
    lines
}

/// Splits a line into its words as the tools quote them.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            '\\' if quoted => word.extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
