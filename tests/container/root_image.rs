//! A root image that is built and packed in a container, by what the page about it says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{MadeOnce, Need, Outcome, outcome, workspace};

use super::compose::ComposeSite;
use super::engine::{Place, succeeded};
use super::{build, made};

const IMAGE: &str = "slipway-genimage";

/// Makes the image that builds root images.
fn image() -> Result<std::path::PathBuf> {
    static MADE: MadeOnce = MadeOnce::new("genimage-images");
    let root = made()?.join("root");
    let made = MADE.get(|dir| build(&root, dir, &[IMAGE]))?;
    Ok(made.join(format!("{IMAGE}-image.tar")))
}

/// What the kernel, the init and udev of a machine are to genimage, as a package in a repository: they are small, and none runs.
const TREE: &str = r#"
mkdir -p machine/DEBIAN machine/boot machine/usr/lib/modules/6.12-test machine/usr/lib/systemd machine/usr/sbin
printf '%s\n' 'Package: machine' 'Version: 1' 'Architecture: all' 'Maintainer: x <x@example.invalid>' 'Description: x' \
    >machine/DEBIAN/control
echo kernel >machine/boot/vmlinuz-6.12-test
touch machine/usr/lib/modules/6.12-test/modules.dep
for program in lib/systemd/systemd lib/systemd/systemd-udevd sbin/modprobe; do
    echo '#!/bin/sh' >machine/usr/$program
    chmod 755 machine/usr/$program
done
ln -s ../lib/systemd/systemd machine/usr/sbin/init
suite=tree/dists/$VERSION_CODENAME
mkdir -p tree/pool $suite/main/binary-amd64
dpkg-deb --root-owner-group --build machine tree/pool/machine.deb
cd tree
apt-ftparchive packages pool >${suite#tree/}/main/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=$VERSION_CODENAME \
    -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures=amd64 \
    release ${suite#tree/} >../Release
mv ../Release ${suite#tree/}/
"#;

/// The osimage of that tree.
const DEFINE: &str = "mkdir -p /install/$0 && cp -r /media/tree /install/$0/x86_64 && echo machine >/etc/slipway/small.pkglist && \
    mkdef -t osimage small osvers=$0 osarch=x86_64 provmethod=netboot profile=small \
    pkgdir=\"[trusted=yes] /install/$0/x86_64\" pkglist=/etc/slipway/small.pkglist";

/// Builds a small root image beside a management node that is up, and expects each right that the page gives to be needed.
pub(super) fn is_built(site: &ComposeSite) -> Result<()> {
    let media = site.directory.join("media");
    container_image(site, &media)?;
    let release = "set -e; cd \"$1\"; . /etc/os-release; ";
    let mut tree = Command::new("sh");
    let script = format!("{release}{TREE}");
    succeeded(outcome(tree.args(["-c", &script, "sh"]).arg(&media))?)?;
    let mut version = Command::new("sh");
    let version = outcome(version.args(["-c", ". /etc/os-release; echo $ID$VERSION_ID"]))?;
    site.managed(&["bash", "-ec", DEFINE, succeeded(version)?.trim()])?;

    let source = workspace().join("packaging/image/seccomp-genimage.json");
    fs::copy(source, site.directory.join("seccomp-genimage.json"))?;
    symlink(image()?, site.directory.join("slipway-genimage-image.tar"))?;
    let recipe = recipe()?;
    let done = succeeded(typed(site, &recipe)?)?;
    for said in ["small: built, ", "small: packed and signed: "] {
        ensure!(done.contains(said), "no '{said}': {done}");
    }
    let load = "docker load --input slipway-genimage-image.tar\n";
    ensure!(recipe.contains(load), "{recipe}");
    let recipe = recipe
        .replace(load, "")
        .replace(".tar\n", ".tar --rebuild\n");
    for (right, expected) in [
        (
            " --cap-add SETUID --cap-add SETGID",
            "in a container, root needs --cap-add=SETUID --cap-add=SETGID",
        ),
        (
            " --security-opt seccomp=seccomp-genimage.json",
            "a root image is built in a user namespace: allow them",
        ),
        (
            " --security-opt systempaths=unconfined",
            "mounting /proc of the namespace: ",
        ),
    ] {
        ensure!(recipe.contains(right), "the page has no '{right}'");
        let without = recipe
            .replace(right, "")
            .replace(".tar\n", ".tar --rebuild\n");
        let ended = typed(site, &without)?;
        ensure!(
            ended.code == Some(1) && ended.stderr.contains(expected),
            "without{right}: {ended:?}"
        );
    }
    Ok(())
}

/// Makes an archive of a bare Debian, as an engine saves it.
fn container_image(site: &ComposeSite, media: &Path) -> Result<()> {
    let root = Need::debian_root().context("there is no bare Debian")?;
    let archive = media.join("base.tar").display().to_string();
    let root = root.display().to_string();
    site.engine.succeed(&["import", &root, "base:1"])?;
    site.engine
        .succeed(&["save", "--output", &archive, "base:1"])?;
    Ok(())
}

/// Returns what the page has an administrator type, about this osimage.
fn recipe() -> Result<String> {
    let page = fs::read_to_string(workspace().join("docs/management-node-image.md"))?;
    let (_, section) = page.split_once("### Root images").context("no section")?;
    let (_, block) = section.split_once("```sh\n").context("no recipe")?;
    let (recipe, _) = block.split_once("```").context("no end")?;
    let from = "genimage genimage small --from docker-archive:/media/base.tar\n";
    let (build, pack) = (
        "genimage genimage OSIMAGE\n",
        "genimage packimage OSIMAGE\n",
    );
    ensure!(recipe.contains(build) && recipe.contains(pack), "{recipe}");
    Ok(recipe
        .replace(build, from)
        .replace(pack, "genimage packimage small\n"))
}

fn typed(site: &ComposeSite, lines: &str) -> Result<Outcome> {
    let mut shell = site.engine.inside(Place::Host, "bash");
    outcome(shell.args(["-ec", lines]).current_dir(&site.directory))
}
