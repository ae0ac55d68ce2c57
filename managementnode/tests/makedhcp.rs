//! The real `makedhcp` and `makedns`, held against the real `dnsmasq --test`, without a network of their own: the
//! interface is `lo`, which every machine has.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

use lab::{Ended, Lab};

const RACK: &str = "[rack]\nnet = \"10.1.0.0\"\nmask = \"255.255.0.0\"\nmgtifname = \"lo\"\ntftpserver = \"10.1.0.1\"\n";

const NODES: &str = r#"
[node.n1]
ip = "10.1.0.11"
mac = "52-54-00-AA-0B-01"
[node.n2]
ip = "10.1.0.12"
mac = "525400aa0b02|52:54:00:aa:0b:03!n2-ib"
nicips = ["eth1!10.1.2.12"]
nichostnamesuffixes = ["eth1!-ib"]
nicaliases = ["eth1!fast"]
[node.n3]
ip = "10.1.0.13"
hostnames = ["www"]
[node.c1]
mgt = "docker"
ip = "10.1.3.1"
ip6 = "fd00:3::1"
mac = "52:54:00:aa:0b:09"
"#;

fn main() -> ExitCode {
    lab::main(
        &["dnsmasq"],
        None,
        &[
            (
                "networks_become_settings_that_are_written_once",
                networks_become_settings_that_are_written_once,
            ),
            (
                "what_a_network_says_is_given_out_in_it",
                what_a_network_says_is_given_out_in_it,
            ),
            (
                "networks_of_ipv6_are_served_by_dhcpv6_and_router_advertisements",
                networks_of_ipv6_are_served_by_dhcpv6_and_router_advertisements,
            ),
            (
                "nodes_are_listed_by_all_that_they_have",
                nodes_are_listed_by_all_that_they_have,
            ),
            (
                "a_node_that_cannot_be_listed_is_named_and_the_others_are_listed",
                a_node_that_cannot_be_listed_is_named_and_the_others_are_listed,
            ),
            (
                "what_two_nodes_share_is_refused_before_anything_is_written",
                what_two_nodes_share_is_refused_before_anything_is_written,
            ),
            (
                "no_value_of_a_definition_becomes_an_option",
                no_value_of_a_definition_becomes_an_option,
            ),
            (
                "what_dnsmasq_refuses_is_not_published",
                what_dnsmasq_refuses_is_not_published,
            ),
            (
                "without_settings_no_node_is_listed",
                without_settings_no_node_is_listed,
            ),
            (
                "a_program_reads_the_same_as_json",
                a_program_reads_the_same_as_json,
            ),
            (
                "names_are_listed_for_nodes_their_nics_and_containers",
                names_are_listed_for_nodes_their_nics_and_containers,
            ),
            (
                "a_thousand_nodes_and_their_names_are_checked_and_written",
                a_thousand_nodes_and_their_names_are_checked_and_written,
            ),
        ],
    )
}

fn makedhcp(lab: &Lab, arguments: &[&str]) -> Ended {
    lab.run(env!("CARGO_BIN_EXE_makedhcp"), arguments)
}

fn makedns(lab: &Lab, arguments: &[&str]) -> Ended {
    lab.run(env!("CARGO_BIN_EXE_makedns"), arguments)
}

/// A site whose networks dnsmasq knows.
fn ready(nodes: &str) -> Lab {
    let lab = Lab::new(RACK, nodes);
    let loaders = lab.path("loaders").display().to_string();
    let ended = makedhcp(&lab, &["-n", "--loaders", &loaders]);
    assert_eq!(
        ended,
        Ended {
            code: Some(0),
            stdout: "<lab>/dnsmasq.d/slipway-dhcp.conf: written\ndnsmasq: not running\n".to_owned(),
            stderr: String::new(),
        }
    );
    lab
}

