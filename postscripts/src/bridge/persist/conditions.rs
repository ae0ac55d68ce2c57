//! The conditions of a `[Match]` section: in, sections; out, whether each key that is a list holds for a device.
//!
//! Lines of one key add up, an empty one takes back what is before it, and a line that begins with `!` excludes what
//! it lists. Hardware addresses are none of that: a word that is no address, `!52:54:00:12:34:56` among them, is
//! skipped, and a key without any other is no condition. Names are not unquoted, which leaves them no device's.
//! Reference: systemd.network(5), systemd.link(5), systemd's `net-condition.c` and `conf-parser.c`
//! (`config_parse_hw_addrs`). Pure.

use std::collections::BTreeMap;

use super::ini::{Ini, IniSection};
use crate::bridge::net::Mac;
use crate::files::glob;

/// What the `[Match]` sections of a file ask for.
pub(super) struct Conditions<'a>(BTreeMap<&'a str, Vec<Pattern<'a>>>);

/// A word of a condition.
pub(super) struct Pattern<'a> {
    word: &'a str,
    excludes: bool,
}

impl<'a> Conditions<'a> {
    pub(super) fn of(ini: &'a Ini) -> Self {
        let mut all: BTreeMap<&str, Vec<Pattern<'_>>> = BTreeMap::new();
        for (key, value) in ini.all("Match").flat_map(IniSection::pairs) {
            let patterns = all.entry(key).or_default();
            if value.is_empty() {
                patterns.clear();
            }
            let is_mac = key.ends_with("MACAddress");
            let listed = value.strip_prefix('!').filter(|_| !is_mac);
            let words = listed.unwrap_or(value).split_whitespace();
            let words = words.filter(|word| !is_mac || is_hardware_address(word));
            patterns.extend(words.map(|word| Pattern {
                word: match key {
                    "Name" | "OriginalName" => word,
                    _ => word.trim_matches(['"', '\'']),
                },
                excludes: listed.is_some(),
            }));
        }
        all.retain(|_, patterns| !patterns.is_empty());
        Self(all)
    }

    /// Reports whether every key holds, by what `holds` says of it.
    pub(super) fn all(&self, holds: impl Fn(&str, &[Pattern<'_>]) -> bool) -> bool {
        self.0.iter().all(|(key, patterns)| holds(key, patterns))
    }

    /// Reports whether there is no condition at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether the key has a condition.
    pub(super) fn asks_for(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// Whether a word has the form of a hardware address, be it of Ethernet or not.
fn is_hardware_address(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_hexdigit() || b":.-".contains(&byte);
    word.bytes().all(fits)
}

/// Reports whether a name is among the patterns.
pub(super) fn lists(patterns: &[Pattern<'_>], name: &str) -> bool {
    let fitting = |excludes: bool| {
        let mut of_kind = patterns.iter().filter(move |one| one.excludes == excludes);
        of_kind.any(|one| glob::matches(one.word, name))
    };
    !fitting(true) && (fitting(false) || patterns.iter().all(|one| one.excludes))
}

/// Reports whether a hardware address is among the words.
pub(super) fn lists_mac(patterns: &[Pattern<'_>], mac: Mac) -> bool {
    let mut words = patterns.iter().map(|one| one.word.parse::<Mac>());
    words.any(|word| word.is_ok_and(|word| word == mac))
}
