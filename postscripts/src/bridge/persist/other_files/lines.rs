//! Files of lines that name the NIC: daemons' directives by a table, units and scripts by the commands
//! in them.

use super::{RewriteContext, UnclearLine};
use crate::bridge::persist::command::{self, CommandSubject};
use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::names::{mentions, rename};

/// Files whose lines begin with a key.
pub(super) struct KeyedFiles {
    pub(super) files: &'static [&'static str],
    /// Keys that mean the addresses; a name that ends in `*` matches all that begin so.
    moves: &'static [&'static str],
    /// Keys that mean the hardware.
    stays: &'static [&'static str],
}

pub(super) const KEYED: [KeyedFiles; 20] = [
    KeyedFiles {
        files: &["/etc/sysconfig/static-routes*"],
        moves: &["*"],
        stays: &[],
    },
    KeyedFiles {
        // how long a boot waits for the NIC to have its addresses
        files: &["/etc/default/networking"],
        moves: &["WAIT_ONLINE_IFACE"],
        stays: &["EXCLUDE_INTERFACES", "CONFIGURE_INTERFACES"],
    },
    KeyedFiles {
        files: &["/etc/sysconfig/network"],
        moves: &["GATEWAYDEV", "IPV6_DEFAULTDEV", "IPV6_DEFAULTGW"],
        stays: &["VLAN*"],
    },
    KeyedFiles {
        files: &["/etc/sysconfig/network/config"],
        moves: &["NETCONFIG_*"],
        stays: &[],
    },
    KeyedFiles {
        files: &[
            "/etc/chrony.conf",
            "/etc/chrony/chrony.conf",
            "/etc/chrony.d/*.conf",
            "/etc/chrony/conf.d/*.conf",
        ],
        moves: &["bindacqdevice", "binddevice", "bindcmddevice"],
        stays: &["hwtimestamp"],
    },
    KeyedFiles {
        files: &[
            "/etc/ntp.conf",
            "/etc/ntpsec/ntp.conf",
            "/etc/ntp.d/*.conf",
            "/etc/default/ntp",
            "/etc/default/ntpsec",
            "/etc/sysconfig/ntpd",
        ],
        moves: &["interface", "nic", "NTPD_OPTS*", "OPTIONS*"],
        stays: &[],
    },
    KeyedFiles {
        files: &[
            "/etc/systemd/resolved.conf",
            "/etc/systemd/resolved.conf.d/*.conf",
            "/etc/systemd/timesyncd.conf",
        ],
        moves: &[
            "DNS",
            "FallbackDNS",
            "DNSStubListenerExtra",
            "NTP",
            "FallbackNTP",
        ],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/resolvconf.conf"],
        moves: &["*_interfaces", "interface_order", "dynamic_order"],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/resolvconf/interface-order"],
        moves: &["*"],
        stays: &[],
    },
    KeyedFiles {
        files: &[
            "/etc/dnsmasq.conf",
            "/etc/dnsmasq.d/*",
            "/etc/default/dnsmasq",
            "/etc/NetworkManager/dnsmasq.d/*",
            "/etc/NetworkManager/dnsmasq-shared.d/*",
        ],
        moves: &["*"],
        stays: &[],
    },
    // All that they do is about addresses.
    KeyedFiles {
        files: &[
            "/etc/radvd.conf",
            "/etc/keepalived/*.conf",
            "/etc/keepalived/*/*.conf",
            "/etc/dhcp/dhcpd*.conf",
            "/etc/dhcpd*.conf",
            "/etc/kea/*.conf",
            "/etc/unbound/*.conf",
            "/etc/unbound/*.d/*.conf",
            "/etc/ndppd.conf",
            "/etc/dibbler/*.conf",
            "/etc/wide-dhcpv6/*.conf",
            "/etc/default/wide-dhcpv6-client",
            "/etc/mrouted.conf",
            "/etc/smcroute.conf",
            "/etc/igmpproxy.conf",
            "/etc/conntrackd/conntrackd.conf",
            "/etc/default/ipvsadm",
            "/etc/sysconfig/ipvsadm-config",
            "/etc/ha.d/ha.cf",
        ],
        moves: &["*"],
        stays: &[],
    },
    KeyedFiles {
        files: &[
            "/etc/default/isc-dhcp-server",
            "/etc/default/isc-dhcp-relay",
            "/etc/sysconfig/dhcpd",
            "/etc/sysconfig/dhcpd6",
            "/etc/sysconfig/dhcrelay",
        ],
        moves: &["INTERFACES*", "DHCPD*", "DHCRELAY*", "OPTIONS"],
        stays: &[],
    },
    KeyedFiles {
        files: &[
            "/etc/tuned/*/tuned.conf",
            "/etc/tuned/profiles/*/tuned.conf",
        ],
        moves: &["net.ipv4.*", "net.ipv6.*", "net/ipv4/*", "net/ipv6/*"],
        stays: &["devices*", "summary"],
    },
    // All that a routing daemon does is about addresses.
    KeyedFiles {
        files: &["/etc/frr/*.conf", "/etc/quagga/*.conf"],
        moves: &["*"],
        stays: &["description"],
    },
    KeyedFiles {
        files: &["/etc/bird/*.conf", "/etc/bird.conf", "/etc/bird6.conf"],
        moves: &["*"],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/avahi/avahi-daemon.conf"],
        // a port has no address that it would be kept from
        moves: &["allow-interfaces", "deny-interfaces"],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf"],
        moves: &["ListenAddress"],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/samba/smb.conf"],
        moves: &["interfaces"],
        stays: &[],
    },
    KeyedFiles {
        files: &["/etc/udhcpd.conf"],
        moves: &["interface"],
        stays: &[],
    },
    // Either may put a macvlan or ipvlan on it, which a port cannot carry.
    KeyedFiles {
        files: &["/etc/cni/net.d/*", "/etc/systemd/nspawn/*.nspawn"],
        moves: &[],
        stays: &[],
    },
];

