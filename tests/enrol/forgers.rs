//! Somebody on the LAN answers in the management node's place: by ARP with its address, by DNS with every name. A node that
//! enrols, renews and reports says nothing to it and takes nothing from it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, Site, outcome, same};

use super::lab::Lab;

/// The hardware address of whoever answers.
const FORGER: &str = "52:54:00:66:66:66";
/// Its own address.
const OWN: &str = "10.77.0.66";
/// What a client says that does not check whom it speaks to.
const SAID: &str = "whatever is said here is kept";
/// How long an answer may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A lab whose node and whoever forges have namespaces of their own, on the management node's switch.
struct Lan(Lab);

impl Lan {
    fn new() -> Result<Self> {
        let lan = Self(Lab::new()?);
        fs::create_dir_all(lan.0.node("etc"))?;
        lan.0.arm()?;
        let site = &lan.0.site;
        // names of namespaces are this test's own
        site.succeed("mkdir", &["-p", "/run/netns"])?;
        site.succeed("mount", &["-t", "tmpfs", "tmpfs", "/run/netns"])?;
        for (name, mac, address) in [
            ("node", "52:54:00:77:00:01", "10.77.0.11/24"),
            ("forger", FORGER, "10.77.0.66/24"),
        ] {
            let link = ["netns", name, "type", "veth", "peer", "name", name];
            site.succeed("ip", &["netns", "add", name])?;
            site.succeed("ip", &[&["link", "add", "eth0"], &link[..]].concat())?;
            site.succeed("ip", &["link", "set", name, "master", "sw", "up"])?;
            let own = ["-n", name];
            let set = ["link", "set", "eth0", "address", mac, "up"];
            site.succeed("ip", &[&own[..], &set].concat())?;
            let add = ["address", "add", address, "dev", "eth0"];
            site.succeed("ip", &[&own[..], &add].concat())?;
        }
        Ok(lan)
    }

    /// Prepares a program in one of the namespaces.
    fn command(&self, name: &str, program: &str) -> Command {
        let mut command = self.0.site.command("ip");
        command.args(["netns", "exec", name, program]);
        command
    }

    /// Runs `enrol` on the node.
    fn enrol(&self, more: &[&str]) -> Result<Outcome> {
        let program = super::lab::enrol_program()?;
        let mut command = self.command("node", "timeout");
        command.arg("120").arg(program).arg("--root");
        outcome(command.arg(self.0.node("")).args(more))
    }

