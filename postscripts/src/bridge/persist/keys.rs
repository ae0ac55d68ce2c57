//! Which keys of a NIC's configuration go to the bridge, which stay, and which both need: one table
//! a backend.
//!
//! A key that no table knows goes with the address, as most do; one that names the NIC besides is
//! refused by [`references`](super::references), as it is unknown which of the two it means. The
//! table of docs/bridge.md is this file in prose.

/// Where a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOwner {
    /// With the addresses.
    Bridge,
    /// With the hardware.
    Nic,
    /// Both need it.
    Both,
}

use KeyOwner::{Both, Bridge, Nic};

/// The known keys of a backend; one that ends in `*` matches all that begin so.
pub(super) struct KeyTable(&'static [(&'static [&'static str], KeyOwner)]);

impl KeyTable {
    /// Where a key goes, if it is known.
    pub(super) fn known(&self, key: &str) -> Option<KeyOwner> {
        let fits = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => *pattern == key,
        };
        let row = self.0.iter().find(|(keys, _)| keys.iter().any(&fits));
        row.map(|(_, goes)| *goes)
    }

    /// Where a key goes.
    pub(super) fn goes(&self, key: &str) -> KeyOwner {
        self.known(key).unwrap_or(Bridge)
    }
}

/// Sections of a `.network` file.
pub(super) const NETWORKD_SECTIONS: KeyTable = KeyTable(&[(
    &[
        "Match",
        "Link",
        "SR-IOV",
        "CAN",
        "IPoIB",
        "LLDP",
        "DCB",
        "Bridge",
        "BridgeFDB",
        "BridgeMDB",
        "BridgeVLAN",
        // Queueing disciplines shape what leaves the hardware.
        "QDisc",
        "NetworkEmulator",
        "TokenBucketFilter",
        "PIE",
        "FlowQueuePIE",
        "Stochastic*",
        "BFIFO",
        "PFIFO*",
        "CAKE",
        "ControlledDelay",
        "DeficitRoundRobin*",
        "EnhancedTransmissionSelection",
        "GenericRandomEarlyDetection",
        "FairQueueing*",
        "TrivialLinkEqualizer",
        "HierarchyTokenBucket*",
        "HeavyHitterFilter",
        "QuickFairQueueing*",
        "BandMultiQueueing",
    ],
    Nic,
)]);

/// Keys of a `.network` or `.netdev` file, whatever their section.
pub(super) const NETWORKD: KeyTable = KeyTable(&[
    (&["MTUBytes", "RequiredForOnline"], Both),
    (
        &[
            "Name",
            "OriginalName",
            "Description",
            "Bridge",
            "Bond",
            "VRF",
            "VLAN",
            "IPVLAN",
            "MACVLAN",
            "MACVTAP",
            "IPVTAP",
            "LLDP",
            "EmitLLDP",
            "BindCarrier",
            "Alias",
        ],
        Nic,
    ),
    (
        &[
            "RequiredFamilyForOnline",
            "IncomingInterface",
            "OutgoingInterface",
            "UplinkInterface",
            "Label",
            "DNS",
            "NTP",
        ],
        Bridge,
    ),
]);

/// Keys of a definition of netplan.
pub(super) const NETPLAN: KeyTable = KeyTable(&[
    (&["mtu", "optional", "renderer"], Both),
    (
        &[
            "match",
            "set-name",
            "name",
            "wakeonlan",
            "macaddress",
            "auth",
            "emit-lldp",
            "id",
            "link",
            "interfaces",
            "primary",
            "parameters",
            "openvswitch",
            "infiniband-mode",
            "virtual-function-count",
            "delay-virtual-functions-rebind",
            "embedded-switch-mode",
            "receive-checksum-offload",
            "transmit-checksum-offload",
            "tcp-segmentation-offload",
            "tcp6-segmentation-offload",
            "generic-segmentation-offload",
            "generic-receive-offload",
            "large-receive-offload",
            "ignore-carrier",
            "networkmanager",
        ],
        Nic,
    ),
]);

/// Sections of a keyfile.
pub(super) const KEYFILE_SECTIONS: KeyTable = KeyTable(&[
    (&["ipv4", "ipv6", "proxy", "hostname"], Bridge),
    (&["*"], Nic),
]);

/// Keys of a keyfile's `[connection]`.
pub(super) const KEYFILE_CONNECTION: KeyTable = KeyTable(&[
    (
        &[
            "zone",
            "mdns",
            "llmnr",
            "dns-over-tls",
            "metered",
            "stable-id",
            "secondaries",
            "gateway-ping-timeout",
            "ip-ping-addresses",
        ],
        Bridge,
    ),
    (
        &[
            "autoconnect",
            "autoconnect-priority",
            "autoconnect-retries",
            "permissions",
        ],
        Both,
    ),
    (&["*"], Nic),
]);

/// Keys of a keyfile that may name a device, whatever their section.
pub(super) const KEYFILE_NAMES: KeyTable = KeyTable(&[
    (&["routing-rule*", "dns", "zone", "stable-id"], Bridge),
    (
        &[
            "id",
            "interface-name",
            "match-device",
            "master",
            "controller",
            "parent",
            "primary",
            "options",
            "origin",
            "path",
        ],
        Nic,
    ),
]);

/// Options of an `iface` stanza, `-` for `_`.
pub(super) const IFUPDOWN: KeyTable = KeyTable(&[
    (&["mtu"], Both),
    (
        &[
            "hwaddress",
            "ethernet-*",
            "link-*",
            "offload-*",
            "driver-*",
            "hardware-*",
            "vlan-*",
            "bond-*",
            "bridge-*",
            "slaves",
            "wpa-*",
            "wireless-*",
            "txqueuelen",
            "description",
        ],
        Nic,
    ),
]);

/// Keys of `ifcfg-*` and of `/etc/sysconfig/network` in the RHEL family.
pub(super) const IFCFG: KeyTable = KeyTable(&[
    (
        &[
            "ONBOOT",
            "NM_CONTROLLED",
            "USERCTL",
            "MTU",
            "HOTPLUG",
            "USERS",
            "AUTOCONNECT_PRIORITY",
        ],
        Both,
    ),
    (
        &[
            "DEVICE",
            "NAME",
            "UUID",
            "TYPE",
            "DEVICETYPE",
            "HWADDR",
            "ETHTOOL_*",
            "KEY_MGMT",
            "IEEE_8021X_*",
            "WPA_*",
            "DCB*",
            "SRIOV_*",
            "CTCPROT",
            "ACCEPT_ALL_MAC_ADDRESSES",
            "SUBCHANNELS",
            "NETTYPE",
            "OPTIONS",
            "VLAN",
            "VLAN_*",
            "PHYSDEV",
            "BONDING_*",
            "MASTER*",
            "BRIDGE*",
            "MACADDR",
            "GENERATE_MAC_ADDRESS_MASK",
            "PORTNAME",
            "LINKDELAY",
        ],
        Nic,
    ),
    (
        &[
            "GATEWAYDEV",
            "IPV6_DEFAULTDEV",
            "IPV6_DEFAULTGW",
            "DNS*",
            "ROUTING_RULE*",
        ],
        Bridge,
    ),
]);

/// Keys of `ifcfg-*` in SUSE.
pub(super) const WICKED: KeyTable = KeyTable(&[
    (&["STARTMODE", "MTU"], Both),
    (
        &[
            "NAME",
            "LLADDR",
            "ETHTOOL_*",
            "BONDING_*",
            "BRIDGE*",
            "VLAN_ID",
            "ETHERDEVICE",
            "INTERFACETYPE",
            "WIRELESS_*",
        ],
        Nic,
    ),
    (&["TUNNEL_DEVICE"], Bridge),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_goes_one_way() {
        let cases = [
            (&IFUPDOWN, "bond-mode", Nic),
            (&IFUPDOWN, "slaves", Nic),
            (&IFUPDOWN, "gateway", Bridge),
            (&IFCFG, "GATEWAYDEV", Bridge),
            (&IFCFG, "IPADDR7", Bridge),
            (&WICKED, "ETHTOOL_OPTIONS_1", Nic),
            (&NETWORKD, "DHCP", Bridge),
            (&NETWORKD_SECTIONS, "CAKE", Nic),
            (&KEYFILE_SECTIONS, "ethernet", Nic),
            (&KEYFILE_CONNECTION, "permissions", Both),
            (&NETPLAN, "addresses", Bridge),
        ];
        for (table, key, goes) in cases {
            assert_eq!(table.goes(key), goes, "{key}");
        }
    }
}
