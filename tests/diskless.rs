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
        !listing.contains("squashfs-root/usr/sbin/policy-rc.d"),
        "services would never start"
    );
    ensure!(
        !listing.contains("squashfs-root/boot/vmlinuz-"),
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
    same(
        &sha256(&file("kernel")?)?.as_str(),
        &record["kernel"]["sha256"].as_str().unwrap_or_default(),
    )?;
    container_image(&sandbox, name, &keyring)
}

fn sha256(path: &Path) -> Result<String> {
    let sum = Command::new("sha256sum").arg(path).output()?;
    let sum = String::from_utf8(sum.stdout)?;
    Ok(sum.split(' ').next().unwrap_or_default().to_owned())
}

/// A Debian of packages that every container image has, as mmdebstrap makes it, becomes a root image too.
fn container_image(sandbox: &Sandbox, name: &str, keyring: &Path) -> Result<()> {
    let shown = done(sandbox.run("lsdef", &["-t", "osimage", name, "-i", "pkgdir"])?)?.stdout;
    let tree = PathBuf::from(shown.split_once("pkgdir=").context("no pkgdir")?.1.trim());
    let mut suites = fs::read_dir(tree.join("dists"))?;
    let suite = suites.next().context("no suite")??.file_name();
    let lower = sandbox.path("lower.tar");
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=essential", "--format=tar"])
        .arg(&suite)
        .arg(&lower)
        .arg(format!(
            "deb [signed-by={}] copy:{} {} main",
            keyring.display(),
            tree.display(),
            suite.display()
        ))
        .env("SOURCE_DATE_EPOCH", "1")
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    // What the images of engines have beside that.
    let upper = sandbox.path("upper");
    fs::create_dir_all(upper.join("usr/sbin"))?;
    fs::write(upper.join("usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n")?;
    fs::write(upper.join(".dockerenv"), "")?;
    let layer = |name: &str| -> Result<PathBuf> {
        let to = sandbox.path(name);
        let words = ["-C", ".", "--owner=0", "--group=0", "-cf"];
        let mut tar = Command::new("tar");
        tar.args(words).arg(&to).arg("-C").arg(&upper).arg(".");
        ensure!(tar.status()?.success(), "{tar:?}");
        Ok(to)
    };
    let plain = layout(sandbox, "plain", &[&lower, &layer("upper.tar")?])?;

    // A package of the image that conflicts with one of the osimage is named, and nothing is removed.
    let status = Command::new("tar")
        .args(["-xOf"])
        .arg(&lower)
        .arg("./var/lib/dpkg/status")
        .output()?;
    let status = String::from_utf8(status.stdout)?;
    fs::create_dir_all(upper.join("var/lib/dpkg"))?;
    fs::write(
        upper.join("var/lib/dpkg/status"),
        status.trim_end().to_owned() + CONFLICTING,
    )?;
    let conflicting = layout(sandbox, "conflicting", &[&lower, &layer("conflict.tar")?])?;
    let refused = sandbox.run("genimage", &[name, "--from", &conflicting, "--dry-run"])?;
    same(&refused.code, &Some(1))?;
    let said = "packages of the container image conflict with those of the osimage: site-ping; ";
    ensure!(refused.stderr.contains(said), "{refused:?}");

    let checked = sandbox.run("genimage", &[name, "--from", &plain, "--check"])?;
    same(&checked.code, &Some(1))?;
    let said = "lacks a kernel with its modules: linux-image in pkglist brings it\n";
    ensure!(checked.stdout.contains(said), "{checked:?}");
    let built = done(sandbox.run("genimage", &[name, "--from", &plain])?)?;
    let note = "of the container image were removed: /.dockerenv, /usr/sbin/policy-rc.d\n";
    ensure!(built.stderr.contains(note), "{built:?}");
    let checked = done(sandbox.run("genimage", &[name, "--check"])?)?;
    ensure!(checked.stdout.contains("has an init: "), "{checked:?}");
    let packed = done(sandbox.run("packimage", &[name, "--json"])?)?;
    let packed: serde_json::Value = serde_json::from_str(&packed.stdout)?;
    let image = packed["record"]["image"]["file"].as_str();
    let image = directory(sandbox, name)?.join(image.context("no image")?);
    let listing = Command::new("unsquashfs").arg("-lln").arg(image).output()?;
    let listing = String::from_utf8(listing.stdout)?;
    for (path, there) in [
        ("/usr/bin/ping", true),
        ("/etc/systemd/network/80-slipway.network", true),
        ("/usr/sbin/policy-rc.d", false),
        ("/.dockerenv", false),
    ] {
        let found = listing
            .lines()
            .any(|line| line.ends_with(&format!("squashfs-root{path}")));
        same(&(path, found), &(path, there))?;
    }
    Ok(())
}

/// A package that dpkg knows, and with which one of the osimage's cannot be.
const CONFLICTING: &str = "\n\nPackage: site-ping\nStatus: install ok installed\nPriority: optional\nSection: net\n\
                           Installed-Size: 1\nMaintainer: nobody\nArchitecture: all\nVersion: 1\n\
                           Conflicts: iputils-ping\nDescription: of a test\n\n";

/// An image in the OCI layout: returns what `--from` names it by.
fn layout(sandbox: &Sandbox, name: &str, layers: &[&Path]) -> Result<String> {
    let directory = sandbox.path(name);
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |path: &Path| -> Result<serde_json::Value> {
        let digest = sha256(path)?;
        fs::copy(path, blobs.join(&digest))?;
        let size = fs::metadata(path)?.len();
        Ok(serde_json::json!({ "digest": format!("sha256:{digest}"), "size": size }))
    };
    let text = |value: serde_json::Value| -> Result<serde_json::Value> {
        let path = sandbox.path("document.json");
        fs::write(&path, value.to_string())?;
        blob(&path)
    };
    let layers: Vec<_> = layers
        .iter()
        .map(|path| blob(path))
        .collect::<Result<_>>()?;
    let architecture = Command::new("dpkg").arg("--print-architecture").output()?;
    let architecture = String::from_utf8(architecture.stdout)?.trim().to_owned();
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
    let config = text(serde_json::json!({
        "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))?;
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [text(manifest)?] });
    fs::write(directory.join("index.json"), index.to_string())?;
    Ok(format!("oci:{}", directory.display()))
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
