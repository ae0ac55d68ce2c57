//! A machine in qemu: booted, spoken to over ssh, rebooted, switched off.
//!
//! What comes in is a disk that `tests/machines/disk` built, or an empty one; the disk itself is never
//! written to. What its serial console says is kept in `target/machines/console/`. One machine runs at a
//! time: two would only slow each other down. Every wait has an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Outcome;
use crate::bin::workspace;
use crate::site::{Site, mac, outcome};

/// How long a machine may take until it answers, and until it is off.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long its first boot's scripts may take.
const FIRST_BOOT: Duration = Duration::from_secs(900);
/// How long a machine may live in all, in seconds, should nobody end it.
const LIFE: &str = "1200";
/// The same where a system is installed first.
const INSTALLATION: &str = "14400";
/// Where qemu says which process it is, in the site's directory.
const PID_FILE: &str = "qemu.pid";

/// The disk of an installed machine, and what boots it.
#[derive(Debug, Clone)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Finds the disk that `tests/machines/disk` built, if it did: of the suite that `MACHINE_SUITE` names,
    /// else of the one that it builds unasked.
    pub fn find() -> Option<Self> {
        let suite = std::env::var("MACHINE_SUITE").unwrap_or_else(|_| "trixie".to_owned());
        let entries = workspace().join("target/machines").read_dir().ok()?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let of = name.and_then(|name| Some(name.rsplit_once('-')?.0));
                of == Some(suite.as_str()) && path.join("disk.raw").is_file()
            })
            .map(|dir| Self { dir })
    }

    /// Returns the key that lets root in.
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Machine<'a> {
    site: &'a Site,
    qemu: Child,
    key: PathBuf,
    console: PathBuf,
    /// The connection over which commands go; a boot has its own.
    boot: u32,
    _turn: MutexGuard<'static, ()>,
}

impl<'a> Machine<'a> {
    /// The first machine's address on the first switch.
    pub const ADDRESS: &'static str = "10.77.0.11";

    /// Boots an installed disk: a NIC on each of the switches, and more words for its kernel. Returns when
    /// it lets root in.
    pub fn boot(
        site: &'a Site,
        name: &str,
        disk: &Disk,
        switches: &[&str],
        words: &str,
    ) -> Result<Self> {
        let turn = turn();
        let kernel = disk.dir.join("vmlinuz");
        let command_line = format!(
            "root=/dev/nvme0n1 rw console=ttyS0,115200 net.ifnames=0 panic=-1 quiet {words}"
        );
        let drive = format!(
            "if=none,id=disk,format=raw,cache=unsafe,snapshot=on,file={}",
            disk.dir.join("disk.raw").display()
        );
        let mut qemu = Qemu::new(site, name, &kernel, LIFE)?;
        qemu.command
            .args([
                "-m",
                "1024",
                "-drive",
                &drive,
                "-device",
                "nvme,drive=disk,serial=disk",
            ])
            .arg("-kernel")
            .arg(kernel)
            .args(["-append", &command_line]);
        for (number, switch) in switches.iter().enumerate() {
            qemu.plug(site, u8::try_from(number)?, switch, ",romfile=")?;
        }
        let machine = Self {
            site,
            qemu: qemu.command.spawn().context("starting qemu")?,
            key: disk.key(),
            console: qemu.console,
            boot: 0,
            _turn: turn,
        };
        machine.wait(PATIENCE)?;
        Ok(machine)
    }

    /// Switches on a machine with an empty disk, which boots from the network until the disk can be booted,
    /// and whose root will be let in with the given key. Returns at once.
    pub fn switch_on(
        site: &'a Site,
        name: &str,
        disk: &Path,
        kernel: &Path,
        key: PathBuf,
    ) -> Result<Self> {
        let turn = turn();
        let mut qemu = Qemu::new(site, name, kernel, INSTALLATION)?;
        let drive = format!(
            "if=none,id=disk,format=raw,cache=unsafe,file={}",
            disk.display()
        );
        qemu.command
            .args(["-m", "2048", "-drive", &drive])
            .args(["-device", "virtio-blk-pci,drive=disk,bootindex=1"]);
        // The NIC's own ROM is iPXE.
        qemu.plug(site, 0, "sw", ",bootindex=2")?;
        Ok(Self {
            site,
            qemu: qemu.command.spawn().context("starting qemu")?,
            key,
            console: qemu.console,
            boot: 0,
            _turn: turn,
        })
    }

    /// Says whether it is still on.
    pub fn is_on(&mut self) -> Result<bool> {
        Ok(self.qemu.try_wait()?.is_none())
    }

    /// Runs a line of shell there, as root.
    pub fn run(&self, line: &str) -> Result<Outcome> {
        let mut command = self.site.command("timeout");
        command
            .args(["-k", "5", "180", "ssh"])
            .args(self.options())
            .arg(format!("root@{}", Self::ADDRESS))
            .arg(line);
        outcome(&mut command).with_context(|| format!("running on the machine: {line}"))
    }

    /// Runs a line of shell there, which must succeed; returns what it printed.
    pub fn succeed(&self, line: &str) -> Result<String> {
        let ended = self.run(line)?;
        ensure!(
            ended.code == Some(0),
            "{line}: {ended:?}\n{}",
            self.last_words()
        );
        Ok(ended.stdout)
    }

