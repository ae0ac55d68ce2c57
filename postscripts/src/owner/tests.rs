//! Hosts in directories: programs, processes and files as attackers would have them.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{chown, mkfifo};
use tempfile::TempDir;

use super::*;

/// A host with a program `/usr/sbin/dhclient` and a `/proc` in which we are.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(TempDir::new().unwrap());
        for place in ["usr/sbin", "var/lib/dhcp", "etc", "proc/self/ns"] {
            fs::create_dir_all(host.at(place)).unwrap();
        }
        for place in ["usr", "usr/sbin", "var", "var/lib", "var/lib/dhcp", "etc"] {
            host.mode(place, 0o755);
        }
        host.write("usr/sbin/dhclient", 0o755);
        for name in ["pid", "net", "user", "mnt"] {
            fs::write(host.at("proc/self/ns").join(name), "").unwrap();
        }
        fs::create_dir(host.at("proc/self/root")).unwrap();
        host
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn write(&self, path: &str, mode: u32) {
        let parent = Path::new(path).parent().unwrap();
        if !self.at(path).parent().unwrap().exists() {
            fs::create_dir_all(self.root().join(parent)).unwrap();
            for part in parent.ancestors().filter(|part| *part != Path::new("")) {
                self.mode(&part.to_string_lossy(), 0o755);
            }
        }
        fs::write(self.at(path), "it").unwrap();
        self.mode(path, mode);
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), Permissions::from_mode(mode)).unwrap();
    }

    /// A process that runs `exe`; `odd` names the namespaces that are not ours.
    fn process(&self, pid: i32, (exe, users): (&Path, &str), odd: &[&str], line: &str) {
        let dir = self.at(&format!("proc/{pid}"));
        fs::create_dir_all(dir.join("ns")).unwrap();
        symlink(exe, dir.join("exe")).unwrap();
        fs::write(dir.join("status"), format!("Name:\tx\nUid:\t{users}\n")).unwrap();
        fs::write(
            dir.join("stat"),
            format!("{pid} (a) b) S 1 {pid} 77 0 -1\n"),
        )
        .unwrap();
        fs::write(dir.join("cmdline"), line.replace(' ', "\0")).unwrap();
        fs::write(dir.join("cgroup"), "0::/system.slice/x.service\n").unwrap();
        for name in ["pid", "net", "user", "mnt"] {
            let place = dir.join("ns").join(name);
            if odd.contains(&name) {
                fs::write(place, "").unwrap()
            } else {
                symlink(self.at("proc/self/ns").join(name), place).unwrap()
            }
        }
        let root = if odd.contains(&"root") {
            self.at("usr")
        } else {
            self.at("proc/self/root")
        };
        symlink(root, dir.join("root")).unwrap();
    }

    fn running(&self) -> Vec<HostProcess> {
        let programs = HostProgram::all(self.root(), "dhclient");
        running(self.root(), &programs, is_trusted).unwrap()
    }
}

/// An access control list that lets user 65534 do what `permissions` say: `linux/posix_acl_xattr.h`.
fn acl(permissions: u16) -> Vec<u8> {
    const UNNAMED: u32 = u32::MAX;
    let entries = [
        (0x01, 7, UNNAMED),
        (0x02, permissions, 65_534),
        (0x04, 5, UNNAMED),
        (0x10, 7, UNNAMED),
        (0x20, 5, UNNAMED),
    ];
    let entry = |(tag, permissions, id): (u16, u16, u32)| {
        let id = id.to_le_bytes();
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id].concat()
    };
    let version = 2u32.to_le_bytes().to_vec();
    entries
        .into_iter()
        .map(entry)
        .fold(version, |all, one| [all, one].concat())
}

#[test]
fn who_may_write_by_an_access_control_list_is_somebody_else() {
    let host = Host::new();
    let directory = || RootOnlyDirectory::open(host.root(), Path::new("/var/lib/dhcp"));
    let set = |path: &str| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(host.at(path), ACL, &acl(7), flags).unwrap();
    };
    // its group is root's own
    host.mode("var/lib/dhcp", 0o775);
    host.mode("usr/sbin", 0o775);
    assert!(directory().unwrap().is_some());
    assert!(HostProgram::find(host.root(), "dhclient").is_some());
    set("var/lib/dhcp");
    set("usr/sbin");
    assert_eq!(
        directory().unwrap_err().to_string(),
        "/var/lib/dhcp is not root's alone: others may write to it (mode 0775)"
    );
    assert!(HostProgram::find(host.root(), "dhclient").is_none());
}