fn networks_become_settings_that_are_written_once() {
    let lab = ready(NODES);
    let expected = "\
# Written by makedhcp from the definitions: changes are lost.
bind-interfaces
dhcp-authoritative
dhcp-lease-max=65536
interface=lo
dhcp-range=set:slipway-net0,10.1.0.0,static,255.255.0.0,12h
dhcp-option=tag:slipway-net0,option:router
enable-tftp
tftp-no-fail
tftp-root=<lab>/install/ipxe
dhcp-match=set:slipway-ipxe,175
dhcp-match=set:slipway-bios,option:client-arch,0
dhcp-boot=tag:slipway-bios,tag:!slipway-ipxe,tag:slipway-net0,undionly.kpxe,,10.1.0.1
dhcp-match=set:slipway-x86-64,option:client-arch,7
dhcp-match=set:slipway-x86-64,option:client-arch,9
dhcp-match=set:slipway-x86-64-http,option:client-arch,16
dhcp-boot=tag:slipway-x86-64,tag:!slipway-ipxe,tag:slipway-net0,ipxe-x86_64.efi,,10.1.0.1
dhcp-boot=tag:slipway-x86-64-http,tag:!slipway-ipxe,tag:slipway-net0,http://10.1.0.1/install/ipxe/ipxe-x86_64.efi,,10.1.0.1
dhcp-option-force=tag:slipway-x86-64-http,tag:!slipway-ipxe,60,HTTPClient
dhcp-match=set:slipway-aarch64,option:client-arch,11
dhcp-match=set:slipway-aarch64-http,option:client-arch,19
dhcp-boot=tag:slipway-aarch64,tag:!slipway-ipxe,tag:slipway-net0,ipxe-aarch64.efi,,10.1.0.1
dhcp-boot=tag:slipway-aarch64-http,tag:!slipway-ipxe,tag:slipway-net0,http://10.1.0.1/install/ipxe/ipxe-aarch64.efi,,10.1.0.1
dhcp-option-force=tag:slipway-aarch64-http,tag:!slipway-ipxe,60,HTTPClient
dhcp-boot=tag:slipway-ipxe,tag:known,tag:slipway-net0,http://10.1.0.1/install/autoinst/${hostname}/boot.ipxe,,10.1.0.1
dhcp-hostsfile=<lab>/dnsmasq.d/slipway/dhcp-hosts
";
    let root = lab.path("").display().to_string();
    let text = lab
        .read("dnsmasq.d/slipway-dhcp.conf")
        .replace(root.trim_end_matches('/'), "<lab>");
    assert_eq!(text, expected);
    for (loader, packaged) in [
        ("undionly.kpxe", "undionly.kpxe"),
        ("ipxe-x86_64.efi", "ipxe.efi"),
        ("ipxe-aarch64.efi", "ipxe-arm64.efi"),
    ] {
        assert_eq!(lab.read(&format!("install/ipxe/{loader}")), packaged);
    }
    let mode = |name: &str| lab.path(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("dnsmasq.d/slipway-dhcp.conf"), 0o644);
    assert_eq!(mode("dnsmasq.d/slipway/dhcp-hosts"), 0o644);
    let loaders = lab.path("loaders").display().to_string();
    let again = makedhcp(&lab, &["-n", "--loaders", &loaders]);
    assert_eq!(
        again.stdout,
        "<lab>/dnsmasq.d/slipway-dhcp.conf: unchanged\ndnsmasq: untouched\n"
    );
}

