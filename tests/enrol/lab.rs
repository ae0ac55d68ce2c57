//! A management node in a network namespace, and a node that enrols at it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, Sandbox, Site, binary, outcome, same, static_programs};
use serde_json::Value;

/// A management node in a network namespace, and the directory of a node beside it.
pub(super) struct Lab {
    pub(super) site: Site,
    pub(super) sandbox: Sandbox,
    servers: Vec<Child>,
}

impl Lab {
    pub(super) fn new() -> Result<Self> {
        let lab = Self {
            site: Site::new()?,
            sandbox: Sandbox::new()?,
            servers: Vec::new(),
        };
        let config = lab.sandbox.config();
        fs::create_dir_all(config.join("nodes"))?;
        fs::create_dir_all(lab.sandbox.install().join("postscripts"))?;
        fs::write(
            config.join("site.toml"),
            format!(
                "installdir = \"{}\"\nmaster = \"{}\"\ndomain = \"cluster\"\n",
                lab.sandbox.install().display(),
                Site::ADDRESS
            ),
        )?;
        fs::write(
            config.join("networks.toml"),
            "[cluster]\nnet = \"10.77.0.0\"\nmask = \"255.255.255.0\"\n",
        )?;
        fs::write(
            config.join("nodes/nodes.toml"),
            "[node.host01]\nip = \"10.77.0.11\"\nmac = \"52:54:00:77:00:01\"\n",
        )?;
        for program in static_programs()? {
            let name = program
                .file_name()
                .context("a program has a name")?
                .to_owned();
            fs::copy(
                &program,
                lab.sandbox.install().join("postscripts").join(name),
            )?;
        }
        lab.tree()?;
        lab.succeed("slipway-trust", &["init"])?;
        Ok(lab)
    }

    /// Makes a tree as copycds publishes one, with an installer that fetches over a network, and an osimage of it.
    pub(super) fn tree(&self) -> Result<()> {
        let tree = self.sandbox.install().join("debian12.9.0/x86_64");
        let index = tree.join("dists/bookworm/main/binary-amd64");
        let initrd = self.sandbox.path("own/usr/lib/debian-installer/retriever");
        for directory in [
            &index,
            &tree.join("install.amd"),
            &initrd,
            &self.sandbox.config().join("osimages"),
        ] {
            fs::create_dir_all(directory)?;
        }
        fs::write(initrd.join("net-retriever"), "")?;
        let script = "find . | cpio -o -H newc --quiet | gzip -n >\"$1\"";
        let packed = tree.join("install.amd/initrd.gz");
        let ended = outcome(
            Command::new("sh")
                .args(["-c", script, "sh"])
                .arg(packed)
                .current_dir(self.sandbox.path("own")),
        )?;
        ensure!(ended.code == Some(0), "cpio: {ended:?}");
        fs::write(tree.join("install.amd/vmlinuz"), "kernel")?;
        fs::write(
            index.join("Packages"),
            "Package: openssh-server\nVersion: 1\nArchitecture: amd64\n\n",
        )?;
        let release = "Suite: stable\nCodename: bookworm\nComponents: main\nArchitectures: amd64\n";
        fs::write(tree.join("dists/bookworm/Release"), release)?;
        fs::write(tree.join("dists/bookworm/Release.gpg"), "")?;
        let list = self.sandbox.path("list");
        fs::write(&list, "openssh-server\n")?;
        let image = format!(
            "osvers = \"debian12.9.0\"\nosarch = \"x86_64\"\nprovmethod = \"install\"\nprofile = \"compute\"\n\
             pkgdir = [\"{}\"]\npkglist = [\"{}\"]\n",
            tree.display(),
            list.display()
        );
        let path = self
            .sandbox
            .config()
            .join("osimages/debian12.9.0-x86_64-install-compute.toml");
        Ok(fs::write(path, image)?)
    }

    /// Has OpenSSL check a signature by the root of what nodes boot; returns whose it is.
    pub(super) fn signer(&self, file: &Path, signature: &Path) -> Result<String> {
        let trust = self.sandbox.config().join("trust");
        let signer = self.sandbox.path("signer.pem");
        let mut command = Command::new("openssl");
        command
            .args([
                "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any",
            ])
            .args(["-out", "/dev/null", "-CAfile"])
            .arg(trust.join("boot.crt"))
            .arg("-signer")
            .arg(&signer)
            .arg("-content")
            .arg(file)
            .arg("-in")
            .arg(signature);
        let verified = outcome(&mut command)?;
        ensure!(verified.code == Some(0), "{}: {verified:?}", file.display());
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-noout", "-subject", "-nameopt", "multiline", "-in"])
            .arg(&signer);
        let subject = outcome(&mut command)?.stdout;
        let name = subject.lines().find_map(|line| line.split_once("= "));
        Ok(name.context("the signer has no name")?.1.to_owned())
    }

    pub(super) fn succeed(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let ended = self.sandbox.run(name, arguments)?;
        ensure!(ended.code == Some(0), "{name} {arguments:?}: {ended:?}");
        Ok(ended.stdout)
    }

    /// Has slipwayd and its signer run in the namespace, on the port that nodes are told.
    pub(super) fn serve(&mut self) -> Result<()> {
        self.serve_with(&[])
    }

