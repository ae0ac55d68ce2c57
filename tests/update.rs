//! `updatenode` and the real `firstboot`, through a real sshd and a real web server: what is requested on
//! the management node happens on a node.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{Need, Outcome, Sandbox, binary, same, trial};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Root,
        Need::Tools(&["ssh", "ssh-keygen", "unshare", "busybox", "/usr/sbin/sshd"]),
    ];
    vec![trial(
        "update::a_node_gets_what_changed_and_runs_what_is_asked_for",
        needs,
        runs_what_is_asked_for,
    )]
}

/// A node beside its management node: an sshd with a `/opt` and a `/var` of its own, and what serves it.
struct Node {
    sandbox: Sandbox,
    servers: Vec<Child>,
    ssh_config: PathBuf,
    web: u16,
}

impl Node {
    const ADDRESS: &'static str = "127.0.1.1";

    fn new() -> Result<Self> {
        let sandbox = Sandbox::new()?;
        for name in [
            "config/nodes",
            "install/postscripts",
            "install/autoinst/host01",
            "opt",
            "lib",
            "log",
        ] {
            fs::create_dir_all(sandbox.path(name))?;
        }
        let definition = format!("[node.host01]\nip = \"{}\"\n", Self::ADDRESS);
        fs::write(sandbox.path("config/nodes/nodes.toml"), definition)?;
        let firstboot = binary("postscripts", "firstboot")?;
        fs::copy(firstboot, sandbox.path("install/postscripts/firstboot"))?;
        let mut node = Self {
            ssh_config: sandbox.path("ssh_config"),
            sandbox,
            servers: Vec::new(),
            web: free_port()?,
        };
        node.serve_web()?;
        node.serve_ssh()?;
        Ok(node)
    }

    fn serve_web(&mut self) -> Result<()> {
        let log = fs::File::create(self.sandbox.path("web.log"))?;
        let server = Command::new("busybox")
            .args([
                "httpd",
                "-f",
                "-vv",
                "-p",
                &format!("127.0.0.1:{}", self.web),
                "-h",
            ])
            .arg(self.sandbox.path(""))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        self.servers.push(server);
        answers(self.web)
    }

