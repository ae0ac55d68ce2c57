//! Addresses that depend on the name of the device, or that the bridge gets beside them.

use super::*;

/// The live addresses of a NIC by router advertisements.
fn advertised(addresses: &[&str]) -> NetState {
    let mut state = state();
    state.links[0].addresses = addresses
        .iter()
        .map(|ip| Address {
            ip: ip.parse().unwrap(),
            len: 64,
            peer: None,
            broadcast: None,
            label: None,
            scope: if ip.starts_with("fe80") { 253 } else { 0 },
            flags: 0,
            lifetimes: Some(Lifetimes {
                preferred: 600,
                valid: 900,
            }),
            other: Vec::new(),
        })
        .collect();
    state
}

#[test]
fn an_address_made_from_the_name_is_carried_over_by_a_token() {
    let keyfile = "[connection]\nid=eth0\nuuid=2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c\ntype=ethernet\n\
                   interface-name=eth0\n\n[ipv6]\nmethod=auto\naddr-gen-mode=stable-privacy\n";
    let cases = [
        (
            "networkmanager",
            "/etc/NetworkManager/system-connections/uplink.nmconnection",
            keyfile,
            "/etc/NetworkManager/system-connections/mydocker0.nmconnection",
            "\ntoken=::1:2:3:4\n",
        ),
        (
            "networkd",
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n[IPv6AcceptRA]\nToken=prefixstable\n",
            "/etc/systemd/network/10-mydocker0.network",
            "\nToken=::1:2:3:4\n",
        ),
        (
            "netplan",
            "/etc/netplan/50-cloud-init.yaml",
            "network:\n  renderer: NetworkManager\n  ethernets:\n    eth0:\n      dhcp4: true\n      \
          ipv6-address-generation: stable-privacy\n",
            "/etc/netplan/50-cloud-init.yaml",
            "\n      ipv6-address-token: \"::1:2:3:4\"\n",
        ),
        (
            "ifcfg",
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\nBOOTPROTO=dhcp\nIPV6_ADDR_GEN_MODE=stable-privacy\n",
            "/etc/sysconfig/network-scripts/ifcfg-mydocker0",
            "\nIPV6_TOKEN=::1:2:3:4\n",
        ),
    ];
    let made_by_hardware = advertised(&["2001:db8::5054:ff:fe12:3456", "fe80::5054:ff:fe12:3456"]);
    let one = advertised(&["2001:db8::1:2:3:4", "2001:db8:9::1:2:3:4"]);
    let two = advertised(&["2001:db8::1:2:3:4", "fd00::5:6:7:8"]);
    for (backend, path, text, file, line) in cases {
        let host = Host::of(backend, "dhcp");
        host.write(path, text);
        let plan = |state: &NetState| host.plan_of(state);
        let written = |state: &NetState| {
            let plan = plan(state).unwrap_or_else(|err| panic!("{backend}: {err:#}"));
            let change = plan
                .changes()
                .iter()
                .find(|change| change.path == Path::new(file));
            change.unwrap().text.clone().unwrap()
        };
        assert!(written(&one).contains(line), "{backend}: {}", written(&one));
        assert!(
            !written(&made_by_hardware).contains("::1:2:3:4"),
            "{backend}"
        );
        let err = format!("{:#}", plan(&two).unwrap_err());
        assert!(
            err.contains(
                "the addresses 2001:db8::1:2:3:4, fd00::5:6:7:8 are made from the name eth0"
            ),
            "{err}"
        );
    }
}