fn what_a_network_says_is_given_out_in_it() {
    let lab = Lab::new(
        &format!(
            "{RACK}gateway = \"<xcatmaster>\"\ndomain = \"rack.cluster\"\nmtu = 9000\nnameservers = [\"10.1.0.2\", \
             \"<xcatmaster>\"]\nntpservers = [\"10.1.0.3\", \"time\"]\ndynamicrange = \"10.1.200.1-10.1.200.9;10.1.201.0/24\"\n\
             [six]\nnet = \"fd09::\"\nmask = \"/64\"\n[remote]\nnet = \"10.2.0.0\"\nmask = \"/24\"\n\
             mgtifname = \"!remote!eth3\"\n"
        ),
        "",
    );
    lab.site("master = \"10.1.0.1\"\nhttpport = 8080\n");
    let ended = makedhcp(&lab, &["-n", "--dry-run"]);
    for line in [
        "dhcp-range=set:slipway-net0,10.1.200.1,10.1.200.9,255.255.0.0,12h",
        "dhcp-range=set:slipway-net0,10.1.201.1,10.1.201.254,255.255.0.0,12h",
        "dhcp-option=tag:slipway-net0,option:router,0.0.0.0",
        "dhcp-option=tag:slipway-net0,option:dns-server,10.1.0.2,0.0.0.0",
        "dhcp-option=tag:slipway-net0,option:ntp-server,10.1.0.3",
        "dhcp-option=tag:slipway-net0,option:domain-name,rack.cluster",
        "dhcp-option=tag:slipway-net0,option:mtu,9000",
        "dhcp-range=set:slipway-net1,10.2.0.0,static,255.255.255.0,12h",
        "dhcp-boot=tag:slipway-ipxe,tag:known,tag:slipway-net1,http://10.1.0.1:8080/install/autoinst/${hostname}/boot.ipxe,,10.1.0.1",
    ] {
        assert!(
            ended.stdout.lines().any(|found| found == line),
            "{line}\n{}",
            ended.stdout
        );
    }
    assert!(ended.stderr.contains(
        "note: the network six is not served: this machine has no address in it, and no interface is named: chdef -t network \
         six mgtifname=eth1\n"
    ));
    assert!(ended.stderr.contains(
        "note: the time server 'time' of the network rack is a name: DHCP gives out addresses alone\n"
    ));
    assert_eq!(ended.code, Some(0));
    assert!(
        !lab.path("dnsmasq.d/slipway-dhcp.conf").exists(),
        "a dry run wrote"
    );
}

fn networks_of_ipv6_are_served_by_dhcpv6_and_router_advertisements() {
    let lab = Lab::new(
        "[six]\nnet = \"fd00:1::\"\nmask = \"/64\"\nmgtifname = \"lo\"\nmtu = 9000\ndomain = \"rack.cluster\"\n\
         nameservers = [\"<xcatmaster>\", \"fd00:1::53\", \"10.1.0.2\"]\nntpservers = [\"fd00:1::7b\"]\n\
         dynamicrange = \"fd00:1::1000-fd00:1::1fff\"\n\
         [router]\nnet = \"fd00:2::\"\nmask = \"/64\"\nmgtifname = \"!remote!eth3\"\n\
         [wide]\nnet = \"fd01::\"\nmask = \"/48\"\nmgtifname = \"lo\"\n",
        "[node.n1]\nip = \"fd00:1::11\"\nmac = \"52:54:00:00:00:01\"\n\
         [node.n2]\nip6 = \"fd00:2::12\"\nmac = \"52:54:00:00:00:02\"\n\
         [node.far]\nip = \"fd00:3::1\"\nmac = \"52:54:00:00:00:03\"\n",
    );
    let written = makedhcp(&lab, &["-n"]);
    // It is written, so dnsmasq --test took it.
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let note = "note: the network wide is not served: DHCPv6 gives out addresses of prefixes of at least /64\n";
    assert!(written.stderr.contains(note), "{}", written.stderr);
    let settings = lab.read("dnsmasq.d/slipway-dhcp.conf");
    let six: Vec<_> = settings
        .lines()
        .skip_while(|line| *line != "enable-ra")
        .take_while(|line| !line.starts_with("enable-tftp"))
        .collect();
    assert_eq!(
        six,
        [
            "enable-ra",
            "dhcp-range=set:slipway-net6-0,fd00:2::,static,64,12h",
            "dhcp-range=set:slipway-net6-1,fd00:1::1000,fd00:1::1fff,64,12h",
            "ra-param=lo,mtu:9000,0,0",
            "dhcp-option=tag:slipway-net6-1,option6:dns-server,[::],[fd00:1::53]",
            "dhcp-option=tag:slipway-net6-1,option6:sntp-server,[fd00:1::7b]",
            "dhcp-option=tag:slipway-net6-1,option6:domain-search,rack.cluster",
        ]
    );
    let listed = makedhcp(&lab, &["n1,n2,far"]);
    assert_eq!(
        lab.read("dnsmasq.d/slipway/dhcp-hosts"),
        "# Written by makedhcp from the definitions: changes are lost.\n\
         52:54:00:00:00:01,[fd00:1::11],n1 # n1\n\
         52:54:00:00:00:02,[fd00:2::12],n2 # n2\n"
    );
    assert_eq!(
        listed.stderr,
        "makedhcp: far: its address fd00:3::1 is in no network that DHCP serves here: those are fd00:2::/64, fd00:1::/64\n"
    );
    assert_eq!(
        makedhcp(&lab, &["-q", "n1"]).stdout,
        "n1: ip-address = [fd00:1::11], hardware-address = 52:54:00:00:00:01\n"
    );
}

