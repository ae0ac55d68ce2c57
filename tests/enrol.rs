//! A node enrols as it does after its installation: real `nodeset`, `slipway-trust`, `slipwayd` and the static `enrol`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Need, Outcome, Sandbox, Site, binary, outcome, same, static_programs, trial};
use libtest_mimic::Trial;
use serde_json::Value;

const IMAGE: &str = "osimage=debian12.9.0-x86_64-install-compute";

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Root,
        Need::Tools(&[
            "ip",
            "nsenter",
            "openssl",
            "ssh-keygen",
            "unshare",
            "busybox",
            "cpio",
        ]),
    ];
    vec![
        trial(
            "enrol::a_node_enrols_by_what_its_boot_archive_holds_once",
            needs,
            enrols,
        ),
        trial(
            "enrol::whoever_answers_in_the_site_s_place_hears_no_secret",
            needs,
            other_site,
        ),
        trial(
            "enrol::a_node_follows_the_site_to_another_authority",
            needs,
            follows,
        ),
        trial(
            "enrol::what_a_node_boots_is_signed_as_its_own_where_its_ipxe_checks_that",
            &[&needs[..], &[Need::Tools(&["make", "gcc"])]].concat(),
            signs,
        ),
    ]
}

/// A management node in a network namespace, and the directory of a node beside it.
struct Lab {
    site: Site,
    sandbox: Sandbox,
    servers: Vec<Child>,
}

