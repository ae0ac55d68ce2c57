//! Other files that name the NIC: moved, kept, refused by their line, or named.

use super::*;

/// What names the NIC for its addresses, and cannot be moved by a rule.
const NAMED: [(&str, &str, &str, &str, usize); 24] = [
    (
        "networkmanager",
        "/usr/lib/NetworkManager/dispatcher.d/50-lab",
        "case $1 in eth0) ;; esac\n",
        "case $1 in eth0) ;; esac",
        1,
    ),
    (
        "netplan",
        "/etc/tmpfiles.d/lab.conf",
        "w /var/lib/lab/eth0 - - - - 1\n",
        "w /var/lib/lab/eth0 - - - - 1",
        1,
    ),
    (
        "ifupdown",
        "/etc/network/if-up.d/lab",
        "#!/bin/sh\n[ \"$IFACE\" = eth0 ] || exit 0\n",
        "[ \"$IFACE\" = eth0 ] || exit 0",
        2,
    ),
    (
        "wicked",
        "/etc/sysconfig/network/scripts/lab",
        "ip addr add 10.0.0.9/24 dev eth0\n",
        "ip addr add 10.0.0.9/24 dev eth0",
        1,
    ),
    (
        "networkd",
        "/etc/networkd-dispatcher/routable.d/lab",
        "test $IFACE = eth0\n",
        "test $IFACE = eth0",
        1,
    ),
    (
        "networkmanager",
        "/etc/NetworkManager/dispatcher.d/50-lab",
        "case $1 in eth0) ;; esac\n",
        "case $1 in eth0) ;; esac",
        1,
    ),
    (
        "networkmanager",
        "/etc/NetworkManager/dispatcher.d/pre-up.d/lab",
        "\n\n[ $1 = eth0 ]\n",
        "[ $1 = eth0 ]",
        3,
    ),
    (
        "ifcfg",
        "/sbin/ifup-local",
        "[ $1 = eth0 ] && start-it\n",
        "[ $1 = eth0 ] && start-it",
        1,
    ),
    (
        "ifcfg",
        "/etc/sysconfig/network",
        "LAB_UPLINK=eth0\n",
        "LAB_UPLINK=eth0",
        1,
    ),
    (
        "netplan",
        "/etc/rc.local",
        "lab-tunnel --over eth0\n",
        "lab-tunnel --over eth0",
        1,
    ),
    (
        "netplan",
        "/etc/systemd/system/lab.service",
        "[Service]\nExecStart=/usr/bin/lab --iface=eth0\n",
        "ExecStart=/usr/bin/lab --iface=eth0",
        2,
    ),
    (
        "ifupdown",
        "/etc/dhcp/dhclient-enter-hooks",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    (
        "ifupdown",
        "/etc/dhcp/dhclient-exit-hooks.d/lab",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    (
        "ifupdown",
        "/etc/dhclient-exit-hooks",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    (
        "ifupdown",
        "/etc/dhcpcd.exit-hook",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    (
        "ifupdown",
        "/etc/dhcpcd.enter-hook",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    (
        "ifupdown",
        "/lib/dhcpcd/dhcpcd-hooks/90-lab",
        "# eth0\nif [ \"$interface\" = eth0 ]; then lab-route; fi\n",
        "if [ \"$interface\" = eth0 ]; then lab-route; fi",
        2,
    ),
    ("netplan", "/etc/chrony.conf", "lab eth0\n", "lab eth0", 1),
    (
        "netplan",
        "/etc/systemd/nspawn/lab.nspawn",
        "[Network]\nMACVLAN=eth0\n",
        "MACVLAN=eth0",
        2,
    ),
    (
        "netplan",
        "/etc/cloud/cloud.cfg.d/lab.cfg",
        "#cloud-config\nbootcmd:\n - ip route add 10.9.0.0/16 dev eth0\n",
        "- ip route add 10.9.0.0/16 dev eth0",
        3,
    ),
    (
        "networkd",
        "/etc/cloud/cloud.cfg.d/lab.cfg",
        "runcmd:\n - [ip, route, add, 10.9.0.0/16, dev, eth0]\n",
        "- [ip, route, add, 10.9.0.0/16, dev, eth0]",
        2,
    ),
    (
        "ifupdown",
        "/etc/udev/rules.d/70-lab.rules",
        "KERNEL==\"eth0\", ENV{SYSTEMD_WANTS}+=\"lab@%k.service\"\n",
        "KERNEL==\"eth0\", ENV{SYSTEMD_WANTS}+=\"lab@%k.service\"",
        1,
    ),
    (
        "ifupdown",
        "/etc/udev/rules.d/70-lab.rules",
        "KERNEL==\"eth0\", SYSCTL{net/ipv4/conf/eth0/rp_filter}=\"0\"\n",
        "KERNEL==\"eth0\", SYSCTL{net/ipv4/conf/eth0/rp_filter}=\"0\"",
        1,
    ),
    (
        "netplan",
        "/etc/sysctl.d/lab.conf",
        "net.lab.eth0=1\n",
        "net.lab.eth0=1",
        1,
    ),
];

#[test]
fn what_names_the_nic_and_no_rule_is_known_for_is_refused_with_its_line() {
    for (backend, path, text, line, number) in NAMED {
        let host = Host::of(backend, "dhcp");
        host.write(path, text);
        let before = host.files();
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        let message = format!(
            "eth0 is named in other files for what mydocker0 will have: {path}:{number}: {line:?} {UNCLEAR}"
        );
        assert_eq!(format!("{err:#}"), message, "{path}");
        assert_eq!(host.files(), before, "{path}");
        // A script that names both was made for both.
        if !path.ends_with(".conf")
            && !path.ends_with(".service")
            && !path.ends_with(".nspawn")
            && path != "/etc/sysconfig/network"
        {
            host.write(
                path,
                &format!("{text}{}", text.replace("eth0", "mydocker0")),
            );
            assert!(host.plan().is_ok(), "{path}");
        }
    }
}

/// What runs at boot or from time to time: a file, a line of it, and another file that runs it.
type Job = (
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

const JOBS: &[Job] = &[
    (
        "/etc/cron.d/lab",
        "@reboot root /sbin/ip route add 10.9.0.0/16 via 10.0.0.9 dev eth0",
        None,
    ),
    (
        "/var/spool/cron/crontabs/root",
        "*/5 * * * * ip rule add iif eth0 table 7",
        None,
    ),
    (
        "/etc/init.d/lab",
        "sysctl -w net.ipv4.conf.eth0.rp_filter=2",
        None,
    ),
    (
        "/etc/wireguard/wg0.conf",
        "PostUp = ip route add 10.9.0.0/16 dev eth0",
        None,
    ),
    (
        "/usr/local/sbin/lab-routes",
        "ip route add 10.9.0.0/16 dev eth0",
        Some((
            "/etc/systemd/system/lab.service",
            "[Service]\nExecStart=-/usr/local/sbin/lab-routes\n",
        )),
    ),
    (
        "/opt/lab/routes",
        "ip route add 10.9.0.0/16 dev eth0",
        Some((
            "/etc/cron.d/lab",
            "@reboot root /opt/lab/routes >/dev/null\n",
        )),
    ),
];

#[test]
fn a_job_that_gives_the_nic_routes_is_refused_and_what_else_names_it_is_said() {
    for (path, line, caller) in JOBS {
        let host = Host::of("ifupdown", "dhcp");
        if let Some((caller, text)) = caller {
            host.write(caller, text);
        }
        host.write(path, &format!("#!/bin/sh\n# eth0\n{line}\n"));
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        let message = format!(
            "eth0 is named in other files for what mydocker0 will have: {path}:3: {line:?} gives eth0 what mydocker0 \
             has to have: have it name mydocker0 as well, or take it out first"
        );
        assert_eq!(format!("{err:#}"), message, "{path}");
        let both = line.replace("eth0", "mydocker0");
        host.write(path, &format!("#!/bin/sh\n{line}\n{both}\n"));
        assert!(host.plan().is_ok(), "{path}");
    }
    let host = Host::of("ifupdown", "dhcp");
    host.write("/etc/cron.d/lab", "@daily root vnstat -i eth0\n");
    host.write(
        "/etc/init.d/lab",
        "iptables -A INPUT -i eth0 -j ACCEPT\nethtool -K eth0 gro off\n",
    );
    let expected = "/etc/cron.d/lab:1: \"@daily root vnstat -i eth0\" names eth0: have it name mydocker0 if it means \
                    the addresses";
    assert_eq!(host.plan().unwrap().skipped(), [expected]);
}

#[test]
fn what_names_the_nic_for_its_addresses_names_the_bridge() {
    const SAME: &str = "";
    let cases = [
        (
            "/etc/keepalived/keepalived.conf",
            "virtual_ipaddress {\n 10.0.0.9/24 dev eth0\n}\ntrack_interface {\n eth0 weight 5\n}\n",
            "virtual_ipaddress {\n 10.0.0.9/24 dev mydocker0\n}\ntrack_interface {\n mydocker0 weight 5\n}\n",
        ),
        (
            "/etc/keepalived/conf.d/lab.conf",
            "vrrp_instance lab { interface eth0 }\n",
            "vrrp_instance lab { interface mydocker0 }\n",
        ),
        (
            "/etc/radvd.conf",
            "prefix ::/64 { Base6Interface eth0; };\n",
            "prefix ::/64 { Base6Interface mydocker0; };\n",
        ),
        (
            "/etc/dnsmasq.d/lab",
            "dhcp-relay=10.0.0.1,10.0.0.2,eth0\n",
            "dhcp-relay=10.0.0.1,10.0.0.2,mydocker0\n",
        ),
        (
            "/etc/default/networking",
            "WAIT_ONLINE_IFACE=eth0\n",
            "WAIT_ONLINE_IFACE=mydocker0\n",
        ),
        (
            "/etc/sysconfig/static-routes",
            "eth0 net 10.8.0.0 netmask 255.255.0.0\n",
            "mydocker0 net 10.8.0.0 netmask 255.255.0.0\n",
        ),
        (
            "/etc/sysconfig/network/ifsysctl",
            "net.ipv4.conf.eth0.rp_filter = 2\n",
            "net.ipv4.conf.mydocker0.rp_filter = 2\n",
        ),
        (
            "/etc/tmpfiles.d/lab.conf",
            "w /proc/sys/net/ipv4/conf/eth0/rp_filter - - - - 2\nw /sys/class/net/eth0/threaded - - - - 1\n",
            "w /proc/sys/net/ipv4/conf/mydocker0/rp_filter - - - - 2\nw /sys/class/net/eth0/threaded - - - - 1\n",
        ),
        (
            "/etc/lldpd.d/lab.conf",
            "configure system interface pattern eth0\n",
            SAME,
        ),
        (
            "/etc/lldpd.conf",
            "configure system ip management pattern eth0\n",
            "configure system ip management pattern mydocker0\n",
        ),
        // a port has no address: it is the bridge that is to be left alone now
        (
            "/etc/avahi/avahi-daemon.conf",
            "[server]\ndeny-interfaces=eth0,wlan0\n",
            "[server]\ndeny-interfaces=mydocker0,wlan0\n",
        ),
        (
            "/etc/dhcp/dhcpd6.conf",
            "shared-network lab {\n interface eth0;\n}\n",
            "shared-network lab {\n interface mydocker0;\n}\n",
        ),
        (
            "/etc/unbound/unbound.conf.d/lab.conf",
            "server:\n  outgoing-interface: eth0\n",
            "server:\n  outgoing-interface: mydocker0\n",
        ),
        (
            "/etc/default/ipvsadm",
            "AUTO=true\nDAEMON=master\nIFACE=eth0\n",
            "AUTO=true\nDAEMON=master\nIFACE=mydocker0\n",
        ),
        (
            "/etc/kea/kea-dhcp4.conf",
            "{\"Dhcp4\": {\"interfaces-config\": {\"interfaces\": [\"eth0/10.0.0.5\"]}}}\n",
            "{\"Dhcp4\": {\"interfaces-config\": {\"interfaces\": [\"mydocker0/10.0.0.5\"]}}}\n",
        ),
        (
            "/etc/systemd/network/10-uplink.link",
            "[Match]\nOriginalName=m* eth*\n\n[Link]\nName=eth0\n",
            "[Match]\nOriginalName=m* eth*\nType=ether\n\n[Link]\nName=eth0\n",
        ),
    ];
    for (path, before, after) in cases {
        let host = Host::of("netplan", "mtu9000");
        host.write(path, before);
        let plan = host.plan().unwrap_or_else(|err| panic!("{path}: {err:#}"));
        plan.apply().unwrap();
        plan.commit().unwrap();
        let text = fs::read_to_string(host.root().join(&path[1..])).unwrap();
        let expected = if after == SAME { before } else { after };
        assert_eq!(text, expected, "{path}");
        assert_eq!(plan.skipped(), Vec::<String>::new(), "{path}");
    }
    // a vendor's unit is overridden
    let host = Host::of("netplan", "mtu9000");
    let unit = "[Service]\nExecStart=/sbin/ip route add 10.9.0.0/16 dev eth0\n";
    host.write("/usr/local/lib/systemd/system/lab.service", unit);
    let plan = host.plan().unwrap();
    plan.apply().unwrap();
    plan.commit().unwrap();
    let text = fs::read_to_string(host.root().join("etc/systemd/system/lab.service")).unwrap();
    assert_eq!(text, unit.replace("eth0", "mydocker0"));
    assert!(host.plan().unwrap().is_empty());
}

#[test]
fn what_no_rule_is_known_for_below_etc_is_named_and_left_alone() {
    let host = Host::of("netplan", "mtu9000");
    let plain = host.plan().unwrap().describe();
    for (path, text) in [
        ("/etc/default/lab", "# eth0\nARGS=\"-i eth0\"\nMORE=eth0\n"),
        (
            "/etc/suricata/lab.yaml",
            "af-packet:\n  - interface: eth0\n",
        ),
        // below what the daemon's own table looks at
        ("/etc/keepalived/lab/rack/a.conf", "interface eth0\n"),
        (
            "/etc/systemd/system/lab.timer",
            "[Timer]\nUnit=lab@eth0.service\n",
        ),
        ("/etc/lab/both", "eth0 mydocker0\n"),
        ("/etc/lab/other", "veth0 eth0.7 # eth0\n"),
        ("/etc/lab/binary", "eth0\0"),
        ("/etc/.git/lab", "eth0\n"),
    ] {
        host.write(path, text);
    }
    let plan = host.plan().unwrap();
    assert_eq!(plan.describe(), plain);
    let named = |place: &str, line: &str| {
        format!("{place}: {line:?} names eth0: have it name mydocker0 if it means the addresses")
    };
    let mut expected = vec![
        named("/etc/default/lab:2", "ARGS=\"-i eth0\""),
        named("/etc/keepalived/lab/rack/a.conf:1", "interface eth0"),
        named("/etc/suricata/lab.yaml:2", "- interface: eth0"),
        named("/etc/systemd/system/lab.timer:2", "Unit=lab@eth0.service"),
    ];
    assert_eq!(plan.skipped(), expected);
    for number in 10..40 {
        host.write(&format!("/etc/more/{number}"), "eth0\n");
    }
    expected.truncate(2);
    expected.extend((10..28).map(|number| named(&format!("/etc/more/{number}:1"), "eth0")));
    expected.push("14 more files below /etc name eth0".to_owned());
    assert_eq!(host.plan().unwrap().skipped(), expected);
}

#[test]
fn what_networkmanager_is_told_of_devices_counts_where_it_brings_the_bridge_up() {
    let conf = "/etc/NetworkManager/conf.d/10-lab.conf";
    let cases = [
        (
            "[keyfile]\nunmanaged-devices=*,except:interface-name:eth0\n",
            "\"unmanaged-devices=*,except:interface-name:eth0\" keeps NetworkManager from mydocker0: change it first",
        ),
        (
            "[connection-lab]\nmatch-device=interface-name:eth0\nipv6.ip6-privacy=2\n",
            "\"match-device=interface-name:eth0\" is about the NIC and not about mydocker0: change it first",
        ),
        (
            "[connection-lab]\nmatch-device=type:ethernet\nipv6.ip6-privacy=2\n",
            "\"match-device=type:ethernet\" is about the NIC and not about mydocker0: change it first",
        ),
    ];
    for (text, what) in cases {
        let host = Host::of("networkmanager", "dhcp");
        host.write(conf, text);
        let before = host.files();
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        let named = "eth0 is named in other files for what mydocker0 will have";
        assert_eq!(format!("{err:#}"), format!("{named}: {conf}:2: {what}"));
        assert_eq!(host.files(), before, "{text}");
        let host = Host::of("networkd", "dhcp");
        host.write(conf, text);
        assert!(host.plan().is_ok(), "{text}");
    }
}

#[test]
fn a_plain_host_is_not_refused_for_a_name_that_is_not_the_nics() {
    let files = [
        (
            "/etc/network/if-up.d/vlan",
            "#!/bin/sh\n# eth0 as well\nip link set eth0.100 up\nip link set veth0 up\n",
        ),
        ("/etc/network/if-up.d/tune", "ethtool -K eth0 gro off\n"),
        (
            "/etc/rc.local",
            "#!/bin/sh -e\n# ip route add 10.0.0.0/8 dev eth0\nexit 0\n",
        ),
        (
            "/etc/sysctl.d/10.conf",
            "net.ipv4.conf.all.rp_filter=1\nnet.ipv4.conf.eth01.rp_filter=1\n",
        ),
        (
            "/etc/systemd/system/lab.service",
            "[Unit]\nAfter=sys-subsystem-net-devices-eth0.device\n",
        ),
        (
            "/etc/udev/rules.d/1.rules",
            "KERNEL==\"eth0\", RUN+=\"/usr/sbin/ethtool -s eth0 wol g\"\n",
        ),
        ("/etc/sysconfig/network", "NETWORKING=yes\n"),
        (
            "/etc/dhcp/dhclient-exit-hooks.d/rfc3442",
            "# eth0 has routes\nroute add -net $net dev ${interface}\n",
        ),
        (
            "/lib/dhcpcd/dhcpcd-hooks/10-wpa",
            "case $interface in eth0.7) exit ;; esac\n",
        ),
    ];
    for backend in BACKENDS {
        let host = Host::of(backend, "dhcp");
        let plain = host.plan().unwrap().describe();
        for (path, text) in files {
            // The same path is a directory where wicked is.
            if !host.root().join(&path[1..]).is_dir() {
                host.write(path, text);
            }
        }
        let plan = host
            .plan()
            .unwrap_or_else(|err| panic!("{backend}: {err:#}"));
        assert_eq!(plan.describe(), plain, "{backend}");
    }
}

#[test]
fn what_is_not_looked_at_is_named() {
    let host = Host::of("ifupdown", "dhcp");
    let plain = host.plan().unwrap();
    let at = |path: &str| host.root().join(path);
    for dir in [
        "etc/network/if-up.d",
        "etc/systemd/system",
        "etc/udev/rules.d",
        "etc/sysctl.d",
        "srv",
    ] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    fs::write(at("etc/network/if-up.d/binary"), b"\x7fELF\xff eth0 \n").unwrap();
    for pipe in [
        "etc/network/if-up.d/pipe",
        "etc/systemd/system/lab.service",
        "etc/udev/rules.d/1.rules",
        "etc/sysctl.d/pipe.conf",
    ] {
        nix::unistd::mkfifo(&at(pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    fs::write(at("etc/sysctl.d/large.conf"), "#".repeat((1 << 20) + 1)).unwrap();
    fs::write(at("srv/theirs"), "ip route add 10.0.0.0/8 dev eth0\n").unwrap();
    fs::set_permissions(at("srv/theirs"), fs::Permissions::from_mode(0o666)).unwrap();
    let link = std::os::unix::fs::symlink::<&str, PathBuf>;
    link("../../../srv/theirs", at("etc/network/if-up.d/theirs")).unwrap();
    link("/proc/self/status", at("etc/network/if-up.d/out")).unwrap();
    link("/dev/null", at("etc/sysctl.d/masked.conf")).unwrap();
    link("missing", at("etc/sysctl.d/gone.conf")).unwrap();
    let plan = host.plan().unwrap();
    assert_eq!(plan.describe(), plain.describe());
    let expected = [
        "/etc/network/if-up.d/binary is a program: it is not read",
        "/etc/network/if-up.d/out is a link to a file that others may change: it is not read",
        "/etc/network/if-up.d/pipe is a named pipe: it is not read",
        "/etc/network/if-up.d/theirs is a link to a file that others may change: it is not read",
        "/etc/sysctl.d/large.conf has more than 1048576 bytes: it is not read",
        "/etc/sysctl.d/pipe.conf is a named pipe: it is not read",
        "/etc/systemd/system/lab.service is a named pipe: it is not read",
        "/etc/udev/rules.d/1.rules is a named pipe: it is not read",
    ];
    assert_eq!(plan.skipped(), expected);
}

#[test]
fn what_a_link_leads_to_is_looked_at_and_changed_there() {
    const HOOK: &str = "[ \"$IFACE\" = eth0 ] && lab-route\n";
    const SETTING: &str = "net.ipv6.conf.eth0.accept_ra=2\n";
    let link = |host: &Host, target: &str, name: &str| {
        host.write(&format!("{name}.beside"), "");
        std::os::unix::fs::symlink(target, host.root().join(&name[1..])).unwrap();
    };
    let refusal = |host: &Host| format!("{:#}", host.plan().map(|_| ()).unwrap_err());
    const NAMED: &str = "eth0 is named in other files for what mydocker0 will have: ";

    let host = Host::of("ifupdown", "dhcp");
    host.write("/etc/lab/hook", HOOK);
    link(&host, "../../lab/hook", "/etc/network/if-up.d/lab");
    let line = format!("{:?}", HOOK.trim());
    let expected = format!("{NAMED}/etc/network/if-up.d/lab:1: {line} {UNCLEAR}");
    assert_eq!(refusal(&host), expected);

    // by two names, one of them its own
    let host = Host::of("ifupdown", "dhcp");
    host.write("/etc/sysctl.conf", SETTING);
    link(&host, "../sysctl.conf", "/etc/sysctl.d/99-sysctl.conf");
    let plan = host.plan().unwrap();
    plan.apply().unwrap();
    plan.commit().unwrap();
    let text = fs::read_to_string(host.root().join("etc/sysctl.conf")).unwrap();
    assert_eq!(text, SETTING.replace("eth0", "mydocker0"));
    let name = host.root().join("etc/sysctl.d/99-sysctl.conf");
    assert!(fs::symlink_metadata(name).unwrap().is_symlink());
    assert!(host.plan().unwrap().is_empty());

    let host = Host::of("ifupdown", "dhcp");
    host.write("/usr/share/lab.conf", SETTING);
    link(&host, "../../usr/share/lab.conf", "/etc/sysctl.d/lab.conf");
    let expected = format!(
        "{NAMED}/etc/sysctl.d/lab.conf: it has to change, and is a link to /usr/share/lab.conf: put a file of its own \
         there first"
    );
    assert_eq!(refusal(&host), expected);
}

#[test]
fn a_file_in_another_encoding_is_looked_at_and_not_changed() {
    let host = Host::of("ifupdown", "dhcp");
    host.write("/etc/sysctl.d/plain.conf", "");
    host.write("/etc/network/if-up.d/plain", "");
    let at = |path: &str| host.root().join(path);
    fs::write(
        at("etc/sysctl.d/lab.conf"),
        b"# f\xfcr alle\nkernel.panic=9\n",
    )
    .unwrap();
    assert!(host.plan().is_ok());
    let setting = b"# f\xfcr uns\nnet.ipv6.conf.eth0.accept_ra=2\n";
    fs::write(at("etc/sysctl.d/lab.conf"), setting).unwrap();
    fs::write(
        at("etc/network/if-up.d/lab"),
        b"# f\xfcr uns\ntest $IFACE = eth0\n",
    )
    .unwrap();
    let err = host.plan().map(|_| ()).unwrap_err();
    let expected = format!(
        "eth0 is named in other files for what mydocker0 will have: /etc/sysctl.d/lab.conf: it has to change, and is not \
         written in UTF-8: convert it first (iconv -t UTF-8); /etc/network/if-up.d/lab:2: \"test $IFACE = eth0\" \
         {UNCLEAR}"
    );
    assert_eq!(format!("{err:#}"), expected);
    assert_eq!(fs::read(at("etc/sysctl.d/lab.conf")).unwrap(), setting);
}

/// What tells cloud-init's file by, and whether its switch is written.
#[test]
fn cloud_init_is_kept_from_its_files_once() {
    const SWITCH: &str = "write /etc/cloud/cloud.cfg.d/99-disable-network-config.cfg";
    let header =
        "# Generated by cloud-init. Changes will be lost.\nauto eth0\niface eth0 inet dhcp\n";
    let cases: [(&[(&str, &str)], bool); 7] = [
        (&[("/etc/network/interfaces", header)], true),
        (
            &[(
                "/etc/network/interfaces",
                "# cloud-init was here\nauto eth0\niface eth0 inet dhcp\n",
            )],
            true,
        ),
        (
            &[(
                "/etc/network/interfaces",
                "auto eth0\niface eth0 inet dhcp\n# not by cloud-init\n",
            )],
            false,
        ),
        (
            &[
                ("/etc/network/interfaces", header),
                (
                    "/etc/cloud/cloud.cfg.d/50.cfg",
                    "network:\n  config: disabled\n",
                ),
            ],
            false,
        ),
        (
            &[
                ("/etc/network/interfaces", header),
                ("/etc/cloud/cloud-init.disabled", ""),
            ],
            false,
        ),
        (
            &[
                ("/etc/network/interfaces", header),
                ("/proc/cmdline", "ro network-config=disabled\n"),
            ],
            false,
        ),
        (
            &[
                ("/etc/network/interfaces", header),
                ("/etc/cloud/cloud.cfg.d/50.cfg", "network: {config: []}\n"),
            ],
            true,
        ),
    ];
    for (files, written) in cases {
        let host = Host::of("ifupdown", "dhcp");
        for (path, text) in files {
            host.write(path, text);
        }
        let plan = host.plan().unwrap();
        assert_eq!(
            plan.describe().iter().any(|line| line == SWITCH),
            written,
            "{files:?}"
        );
        plan.apply().unwrap();
        plan.commit().unwrap();
        assert!(host.plan().unwrap().is_empty(), "{files:?}");
    }
}
