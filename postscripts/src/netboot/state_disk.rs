//! The file system for state, made at the first boot: on a disk that holds nothing, and on no other.
//!
//! What the definition says and the disks of the machine come in; the device goes out, or why none is written to. A disk that
//! cannot be read, or that the kernel has in use, is one that holds something.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use definitions::{StateDisk, StateFsType, StateLabel};
use nix::fcntl::OFlag;

use super::console::Console;
use super::drivers::names_in;
use super::empty::{DiskContent, examine};
use super::state::identify_device;
use crate::program;

/// How long making a file system may take.
const MKFS_TIMEOUT: Duration = Duration::from_secs(600);

/// The disks of a machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disks<'a> {
    /// Where the kernel lists them: `/sys/class/block`.
    pub(super) devices: &'a Path,
    /// Where they are: `/dev`.
    pub(super) dev: &'a Path,
}

impl Disks<'_> {
    /// Says whether the disk that is named is there; of one that is not named, whether any is.
    pub(super) fn has(&self, wanted: &StateDisk) -> bool {
        match wanted {
            StateDisk::Device(name) => self.devices.join(name).exists(),
            StateDisk::Empty => self.of_machine().is_ok_and(|disks| !disks.is_empty()),
        }
    }

    /// Makes the file system on the disk that is wanted, if it holds nothing. Returns its device.
    ///
    /// # Errors
    /// When there is no such disk, it holds something, or the file system cannot be made.
    pub(super) fn make(
        &self,
        (wanted, fs_type): &(StateDisk, StateFsType),
        label: &StateLabel,
        console: &Console,
    ) -> Result<(String, &'static str)> {
        let device = match wanted {
            StateDisk::Device(name) => self.named(name)?,
            StateDisk::Empty => self.only_empty()?,
        };
        console.say(format!(
            "{device} holds nothing: making the state's file system on it ({fs_type}, label {label})"
        ));
        let name = format!("mkfs.{fs_type}");
        let mkfs = program::find(&name).with_context(|| {
            format!(
                "the root image has no {name} for the state's file system: add {} to the osimage's pkglist, then \
                 genimage, packimage and nodeset",
                fs_type.package()
            )
        })?;
        let mut command = Command::new(mkfs);
        // Without -f and -F: what they find that was not found here, they refuse.
        command.args(match fs_type {
            StateFsType::Ext4 => &["-q", "-E", "nodiscard"][..],
            StateFsType::Xfs => &["-q", "-K"],
        });
        command.args(["-L", label, &device]);
        program::run(&mut command, Stdio::null(), MKFS_TIMEOUT)
            .with_context(|| format!("making the state's file system on {device}"))?;
        let made = identify_device(Path::new(&device));
        let made = made.with_context(|| format!("reading {device}"))?;
        let is_it =
            made.is_some_and(|made| made.fs_type == fs_type.name() && made.label == **label);
        ensure!(
            is_it,
            "{device} does not have the file system that {name} made on it: the disk fails"
        );
        Ok((device, fs_type.name()))
    }

    fn named(&self, name: &str) -> Result<String> {
        let device = self.dev.join(name).display().to_string();
        ensure!(
            self.devices.join(name).exists(),
            "there is no disk {device} for the node's state: there {}; correct the node's statedisk, then nodeset",
            match self.of_machine()?.join(", ") {
                none if none.is_empty() => "is none".to_owned(),
                names => format!("are {names}"),
            }
        );
        match self.content(name)? {
            DiskContent::Nothing => Ok(device),
            DiskContent::Something(what) => bail!(
                "{device} holds {what}, and no file system has the label of the node's state: nothing is written to it; \
                 if nobody needs what it holds, wipe it (blkdiscard -z, or dd of zeros), else correct the node's statedisk"
            ),
        }
    }

    fn only_empty(&self) -> Result<String> {
        let (mut empty, mut others) = (Vec::new(), Vec::new());
        for name in self.of_machine()? {
            match self.content(&name) {
                Ok(DiskContent::Nothing) => empty.push(name),
                Ok(DiskContent::Something(what)) => others.push(format!("{name} holds {what}")),
                Err(error) => others.push(format!("{error:#}")),
            }
        }
        match &empty[..] {
            [one] => Ok(self.dev.join(one).display().to_string()),
            [] if others.is_empty() => bail!(
                "there is no disk for the node's state: add one, or remove the node's statelabel and keep state in memory"
            ),
            [] => bail!(
                "no disk for the node's state holds nothing, and no file system has its label: {}; nothing is written to \
                 them",
                others.join(", ")
            ),
            several => bail!(
                "{} all hold nothing, and one of them is to keep the node's state: name it as the node's statedisk, such as \
                 /dev/{}",
                several.join(" and "),
                several[0]
            ),
        }
    }

    /// Lists the disks of the machine: no part of one, none that can be taken out or not be written to, and none that the
    /// kernel made up.
    fn of_machine(&self) -> Result<Vec<String>> {
        let reading = || format!("reading {}", self.devices.display());
        let mut names = names_in(self.devices).with_context(reading)?;
        names.retain(|name| {
            let of = |attribute: &str| {
                let text = fs::read_to_string(self.devices.join(name).join(attribute));
                text.unwrap_or_default().trim().to_owned()
            };
            let is_disk = self.devices.join(name).join("device").exists();
            is_disk && of("removable") != "1" && of("ro") != "1" && of("size") != "0"
        });
        Ok(names)
    }

    fn content(&self, name: &str) -> Result<DiskContent> {
        let path = self.dev.join(name);
        let reading = || format!("reading {}", path.display());
        let mut disk = open_unused(&path).with_context(reading)?;
        examine(&mut disk).with_context(reading)
    }
}

