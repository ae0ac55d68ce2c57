//! The management node's side of a network of machines: a namespace with a switch, from which machines
//! are reached and in which other people's servers run.
//!
//! What runs there are processes of a namespace of their own: they end with the process that made the
//! site, however that ends, and its network with them. Nothing of the real machine's network is touched.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::Outcome;

/// How long a command may take there, in seconds.
const COMMAND_TIMEOUT: &str = "180";

/// A management node, its network, and a directory of its own.
#[derive(Debug)]
pub struct Site {
    holder: Child,
    dir: TempDir,
}

impl Site {
    /// The management node's address on the first switch.
    pub const ADDRESS: &'static str = "10.77.0.1";

    /// Makes the namespace and the switch `sw`, on which the management node has its address.
    pub fn new() -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--pid", "--mount", "--fork", "--kill-child"])
            .args(["--mount-proc", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("making a network namespace")?;
        let stdout = holder.stdout.take().context("holding the namespace")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let dir = tempfile::Builder::new().prefix("site").tempdir()?;
        let site = Self { holder, dir };
        ensure!(line == "ready\n", "a network namespace could not be made");
        site.succeed("ip", &["link", "set", "lo", "up"])?;
        site.add_switch("sw", &format!("{}/24", Self::ADDRESS))?;
        Ok(site)
    }

    /// Makes a further switch, on which the management node has the given address.
    pub fn add_switch(&self, name: &str, address: &str) -> Result<()> {
        let kind = [
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ];
        self.succeed("ip", &[&["link", "add", name], &kind[..]].concat())?;
        self.succeed("ip", &["address", "add", address, "dev", name])?;
        self.succeed("ip", &["link", "set", name, "up"])?;
        Ok(())
    }

    /// Plugs the NIC `eth0` of a named network namespace, which is made here, into the switch `sw`.
    pub fn connect(&self, namespace: &str) -> Result<()> {
        let holder = self.holder.id().to_string();
        let made = outcome(
            Command::new("ip")
                .args(["-n", namespace, "link", "add", "eth0", "type", "veth"])
                .args(["peer", "name", namespace, "netns", &holder]),
        )?;
        ensure!(made.code == Some(0), "plugging in {namespace}: {made:?}");
        self.succeed("ip", &["link", "set", namespace, "master", "sw", "up"])?;
        Ok(())
    }

    /// Gives out addresses on the switch `sw`, for ever the same to the same machine, and with `more`
    /// arguments of dnsmasq says what to boot.
    pub fn serve_addresses(&self, more: &[String]) -> Result<()> {
        let leases = format!("--dhcp-leasefile={}", self.path("leases").display());
        let log = format!("--log-facility={}", self.path("dnsmasq.log").display());
        let router = format!("--dhcp-option=3,{}", Self::ADDRESS);
        let fixed = (1..=9).map(|number| {
            let (mac, address) = (mac(number), address(number));
            format!("--dhcp-host={mac},{address},host0{number},infinite")
        });
        let mut server = self.command("dnsmasq");
        server
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--user=root",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--interface=sw",
            ])
            .args([
                "--dhcp-range=10.77.0.200,10.77.0.250,1h",
                "--domain=cluster",
            ])
            .args([&leases, &log, &router])
            .args(fixed)
            .args(more);
        server.spawn().context("starting dnsmasq")?;
        Ok(())
    }

    /// Serves what lies in a directory as `http://10.77.0.1/install/`, by nginx.
    pub fn serve_files(&self, directory: &Path) -> Result<()> {
        let (configuration, at) = (self.path("nginx.conf"), self.dir.path().display());
        let text = format!(
            "daemon off; user root; worker_processes 1; pid {at}/nginx.pid; error_log {at}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; default_type application/octet-stream;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
    server {{ listen {}:80; location /install/ {{ alias {}/; }} }}
}}
",
            Self::ADDRESS,
            directory.display()
        );
        std::fs::write(&configuration, text)?;
        let mut server = self.command("nginx");
        server
            .arg("-c")
            .arg(configuration)
            .args(["-e", "/dev/null"]);
        server.spawn().context("starting nginx")?;
        Ok(())
    }

    /// Returns the site's own directory.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Returns a path in the site's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Prepares a program to run there.
    pub fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let namespace = |kind: &str| format!("/proc/{}/ns/{kind}", self.holder.id());
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", namespace("net")))
            .arg(format!("--pid={}", namespace("pid_for_children")))
            .arg(format!("--mount={}", namespace("mnt")))
            .arg(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs a program there to its end, for three minutes at most.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Result<Outcome> {
        let mut command = self.command("timeout");
        command
            .args(["-k", "5", COMMAND_TIMEOUT, program])
            .args(arguments);
        outcome(&mut command).with_context(|| format!("running {program}"))
    }

    /// Runs a program there, which must succeed; returns what it printed.
    pub fn succeed<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Result<String> {
        let ended = self.run(program, arguments)?;
        let said: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().display().to_string())
            .collect();
        ensure!(
            ended.code == Some(0),
            "{program} {}: {ended:?}",
            said.join(" ")
        );
        Ok(ended.stdout)
    }

    /// Says whether an address answers within so many seconds. Each try is a ping of its own: one that gets
    /// "host unreachable" ends at once, whatever its deadline.
    pub fn reaches(&self, address: &str, seconds: u64) -> Result<bool> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let ping = ["-q", "-n", "-c", "1", "-w", "1", address];
            if self.run("ping", &ping)?.code == Some(0) {
                return Ok(true);
            }
            if Instant::now() > end {
                return Ok(false);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // All that runs there goes with the first process of its namespace.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Returns the address that a machine's first NIC is given.
pub(crate) fn address(number: u8) -> String {
    format!("10.77.0.{}", 10 + number)
}

/// Returns the hardware address of a machine's first NIC.
pub(crate) fn mac(number: u8) -> String {
    format!("52:54:00:77:00:{number:02x}")
}

/// Runs a command and keeps what it says.
pub fn outcome(command: &mut Command) -> Result<Outcome> {
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    Ok(Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Says whether a site with machines can be had here: what is missing, if anything.
pub(crate) fn lacking() -> Option<&'static str> {
    let namespaces = Command::new("unshare")
        .args(["--net", "--pid", "--mount", "--fork", "true"])
        .stderr(Stdio::null())
        .status();
    if !namespaces.is_ok_and(|status| status.success()) {
        return Some("needs root and network namespaces");
    }
    (!Path::new("/dev/net/tun").exists()).then_some("needs /dev/net/tun")
}
