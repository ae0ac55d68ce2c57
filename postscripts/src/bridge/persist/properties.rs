//! For any addressing that a NIC may have: written down for each backend and moved to the bridge,
//! the bridge reads as the NIC did, the NIC keeps nothing, and a second move finds nothing to do.

use std::path::{Path, PathBuf};

use ipnetwork::IpNetwork;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::backend::Backend;
use super::model::{Addressing, DesiredBridge, RouteConfig};
use super::netplan::Renderer;
use super::sources::Sources;
use super::{ifcfg, ifupdown, wicked};

fn desired() -> DesiredBridge {
    DesiredBridge {
        nic: "eth0".to_owned(),
        bridge: "mydocker0".to_owned(),
        mac: "52:54:00:12:34:56".parse().unwrap(),
        iaid: None,
        identity: Default::default(),
        address: None,
        switch: None,
    }
}

fn net() -> impl Strategy<Value = IpNetwork> {
    let v4 = (any::<u32>(), 8u8..=32).prop_map(|(bits, length)| {
        IpNetwork::new(std::net::Ipv4Addr::from(bits).into(), length).unwrap()
    });
    let v6 = (any::<u64>(), 16u8..=128).prop_map(|(bits, length)| {
        let address = 0x2001_0db8_u128 << 96 | u128::from(bits);
        IpNetwork::new(std::net::Ipv6Addr::from(address).into(), length).unwrap()
    });
    prop_oneof![v4, v6]
}

fn route() -> impl Strategy<Value = RouteConfig> {
    (
        net(),
        proptest::option::of(1u32..10_000),
        proptest::option::of(1u32..250),
    )
        .prop_map(|(net, metric, table)| RouteConfig {
            to: net.to_string(),
            via: Some(net.ip()),
            metric,
            table: table.map(|table| table.to_string()),
        })
}

fn addressing() -> impl Strategy<Value = Addressing> {
    let words = || vec("[a-z]{1,8}\\.example", 0..3);
    (
        any::<bool>(),
        btree_set(net(), 1..5),
        btree_set(route(), 0..4),
        words(),
        proptest::option::of(1280u32..9000),
    )
        .prop_map(|(dhcp4, addresses, routes, search, mtu)| Addressing {
            dhcp4,
            dns: addresses.iter().map(|net| net.ip().to_string()).collect(),
            addresses,
            routes,
            search,
            mtu,
            ..Addressing::default()
        })
}

/// A NIC's files as its administrator would have written them.
type Written = (Backend, Sources);

fn netplan(model: &Addressing) -> Written {
    let mut text = format!(
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: {}\n      # fixed\n      addresses:\n",
        model.dhcp4
    );
    for net in &model.addresses {
        text += &format!("        - \"{net}\"\n");
    }
    for (at, route) in model.routes.iter().enumerate() {
        text += if at == 0 { "      routes:\n" } else { "" };
        text += &format!(
            "        - to: \"{}\"\n          via: \"{}\"\n",
            route.to,
            route.via.unwrap()
        );
        text += &route
            .metric
            .map(|metric| format!("          metric: {metric}\n"))
            .unwrap_or_default();
        text += &route
            .table
            .as_ref()
            .map(|table| format!("          table: {table}\n"))
            .unwrap_or_default();
    }
    let quoted: Vec<String> = model
        .dns
        .iter()
        .map(|server| format!("\"{server}\""))
        .collect();
    text += &format!(
        "      nameservers: {{addresses: [{}], search: [{}]}}\n",
        quoted.join(", "),
        model.search.join(", ")
    );
    text += &model
        .mtu
        .map(|mtu| format!("      mtu: {mtu}\n"))
        .unwrap_or_default();
    text += "    eth1: {dhcp4: true}\n";
    one(
        Backend::Netplan {
            renderer: Renderer::Networkd,
        },
        "/etc/netplan/50.yaml",
        text,
    )
}