    /// Copies files there, into a directory that exists.
    pub fn put(&self, files: &[PathBuf], directory: &str) -> Result<()> {
        let target = format!("root@{}:{directory}", Self::ADDRESS);
        self.copy(files.iter().map(|file| file.display().to_string()), target)
    }

    /// Fetches a file or a directory from there.
    pub fn fetch(&self, path: &str, into: &Path) -> Result<()> {
        let source = format!("root@{}:{path}", Self::ADDRESS);
        self.copy([source].into_iter(), into.display().to_string())
    }

    fn copy(&self, from: impl Iterator<Item = String>, to: String) -> Result<()> {
        let mut words = vec!["-r".to_owned(), "-p".to_owned(), "-q".to_owned()];
        words.extend(self.options());
        words.extend(from);
        words.push(to);
        self.site.succeed("scp", &words).map(drop)
    }

    /// Reboots it, as an administrator does; returns when it lets root in again.
    pub fn reboot(&mut self) -> Result<()> {
        let before = self.boot_id()?;
        // The answer may be lost with the connection.
        self.run("systemctl reboot")?;
        self.boot += 1;
        self.wait(PATIENCE)?;
        ensure!(self.boot_id()? != before, "the machine did not reboot");
        Ok(())
    }

    /// Switches it off, as an administrator does.
    pub fn power_off(mut self) -> Result<()> {
        self.run("systemctl poweroff")?;
        let end = Instant::now() + PATIENCE;
        while self.qemu.try_wait()?.is_none() {
            ensure!(
                Instant::now() < end,
                "the machine does not switch off: {}",
                self.last_words()
            );
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Waits until `firstboot` has run everything, and well.
    pub fn wait_for_first_boot(&self) -> Result<()> {
        let end = Instant::now() + FIRST_BOOT;
        while self.run("test -e /var/lib/slipway/firstboot.done")?.code != Some(0) {
            ensure!(
                Instant::now() < end,
                "the first boot does not end: {:?}",
                self.run("journalctl -q -u slipway-firstboot -n 30")?
            );
            sleep(Duration::from_secs(1));
        }
        self.succeed("/opt/slipway/bin/firstboot --status || { journalctl -q -u slipway-firstboot -n 30; exit 1; }")
            .map(drop)
    }

    /// Returns what the machine's console said last.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(1500)..]).into_owned();
        format!("the console ({}) ends with: {said}", self.console.display())
    }

    fn boot_id(&self) -> Result<String> {
        self.succeed("cat /proc/sys/kernel/random/boot_id")
    }

    /// Waits until root is let in.
    pub fn wait(&self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        while self.run("true")?.code != Some(0) {
            if Instant::now() > end {
                bail!("the machine does not let root in: {}", self.last_words());
            }
            sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// One connection for all commands of a boot: what makes one takes a second there.
    fn options(&self) -> impl Iterator<Item = String> {
        let control = format!(
            "ControlPath={}",
            self.site.path(&format!("ssh{}", self.boot)).display()
        );
        let key = format!("IdentityFile={}", self.key.display());
        let options = [
            "ControlMaster=auto",
            "ControlPersist=600",
            &control,
            &key,
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ConnectTimeout=5",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ];
        let options: Vec<_> = options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option.to_owned()])
            .collect();
        ["-F".to_owned(), "none".to_owned()]
            .into_iter()
            .chain(options)
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if matches!(self.qemu.try_wait(), Ok(Some(_))) {
            return;
        }
        // The child here only waits for qemu, which is a process of the site's namespace.
        let pid = fs::read_to_string(self.site.path(PID_FILE)).unwrap_or_default();
        let _ = self.site.run("kill", &["-9", pid.trim()]);
        let _ = self.qemu.wait();
    }
}

/// Waits until no other machine runs.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The command line of a machine.
struct Qemu {
    command: Command,
    console: PathBuf,
}

impl Qemu {
    fn new(site: &Site, name: &str, kernel: &Path, life: &str) -> Result<Self> {
        let consoles = workspace().join("target/machines/console");
        fs::create_dir_all(&consoles)?;
        let console = consoles.join(format!("{name}.log"));
        let (accelerator, processor) = accelerator(kernel)?;
        let mut command = site.command("timeout");
        command
            .args(["-k", "5", life, "nice", "qemu-system-x86_64"])
            .args(["-accel", accelerator, "-cpu", processor, "-smp", "2"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-device", "virtio-rng-pci", "-pidfile"])
            .arg(site.path(PID_FILE))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            // What a snapshot changes lies in files there.
            .env("TMPDIR", "/dev/shm");
        Ok(Self { command, console })
    }

    /// Gives it a NIC on a switch.
    fn plug(&mut self, site: &Site, number: u8, switch: &str, more: &str) -> Result<()> {
        let tap = format!("tap{number}");
        site.succeed("ip", &["tuntap", "add", &tap, "mode", "tap"])?;
        site.succeed("ip", &["link", "set", &tap, "master", switch, "up"])?;
        let mac = mac(1 + 16 * number);
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
    Ok(match output.stdout.starts_with(b"kvm") {
        true => ("kvm", "host"),
        false => ("tcg,thread=multi,tb-size=512", "qemu64"),
    })
}
