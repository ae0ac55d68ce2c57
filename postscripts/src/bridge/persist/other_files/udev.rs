//! udev rules that pick the NIC by its hardware address, which the bridge has too, and those that do
//! something for the NIC's name.
//!
//! `ENV{DEVTYPE}` distinguishes them: the kernel gives it to every bridge. `DRIVERS`, as in the rules that udev itself used
//! to write, would have to hold for the same parent device as `ATTRS`. Reference: udev(7).

use super::{RewriteContext, UnclearLine};
use crate::bridge::net::Mac;
use crate::bridge::persist::command::{self, CommandSubject};
use crate::bridge::persist::names::mentions;
use crate::files::glob;

pub(super) fn rewrite(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    let mut out = String::with_capacity(text.len());
    let mut findings = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rule = line.trim();
        if rule.starts_with('#') {
            out.push_str(line);
            continue;
        }
        if takes_bridge(rule, context) {
            out.push_str("ENV{DEVTYPE}!=\"bridge\", ");
        }
        let commands = assigned(rule, "RUN").any(|(_, command)| {
            let about = command::about(command, &[&desired.nic, "%k", "$name"]);
            let for_nic = mentions(rule, &desired.nic);
            for_nic && !matches!(about, CommandSubject::Hardware | CommandSubject::Nothing)
        });
        // a unit that is started for it, a setting of what is spoken on it
        let starts = ["ENV{SYSTEMD_WANTS}", "SYSCTL{"].iter().any(|key| {
            let named = mentions(rule, &desired.nic) && rule.contains(key);
            named && !rule.contains(&format!("{key}=="))
        });
        if (commands || starts) && !mentions(text, &desired.bridge) {
            findings.push(UnclearLine::unclear(number, rule, context));
        }
        out.push_str(line);
    }
    if findings.is_empty() {
        Ok(out)
    } else {
        Err(findings)
    }
}

/// Whether a rule that gives a name would give it to the bridge.
fn takes_bridge(rule: &str, context: &RewriteContext<'_>) -> bool {
    let desired = context.desired;
    let names = assigned(rule, "NAME").any(|(operator, _)| operator == "=" || operator == ":=");
    let is_own = |pattern: &str| {
        glob::matches(&pattern.to_lowercase(), &desired.mac.to_string())
            || pattern.parse::<Mac>().is_ok_and(|mac| mac == desired.mac)
    };
    // ATTRS looks at the device itself before its parents
    let by_address = ["ATTR{address}", "ATTRS{address}", "SYSFS{address}"]
        .iter()
        .flat_map(|key| assigned(rule, key))
        .any(|(operator, value)| operator == "==" && value.split('|').any(is_own));
    let hardware = [
        "DRIVERS",
        "SUBSYSTEMS",
        "KERNELS",
        "ENV{ID_PATH}",
        "ENV{DEVTYPE}",
    ];
    let guarded = hardware
        .iter()
        .any(|key| assigned(rule, key).next().is_some())
        || assigned(rule, "KERNEL").any(|(operator, value)| {
            let fits = value
                .split('|')
                .any(|one| glob::matches(one, &desired.bridge));
            fits != (operator == "==")
        });
    names && by_address && !guarded
}

/// The conditions of a rule on a key: its operators and values.
fn assigned<'a>(rule: &'a str, key: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    rule.match_indices(key).filter_map(move |(at, _)| {
        let whole = rule[..at]
            .chars()
            .next_back()
            .is_none_or(|c| c == ',' || c.is_whitespace());
        let rest = &rule[at + key.len()..];
        let quote = rest.find('"')?;
        let operator = rest[..quote].trim();
        let plain = ["==", "!=", "=", "+=", ":=", "-="];
        // RUN{program} is RUN.
        let operator = plain
            .into_iter()
            .find(|known| operator == *known || operator == format!("{{program}}{known}"))?;
        let value = rest[quote + 1..].split('"').next()?;
        whole.then_some((operator, value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, desired};
    use super::*;

    #[test]
    fn a_rule_by_address_does_not_name_the_bridge() {
        let open = "SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{address}==\"52:54:00:12:34:56\", NAME=\"lan0\"\n";
        let desired = desired();
        let new = rewrite(open, &context(&desired)).ok().unwrap();
        assert_eq!(new, format!("ENV{{DEVTYPE}}!=\"bridge\", {open}"));
        for by_address in [
            "ATTRS{address}==\"52:54:00:12:34:56\"",
            "ATTR{address}==\"52:54:00:*\"",
            "ATTR{address}==\"52:54:00:00:00:01|52:54:00:12:34:5[0-9]\"",
        ] {
            let open = format!("SUBSYSTEM==\"net\", {by_address}, NAME=\"lan0\"\n");
            let new = rewrite(&open, &context(&desired)).ok().unwrap();
            assert_eq!(new, format!("ENV{{DEVTYPE}}!=\"bridge\", {open}"));
        }
        for fine in [
            new.as_str(),
            "ATTR{address}==\"52:54:00:12:34:56\", KERNEL==\"eth*\", NAME=\"lan0\"\n",
            "ATTR{address}==\"52:54:00:00:00:01\", NAME=\"lan0\"\n",
            "DRIVERS==\"?*\", ATTR{address}==\"52:54:00:12:34:56\", NAME=\"lan0\"\n",
            "ATTR{address}==\"52:54:01:*\", NAME=\"lan0\"\n",
            "# ATTR{address}==\"52:54:00:12:34:56\", NAME=\"lan0\"\n",
            "KERNEL==\"eth0\", RUN+=\"/usr/sbin/ethtool -K eth0 gro off\"\n",
        ] {
            assert_eq!(rewrite(fine, &context(&desired)).ok().unwrap(), fine);
        }
    }

    #[test]
    fn a_rule_that_sets_addresses_is_found() {
        let rule = "ACTION==\"add\", KERNEL==\"eth0\", RUN+=\"/sbin/sysctl -w net.ipv6.conf.eth0.accept_ra=2\"\n";
        let desired = desired();
        assert_eq!(rewrite(rule, &context(&desired)).err().unwrap().len(), 1);
        for rule in [
            "KERNEL==\"eth0\", ENV{SYSTEMD_WANTS}+=\"dhclient@%k.service\"\n",
            "KERNEL==\"eth0\", SYSCTL{net/ipv4/conf/$name/rp_filter}=\"0\"\n",
        ] {
            assert_eq!(rewrite(rule, &context(&desired)).err().unwrap().len(), 1);
        }
        let both = format!("{rule}{}", rule.replace("eth0", "br0"));
        assert_eq!(rewrite(&both, &context(&desired)).ok().unwrap(), both);
    }
}