fn nodes_are_listed_by_all_that_they_have() {
    let lab = ready(NODES);
    let ended = makedhcp(&lab, &["-a"]);
    assert_eq!(
        ended.stdout,
        "n1: added: 52:54:00:aa:0b:01,10.1.0.11,n1\n\
         n2: added: 52:54:00:aa:0b:02,10.1.0.12,n2; 52:54:00:aa:0b:03,10.1.2.12,n2-ib\n\
         2 nodes: 2 added, 2 left out; dnsmasq: not running\n"
    );
    assert_eq!(
        lab.read("dnsmasq.d/slipway/dhcp-hosts"),
        "# Written by makedhcp from the definitions: changes are lost.\n\
         52:54:00:aa:0b:01,10.1.0.11,n1 # n1\n\
         52:54:00:aa:0b:02,10.1.0.12,n2 # n2\n\
         52:54:00:aa:0b:03,10.1.2.12,n2-ib # n2\n"
    );
    assert_eq!(
        makedhcp(&lab, &["-a"]).stdout,
        "2 nodes: 2 unchanged, 2 left out; dnsmasq: untouched\n"
    );
    assert_eq!(
        makedhcp(&lab, &["-q", "n1,n2"]).stdout,
        "n1: ip-address = 10.1.0.11, hardware-address = 52:54:00:aa:0b:01\n\
         n2: ip-address = 10.1.0.12, hardware-address = 52:54:00:aa:0b:02\n\
         n2: ip-address = 10.1.2.12, hardware-address = 52:54:00:aa:0b:03\n"
    );
    assert_eq!(
        makedhcp(&lab, &["n1", "-d"]).stdout,
        "n1: removed\n1 node: 1 removed; dnsmasq: not running\n"
    );
    let gone = makedhcp(&lab, &["-q", "n1"]);
    assert_eq!(
        (gone.code, gone.stderr.as_str()),
        (Some(1), "makedhcp: DHCP has nothing of n1: makedhcp n1\n")
    );
    assert_eq!(
        makedhcp(&lab, &["-a", "-d"]).stdout,
        "n2: removed\n1 node: 1 removed; dnsmasq: not running\n"
    );
}

