//! What each backend writes, file by file, for hosts as they are found: `tests/golden/<backend>/
//! <case>/before` is a host, `after` what it shall be. `UPDATE=1` writes `after` anew for review.
#![allow(
    clippy::unwrap_used,
    reason = "a test may, and the helpers of this file are tests' too"
)]

#[path = "persist_netns/daemons.rs"]
mod daemons;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use postscripts::bridge::net::{Address, Lifetimes, Link, LinkKind, NetState};
use postscripts::bridge::persist::{self, Persistence};
use postscripts::fault::Fault;
use tempfile::TempDir;

const BACKENDS: [&str; 6] = [
    "netplan",
    "networkd",
    "networkmanager",
    "ifupdown",
    "ifcfg",
    "wicked",
];

/// A host in a directory of its own.
struct Host {
    dir: TempDir,
}

impl Host {
    fn of(backend: &str, case: &str) -> Self {
        let host = Self::bare();
        copy(
            &golden().join(backend).join(case).join("before"),
            host.root(),
        );
        host
    }

    fn bare() -> Self {
        let dir = TempDir::new().unwrap();
        for needed in ["run", "etc", "var/lib"] {
            fs::create_dir_all(dir.path().join(needed)).unwrap();
        }
        Self { dir }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn plan(&self) -> anyhow::Result<Persistence> {
        self.plan_of(&state())
    }

    fn plan_of(&self, state: &NetState) -> anyhow::Result<Persistence> {
        daemons::vouch(self.root());
        persist::plan(self.root(), "eth0", "mydocker0", None, state)
    }

    /// Every file below `/etc` with all that an undo must put back.
    fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, u32, u32, SystemTime)> {
        let mut files = BTreeMap::new();
        walk(&self.root().join("etc"), &mut |path| {
            let meta = fs::metadata(path).unwrap();
            let facts = (
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.modified().unwrap(),
            );
            let name = path.strip_prefix(self.root()).unwrap().to_owned();
            files.insert(
                name,
                (fs::read(path).unwrap(), facts.0, facts.1, facts.2, facts.3),
            );
        });
        files
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn state() -> NetState {
    let link = Link {
        name: "eth0".to_owned(),
        kind: LinkKind::Ethernet,
        mac: Some("52:54:00:12:34:56".parse().unwrap()),
        mtu: 1500,
        up: true,
        carrier: true,
        group: 0,
        master: None,
        parent: None,
        bridge: None,
        addresses: Vec::new(),
        neighbours: Vec::new(),
        sysctls: BTreeMap::new(),
    };
    NetState {
        links: vec![link],
        ..NetState::default()
    }
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit)
        } else {
            visit(&path)
        }
    }
}

fn copy(from: &Path, to: &Path) {
    walk(from, &mut |path| {
        let place = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(path, &place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
        let file = fs::File::options().write(true).open(&place).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(long_ago))
            .unwrap();
    });
}

fn cases() -> Vec<(&'static str, String)> {
    let mut cases = Vec::new();
    for backend in BACKENDS {
        let mut names: Vec<String> = fs::read_dir(golden().join(backend))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        cases.extend(names.into_iter().map(|name| (backend, name)));
    }
    cases
}

/// Every file below a directory with its text, by the path within.
fn texts(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut texts = BTreeMap::new();
    walk(dir, &mut |path| {
        let name = path.strip_prefix(dir).unwrap().to_owned();
        texts.insert(name, fs::read_to_string(path).unwrap());
    });
    texts
}

#[test]
fn every_host_gets_the_files_that_were_reviewed() {
    let mut wrong = Vec::new();
    for (backend, case) in cases() {
        let host = Host::of(backend, &case);
        let plan = host
            .plan()
            .unwrap_or_else(|err| panic!("{backend}/{case}: {err:#}"));
        plan.apply()
            .unwrap_or_else(|err| panic!("{backend}/{case}: {err:#}"));
        plan.commit().unwrap();
        let after = golden().join(backend).join(&case).join("after");
        if std::env::var_os("UPDATE").is_some() {
            let _ = fs::remove_dir_all(&after);
            for (path, text) in texts(&host.root().join("etc")) {
                let place = after.join("etc").join(path);
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(place, text).unwrap();
            }
        }
        if texts(&host.root().join("etc")) != texts(&after.join("etc")) {
            wrong.push(format!("{backend}/{case}"));
        }
        a_second_run_is_an_empty_plan_and_touches_no_file(&host, &format!("{backend}/{case}"));
    }
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "UPDATE=1 and git diff show what changed"
    );
}

