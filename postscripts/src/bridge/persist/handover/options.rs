//! The options of DHCP clients, in one table a client: what becomes of each when the client moves.
//!
//! What is in no table is unknown. References: dhclient(8) with the options that EL adds, dhcpcd(8),
//! udhcpc of busybox.

use serde::{Deserialize, Serialize};

/// Which DHCP client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ClientKind {
    Dhclient,
    Dhcpcd,
    Udhcpc,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionRule {
    /// Stays; it has no value.
    Flag,
    /// Stays, and says that the client does not go to the background.
    Foreground,
    /// Stays with its value, which is what the server knows the host by.
    Identity,
    /// Stays with its value, which must not hold the NIC's name.
    Value,
    /// Its value is the device.
    Device,
    /// Its value is a file of leases, which moves.
    State,
    /// Its value is where the client writes its number.
    Pid,
    /// Its value is the client's configuration.
    Config,
    /// Its value is a program that the client runs.
    Script,
    /// It goes with its value: what it asks for is requested again.
    Dropped,
    /// It goes, as the client is waited for until it has its lease.
    Hasty,
}

type OptionTable = &'static [(&'static [&'static str], OptionRule)];

/// Each option is a word of its own, and so is its value.
const DHCLIENT: OptionTable = &[
    (
        &[
            "-4", "-6", "-S", "-N", "-T", "-P", "-I", "-i", "-1", "-q", "-v", "-nc", "-B",
            "--no-pid",
        ],
        OptionRule::Flag,
    ),
    (&["-nw"], OptionRule::Hasty),
    (&["-d"], OptionRule::Foreground),
    (&["-H", "-F", "-V", "-C", "-D"], OptionRule::Identity),
    (
        &[
            "-p",
            "-s",
            "-g",
            "-e",
            "-timeout",
            "--timeout",
            "--dad-wait-time",
            "--prefix-len-hint",
            "--address-prefix-len",
            "--decline-wait-time",
        ],
        OptionRule::Value,
    ),
    (&["-lf", "-df"], OptionRule::State),
    (&["-pf"], OptionRule::Pid),
    (&["-cf"], OptionRule::Config),
    (&["-sf"], OptionRule::Script),
];

/// Before it writes over its arguments, as it does since version 9.
const DHCPCD: OptionTable = &[
    (
        &[
            "-4",
            "--ipv4only",
            "-6",
            "--ipv6only",
            "-A",
            "--noarp",
            "-D",
            "--duid",
            "-d",
            "--debug",
            "-G",
            "--nogateway",
            "-H",
            "--xidhwaddr",
            "-J",
            "--broadcast",
            "-K",
            "--nolink",
            "-L",
            "--noipv4ll",
            "-p",
            "--persistent",
            "-q",
            "--quiet",
            "-w",
            "--waitip",
        ],
        OptionRule::Flag,
    ),
    (&["-b", "--background"], OptionRule::Hasty),
    (&["-B", "--nobackground"], OptionRule::Foreground),
    (
        &[
            "-F",
            "--fqdn",
            "-h",
            "--hostname",
            "-I",
            "--clientid",
            "-i",
            "--vendorclassid",
            "-u",
            "--userclass",
            "-v",
            "--vendor",
        ],
        OptionRule::Identity,
    ),
    (
        &[
            "-C",
            "--nohook",
            "-e",
            "--env",
            "-j",
            "--logfile",
            "-l",
            "--leasetime",
            "-m",
            "--metric",
            "-O",
            "--nooption",
            "-o",
            "--option",
            "-Q",
            "--require",
            "-t",
            "--timeout",
            "-W",
            "--whitelist",
            "-X",
            "--blacklist",
            "-y",
            "--reboot",
        ],
        OptionRule::Value,
    ),
    (&["-r", "--request"], OptionRule::Dropped),
    (&["-f", "--config"], OptionRule::Config),
    (&["-c", "--script"], OptionRule::Script),
];

const UDHCPC: OptionTable = &[
    (
        &[
            "-B",
            "--broadcast",
            "-b",
            "--background",
            "-C",
            "--clientid-none",
            "-n",
            "--now",
            "-o",
            "--no-default-options",
            "-q",
            "--quit",
            "-R",
            "--release",
            "-S",
            "--syslog",
            "-v",
        ],
        OptionRule::Flag,
    ),
    (&["-f", "--foreground"], OptionRule::Foreground),
    (
        &[
            "-F",
            "--fqdn",
            "-H",
            "-h",
            "--hostname",
            "-V",
            "--vendorclass",
            "-c",
            "--clientid",
            "-x",
        ],
        OptionRule::Identity,
    ),
    (
        &[
            "-A",
            "--tryagain",
            "-O",
            "--request-option",
            "-P",
            "--client-port",
            "-T",
            "--timeout",
            "-t",
            "--retries",
        ],
        OptionRule::Value,
    ),
    (&["-i", "--interface"], OptionRule::Device),
    (&["-p", "--pidfile"], OptionRule::Pid),
    (&["-r", "--request"], OptionRule::Dropped),
    (&["-s", "--script"], OptionRule::Script),
];

impl ClientKind {
    pub(super) const ALL: [Self; 3] = [Self::Dhclient, Self::Dhcpcd, Self::Udhcpc];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dhclient => "dhclient",
            Self::Dhcpcd => "dhcpcd",
            Self::Udhcpc => "udhcpc",
        }
    }

    /// The names of the programs that are this client; busybox is many programs by their names.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Dhclient => &["dhclient"],
            Self::Dhcpcd => &["dhcpcd", "dhcpcd5"],
            Self::Udhcpc => &["udhcpc", "busybox"],
        }
    }

    fn table(self) -> OptionTable {
        match self {
            Self::Dhclient => DHCLIENT,
            Self::Dhcpcd => DHCPCD,
            Self::Udhcpc => UDHCPC,
        }
    }

    /// What becomes of an option, where it is known.
    pub(super) fn rule(self, option: &str) -> Option<OptionRule> {
        let rows = self.table().iter();
        rows.into_iter()
            .find(|(options, _)| options.contains(&option))
            .map(|(_, rule)| *rule)
    }
}
