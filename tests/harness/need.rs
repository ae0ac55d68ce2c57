//! What a trial needs of the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bin::workspace;
use crate::disk::{Disk, RootImage};
use crate::machine::BareMachine;
use crate::site;

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Programs that must be in the `PATH`.
    Tools(&'static [&'static str]),
    /// To run as root and to be allowed to mount a loop device.
    LoopMounts,
    /// The medium of `tests/media/debian-iso`, which is fetched from Debian's archive; `make test`
    /// builds it first.
    DebianMedium,
    /// To run machines: root, namespaces, taps, qemu and what serves them.
    Machines,
    /// To run as root.
    Root,
    /// The system of `tests/media/debian-root`; `make test` builds it first.
    DebianRoot,
    /// The disk of an installed machine, of `tests/machines/disk`; `make test` builds it first.
    MachineDisk,
    /// The podman of `tests/media/engine trixie`; `make test` makes it first.
    Podman,
    /// The root image of `tests/machines/rootimg`; `make test` builds it first.
    RootImage,
    /// Firmware with UEFI for machines.
    Uefi,
    /// A source of iPXE that asks for `autoexec.ipxe`, in the directory that `IPXE_SOURCE` names: minutes to build.
    IpxeSource,
}

impl Need {
    /// Builds media: what `tests/media/mini-debian` runs.
    pub const MEDIA: Self = Self::Tools(&["xorriso", "dpkg-deb", "apt-ftparchive", "gpg"]);

    /// Says what is lacking, if anything.
    pub fn lacking(self) -> Option<String> {
        match self {
            Self::Tools(names) => names
                .iter()
                .find(|name| !in_path(name))
                .map(|name| format!("needs {name}")),
            Self::DebianMedium => debian_medium()
                .is_none()
                .then(|| "needs tests/media/debian-iso to have run".to_owned()),
            Self::Machines => [
                "qemu-system-x86_64",
                "dnsmasq",
                "ssh",
                "scp",
                "ip",
                "nsenter",
                "ping",
            ]
            .iter()
            .find(|name| !in_path(name))
            .map(|name| format!("needs {name}"))
            .or_else(|| site::lacking().map(str::to_owned)),
            Self::MachineDisk => Disk::find()
                .is_none()
                .then(|| "needs tests/machines/disk to have run".to_owned()),
            Self::RootImage => RootImage::find()
                .is_none()
                .then(|| "needs tests/machines/rootimg to have run".to_owned()),
            Self::Podman => Self::podman_root()
                .is_none()
                .then(|| "needs tests/media/engine trixie to have run".to_owned()),
            Self::Uefi => BareMachine::lacking_uefi(),
            Self::IpxeSource => Self::ipxe_source()
                .is_none()
                .then(|| "needs IPXE_SOURCE to name a source of iPXE of 2022 or newer".to_owned()),
            Self::Root => (!is_root()).then(|| "needs root".to_owned()),
            Self::DebianRoot => Self::debian_root()
                .is_none()
                .then(|| "needs tests/media/debian-root to have run".to_owned()),
            Self::LoopMounts => (!loop_mounts()).then(|| "needs root and loop mounts".to_owned()),
        }
    }
}

impl Need {
    /// Returns the source of iPXE that `IPXE_SOURCE` names, if it asks for `autoexec.ipxe`.
    pub fn ipxe_source() -> Option<PathBuf> {
        let source = PathBuf::from(std::env::var_os("IPXE_SOURCE")?);
        let asks = source.join("src/interface/efi/efi_autoexec.c");
        asks.is_file().then_some(source)
    }

    /// Returns the root with a podman that has quadlet files, of `tests/media/engine`, if it was made.
    pub fn podman_root() -> Option<PathBuf> {
        let root = workspace().join("target/media/engine-trixie");
        let generator = root.join("usr/libexec/podman/quadlet");
        generator.is_file().then_some(root)
    }

    /// Returns the tar of the system that `tests/media/debian-root` built, if it did.
    pub fn debian_root() -> Option<PathBuf> {
        let media = workspace().join("target/media").read_dir().ok()?;
        let mut paths = media.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("root-") && name.ends_with(".tar"))
        })
    }
}

/// Returns the Debian medium that was built, if one was.
fn debian_medium() -> Option<PathBuf> {
    let media = workspace().join("target/media").read_dir().ok()?;
    media
        .filter_map(|entry| Some(entry.ok()?.path().join("medium.iso")))
        .find(|iso| iso.is_file())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn in_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// Whether a loop device can be had: not every container that runs as root may.
fn loop_mounts() -> bool {
    Path::new("/dev/loop-control").exists()
        && Command::new("losetup")
            .arg("--find")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}