fn a_second_run_is_an_empty_plan_and_touches_no_file(host: &Host, case: &str) {
    let before = host.files();
    let second = host.plan().unwrap_or_else(|err| panic!("{case}: {err:#}"));
    assert_eq!(second.describe(), Vec::<String>::new(), "{case}");
    assert!(second.is_empty(), "{case}");
    assert_eq!(second.apply().unwrap(), None);
    assert_eq!(host.files(), before, "{case}");
}

#[test]
fn every_backend_has_the_five_common_hosts() {
    let cases = cases();
    for backend in BACKENDS {
        for case in ["dhcp", "static4", "static46", "mtu9000", "several-nics"] {
            assert!(
                cases.contains(&(backend, case.to_owned())),
                "{backend}/{case}"
            );
        }
    }
}

#[test]
fn an_undo_puts_every_byte_mode_owner_and_time_back() {
    for (backend, case) in cases() {
        let host = Host::of(backend, &case);
        let before = host.files();
        let plan = host.plan().unwrap();
        plan.apply().unwrap();
        assert_ne!(host.files(), before, "{backend}/{case}");
        // As another process would, after this one died.
        drop(plan);
        assert!(
            persist::recover(
                host.root(),
                &"mydocker0".parse().unwrap(),
                &Fault::default()
            )
            .unwrap()
        );
        assert_eq!(host.files(), before, "{backend}/{case}");
        assert!(
            !persist::recover(
                host.root(),
                &"mydocker0".parse().unwrap(),
                &Fault::default()
            )
            .unwrap(),
            "{backend}/{case}"
        );
    }
}

