//! sysctl.d: settings of one device below `net.*.conf` and `net.*.neigh`.
//!
//! All of them are about what is spoken on the device, so they go to the bridge. A pattern that covers
//! the NIC among others stays, and the bridge gets a line of its own. Reference: sysctl.d(5).

use super::{RewriteContext, UnclearLine};
use crate::bridge::persist::names::mentions;
use crate::files::glob;

/// A line in its parts.
struct SysctlLine<'a> {
    /// The key as a path: `net`, `ipv6`, `conf`, `eth0`, `accept_ra`.
    key: Vec<String>,
    slashes: bool,
    /// What is before the key: blanks, and `-` for a setting that may fail.
    start: &'a str,
    /// `=` with all that follows, or nothing for an exception.
    rest: &'a str,
}

impl<'a> SysctlLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let name = line.trim_start();
        if name.is_empty() || name.starts_with(['#', ';']) {
            return None;
        }
        let name = name.strip_prefix('-').unwrap_or(name).trim_start();
        let start = &line[..line.len() - name.len()];
        let end = name.find('=').unwrap_or(name.len());
        let key = name[..end].trim_end();
        let rest = &name[key.len()..];
        // The first separator shows which of the two it is; the other one then is part of a name.
        let slashes = key
            .find(['.', '/'])
            .is_some_and(|at| key[at..].starts_with('/'));
        let (separator, other) = if slashes { ('/', '.') } else { ('.', '/') };
        let part = |part: &str| {
            if slashes {
                part.to_owned()
            } else {
                part.replace(other, &separator.to_string())
            }
        };
        let key: Vec<String> = key
            .trim_start_matches("/proc/sys/")
            .split(separator)
            .filter(|word| !word.is_empty())
            .map(part)
            .collect();
        Some(Self {
            key,
            slashes,
            start,
            rest,
        })
    }

    /// The device that it is about.
    fn device(&self) -> Option<&str> {
        match self.key.as_slice() {
            [net, _, kind, device, ..] if net == "net" && (kind == "conf" || kind == "neigh") => {
                Some(device)
            }
            _ => None,
        }
    }

    fn with_device(&self, device: &str) -> String {
        let mut key = self.key.clone();
        key[3] = device.to_owned();
        let key = if self.slashes {
            key.join("/")
        } else {
            let parts: Vec<String> = key.iter().map(|part| part.replace('.', "/")).collect();
            parts.join(".")
        };
        format!("{}{key}{}", self.start, self.rest)
    }
}

pub(super) fn rewrite(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let (nic, bridge) = (
        context.desired.nic.as_str(),
        context.desired.bridge.as_str(),
    );
    let settings = || text.lines().filter_map(SysctlLine::parse);
    let has = |key: &[String]| settings().any(|setting| setting.key == key);
    let mut out = String::with_capacity(text.len());
    let mut findings = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let body = line.trim_end_matches(['\n', '\r']);
        let end = if line.len() > body.len() {
            &line[body.len()..]
        } else {
            "\n"
        };
        let setting = SysctlLine::parse(body);
        let device = setting.as_ref().and_then(SysctlLine::device);
        match (&setting, device) {
            (Some(setting), Some(device)) if device == nic => {
                out.push_str(&setting.with_device(bridge));
                out.push_str(&line[body.len()..]);
            }
            // A pattern for all is one for the bridge.
            (Some(setting), Some(pattern))
                if glob::matches(pattern, nic) && !glob::matches(pattern, bridge) =>
            {
                out.push_str(body);
                out.push_str(end);
                let mut key = setting.key.clone();
                key[3] = bridge.to_owned();
                if !has(&key) {
                    out.push_str(&setting.with_device(bridge));
                    out.push_str(end);
                }
            }
            (Some(_), None) if mentions(body, nic) => {
                findings.push(UnclearLine::unclear(number, body, context));
            }
            _ => out.push_str(line),
        }
    }
    if findings.is_empty() {
        Ok(out)
    } else {
        Err(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, desired};
    use super::*;

    #[test]
    fn a_setting_of_the_nic_is_the_bridges() {
        let cases = [
            (
                "net.ipv6.conf.eth0.accept_ra = 2\n",
                "net.ipv6.conf.br0.accept_ra = 2\n",
            ),
            (
                "net/ipv4/conf/eth0/rp_filter=0",
                "net/ipv4/conf/br0/rp_filter=0",
            ),
            (
                "  -net.ipv4.neigh.eth0.gc_stale_time=9\n",
                "  -net.ipv4.neigh.br0.gc_stale_time=9\n",
            ),
            (
                "-net.ipv4.conf.eth0.rp_filter\n",
                "-net.ipv4.conf.br0.rp_filter\n",
            ),
            (
                "net.ipv6.conf.eth*.accept_ra=2\n",
                "net.ipv6.conf.eth*.accept_ra=2\nnet.ipv6.conf.br0.accept_ra=2\n",
            ),
        ];
        let desired = desired();
        for (before, after) in cases {
            let new = rewrite(before, &context(&desired)).ok().unwrap();
            assert_eq!(new, after);
            assert_eq!(
                rewrite(&new, &context(&desired)).ok().unwrap(),
                after,
                "again"
            );
        }
    }

    #[test]
    fn a_setting_of_another_device_is_left_alone() {
        let text = "# net.ipv6.conf.eth0.accept_ra=2\nnet.ipv4.conf.eth0/100.forwarding=1\n\
                    net/ipv4/conf/eth0.100/forwarding=1\nnet.ipv4.conf.eth01.forwarding=1\n\
                    net.ipv4.conf.*.forwarding=1\nnet.ipv4.ip_forward=1\nkernel.hostname=x";
        let desired = desired();
        assert_eq!(rewrite(text, &context(&desired)).ok().unwrap(), text);
    }
}
