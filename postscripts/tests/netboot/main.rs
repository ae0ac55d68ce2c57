//! `netboot --fetch` in a network of its own: NICs that have a link or not, and a web server that is away, cuts
//! connections, damages what it sends, or has another file.
//!
//! Runs as root, or in a user namespace where one may be made; where neither can be, every test is listed as ignored,
//! with the reason.

#![allow(clippy::unwrap_used)] // tests may, but clippy looks for #[test]

mod dhcp;
mod server;
mod state;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use definitions::hex;
use libtest_mimic::{Arguments, Failed, Trial};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use server::{Fault, Server};

const INSIDE: &str = "SLIPWAY_NETNS_INSIDE";
/// The hardware address of the NIC that the node's definition names.
const MAC: &str = "52:54:00:00:00:01";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time they wait.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let missing = match std::env::var_os(INSIDE) {
        Some(_) => prepare().err(),
        None => Some(enter()),
    };
    libtest_mimic::run(&arguments, trials(missing.as_deref())).exit_code()
}

/// Starts this program again in namespaces of its own; returns only if that cannot be, with the reason.
fn enter() -> String {
    let mut words = vec!["--net", "--mount", "--propagation", "private"];
    if !nix::unistd::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    let trial = Command::new("unshare").args(&words).arg("true").output();
    match trial {
        Err(error) => return format!("needs unshare: {error}"),
        Ok(output) if !output.status.success() => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return format!("needs root or user namespaces: {why}");
        }
        Ok(_) => {}
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.to_string(),
    };
    let error = Command::new("unshare")
        .args(&words)
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    format!("needs unshare: {error}")
}

/// Makes room for namespaces.
fn prepare() -> Result<(), String> {
    let mount = ["-t", "tmpfs", "tmpfs", "/run"];
    let mount = Command::new("mount").args(mount).status();
    if !mount.is_ok_and(|status| status.success()) {
        return Err("needs a tmpfs on /run".to_owned());
    }
    let link = ["link", "add", "trial", "type", "veth"];
    let made = Command::new("ip").args(link).output();
    let made = made.map_err(|error| format!("needs ip of iproute2: {error}"))?;
    if !made.status.success() {
        return Err("needs a kernel with devices of type veth".to_owned());
    }
    Ok(())
}

fn trials(missing: Option<&str>) -> Vec<Trial> {
    let all: [(&str, fn()); 14] = [
        (
            "a_nic_without_a_link_is_not_the_one_that_is_named",
            two_nics,
        ),
        ("a_connection_that_is_cut_at_every_tenth_is_resumed", cut),
        ("a_server_that_is_away_for_a_while_is_waited_for", away),
        (
            "a_bit_that_flips_on_the_way_costs_a_second_fetch",
            flipped_once,
        ),
        ("a_bit_that_flips_on_the_server_is_refused", flipped_always),
        ("another_file_in_its_place_is_refused", other_length),
        (
            "a_nic_that_is_not_there_is_named_with_those_that_are",
            no_nic,
        ),
        ("a_node_without_an_address_gets_one_by_dhcp", dhcp::address),
        (
            "dhcp_of_somebody_else_is_named_and_not_taken",
            dhcp::two_servers,
        ),
        ("state_on_a_disk_with_ext4_is_kept", state::ext4),
        ("state_on_a_disk_with_xfs_is_kept", state::xfs),
        ("state_on_a_disk_that_is_full_is_mounted", state::full),
        ("state_on_a_disk_that_is_damaged_is_refused", state::damaged),
        (
            "state_on_a_disk_that_fails_is_not_left_mounted",
            state::failing,
        ),
    ];
    let no_dnsmasq = dhcp::lacking();
    let trial = |(name, test): (&str, fn())| {
        let missing = missing.map(str::to_owned);
        let missing = missing.or_else(|| {
            let no_dnsmasq = || no_dnsmasq.clone().filter(|_| name.contains("dhcp"));
            let no_disks = || state::lacking(name).filter(|_| name.starts_with("state"));
            no_dnsmasq().or_else(no_disks)
        });
        let trial = Trial::test(name, move || {
            test();
            Ok::<_, Failed>(())
        });
        match missing {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        }
    };
    all.map(trial).into()
}

/// A node with two NICs, of which the second has a link: to a web server.
struct Lab {
    number: u32,
    dir: TempDir,
}

impl Lab {
    fn new() -> Self {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let lab = Self {
            number: LABS.fetch_add(1, Ordering::Relaxed),
            dir: TempDir::new().unwrap(),
        };
        let (node, server) = (lab.node(), lab.server());
        ip(&format!("netns add {node}"));
        ip(&format!("netns add {server}"));
        ip(&format!("-n {server} link set lo up"));
        ip(&format!(
            "-n {node} link add eth0 address 52:54:00:00:00:09 type veth peer name port0 netns {server}"
        ));
        ip(&format!(
            "-n {node} link add eth1 address {MAC} type veth peer name port1 netns {server}"
        ));
        ip(&format!("-n {server} address add 10.1.0.1/24 dev port1"));
        ip(&format!("-n {server} link set port1 up"));
        lab
    }

    fn node(&self) -> String {
        format!("node{}", self.number)
    }