/// A host's change, and the whole message that it must bring.
type Refusal = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const REFUSALS: [Refusal; 30] = [
    (
        "wicked",
        "dhcp",
        &[("/proc/300/comm", "other\n")],
        "nothing that runs configures eth0 (netplan: no file; systemd-networkd: does not run; NetworkManager: does not \
         run; ifupdown: no stanza names it; ifcfg: no file names it; wicked: does not run): configure it first, or \
         change the live network alone with --no-persist",
    ),
    (
        "wicked",
        "dhcp",
        &[(
            "/etc/netplan/a.yaml",
            "network: {version: 2, ethernets: {eth0: {dhcp4: true}}}\n",
        )],
        "netplan and wicked both configure eth0: take it out of one of them, or change the live network alone with \
         --no-persist",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/01-netcfg.yaml",
            "network: {version: 2, ethernets: {eth0: {dhcp4: true}}}\n",
        )],
        "editing /etc/netplan/01-netcfg.yaml: the definitions are written in braces, which cannot be edited line by \
         line: write them as a block",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-lab.yaml",
            "network:\n  bridges:\n    lab:\n      interfaces: [eth0]\n",
        )],
        "netplan puts eth0 into lab already: take it out there first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-more.yaml",
            "network:\n  bridges:\n    mydocker0: {dhcp4: false}\n",
        )],
        "moving the settings of eth0 to mydocker0 in the files of netplan (systemd-networkd) would change them (DHCPv4: \
         true became false): use --no-persist",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/01-netcfg.yaml",
            "network:\n  ethernets:\n    eth0: &a {dhcp4: true}\n    eth1: *a\n",
        )],
        "reading /etc/netplan/01-netcfg.yaml: line 3: uses a YAML anchor, alias or tag, and lines that depend on others \
         are not moved",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nBridge=lab\n",
        )],
        "/etc/systemd/network/20-eth0.network puts eth0 into lab already: take it out there first",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/etc/sysconfig/network-scripts/ifcfg-mydocker0",
            "DEVICE=mydocker0\n",
        )],
        "/etc/sysconfig/network-scripts/ifcfg-mydocker0 exists already and eth0 does not use it: remove it first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces.d/map",
            "mapping eth*\n    script /bin/true\n",
        )],
        "editing /etc/network/interfaces.d/map: a mapping or rename stanza covers eth0: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto /eth*=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto /eth*=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto eth0=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto eth0=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto /pci/0000:00*=lab\niface lab inet manual\n\niface eth0 inet dhcp\n",
        )],
        "editing /etc/network/interfaces: 'auto /pci/0000:00*=lab' has eth0 come up by another stanza: write its stanza out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface eth1 inet dhcp inherits eth0\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth1 inherits from that of eth0: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface lab inet static\n    address 10.0.0.5/24\n\niface eth0 inherits lab\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth0 inherits from that of lab: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface lab\n    address 10.0.0.5/24\n\niface eth0\n    inherit lab\n",
        )],
        "editing /etc/network/interfaces: the stanza of eth0 inherits from that of lab: write its options out first",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "auto eth0\niface eth0 inet dhcp\n    up ip route flush dev eth0; ethtool -r eth0\n",
        )],
        "editing /etc/network/interfaces: \"up ip route flush dev eth0; ethtool -r eth0\" UNCLEAR",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface eth1 inet manual\n    lab-uplink eth0\n",
        )],
        "editing /etc/network/interfaces: \"lab-uplink eth0\" UNCLEAR",
    ),
    (
        "ifupdown",
        "dhcp",
        &[(
            "/etc/network/interfaces",
            "iface eth0 inet dhcp\n\niface lab inet manual\n    bridge_ports eth0 eth1\n",
        )],
        "editing /etc/network/interfaces: another device takes eth0 (bridge_ports eth0 eth1): take it out there first",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/20-eth0.network",
            "[Match]\nName=eth0\n[Network]\nLabUplink=eth0\n",
        )],
        "looking at /etc/systemd/network/10-mydocker0.network: \"LabUplink=eth0\" UNCLEAR",
    ),
    (
        "networkd",
        "dhcp",
        &[(
            "/etc/systemd/network/!.network",
            "[Match]\nName=*\n[Network]\nDHCP=no\n",
        )],
        "/etc/systemd/network/!.network sorts before any file for mydocker0: rename it first",
    ),
    (
        "networkmanager",
        "dhcp",
        &[(
            "/etc/NetworkManager/system-connections/gre.nmconnection",
            "[connection]\nid=gre\ntype=ip-tunnel\n[ip-tunnel]\nlab=eth0\n",
        )],
        "looking at /etc/NetworkManager/system-connections/gre.nmconnection: \"lab=eth0\" UNCLEAR",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/etc/sysconfig/network-scripts/ifcfg-gre1",
            "DEVICE=gre1\nMY_OUTER_DEV=eth0\n",
        )],
        "looking at /etc/sysconfig/network-scripts/ifcfg-gre1: \"MY_OUTER_DEV=eth0\" UNCLEAR",
    ),
    (
        "ifcfg",
        "dhcp",
        &[(
            "/run/initramfs/state/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\n",
        )],
        "/run/initramfs/state/etc/sysconfig/network-scripts/ifcfg-eth0 is copied over the file of the host at each boot: \
         take ip= out of the kernel's command line first",
    ),
    (
        "netplan",
        "dhcp",
        &[("/proc/cmdline", "root=/dev/vda ip=dhcp ro\n")],
        "cloud-init writes /etc/netplan/50-cloud-init.yaml at each boot by ip=dhcp of the kernel's command line: take it \
         out there first",
    ),
    (
        "netplan",
        "dhcp",
        &[("/etc/cloud/cloud.cfg.d/zz.cfg", "network:\n  config: []\n")],
        "/etc/cloud/cloud.cfg.d/zz.cfg configures the network through cloud-init, which would write \
         /etc/netplan/50-cloud-init.yaml again: take it out there first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-lab.yaml",
            "network:\n  tunnels:\n    lab:\n      over: eth0\n",
        )],
        "looking at /etc/netplan/90-lab.yaml: \"over: eth0\" UNCLEAR",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/netplan/90-all.yaml",
            "network:\n  ethernets:\n    all:\n      match: {name: \"*\"}\n",
        )],
        "netplan's all (name: *) covers mydocker0 too, and is read before it: narrow its match first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/etc/systemd/network/05-lab.network",
            "[Match]\nName=!eth*\n[Network]\nDHCP=no\n",
        )],
        "/etc/systemd/network/05-lab.network covers mydocker0 too, and is read before 10-netplan-mydocker0.network, which \
         netplan makes: rename it or narrow its [Match] first",
    ),
    (
        "netplan",
        "mtu9000",
        &[(
            "/run/systemd/network/10-netplan-lan.link",
            "[Match]\nMACAddress=52:54:00:12:34:56\n[Link]\nName=eth0\n",
        )],
        "eth0 is named in other files for what mydocker0 will have: /run/systemd/network/10-netplan-lan.link: it is \
         generated at each boot: change its generator first",
    ),
    (
        "wicked",
        "dhcp",
        &[(
            "/etc/systemd/system/multi-user.target.wants/lab@eth0.service",
            "",
        )],
        "eth0 is named in other files for what mydocker0 will have: \
         /etc/systemd/system/multi-user.target.wants/lab@eth0.service: it is started at boot: disable it, and enable \
         lab@mydocker0.service instead",
    ),
];