/// Opens a disk that nothing in the kernel has: no mount, no RAID, no mapping (open(2), `O_EXCL`).
fn open_unused(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_EXCL | OFlag::O_NOFOLLOW).bits())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is a file: its name, what is at byte 1080, and what the kernel says of it.
    type Disk<'a> = (&'a str, &'a [u8], &'a [(&'a str, &'a str)]);

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(disks: &[Disk<'_>]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for place in ["dev", "sys"] {
                fs::create_dir(machine.0.path().join(place)).unwrap();
            }
            for (name, bytes, attributes) in disks {
                let device = machine.0.path().join("sys").join(name);
                fs::create_dir(&device).unwrap();
                for (attribute, value) in *attributes {
                    let path = device.join(attribute);
                    match *attribute {
                        "device" => fs::create_dir(path).unwrap(),
                        _ => fs::write(path, format!("{value}\n")).unwrap(),
                    }
                }
                let mut content = vec![0; 1080];
                content.extend_from_slice(bytes);
                let path = machine.device(name);
                fs::write(&path, content).unwrap();
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(32 << 20).unwrap();
            }
            machine
        }

        fn device(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("dev").join(name)
        }

        fn make(
            &self,
            wanted: &str,
            fs_type: StateFsType,
        ) -> Result<(String, &'static str), String> {
            let (devices, dev) = (self.0.path().join("sys"), self.0.path().join("dev"));
            let disks = Disks {
                devices: &devices,
                dev: &dev,
            };
            // The test's devices are not below /dev.
            let wanted = wanted.parse().unwrap();
            let label = "docker".parse().unwrap();
            let made = disks.make(&(wanted, fs_type), &label, &Console::standard_error());
            let here = self.0.path().display().to_string();
            made.map_err(|error| format!("{error:#}").replace(&here, ""))
                .map(|(device, fs_type)| (device.replace(&here, ""), fs_type))
        }
    }

    const DISK: &[(&str, &str)] = &[
        ("device", ""),
        ("removable", "0"),
        ("ro", "0"),
        ("size", "65536"),
    ];
    const EXT: &[u8] = &[0x53, 0xef];

    #[test]
    fn the_file_system_is_made_on_the_disk_that_holds_nothing_and_nothing_else_is_written_to() {
        let machine = Machine::new(&[
            ("loop0", &[], &[("size", "65536")]),
            ("sda", EXT, DISK),
            ("sda1", &[], &[("partition", "1"), ("size", "65536")]),
            ("sdb", &[], DISK),
            (
                "sdc",
                &[],
                &[("device", ""), ("removable", "1"), ("size", "65536")],
            ),
            (
                "sdd",
                &[],
                &[("device", ""), ("ro", "1"), ("size", "65536")],
            ),
            ("sde", &[], &[("device", ""), ("size", "0")]),
        ]);
        let before = |name: &str| fs::read(machine.device(name)).unwrap();
        let names = ["loop0", "sda", "sda1", "sdc", "sdd", "sde"];
        let others = names.map(before);
        assert_eq!(
            machine.make("empty", StateFsType::Ext4),
            Ok(("/dev/sdb".to_owned(), "ext4"))
        );
        let made = identify_device(&machine.device("sdb")).unwrap().unwrap();
        assert_eq!((made.fs_type, made.label.as_str()), ("ext4", "docker"));
        assert_eq!(names.map(before), others);
        // It is not made again over the one that was made.
        let made = before("sdb");
        assert_eq!(
            machine.make("empty", StateFsType::Ext4),
            Err(
                "no disk for the node's state holds nothing, and no file system has its label: sda holds a file system \
                 (ext), sdb holds a file system (ext); nothing is written to them"
                    .to_owned()
            )
        );
        assert_eq!(before("sdb"), made);
    }

    #[test]
    fn a_disk_that_is_named_is_taken_if_it_holds_nothing() {
        let machine = Machine::new(&[("sda", EXT, DISK), ("sdb", &[], DISK), ("sdc", &[], DISK)]);
        let sda = fs::read(machine.device("sda")).unwrap();
        for (wanted, expected) in [
            (
                "/dev/sda",
                "/dev/sda holds a file system (ext), and no file system has the label of the node's state: nothing is \
                 written to it; if nobody needs what it holds, wipe it (blkdiscard -z, or dd of zeros), else correct the \
                 node's statedisk",
            ),
            (
                "/dev/vda",
                "there is no disk /dev/vda for the node's state: there are sda, sdb, sdc; correct the node's statedisk, \
                 then nodeset",
            ),
            (
                "empty",
                "sdb and sdc all hold nothing, and one of them is to keep the node's state: name it as the node's \
                 statedisk, such as /dev/sdb",
            ),
        ] {
            assert_eq!(
                machine.make(wanted, StateFsType::Ext4),
                Err(expected.to_owned())
            );
        }
        assert_eq!(fs::read(machine.device("sda")).unwrap(), sda);
        assert_eq!(
            machine.make("/dev/sdc", StateFsType::Ext4),
            Ok(("/dev/sdc".to_owned(), "ext4"))
        );
    }

    #[test]
    fn a_machine_without_a_disk_is_told() {
        let machine = Machine::new(&[("ram0", &[], &[("size", "65536")])]);
        assert_eq!(
            machine.make("empty", StateFsType::Ext4),
            Err(
                "there is no disk for the node's state: add one, or remove the node's statelabel and keep state in memory"
                    .to_owned()
            )
        );
        assert_eq!(
            machine.make("/dev/sda", StateFsType::Ext4),
            Err(
                "there is no disk /dev/sda for the node's state: there is none; correct the node's statedisk, then nodeset"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_disk_that_cannot_be_read_or_written_is_not_used() {
        let machine = Machine::new(&[("sda", &[], DISK), ("sdb", &[], DISK)]);
        fs::remove_file(machine.device("sda")).unwrap();
        std::os::unix::fs::symlink("sdb", machine.device("sda")).unwrap();
        assert_eq!(
            machine.make("/dev/sda", StateFsType::Ext4),
            Err("reading /dev/sda: Too many levels of symbolic links (os error 40)".to_owned())
        );
        // Too small for a file system.
        let file = OpenOptions::new()
            .write(true)
            .open(machine.device("sdb"))
            .unwrap();
        file.set_len(4096).unwrap();
        let refused = machine.make("/dev/sdb", StateFsType::Ext4).unwrap_err();
        assert!(
            refused.starts_with("making the state's file system on /dev/sdb: "),
            "{refused}"
        );
    }
}
