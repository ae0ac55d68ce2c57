//! A host, a switch and a gateway, each in a network namespace of its own.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::ping;

static LABS: AtomicU32 = AtomicU32::new(0);

/// The three of them, gone when dropped.
pub(crate) struct Lab {
    number: u32,
    root: TempDir,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Host,
    Switch,
    Gateway,
}

impl Lab {
    /// Wires them up, the host by `eth0`: `ip` commands for the host and the gateway follow.
    pub(crate) fn new(host: &[&str], gateway: &[&str]) -> Self {
        Self::unwired().wired(host, gateway)
    }

    /// The same without the second or two that it takes to find out that no IPv6 address is taken.
    pub(crate) fn quick(host: &[&str], gateway: &[&str]) -> Self {
        let lab = Self::unwired();
        for place in [Place::Host, Place::Gateway] {
            lab.sysctl(place, "ipv6/conf/default/dad_transmits", "0");
        }
        lab.wired(host, gateway)
    }

    fn unwired() -> Self {
        let lab = Self {
            number: LABS.fetch_add(1, Ordering::Relaxed),
            root: TempDir::new().unwrap(),
        };
        for place in [Place::Host, Place::Switch, Place::Gateway] {
            ip(&["netns", "add", &lab.name(place)]);
            lab.ip(place, "link set lo up");
        }
        lab
    }

    fn wired(self, host: &[&str], gateway: &[&str]) -> Self {
        let lab = self;
        lab.ip(
            Place::Switch,
            "link add sw type bridge forward_delay 0 mcast_snooping 0",
        );
        lab.ip(Place::Switch, "link set sw up");
        lab.wire(Place::Host, "eth0", "port1");
        lab.wire(Place::Gateway, "eth0", "port2");
        lab.batch(Place::Gateway, gateway);
        lab.batch(Place::Host, host);
        lab
    }

    /// Plugs a device of one of them into the switch.
    pub(crate) fn wire(&self, place: Place, device: &str, port: &str) {
        let switch = self.name(Place::Switch);
        self.ip(
            place,
            &format!("link add {device} type veth peer name {port} netns {switch}"),
        );
        self.batch(Place::Switch, &[&format!("link set {port} master sw up")]);
        self.ip(place, &format!("link set {device} up"));
    }

    pub(crate) fn name(&self, place: Place) -> String {
        format!("{place:?}{}", self.number).to_lowercase()
    }

    /// Runs `ip` there.
    pub(crate) fn ip(&self, place: Place, arguments: &str) -> String {
        let name = self.name(place);
        let mut all = vec!["-n", &name];
        all.extend(arguments.split_whitespace());
        ip(&all)
    }

