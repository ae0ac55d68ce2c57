//! How qemu is called: the accelerator that works here, a serial console in a file, NICs on switches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::bin::workspace;
use crate::site::{Site, mac};

/// Where the qemu of a machine says which process it is, in the site's directory.
pub(crate) fn pid_file(number: u8) -> String {
    format!("qemu{number}.pid")
}

/// The command line of a machine.
pub(crate) struct Qemu {
    pub(crate) command: Command,
    pub(crate) console: PathBuf,
    /// Which machine of the site it is, from 1.
    number: u8,
}

impl Qemu {
    pub(crate) fn new(
        site: &Site,
        number: u8,
        name: &str,
        kernel: &Path,
        life: &str,
    ) -> Result<Self> {
        let consoles = workspace().join("target/machines/console");
        fs::create_dir_all(&consoles)?;
        let console = consoles.join(format!("{name}.log"));
        // qemu empties it when it starts, which is later than the first look at it.
        fs::write(&console, "")?;
        let (accelerator, processor) = accelerator(kernel)?;
        let mut command = site.command("timeout");
        command
            .args(["-k", "5", life, "nice", "qemu-system-x86_64"])
            .args(["-accel", accelerator, "-cpu", processor, "-smp", "2"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-device", "virtio-rng-pci", "-pidfile"])
            .arg(site.path(&pid_file(number)))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            // What a snapshot changes lies in files there.
            .env("TMPDIR", "/dev/shm");
        Ok(Self {
            command,
            console,
            number,
        })
    }

    /// Gives it a NIC, counted from 0, on a switch.
    pub(crate) fn plug(&mut self, site: &Site, nic: u8, switch: &str, more: &str) -> Result<()> {
        let tap = format!("tap{}.{nic}", self.number);
        site.succeed("ip", &["tuntap", "add", &tap, "mode", "tap"])?;
        site.succeed("ip", &["link", "set", &tap, "master", switch, "up"])?;
        let mac = mac(self.number + 16 * nic);
        self.command
            .arg("-netdev")
            .arg(format!("tap,id={tap},ifname={tap},script=no,downscript=no"))
            .arg("-device")
            .arg(format!("virtio-net-pci,netdev={tap},mac={mac}{more}"));
        Ok(())
    }
}

/// Says how qemu is to run machines here, and on which processor: without hardware the plainest one is
/// the fastest.
fn accelerator(kernel: &Path) -> Result<(&'static str, &'static str)> {
    let output = Command::new(workspace().join("tests/machines/accel"))
        .arg(kernel)
        .output()?;
    Ok(if output.stdout.starts_with(b"kvm") {
        ("kvm", "host")
    } else {
        ("tcg,thread=multi,tb-size=512", "qemu64")
    })
}
