//! What goes wrong in the middle: each a clear line for the node that it is of, nothing lost, and a second run that ends it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::Case;
use crate::lab::{RESTARTED, eventually, lab, restarts};
use crate::site::{Site, outcome};

pub(crate) const CASES: &[Case] = &[
    (
        "an_engine_killed_at_any_step_of_a_replacement_is_caught_up_with",
        every_step,
    ),
    (
        "a_certificate_that_has_expired_is_told_from_others",
        expired,
    ),
    (
        "an_address_taken_after_the_probe_is_the_engines_refusal",
        taken_after_the_probe,
    ),
    (
        "a_definition_that_changes_meanwhile_is_the_next_runs",
        changed_meanwhile,
    ),
    ("an_unknown_image_leaves_others_alone", unknown_image),
    ("a_full_disk_is_of_its_host_alone", full_disk),
    ("a_declaration_of_megabytes_loses_nothing", megabytes),
];

fn definition(name: &str, host: &str, ip: &str, more: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"{host}\"\nip = \"{ip}\"\n\
         image = \"busybox:1\"\ncommand = \"sh -c 'trap exit TERM; sleep 100000 & wait'\"\n{more}"
    )
}

/// When an engine is killed: before it gets a call, or once it has answered it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum FaultPoint {
    Before,
    After,
}

/// Stands between a command and an engine, which it kills at one of the calls that change something.
struct Killer {
    socket: PathBuf,
    /// How many such calls there were.
    changes: Arc<AtomicUsize>,
}

impl Killer {
    fn start(directory: &Path, kill_at: usize, point: FaultPoint) -> Self {
        let socket = directory.join(format!("{kill_at}-{point:?}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let changes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&changes);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), counted) = (client, Arc::clone(&counted)) else {
                    return;
                };
                thread::spawn(move || pass(client, &counted, (kill_at, point)));
            }
        });
        Self { socket, changes }
    }
}

/// Passes requests on, each over a connection of its own, until the engine is killed.
fn pass(mut client: UnixStream, changes: &AtomicUsize, (kill_at, point): (usize, FaultPoint)) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    loop {
        let Some(request) = read_request(&mut reader) else {
            return;
        };
        let is_change = !request.starts_with(b"GET") && !request.starts_with(b"HEAD");
        let number = if is_change {
            changes.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            0
        };
        let kills = |when| number == kill_at && point == when;
        if kills(FaultPoint::Before) {
            return lab().kill_daemon(RESTARTED);
        }
        let socket = lab().path(RESTARTED).join("docker.sock");
        let Ok(mut engine) = UnixStream::connect(socket) else {
            return;
        };
        let mut answer = Vec::new();
        if engine.write_all(&request).is_err() || engine.read_to_end(&mut answer).is_err() {
            return;
        }
        if kills(FaultPoint::After) {
            return lab().kill_daemon(RESTARTED);
        }
        let head = String::from_utf8_lossy(&answer).find("\r\n\r\n").unwrap();
        let kept = String::from_utf8_lossy(&answer[..head]).replace("\r\nConnection: close", "");
        if client.write_all(kept.as_bytes()).is_err() || client.write_all(&answer[head..]).is_err()
        {
            return;
        }
    }
}

/// Reads a request, which is to be the only one of its connection to the engine.
fn read_request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = given.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut request = format!("{head}connection: close\r\n\r\n").into_bytes();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.extend(body);
    Some(request)
}

/// A replacement is made of six calls: create, stop, start, two renames and a removal; the looks between them change
/// nothing.
const STEPS: usize = 6;

