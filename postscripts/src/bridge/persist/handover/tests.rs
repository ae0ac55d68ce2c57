//! What becomes of clients' arguments and of their configuration, line by line.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::arguments::ClientArguments;
use super::config;
use super::options::ClientKind;

use ClientKind::{Dhclient, Dhcpcd, Udhcpc};

fn parse(kind: ClientKind, line: &str) -> Option<ClientArguments> {
    // dhcpcd writes one text over all its words.
    let words: Vec<String> = if line.starts_with("dhcpcd: ") {
        vec![line.to_owned()]
    } else {
        line.split(' ').map(str::to_owned).collect()
    };
    ClientArguments::parse(kind, &words)
}

/// What a client of `eth0` is started with for `br0`, or why it is not.
fn moved(kind: ClientKind, line: &str) -> String {
    match parse(kind, line).unwrap().moved("eth0", "br0") {
        Ok(moved) => moved.words.join(" "),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn arguments_move_stay_go_or_refuse() {
    for (kind, line, expected) in [
        // As ifupdown, network-scripts and people start them.
        (
            Dhclient,
            "/sbin/dhclient -4 -v -i -pf /run/dhclient.eth0.pid -lf /var/lib/dhcp/dhclient.eth0.leases -I -df \
             /var/lib/dhcp/dhclient6.eth0.leases eth0",
            "-4 -v -i -pf /run/dhclient.br0.pid -lf /var/lib/dhcp/dhclient.br0.leases -I -df \
             /var/lib/dhcp/dhclient6.br0.leases br0",
        ),
        (
            Dhclient,
            "/sbin/dhclient -H node1 -1 -q -cf /etc/dhcp/dhclient-eth0.conf -lf \
             /var/lib/dhclient/dhclient--eth0.lease -pf /var/run/dhclient-eth0.pid eth0",
            "-H node1 -1 -q -cf /etc/dhcp/dhclient-br0.conf -lf /var/lib/dhclient/dhclient--br0.lease -pf \
             /var/run/dhclient-br0.pid br0",
        ),
        (Dhclient, "dhclient -nw eth0", "br0"),
        (
            Dhclient,
            "dhclient -d -C eth0 -e mode=a eth0",
            "-d -C eth0 -e mode=a br0",
        ),
        (
            Udhcpc,
            "udhcpc -n -p /run/udhcpc.eth0.pid -i eth0 -x hostname:eth0-host",
            "-n -p /run/udhcpc.br0.pid -i br0 -x hostname:eth0-host",
        ),
        (
            Udhcpc,
            "/bin/busybox udhcpc -bieth0 -r 10.0.0.9 -t5",
            "-b -i br0 -t 5",
        ),
        (
            Udhcpc,
            "udhcpc --interface=eth0 --background --retries 3",
            "--interface br0 --background --retries 3",
        ),
        (Udhcpc, "udhcpc -b", "-b -i br0"),
        (Dhcpcd, "dhcpcd: eth0 [ip4]", "-4 br0"),
        (Dhcpcd, "dhcpcd: [privileged proxy] eth0 [ip4] [ip6]", "br0"),
        (
            Dhcpcd,
            "dhcpcd -q -b -h eth0 -f /etc/dhcpcd-eth0.conf eth0",
            "-q -h eth0 -f /etc/dhcpcd-br0.conf br0",
        ),
        // What cannot be kept is named.
        (
            Dhclient,
            "dhclient --exotic eth0",
            "what its option --exotic means is not known here",
        ),
        (
            Udhcpc,
            "udhcpc -i eth0 -Z9",
            "what its option -Z9 means is not known here",
        ),
        (
            Dhclient,
            "dhclient",
            "it works for every device: name those that it is for",
        ),
        (
            Dhcpcd,
            "dhcpcd: [manager] [ip4] [ip6]",
            "it works for every device: name those that it is for",
        ),
        (
            Dhclient,
            "dhclient eth0 eth1",
            "it works for eth0 and eth1: give eth0 a client of its own",
        ),
        (
            Dhclient,
            "dhclient -e device=eth0 eth0",
            "its option -e is 'device=eth0', and eth0 in it would stay",
        ),
        (
            Dhclient,
            "dhclient -sf /etc/dhcp/eth0-script eth0",
            "its option -sf is '/etc/dhcp/eth0-script', and eth0 in it would stay",
        ),
        (
            Dhclient,
            "dhclient -lf /var/lib/eth0/leases eth0",
            "its option -lf names /var/lib/eth0/leases, which has no counterpart for br0",
        ),
        (
            Dhclient,
            "dhclient -pf eth0.pid eth0",
            "its option -pf names eth0.pid, which has no counterpart for br0",
        ),
        (
            Udhcpc,
            "udhcpc -i eth0 -p /run/../etc/x",
            "its option -p names /run/../etc/x, which is not below /run",
        ),
        (
            Dhcpcd,
            "dhcpcd -Z eth1 eth0",
            "what its option -Z means is not known here",
        ),
    ] {
        assert_eq!(moved(kind, line), expected, "{line}");
    }
}

#[test]
fn a_busybox_is_a_client_by_its_applet_alone() {
    for (line, expected) in [
        ("udhcpc -i eth0", true),
        ("/sbin/udhcpc -i eth0", true),
        ("busybox udhcpc -i eth0", true),
        ("sh udhcpc.sh -i eth0", false),
        ("ntpd -p eth0", false),
        ("busybox", false),
    ] {
        assert_eq!(parse(Udhcpc, line).is_some(), expected, "{line}");
    }
}

#[test]
fn a_client_covers_its_devices_or_all() {
    for (kind, line, covers, managed) in [
        (Dhclient, "dhclient eth0", true, false),
        (Dhclient, "dhclient eth01", false, false),
        (Dhclient, "dhclient", true, false),
        (Dhcpcd, "dhcpcd: [network proxy] 10.0.0.5", false, false),
        (
            Dhclient,
            "dhclient -sf /usr/lib/NetworkManager/nm-dhcp-helper -cf /var/lib/NetworkManager/dhclient-eth0.conf eth0",
            true,
            true,
        ),
        // Who has it in another place than the script's is not NetworkManager's.
        (Dhclient, "dhclient -e x=/nm-dhcp-helper eth0", true, false),
    ] {
        let parsed = parse(kind, line).unwrap();
        assert_eq!(parsed.covers("eth0"), covers, "{line}");
        assert_eq!(parsed.is_managed(), managed, "{line}");
    }
}

/// A host with one file, and that file as it shall be: its path and text.
fn rewritten(
    kind: ClientKind,
    path: &str,
    text: &str,
) -> Result<Vec<(PathBuf, Option<String>)>, String> {
    let host = TempDir::new().unwrap();
    let place = host.path().join(path.trim_start_matches('/'));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, text).unwrap();
    let files = config::files(&[kind], &[], "eth0");
    let changes = config::changes(host.path(), &files, "eth0", "br0");
    let changes = changes.map_err(|error| format!("{error:#}"))?;
    // Once it is written there is nothing left to do.
    for change in &changes {
        let place = host.path().join(change.path.strip_prefix("/").unwrap());
        match &change.text {
            Some(text) => fs::write(place, text).unwrap(),
            None => fs::remove_file(place).unwrap(),
        }
    }
    assert_eq!(
        config::changes(host.path(), &files, "eth0", "br0").unwrap(),
        []
    );
    Ok(changes
        .into_iter()
        .map(|change| (change.path, change.text))
        .collect())
}

#[test]
fn what_a_configuration_says_of_the_nic_moves_to_the_bridge() {
    for (kind, path, text, expected) in [
        (
            Dhclient,
            "/etc/dhcp/dhclient.conf",
            "# for eth0\nsend host-name \"eth0-host\";\ninterface \"eth0\" {\n  send dhcp-client-identifier \"a\\\"b\";\n  \
             script \"/sbin/x\";\n}\nlease { interface \"eth0\"; fixed-address 10.0.0.9; }\ninterface \"eth1\" { }\n",
            "# for eth0\nsend host-name \"eth0-host\";\ninterface \"br0\" {\n  send dhcp-client-identifier \"a\\\"b\";\n  \
             script \"/sbin/x\";\n}\nlease { interface \"br0\"; fixed-address 10.0.0.9; }\ninterface \"eth1\" { }\n",
        ),
        (
            Dhclient,
            "/etc/dhclient.conf",
            "interface \"eth0\"{send x 1;}",
            "interface \"br0\"{send x 1;}",
        ),
        (
            Dhcpcd,
            "/etc/dhcpcd.conf",
            "hostname eth0\ninterface eth0 # the uplink\n  clientid eth0\ninterface eth1\nallowinterfaces eth0 eth1\n",
            "hostname eth0\ninterface br0 # the uplink\n  clientid eth0\ninterface eth1\nallowinterfaces br0 eth1\n",
        ),
        (
            Dhcpcd,
            "/etc/dhcpcd.conf",
            "denyinterfaces wlan0 eth0\n",
            "denyinterfaces wlan0 eth0 br0\n",
        ),
    ] {
        let path = PathBuf::from(path);
        let changes = rewritten(kind, path.to_str().unwrap(), text);
        assert_eq!(changes, Ok(vec![(path, Some(expected.to_owned()))]));
    }
}

#[test]
fn a_configuration_of_the_nic_alone_gets_the_bridges_name() {
    let text = "send dhcp-client-identifier \"rack\";\n";
    assert_eq!(
        rewritten(Dhclient, "/etc/dhcp/dhclient-eth0.conf", text),
        Ok(vec![
            (PathBuf::from("/etc/dhcp/dhclient-eth0.conf"), None),
            (
                PathBuf::from("/etc/dhcp/dhclient-br0.conf"),
                Some(text.to_owned())
            ),
        ])
    );
}

#[test]
fn a_configuration_without_the_nic_stays() {
    for (kind, path, text) in [
        (
            Dhclient,
            "/etc/dhcp/dhclient.conf",
            "interface \"eth01\" { }\nsend host-name \"eth0\";\n",
        ),
        (
            Dhclient,
            "/etc/dhcp/dhclient.conf",
            "interface \"br0\" { }\nsupersede host-name \"eth0\";\n",
        ),
        (
            Dhcpcd,
            "/etc/dhcpcd.conf",
            "# interface eth0\ninterface wlan0\ndenyinterfaces veth*\n",
        ),
        (Dhcpcd, "/etc/dhcpcd.conf", "denyinterfaces *\n"),
        // What no client of this kind reads.
        (
            Udhcpc,
            "/etc/dhcp/dhclient.conf",
            "interface \"eth0\" { }\n",
        ),
    ] {
        assert_eq!(rewritten(kind, path, text), Ok(vec![]), "{text}");
    }
}

#[test]
fn what_cannot_be_moved_is_refused_with_its_line() {
    for (kind, text, expected) in [
        (
            Dhclient,
            "\npseudo \"eth0:1\" \"eth0\" { }\n",
            "line 2: eth0 is named in a statement 'pseudo', which cannot be moved",
        ),
        (
            Dhclient,
            "script \"/etc/eth0.sh\";\n",
            "line 1: eth0 is named in a statement 'script', which cannot be moved",
        ),
        (
            Dhclient,
            "interface \"eth0\" { }\ninterface \"br0\" { }\n",
            "line 2: br0 has settings of its own",
        ),
        (
            Dhcpcd,
            "interface br0\ninterface eth0\n",
            "line 1: br0 has settings of its own",
        ),
        (
            Dhcpcd,
            "denyinterfaces eth*\n",
            "line 1: denyinterfaces eth* covers eth0 and not br0: name them",
        ),
        (
            Dhcpcd,
            "ia_pd 1 eth0/0\n",
            "line 1: eth0 is named in 'ia_pd', which cannot be moved",
        ),
    ] {
        let path = match kind {
            Dhclient => "/etc/dhcp/dhclient.conf",
            _ => "/etc/dhcpcd.conf",
        };
        assert_eq!(
            rewritten(kind, path, text),
            Err(format!("moving eth0 to br0 in {path}: {expected}"))
        );
    }
}

#[test]
fn a_configuration_elsewhere_is_refused() {
    for path in ["/tmp/dhclient.conf", "/etc/../tmp/dhclient.conf"] {
        let told = [(Dhclient, PathBuf::from(path))];
        let refused = config::changes(Path::new("/"), &told, "eth0", "br0").unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("dhclient reads {path}, and its configuration is looked for below /etc alone")
        );
    }
}

#[test]
fn a_dhcpcd_for_all_is_kept_off_a_device_by_its_configuration() {
    for (text, denied) in [
        ("", false),
        ("denyinterfaces wlan0 eth0\n", true),
        ("denyinterfaces eth*\n", true),
        ("allowinterfaces wlan0\n", true),
        ("allowinterfaces wlan0\nallowinterfaces eth0\n", false),
        ("# denyinterfaces eth0\n", false),
    ] {
        let host = TempDir::new().unwrap();
        fs::create_dir(host.path().join("etc")).unwrap();
        fs::write(host.path().join("etc/dhcpcd.conf"), text).unwrap();
        assert_eq!(
            config::dhcpcd_is_denied(host.path(), "eth0").unwrap(),
            denied,
            "{text}"
        );
    }
}
