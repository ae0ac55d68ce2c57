//! Files of rules as statements, and which of them are about a NIC alone.
//!
//! iptables-save, nft, ferm, shorewall, firewalld and shell scripts are read alike: lines, some of them
//! with several statements, some of them going on in the next. Only statements of one table and chain are
//! compared. Nothing is understood beyond names of devices.

use super::super::Move;

/// What is before a device that a packet comes or goes by, one and no more.
const SELECTORS: [&str; 8] = [
    "-i",
    "-o",
    "--in-interface",
    "--out-interface",
    "iif",
    "oif",
    "iifname",
    "oifname",
];

/// The table and the chain of a statement, where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ChainScope {
    table: String,
    chain: String,
}

/// A rule, a setting or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleStatement {
    /// The line that it begins in.
    pub(super) number: usize,
    /// As it is written.
    pub(super) shown: String,
    context: ChainScope,
    /// Without blanks and counters.
    plain: String,
}

/// Takes a file apart.
pub(super) fn read(text: &str) -> Vec<RuleStatement> {
    let (mut statements, mut context) = (Vec::new(), ChainScope::default());
    let mut begun: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines().map(without_comment)) {
        let goes_on = line.ends_with(['\\', ',']) || line.ends_with("= {");
        let (_, whole) = begun.get_or_insert((number, String::new()));
        whole.push_str(line.trim_end_matches('\\'));
        whole.push(' ');
        if (goes_on || line.is_empty()) && whole.trim() != "" {
            continue;
        }
        let (number, whole) = begun.take().unwrap_or_default();
        take_apart(&whole, number, &mut context, &mut statements);
    }
    if let Some((number, whole)) = begun {
        take_apart(&whole, number, &mut context, &mut statements);
    }
    statements
}

fn without_comment(line: &str) -> &str {
    let line = line.trim();
    let comments = line.match_indices('#').map(|(at, _)| &line[..at]);
    let is_before = |code: &&str| {
        code.chars().next_back().is_none_or(char::is_whitespace)
            && code.matches('"').count().is_multiple_of(2)
    };
    let code = comments.into_iter().find(is_before);
    code.unwrap_or(line).trim()
}

/// Adds what one line says, or several that go on.
fn take_apart(
    line: &str,
    number: usize,
    context: &mut ChainScope,
    statements: &mut Vec<RuleStatement>,
) {
    let mut quoted = false;
    let parts = line.split(|letter| {
        quoted ^= letter == '"';
        letter == ';' && !quoted
    });
    for mut part in parts {
        // blocks open, and may close, in the line of their statements
        loop {
            part = part.trim().trim_start_matches('}').trim_start();
            let is_table = match part.split_whitespace().next() {
                Some("table") => true,
                Some("chain" | "set" | "map") => false,
                Some(word) if word.starts_with('*') => {
                    *context = ChainScope::default();
                    context.table = word.to_owned();
                    break;
                }
                _ => break,
            };
            let Some((header, rest)) = part.split_once('{') else {
                break;
            };
            statements.push(RuleStatement::new(number, header, context));
            let name = header.trim().to_owned();
            if is_table {
                context.table = name;
                context.chain.clear();
            } else {
                context.chain = name
            }
            part = rest;
        }
        while part.matches('}').count() > part.matches('{').count() && part.ends_with('}') {
            part = part[..part.len() - 1].trim_end();
        }
        if !part.is_empty() {
            statements.push(RuleStatement::new(number, part, context));
        }
    }
}

impl RuleStatement {
    fn new(number: usize, shown: &str, context: &ChainScope) -> Self {
        let mut plain: Vec<&str> = shown.split_whitespace().collect();
        // what iptables-save and nft count
        if plain
            .first()
            .is_some_and(|word| word.starts_with('[') && word.ends_with(']'))
        {
            plain.remove(0);
        }
        for at in (1..plain.len()).rev() {
            if matches!(plain[at - 1], "packets" | "bytes") {
                plain.remove(at);
            }
        }
        Self {
            number,
            shown: shown.trim().to_owned(),
            context: context.clone(),
            plain: plain.join(" "),
        }
    }

