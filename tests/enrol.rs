//! A node enrols as it does after its installation: real `nodeset`, `slipway-trust`, `slipwayd` and the static `enrol`.

mod clock;
mod forgers;
mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, Site, outcome, same, trial};
use libtest_mimic::Trial;
use serde_json::Value;

use lab::Lab;

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
            "enrol::whoever_answers_arp_in_the_site_s_place_hears_no_secret",
            &[&needs[..], &[Need::Tools(&["dnsmasq"])]].concat(),
            forgers::by_arp,
        ),
        trial(
            "enrol::whoever_answers_dns_in_the_site_s_place_is_not_asked",
            &[&needs[..], &[Need::Tools(&["dnsmasq"])]].concat(),
            forgers::by_dns,
        ),
        trial(
            "enrol::a_node_follows_the_site_to_another_authority",
            &[&needs[..], &[Need::Tools(&["gpg"])]].concat(),
            follows,
        ),
        trial(
            "enrol::a_clock_that_is_years_off_is_set_by_the_site",
            &[&needs[..], &[Need::Tools(&["gcc"])]].concat(),
            clock::sets,
        ),
        trial(
            "enrol::a_clock_is_set_by_nobody_else_and_to_no_time_that_is_no_site_s",
            &[&needs[..], &[Need::Tools(&["gcc"])]].concat(),
            clock::lies,
        ),
        trial(
            "enrol::what_a_node_boots_is_signed_as_its_own_where_its_ipxe_checks_that",
            &[&needs[..], &[Need::Tools(&["make", "gcc"])]].concat(),
            signs,
        ),
    ]
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
    // as the installer leaves it: the key of its tree in apt's source
    let source = lab.node("etc/apt/sources.list.d/tree.sources");
    let with_keys = |keys: &str| {
        let keys: Vec<_> = keys
            .lines()
            .map(|line| if line.is_empty() { "." } else { line })
            .collect();
        format!("Types: deb\nSigned-By:\n {}\n", keys.join("\n "))
    };
    fs::create_dir_all(source.parent().context("a path has a directory")?)?;
    let old_key = fs::read_to_string(trust.join("trees.asc"))?;
    fs::write(&source, with_keys(&old_key))?;
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
                    .starts_with("the site's root or its keys of trees changed: renewed until "),
            "{followed:?}"
        );
        let again = lab.enrol(&[])?;
        same(&(again.code, again.stdout.as_str()), &(Some(0), ""))?;
        for (own, sites) in [
            ("root.pem", "root.crt"),
            ("clients.pem", "clients.crt"),
            ("trees.asc", "trees.asc"),
        ] {
            same(
                &fs::read_to_string(identity.join(own))?,
                &fs::read_to_string(trust.join(sites))?,
            )?;
        }
        let chain = fs::read_to_string(identity.join("cert.pem"))?;
        same(&chain.matches("BEGIN CERTIFICATE").count(), &certificates)?;
        same(&fingerprints(&lab, &source)?.len(), &2)?;
    }
    lab.succeed("slipway-trust", &["roll"])?;
    lab.restart()?;
    ensure!(lab.enrol(&[])?.code == Some(0), "the node does not follow");
    let root = fs::read_to_string(identity.join("root.pem"))?;
    same(&root, &fs::read_to_string(trust.join("root.crt"))?)?;
    ensure!(!root.contains(&first), "the old root is still there");
    let own = fingerprints(&lab, &source)?;
    same(&own, &fingerprints(&lab, &trust.join("trees.asc"))?)?;
    fs::write(&source, with_keys(&old_key))?;
    ensure!(
        own.len() == 1 && own != fingerprints(&lab, &source)?,
        "the old key of trees is still there"
    );

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

/// Has gpg say which keys a file holds, as apt takes them out of a source.
fn fingerprints(lab: &Lab, file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file)?;
    let lines = text.lines().map(str::trim);
    let lines = lines.map(|line| if line == "." { "" } else { line });
    let keys = lab.sandbox.path("keys");
    fs::write(&keys, lines.collect::<Vec<_>>().join("\n") + "\n")?;
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(lab.sandbox.path(""));
    command.args(["--no-options", "--with-colons", "--show-keys"]);
    let shown = outcome(command.arg(&keys))?;
    let lines = shown
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("fpr:"));
    Ok(lines.map(str::to_owned).collect())
}

/// The digest in the token says whom to speak to: another daemon with the site's address is told nothing.
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