#[test]
fn a_program_is_one_that_nobody_else_can_have_put_there() {
    let host = Host::new();
    let find = || HostProgram::find(host.root(), "dhclient").map(|program| program.path);
    let there = Some(PathBuf::from("/usr/sbin/dhclient"));
    assert_eq!(find(), there);
    for (path, mode, expected) in [
        ("usr/sbin/dhclient", 0o757, None),
        ("usr/sbin/dhclient", 0o755, there.clone()),
        ("usr/sbin", 0o757, None),
        ("usr/sbin", 0o755, there.clone()),
        ("usr", 0o777, None),
        // Nobody can move in such a directory what is not his.
        ("usr", 0o1777, there.clone()),
    ] {
        host.mode(path, mode);
        assert_eq!(find(), expected, "{path} {mode:o}");
    }
}

#[test]
fn a_link_counts_for_what_it_leads_to() {
    let host = Host::new();
    let find = |name: &str| HostProgram::find(host.root(), name).map(|program| program.path);
    host.write("usr/bin/busybox", 0o755);
    symlink("../bin/busybox", host.at("usr/sbin/udhcpc")).unwrap();
    assert_eq!(find("udhcpc"), Some(PathBuf::from("/usr/bin/busybox")));
    host.write("usr/games/anyones", 0o777);
    symlink("../games/anyones", host.at("usr/sbin/anyones")).unwrap();
    assert_eq!(find("anyones"), None);
    symlink("/bin/sh", host.at("usr/sbin/outside")).unwrap();
    assert_eq!(find("outside"), None);
    let why = check(host.root(), Path::new("/usr/sbin/anyones")).unwrap_err();
    let place = fs::canonicalize(host.at("usr/games/anyones")).unwrap();
    assert_eq!(
        why.to_string(),
        format!(
            "/usr/sbin/anyones is not root's alone: others may write to it (mode 0777) ({})",
            place.display()
        )
    );
}

#[test]
fn a_state_that_others_may_have_made_is_refused() {
    let give = |path: PathBuf| {
        // who is not root cannot, and is refused nothing
        assert_eq!(
            chown(&path, Some(65_534.into()), None).is_ok(),
            own_user() == 0
        );
    };
    let state = Path::new("/var/lib/slipway/bridgeprereq/live.json");
    type Change = fn(&Host, &dyn Fn(PathBuf));
    let table: [(Change, Option<&str>); 6] = [
        (|_, _| {}, None),
        (|host, _| host.write("var/lib/slipway/x", 0o600), None),
        (
            |host, _| {
                host.write("var/lib/slipway/x", 0o600);
                host.mode("var/lib/slipway", 0o777);
            },
            Some("/var/lib/slipway is not root's alone: others may write to it (mode 0777)"),
        ),
        (
            |host, give| {
                host.write("var/lib/slipway/bridgeprereq/lock", 0o600);
                give(host.at("var/lib/slipway/bridgeprereq"));
            },
            Some("/var/lib/slipway/bridgeprereq is not root's alone: it belongs to user 65534"),
        ),
        // what was left in a directory before root had it
        (
            |host, give| {
                host.write("var/lib/slipway/bridgeprereq/live.json", 0o600);
                give(host.at("var/lib/slipway/bridgeprereq/live.json"));
            },
            Some(
                "/var/lib/slipway/bridgeprereq/live.json is not root's alone: it belongs to user 65534",
            ),
        ),
        (
            |host, give| {
                host.write("srv/evil/x", 0o600);
                give(host.at("srv/evil"));
                symlink("../../srv/evil", host.at("var/lib/slipway")).unwrap();
            },
            Some("/var/lib/slipway is not root's alone: it belongs to user 65534"),
        ),
    ];
    for (change, refusal) in table {
        let host = Host::new();
        change(&host, &give);
        let found = check_state(host.root(), state).map_err(|error| error.to_string());
        match refusal.filter(|_| own_user() == 0) {
            None => assert_eq!(found, Ok(())),
            Some(refusal) => assert!(found.unwrap_err().starts_with(refusal), "{refusal}"),
        }
    }
}