impl KeyedFiles {
    pub(super) fn rewrite(
        &self,
        text: &str,
        context: &RewriteContext<'_>,
    ) -> Result<String, Vec<UnclearLine>> {
        let desired = context.desired;
        each(text, context, |line| {
            let key = line
                .trim_start()
                .split(|c: char| c.is_whitespace() || c == '=')
                .next()
                .unwrap_or_default();
            let among = |keys: &[&str]| {
                keys.iter()
                    .any(|known| crate::files::glob::matches(known, key))
            };
            if among(self.stays) || mentions(line, &desired.bridge) {
                Some(line.to_owned())
            } else if among(self.moves) {
                Some(rename(line, &desired.nic, &desired.bridge))
            } else {
                None
            }
        })
    }
}

/// A unit: its commands by what they are about, and the devices it listens on.
pub(super) fn unit(text: &str, context: &RewriteContext<'_>) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    each(text, context, |line| {
        let (key, value) = line.split_once('=').unwrap_or(("", line));
        let moved = rename(line, &desired.nic, &desired.bridge);
        match key.trim() {
            "BindToDevice" | "SocketBindToDevice" | "RestrictNetworkInterfaces" => Some(moved),
            "Description" | "Documentation" | "ConditionPathExists" | "After" | "Before" => {
                Some(line.to_owned())
            }
            _ => match command::about(value, &[&desired.nic]) {
                CommandSubject::Addresses => Some(moved),
                CommandSubject::Hardware | CommandSubject::Nothing => Some(line.to_owned()),
                CommandSubject::Unknown => None,
            },
        }
    })
}

/// A script is not edited: its author has to decide which of the two it means, by naming the bridge too.
pub(super) fn script(text: &str, context: &RewriteContext<'_>) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    if mentions(text, &desired.bridge) {
        return Ok(text.to_owned());
    }
    each(text, context, |line| {
        let about = command::about(line, &[&desired.nic]);
        (about == CommandSubject::Hardware).then(|| line.to_owned())
    })
}

/// Commands of lldpcli: LLDP stays with the hardware, and the address that it announces goes.
pub(super) fn lldp(text: &str, context: &RewriteContext<'_>) -> Result<String, Vec<UnclearLine>> {
    let DesiredBridge { nic, bridge, .. } = context.desired;
    each(text, context, |line| {
        Some(if line.contains(" management ") {
            rename(line, nic, bridge)
        } else {
            line.to_owned()
        })
    })
}

/// Commands among other text, each in a line: those that are about addresses.
pub(super) fn commands(
    text: &str,
    context: &RewriteContext<'_>,
) -> Result<String, Vec<UnclearLine>> {
    let desired = context.desired;
    if mentions(text, &desired.bridge) {
        return Ok(text.to_owned());
    }
    each(text, context, |line| {
        let about = command::about(line, &[&desired.nic]);
        (about != CommandSubject::Addresses).then(|| line.to_owned())
    })
}

/// Edits the lines that name the NIC, comments apart; `None` is one that no rule is known for.
pub(super) fn each(
    text: &str,
    context: &RewriteContext<'_>,
    edit: impl Fn(&str) -> Option<String>,
) -> Result<String, Vec<UnclearLine>> {
    let mut out = String::with_capacity(text.len());
    let mut findings = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let body = line.trim_end_matches(['\n', '\r']);
        let code = body.split(" #").next().unwrap_or(body);
        let comment = code.trim_start().starts_with(['#', ';']);
        if comment || !mentions(code, &context.desired.nic) {
            out.push_str(line);
            continue;
        }
        match edit(code) {
            Some(new) => {
                out.push_str(&new);
                out.push_str(&line[code.len()..]);
            }
            None => findings.push(UnclearLine::unclear(number, body, context)),
        }
    }
    if findings.is_empty() {
        Ok(out)
    } else {
        Err(findings)
    }
}
