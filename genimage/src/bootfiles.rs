//! The installer's kernel and initrd in a tree.
//!
//! A tree and its release come in; two paths below the tree go out, the first that exist of those where
//! such media have them. Debian's discs carry an initrd that installs from a disc alone: one that cannot
//! install over a network is found out here, by what it holds, and not on the node.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use definitions::Arch;
use flate2::read::MultiGzDecoder;

use crate::initrd_record::InitrdRecord;
use crate::installer::{DistroFamily, InstallerKind};
use crate::problem::Problem;

/// A kernel and its initrd, as paths below the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootFiles {
    /// The kernel: `install.amd/vmlinuz`.
    pub(crate) kernel: String,
    /// The initrd.
    pub(crate) initrd: String,
    /// What the tree does not say yet of an initrd that was read through.
    pub(crate) record: Option<InitrdRecord>,
}

/// The most that is read of an initrd, unpacked.
const MAX_INITRD_BYTES: u64 = 1 << 30;

impl BootFiles {
    /// Finds the installer of a tree.
    ///
    /// # Errors
    /// A tree that holds none, or an initrd that cannot install over a network.
    pub(crate) fn find(
        tree: &Path,
        family: DistroFamily,
        installer: InstallerKind,
        arch: Arch,
    ) -> Result<Self, Problem> {
        let candidates = candidates(family, installer, arch);
        let found = candidates
            .iter()
            .find(|(kernel, initrd)| tree.join(kernel).is_file() && tree.join(initrd).is_file());
        let Some((kernel, initrd)) = found else {
            let first = candidates.iter().map(|(kernel, _)| kernel.as_str());
            return Err(Problem::new(format!(
                "{} has no installer for {arch}: looked for {}",
                tree.display(),
                first.collect::<Vec<_>>().join(", ")
            )));
        };
        let record = match installer {
            InstallerKind::Preseed => check_network_initrd(tree, initrd)?,
            _ => None,
        };
        Ok(Self {
            kernel: kernel.clone(),
            initrd: initrd.clone(),
            record,
        })
    }
}

/// Lists where media have their kernel and initrd, the likeliest first.
fn candidates(family: DistroFamily, installer: InstallerKind, arch: Arch) -> Vec<(String, String)> {
    let pair = |kernel: &str, initrd: &str| (kernel.to_owned(), initrd.to_owned());
    let beside = |dir: &str, kernel: &str, initrd: &str| {
        (format!("{dir}/{kernel}"), format!("{dir}/{initrd}"))
    };
    let deb = arch.debian_name();
    match installer {
        InstallerKind::Preseed => {
            let word = if family == DistroFamily::Ubuntu {
                "ubuntu"
            } else {
                "debian"
            };
            let disc = match arch {
                Arch::X86_64 => "install.amd".to_owned(),
                Arch::Aarch64 => "install.a64".to_owned(),
                Arch::X86 => "install.386".to_owned(),
                _ => format!("install.{deb}"),
            };
            let mut candidates = Vec::new();
            for netboot in ["install/hwe-netboot", "install/netboot"] {
                let dir = format!("{netboot}/{word}-installer/{deb}");
                candidates.push(beside(&dir, "linux", "initrd.gz"));
                candidates.push(beside(&dir, "vmlinux", "initrd.gz"));
            }
            for dir in ["install/netboot", &disc, "install"] {
                candidates.push(beside(dir, "vmlinuz", "initrd.gz"));
                candidates.push(beside(dir, "vmlinux", "initrd.gz"));
            }
            candidates
        }
        InstallerKind::Autoinstall => ["casper/hwe-", "casper/"]
            .iter()
            .flat_map(|dir| {
                ["vmlinuz", "vmlinux"]
                    .map(|kernel| (format!("{dir}{kernel}"), format!("{dir}initrd")))
            })
            .collect(),
        InstallerKind::Kickstart => match arch {
            Arch::Ppc64 | Arch::Ppc64le => vec![
                pair("ppc/ppc64/vmlinuz", "ppc/ppc64/initrd.img"),
                pair("ppc/ppc64le/vmlinuz", "ppc/ppc64le/initrd.img"),
            ],
            Arch::S390x => vec![pair("images/kernel.img", "images/initrd.img")],
            _ => vec![pair("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")],
        },
        InstallerKind::Netboot => Vec::new(), // its kernel is in no tree
        InstallerKind::Autoyast | InstallerKind::Agama => {
            let dir = format!("boot/{arch}");
            vec![
                beside(&format!("{dir}/loader"), "linux", "initrd"),
                beside(&dir, "linux", "initrd"),
                beside(&dir, "linux.vr", "initrd"),
            ]
        }
    }
}