#[test]
fn a_process_counts_only_as_roots_own_of_this_host() {
    let host = Host::new();
    let (ours, us) = (host.at("usr/sbin/dhclient"), "0 0 0 0");
    host.write("srv/image/usr/sbin/dhclient", 0o755);
    let copy = host.at("srv/image/usr/sbin/dhclient");
    let line = "/usr/sbin/dhclient -4 eth0";
    let none: &[&str] = &[];
    for (pid, exe, users, odd) in [
        (10, &ours, us, none),
        // A user who runs the host's own client, one with a set-user-ID program, one that gave up half.
        (11, &ours, "65534 65534 65534 65534", none),
        (12, &ours, "65534 0 0 0", none),
        (13, &ours, "0 65534 0 0", none),
        (14, &ours, "0 0 65534 0", none),
        // A program of the same name of a container's image, and one that only calls itself so.
        (15, &copy, us, none),
        (16, &PathBuf::from("/bin/sh"), us, none),
        // Containers: another process, network or user namespace, and whatever of the host's they were given.
        (17, &ours, us, &["pid"]),
        (18, &ours, us, &["net"]),
        (19, &ours, us, &["user"]),
        (23, &ours, us, &["pid", "mnt", "root"]),
        (24, &ours, us, &["user", "mnt"]),
        (25, &copy, us, &["mnt", "root"]),
        // One that root of a user namespace is.
        (26, &ours, "100000 100000 100000 100000", &["user", "pid"]),
        // Sandboxed services, and those in another root directory.
        (20, &ours, us, &["mnt"]),
        (21, &ours, us, &["root"]),
        (22, &ours, "not a number", none),
    ] {
        host.process(pid, (exe, users), odd, line);
    }
    fs::create_dir(host.at("proc/99")).unwrap();
    let found = host.running();
    let seen: Vec<_> = found
        .iter()
        .map(|process| (process.pid, process.view))
        .collect();
    assert_eq!(
        seen,
        [(10, View::Ours), (20, View::Other), (21, View::Other)]
    );
    assert_eq!(found[0].words, ["/usr/sbin/dhclient", "-4", "eth0"]);
    assert_eq!(found[0].program.path, Path::new("/usr/sbin/dhclient"));
    assert_eq!(found[0].group, Some("system.slice/x.service".into()));
}

#[test]
fn what_root_runs_from_elsewhere_is_named_and_not_counted() {
    let host = Host::new();
    host.write("opt/dhclient", 0o755);
    host.write("opt/other", 0o755);
    let (elsewhere, us) = (host.at("opt/dhclient"), "0 0 0 0");
    host.process(
        10,
        (&host.at("usr/sbin/dhclient"), us),
        &[],
        "dhclient eth0",
    );
    host.process(11, (&elsewhere, us), &[], "dhclient eth0");
    host.process(
        12,
        (&elsewhere, "65534 65534 65534 65534"),
        &[],
        "dhclient eth0",
    );
    // A container's, and one in another root directory.
    host.process(13, (&elsewhere, us), &["pid", "mnt"], "dhclient eth0");
    host.process(15, (&elsewhere, us), &["root"], "dhclient eth0");
    host.process(14, (&host.at("opt/other"), us), &[], "dhclient eth0");
    let pids = |found: &[HostProcess]| found.iter().map(|process| process.pid).collect::<Vec<_>>();
    assert_eq!(pids(&host.running()), [10]);
    let programs = HostProgram::all(host.root(), "dhclient");
    let found = running_untrusted(host.root(), &["dhclient"], &programs).unwrap();
    assert_eq!(pids(&found), [11, 15]);
    assert_eq!(found[0].program.path, elsewhere);
}

#[test]
fn a_control_group_outside_of_ours_is_none() {
    let host = Host::new();
    host.process(
        10,
        (&host.at("usr/sbin/dhclient"), "0 0 0 0"),
        &[],
        "dhclient",
    );
    fs::write(host.at("proc/10/cgroup"), "0::/../../else\n").unwrap();
    assert_eq!(host.running()[0].group, None);
}

#[test]
fn thirty_thousand_processes_are_looked_through() {
    let host = Host::new();
    let client = host.at("usr/sbin/dhclient");
    host.write("usr/sbin/other", 0o755);
    host.process(99, (&host.at("usr/sbin/other"), "0 0 0 0"), &[], "other");
    // links to one process that is not wanted: directories would take minutes to make
    let proc = host.at("proc");
    for pid in 100..30_100 {
        symlink("99", proc.join(pid.to_string())).unwrap();
    }
    for pid in [50, 4_194_303] {
        host.process(pid, (&client, "0 0 0 0"), &[], "dhclient");
    }
    let pids: Vec<_> = host.running().iter().map(|process| process.pid).collect();
    assert_eq!(pids, [50, 4_194_303]);
}

/// Becomes something else after its rights were read and before its words are.
type Exec = fn(&Host, &Path);

