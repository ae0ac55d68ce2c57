//! A machine without a disk to boot from: iPXE, our initrd and a root image of Debian's packages make it a docker host.
//! It asks for its address, makes the file system of its state on a disk that holds nothing, and after a reboot into
//! another image, which was a container image, it is the same host with the same containers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{
    BareMachine, DockerHost, Machine, Need, Progress, RootImage, Site, binary, outcome, same,
    static_programs, trial,
};
use libtest_mimic::Trial;

/// The osimages of `tests/machines/rootimg`: of packages alone, and of a container image.
const OSIMAGE: &str = "diskless";
const CONTAINED: &str = "contained";
/// The label of the disk that keeps the machine's state.
pub(crate) const LABEL: &str = "docker";
const DISK_BYTES: u64 = 2 << 30;
/// How much memory what is written to the root may take, before it is compressed.
const OVERLAY_MIB: u64 = 512;

pub(crate) fn trials() -> Vec<Trial> {
    let machine = &[
        Need::Machines,
        Need::RootImage,
        Need::Tools(DockerHost::TOOLS),
        Need::Tools(&["nginx", "tar2sqfs"]),
    ];
    vec![trial(
        "netboot::a_machine_without_an_installed_disk_is_a_docker_host_and_the_same_one_in_another_image",
        machine,
        boots_into_a_docker_host,
    )]
}

fn boots_into_a_docker_host() -> Result<()> {
    static_programs()?;
    let mut progress = Progress::begin();
    let image = RootImage::find().context("finding the root image of a machine")?;
    let node = ManagementNode { image };
    node.image.serve_programs()?;
    node.program("packimage", &[OSIMAGE])?;
    node.program("packimage", &["-m", "erofs", CONTAINED])?;
    progress.done("packed");
    let site = Site::new()?;
    node.define()?;
    node.boot_into(OSIMAGE)?;
    site.serve_files(&node.install())?;
    site.serve_addresses(&[boot_service()])?;
    let disk = site.path("state.raw");
    File::create(&disk)?.set_len(DISK_BYTES)?;
    let bare = BareMachine {
        site: &site,
        name: "netboot",
        disk: &disk,
        kernel: &node.image.kernel()?,
        key: node.image.key(),
    };
    let mut machine = bare.boot_from_network()?;
    progress.done("booted");
    machine.wait_for_first_boot()?;
    expected_root(&machine)?;
    for said in ["has the address 10.77.0.11/24", CHECKED, MADE] {
        ensure!(machine.has_said(said)?, "it has not said: {said}");
    }
    progress.done("firstboot: bridgeprereq, setupdockerhost");
    let host = DockerHost::of(&site, &machine)?;
    host.start_container()?;
    host.holds(&machine)?;
    progress.done("container started, host proven");
    let identity = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub";
    let before = machine.succeed(identity)?;
    node.boot_into(CONTAINED)?;
    machine.reboot()?;
    progress.done("rebooted into the container image");
    same(&machine.succeed(identity)?, &before)?;
    machine.wait_for_first_boot()?;
    expected_root(&machine)?;
    expected_container_image(&machine)?;
    host.holds(&machine).context("after the reboot")?;
    progress.done("proven again");
    expected_refusal_of_a_changed_block(&machine)?;
    progress.done("a changed block not read");
    machine.power_off()?;
    progress.done("switched off");
    println!("{progress}");
    Ok(())
}

/// What the machine says when it makes the file system of its state.
const MADE: &str =
    "/dev/vda holds nothing: making the state's file system on it (ext4, label docker)";

/// What the machine says when its kernel checks what it reads of the image.
const CHECKED: &str = "used with dm-verity: each block is checked when it is read";

/// Changes one bit of a block of the image in memory: it is no longer read. The system goes on, as the bit is changed back.
fn expected_refusal_of_a_changed_block(machine: &Machine) -> Result<()> {
    const LINES: &str = "set -e
at=$(($(cat /sys/block/dm-0/size) / 16))
read_block() { dd if=/dev/dm-0 of=/run/block bs=4096 skip=$at count=1 iflag=direct 2>&1; }
change_bit() {
    byte=$(od -An -tu1 -j $((at * 4096)) -N 1 /dev/ram0)
    printf \"\\\\$(printf %o $((byte ^ 1)))\" | dd of=/dev/ram0 bs=1 seek=$((at * 4096)) conv=notrunc,fsync 2>/dev/null
}
read_block >/dev/null
change_bit
read_block && exit 1
dmesg | tail -n 20
change_bit
read_block >/dev/null";
    let said = machine.succeed(LINES)?;
    for line in ["Input/output error", "is corrupted"] {
        ensure!(said.contains(line), "no '{line}': {said}");
    }
    // What is mounted is the device that checks.
    machine.succeed("test -d /sys/fs/erofs/dm-0").map(drop)
}

