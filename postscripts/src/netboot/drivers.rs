//! Modules of the initrd, which are for networks and what mounts an image: for the devices that the machine has, and for what the kernel asks for.
//!
//! Devices say what they are in `modalias` files below `/sys/devices`; a module makes further devices appear (a bus), so
//! that they are read again and again. Files of modules are not packed: the initrd is, as a whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use definitions::ModuleIndex;
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

/// Bounds what is read of a device's name, and how deep devices are within each other.
const MAX_MODALIAS: usize = 4096;
const MAX_DEPTH: u32 = 32;

/// The modules of an initrd.
#[derive(Debug)]
pub(super) struct Drivers {
    home: PathBuf,
    index: ModuleIndex,
}

impl Drivers {
    /// Where the initrd has its modules, and what depmod says of them.
    pub(super) const HOME: &'static str = "/lib/modules";

    /// Reads what there is.
    pub(super) fn load(home: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = home.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let (dep, alias) = (read("modules.dep")?, read("modules.alias")?);
        Ok(Self {
            home: home.to_owned(),
            index: ModuleIndex::parse(&dep, &alias, &read("modules.builtin")?),
        })
    }

    /// Refuses a kernel that the modules are not for.
    ///
    /// # Errors
    /// When the kernel that runs has another release.
    pub(super) fn check_release(home: &Path, running: &str) -> Result<()> {
        let path = home.join(ModuleIndex::RELEASE);
        let release = fs::read_to_string(&path);
        let release = release.with_context(|| format!("reading {}", path.display()))?;
        let (release, running) = (release.trim(), running.trim());
        ensure!(
            release == running,
            "the kernel {running} runs, and the initrd has the modules of {release}: the machine was not started by the \
             boot.ipxe that nodeset wrote; run nodeset again, and have the machine boot by it"
        );
        Ok(())
    }

    /// Loads the modules for every device that there is now; `done` holds the devices whose modules were loaded.
    pub(super) fn insert_for_devices(
        &self,
        sys: &Path,
        done: &mut BTreeSet<String>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for device in devices(sys) {
            if done.contains(&device) {
                continue;
            }
            for module in self.index.matching(&device) {
                // a driver that does not load is not the one that the machine needs, or the NIC will be missing
                if let Err(error) = self.insert(module, "") {
                    problems.push(format!("{error:#}"));
                }
            }
            done.insert(device);
        }
        problems
    }

    /// Loads what the kernel asks for by a name or an alias: `fs-squashfs`, `crypto-crc32c`.
    pub(super) fn insert_wanted(&self, name: &str) -> Result<()> {
        let mut modules = self.index.matching(name);
        modules.extend(self.index.path(name).map(|_| name));
        if modules.is_empty() {
            bail!("the initrd has no module for {name}");
        }
        modules
            .iter()
            .try_for_each(|module| self.insert(module, ""))
    }

    /// Whether the kernel has something, built in or as a module of the initrd.
    pub(super) fn has(&self, module: &str) -> bool {
        self.index.is_builtin(module) || self.index.path(module).is_some()
    }

    /// Loads a module with all that it needs; what is loaded already is left alone.
    ///
    /// # Errors
    /// When the initrd has none of that name, or the kernel refuses it.
    pub(super) fn insert(&self, module: &str, parameters: &str) -> Result<()> {
        if self.index.is_builtin(module) {
            return Ok(());
        }
        let order = self.index.closure([module]);
        let Some((last, needs)) = order.split_last() else {
            bail!(
                "the initrd has no module {module}: genimage puts those of the image's kernel into it, so the kernel \
                 lacks it"
            );
        };
        for need in needs {
            self.insert_file(need, "")?;
        }
        self.insert_file(last, parameters)
    }

    fn insert_file(&self, module: &str, parameters: &str) -> Result<()> {
        let loading = || format!("loading the module {module}");
        let path = self.index.path(module).unwrap_or_default();
        let file = File::open(self.home.join(path)).with_context(loading)?;
        let parameters = std::ffi::CString::new(parameters).with_context(loading)?;
        match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(io::Error::from(error)).with_context(loading),
        }
    }
}

/// Lists what the machine's devices say of themselves.
pub(super) fn devices(sys: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(&sys.join("devices"), MAX_DEPTH, &mut found);
    found
}

fn walk(directory: &Path, depth: u32, found: &mut BTreeSet<String>) {
    // Devices come and go: what cannot be read is not there.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, found);
        } else if kind.is_file() && entry.file_name() == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let text = text.trim();
            if !text.is_empty() && text.len() <= MAX_MODALIAS {
                found.insert(text.to_owned());
            }
        }
    }
}

/// Says which devices of a directory below `/sys` there are, if it is there.
pub(super) fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_however_deep_they_are() {
        let sys = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "devices/pci0000:00/0000:00:03.0/modalias",
                "pci:v00001AF4d00001000\n",
            ),
            (
                "devices/pci0000:00/0000:00:03.0/virtio0/modalias",
                "virtio:d00000001v00001AF4\n",
            ),
            ("devices/platform/a/modalias", "\n"),
            ("devices/platform/b/uevent", "MODALIAS=x\n"),
        ] {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found: Vec<_> = devices(sys.path()).into_iter().collect();
        assert_eq!(
            found,
            ["pci:v00001AF4d00001000", "virtio:d00000001v00001AF4"]
        );
    }

    #[test]
    fn another_kernel_than_that_of_the_modules_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(ModuleIndex::RELEASE), "6.12.9-amd64\n").unwrap();
        assert!(Drivers::check_release(home.path(), "6.12.9-amd64\n").is_ok());
        let refused = Drivers::check_release(home.path(), "6.1.0-28-amd64\n").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the kernel 6.1.0-28-amd64 runs, and the initrd has the modules of 6.12.9-amd64: the machine was not started by \
             the boot.ipxe that nodeset wrote; run nodeset again, and have the machine boot by it"
        );
    }

    #[test]
    fn a_module_that_the_initrd_lacks_is_named() {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("modules.dep", "overlay.ko:\n"),
            ("modules.alias", "alias fs-overlay overlay\n"),
            ("modules.builtin", "kernel/fs/ext4/ext4.ko\n"),
        ] {
            fs::write(home.path().join(name), text).unwrap();
        }
        let drivers = Drivers::load(home.path()).unwrap();
        assert!(drivers.insert("ext4", "").is_ok());
        for (result, message) in [
            (
                drivers.insert("squashfs", ""),
                "the initrd has no module squashfs: genimage puts those of the image's kernel into it, so the kernel \
                 lacks it",
            ),
            (
                drivers.insert_wanted("fs-xfs"),
                "the initrd has no module for fs-xfs",
            ),
            (
                drivers.insert_wanted("fs-overlay"),
                "loading the module overlay: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(format!("{:#}", result.unwrap_err()), message);
        }
    }
}
