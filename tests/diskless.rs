//! From a real Debian medium to the root image of diskless nodes: authenticated, installed without root's rights, packed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, Outcome, Sandbox, same, trial, workspace};
use libtest_mimic::Trial;

/// A kernel, an init, and nothing that takes long to install.
const PACKAGES: &str = "linux-image-cloud-amd64\nsystemd-sysv\niputils-ping\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "diskless::a_debian_medium_becomes_a_root_image",
        &[
            Need::DebianMedium,
            Need::Root, // an ordinary user needs ids of its own: that is tested in the room
            Need::Tools(&["mmdebstrap", "tar2sqfs", "unsquashfs"]),
        ],
        debian,
    )]
}

fn done(outcome: Outcome) -> Result<Outcome> {
    ensure!(outcome.code == Some(0), "{outcome:?}");
    Ok(outcome)
}

fn debian() -> Result<()> {
    let sandbox = Sandbox::new()?;
    // Packages are installed by nobody whom this machine knows.
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755))?;
    let medium = Command::new(workspace().join("tests/media/debian-iso")).output()?;
    let medium = PathBuf::from(String::from_utf8(medium.stdout)?.trim());
    let keyring = sandbox.config().join("keyrings/medium.gpg");
    fs::copy(medium.with_file_name("keyring.gpg"), &keyring)?;
    done(sandbox.run("copycds", &[&medium])?)?;
    let listed = done(sandbox.run("lsdef", &["-t", "osimage"])?)?.stdout;
    let name = listed
        .split_whitespace()
        .find(|name| name.ends_with("-netboot-compute"))
        .context("copycds defines no osimage for diskless nodes")?;
    let list = sandbox.path("small.pkglist");
    fs::write(&list, PACKAGES)?;
    let list = format!("pkglist={}", list.display());
    done(sandbox.run("chdef", &["-t", "osimage", name, &list])?)?;
    done(sandbox.run("chdef", &["-t", "site", "clustersite", "master=10.1.0.1"])?)?;

    // The medium is signed by a key of its own: without that, nothing of it is installed.
    let away = sandbox.path("keyring.gpg");
    fs::rename(&keyring, &away)?;
    let refused = sandbox.run("genimage", &[name])?;
    same(&refused.code, &Some(1))?;
    let said = ["NO_PUBKEY", "is not signed", "no key on this machine"];
    ensure!(
        said.iter().any(|said| refused.stderr.contains(said)),
        "{refused:?}"
    );
    fs::rename(&away, &keyring)?;

    let built = done(sandbox.run("genimage", &[name])?)?;
    ensure!(built.stdout.contains(": built, "), "{built:?}");
    let again = done(sandbox.run("genimage", &[name])?)?;
    ensure!(again.stdout.contains(": is up to date: "), "{again:?}");
    let packed = done(sandbox.run("packimage", &[name, "--json"])?)?;
    let packed: serde_json::Value = serde_json::from_str(&packed.stdout)?;
    let record = &packed["record"];
    let kernel = record["kernel_version"].as_str().unwrap_or_default();
    ensure!(kernel.ends_with("-cloud-amd64"), "{record}");
    let directory = directory(&sandbox, name)?;
    let file = |what: &str| -> Result<PathBuf> {
        let file = record[what]["file"].as_str();
        Ok(directory.join(file.with_context(|| format!("{record} has no {what}"))?))
    };
    let image = file("image")?;
    let listing = Command::new("unsquashfs")
        .args(["-lln"])
        .arg(&image)
        .output()?;
    let listing = String::from_utf8(listing.stdout)?;
    let has = |begin: &str, end: &str| {
        let mut lines = listing.lines();
        lines.any(|line| line.starts_with(begin) && line.ends_with(end))
    };
    ensure!(
        has("-rwsr-xr-x 0/0 ", "squashfs-root/usr/bin/su"),
        "su is not set-id"
    );
    ensure!(
        has(
            "lrwxrwxrwx 0/0 ",
            "squashfs-root/usr/sbin/init -> /lib/systemd/systemd"
        ),
        "no init"
    );
    ensure!(
        !listing.contains("policy-rc.d"),
        "services would never start"
    );
    ensure!(
        !listing.contains("/boot/vmlinuz-"),
        "the kernel is in the image too"
    );
    let sources = Command::new("unsquashfs")
        .arg("-cat")
        .arg(&image)
        .arg("etc/apt/sources.list.d/tree.sources")
        .output()?;
    let sources = String::from_utf8(sources.stdout)?;
    ensure!(
        sources.contains("URIs: http://10.1.0.1/install/debian"),
        "{sources}"
    );
    let sum = Command::new("sha256sum").arg(file("kernel")?).output()?;
    let sum = String::from_utf8(sum.stdout)?;
    same(&sum.split(' ').next(), &record["kernel"]["sha256"].as_str())
}

/// The directory of the root image, as the osimage's definition says it.
fn directory(sandbox: &Sandbox, name: &str) -> Result<PathBuf> {
    let shown = done(sandbox.run("lsdef", &["-t", "osimage", name, "-i", "rootimgdir"])?)?.stdout;
    let path = shown
        .split_once("rootimgdir=")
        .context("no rootimgdir")?
        .1
        .trim();
    Ok(Path::new(path).to_owned())
}