    /// The same, with an environment for slipwayd.
    pub(super) fn serve_with(&mut self, environment: &[(&'static str, String)]) -> Result<()> {
        let socket = self.sandbox.path("signer.sock");
        let mut signer = self.program("slipway-trust")?;
        signer.arg("signer").arg("--socket").arg(&socket);
        self.servers.push(signer.spawn()?);
        fs::create_dir_all(self.sandbox.path("state"))?;
        let mut daemon = self.program("slipwayd")?;
        daemon
            .args([
                "--http",
                "10.77.0.1:80",
                "--tls",
                "10.77.0.1:8443",
                "--reports",
                "10.77.0.1:3002",
            ])
            .arg("--state")
            .arg(self.sandbox.path("state"))
            .arg("--signer")
            .arg(&socket)
            .arg("--credentials")
            .arg(self.sandbox.config().join("trust"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::piped());
        let mut daemon = daemon.spawn()?;
        let said = daemon.stderr.take().context("slipwayd says something")?;
        self.servers.push(daemon);
        let mut lines = BufReader::new(said).lines();
        let began = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("serving"));
        ensure!(began, "slipwayd does not begin");
        std::thread::spawn(move || lines.for_each(drop));
        let end = Instant::now() + Duration::from_secs(60);
        while !socket.exists() {
            ensure!(Instant::now() < end, "the signer does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts both anew.
    pub(super) fn restart(&mut self) -> Result<()> {
        // What was spawned enters the site's namespaces, and the program is its child there.
        for program in ["slipwayd", "slipway-trust"] {
            self.site.succeed("pkill", &["-KILL", "-x", program])?;
        }
        for mut server in std::mem::take(&mut self.servers) {
            server.wait()?;
        }
        fs::remove_file(self.sandbox.path("signer.sock"))?;
        self.serve()
    }

    pub(super) fn program(&self, name: &str) -> Result<Command> {
        let mut command = self.site.command(binary("managementnode", name)?);
        command.env("SLIPWAY_CONFIG", self.sandbox.config());
        Ok(command)
    }

    /// Unpacks the boot archive as the kernel does, and returns what debian-installer reads of it.
    pub(super) fn preseed(&self) -> Result<String> {
        let archive = self.sandbox.install().join("autoinst/host01/boot.cpio.gz");
        let into = self.sandbox.path("initrd");
        fs::create_dir_all(&into)?;
        let script = "gunzip -c \"$1\" | cpio -idmu --quiet";
        let ended = outcome(
            Command::new("sh")
                .args(["-c", script, "sh"])
                .arg(&archive)
                .current_dir(&into),
        )?;
        ensure!(ended.code == Some(0), "cpio: {ended:?}");
        let root = fs::read_to_string(into.join("slipway/root.crt"))?;
        same(
            &root,
            &fs::read_to_string(self.sandbox.config().join("trust/root.crt"))?,
        )?;
        Ok(fs::read_to_string(into.join("preseed.cfg"))?)
    }

    /// Makes the node as the installer leaves it: with what its late script writes for the first boot.
    pub(super) fn install(&self) -> Result<()> {
        let preseed = self.preseed()?;
        let token = preseed
            .find("SLIPWAY-1-")
            .context("the archive holds no token")?;
        let token = &preseed[token..token + 107];
        // debconf's own quoting is proven by its own tests: here it is what the file says
        for word in [
            "\"node\":\"host01\"",
            "\"server\":\"10.77.0.1:8443\"",
            "\"name\":\"10.77.0.1\"",
        ] {
            ensure!(preseed.contains(word), "{word} is not in {preseed}");
        }
        self.order(token)?;
        for directory in ["etc/ssh", "usr/lib/systemd"] {
            fs::create_dir_all(self.node(directory))?;
        }
        fs::write(self.node("usr/lib/systemd/systemd"), "")?;
        fs::write(self.node("etc/ssh/sshd_config"), "Port 22\n")?;
        let key = self.node("etc/ssh/ssh_host_ed25519_key");
        if !key.exists() {
            let ended = outcome(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(&key),
            )?;
            ensure!(ended.code == Some(0), "ssh-keygen: {ended:?}");
        }
        Ok(())
    }

    /// Lets the node enrol, and tells it so.
    pub(super) fn arm(&self) -> Result<()> {
        let armed = self.succeed("slipway-trust", &["arm", "host01", "--json"])?;
        let armed: Value = serde_json::from_str(&armed)?;
        let token = armed["nodes"][0]["token"].as_str();
        self.order(token.context("there is no token")?)
    }

    /// Writes what the node enrols by.
    fn order(&self, token: &str) -> Result<()> {
        let order = serde_json::json!({
            "node": "host01",
            "server": "10.77.0.1:8443",
            "name": "10.77.0.1",
            "root": fs::read_to_string(self.sandbox.config().join("trust/root.crt"))?,
            "token": token,
        });
        let path = self.node("var/lib/slipway/enrolment.json");
        fs::create_dir_all(self.node("var/lib/slipway"))?;
        Ok(fs::write(path, order.to_string())?)
    }

    pub(super) fn node(&self, path: &str) -> PathBuf {
        self.sandbox.path("node").join(path)
    }

    pub(super) fn enrol(&self, more: &[&str]) -> Result<Outcome> {
        outcome(self.enrol_command()?.args(more))
    }

    pub(super) fn enrol_command(&self) -> Result<Command> {
        let mut command = self.site.command(enrol_program()?);
        command.arg("--root").arg(self.node(""));
        Ok(command)
    }

    pub(super) fn alarms(&self) -> Result<Vec<String>> {
        let status = self.sandbox.run("slipway-trust", &["status", "--json"])?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        let alarms = status["alarms"].as_array().context("there are no alarms")?;
        Ok(alarms
            .iter()
            .filter_map(|alarm| alarm["what"].as_str())
            .map(str::to_owned)
            .collect())
    }
}

/// Finds the static `enrol`, as a node gets it.
pub(super) fn enrol_program() -> Result<PathBuf> {
    let programs = static_programs()?;
    let program = programs.into_iter().find(|path| path.ends_with("enrol"));
    program.context("there is no enrol")
}

impl Drop for Lab {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