fn networkd(model: &Addressing) -> Written {
    let mut text = "[Match]\nName=eth0\n".to_owned();
    text += &model
        .mtu
        .map(|mtu| format!("\n[Link]\nMTUBytes={mtu}\n"))
        .unwrap_or_default();
    text += &format!(
        "\n[Network]\nDHCP={}\n",
        if model.dhcp4 { "ipv4" } else { "no" }
    );
    for net in &model.addresses {
        text += &format!("Address={net}\n");
    }
    for server in &model.dns {
        text += &format!("DNS={server}\n");
    }
    text += &format!("Domains={}\n", model.search.join(" "));
    for route in &model.routes {
        text += &format!(
            "\n[Route]\nDestination={}\nGateway={}\n",
            route.to,
            route.via.unwrap()
        );
        text += &route
            .metric
            .map(|metric| format!("Metric={metric}\n"))
            .unwrap_or_default();
        text += &route
            .table
            .as_ref()
            .map(|table| format!("Table={table}\n"))
            .unwrap_or_default();
    }
    let file = PathBuf::from("/etc/systemd/network/20-eth0.network");
    one(Backend::Networkd { file: file.clone() }, &file, text)
}

fn networkmanager(model: &Addressing) -> Written {
    let uuid = "2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c";
    let mut text =
        format!("[connection]\nid=eth0\nuuid={uuid}\ntype=ethernet\ninterface-name=eth0\n");
    text += &model
        .mtu
        .map(|mtu| format!("\n[ethernet]\nmtu={mtu}\n"))
        .unwrap_or_default();
    for (family, v4) in [("ipv4", true), ("ipv6", false)] {
        let method = if v4 && model.dhcp4 { "auto" } else { "manual" };
        text += &format!("\n[{family}]\nmethod={method}\n");
        for (at, net) in model
            .addresses
            .iter()
            .filter(|net| net.is_ipv4() == v4)
            .enumerate()
        {
            text += &format!("address{}={net}\n", at + 1);
        }
        for (at, route) in model
            .routes
            .iter()
            .filter(|route| route.via.unwrap().is_ipv4() == v4)
            .enumerate()
        {
            let metric = route
                .metric
                .map(|metric| format!(",{metric}"))
                .unwrap_or_default();
            text += &format!(
                "route{}={},{}{metric}\n",
                at + 1,
                route.to,
                route.via.unwrap()
            );
            text += &route
                .table
                .as_ref()
                .map(|table| format!("route{}_options=table={table}\n", at + 1))
                .unwrap_or_default();
        }
        let servers = model.dns.iter().filter(|server| server.contains('.') == v4);
        text += &format!(
            "dns={}\n",
            servers
                .map(|server| format!("{server};"))
                .collect::<String>()
        );
    }
    text += &format!(
        "dns-search={}\n",
        model
            .search
            .iter()
            .map(|word| format!("{word};"))
            .collect::<String>()
    );
    // One that NetworkManager made by itself is of this boot alone.
    let place = if model.dhcp4 { "run" } else { "etc" };
    one(
        Backend::NetworkManager {
            uuid: uuid.to_owned(),
            shared: false,
        },
        format!("/{place}/NetworkManager/system-connections/eth0.nmconnection"),
        text,
    )
}

fn ifupdown(model: &Addressing) -> Written {
    let mut text = "auto lo\niface lo inet loopback\n\nauto eth0\n".to_owned();
    if model.dhcp4 {
        text += "iface eth0 inet dhcp\n";
    }
    for (at, net) in model.addresses.iter().enumerate() {
        let family = if net.is_ipv4() { "inet" } else { "inet6" };
        text += &format!("iface eth0 {family} static\n    # one of several\n    address {net}\n");
        if at == 0 {
            text += &format!(
                "    dns-nameservers {}\n    dns-search {}\n",
                model.dns.join(" "),
                model.search.join(" ")
            );
            text += &model
                .mtu
                .map(|mtu| format!("    mtu {mtu}\n"))
                .unwrap_or_default();
        }
    }
    one(Backend::Ifupdown, ifupdown::MAIN, text)
}

fn ifcfg(model: &Addressing) -> Written {
    let mut text = format!(
        "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO={}\n",
        if model.dhcp4 { "dhcp" } else { "none" }
    );
    let (v4, v6): (Vec<&IpNetwork>, Vec<&IpNetwork>) =
        model.addresses.iter().partition(|net| net.is_ipv4());
    for (at, net) in v4.iter().enumerate() {
        text += &format!("IPADDR{at}={}\nPREFIX{at}={}\n", net.ip(), net.prefix());
    }
    let v6: Vec<String> = v6.iter().map(|net| net.to_string()).collect();
    text += &format!("IPV6ADDR_SECONDARIES=\"{}\"\n", v6.join(" "));
    for (at, server) in model.dns.iter().enumerate() {
        text += &format!("DNS{}={server}\n", at + 1);
    }
    text += &format!("DOMAIN=\"{}\"\n", model.search.join(" "));
    text += &model
        .mtu
        .map(|mtu| format!("MTU={mtu}\n"))
        .unwrap_or_default();
    let file = ifcfg::path("eth0");
    let (backend, mut sources) = one(Backend::Ifcfg { file: file.clone() }, &file, text);
    for (name, v4) in [("route-eth0", true), ("route6-eth0", false)] {
        let lines = model
            .routes
            .iter()
            .filter(|route| route.via.unwrap().is_ipv4() == v4);
        sources.insert(
            Path::new(ifcfg::DIR).join(name),
            lines
                .map(|route| format!("{route} dev eth0\n"))
                .collect::<String>(),
        );
    }
    (backend, sources)
}