    fn serve_ssh(&mut self) -> Result<()> {
        let lab = self.sandbox.path("");
        let lab = lab.display();
        let port = free_port()?;
        for key in ["host", "client"] {
            let key = self.sandbox.path(key);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(key)
                .status()?;
            ensure!(made.success(), "ssh-keygen made no key");
        }
        let config = format!(
            "Port {port}\nListenAddress 127.0.1.1\nHostKey {lab}/host\nAuthorizedKeysFile {lab}/client.pub\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nLogLevel QUIET\n"
        );
        fs::write(self.sandbox.path("sshd_config"), config)?;
        let key = fs::read_to_string(self.sandbox.path("host.pub"))?;
        fs::write(
            self.sandbox.path("known"),
            format!("[{}]:{port} {key}", Self::ADDRESS),
        )?;
        let client = format!(
            "Host *\n Port {port}\n User root\n IdentityFile {lab}/client\n IdentitiesOnly yes\n \
             UserKnownHostsFile {lab}/known\n StrictHostKeyChecking yes\n"
        );
        fs::write(&self.ssh_config, client)?;
        // sshd wants the directory that its package makes at boot; it puts nothing there.
        fs::create_dir_all("/run/sshd")?;
        let script = "mount -t tmpfs none /root && mount --bind \"$1/opt\" /opt && \
                      mount --bind \"$1/lib\" /var/lib && mount --bind \"$1/log\" /var/log && \
                      exec /usr/sbin/sshd -D -e -f \"$1/sshd_config\"";
        let server = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .arg(self.sandbox.path(""))
            .stdin(Stdio::null())
            .spawn()?;
        self.servers.push(server);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Self::ADDRESS, port)).is_err() {
            ensure!(Instant::now() < end, "sshd does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Puts a script where nodes find it.
    fn script(&self, name: &str, text: &str) -> Result<()> {
        let path = self.sandbox.path("install/postscripts").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Writes the node's list, its digests those of nothing, as if every program had been replaced since.
    fn list(&self, lines: &[&str]) -> Result<()> {
        let entries: Vec<_> = lines
            .iter()
            .map(|line| json!({ "origin": "node", "line": line }))
            .collect();
        let programs: serde_json::Map<_, _> = lines
            .iter()
            .map(|line| {
                (
                    line.split(' ').next().unwrap_or(line).to_owned(),
                    json!({ "sha256": "0".repeat(64), "size": 0 }),
                )
            })
            .collect();
        let list = json!({
            "node": "host01", "osimage": "none", "source": format!("http://127.0.0.1:{}/install/postscripts", self.web),
            "environment": { "NODE": "host01", "GREETING": "it's \"quoted\"\n$HOME" },
            "postscripts": [], "postbootscripts": entries, "programs": programs,
        });
        let path = self
            .sandbox
            .path("install/autoinst/host01/postscripts.json");
        Ok(fs::write(path, serde_json::to_vec(&list)?)?)
    }

    /// Stops the web server.
    fn stop_web(&mut self) -> Result<()> {
        let mut server = self.servers.remove(0);
        let killed = server.kill();
        server.wait()?;
        Ok(killed?)
    }

    fn update(&self, args: &[&str]) -> Result<Run> {
        let config = self.ssh_config.display().to_string();
        let mut all = vec!["host01", "--ssh-config", &config];
        all.extend(args);
        let mut outcome = self.sandbox.run("updatenode", &all)?;
        outcome.stdout = without_times(&outcome.stdout).replace(&self.web.to_string(), "PORT");
        Ok(Run(outcome))
    }

    /// Lists what was fetched since the last time.
    fn fetched(&self, seen: &mut u64) -> Result<Vec<String>> {
        let mut log = fs::File::open(self.sandbox.path("web.log"))?;
        log.seek(SeekFrom::Start(*seen))?;
        let mut text = String::new();
        *seen += log.read_to_string(&mut text)? as u64;
        let names = text
            .lines()
            .filter_map(|line| line.split_once("url:")?.1.rsplit('/').next());
        Ok(names.map(str::to_owned).collect())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// What a run of `updatenode` did.
struct Run(Outcome);

impl Run {
    /// Expects how it ended and all that it said.
    fn is(&self, code: i32, stdout: &str) -> Result<()> {
        let Self(outcome) = self;
        same(&outcome.stdout, &stdout.to_owned())?;
        same(&outcome.stderr, &String::new())?;
        same(&outcome.code, &Some(code))
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("0.0.0.0", 0))?.local_addr()?.port())
}

fn answers(port: u16) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < end, "nothing answers at port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Puts `T` in place of the times at the end of lines and in the summary.
fn without_times(text: &str) -> String {
    let timed = |line: &str| match (line.rfind(" ("), line.split_once(" in ")) {
        (Some(at), _) if line.ends_with(" s)") => format!("{} (T s)", &line[..at]),
        (_, Some((before, after))) if after.contains(" s: ") => {
            let (_, after) = after.split_once(" s: ").unwrap_or_default();
            format!("{before} in T s: {after}")
        }
        _ => line.to_owned(),
    };
    text.lines().map(|line| timed(line) + "\n").collect()
}

fn runs_what_is_asked_for() -> Result<()> {
    let mut node = Node::new()?;
    let mut seen = 0;
    node.script(
        "site",
        "echo \"$#: $*\"; echo \"$GREETING\" >/opt/greeting; echo \"update $UPDATENODE\"",
    )?;
    node.script("broken", "echo oops >&2; exit 9")?;
    node.list(&["site 'a, b' c", "broken"])?;

    // A bare node gets everything, and every script is run, whatever becomes of the one before.
    let site = "host01: postbootscript start..: site 'a, b' c\n\
                host01: 2: a, b c\nhost01: update 1\n\
                host01: postbootscript end....: site 'a, b' c exited with code 0\n";
    let broken = "host01: postbootscript start..: broken\nhost01: oops\n\
                  host01: postbootscript end....: broken exited with code 9\n\
                  host01: failed: broken ended with 9 (T s)\n1 node in T s: 1 failed\nfailed: host01\n";
    node.update(&["-P"])?.is(9, &format!("{site}{broken}"))?;
    same(
        &node.fetched(&mut seen)?,
        &vec!["broken".to_owned(), "site".to_owned()],
    )?;
    let firstboot = node.sandbox.path("opt/slipway/bin/firstboot");
    ensure!(fs::read(&firstboot)? == fs::read(node.sandbox.path("install/postscripts/firstboot"))?);
    let greeting = fs::read_to_string(node.sandbox.path("opt/greeting"))?;
    same(&greeting, &"it's \"quoted\"\n$HOME\n".to_owned())?;

    // What it has is not brought again.
    let brought = fs::metadata(&firstboot)?.ino();
    let well = "host01: ok (T s)\n1 node in T s: 1 ok\n";
    node.update(&["-P", "site"])?
        .is(0, &format!("{site}{well}"))?;
    same(&node.fetched(&mut seen)?, &Vec::new())?;
    same(&fs::metadata(&firstboot)?.ino(), &brought)?;

    // What was replaced since is, and nodeset has nothing to do with it.
    node.script("site", "echo new")?;
    let new = "host01: postscript start..: site x\nhost01: new\n\
               host01: postscript end....: site x exited with code 0\n";
    node.update(&["-P", "site x"])?
        .is(0, &format!("{new}{well}"))?;
    same(&node.fetched(&mut seen)?, &vec!["site".to_owned()])?;
    let Run(results) = node.update(&["-P", "site x", "--json"])?;
    let mut document: Value = serde_json::from_str(&results.stdout)?;
    let mut script = document["nodes"][0]["scripts"][0].take();
    script["seconds"].take();
    same(
        &script,
        &json!({ "line": "site x", "code": 0, "seconds": null }),
    )?;

    // Without the server, what the node has still runs, and what it lacks is said.
    node.stop_web()?;
    node.update(&["-P", "site x"])?
        .is(0, &format!("{new}{well}"))?;
    node.script("site", "echo newest")?;
    let Run(lacking) = node.update(&["-P", "site x"])?;
    same(&lacking.code, &Some(75))?;
    let last = "host01: failed: site x: fetching it from http://127.0.0.1:PORT/install/postscripts: \
                connecting to 127.0.0.1:PORT: Connection refused (os error 111) (T s)\n\
                1 node in T s: 1 failed\nfailed: host01\n";
    ensure!(lacking.stdout.ends_with(last), "{}", lacking.stdout);
    Ok(())
}