    /// Runs several `ip` commands there in one process.
    pub(crate) fn batch(&self, place: Place, commands: &[&str]) {
        let mut child = Command::new("ip")
            .args(["-n", &self.name(place), "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(commands.join("\n").as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success(), "{commands:?}");
    }

    /// Runs any command on the host.
    pub(crate) fn host(&self, line: &str) -> String {
        let name = self.name(Place::Host);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &name]).args(line.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output));
        text(&output)
    }

    /// Writes a setting below `/proc/sys/net` there.
    pub(crate) fn sysctl(&self, place: Place, key: &'static str, value: &'static str) {
        self.within(place, move || {
            std::fs::write(format!("/proc/sys/net/{key}"), value).unwrap();
        });
    }

    /// Does something in a thread that lives there.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        place: Place,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.thread(place, act).join().unwrap()
    }

    pub(crate) fn thread<T: Send + 'static>(
        &self,
        place: Place,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let path = format!("/run/netns/{}", self.name(place));
        thread::spawn(move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            act()
        })
    }

    /// The program on the host, not yet started: `words` are its arguments.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = self.persisting(words);
        command.arg("--no-persist");
        command
    }

    /// The same with the files for the next boot.
    pub(crate) fn persisting(&self, words: &str) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name(Place::Host)])
            .arg(env!("CARGO_BIN_EXE_bridgeprereq"))
            .args(words.split_whitespace())
            .args(["--timeout", "10", "--root"])
            .arg(self.root.path())
            .env_clear();
        command
    }

    pub(crate) fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn run_with_fault(&self, words: &str, fault: &str) -> Output {
        self.command(words)
            .env("SLIPWAY_FAULT", fault)
            .output()
            .unwrap()
    }

    /// Runs it and insists that it succeeds.
    pub(crate) fn succeed(&self, words: &str) -> String {
        let output = self.run(words);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(0), "{words}: {text}");
        text
    }

    /// Insists that a further run finds nothing to do and changes nothing.
    pub(crate) fn assert_settled(&self, words: &str) {
        self.wait_for_detection();
        let before = self.snapshot();
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "nothing to do\n", "{}", text(&output));
        assert_eq!(output.status.code(), Some(0));
        self.assert_restored(&before);
    }

    /// Waits until no run and no watchdog is at work any more.
    pub(crate) fn wait_for_watchdog(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        let lock = self.root.path().join("var/lib/slipway/bridgeprereq/lock");
        let lock = File::options().append(true).open(lock).unwrap();
        while lock.try_lock().is_err() {
            assert!(Instant::now() < end, "the watchdog does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until something holds.
    pub(crate) fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < end, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn root(&self) -> &std::path::Path {
        self.root.path()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root
            .path()
            .join("var/lib/slipway/bridgeprereq/live.json")
    }

    /// Insists that the gateway reaches each of these addresses of the host.
    pub(crate) fn assert_reachable(&self, addresses: &[&str]) {
        for address in addresses {
            let ip = address.parse().unwrap();
            let answered = self.within(Place::Gateway, move || {
                ping::answers(ip, Duration::from_millis(2500))
            });
            assert!(answered, "{address} does not answer:\n{}", self.snapshot());
        }
    }

    /// Waits until IPv6 addresses have settled.
    pub(crate) fn wait_for_detection(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        for place in [Place::Host, Place::Gateway] {
            while self.ip(place, "-6 addr show tentative").contains("inet6") {
                assert!(Instant::now() < end, "addresses stay tentative");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Everything that the host's kernel says, without what passes by itself.
    pub(crate) fn snapshot(&self) -> String {
        let shown = [
            "-d -o link show",
            "-o addr show",
            "-4 route show table all",
            "-6 route show table all",
            "-4 rule show",
            "-6 rule show",
            "nexthop show",
            "neigh show nud permanent",
        ];
        let mut all = String::new();
        for what in shown {
            let text = self.ip(Place::Host, what);
            let mut lines: Vec<_> = text.lines().map(without_passing).collect();
            if what.contains("route") {
                lines.sort();
                lines.dedup();
            }
            all += &format!("# {what}\n{}\n", lines.join("\n"));
        }
        all + &self.within(Place::Host, settings)
    }

    /// Asserts that the host has everything as it was; the kernel adds an address's local route once its duplicate
    /// address detection has ended.
    pub(crate) fn assert_restored(&self, before: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.snapshot() != before && Instant::now() < end {
            thread::sleep(Duration::from_millis(100));
        }
        assert_same(before, &self.snapshot());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in [Place::Host, Place::Switch, Place::Gateway] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(place)])
                .status();
        }
    }
}

/// Insists that two snapshots are one, or shows the lines that are not.
#[track_caller]
pub(crate) fn assert_same(before: &str, after: &str) {
    let only = |this: &str, that: &str| {
        let lines: Vec<_> = that.lines().collect();
        let rest = this.lines().filter(|line| !lines.contains(line));
        rest.map(|line| format!("\n  {line}")).collect::<String>()
    };
    let (gone, new) = (only(before, after), only(after, before));
    assert!(before == after, "gone:{gone}\nnew:{new}");
}

/// Leaves out what changes without anybody's doing: times, numbers, the state of neighbours.
fn without_passing(line: &str) -> String {
    let mut words = Vec::new();
    let mut all = line.split_whitespace().peekable();
    while let Some(word) = all.next() {
        match word {
            "valid_lft" | "preferred_lft" | "expires" => {
                let time = all.next().unwrap_or_default();
                let lasting = if time == "forever" {
                    "forever"
                } else {
                    "for a while"
                };
                words.push(format!("{word} {lasting}"));
            }
            "qlen" | "promiscuity" | "allmulti" => drop(all.next()),
            // A bridge has these of the ports that it has or had.
            "bridge_id" | "designated_root" | "tso_max_size" => drop(all.next()),
            word if word.ends_with("_timer") => drop(all.next()),
            word => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

/// The settings of `eth0` that a change could touch.
fn settings() -> String {
    let mut all = String::new();
    for family in ["ipv4", "ipv6"] {
        let directory = format!("/proc/sys/net/{family}/conf/eth0");
        let mut entries: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let value = std::fs::read_to_string(&path).unwrap_or_default();
            all += &format!("{} {}\n", path.display(), value.trim());
        }
    }
    all
}

pub(crate) fn text(output: &Output) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", part(&output.stdout), part(&output.stderr))
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        text(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
