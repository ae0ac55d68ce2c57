//! What a command in somebody's configuration is about: a device's addresses, which go to the bridge,
//! or its hardware, which stays where it is.
//!
//! In: a line as a hook, a script or a unit has it. Out: what the parts that name the device are
//! about. Nothing is run, expanded or unquoted; a program that is not known is not guessed at.

use super::names::mentions;

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommandSubject {
    /// No part of it names the device.
    Nothing,
    /// Addresses, routes and the like.
    Addresses,
    /// The hardware, or the link as such.
    Hardware,
    /// Both, or it is not known.
    Unknown,
}

/// What the parts of a command line that name one of `names` are about.
pub(super) fn about(line: &str, names: &[&str]) -> CommandSubject {
    let mut all = CommandSubject::Nothing;
    for part in line.split([';', '|', '&']) {
        if !names.iter().any(|name| mentions(part, name)) {
            continue;
        }
        let this = part_about(part);
        all = match all {
            CommandSubject::Nothing => this,
            same if same == this => same,
            _ => CommandSubject::Unknown,
        };
    }
    all
}

fn part_about(part: &str) -> CommandSubject {
    let words: Vec<&str> = part
        .split_whitespace()
        .map(|word| {
            word.trim_matches([
                '"', '\'', '`', '(', ')', '{', '}', '[', ']', ',', '@', '-', '+', '!',
            ])
        })
        .collect();
    let mut words = words
        .into_iter()
        .skip_while(|word| word.is_empty() || leads(word));
    let Some(program) = words.next() else {
        return CommandSubject::Unknown;
    };
    let arguments: Vec<&str> = words.collect();
    match program.rsplit('/').next().unwrap_or(program) {
        "ip" => ip(&arguments),
        "ifconfig" => ifconfig(&arguments),
        "echo" | "printf" | "tee" | "cat" => written(part),
        "ethtool" | "mii-tool" | "iw" | "iwconfig" | "iwpriv" | "tc" | "ifenslave" | "vconfig"
        | "devlink" | "dcb" | "wpa_supplicant" | "ebtables" => CommandSubject::Hardware,
        "sysctl"
        | "route"
        | "arp"
        | "arping"
        | "ndsend"
        | "iptables"
        | "ip6tables"
        | "arptables"
        | "iptables-nft"
        | "ip6tables-nft"
        | "iptables-legacy"
        | "ip6tables-legacy"
        | "nft"
        | "resolvectl"
        | "systemd-resolve"
        | "resolvconf"
        | "systemd-networkd-wait-online" => CommandSubject::Addresses,
        _ => CommandSubject::Unknown,
    }
}

/// A word that comes before the command proper.
fn leads(word: &str) -> bool {
    let assignment = word.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    assignment
        || matches!(
            word,
            "sudo" | "nice" | "exec" | "command" | "if" | "then" | "else" | "do" | "env"
        )
}

fn ip(arguments: &[&str]) -> CommandSubject {
    let child = ["macvlan", "macvtap", "ipvlan", "ipvtap"];
    let mut objects = arguments
        .iter()
        .filter(|word| !matches!(**word, "4" | "6" | "family" | "inet" | "inet6" | "batch"));
    match objects.next() {
        // A NIC with such a child cannot become a port.
        Some(_) if arguments.iter().any(|word| child.contains(word)) => CommandSubject::Unknown,
        Some(object) if object.starts_with('l') => CommandSubject::Hardware,
        Some(object) if object.starts_with(['a', 'r', 'n', 'm', 't']) => CommandSubject::Addresses,
        _ => CommandSubject::Unknown,
    }
}

fn ifconfig(arguments: &[&str]) -> CommandSubject {
    let hardware = |word: &&str| {
        matches!(
            *word,
            "hw" | "mtu" | "txqueuelen" | "promisc" | "allmulti" | "multicast" | "up"
        )
    };
    let addressed = |word: &&str| {
        word.contains("::")
            || word
                .split('/')
                .next()
                .is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok())
    };
    match (
        arguments.iter().any(addressed),
        arguments.iter().any(hardware),
    ) {
        (true, _) => CommandSubject::Addresses,
        (false, true) => CommandSubject::Hardware,
        (false, false) => CommandSubject::Unknown,
    }
}

fn written(part: &str) -> CommandSubject {
    if part.contains("/proc/sys/net/") {
        CommandSubject::Addresses
    } else if part.contains("/sys/class/net/") {
        CommandSubject::Hardware
    } else {
        CommandSubject::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_about_addresses_or_hardware() {
        let cases = [
            (
                "ip route add 10.8.0.0/16 dev eth0",
                CommandSubject::Addresses,
            ),
            (
                "/sbin/ip -6 addr add 2001:db8::5/64 dev eth0",
                CommandSubject::Addresses,
            ),
            (
                "sysctl -w net.ipv6.conf.eth0.accept_ra=2",
                CommandSubject::Addresses,
            ),
            (
                "echo 2 > /proc/sys/net/ipv6/conf/eth0/accept_ra",
                CommandSubject::Addresses,
            ),
            (
                "ifconfig eth0 10.0.0.9 netmask 255.0.0.0",
                CommandSubject::Addresses,
            ),
            (
                "iptables -A INPUT -i eth0 -j DROP || true",
                CommandSubject::Addresses,
            ),
            ("ethtool -K eth0 tso off", CommandSubject::Hardware),
            (
                "  - [ ip, route, add, 10.8.0.0/16, dev, eth0 ]",
                CommandSubject::Addresses,
            ),
            (
                "sleep 1; ip link set dev eth0 mtu 9000",
                CommandSubject::Hardware,
            ),
            (
                "LANG=C tc qdisc add dev eth0 root fq",
                CommandSubject::Hardware,
            ),
            (
                "echo 4096 > /sys/class/net/eth0/tx_queue_len",
                CommandSubject::Hardware,
            ),
            ("ifconfig eth0 promisc", CommandSubject::Hardware),
            (
                "ip link add link eth0 name mv0 type macvlan",
                CommandSubject::Unknown,
            ),
            (
                "ip route flush dev eth0; ethtool -s eth0 wol g",
                CommandSubject::Unknown,
            ),
            ("/usr/local/sbin/announce eth0", CommandSubject::Unknown),
            ("[ \"$IFACE\" = eth0 ] || exit 0", CommandSubject::Unknown),
            (
                "ethtool -K eth1 tso off; ip route add default dev eth2",
                CommandSubject::Nothing,
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(about(line, &["eth0"]), expected, "{line}");
        }
    }
}
