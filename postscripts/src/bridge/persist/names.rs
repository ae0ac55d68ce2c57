//! The NIC's name where it is a word of its own in a text.
//!
//! In: a line of any configuration. Out: whether it names the device, and the line with the bridge's
//! name in its place. A longer name (`veth0`, `eth01`, `br-eth0`), a VLAN of the device (`eth0.100`)
//! and a path component made of other things are not meant; an alias (`eth0:1`), a sysctl key
//! (`conf.eth0.accept_ra`), a scope (`fe80::1%eth0`) and a unit's instance (`ifup@eth0`) are.

use std::ops::Range;

/// Whether the text names the device.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    next(text, name, 0).is_some()
}

/// The text with another device named wherever it named `from`.
pub(super) fn rename(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = next(text, from, at) {
        out.push_str(&text[at..found.start]);
        out.push_str(to);
        at = found.end;
    }
    out + &text[at..]
}

fn next(text: &str, name: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(found) = text[at..].find(name).filter(|_| !name.is_empty()) {
        let range = at + found..at + found + name.len();
        let before = text[..range.start].chars().next_back();
        if !before.is_some_and(in_name) && !goes_on(&text[range.end..]) {
            return Some(range);
        }
        at = range.end;
    }
    None
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// Whether what follows makes a longer name of it.
fn goes_on(rest: &str) -> bool {
    let Some(first) = rest.chars().next() else {
        return false;
    };
    let vlan = rest.strip_prefix('.').is_some_and(|tag| {
        let digits = tag.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && !tag[digits..].chars().next().is_some_and(in_name)
    });
    in_name(first) || vlan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_where_its_name_stands_for_itself() {
        let cases = [
            ("eth0", "br0"),
            ("dev eth0 table 5", "dev br0 table 5"),
            ("eth0:1", "br0:1"),
            (
                "net.ipv6.conf.eth0.accept_ra=2",
                "net.ipv6.conf.br0.accept_ra=2",
            ),
            (
                "/proc/sys/net/ipv4/conf/eth0/rp_filter",
                "/proc/sys/net/ipv4/conf/br0/rp_filter",
            ),
            ("fe80::1%eth0#dns", "fe80::1%br0#dns"),
            ("ifup@eth0.service", "ifup@br0.service"),
            ("a=\"eth0\" b='eth0 eth0'", "a=\"br0\" b='br0 br0'"),
        ];
        for (line, expected) in cases {
            assert_eq!(rename(line, "eth0", "br0"), expected);
            assert!(mentions(line, "eth0"), "{line}");
        }
    }

    #[test]
    fn a_longer_name_is_another_device() {
        for line in [
            "veth0", "eth01", "br-eth0", "eth0-lan", "eth0_old", "eth0.100", "eth0.7:1", "Eth0", "",
        ] {
            assert!(!mentions(line, "eth0"), "{line}");
            assert_eq!(rename(line, "eth0", "br0"), line);
        }
    }
}