/// Refuses an initrd of debian-installer that can only install from a disc.
///
/// The component `net-retriever` fetches over the network; the one for discs has `cdrom-retriever` in
/// its stead. Their names are in the archive's headers (cpio(5), "newc").
///
/// An initrd of which the tree's record says so already is not read. Returns what the tree may keep of one that was.
fn check_network_initrd(tree: &Path, initrd: &str) -> Result<Option<InitrdRecord>, Problem> {
    // as it is before it is read: a change meanwhile makes the record one of another file
    let record = InitrdRecord::of(tree, initrd).ok();
    if record
        .as_ref()
        .is_some_and(|record| record.is_kept_in(tree))
    {
        return Ok(None);
    }
    let initrd = tree.join(initrd);
    let contains = File::open(&initrd)
        .and_then(|file| contains_name(BufReader::with_capacity(1 << 17, file), "net-retriever"));
    match contains {
        Ok(true) => Ok(record),
        Ok(false) => Err(Problem::new(format!(
            "{} installs from a disc only and not over a network: put the vmlinuz and initrd.gz of \
             netboot (package debian-installer-<version>-netboot-<arch>) into install/netboot of the tree",
            initrd.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Problem::new(format!(
            "{} is truncated: copy it again, or import the medium again",
            initrd.display()
        ))),
        Err(error) => Err(Problem::new(format!(
            "reading {}: {error}",
            initrd.display()
        ))),
    }
}

/// Says whether an archive, packed with gzip or not, has an entry whose path contains a name. It is read to its end,
/// so that a truncated one is an error wherever the entry is.
fn contains_name(mut file: impl Read, name: &str) -> io::Result<bool> {
    let mut magic = [0; 2];
    file.read_exact(&mut magic)?;
    let whole = magic.chain(file);
    let mut found = false;
    let read = if magic == [0x1f, 0x8b] {
        let unpacked = MultiGzDecoder::new(whole).take(MAX_INITRD_BYTES);
        find_in_cpio(unpacked, name, &mut found)
    } else {
        find_in_cpio(whole.take(MAX_INITRD_BYTES), name, &mut found)
    };
    match read {
        // the kernel ignores padding and whatever else follows the archive
        Err(error) if found && error.kind() != io::ErrorKind::UnexpectedEof => Ok(true),
        read => read.map(|()| found),
    }
}

/// Walks the entries of a "newc" archive; archives may follow one another.
fn find_in_cpio(mut archive: impl Read, name: &str, found: &mut bool) -> io::Result<()> {
    let mut header = [0; 110];
    loop {
        // Between archives there are zeros.
        let mut first = [0; 1];
        if archive.read(&mut first)? == 0 {
            return Ok(());
        }
        if first[0] == 0 {
            continue;
        }
        header[0] = first[0];
        archive.read_exact(&mut header[1..])?;
        if &header[..5] != b"07070" {
            // What follows is packed in another way: the kernel's modules, say.
            return Ok(());
        }
        let field = |at: usize| {
            std::str::from_utf8(&header[6 + at * 8..14 + at * 8])
                .ok()
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a damaged cpio header"))
        };
        let (size, length) = (field(6)?, field(11)?);
        if length > 4096 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a cpio name of more than 4096 bytes",
            ));
        }
        let padded = |end: u64| end.next_multiple_of(4);
        let mut path = vec![0; usize::try_from(padded(110 + length) - 110).unwrap_or(0)];
        archive.read_exact(&mut path)?;
        *found |= path.windows(name.len()).any(|part| part == name.as_bytes());
        let copied = io::copy(&mut (&mut archive).take(padded(size)), &mut io::sink())?;
        if copied < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive with one file of 5 bytes under each name.
    fn cpio(names: &[&str]) -> Vec<u8> {
        let mut archive = Vec::new();
        for name in names.iter().chain(&["TRAILER!!!"]) {
            let mut entry = format!(
                "070701{:08X}{:040X}{:08X}{:032X}{:08X}{:08X}",
                0,
                0,
                5,
                0,
                name.len() + 1,
                0
            );
            entry.push_str(name);
            entry.push('\0');
            let mut entry = entry.into_bytes();
            entry.resize(entry.len().next_multiple_of(4), 0);
            entry.extend_from_slice(b"bytes\0\0\0");
            archive.extend(entry);
        }
        archive.resize(archive.len().next_multiple_of(512), 0);
        archive
    }

    fn tree(initrd: &[u8]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let dir = tree.path().join("install.amd");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("vmlinuz"), "kernel").unwrap();
        fs::write(dir.join("initrd.gz"), initrd).unwrap();
        tree
    }

    fn find(tree: &Path) -> Result<BootFiles, Problem> {
        BootFiles::find(
            tree,
            DistroFamily::Debian,
            InstallerKind::Preseed,
            Arch::X86_64,
        )
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn an_initrd_that_fetches_over_the_network_is_taken() {
        let net = cpio(&["bin/sh", "usr/lib/debian-installer/retriever/net-retriever"]);
        // A second archive after the first, as microcode comes before the initrd proper.
        let two = [cpio(&["kernel/x86/microcode"]), net.clone()].concat();
        for initrd in [gzip(&net), net, two] {
            let tree = tree(&initrd);
            let found = find(tree.path()).unwrap();
            assert_eq!(
                (found.kernel.as_str(), found.initrd.as_str()),
                ("install.amd/vmlinuz", "install.amd/initrd.gz")
            );
        }
    }

    #[test]
    fn an_initrd_that_was_read_is_read_again_when_it_differs() {
        let net = cpio(&["usr/lib/debian-installer/retriever/net-retriever"]);
        let disc = cpio(&["usr/lib/debian-installer/retriever/dvd-retriever"]);
        assert_eq!(net.len(), disc.len(), "the length alone tells nothing");
        let tree = tree(&net);
        let (root, record) = (tree.path(), tree.path().join(".slipway/initrd.json"));
        let read = || find(root).unwrap().record;
        let keep = || read().unwrap().keep_in(root);
        keep();
        assert!(
            !record.exists(),
            "a directory that was not imported stays as it is"
        );
        std::fs::create_dir(root.join(".slipway")).unwrap();
        assert!(
            read().is_some() && !record.exists(),
            "to find is not to write"
        );
        keep();
        assert_eq!(read(), None);

        let initrd = root.join("install.amd/initrd.gz");
        let before = std::fs::metadata(&initrd).unwrap().modified().unwrap();
        // in place, with the time that it had
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&initrd)
            .unwrap();
        (&file).write_all(&disc).unwrap();
        file.set_modified(before).unwrap();
        drop(file);
        assert!(
            find(root)
                .unwrap_err()
                .to_string()
                .contains("from a disc only")
        );
        // by another file
        let other = root.join("install.amd/other");
        std::fs::write(&other, &disc).unwrap();
        std::fs::rename(&other, &initrd).unwrap();
        assert!(
            find(root)
                .unwrap_err()
                .to_string()
                .contains("from a disc only")
        );
        // a record that is of something else, damaged or a link is none
        std::fs::write(&initrd, &net).unwrap();
        for text in [
            "",
            "{}",
            "not JSON",
            "{\"initrd\":\"install.amd/initrd.gz\"}",
        ] {
            std::fs::write(&record, text).unwrap();
            keep();
            assert_ne!(std::fs::read(&record).unwrap(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_record_is_believed_for_the_file_that_it_is_of() {
        // The only way to see that nothing is read: a file that would be refused if it were.
        let disc = cpio(&["usr/lib/debian-installer/retriever/dvd-retriever"]);
        let tree = tree(&disc);
        std::fs::create_dir(tree.path().join(".slipway")).unwrap();
        let record = InitrdRecord::of(tree.path(), "install.amd/initrd.gz").unwrap();
        record.keep_in(tree.path());
        find(tree.path()).unwrap();
    }

    #[test]
    fn an_initrd_for_discs_alone_is_refused() {
        let tree = tree(&gzip(&cpio(&[
            "usr/lib/debian-installer/retriever/cdrom-retriever",
        ])));
        let initrd = tree.path().join("install.amd/initrd.gz");
        assert_eq!(
            find(tree.path()).unwrap_err().to_string(),
            format!(
                "{} installs from a disc only and not over a network: put the vmlinuz and initrd.gz of netboot (package debian-installer-<version>-netboot-<arch>) into install/netboot of the tree",
                initrd.display()
            )
        );
    }

    #[test]
    fn a_tree_without_an_installer_says_where_one_was_looked_for() {
        let tree = tempfile::tempdir().unwrap();
        let refused = BootFiles::find(
            tree.path(),
            DistroFamily::Rh,
            InstallerKind::Kickstart,
            Arch::X86_64,
        );
        assert_eq!(
            refused.unwrap_err().to_string(),
            format!(
                "{} has no installer for x86_64: looked for images/pxeboot/vmlinuz",
                tree.path().display()
            )
        );
    }

    #[test]
    fn a_truncated_initrd_is_refused_wherever_it_ends() {
        let net = cpio(&["bin/sh", "usr/lib/debian-installer/retriever/net-retriever"]);
        let packed = gzip(&net);
        for initrd in [
            &net[..0],
            &net[..50],
            &net[..120],
            &net[..net.len() / 2],
            &packed[..packed.len() / 2],
            &packed[..packed.len() - 4],
        ] {
            let tree = tree(initrd);
            assert_eq!(
                find(tree.path()).unwrap_err().to_string(),
                format!(
                    "{} is truncated: copy it again, or import the medium again",
                    tree.path().join("install.amd/initrd.gz").display()
                ),
                "{} of {} bytes",
                initrd.len(),
                net.len()
            );
        }
        // padding is not a part of it
        let padded = [packed, vec![0; 512]].concat();
        assert!(find(tree(&padded).path()).is_ok());
    }

    #[test]
    fn a_damaged_initrd_is_reported() {
        let tree = tree(&b"070701".repeat(40));
        let initrd = tree.path().join("install.amd/initrd.gz");
        assert_eq!(
            find(tree.path()).unwrap_err().to_string(),
            format!(
                "reading {}: a cpio name of more than 4096 bytes",
                initrd.display()
            )
        );
    }
}