fn every_step() {
    let _alone = restarts();
    let socket = format!(
        "unix:{}",
        lab().path(RESTARTED).join("docker.sock").display()
    );
    let site = Site::new(&definition(
        "k9",
        &socket,
        "10.73.90.1",
        "labels = [\"v=0\"]\n",
    ));
    site.ok("mkdocker k9");
    site.ok("rpower k9 start --no-probe");
    let mut version = 0;
    for kill_at in 1..=STEPS {
        for point in [FaultPoint::Before, FaultPoint::After] {
            let at = format!("{point:?} change {kill_at}");
            let killer = Killer::start(site.path(), kill_at, point);
            let through = format!("unix:{}", killer.socket.display());
            site.redefine(&format!("v={version}"), &format!("v={}", version + 1));
            version += 1;
            site.redefine(&socket, &through);
            let told = site.run("mkdocker k9 --replace --settle 0");
            // Whoever finds the engine gone in the middle tries to start the old one again.
            let changes = killer.changes.load(Ordering::SeqCst);
            assert!(changes >= kill_at, "{at}: {changes} {told:?}");
            // One that dies after the last step has done all of it, and cannot say so.
            assert_eq!(told.code, 1, "{at}: {told:?}");
            assert!(
                told.err.starts_with("k9: [mn]: Error: ") && told.err.lines().count() == 1,
                "{at}: {told:?}"
            );
            lab().start_daemon(RESTARTED);
            site.redefine(&through, &socket);
            site.ok("mkdocker k9 --replace --settle 0");
            let state = "{{.State.Status}} {{.Config.Labels.v}} {{.NetworkSettings.Networks.mydocker0.IPAddress}}";
            assert_eq!(
                lab().inspect(RESTARTED, "k9", state),
                format!("running {version} 10.73.90.1"),
                "{at}"
            );
            let names = lab().docker(
                RESTARTED,
                &["ps", "-a", "--format", "{{.Names}}", "--filter", "name=k9"],
            );
            assert_eq!(names, "k9", "{at}");
            assert_eq!(site.ok("mkdocker k9"), "k9: unchanged\n", "{at}");
        }
    }
    site.ok("rmdocker k9 -f");
}

fn expired() {
    let site = Site::new(&definition("e7", "host01", "10.73.90.2", ""));
    let line = format!(
        "rpower e7 state --cert-path {}",
        lab().path("expired").display()
    );
    let refused = site.fails(&line);
    let [told, advice] = [
        "e7: [mn]: Error: the client's certificate ",
        ": have another signed ('slipway-trust issue NAME --out DIR'), or copy",
    ];
    assert!(
        refused.starts_with(told)
            && refused.contains("/expired/cert.pem ended on ")
            && refused.contains(advice),
        "{refused}"
    );
}

fn taken_after_the_probe() {
    let site = Site::new(&definition("t8", "host01", "10.73.90.3", ""));
    site.ok("mkdocker t8");
    let run = [
        "run",
        "-d",
        "--name",
        "thief",
        "--network",
        "mydocker0",
        "--ip",
        "10.73.90.3",
    ];
    lab().docker(
        "host01",
        &[&run[..], &["busybox:1", "sleep", "1000"]].concat(),
    );
    // As the start of a probe that came before the thief.
    let refused = site.fails("rpower t8 start --no-probe");
    assert_eq!(refused, "t8: [mn]: Error: Address already in use\n");
    assert_eq!(site.ok("rpower t8 state"), "t8: created\n");
    let refused = site.fails("rpower t8 start");
    assert!(
        refused.contains("the address 10.73.90.3 is in use on the network by 02:42:0a:49:5a:03"),
        "{refused}"
    );
    lab().docker("host01", &["rm", "-f", "thief"]);
    assert_eq!(site.ok("rpower t8 start"), "t8: success\n");
    site.ok("rmdocker t8 -f");
}

fn changed_meanwhile() {
    let site = Site::new(&definition(
        "c8",
        "host01",
        "10.73.90.4",
        "labels = [\"v=0\"]\n",
    ));
    site.ok("mkdocker c8");
    site.ok("rpower c8 start");
    site.redefine("v=0", "v=1");
    let mut command = site.command("mkdocker");
    command.args(["c8", "--replace", "--settle", "4"]);
    let null = Stdio::piped;
    let child = command
        .stdin(Stdio::null())
        .stdout(null())
        .stderr(null())
        .spawn()
        .unwrap();
    eventually("the new one is there", || {
        lab()
            .try_docker("host01", &["inspect", "c8..new"])
            .status
            .success()
    });
    site.redefine("v=1", "v=2");
    // Whoever comes second waits, and then sees what the first one made.
    let second = site.run("mkdocker c8 --replace --settle 0");
    let first = outcome(child.wait_with_output().unwrap());
    assert_eq!(
        (first.code, first.out.as_str()),
        (0, "c8: success\n"),
        "{first:?}"
    );
    assert_eq!(
        (second.code, second.out.as_str()),
        (0, "c8: success\n"),
        "{second:?}"
    );
    assert_eq!(lab().inspect("host01", "c8", "{{.Config.Labels.v}}"), "2");
    assert_eq!(site.ok("mkdocker c8"), "c8: unchanged\n");
    site.ok("rmdocker c8 -f");
}