impl Lab {
    fn new() -> Result<Self> {
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
    fn tree(&self) -> Result<()> {
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
    fn signer(&self, file: &Path, signature: &Path) -> Result<String> {
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

    fn succeed(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let ended = self.sandbox.run(name, arguments)?;
        ensure!(ended.code == Some(0), "{name} {arguments:?}: {ended:?}");
        Ok(ended.stdout)
    }

    /// Has slipwayd and its signer run in the namespace, on the port that nodes are told.
    fn serve(&mut self) -> Result<()> {
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
    fn restart(&mut self) -> Result<()> {
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

    fn program(&self, name: &str) -> Result<Command> {
        let mut command = self.site.command(binary("managementnode", name)?);
        command.env("SLIPWAY_CONFIG", self.sandbox.config());
        Ok(command)
    }

    /// Unpacks the boot archive as the kernel does, and returns what debian-installer reads of it.
    fn preseed(&self) -> Result<String> {
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
    fn install(&self) -> Result<()> {
        let preseed = self.preseed()?;
        let token = preseed
            .find("SLIPWAY-1-")
            .context("the archive holds no token")?;
        let token = &preseed[token..token + 107];
        let order = serde_json::json!({
            "node": "host01",
            "server": "10.77.0.1:8443",
            "name": "10.77.0.1",
            "root": fs::read_to_string(self.sandbox.config().join("trust/root.crt"))?,
            "token": token,
        });
        // debconf's own quoting is proven by its own tests: here it is what the file says
        for word in [
            "\"node\":\"host01\"",
            "\"server\":\"10.77.0.1:8443\"",
            "\"name\":\"10.77.0.1\"",
        ] {
            ensure!(preseed.contains(word), "{word} is not in {preseed}");
        }
        for directory in ["var/lib/slipway", "etc/ssh", "usr/lib/systemd"] {
            fs::create_dir_all(self.node(directory))?;
        }
        fs::write(self.node("usr/lib/systemd/systemd"), "")?;
        fs::write(self.node("etc/ssh/sshd_config"), "Port 22\n")?;
        fs::write(
            self.node("var/lib/slipway/enrolment.json"),
            order.to_string(),
        )?;
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

    fn node(&self, path: &str) -> PathBuf {
        self.sandbox.path("node").join(path)
    }

    fn enrol(&self, more: &[&str]) -> Result<Outcome> {
        outcome(self.enrol_command()?.args(more))
    }

    fn enrol_command(&self) -> Result<Command> {
        let programs = static_programs()?;
        let program = programs.iter().find(|path| path.ends_with("enrol"));
        let mut command = self.site.command(program.context("there is no enrol")?);
        command.arg("--root").arg(self.node(""));
        Ok(command)
    }

    fn alarms(&self) -> Result<Vec<String>> {
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

impl Drop for Lab {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn enrols() -> Result<()> {
    let mut lab = Lab::new()?;
    let written = lab.sandbox.run("nodeset", &["host01", IMAGE])?;
    ensure!(
        written.code == Some(0) && written.stdout.contains("; armed until "),
        "{written:?}"
    );
    ensure!(
        written
            .stderr
            .contains("note: boot script, kernel and boot archive travel by plain HTTP: "),
        "{written:?}"
    );
    // What is secret is the web server's and root's; what everybody may fetch has none of it.
    for entry in fs::read_dir(lab.sandbox.install().join("autoinst/host01"))? {
        let path = entry?.path();
        let is_open = fs::metadata(&path)?.permissions().mode() & 0o004 != 0;
        let holds = String::from_utf8_lossy(&fs::read(&path)?).contains("SLIPWAY-1-");
        ensure!(!(is_open && holds), "{} is everybody's", path.display());
        let is_secret = path.ends_with("boot.cpio.gz") || path.ends_with("preseed.cfg");
        ensure!(is_open != is_secret, "{}", path.display());
    }
    lab.install()?;

    // The daemon is not there yet: firstboot tries again.
    let early = lab.enrol(&[])?;
    ensure!(
        early.code == Some(75)
            && early
                .stderr
                .starts_with("enrol: enrolling: connecting to slipwayd on 10.77.0.1:8443: "),
        "{early:?}"
    );
    lab.serve()?;
    let enrolled = lab.enrol(&[])?;
    ensure!(
        enrolled.code == Some(0) && enrolled.stdout.starts_with("enrolled as host01 until "),
        "{enrolled:?}"
    );
    ensure!(
        !lab.node("var/lib/slipway/enrolment.json").exists(),
        "the secret is still there"
    );
    let identity = lab.node("etc/slipway/identity");
    same(
        &(fs::metadata(&identity)?.permissions().mode() & 0o7777),
        &0o700,
    )?;
    same(
        &(fs::metadata(identity.join("key.pem"))?.permissions().mode() & 0o7777),
        &0o600,
    )?;
    let verified = outcome(Command::new("openssl").current_dir(&identity).args([
        "verify",
        "-x509_strict",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "cert.pem",
        "-purpose",
        "sslserver",
        "-verify_ip",
        "10.77.0.11",
        "cert.pem",
    ]))?;
    ensure!(verified.code == Some(0), "{verified:?}");
    same(
        &fs::read_to_string(identity.join("clients.pem"))?,
        &fs::read_to_string(lab.sandbox.config().join("trust/clients.crt"))?,
    )?;
    let shown = outcome(
        Command::new("ssh-keygen")
            .arg("-L")
            .arg("-f")
            .arg(lab.node("etc/ssh/ssh_host_ed25519_key-cert.pub")),
    )?;
    ensure!(
        shown.stdout.contains("host certificate") && shown.stdout.contains("10.77.0.11"),
        "{shown:?}"
    );
    same(
        &fs::read_to_string(lab.node("etc/ssh/sshd_config"))?,
        &"HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub\nPort 22\n".to_owned(),
    )?;
    ensure!(
        lab.node("etc/systemd/system/timers.target.wants/slipway-enrol.timer")
            .is_symlink(),
        "no timer"
    );
    same(&lab.alarms()?, &Vec::new())?;

    // What firstboot reports by it is known to be the node's.
    let said = lab.sandbox.path("said");
    fs::write(
        &said,
        "setupdockerhost: ended with 1\nthere is no dockerd\n",
    )?;
    let mut report = lab.enrol_command()?;
    let reported = outcome(
        report
            .args(["--report", "failed"])
            .stdin(fs::File::open(&said)?),
    )?;
    same(&(reported.code, reported.stderr.as_str()), &(Some(0), ""))?;
    let states = lab.sandbox.path("state");
    let states = states.to_str().context("a path that is text")?;
    let known = lab
        .sandbox
        .run("nodestat", &["host01", "--state", states])?;
    let lines: Vec<_> = known.stdout.lines().collect();
    ensure!(
        matches!(lines[..], [
            state,
            "host01:     setupdockerhost: ended with 1",
            "host01:     there is no dockerd"
        ]
            if state.starts_with("host01: failed since ") && !state.contains("by its address")),
        "{known:?}"
    );

    // A second run changes nothing; the next certificate is had by the present one, over the same key.
    let first = fs::read_to_string(identity.join("cert.pem"))?;
    let again = lab.enrol(&[])?;
    same(&(again.code, again.stdout.as_str()), &(Some(0), ""))?;
    same(&fs::read_to_string(identity.join("cert.pem"))?, &first)?;
    let renewed = lab.enrol(&["--renew"])?;
    ensure!(
        renewed.code == Some(0) && renewed.stdout.starts_with("renewed until "),
        "{renewed:?}"
    );
    ensure!(
        fs::read_to_string(identity.join("cert.pem"))? != first,
        "the certificate is the same"
    );

    // Somebody else who had read the archive comes second, and is heard of.
    fs::remove_dir_all(&identity)?;
    lab.install()?;
    let thief = lab.enrol(&[])?;
    ensure!(
        thief.code == Some(1)
            && thief
                .stderr
                .starts_with("enrol: enrolling: refused: this node is not armed"),
        "{thief:?}"
    );
    same(
        &lab.alarms()?,
        &vec!["its secret was used a second time, with another key".to_owned()],
    )?;

    // Revoked, it gets no further one.
    lab.succeed("nodeset", &["host01", IMAGE])?;
    lab.install()?;
    ensure!(
        lab.enrol(&[])?.code == Some(0),
        "a node that is armed again does not enrol"
    );
    lab.succeed("slipway-trust", &["revoke", "host01"])?;
    let revoked = lab.enrol(&["--renew"])?;
    ensure!(
        revoked.code == Some(1) && revoked.stderr.starts_with("enrol: renewing: refused: "),
        "{revoked:?}"
    );

    // A node that shall not enrol has nothing to do so by.
    let disarmed = lab.succeed("nodeset", &["host01", IMAGE, "--disarm"])?;
    ensure!(!disarmed.contains("armed until"), "{disarmed}");
    ensure!(
        !lab.preseed()?.contains("SLIPWAY-1-"),
        "there is a secret in the archive"
    );
    Ok(())
}

/// The digest in the token says whom to speak to: another daemon with the site's address is told nothing.
/// The site's authority is changed; the node comes by itself at each stage.
fn follows() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.succeed("nodeset", &["host01", IMAGE])?;
    lab.install()?;
    lab.serve()?;
    ensure!(lab.enrol(&[])?.code == Some(0), "the node does not enrol");
    let identity = lab.node("etc/slipway/identity");
    let trust = lab.sandbox.config().join("trust");
    let first = fs::read_to_string(trust.join("root.crt"))?;
    for (stage, certificates) in [("distributing", 2), ("switched", 3)] {
        let rolled = lab.sandbox.run("slipway-trust", &["roll"])?;
        let expected = format!("{stage}: 0 of 1 hosts have ");
        ensure!(
            rolled.code == Some(75) && rolled.stdout.starts_with(&expected),
            "{rolled:?}"
        );
        lab.restart()?;
        let followed = lab.enrol(&[])?;
        ensure!(
            followed.code == Some(0)
                && followed
                    .stdout
                    .starts_with("the site's root changed: renewed until "),
            "{followed:?}"
        );
        let again = lab.enrol(&[])?;
        same(&(again.code, again.stdout.as_str()), &(Some(0), ""))?;
        for (own, sites) in [("root.pem", "root.crt"), ("clients.pem", "clients.crt")] {
            same(
                &fs::read_to_string(identity.join(own))?,
                &fs::read_to_string(trust.join(sites))?,
            )?;
        }
        let chain = fs::read_to_string(identity.join("cert.pem"))?;
        same(&chain.matches("BEGIN CERTIFICATE").count(), &certificates)?;
    }
    lab.succeed("slipway-trust", &["roll"])?;
    lab.restart()?;
    ensure!(lab.enrol(&[])?.code == Some(0), "the node does not follow");
    let root = fs::read_to_string(identity.join("root.pem"))?;
    same(&root, &fs::read_to_string(trust.join("root.crt"))?)?;
    ensure!(!root.contains(&first), "the old root is still there");

    // One that nobody whom it trusts vouches for is another site's: a node that was left behind says so, and keeps what it has.
    lab.succeed("slipway-trust", &["roll", "--leave", "host01"])?;
    lab.restart()?;
    let left = lab.enrol(&["--renew"])?;
    ensure!(
        left.code == Some(75)
            && left
                .stderr
                .contains("enrol: renewing: connecting to slipwayd"),
        "{left:?}"
    );
    same(&fs::read_to_string(identity.join("root.pem"))?, &root)
}

fn other_site() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.succeed("nodeset", &["host01", IMAGE])?;
    lab.install()?;
    // the same site with authorities of its own: an attacker's
    fs::remove_dir_all(lab.sandbox.config().join("trust"))?;
    lab.succeed("slipway-trust", &["init"])?;
    lab.serve()?;
    let other = lab.enrol(&[])?;
    ensure!(
        other.code == Some(75) && other.stderr.contains("invalid peer certificate"),
        "{other:?}"
    );
    same(&lab.alarms()?, &Vec::new())?;
    // a root that is not the one in the token is refused before anybody is asked
    let path = lab.node("var/lib/slipway/enrolment.json");
    let mut order: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    order["root"] = fs::read_to_string(lab.sandbox.config().join("trust/root.crt"))?.into();
    fs::write(&path, order.to_string())?;
    let other = lab.enrol(&[])?;
    same(
        &(other.code, other.stderr),
        &(
            Some(1),
            format!(
                "enrol: {}: the root's certificate is not the one that the token names\n",
                path.display()
            ),
        ),
    )
}

/// What iPXE checks, OpenSSL checks here.
fn signs() -> Result<()> {
    let lab = Lab::new()?;
    // Its make puts out what it was given.
    let source = lab.sandbox.path("source/src");
    fs::create_dir_all(source.join("config"))?;
    fs::write(
        source.join("Makefile"),
        "%:\n\t@mkdir -p $(@D)\n\t@cat $(EMBED) $(CERT) >$@\n",
    )?;
    let source = lab.sandbox.path("source").display().to_string();
    lab.succeed(
        "slipway-trust",
        &["ipxe", "--source", &source, "--firmware", "bios"],
    )?;
    lab.succeed("chdef", &["-t", "site", "clustersite", "bootlevel=2"])?;
    let written = lab.sandbox.run("nodeset", &["host01", IMAGE])?;
    ensure!(
        written.code == Some(0)
            && written.stderr.contains("note: nodes boot what the site signed alone once ")
            && written.stdout.starts_with(
                "host01: boot.cpio.gz new, boot.ipxe new, initrd.gz.sig new, postscripts.json new, preseed.cfg new, \
                 vmlinuz.sig new\n"
            ),
        "{written:?}"
    );
    let own = lab.sandbox.install().join("autoinst/host01");
    let script = fs::read_to_string(own.join("boot.ipxe"))?;
    let url = format!("http://{}/install/autoinst/host01", Site::ADDRESS);
    let image = IMAGE.replace('=', ":");
    for line in [
        "iseq ${netX/mac} 52:54:00:77:00:01 || goto other",
        &format!("imgverify --signer {image} vmlinuz {url}/vmlinuz.sig"),
        &format!("imgverify --signer {image} initrd.gz {url}/initrd.gz.sig"),
        &format!("imgverify --signer node:host01 boot.cpio.gz {url}/boot.cpio.gz.sig"),
    ] {
        ensure!(
            script.lines().any(|found| found == line),
            "{line}\n{script}"
        );
    }
    let kernel = lab
        .sandbox
        .install()
        .join("debian12.9.0/x86_64/install.amd");
    for (file, signature, signer) in [
        (own.join("boot.ipxe"), "boot.ipxe.sig", "node:host01"),
        (own.join("boot.cpio.gz"), "boot.cpio.gz.sig", "node:host01"),
        (kernel.join("vmlinuz"), "vmlinuz.sig", &image),
        (kernel.join("initrd.gz"), "initrd.gz.sig", &image),
    ] {
        same(&lab.signer(&file, &own.join(signature))?.as_str(), &signer)?;
    }
    // Nothing is signed again that is as it was, and all is that the tree has anew.
    lab.succeed("nodeset", &["host01", IMAGE, "--disarm"])?;
    let unchanged = lab.succeed("nodeset", &["host01", IMAGE, "--disarm"])?;
    same(&unchanged.as_str(), &"1 node: 1 unchanged\n")?;
    fs::write(kernel.join("vmlinuz"), "another kernel")?;
    let changed = lab.succeed("nodeset", &["host01", IMAGE, "--disarm"])?;
    same(
        &changed.as_str(),
        &"host01: vmlinuz.sig changed\n1 node: 1 written\n",
    )?;
    lab.signer(&own.join("boot.ipxe"), &own.join("boot.ipxe.sig"))
        .map(drop)
}