    /// The file that nft reads in its place, which may be a pattern.
    pub(super) fn included(&self) -> Option<&str> {
        let file = self.plain.strip_prefix("include ")?;
        Some(file.trim_matches(['"', '\'', ' ']))
    }

    /// Whether any of its words is a program that `is` accepts by its name.
    pub(super) fn runs(&self, is: impl Fn(&str) -> bool) -> bool {
        let mut words = words(&self.plain);
        words.any(is)
    }

    /// Whether it gives a variable its value.
    pub(super) fn assigns(&self) -> bool {
        let key = self.plain.split('=').next().unwrap_or_default();
        let key = key.rsplit(' ').next().unwrap_or_default();
        let is_name = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        self.plain.contains('=') && !key.is_empty() && is_name(key)
    }

    /// Whether it is about the NIC, not about its bridge too, and none beside it is the same about the bridge.
    pub(super) fn is_left(&self, one: &Move, beside: &[RuleStatement]) -> bool {
        // such a chain stays bound to the port
        if self.plain.contains("hook ingress") || self.plain.contains("hook egress") {
            return false;
        }
        let Some(whole) = self.renamed(one, |_| true) else {
            return false;
        };
        if self.excludes(&one.nic) {
            return !self.excludes(&one.bridge);
        }
        let selected = self.renamed(one, |before| SELECTORS.contains(&before));
        let names_both = words(&self.plain).any(|word| covers(word, &one.bridge));
        if names_both && selected.is_none() {
            return false;
        }
        let twins = [Some(whole), selected];
        let mut beside = beside.iter().filter(|it| it.context == self.context);
        !beside.any(|it| twins.iter().flatten().any(|twin| *twin == it.plain))
    }

    /// Whether it is about everything but this device: the same about another one is the opposite of what it needs.
    pub(super) fn excludes(&self, device: &str) -> bool {
        // `! -i eth0`, `iifname != "eth0"` and `iifname != { "lo", "eth0" }`
        let (mut negated, mut depth) = (false, 0);
        for piece in self.plain.split_inclusive(|letter| !is_of_name(letter)) {
            let word = piece.trim_end_matches(|letter| !is_of_name(letter));
            if negated && covers(word, device) {
                return true;
            }
            if !word.is_empty() && depth == 0 && !SELECTORS.contains(&word) {
                negated = false;
            }
            match piece.chars().next_back() {
                Some('!') => negated = true,
                Some('{') => depth += 1,
                Some('}') => depth = 0,
                _ => {}
            }
        }
        false
    }

    /// The same about the bridge: what names the NIC after a word that `wanted` accepts.
    fn renamed(&self, one: &Move, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let (mut out, mut before, mut differs) = (String::new(), "", false);
        for piece in self.plain.split_inclusive(|letter| !is_of_name(letter)) {
            let word = piece.trim_end_matches(|letter| !is_of_name(letter));
            let named = covers(word, &one.nic) && !covers(word, &one.bridge) && wanted(before);
            differs |= named;
            out.push_str(if named { &one.bridge } else { word });
            out.push_str(&piece[word.len()..]);
            // quotes and `==` are between a selector and its device, sets and `!=` say something else
            if !word.is_empty() || piece.contains(['{', '!']) {
                before = word;
            }
        }
        differs.then_some(out)
    }
}

/// The words of a line that could be names of devices, or of programs.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter| !is_of_name(letter))
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.-+*@".contains(letter)
}

/// Whether a word is a device's name: `eth+` and `eth*` are all that begin so.
fn covers(word: &str, device: &str) -> bool {
    match word.strip_suffix(['+', '*']) {
        Some(start) => !start.is_empty() && device.starts_with(start),
        None => word == device,
    }
}
