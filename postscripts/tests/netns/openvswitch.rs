//! A database and a switch process of Open vSwitch for one host, in a private directory.
//!
//! Programs find both below `/run/openvswitch`, which is the private directory in the mount namespace that
//! `ip netns exec` makes for each of them. Forwarding is by the userspace datapath: few test machines have the kernel's.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::lab::{Lab, Place, text};

const RUN: &str = "/run/openvswitch";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// What is missing for these tests, if anything is.
pub(crate) fn missing() -> Option<&'static str> {
    let has = |name: &str| {
        ["/usr/bin", "/usr/sbin"]
            .iter()
            .any(|dir| fs::exists(format!("{dir}/{name}")).unwrap_or(false))
    };
    if !has("ovs-vswitchd") || !has("ovsdb-server") || !has("ovs-vsctl") {
        return Some("needs openvswitch-switch");
    }
    (!has("ethtool")).then_some("needs ethtool")
}

/// A host with Open vSwitch, its switch and its gateway.
pub(crate) struct SwitchLab {
    pub(crate) lab: Lab,
    database: Option<Child>,
    switch: Option<Child>,
}

impl SwitchLab {
    /// Wires them up as [`Lab::quick`] does, and starts both processes.
    pub(crate) fn new(host: &[&str], gateway: &[&str]) -> Self {
        let lab = Lab::quick(host, gateway);
        // nothing completes checksums on the way: the wire is made of memory
        let name = lab.name(Place::Gateway);
        let off = Command::new("ip")
            .args(["netns", "exec", &name, "ethtool", "-K", "eth0", "tx", "off"])
            .output()
            .unwrap();
        assert!(off.status.success(), "{}", text(&off));
        let mut lab = Self {
            lab,
            database: None,
            switch: None,
        };
        fs::create_dir_all(lab.directory()).unwrap();
        fs::create_dir_all(RUN).unwrap();
        lab.succeed(
            "ovsdb-tool",
            &["create", "/run/openvswitch/conf.db", SCHEMA],
        );
        lab.start_database();
        lab.start_switch();
        lab
    }

    fn directory(&self) -> PathBuf {
        self.lab.root().join("openvswitch")
    }

    /// A program on the host.
    fn command(&self, program: &str) -> Command {
        let directory = self.directory();
        let mount = format!("mount --bind {} {RUN} && exec \"$@\"", directory.display());
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.lab.name(Place::Host)])
            .args(["/bin/sh", "-c", &mount, "sh", program])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn daemon(&self, program: &str, arguments: &[&str]) -> Child {
        let log = File::create(self.directory().join(format!("{program}.log"))).unwrap();
        self.command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    pub(crate) fn start_database(&mut self) {
        let child = self.daemon(
            "ovsdb-server",
            &[
                "/run/openvswitch/conf.db",
                "--remote=punix:/run/openvswitch/db.sock",
            ],
        );
        self.database = Some(child);
        let socket = self.directory().join("db.sock");
        self.lab.wait_for("the database", || socket.exists());
        self.vsctl("--no-wait init");
    }

    pub(crate) fn start_switch(&mut self) {
        self.switch = Some(self.daemon("ovs-vswitchd", &["unix:/run/openvswitch/db.sock"]));
    }

    pub(crate) fn stop_database(&mut self) {
        stop(&mut self.database);
        fs::remove_file(self.directory().join("db.sock")).unwrap();
    }

    pub(crate) fn stop_switch(&mut self) {
        stop(&mut self.switch);
    }

    pub(crate) fn succeed(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            text(&output)
        );
        text(&output)
    }

    pub(crate) fn vsctl(&self, words: &str) -> String {
        let words: Vec<_> = words.split_whitespace().collect();
        self.succeed("ovs-vsctl", &[&["--timeout=10"], words.as_slice()].concat())
    }

    /// The program on the host, not yet started.
    pub(crate) fn program(&self, words: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_bridgeprereq"));
        command
            .args(words.split_whitespace())
            .args(["--timeout", "30", "--root"])
            .arg(self.lab.root());
        command
    }

    pub(crate) fn run(&self, words: &str, fault: &str) -> Output {
        self.program(&format!("{words} --no-persist"))
            .env("SLIPWAY_FAULT", fault)
            .output()
            .unwrap()
    }

    /// All that the kernel and the database say, without what passes by itself.
    pub(crate) fn snapshot(&self) -> String {
        // What was asked of the switch's process may still be under way.
        let mut last = self.look();
        loop {
            thread::sleep(Duration::from_millis(200));
            let now = self.look();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    fn look(&self) -> String {
        let rules = self.lab.host("nft list ruleset");
        let bridges = self.vsctl(
            "--columns=name,datapath_type,fail_mode,other_config,external_ids,controller,flow_tables list Bridge",
        );
        let ports = self.vsctl("--columns=name,external_ids,other_config,tag list Port");
        let mut database: Vec<_> = bridges.lines().chain(ports.lines()).collect();
        database.sort_unstable();
        format!(
            "{}# nft\n{rules}# ovs\n{}\n",
            self.lab.snapshot(),
            database.join("\n")
        )
    }
}

fn stop(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for SwitchLab {
    fn drop(&mut self) {
        stop(&mut self.switch);
        stop(&mut self.database);
    }
}