fn wicked(model: &Addressing) -> Written {
    let mut text = format!(
        "STARTMODE='auto'\nBOOTPROTO='{}'\n",
        if model.dhcp4 { "dhcp4" } else { "static" }
    );
    for (at, net) in model.addresses.iter().enumerate() {
        text += &format!("IPADDR_{at}='{net}'\n");
    }
    text += &model
        .mtu
        .map(|mtu| format!("MTU='{mtu}'\n"))
        .unwrap_or_default();
    let (backend, mut sources) = one(Backend::Wicked, wicked::path("eth0"), text);
    let line = |route: &RouteConfig| {
        let metric = route
            .metric
            .map(|metric| format!(" metric {metric}"))
            .unwrap_or_default();
        let table = route
            .table
            .as_ref()
            .map(|table| format!(" table {table}"))
            .unwrap_or_default();
        format!(
            "{} {} - eth0{metric}{table}\n",
            route.to,
            route.via.unwrap()
        )
    };
    sources.insert(
        Path::new(wicked::DIR).join("ifroute-eth0"),
        model.routes.iter().map(line).collect::<String>(),
    );
    (backend, sources)
}

fn one(backend: Backend, path: impl Into<PathBuf>, text: String) -> Written {
    let mut sources = Sources::default();
    sources.insert(path, text);
    (backend, sources)
}

/// The model as far as the backend's files can say it.
fn sayable(backend: &Backend, model: &Addressing) -> Addressing {
    let mut model = model.clone();
    match backend {
        // Routes are commands there, and name servers are not a device's in SUSE's files.
        Backend::Ifupdown => model.routes.clear(),
        Backend::Wicked => (model.dns, model.search) = (Vec::new(), Vec::new()),
        Backend::NetworkManager { .. } => model.ra = Some(false),
        _ => {}
    }
    let family = |server: &String| !server.contains('.');
    if let Backend::NetworkManager { .. } = backend {
        model.dns.sort_by_key(family);
    }
    model
}

proptest! {
    #[test]
    fn the_bridge_reads_as_the_nic_did(model in addressing()) {
        for write in [netplan, networkd, networkmanager, ifupdown, ifcfg, wicked] {
            let (backend, before) = write(&model);
            let name = backend.name();
            let expected = sayable(&backend, &model);
            prop_assert_eq!(&backend.read_nic(&before, &desired()).unwrap(), &expected, "{} before", name);
            let changes = backend.rewrite(&before, &desired()).unwrap();
            let after = before.with(&changes);
            prop_assert_eq!(&backend.read_bridge(&after, &desired()).unwrap(), &expected, "{} after", name);
            let left = backend.read_nic(&after, &desired()).unwrap();
            prop_assert!(left.addresses.is_empty() && left.routes.is_empty(), "{}: {:?}", name, left);
            prop_assert_eq!(backend.rewrite(&after, &desired()).unwrap(), [], "{} again", name);
        }
    }

    #[test]
    fn any_file_is_rewritten_or_refused(text in "([ a-z0-9:=\\[\\]{}#,\"'/.-]{0,30}\n){0,8}") {
        let hosts = [
            one(Backend::Netplan { renderer: Renderer::Networkd }, "/etc/netplan/50.yaml", format!("network:\n  ethernets:\n    eth0:\n{text}")),
            one(Backend::Ifupdown, ifupdown::MAIN, format!("iface eth0 inet dhcp\n{text}")),
            one(Backend::Wicked, wicked::path("eth0"), text.clone()),
            one(Backend::Networkd { file: "/etc/systemd/network/a.network".into() }, "/etc/systemd/network/a.network", text.clone()),
        ];
        for (backend, sources) in hosts {
            if let Ok(changes) = backend.rewrite(&sources, &desired()) {
                let _ = backend.read_bridge(&sources.with(&changes), &desired());
            }
        }
    }
}
