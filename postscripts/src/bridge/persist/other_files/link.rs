//! `.link` files that pick the NIC by its hardware address, which the bridge has too, or that give a name by what holds
//! for the bridge as well: udev would give the bridge the NIC's name and settings.
//!
//! `Type=` distinguishes the two; it is added where no other condition does. Reference: systemd.link(5).

use std::path::Path;

use anyhow::Result;

use super::{RewriteContext, UnclearLine};
use crate::bridge::persist::conditions::{Conditions, Pattern, lists, lists_mac};
use crate::bridge::persist::ini::Ini;
use crate::files::{self, under_root};

/// The NIC's type as udev knows it.
pub(super) fn type_of(root: &Path, nic: &str) -> Result<String> {
    let path = Path::new("/sys/class/net").join(nic).join("uevent");
    let text = files::read(&under_root(root, &path))?.unwrap_or_default();
    let kind = text.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    Ok(kind.unwrap_or("ether").trim().to_owned())
}

pub(super) fn rewrite(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let mut ini = Ini::parse(text);
    let takes_bridge = {
        let conditions = Conditions::of(&ini);
        // a file without any condition is none to udev
        let names = ini.value("Link", "Name").is_some() && !conditions.is_empty();
        (names || conditions.asks_for("MACAddress"))
            && conditions.all(|key, words| holds_for_bridge(key, words, context))
    };
    if takes_bridge {
        let kind = format!("Type={}", context.link_type);
        ini.section_mut("Match").add(kind);
        return Ok(ini.render());
    }
    Ok(text.to_owned())
}

/// Whether a condition may hold for the bridge as well.
fn holds_for_bridge(key: &str, words: &[Pattern<'_>], context: &RewriteContext<'_>) -> bool {
    match key {
        "MACAddress" => lists_mac(words, context.desired.mac),
        "OriginalName" => lists(words, &context.desired.bridge),
        "Type" | "Kind" | "Driver" => lists(words, "bridge"),
        // A bridge has neither.
        "PermanentMACAddress" | "Path" => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, desired};
    use super::*;

    #[test]
    fn a_link_file_by_address_does_not_take_the_bridge() {
        let by_mac = "MACAddress=52:54:00:12:34:56";
        let cases = [
            (by_mac, true),
            ("MACAddress=52:54:00:00:00:01 52:54:00:12:34:56", true),
            (
                "MACAddress=52:54:00:00:00:01\nMACAddress=52:54:00:12:34:56",
                true,
            ),
            ("MACAddress=5254.0012.3456", true),
            ("MACAddress=52-54-00-12-34-56", true),
            ("MACAddress=52:54:00:12:34:56\nMACAddress=", false),
            ("MACAddress=52:54:00:12:34:56\nOriginalName=*", true),
            ("MACAddress=52:54:00:12:34:56\nDriver=!virtio_net", true),
            ("MACAddress=52:54:00:12:34:56\nOriginalName=eth*", false),
            (
                "MACAddress=52:54:00:12:34:56\nType=!vlan bond bridge",
                false,
            ),
            ("MACAddress=52:54:00:12:34:56\nPath=pci-*", false),
            ("MACAddress=52:54:00:00:00:01", false),
            ("MACAddress=!52:54:00:12:34:56", false),
            ("MACAddress=!52:54:00:00:00:01 52:54:00:12:34:56", true),
            ("PermanentMACAddress=52:54:00:12:34:56", false),
            ("OriginalName=*", true),
            ("OriginalName=eth* b*", true),
            ("OriginalName=!b*", false),
            ("Driver=virtio*", false),
        ];
        let desired = desired();
        for (conditions, taken) in cases {
            let text = format!("# lab\n[Match]\n{conditions}\n\n[Link]\nName=lan0\n");
            let new = rewrite(&text, &context(&desired)).ok().unwrap();
            let expected = if taken {
                format!("# lab\n[Match]\n{conditions}\nType=ether\n\n[Link]\nName=lan0\n")
            } else {
                text
            };
            assert_eq!(new, expected);
            assert_eq!(
                rewrite(&new, &context(&desired)).ok().unwrap(),
                new,
                "again"
            );
        }
    }
}
