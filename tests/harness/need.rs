//! What a story needs of the machine.

use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Programs that must be in the `PATH`.
    Tools(&'static [&'static str]),
    /// To run as root and to be allowed to mount a loop device.
    LoopMounts,
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
            Self::LoopMounts => (!loop_mounts()).then(|| "needs root and loop mounts".to_owned()),
        }
    }
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