    /// Has a server that keeps what it is sent answer for slipwayd, with a certificate.
    fn answer(&self, identity: &str) -> Result<Child> {
        let (identity, heard) = (self.0.sandbox.path(identity), self.heard());
        let mut server = self.command("forger", "openssl");
        server
            .args(["s_server", "-quiet", "-accept", "10.77.0.1:8443"])
            .arg("-cert")
            .arg(identity.join("cert.pem"))
            .arg("-cert_chain")
            .arg(identity.join("cert.pem"))
            .arg("-key")
            .arg(identity.join("key.pem"))
            // it ends with its standard input
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&heard)?);
        let server = server.spawn().context("starting openssl s_server")?;
        // and is known to do so to a client that believes everybody
        let said = self.0.sandbox.path("said");
        fs::write(&said, SAID)?;
        let end = Instant::now() + TIMEOUT;
        while !fs::read_to_string(&heard)?.contains(SAID) {
            ensure!(Instant::now() < end, "whoever forges hears nothing");
            let mut client = self.command("node", "timeout");
            client.args(["5", "openssl", "s_client", "-connect", "10.77.0.1:8443"]);
            outcome(client.stdin(fs::File::open(&said)?))?;
        }
        Ok(server)
    }

    fn heard(&self) -> PathBuf {
        self.0.sandbox.path("heard")
    }

    /// Has the forger take the management node's address in the node's table of neighbours.
    fn take_address(&self) -> Result<()> {
        let add = [
            "-n",
            "forger",
            "address",
            "add",
            "10.77.0.1/24",
            "dev",
            "eth0",
        ];
        self.0.site.succeed("ip", &add)?;
        outcome(
            self.command("node", "ping")
                .args(["-c", "1", "-w", "5", Site::ADDRESS]),
        )?;
        let end = Instant::now() + TIMEOUT;
        while self.neighbour()? != FORGER {
            ensure!(Instant::now() < end, "the node's neighbour stays the same");
            let mut answer = self.command("forger", "busybox");
            let words = ["arping", "-A", "-c", "1", "-I", "eth0", "-s"];
            outcome(answer.args(words).args([Site::ADDRESS, Site::ADDRESS]))?;
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Gives the address back.
    fn leave_address(&self) -> Result<()> {
        let del = [
            "-n",
            "forger",
            "address",
            "del",
            "10.77.0.1/24",
            "dev",
            "eth0",
        ];
        self.0.site.succeed("ip", &del)?;
        let flush = ["-n", "node", "neigh", "flush", "dev", "eth0"];
        self.0.site.succeed("ip", &flush)?;
        let mut ended = self.command("forger", "sh");
        outcome(ended.args(["-c", "kill $(ip netns pids forger)"]))?;
        Ok(())
    }

    /// Returns the hardware address that the management node has to the node.
    fn neighbour(&self) -> Result<String> {
        let show = ["-n", "node", "neigh", "show", Site::ADDRESS];
        let shown = self.0.site.succeed("ip", &show)?;
        let mut words = shown.split_whitespace();
        words.find(|word| *word == "lladdr");
        Ok(words.next().unwrap_or_default().to_owned())
    }

    /// Whatever the node tries ends with an error, and whoever forges has heard nothing of it.
    fn is_refused(&self, tried: &[&str], why: &str) -> Result<()> {
        let ended = self.enrol(tried)?;
        ensure!(
            matches!(ended.code, Some(1 | 75)) && ended.stderr.contains(why),
            "{tried:?}: {ended:?}"
        );
        same(&self.neighbour()?.as_str(), &FORGER)?;
        let heard = fs::read_to_string(self.heard())?;
        same(&heard.replace(SAID, "").as_str(), &"")
    }

    /// Makes what the forger shows: a certificate of an authority of its own, and that of another node of the site.
    fn identities(&self) -> Result<[(&'static str, &'static str); 2]> {
        let path = |name: &str| self.0.sandbox.path(name);
        for (directory, kind) in [("foreign", "-x509"), ("other", "-new")] {
            let at = path(directory);
            fs::create_dir_all(&at)?;
            let mut command = Command::new("openssl");
            command
                .args(["req", kind, "-newkey", "ec", "-nodes", "-subj", "/CN=x"])
                .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-addext", "subjectAltName=IP:10.77.0.1", "-keyout"]);
            let made = command.arg(at.join("key.pem")).arg("-out");
            let made = outcome(made.arg(at.join("cert.pem")))?;
            ensure!(made.code == Some(0), "openssl req: {made:?}");
        }
        let nodes = self.0.sandbox.config().join("nodes/other.toml");
        fs::write(nodes, "[node.host02]\nip = \"10.77.0.66\"\n")?;
        let other = path("other");
        let (request, signed) = (other.join("cert.pem"), other.join("signed"));
        let (request, out) = (request.display().to_string(), signed.display().to_string());
        let issue = ["issue", "host02", "--as", "node", "--request", &request];
        let issue = [&issue[..], &["--out", &out]].concat();
        self.0.succeed("slipway-trust", &issue)?;
        fs::copy(signed.join("cert.pem"), other.join("cert.pem"))?;
        Ok([
            ("foreign", "invalid peer certificate: "),
            (
                "other",
                "invalid peer certificate: certificate not valid for name",
            ),
        ])
    }
}

/// Who answers ARP in the management node's place is not spoken to, whether its certificate is of another authority or
/// another node's of this site.
pub(super) fn by_arp() -> Result<()> {
    let mut lan = Lan::new()?;
    lan.0.serve()?;
    let identities = lan.identities()?;
    for (identity, why) in identities {
        lan.take_address()?;
        let mut server = lan.answer(identity)?;
        lan.is_refused(&[], why)?;
        lan.leave_address()?;
        server.wait()?;
    }
    let order = lan.0.node("var/lib/slipway/enrolment.json");
    ensure!(order.exists(), "the secret is gone");
    let enrolled = lan.enrol(&[])?;
    ensure!(
        enrolled.code == Some(0) && enrolled.stdout.starts_with("enrolled as host01 until "),
        "{enrolled:?}"
    );
    let directory = lan.0.node("etc/slipway/identity");
    let kept = || -> Result<Vec<String>> {
        let files = ["root.pem", "clients.pem", "cert.pem", "trees.asc"];
        let texts = files.map(|file| fs::read_to_string(directory.join(file)));
        Ok(texts.into_iter().collect::<Result<_, _>>()?)
    };
    let before = kept()?;
    for (identity, why) in identities {
        lan.take_address()?;
        let mut server = lan.answer(identity)?;
        for tried in [&["--renew"][..], &["--report", "booted"]] {
            lan.is_refused(tried, why)?;
        }
        lan.leave_address()?;
        server.wait()?;
    }
    same(&kept()?, &before)?;
    let renewed = lan.enrol(&["--renew"])?;
    ensure!(renewed.code == Some(0), "{renewed:?}");
    same(&lan.0.alarms()?, &Vec::new())
}

/// Who answers every name with an address of its own is never asked: a node knows the management node by its address.
pub(super) fn by_dns() -> Result<()> {
    let mut lan = Lan::new()?;
    lan.0.serve()?;
    let log = lan.0.sandbox.path("dns.log");
    let mut server = lan.command("forger", "dnsmasq");
    server
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
        ])
        .args(["--no-resolv", "--no-hosts", "--log-queries", "--pid-file="])
        .arg(format!("--address=/#/{OWN}"))
        .arg(format!("--log-facility={}", log.display()));
    server.spawn().context("starting dnsmasq")?;
    let names = lan.0.sandbox.path("resolv.conf");
    fs::write(&names, format!("nameserver {OWN}\nsearch cluster\n"))?;
    let site = &lan.0.site;
    let names = names.display().to_string();
    site.succeed("mount", &["--bind", &names, "/etc/resolv.conf"])?;
    let end = Instant::now() + TIMEOUT;
    loop {
        let mut asked = lan.command("node", "busybox");
        let asked = outcome(asked.args(["nslookup", "slipwayd.cluster"]))?;
        if asked.stdout.contains(OWN) && fs::read_to_string(&log)?.contains("slipwayd.cluster") {
            break;
        }
        ensure!(Instant::now() < end, "names are not forged: {asked:?}");
    }
    let before = fs::read_to_string(&log)?;
    for tried in [&[][..], &["--renew"], &["--report", "booted"], &[]] {
        let ended = lan.enrol(tried)?;
        ensure!(ended.code == Some(0), "{tried:?}: {ended:?}");
    }
    same(&fs::read_to_string(&log)?, &before)?;
    same(&lan.0.alarms()?, &Vec::new())
}