const UNCLEAR: &str = "names eth0, and whether it means the addresses, which mydocker0 will have, or the hardware is not \
                       known: have it name mydocker0 as well, or take it out first";

/// What names the NIC for its addresses, and cannot be moved by a rule.
const NAMED: [(&str, &str, &str, &str, usize); 18] = [
    (
        "networkmanager",
        "/etc/NetworkManager/conf.d/10-defaults.conf",
        "[connection-uplink]\nmatch-device=interface-name:eth0\nipv6.ip6-privacy=2\n",
        "match-device=interface-name:eth0",
        2,
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
fn what_a_daemon_notes_of_the_nic_as_a_port_changes_no_plan() {
    let keyfile = |uuid: &str, more: &str| {
        format!(
            "[connection]\nid={uuid}\nuuid={uuid}\ntype=ethernet\n{more}\n[ipv4]\nmethod=auto\n"
        )
    };
    let host = Host::of("networkmanager", "dhcp");
    let own = "2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c";
    let other = "7b0d2c55-1f0e-4b57-8a39-6f2f6b9c3d10";
    let dir = "/etc/NetworkManager/system-connections";
    host.write(
        &format!("{dir}/uplink.nmconnection"),
        &keyfile(own, "interface-name=eth0\n"),
    );
    host.write(
        &format!("{dir}/any.nmconnection"),
        &keyfile(other, "multi-connect=3\n"),
    );
    host.write("/sys/class/net/eth0/ifindex", "2\n");
    let note = |uuid: &str| {
        let text = format!("[device]\nmanaged=true\nconnection-uuid={uuid}\n");
        host.write("/run/NetworkManager/devices/2", &text);
    };
    note(own);
    let plan = host.plan().unwrap();
    note(other);
    assert_eq!(plan.replan(&state()).unwrap().describe(), plan.describe());
    assert_ne!(host.plan().unwrap().describe(), plan.describe());
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
fn what_cannot_be_persisted_is_refused_and_nothing_changes() {
    for (backend, case, files, message) in REFUSALS {
        let host = Host::of(backend, case);
        for (path, text) in files {
            host.write(path, text);
        }
        let before = host.files();
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        let message = message.replace("UNCLEAR", UNCLEAR);
        assert_eq!(format!("{err:#}"), message, "{backend}/{case}");
        assert_eq!(host.files(), before, "{backend}/{case}");
    }
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let host = Host::of("ifupdown", "dhcp");
    let place = host.root().join("etc/network/interfaces");
    let elsewhere = host.root().join("etc/network/real");
    fs::rename(&place, &elsewhere).unwrap();
    std::os::unix::fs::symlink("real", &place).unwrap();
    let plan = host.plan().unwrap();
    let early = plan.check().unwrap_err();
    let err = plan.apply().unwrap_err();
    assert_eq!(format!("{early:#}"), format!("{err:#}"));
    let expected = format!(
        "persisting mydocker0 through ifupdown: {} is not a regular file: replace it by one first",
        place.display()
    );
    assert_eq!(format!("{err:#}"), expected);
    assert!(
        !persist::recover(
            host.root(),
            &"mydocker0".parse().unwrap(),
            &Fault::default()
        )
        .unwrap()
    );
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

#[test]
fn a_nic_that_something_else_takes_at_the_next_boot_is_refused() {
    let networkd = "/etc/systemd/network/eth0.network.d/more.conf";
    let keyfile = "/etc/NetworkManager/system-connections/mv0.nmconnection";
    let ifcfg = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    let cases = [
        (
            "networkd",
            networkd,
            "[Network]\nMACVLAN=mv0\n",
            "MACVLAN=mv0 of /etc/systemd/network/eth0.network takes every frame of eth0, which a port of a bridge cannot: \
             remove it first",
        ),
        (
            "networkd",
            networkd,
            "[Network]\nIPVLAN=iv0\n",
            "IPVLAN=iv0 of /etc/systemd/network/eth0.network takes every frame of eth0, which a port of a bridge cannot: \
             remove it first",
        ),
        (
            "networkd",
            networkd,
            "[Network]\nVRF=red\n",
            "/etc/systemd/network/eth0.network puts eth0 into red already: take it out there first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=mv0\ntype=macvlan\n[macvlan]\nmode=2\nparent=eth0\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a macvlan on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "networkmanager",
            keyfile,
            "[connection]\nid=ms0\ntype=macsec\n[macsec]\nparent=2f5c7a3e-7a4e-4c1f-9d3f-0a4a1d1a1b1c\n",
            "/etc/NetworkManager/system-connections/mv0.nmconnection puts a macsec on eth0, which a port of a bridge \
             cannot carry: remove it first",
        ),
        (
            "ifcfg",
            ifcfg,
            "DEVICE=eth0\nBOOTPROTO=dhcp\nVRF=red\n",
            "/etc/sysconfig/network-scripts/ifcfg-eth0 puts eth0 into red already: remove it there first",
        ),
        (
            "ifcfg",
            ifcfg,
            "DEVICE=eth0\nTEAM_MASTER=team0\n",
            "/etc/sysconfig/network-scripts/ifcfg-eth0 puts eth0 into team0 already: remove it there first",
        ),
    ];
    for (backend, path, text, message) in cases {
        let host = Host::of(backend, "static4");
        host.write(path, text);
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
        assert_eq!(format!("{err:#}"), message, "{path}: {text}");
    }
}

#[test]
fn an_ifcfg_file_is_the_devices_that_it_names_and_keeps_what_authenticates() {
    let host = Host::of("ifcfg", "static4");
    let dir = "/etc/sysconfig/network-scripts/";
    let other = "DEVICE=eth9\nBOOTPROTO=dhcp\n";
    host.write(&format!("{dir}ifcfg-eth0"), other);
    host.write(
        &format!("{dir}ifcfg-Wired_1"),
        "DEVICE=eth0\nIPADDR=10.0.0.5\nPREFIX=24\nKEY_MGMT=IEEE8021X\nIEEE_8021X_IDENTITY=host\n",
    );
    let range = "IPADDR_START=10.0.0.100\nIPADDR_END=10.0.0.110\nCLONENUM_START=0\n";
    host.write(&format!("{dir}ifcfg-eth0-range0"), range);
    let plan = host.plan().unwrap();
    plan.apply().unwrap();
    plan.commit().unwrap();
    let read = |name: &str| fs::read_to_string(host.root().join(&dir[1..]).join(name)).ok();
    assert_eq!(read("ifcfg-eth0").as_deref(), Some(other));
    assert_eq!(
        read("ifcfg-Wired_1").as_deref(),
        Some("DEVICE=eth0\nKEY_MGMT=IEEE8021X\nIEEE_8021X_IDENTITY=host\nBRIDGE=mydocker0\n")
    );
    assert_eq!(
        read("ifcfg-mydocker0").as_deref(),
        Some(
            "DEVICE=mydocker0\nNAME=mydocker0\nTYPE=Bridge\nSTP=no\nDELAY=0\nMACADDR=52:54:00:12:34:56\n\
             IPADDR=10.0.0.5\nPREFIX=24\n"
        )
    );
    assert_eq!(read("ifcfg-mydocker0-range0").as_deref(), Some(range));
    assert_eq!(read("ifcfg-eth0-range0"), None);
}