fn unknown_image() {
    let site = Site::new(
        &[
            definition("u8", "host01", "10.73.90.5", ""),
            definition("u9", "host01", "10.73.90.6", "")
                .replace("busybox:1", "127.0.0.1:9/no/such:1"),
        ]
        .concat(),
    );
    let told = site.run("mkdocker u8,u9");
    assert_eq!(told.code, 1);
    assert!(told.out.contains("u8: success\n"), "{told:?}");
    assert!(
        told.err
            .starts_with("u9: [mn]: Error: pulling the image 127.0.0.1:9/no/such:1: ")
            && told.err.lines().count() == 1,
        "{told:?}"
    );
    let listed = site.ok("lsdocker host01 -a");
    assert!(
        listed.contains(" /u8") && !listed.contains(" /u9"),
        "{listed}"
    );
    fs::write(site.path().join("note"), "").unwrap();
    site.ok("rmdocker u8");
}

/// An engine whose disk is small; the one before is back when it is dropped.
struct SmallEngineDisk(PathBuf);

impl SmallEngineDisk {
    fn mount() -> Self {
        let data = lab().path(RESTARTED).join("data");
        lab().kill_daemon(RESTARTED);
        let (mut mount, _) = lab().beside_engine(RESTARTED);
        mount.args(["mount", "-t", "tmpfs", "-o", "size=32m", "none"]);
        assert!(mount.arg(&data).status().unwrap().success());
        let disk = Self(data);
        lab().start_daemon(RESTARTED);
        lab().make_docker_network(RESTARTED, "10.73.0.7");
        disk
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.seen("fill")).unwrap();
        let full = (0..64).find_map(|_| file.write_all(&[1; 1 << 20]).err());
        assert_eq!(full.unwrap().raw_os_error(), Some(nix::libc::ENOSPC));
    }

    fn empty(&self) {
        fs::remove_file(self.seen("fill")).unwrap();
    }

    /// Returns where a file on the disk is seen from here.
    fn seen(&self, name: &str) -> PathBuf {
        let (_, root) = lab().beside_engine(RESTARTED);
        root.join(self.0.strip_prefix("/").unwrap()).join(name)
    }
}

impl Drop for SmallEngineDisk {
    fn drop(&mut self) {
        lab().kill_daemon(RESTARTED);
        // Lazily: what the engine mounted there goes along.
        let (mut unmount, _) = lab().beside_engine(RESTARTED);
        let ended = unmount.args(["umount", "-l"]).arg(&self.0).status();
        assert!(ended.unwrap().success());
        lab().start_daemon(RESTARTED);
    }
}

fn full_disk() {
    let _alone = restarts();
    let disk = SmallEngineDisk::mount();
    let nodes = [
        definition("d8", RESTARTED, "10.73.90.11", ""),
        definition("d9", "host01", "10.73.90.7", ""),
    ];
    let site = Site::new(&nodes.concat());
    let saved = site.path().join("saved.tar");
    lab().docker(
        "host01",
        &["save", "-o", saved.to_str().unwrap(), "busybox:1"],
    );
    let load = format!("dockerimage load {RESTARTED},host01 {}", saved.display());
    disk.fill();
    for (line, good, bad) in [
        (load.as_str(), "host01: ", RESTARTED),
        ("mkdocker d8,d9 --pull never", "d9: ", "d8"),
    ] {
        let told = site.run(line);
        assert!(
            told.code == 1
                && told.out.contains(&format!("{good}success\n"))
                && told.err.starts_with(&format!("{bad}: [mn]: Error: "))
                && told.err.lines().count() == 1
                && told.err.contains("no space left on device"),
            "{line}: {told:?}"
        );
        if line == load {
            // With the image there, it is the container for which there is no room.
            disk.empty();
            site.ok(&load);
            disk.fill();
        }
    }
    disk.empty();
    site.ok("mkdocker d8,d9");
    assert_eq!(site.ok("mkdocker d8"), "d8: unchanged\n");
    site.ok("rmdocker d8,d9");
}

fn megabytes() {
    let flag = "x".repeat(10_000_000);
    let flag = format!("dockerflag = '{{\"Labels\":{{\"large\":\"{flag}\"}}}}'\n");
    let site = Site::new(&definition("l8", "host01", "10.73.90.8", &flag));
    assert_eq!(site.ok("mkdocker l8"), "l8: success\n");
    assert_eq!(site.ok("mkdocker l8"), "l8: unchanged\n");
    lab().docker("host01", &["rm", "l8"]);
}
