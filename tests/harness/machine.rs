//! A machine in qemu: booted, used over ssh, rebooted, switched off.
//!
//! What comes in is a disk that `tests/machines/disk` built, or an empty one; the disk itself is never
//! written to. What its serial console says is kept in `target/machines/console/`. One machine runs at a
//! time, or two of one site: more would only slow each other down. Every wait has an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::Outcome;
use crate::deadline::{IdleDeadline, OutOfTime};
use crate::disk::Disk;
use crate::qemu::{Qemu, pid_file};
use crate::site::{Site, address, outcome};

/// How long a machine's console may be silent while it boots or shuts down.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the scripts of its first boot may show nothing new.
const FIRST_BOOT_IDLE: Duration = Duration::from_secs(600);
/// How long one command may take there, in seconds.
const COMMAND_TIMEOUT: &str = "900";
/// How long a machine may run, in seconds.
const MACHINE_TIMEOUT: &str = "5400";
/// Kernel arguments that raise systemd's timeouts: on a loaded machine a disk may take longer to appear than 90 s. The
/// console shows the progress.
const SYSTEMD_TIMEOUTS: &str = "systemd.default_timeout_start_sec=1200 systemd.default_device_timeout_sec=1200 \
                     udev.event_timeout=1200 systemd.show_status=1";
/// The same for a machine that is installed first, in seconds.
const INSTALLATION_TIMEOUT: &str = "14400";

/// Where firmware looks for what to boot.
#[derive(Debug, Clone, Copy)]
enum BootOrder {
    /// The disk once it can be booted, until then the network.
    DiskThenNetwork,
    /// The network alone, each time.
    Network,
    /// The network alone, by UEFI and its own driver: nothing of iPXE is in the machine.
    UefiNetwork,
}

/// UEFI for machines, as Debian and Ubuntu package it, and the variables that it begins with.
const UEFI: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
];

/// A machine that runs.
#[derive(Debug)]
pub struct Machine<'a> {
    site: &'a Site,
    /// Which machine of the site it is, from 1.
    number: u8,
    qemu: Child,
    key: PathBuf,
    console: PathBuf,
    /// The connection over which commands go; a boot has its own.
    boot: u32,
    _turn: Rc<Turn>,
}

/// While it is held, no machine of another site runs.
type Turn = MutexGuard<'static, ()>;

/// A machine on which nothing is installed, with one NIC.
#[derive(Debug)]
pub struct BareMachine<'site, 'a> {
    /// Where its NIC is plugged in.
    pub site: &'site Site,
    /// What its console is named by.
    pub name: &'a str,
    /// Its disk, empty or not.
    pub disk: &'a Path,
    /// The kernel that it will run.
    pub kernel: &'a Path,
    /// The key by which its root will be let in.
    pub key: PathBuf,
}

impl<'site> BareMachine<'site, '_> {
    /// Switches it on; it boots from the network until the disk can be booted. Returns at once.
    pub fn switch_on(self) -> Result<Machine<'site>> {
        self.start(BootOrder::DiskThenNetwork)
    }

    /// Switches it on; it boots from the network each time, and never from its disk. Returns when it lets root in.
    pub fn boot_from_network(self) -> Result<Machine<'site>> {
        let machine = self.start(BootOrder::Network)?;
        machine.wait(IDLE_TIMEOUT)?;
        Ok(machine)
    }

    /// Switches it on; it has UEFI, which boots from the network alone. Returns when it is off again.
    pub fn run_by_uefi(self) -> Result<Machine<'site>> {
        let mut machine = self.start(BootOrder::UefiNetwork)?;
        let mut deadline = IdleDeadline::new(IDLE_TIMEOUT);
        while machine.is_on()? {
            machine.check(&mut deadline, "the machine does not switch off")?;
            sleep(Duration::from_millis(100));
        }
        Ok(machine)
    }

    /// Says what it lacks to have UEFI, if anything.
    pub(crate) fn lacking_uefi() -> Option<String> {
        let missing = UEFI.iter().find(|file| !Path::new(file).is_file());
        missing.map(|file| format!("needs {file}"))
    }

    fn start(self, order: BootOrder) -> Result<Machine<'site>> {
        let turn = turn();
        let (of_disk, of_nic, life) = match order {
            BootOrder::DiskThenNetwork => (",bootindex=1", ",bootindex=2", INSTALLATION_TIMEOUT),
            BootOrder::Network => ("", ",bootindex=1", MACHINE_TIMEOUT),
            // Without a ROM of its own, which is iPXE.
            BootOrder::UefiNetwork => ("", ",bootindex=1,romfile=", MACHINE_TIMEOUT),
        };
        let mut qemu = Qemu::new(self.site, 1, self.name, self.kernel, life)?;
        let drive = format!(
            "if=none,id=disk,format=raw,cache=unsafe,file={}",
            self.disk.display()
        );
        qemu.command
            .args(["-m", "2048", "-drive", &drive, "-device"])
            .arg(format!("virtio-blk-pci,drive=disk{of_disk}"));
        if let BootOrder::UefiNetwork = order {
            let variables = self.site.path("uefi-variables");
            fs::copy(UEFI[1], &variables).context("copying the variables of UEFI")?;
            let flash = "if=pflash,format=raw";
            qemu.command
                .args(["-no-reboot", "-drive"])
                .arg(format!("{flash},readonly=on,file={}", UEFI[0]))
                .arg("-drive")
                .arg(format!("{flash},file={}", variables.display()));
        }
        // The NIC's own ROM is iPXE.
        qemu.plug(self.site, 0, "sw", of_nic)?;
        Ok(Machine {
            site: self.site,
            number: 1,
            qemu: qemu.command.spawn().context("starting qemu")?,
            key: self.key,
            console: qemu.console,
            boot: 0,
            _turn: Rc::new(turn),
        })
    }
}