/// The root is the image with compressed memory over it, layers are on the disk with the label, and the engine uses a
/// driver that copies no whole layers.
fn expected_root(machine: &Machine) -> Result<()> {
    let mounts = machine.succeed("cat /proc/mounts")?;
    for line in ["overlay / overlay rw,", "/var/lib/docker ext4 rw,"] {
        ensure!(mounts.contains(line), "no {line}: {mounts}");
    }
    let compressed = machine.succeed("cat /sys/block/zram0/disksize")?;
    same(
        &compressed.trim(),
        &(OVERLAY_MIB << 20).to_string().as_str(),
    )?;
    let driver = "curl -s --unix-socket /run/docker.sock http://localhost/info 2>/dev/null || ls /var/lib/docker";
    let said = machine.succeed(&format!("systemctl is-active docker >/dev/null; {driver}"))?;
    ensure!(said.contains("overlay2") && !said.contains("vfs"), "{said}");
    machine.succeed("test -e /sys/block/dm-0/slaves/ram0")?;
    machine.has_not_said("this node cannot be booted")
}

/// What was in the container image is there, and what is for containers alone is not.
fn expected_container_image(machine: &Machine) -> Result<()> {
    let there = "test -e /srv/of-the-container-image && test ! -e /.dockerenv && test ! -e /usr/sbin/policy-rc.d";
    machine.succeed(there)?;
    let hosts = machine.succeed("cat /etc/hosts")?;
    ensure!(!hosts.contains("172.17.0.2"), "{hosts}");
    ensure!(machine.has_said(".erofs: ")?, "the image is no erofs");
    Ok(())
}

/// Makes an empty disk whose file system has the label.
pub(crate) fn make_state_disk(disk: &Path) -> Result<()> {
    File::create(disk)?.set_len(DISK_BYTES)?;
    let mut mkfs = Command::new("mkfs.ext4");
    let made = outcome(
        mkfs.args(["-q", "-F", "-L", LABEL, "-E", "lazy_itable_init=1"])
            .arg(disk),
    )?;
    ensure!(made.code == Some(0), "mkfs.ext4: {made:?}");
    Ok(())
}

/// The administrator's side: the site that `tests/machines/rootimg` made.
struct ManagementNode {
    image: RootImage,
}

impl ManagementNode {
    fn install(&self) -> PathBuf {
        self.image.path("install")
    }

    /// Has the node boot into an osimage.
    fn boot_into(&self, osimage: &str) -> Result<()> {
        self.program("nodeset", &["host01", &format!("osimage={osimage}")])
            .map(drop)
    }

    /// Defines the node, which has no address of its own.
    fn define(&self) -> Result<()> {
        let scripts = DockerHost::SCRIPTS
            .map(|script| format!("\"{script}\""))
            .join(", ");
        let node = format!(
            "[node.host01]\nmac = \"52:54:00:77:00:01\"\nserialport = \"0\"\nstatelabel = \"{LABEL}\"\n\
             statedisk = \"empty\"\noverlay = \"zram\"\noverlaymemory = \"{OVERLAY_MIB}M\"\npostbootscripts = [{scripts}]\n"
        );
        let directory = self.image.path("config/nodes");
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join("nodes.toml"), node)?)
    }

    /// Runs a command of ours, which must succeed.
    fn program(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(binary("genimage", name)?);
        let path = std::env::var("PATH").unwrap_or_default();
        let tools = self.image.path("tools");
        command
            .args(arguments)
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("SLIPWAY_CONFIG", self.image.path("config"));
        let ended = outcome(&mut command)?;
        ensure!(ended.code == Some(0), "{name}: {ended:?}");
        println!(
            "$ {name} {}\n{}{}",
            arguments.join(" "),
            ended.stdout,
            ended.stderr
        );
        Ok(ended.stdout)
    }
}

/// What dnsmasq says of the boot: the NIC's ROM is iPXE, and gets the node's script.
fn boot_service() -> String {
    format!(
        "--dhcp-boot=http://{}/install/autoinst/host01/boot.ipxe",
        Site::ADDRESS
    )
}