fn a_node_that_cannot_be_listed_is_named_and_the_others_are_listed() {
    let lab = ready(
        r#"
[node.far]
ip = "10.9.0.1"
mac = "52:54:00:00:00:01"
[node.six]
ip = "fd00::1"
mac = "52:54:00:00:00:02"
[node.ok]
ip = "10.1.0.3"
mac = "52:54:00:00:00:03"
[node.bare]
mac = "52:54:00:00:00:04"
[node.12h]
ip = "10.1.0.5"
mac = "52:54:00:00:00:05"
[node.own]
ip = "10.1.0.1"
mac = "52:54:00:00:00:06"
[node.last]
ip = "10.1.255.255"
mac = "52:54:00:00:00:07"
[node.none]
ip = "10.1.0.8"
[node.odd]
mac = "52:54:00:00:00:09!other"
"#,
    );
    let ended = makedhcp(&lab, &["far,six,ok,bare,12h,own,last,none,odd"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stdout,
        "ok: added: 52:54:00:00:00:03,10.1.0.3,ok\n1 node: 1 added, 8 wrong; dnsmasq: not running\n"
    );
    assert_eq!(
        ended.stderr,
        "makedhcp: 12h: its host name '12h' means something else to dnsmasq: rename it\n\
         makedhcp: bare: it has no address, and no network has a dynamicrange to give it one from: chdef bare ip=10.1.0.11\n\
         makedhcp: far: its address 10.9.0.1 is in no network that DHCP serves here: those are 10.1.0.0/16\n\
         makedhcp: last: its address 10.1.255.255 is that of the network 10.1.0.0/16 or its broadcast\n\
         makedhcp: none: it has no hardware address: chdef none mac=52:54:00:00:00:01\n\
         makedhcp: odd: its hardware address belongs to other, which no NIC of it is (nicips)\n\
         makedhcp: own: its address 10.1.0.1 is this machine's own\n\
         makedhcp: six: its address fd00::1 is in no network that DHCP serves here: those are 10.1.0.0/16\n"
    );
}

fn what_two_nodes_share_is_refused_before_anything_is_written() {
    let lab = ready(
        "[node.a]\nip = \"10.1.0.2\"\nmac = \"52:54:00:00:00:01\"\n[node.b]\nip = \"10.1.0.2\"\nmac = \"52:54:00:00:00:02\"\n",
    );
    let before = lab.read("dnsmasq.d/slipway/dhcp-hosts");
    let ended = makedhcp(&lab, &["-a"]);
    assert_eq!(
        ended.stderr,
        "makedhcp: b has the address 10.1.0.2, which DHCP also has for a: change one of them, then run makedhcp a,b\n"
    );
    assert_eq!(
        (ended.code, lab.read("dnsmasq.d/slipway/dhcp-hosts")),
        (Some(1), before)
    );
}

fn no_value_of_a_definition_becomes_an_option() {
    for (network, site, expected) in [
        (
            "mgtifname = \"lo,x\"",
            "",
            "makedhcp: the network rack is served on lo,x, which this machine does not have\n",
        ),
        (
            "domain = \"a,dhcp-script=/x\"",
            "",
            "makedhcp: writing the network rack: 'a,dhcp-script=/x' is not a domain: it has other characters than \
             letters, digits, '-', '_' and '.'\n",
        ),
        (
            "gateway = \"10.1.0.1,10.1.0.9\"",
            "",
            "makedhcp: writing the network rack: its gateway '10.1.0.1,10.1.0.9' is no IPv4 address, which is what \
             DHCP gives out\n",
        ),
        (
            "",
            "installdir = \"/install,x # y\"\n",
            "makedhcp: the value '/install,x # y/ipxe' holds ',', which dnsmasq's files cannot hold: use letters, \
             digits and the characters -_.:/[]${}!\n",
        ),
    ] {
        let rack = "[rack]\nnet = \"10.1.0.0\"\nmask = \"/16\"\ntftpserver = \"10.1.0.1\"\n";
        let interface = if network.contains("mgtifname") {
            ""
        } else {
            "mgtifname = \"lo\"\n"
        };
        let lab = Lab::new(&format!("{rack}{interface}{network}\n"), NODES);
        if !site.is_empty() {
            lab.write("config/site.toml", site);
        }
        let ended = makedhcp(&lab, &["-n"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), expected));
        assert!(!lab.path("dnsmasq.d/slipway-dhcp.conf").exists());
    }
}