/// A machine that is installed, with a NIC on each of the switches.
struct Installed<'a> {
    number: u8,
    name: &'a str,
    disk: &'a Disk,
    switches: &'a [&'a str],
    /// More words for its kernel.
    words: &'a str,
}

impl Installed<'_> {
    /// Switches it on, and returns at once.
    fn start<'site>(&self, site: &'site Site, turn: &Rc<Turn>) -> Result<Machine<'site>> {
        let (disk, words) = (self.disk, self.words);
        let kernel = disk.kernel();
        let command_line = format!(
            "root=/dev/nvme0n1 rw console=ttyS0,115200 net.ifnames=0 panic=-1 quiet {SYSTEMD_TIMEOUTS} {words}"
        );
        let drive = format!(
            "if=none,id=disk,format=raw,cache=unsafe,snapshot=on,file={}",
            disk.dir.join("disk.raw").display()
        );
        let mut qemu = Qemu::new(site, self.number, self.name, &kernel, MACHINE_TIMEOUT)?;
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
        for (nic, switch) in self.switches.iter().enumerate() {
            qemu.plug(site, u8::try_from(nic)?, switch, ",romfile=")?;
        }
        Ok(Machine {
            site,
            number: self.number,
            qemu: qemu.command.spawn().context("starting qemu")?,
            key: disk.key(),
            console: qemu.console,
            boot: 0,
            _turn: Rc::clone(turn),
        })
    }
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
        let installed = Installed {
            number: 1,
            name,
            disk,
            switches,
            words,
        };
        let machine = installed.start(site, &Rc::new(turn()))?;
        machine.wait(IDLE_TIMEOUT)?;
        Ok(machine)
    }

    /// Boots an installed disk on two machines, each with a NIC on the first switch. Returns when both let root in.
    pub fn boot_two(site: &'a Site, names: [&str; 2], disk: &Disk) -> Result<[Self; 2]> {
        let turn = Rc::new(turn());
        let start = |number, name| {
            // What tells hosts apart: without an id of its own the second one asks for the address of the first.
            let words =
                format!("systemd.machine_id={number:032x} systemd.hostname=host{number:02}");
            let installed = Installed {
                number,
                name,
                disk,
                switches: &["sw"],
                words: &words,
            };
            installed.start(site, &turn)
        };
        let machines = [start(1, names[0])?, start(2, names[1])?];
        for machine in &machines {
            machine.wait(IDLE_TIMEOUT)?;
        }
        Ok(machines)
    }

    /// Its address on the first switch.
    pub fn address(&self) -> String {
        address(self.number)
    }

    /// Its name.
    pub fn host(&self) -> String {
        format!("host{:02}", self.number)
    }

    /// Says whether it is still on.
    pub fn is_on(&mut self) -> Result<bool> {
        Ok(self.qemu.try_wait()?.is_none())
    }

    /// Runs a line of shell there, as root.
    pub fn run(&self, line: &str) -> Result<Outcome> {
        let mut command = self.site.command("timeout");
        command
            .args(["-k", "5", COMMAND_TIMEOUT, "ssh"])
            .args(self.options())
            .arg(format!("root@{}", self.address()))
            .arg(line);
        outcome(&mut command).with_context(|| format!("running on the machine: {line}"))
    }

    /// Runs a line of shell there, which must succeed; returns what it printed.
    pub fn succeed(&self, line: &str) -> Result<String> {
        let ended = self.run(line)?;
        // What timeout(1) ends with.
        if ended.code == Some(124) {
            let what = format!(
                "{line}: it takes longer than {COMMAND_TIMEOUT} s: {}",
                self.last_words()
            );
            return Err(OutOfTime(what).into());
        }
        ensure!(
            ended.code == Some(0),
            "{line}: {ended:?}\n{}",
            self.last_words()
        );
        Ok(ended.stdout)
    }

    /// Copies files there, into a directory that exists.
    pub fn put(&self, files: &[PathBuf], directory: &str) -> Result<()> {
        let target = format!("root@{}:{directory}", self.address());
        self.copy(files.iter().map(|file| file.display().to_string()), target)
    }

    /// Fetches a file or a directory from there.
    pub fn fetch(&self, path: &str, into: &Path) -> Result<()> {
        let source = format!("root@{}:{path}", self.address());
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
        self.begin_again("systemctl reboot")
    }

    /// Has it lose power, and come back: nothing is ended, nothing is written any more.
    pub fn lose_power(&mut self) -> Result<()> {
        // The command ends before the machine does: its connection would only end much later.
        self.begin_again("(sleep 0.2; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &")
    }

    fn begin_again(&mut self, order: &str) -> Result<()> {
        const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";
        let before = self.succeed(BOOT)?;
        // The answer may be lost with the connection.
        self.run(order)?;
        let mut deadline = IdleDeadline::new(IDLE_TIMEOUT);
        loop {
            self.check(&mut deadline, "the machine does not come back")?;
            sleep(Duration::from_millis(500));
            // The old system may still let one in, so each attempt has a connection of its own.
            self.boot += 1;
            let now = self.run(BOOT)?;
            if now.code == Some(0) && now.stdout != before {
                return Ok(());
            }
        }
    }

    /// Switches it off, as an administrator does.
    pub fn power_off(mut self) -> Result<()> {
        self.run("systemctl poweroff")?;
        let mut deadline = IdleDeadline::new(IDLE_TIMEOUT);
        while self.qemu.try_wait()?.is_none() {
            self.check(&mut deadline, "the machine does not switch off")?;
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Waits until `firstboot` has run everything, and well.
    pub fn wait_for_first_boot(&self) -> Result<()> {
        let mut deadline = IdleDeadline::new(FIRST_BOOT_IDLE);
        while self.run("test -e /var/lib/slipway/firstboot.done")?.code != Some(0) {
            let failed = self.run("systemctl is-failed -q slipway-firstboot.service")?;
            let log = || self.run("journalctl -q -u slipway-firstboot -n 30");
            ensure!(
                failed.code != Some(0),
                "the first boot does not end well: {:?}",
                log()?
            );
            let shows =
                self.run("journalctl -q -n 1 --show-cursor; stat -c %s /var/log/slipway/*")?;
            deadline.check(shows.stdout, "the first boot does not end", || {
                log().map_or_else(|error| format!("{error:#}"), |log| log.stdout)
            })?;
            sleep(Duration::from_secs(1));
        }
        self.succeed("/opt/slipway/bin/firstboot --status || { journalctl -q -u slipway-firstboot -n 30; exit 1; }")
            .map(drop)
    }

    /// Says whether the console's output contains a text.
    pub fn has_said(&self, text: &str) -> Result<bool> {
        let said = fs::read(&self.console).context("reading the console")?;
        Ok(String::from_utf8_lossy(&said).contains(text))
    }

    /// Fails if the console's output contains a text.
    pub fn has_not_said(&self, text: &str) -> Result<()> {
        let said = fs::read(&self.console).context("reading the console")?;
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find(|line| line.contains(text));
        line.map_or(Ok(()), |line| bail!("the console says: {line}"))
    }

    /// Returns the end of the console's output.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(1500)..]).into_owned();
        format!("the console ({}) ends with: {said}", self.console.display())
    }

    /// Checks the deadline with the length of the console's output.
    fn check(&self, deadline: &mut IdleDeadline, what: &str) -> Result<()> {
        let said = fs::metadata(&self.console).map_or(0, |console| console.len());
        deadline.check(said.to_string(), what, || self.last_words())?;
        Ok(())
    }

    /// Waits until root can log in, while the console is silent for no longer than this.
    pub fn wait(&self, idle: Duration) -> Result<()> {
        let mut deadline = IdleDeadline::new(idle);
        while self.run("true")?.code != Some(0) {
            self.check(&mut deadline, "the machine does not let root in")?;
            sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// One connection for all commands of a boot: what makes one takes a second there.
    fn options(&self) -> impl Iterator<Item = String> {
        let control = format!(
            "ControlPath={}",
            self.site
                .path(&format!("ssh{}.{}", self.number, self.boot))
                .display()
        );
        let key = format!("IdentityFile={}", self.key.display());
        let options = [
            "ControlMaster=auto",
            "ControlPersist=600",
            &control,
            &key,
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ConnectTimeout=15",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=6",
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
        match fs::read_to_string(self.site.path(&pid_file(self.number))) {
            Ok(pid) => drop(self.site.run("kill", &["-9", pid.trim()])),
            Err(_) => drop(self.qemu.kill()),
        }
        let _ = self.qemu.wait();
    }
}

/// Waits until no machine of another site runs.
fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
