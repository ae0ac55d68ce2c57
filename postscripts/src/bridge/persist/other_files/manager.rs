//! `NetworkManager.conf` and its drop-ins: which devices NetworkManager leaves alone, and what it takes for those that
//! fit.
//!
//! Nothing is edited: what holds for the NIC by its name or kind has to hold for the bridge, and nothing may keep
//! NetworkManager from the bridge. Reference: NetworkManager.conf(5), "Device List Format".

use super::{RewriteContext, UnclearLine};
use crate::bridge::net::Mac;
use crate::bridge::persist::ini;
use crate::bridge::persist::names::mentions;
use crate::files::glob;

const AWAY: &str = "keeps NetworkManager from";
const LOST: &str = "is about the NIC and not about";
/// What a section sets of profiles that the bridge's own will have.
const ADDRESSED: [&str; 3] = ["connection.", "ipv4.", "ipv6."];

/// A device as a list of devices sees it.
struct ListedDevice<'a> {
    name: &'a str,
    kind: &'a str,
    mac: Option<Mac>,
    /// Its driver, where it is known.
    driver: Option<&'a str>,
}

impl ListedDevice<'_> {
    /// Whether a list holds it: some entry fits, and no exception does.
    fn is_in(&self, list: &str) -> bool {
        let mut is_in = false;
        for entry in list.split([',', ';']).map(str::trim) {
            match entry.strip_prefix("except:") {
                Some(entry) if self.fits(entry) => return false,
                Some(_) => {}
                None => is_in |= self.fits(entry),
            }
        }
        is_in
    }

    fn fits(&self, entry: &str) -> bool {
        match entry.split_once(':') {
            None => !entry.is_empty() && (entry == "*" || entry == self.name),
            Some(("interface-name", "*")) => true,
            Some(("interface-name", name)) => match name.strip_prefix('=') {
                Some(name) => name == self.name,
                None => glob::matches(name.strip_prefix('~').unwrap_or(name), self.name),
            },
            Some(("type", kind)) => kind == self.kind,
            // one that is not known may be any
            Some(("driver", driver)) => self.driver.is_none_or(|own| glob::matches(driver, own)),
            Some((_, mac)) => [entry, mac]
                .into_iter()
                .any(|mac| mac.parse().is_ok_and(|mac: Mac| Some(mac) == self.mac)),
        }
    }
}

pub(super) fn rewrite(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    if !context.is_networkmanagers {
        return Ok(text.to_owned());
    }
    let nic = ListedDevice {
        name: &desired.nic,
        kind: match context.link_type.as_str() {
            "ether" => "ethernet",
            kind => kind,
        },
        mac: Some(desired.mac),
        driver: None,
    };
    let bridge = ListedDevice {
        name: &desired.bridge,
        kind: "bridge",
        // it has no permanent one, which is what counts
        mac: None,
        driver: Some("bridge"),
    };
    let mut findings = Vec::new();
    let mut find = |number: usize, line: &str, what: &str| {
        let what = format!(
            "{:?} {what} {}: change it first",
            line.trim(),
            desired.bridge
        );
        findings.push(UnclearLine { line: number, what });
    };
    let (mut of_bridge, mut lost) = (false, None);
    for (number, line) in (1..).zip(text.lines()) {
        if ini::header(line).is_some() {
            (of_bridge, lost) = (false, None);
        }
        let Some((key, value)) = ini::pair(line) else {
            continue;
        };
        match key.trim_end_matches('+') {
            // one that holds the NIC, which is managed, is not in force
            "unmanaged-devices" if bridge.is_in(value) && !nic.is_in(value) => {
                find(number, line, AWAY)
            }
            "managed" if of_bridge && matches!(value, "0" | "false" | "no" | "off") => {
                find(number, line, AWAY);
            }
            "match-device" => {
                of_bridge = bridge.is_in(value);
                lost = (nic.is_in(value) && !of_bridge).then_some((number, line));
                if mentions(value, &desired.nic)
                    && let Some((number, line)) = lost.take()
                {
                    find(number, line, LOST);
                }
            }
            key if ADDRESSED.iter().any(|start| key.starts_with(start)) => {
                if let Some((number, line)) = lost.take() {
                    find(number, line, LOST);
                }
            }
            _ => {}
        }
    }
    if findings.is_empty() {
        Ok(text.to_owned())
    } else {
        Err(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, desired};
    use super::*;

    #[test]
    fn what_networkmanager_is_told_of_the_nic_has_to_hold_for_the_bridge() {
        let (away, lost) = (Some(AWAY), Some(LOST));
        let cases = [
            (
                "[keyfile]\nunmanaged-devices=*,except:interface-name:eth0",
                away,
            ),
            (
                "[keyfile]\nunmanaged-devices=interface-name:br*;interface-name:veth*",
                away,
            ),
            ("[keyfile]\nunmanaged-devices+=type:bridge", away),
            ("[device-x]\nmatch-device=type:bridge\nmanaged=0", away),
            (
                "[keyfile]\nunmanaged-devices=*,except:type:ethernet,except:type:bridge",
                None,
            ),
            (
                "[keyfile]\nunmanaged-devices=interface-name:=br,mac:52:54:00:12:34:56",
                None,
            ),
            ("# unmanaged-devices=*", None),
            (
                "[connection]\nmatch-device=type:ethernet\nipv4.route-metric=5",
                lost,
            ),
            (
                "[connection-x]\nmatch-device=mac:52:54:00:12:34:56\nipv6.ip6-privacy=2",
                lost,
            ),
            (
                "[connection]\nmatch-device=driver:virtio_net\nipv4.route-metric=5",
                lost,
            ),
            (
                "[device-x]\nmatch-device=interface-name:eth0\nignore-carrier=1",
                lost,
            ),
            (
                "[connection]\nmatch-device=interface-name:eth0,interface-name:br0\na.b=1",
                None,
            ),
            (
                "[connection]\nmatch-device=type:wifi\nipv4.route-metric=5",
                None,
            ),
            (
                "[device]\nmatch-device=type:ethernet\nignore-carrier=1",
                None,
            ),
            ("[connection]\nipv4.route-metric=5", None),
            ("[main]\nno-auto-default=eth0", None),
        ];
        let desired = desired();
        for (text, expected) in cases {
            let found = rewrite(text, &context(&desired)).err().unwrap_or_default();
            let whats: Vec<_> = found.iter().map(|finding| finding.what.as_str()).collect();
            match expected {
                None => assert!(whats.is_empty(), "{text}: {whats:?}"),
                Some(what) => assert!(
                    matches!(whats[..], [one] if one.contains(what)),
                    "{text}: {whats:?}"
                ),
            }
        }
    }
}