#[test]
fn a_leased_ipv6_address_is_kept_by_a_written_iaid_or_refused() {
    let keyfile = "[connection]\nid=eth0\nuuid=2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c\ntype=ethernet\n\
                   interface-name=eth0\n\n[ipv6]\nmethod=auto\n";
    let cases = [
        (
            "networkd",
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv6\n\n[DHCPv6]\n",
            "IAID=7\n",
            "networkd makes the IAID from the name of eth0, so that mydocker0 would lose the lease of 2001:db8::77: write \
             IAID= (networkctl status eth0 shows it) to [DHCPv6] there first",
        ),
        (
            "networkmanager",
            "/etc/NetworkManager/system-connections/uplink.nmconnection",
            keyfile,
            "dhcp-iaid=7\n",
            "NetworkManager makes the IAID from the name or the profile of eth0, so that mydocker0 would lose the lease of \
             2001:db8::77: write dhcp-iaid= (nmcli -f DHCP6 device show eth0 shows it) there first",
        ),
        (
            "networkmanager",
            "/etc/NetworkManager/system-connections/uplink.nmconnection",
            &format!("{keyfile}dhcp-iaid=mac\n"),
            "",
            "",
        ),
        (
            "networkmanager",
            "/etc/NetworkManager/system-connections/uplink.nmconnection",
            &format!("{keyfile}dhcp-iaid=7\ndhcp-duid=stable-uuid\n"),
            "dhcp-duid=00:04:01\n",
            "dhcp-duid=stable-uuid makes the DUID from the profile of eth0, so that mydocker0 would lose the lease of \
             2001:db8::77: write the DUID itself there first",
        ),
    ];
    let mut state = advertised(&["2001:db8::77"]);
    state.links[0].addresses[0].len = 128;
    for (backend, path, text, cure, message) in cases {
        let host = Host::of(backend, "dhcp");
        let plan = || host.plan_of(&state);
        host.write(path, text);
        if !message.is_empty() {
            assert_eq!(format!("{:#}", plan().unwrap_err()), message, "{backend}");
        }
        host.write(path, &format!("{text}{cure}"));
        plan().unwrap_or_else(|err| panic!("{backend}: {err:#}"));
    }
}

#[test]
fn an_address_that_would_change_is_refused_by_itself() {
    let cases = [
        (
            "networkd",
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nIPv6LinkLocalAddressGenerationMode=stable-privacy\n",
            "IPv6LinkLocalAddressGenerationMode=stable-privacy makes the link-local address fe80::9 from the name eth0, and \
          mydocker0 would have another one: take it out first",
        ),
        (
            "ifupdown",
            "/proc/sys/net/ipv6/conf/eth0/addr_gen_mode",
            "2\n",
            "the kernel makes fe80::9 from a secret (addr_gen_mode 2 of eth0) and would make another one for mydocker0: set \
          addr_gen_mode to 0, or configure the address, first",
        ),
    ];
    for (backend, path, text, message) in cases {
        let host = Host::of(backend, "dhcp");
        host.write(path, text);
        let err = host.plan_of(&advertised(&["fe80::9"]));
        assert_eq!(format!("{:#}", err.unwrap_err()), message, "{backend}");
    }
}

#[test]
fn an_address_is_given_to_a_nic_that_has_none() {
    let none = [
        (
            "netplan",
            "/etc/netplan/01-netcfg.yaml",
            "network:\n  ethernets:\n    eth0: {}\n",
        ),
        (
            "networkd",
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n\n[Network]\nLinkLocalAddressing=no\n",
        ),
        (
            "ifupdown",
            "/etc/network/interfaces",
            "auto eth0\niface eth0 inet manual\n",
        ),
        (
            "ifcfg",
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=none\n",
        ),
        (
            "wicked",
            "/etc/sysconfig/network/ifcfg-eth0",
            "STARTMODE='auto'\n",
        ),
    ];
    for (backend, path, text) in none {
        let host = Host::of(
            backend,
            if backend == "netplan" {
                "mtu9000"
            } else {
                "dhcp"
            },
        );
        host.write(path, text);
        let address = "10.0.0.5/24".parse().unwrap();
        daemons::vouch(host.root());
        let plan = persist::plan(host.root(), "eth0", "mydocker0", Some(address), &state())
            .unwrap_or_else(|err| panic!("{backend}: {err:#}"));
        assert_eq!(plan.addressing(), "10.0.0.5/24", "{backend}");
        let missing = "mydocker0 is configured and does not exist";
        assert_eq!(plan.differences(&state()), [missing], "{backend}");
    }
}
