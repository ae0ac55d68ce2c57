//! A machine without a disk to boot from: iPXE, our initrd and a root image of Debian's packages make it a docker host,
//! and after a reboot it is the same one, with what it keeps on a disk of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{
    BareMachine, DockerHost, Machine, Need, Progress, RootImage, Site, binary, outcome, same,
    static_programs, trial, workspace,
};
use libtest_mimic::Trial;

/// The osimage of `tests/machines/rootimg`.
const OSIMAGE: &str = "diskless";
/// The label of the disk that keeps the machine's state.
pub(crate) const LABEL: &str = "docker";
const DISK_BYTES: u64 = 2 << 30;

pub(crate) fn trials() -> Vec<Trial> {
    let machine = &[
        Need::Machines,
        Need::RootImage,
        Need::Tools(DockerHost::TOOLS),
        Need::Tools(&["mkfs.ext4", "nginx", "mksquashfs"]),
    ];
    vec![trial(
        "netboot::a_machine_without_an_installed_disk_is_a_docker_host_and_the_same_one_after_a_reboot",
        machine,
        boots_into_a_docker_host,
    )]
}

fn boots_into_a_docker_host() -> Result<()> {
    static_programs()?;
    let mut progress = Progress::begin();
    let image = RootImage::find().context("finding the root image of a machine")?;
    let node = ManagementNode { image };
    node.serve_programs()?;
    node.program("packimage", &[OSIMAGE])?;
    progress.done("packed");
    let site = Site::new()?;
    node.define()?;
    node.program("nodeset", &["host01", &format!("osimage={OSIMAGE}")])?;
    site.serve_files(&node.install())?;
    site.serve_addresses(&[boot_service()])?;
    let disk = site.path("state.raw");
    make_state_disk(&disk)?;
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
    progress.done("firstboot: bridgeprereq, setupdockerhost");
    let host = DockerHost::of(&site, &machine)?;
    host.start_container()?;
    host.holds(&machine)?;
    progress.done("container started, host proven");
    let identity = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub";
    let before = machine.succeed(identity)?;
    machine.reboot()?;
    progress.done("rebooted");
    same(&machine.succeed(identity)?, &before)?;
    machine.wait_for_first_boot()?;
    expected_root(&machine)?;
    host.holds(&machine).context("after the reboot")?;
    progress.done("proven again");
    machine.power_off()?;
    progress.done("switched off");
    println!("{progress}");
    Ok(())
}

/// The root is the image with memory over it, layers are on the disk with the label, and the engine uses a driver that
/// copies no whole layers.
fn expected_root(machine: &Machine) -> Result<()> {
    let mounts = machine.succeed("cat /proc/mounts")?;
    for line in ["overlay / overlay rw,", "/var/lib/docker ext4 rw,"] {
        ensure!(mounts.contains(line), "no {line}: {mounts}");
    }
    let driver = "curl -s --unix-socket /run/docker.sock http://localhost/info 2>/dev/null || ls /var/lib/docker";
    let said = machine.succeed(&format!("systemctl is-active docker >/dev/null; {driver}"))?;
    ensure!(said.contains("overlay2") && !said.contains("vfs"), "{said}");
    machine.has_not_said("this node cannot be booted")
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

    /// Puts the programs for hosts where nodes and packimage find them.
    fn serve_programs(&self) -> Result<()> {
        let served = self.install().join("postscripts");
        fs::create_dir_all(&served)?;
        for entry in fs::read_dir(workspace().join("target/postscripts"))? {
            let entry = entry?;
            fs::copy(entry.path(), served.join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Defines the node.
    fn define(&self) -> Result<()> {
        let scripts = DockerHost::SCRIPTS
            .map(|script| format!("\"{script}\""))
            .join(", ");
        let node = format!(
            "[node.host01]\nip = \"{}\"\nmac = \"52:54:00:77:00:01\"\nserialport = \"0\"\nstatelabel = \"{LABEL}\"\n\
             postbootscripts = [{scripts}]\n",
            Machine::ADDRESS
        );
        let directory = self.image.path("config/nodes");
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join("nodes.toml"), node)?)
    }

    /// Runs a command of ours, which must succeed.
    fn program(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(binary("genimage", name)?);
        command
            .args(arguments)
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
