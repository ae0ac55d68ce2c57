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

use postscripts::fault::Fault;
use postscripts::net::{Kind, Link, NetState};
use postscripts::persist::{self, Persistence};
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
        daemons::vouch(self.root());
        persist::plan(self.root(), "eth0", "mydocker0", None, &state())
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
        kind: Kind::Ethernet,
        mac: Some("52:54:00:12:34:56".parse().unwrap()),
        mtu: 1500,
        up: true,
        carrier: true,
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
        assert!(persist::recover(host.root(), "mydocker0", &Fault::default()).unwrap());
        assert_eq!(host.files(), before, "{backend}/{case}");
        assert!(
            !persist::recover(host.root(), "mydocker0", &Fault::default()).unwrap(),
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

const REFUSALS: [Refusal; 9] = [
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
];

#[test]
fn what_cannot_be_persisted_is_refused_and_nothing_changes() {
    for (backend, case, files, message) in REFUSALS {
        let host = Host::of(backend, case);
        for (path, text) in files {
            host.write(path, text);
        }
        let before = host.files();
        let err = host.plan().map(|plan| plan.describe()).unwrap_err();
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
    let err = host.plan().unwrap().apply().unwrap_err();
    let expected = format!(
        "persisting mydocker0 through ifupdown: {} is not a regular file: replace it by one first",
        place.display()
    );
    assert_eq!(format!("{err:#}"), expected);
    assert!(!persist::recover(host.root(), "mydocker0", &Fault::default()).unwrap());
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