#[test]
fn a_process_that_becomes_another_while_it_is_looked_at_does_not_count() {
    let table: [(&str, Exec, usize); 5] = [
        ("it stays what it was", |_, _| {}, 1),
        (
            "it gives its rights up",
            |_, dir| fs::write(dir.join("status"), "Uid:\t65534\t0\t0\t0\n").unwrap(),
            0,
        ),
        (
            "it runs another program",
            |host, dir| {
                fs::remove_file(dir.join("exe")).unwrap();
                symlink(host.at("usr/sbin/other"), dir.join("exe")).unwrap();
            },
            0,
        ),
        (
            "it ends",
            |_, dir| {
                for name in ["exe", "status", "stat"] {
                    fs::remove_file(dir.join(name)).unwrap();
                }
            },
            0,
        ),
        (
            "it is its parent's no longer",
            |_, dir| fs::write(dir.join("stat"), "10 (x) S 1 10 78 0 -1\n").unwrap(),
            0,
        ),
    ];
    for (what, exec, expected) in table {
        let host = Host::new();
        host.write("usr/sbin/other", 0o755);
        host.process(
            10,
            (&host.at("usr/sbin/dhclient"), "0 0 0 0"),
            &[],
            "dhclient",
        );
        let dir = host.at("proc/10");
        let words = dir.join("cmdline");
        fs::remove_file(&words).unwrap();
        mkfifo(&words, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                // opening it waits until its words are read
                let mut words = fs::File::options().write(true).open(&words).unwrap();
                exec(&host, &dir);
                words.write_all(b"dhclient\0eth0").unwrap();
            });
            host.running().len()
        });
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_number_that_is_another_process_by_now_gets_no_signal() {
    let host = Host::new();
    let mut other = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let number = i32::try_from(other.id()).unwrap();
    let client = host.at("usr/sbin/dhclient");
    let start = || host.process(number, (&client, "0 0 0 0"), &[], "dhclient eth0");
    start();
    let looked_at = host.running().remove(0);
    fs::remove_dir_all(host.at(&format!("proc/{number}"))).unwrap();
    start();
    looked_at.end().unwrap();
    assert_eq!(other.try_wait().unwrap(), None);
    // the one that has the number now is another one
    host.running()[0].signal(Signal::SIGKILL).unwrap();
    assert!(!other.wait().unwrap().success());
}

#[test]
fn a_file_counts_only_below_directories_that_are_roots_alone() {
    let host = Host::new();
    let place = Path::new("/var/lib/dhcp");
    let open = || RootOnlyDirectory::open(host.root(), place);
    host.write("var/lib/dhcp/eth0.leases", 0o644);
    host.write("var/lib/dhcp/anyones.leases", 0o666);
    host.write("etc/shadow", 0o600);
    symlink("/etc/shadow", host.at("var/lib/dhcp/link.leases")).unwrap();
    mkfifo(&host.at("var/lib/dhcp/pipe.leases"), Mode::S_IRUSR).unwrap();
    let huge = fs::File::create(host.at("var/lib/dhcp/huge.leases")).unwrap();
    huge.set_len(17 << 20).unwrap();
    let directory = open().unwrap().unwrap();
    assert_eq!(directory.read("eth0.leases").unwrap().unwrap(), b"it");
    assert_eq!(directory.read("none.leases").unwrap(), None);
    for (name, message) in [
        (
            "anyones.leases",
            "/var/lib/dhcp/anyones.leases is not root's alone: others may write to it (mode 0666)",
        ),
        (
            "link.leases",
            "/var/lib/dhcp/link.leases is a symbolic link",
        ),
        (
            "pipe.leases",
            "/var/lib/dhcp/pipe.leases is not a regular file",
        ),
        (
            "huge.leases",
            "/var/lib/dhcp/huge.leases is larger than 16777216 bytes",
        ),
    ] {
        assert_eq!(directory.read(name).unwrap_err().to_string(), message);
    }
    // What stands in the way of a new file is replaced itself.
    directory.replace("link.leases", b"new").unwrap();
    assert_eq!(fs::read(host.at("etc/shadow")).unwrap(), b"it");
    assert_eq!(directory.read("link.leases").unwrap().unwrap(), b"new");
    directory.append("eth0.leases", b", too").unwrap();
    assert_eq!(directory.read("eth0.leases").unwrap().unwrap(), b"it, too");

    host.mode("var/lib/dhcp", 0o777);
    assert_eq!(
        open().unwrap_err().to_string(),
        "/var/lib/dhcp is not root's alone: others may write to it (mode 0777)"
    );
    host.mode("var/lib/dhcp", 0o755);
    fs::rename(host.at("var/lib/dhcp"), host.at("var/lib/real")).unwrap();
    assert!(open().unwrap().is_none());
    symlink("real", host.at("var/lib/dhcp")).unwrap();
    assert_eq!(
        open().unwrap_err().to_string(),
        "/var/lib/dhcp is not a directory"
    );
    let up = RootOnlyDirectory::open(host.root(), Path::new("/var/../etc"));
    assert_eq!(
        up.unwrap_err().to_string(),
        "/var/../etc is not a plain path"
    );
}
