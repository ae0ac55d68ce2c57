//! What each backend writes, file by file, for hosts as they are found: `tests/golden/<backend>/
//! <case>/before` is a host, `after` what it shall be. `UPDATE=1` writes `after` anew for review.
#![allow(
    clippy::unwrap_used,
    reason = "a test may, and the helpers of this file are tests' too"
)]

mod addresses;
#[path = "../persist_netns/daemons.rs"]
mod daemons;
mod other_files;
mod refusals;
mod switch;

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

/// What is said of a line that no rule is known for.
const UNCLEAR: &str = "names eth0, and whether it means the addresses, which mydocker0 will have, or the hardware is not \
                       known: have it name mydocker0 as well, or take it out first";

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
    assert_eq!(second.changes(), []);
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
            .is_some()
        );
        assert_eq!(host.files(), before, "{backend}/{case}");
        assert!(
            persist::recover(
                host.root(),
                &"mydocker0".parse().unwrap(),
                &Fault::default()
            )
            .unwrap()
            .is_none(),
            "{backend}/{case}"
        );
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
fn a_daemon_at_work_is_waited_for_and_one_that_ended_is_not() {
    let host = Host::bare();
    let notes = "run/systemd/netif/links/1";
    host.write("sys/class/net/eth0/ifindex", "1\n");
    let file = "/etc/systemd/network/20-eth0.network";
    host.write(
        notes,
        &format!("ADMIN_STATE=configuring\nNETWORK_FILE={file}\n"),
    );
    let wait = || {
        let mut said = Vec::new();
        let waited = persist::wait_for_daemons(host.root(), "eth0", &mut |text| {
            said.push(text.to_owned());
            host.write(notes, "ADMIN_STATE=configured\n");
        });
        waited.map(|()| said).unwrap()
    };
    assert_eq!(wait(), Vec::<String>::new());
    host.write("proc/7/comm", "systemd-network\n");
    daemons::vouch(host.root());
    assert_eq!(
        wait(),
        [
            "systemd-networkd is configuring eth0 by /etc/systemd/network/20-eth0.network: waiting for at most 10 s until \
          it has its addresses"
        ]
    );
    assert_eq!(wait(), Vec::<String>::new());
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
        persist::recover(
            host.root(),
            &"mydocker0".parse().unwrap(),
            &Fault::default()
        )
        .unwrap()
        .is_none()
    );
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