    fn server(&self) -> String {
        format!("server{}", self.number)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Runs the program as a boot would, with the image of [`content`] expected.
    fn fetch(&self, mac: &str) -> Output {
        self.fetch_with("10.1.0.5/24@10.1.0.254", mac)
    }

    fn fetch_with(&self, address: &str, mac: &str) -> Output {
        let line = self.dir.path().join("cmdline");
        let words = format!(
            "quiet BOOTIF=01-{} slipway.ip={address} slipway.image=http://10.1.0.1:8080/a/root.squashfs \
             slipway.type=squashfs slipway.bytes={} slipway.sha256={}\n",
            mac.replace(':', "-"),
            content().len(),
            hex(&Sha256::digest(content()))
        );
        fs::write(&line, words).unwrap();
        Command::new("ip")
            .args(["netns", "exec", &self.node()])
            .arg(env!("CARGO_BIN_EXE_netboot"))
            .arg("--fetch")
            .args([&line, &self.image()])
            .stdin(Stdio::null())
            .env_clear()
            .output()
            .unwrap()
    }

    /// The image was fetched, and is the expected one.
    fn assert_fetched(&self, output: &Output) {
        assert!(output.status.success(), "{}", said(output));
        assert_eq!(fs::read(self.image()).unwrap(), content());
    }

    /// The fetch failed with this as its last line.
    fn assert_refused(output: &Output, line: &str) {
        let said = said(output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().last(), Some(line), "{said}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in [self.node(), self.server()] {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {line}: {}", said(&output));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the server has: a megabyte in which no part is like another.
fn content() -> Vec<u8> {
    (0..250_000u32).flat_map(u32::to_le_bytes).collect()
}

fn two_nics() {
    let lab = Lab::new();
    let _server = Server::start(&lab.server(), Duration::ZERO, content(), vec![]);
    let output = lab.fetch(MAC);
    lab.assert_fetched(&output);
    let said = said(&output);
    let first = said.lines().next();
    assert_eq!(
        first,
        Some("netboot: eth1 has the address 10.1.0.5/24@10.1.0.254"),
        "{said}"
    );
    // a second try finds the address that the first one set
    lab.assert_fetched(&lab.fetch(MAC));
}

fn cut() {
    let lab = Lab::new();
    let tenths = (1..10).map(|tenth| Fault::CutAt(content().len() * tenth / 10));
    let server = Server::start(&lab.server(), Duration::ZERO, content(), tenths.collect());
    lab.assert_fetched(&lab.fetch(MAC));
    let from: Vec<_> = server.asked().iter().map(|(from, _)| *from).collect();
    let length = content().len();
    assert_eq!(from.len(), 10);
    // each request goes on where the one before ended
    for (tenth, from) in from.iter().enumerate() {
        assert_eq!(*from, length * tenth / 10);
    }
}

fn away() {
    let lab = Lab::new();
    let later = Duration::from_secs(4);
    let _server = Server::start(&lab.server(), later, content(), vec![]);
    let output = lab.fetch(MAC);
    lab.assert_fetched(&output);
    let said = said(&output);
    assert!(
        said.contains(
            "netboot: fetching root.squashfs from 10.1.0.1:8080: connecting to 10.1.0.1:8080: Connection refused (os error \
             111); another try in 1 s\n"
        ),
        "{said}"
    );
}

fn flipped_once() {
    let lab = Lab::new();
    let faults = vec![Fault::FlipBitOf(500_000)];
    let server = Server::start(&lab.server(), Duration::ZERO, content(), faults);
    let output = lab.fetch(MAC);
    lab.assert_fetched(&output);
    assert!(said(&output).contains(": nothing of it is used; it is fetched again\n"));
    assert_eq!(server.asked().len(), 2);
}

fn flipped_always() {
    let lab = Lab::new();
    let faults = vec![Fault::FlipBitOf(500_000); 3];
    let _server = Server::start(&lab.server(), Duration::ZERO, content(), faults);
    let mut wrong = content();
    wrong[500_000] ^= 1;
    Lab::assert_refused(
        &lab.fetch(MAC),
        &format!(
            "netboot: what 10.1.0.1:8080 sends as root.squashfs has the SHA-256 {}, and {} is expected: nothing of it is \
             used; it was fetched 3 times: have it packed again (packimage), then nodeset",
            hex(&Sha256::digest(wrong)),
            hex(&Sha256::digest(content()))
        ),
    );
}

fn other_length() {
    for (bytes, message) in [
        (
            content()[1..].to_vec(),
            "it has 999999 bytes and not 1000000",
        ),
        (
            [content(), vec![0]].concat(),
            "it has 1000001 bytes and not 1000000",
        ),
    ] {
        let lab = Lab::new();
        let _server = Server::start(&lab.server(), Duration::ZERO, bytes, vec![]);
        Lab::assert_refused(
            &lab.fetch(MAC),
            &format!("netboot: fetching root.squashfs from 10.1.0.1:8080: {message}"),
        );
        assert_eq!(fs::read(lab.image()).unwrap(), b"");
    }
}

fn no_nic() {
    let lab = Lab::new();
    Lab::assert_refused(
        &lab.fetch("52:54:00:00:00:77"),
        &format!(
            "netboot: no NIC has the hardware address 52:54:00:00:00:77: eth0 has 52:54:00:00:00:09, eth1 has {MAC}; correct \
             the node's mac, or add the driver to the osimage's netdrivers, then nodeset"
        ),
    );
}