fn what_dnsmasq_refuses_is_not_published() {
    let lab = ready(NODES);
    let before = lab.read("dnsmasq.d/slipway-dhcp.conf");
    // Another file of the directory, which is broken or does not go together with ours.
    lab.write("dnsmasq.d/mine.conf", "no-such-option\n");
    lab.write("config/networks.toml", &format!("{RACK}mtu = 1400\n"));
    let ended = makedhcp(&lab, &["-n"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .starts_with("makedhcp: checking by dnsmasq --test: ")
            && ended
                .stderr
                .contains("bad option at line 1 of <lab>/dnsmasq.d/mine.conf"),
        "{}",
        ended.stderr
    );
    assert_eq!(lab.read("dnsmasq.d/slipway-dhcp.conf"), before);
    lab.write("dnsmasq.d/slipway/dhcp-hosts", "log-queries\n");
    let foreign = makedhcp(&lab, &["-a"]);
    assert_eq!(
        foreign.stderr,
        "makedhcp: reading <lab>/dnsmasq.d/slipway/dhcp-hosts: line 1 names no node, so it is not ours: move it to \
         another file\n"
    );
}

fn without_settings_no_node_is_listed() {
    let lab = Lab::new(RACK, NODES);
    assert_eq!(
        makedhcp(&lab, &["n1"]).stderr,
        "makedhcp: dnsmasq is not set up to read a list of nodes: run makedhcp -n first, which writes \
         <lab>/dnsmasq.d/slipway-dhcp.conf\n"
    );
    let changed = ready(NODES);
    changed.write(
        "config/networks.toml",
        &format!("{RACK}[more]\nnet = \"10.2.0.0\"\nmask = \"/16\"\nmgtifname = \"lo\"\ntftpserver = \"10.2.0.1\"\n"),
    );
    assert_eq!(
        makedhcp(&changed, &["n1"]).stderr,
        "makedhcp: the networks have changed since makedhcp -n: run that again, then this\n"
    );
    lab.write("config/networks.toml", "");
    assert_eq!(
        makedhcp(&lab, &["-n"]).stderr,
        "makedhcp: there is no network to serve: none is defined: mkdef -t network rack net=10.1.0.0 mask=255.255.0.0 \
         mgtifname=eth1\n"
    );
}

fn a_program_reads_the_same_as_json() {
    let lab = ready(NODES);
    let ended = makedhcp(&lab, &["n1,n3", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        document,
        serde_json::json!({
            "dry_run": false,
            "settings": null,
            "nodes": [{ "node": "n1", "change": "added", "entries": ["52:54:00:aa:0b:01,10.1.0.11,n1"] }],
            "left_out": [],
            "problems": [{ "node": "n3", "reason": "it has no hardware address: chdef n3 mac=52:54:00:00:00:01" }],
            "notes": [],
            "dnsmasq": "not running",
        })
    );
    assert_eq!(ended.code, Some(1));
}

fn names_are_listed_for_nodes_their_nics_and_containers() {
    let lab = Lab::new(&format!("{RACK}domain = \"rack.lab\"\n"), NODES);
    lab.site("domain = \"lab\"\nforwarders = [\"192.0.2.53\"]\n");
    let ended = makedns(&lab, &[]);
    assert_eq!(
        ended.stdout,
        "<lab>/dnsmasq.d/slipway-dns.conf: written\n\
         c1: added: 10.1.3.1 c1.rack.lab c1; fd00:3::1 c1.lab c1\n\
         n1: added: 10.1.0.11 n1.rack.lab n1\n\
         n2: added: 10.1.0.12 n2.rack.lab n2; 10.1.2.12 n2-ib.rack.lab n2-ib fast.rack.lab fast\n\
         n3: added: 10.1.0.13 n3.rack.lab n3 www.rack.lab www\n\
         4 nodes: 4 added; dnsmasq: not running\n"
    );
    let root = lab.path("").display().to_string();
    assert_eq!(
        lab.read("dnsmasq.d/slipway-dns.conf")
            .replace(root.trim_end_matches('/'), "<lab>"),
        "# Written by makedns from the definitions: changes are lost.\n\
         domain-needed\ndomain=lab\nlocal=/lab/\nlocal=/rack.lab/\nno-resolv\nserver=192.0.2.53\n\
         addn-hosts=<lab>/dnsmasq.d/slipway/dns-hosts\n"
    );
    assert_eq!(
        makedns(&lab, &["-d", "n3"]).stdout,
        "<lab>/dnsmasq.d/slipway-dns.conf: unchanged\nn3: removed\n1 node: 1 removed; dnsmasq: not running\n"
    );
    lab.write("config/nodes/nodes.toml", "[node.n1]\nip = \"10.1.0.11\"\n");
    assert_eq!(
        makedns(&lab, &["-n"]).stdout,
        "<lab>/dnsmasq.d/slipway-dns.conf: unchanged\nc1: removed\nn2: removed\n3 nodes: 2 removed, 1 unchanged; \
         dnsmasq: not running\n"
    );
}

fn a_thousand_nodes_and_their_names_are_checked_and_written() {
    let mut nodes = String::new();
    for n in 0..1000 {
        let (high, low) = (n / 250, n % 250);
        let _ = write!(
            nodes,
            "[node.n{n:04}]\nip = \"10.1.{high}.{}\"\nmac = \"52:54:00:00:{high:02x}:{low:02x}\"\n",
            low + 2
        );
    }
    let lab = ready(&nodes);
    assert!(
        makedhcp(&lab, &["-a"])
            .stdout
            .ends_with("1000 nodes: 1000 added; dnsmasq: not running\n")
    );
    assert_eq!(
        makedhcp(&lab, &["n0500"]).stdout,
        "1 node: 1 unchanged; dnsmasq: untouched\n"
    );
    assert!(
        makedns(&lab, &[])
            .stdout
            .ends_with("1000 nodes: 1000 added; dnsmasq: not running\n")
    );
}
