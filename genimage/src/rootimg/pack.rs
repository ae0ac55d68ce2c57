//! A root in the form that nodes get it: squashfs, erofs, cpio or tar, compressed, the same bytes for the same root.
//!
//! The sorted tar comes in; one file goes out. File systems are written by other people's tools, which read the tar, so
//! that owners, capabilities and devices are kept without root: tar2sqfs(1) of squashfs-tools-ng, which sets
//! the level of zstd and reads xz where sqfstar(1) of squashfs-tools does neither; mkfs.erofs(1) since 1.7. A library
//! would be preferred: those that there are write neither extended attributes nor hard links.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cpio::newc::{self, ModeFileType};
use flate2::{Compression, GzBuilder};
use lzma_rust2::{CheckType, XzOptions, XzWriter};

use super::record::{ImageCompression, ImageFormat};
use super::tree::{Entry, Kind, RootTree, shown};

/// The level of zstd: the next ones take a multiple of the time for a few percent.
const ZSTD_LEVEL: i32 = 3;
/// The level of gzip and xz, which is that of their own commands.
const LEVEL: u32 = 6;
/// The first release of mkfs.erofs that reads a tar.
const EROFS_WITH_TAR: (u32, u32) = (1, 7);
/// What names the file system of an erofs: the same for the same root.
const EROFS_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// How an image is to be packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackRequest {
    pub(crate) format: ImageFormat,
    /// The compression, where it is asked for.
    pub(crate) compression: Option<ImageCompression>,
}

/// A way to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) format: ImageFormat,
    pub(super) compression: ImageCompression,
}

impl Packing {
    /// Returns the ending of the image's name: `squashfs`, `cpio.zst`.
    pub(super) fn ending(self) -> String {
        if self.format.is_filesystem() {
            self.format.name().to_owned()
        } else {
            format!("{}.{}", self.format.name(), self.compression.ending())
        }
    }

    /// Packs a sorted tar into a file. Returns what a person should know of it.
    ///
    /// # Errors
    /// When a tool is missing or fails, or the form cannot hold what is in the root.
    pub(super) fn pack(self, tar: &Path, to: &Path, epoch: u64) -> Result<Vec<String>> {
        match self.format {
            ImageFormat::Squashfs => self.squashfs(tar, to),
            ImageFormat::Erofs => self.erofs(tar, to, epoch),
            ImageFormat::Tar => {
                let mut from = open(tar)?;
                self.compressed(to, |out| Ok(io::copy(&mut from, out).map(drop)?))?;
                Ok(Vec::new())
            }
            ImageFormat::Cpio => {
                let mut tree = RootTree::default();
                tree.read(&Arc::new(open(tar)?))?;
                let mut notes = Vec::new();
                self.compressed(to, |out| {
                    notes = cpio(&tree, out)?;
                    Ok(())
                })?;
                Ok(notes)
            }
        }
    }

    fn squashfs(self, tar: &Path, to: &Path) -> Result<Vec<String>> {
        let level = match self.compression {
            ImageCompression::Zstd => Some(format!("level={ZSTD_LEVEL}")),
            ImageCompression::Gzip => Some(format!("level={LEVEL}")),
            ImageCompression::Xz | ImageCompression::Lz4 => None,
        };
        let jobs = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut command = Command::new("tar2sqfs");
        command
            .args([
                "--quiet",
                "--no-skip",
                "--force",
                "--compressor",
                self.compression.name(),
            ])
            .args(level.iter().flat_map(|level| ["--comp-extra", level]))
            .args(["--num-jobs", &jobs.to_string()])
            .arg(to);
        let mut tree = RootTree::default();
        tree.read(&Arc::new(open(tar)?))?;
        // squashfs(5): of the namespaces of attributes it has these three.
        let lost = tree.keep_xattrs(|name| {
            let namespace = name.split('.').next().unwrap_or_default();
            ["user", "trusted", "security"].contains(&namespace)
        });
        let mut said = run(command, "squashfs-tools-ng", |input| {
            tree.write(input).map(drop)
        })?;
        said.extend(lost_note("squashfs keeps no access control lists", &lost));
        Ok(said)
    }

    fn erofs(self, tar: &Path, to: &Path, epoch: u64) -> Result<Vec<String>> {
        let version = Command::new("mkfs.erofs").arg("-V").output();
        let version = version.map_err(|error| missing(&error, "mkfs.erofs", "erofs-utils"))?;
        let said = [version.stdout, version.stderr].concat();
        let said = String::from_utf8_lossy(&said)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        ensure!(
            erofs_version(&said).is_some_and(|version| version >= EROFS_WITH_TAR),
            "mkfs.erofs -V prints '{said}', and it reads archives since version {}.{}: install a newer erofs-utils, or \
             pack squashfs",
            EROFS_WITH_TAR.0,
            EROFS_WITH_TAR.1
        );
        let method = match self.compression {
            ImageCompression::Zstd => format!("-zzstd,level={ZSTD_LEVEL}"),
            ImageCompression::Xz => format!("-zlzma,level={LEVEL}"),
            ImageCompression::Gzip => format!("-zdeflate,level={LEVEL}"),
            ImageCompression::Lz4 => "-zlz4hc".to_owned(),
        };
        let mut command = Command::new("mkfs.erofs");
        command
            .args(["--quiet", "--tar=f", &method, "-U", EROFS_UUID, "-T"])
            .arg(epoch.to_string())
            .arg(to)
            .arg(tar);
        run(command, "erofs-utils", |_| Ok(()))
    }

    /// Writes a compressed file.
    fn compressed(self, to: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let writing = || format!("writing {}", to.display());
        let file = File::create(to).with_context(writing)?;
        let file = io::BufWriter::with_capacity(1 << 18, file);
        match self.compression {
            ImageCompression::Zstd => {
                let mut out = zstd::Encoder::new(file, ZSTD_LEVEL).with_context(writing)?;
                out.include_checksum(true).with_context(writing)?;
                write(&mut out)?;
                out.finish().and_then(|mut file| file.flush())
            }
            ImageCompression::Gzip => {
                let mut out = GzBuilder::new()
                    .mtime(0)
                    .write(file, Compression::new(LEVEL));
                write(&mut out)?;
                out.finish().and_then(|mut file| file.flush())
            }
            ImageCompression::Xz => {
                let mut options = XzOptions::with_preset(LEVEL);
                // The kernel's own decoder knows no other.
                options.set_check_sum_type(CheckType::Crc32);
                let mut out = XzWriter::new(file, options).with_context(writing)?;
                write(&mut out)?;
                out.finish().and_then(|mut file| file.flush())
            }
            ImageCompression::Lz4 => bail!("an archive is not compressed as lz4"),
        }
        .with_context(writing)
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("opening {}", path.display()))
}

fn missing(error: &io::Error, program: &str, package: &str) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        anyhow::anyhow!("{program} is missing: install {package}")
    } else {
        anyhow::anyhow!("running {program}: {error}")
    }
}

/// Says which files lose something.
fn lost_note(what: &str, files: &[String]) -> Option<String> {
    let some: Vec<_> = files.iter().take(3).map(String::as_str).collect();
    (!files.is_empty()).then(|| {
        format!(
            "{what}: {} files lose theirs, such as {}",
            files.len(),
            some.join(", ")
        )
    })
}

/// Runs a tool on what `feed` writes to it; what it warns of is returned.
fn run(
    mut command: Command,
    package: &str,
    feed: impl FnOnce(ChildStdin) -> Result<()>,
) -> Result<Vec<String>> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_remove("SOURCE_DATE_EPOCH");
    let mut child = command
        .spawn()
        .map_err(|error| missing(&error, &name, package))?;
    // A tool that ends early says why; what it says fits into a pipe.
    let fed = child.stdin.take().map_or(Ok(()), feed);
    let output = child
        .wait_with_output()
        .with_context(|| format!("running {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(|line| format!("{name}: {}", line.trim()));
    let lines: Vec<_> = lines.filter(|line| !line.ends_with(": ")).collect();
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, lines.join("; "))
    }
    fed.with_context(|| format!("feeding {name}"))?;
    Ok(lines)
}

/// Reads `mkfs.erofs 1.8.2` and `mkfs.erofs (erofs-utils) 1.5`.
fn erofs_version(text: &str) -> Option<(u32, u32)> {
    let last = text.split_whitespace().last()?;
    let mut numbers = last.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Writes a root as cpio's form "newc", which the kernel unpacks. It holds no extended attributes: which files lose
/// theirs is said.
fn cpio(tree: &RootTree, out: &mut dyn Write) -> Result<Vec<String>> {
    let mut out = out;
    let mut numbers: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
    for (_, entry) in tree.entries() {
        if let Kind::File(content) = entry.kind {
            numbers.entry(content).or_default().1 += 1;
        }
    }
    let mut lost = Vec::new();
    for (next, (path, entry)) in (1..).zip(tree.entries()) {
        let adding = || format!("packing '{}'", shown(path));
        if !entry.metadata.xattrs.is_empty() {
            lost.push(format!("/{}", shown(path)));
        }
        let name = if path.is_empty() { &b"."[..] } else { path };
        let name = std::str::from_utf8(name)
            .context("cpio's names here are UTF-8")
            .with_context(adding)?;
        let mut number = next;
        let mut links = 1;
        let mut first = true;
        if let Kind::File(content) = entry.kind
            && let Some((known, count)) = numbers.get_mut(&content)
        {
            first = *known == 0;
            if first {
                *known = next;
            }
            (number, links) = (*known, *count);
        }
        let header = header(name, entry, number, links).with_context(adding)?;
        // The kernel makes the file where its content is, and links of what follows with the same number.
        let (size, mut content): (u64, Box<dyn Read + '_>) = match &entry.kind {
            Kind::File(content) if first => {
                let (size, reader) = tree.content(*content).with_context(adding)?;
                (size, Box::new(reader))
            }
            Kind::Link(target) => (target.len() as u64, Box::new(target.as_slice())),
            _ => (0, Box::new(io::empty())),
        };
        let size = u32::try_from(size)
            .context("cpio holds no file of 4 GiB")
            .with_context(adding)?;
        let mut writer = header.write(&mut out, size);
        io::copy(&mut content, &mut writer).with_context(adding)?;
        writer.finish().with_context(adding)?;
    }
    newc::trailer(&mut out).context("ending an archive")?;
    let what = "cpio keeps no capabilities and no other extended attributes";
    Ok(lost_note(what, &lost).into_iter().collect())
}

fn header(name: &str, entry: &Entry, number: u32, links: u32) -> Result<newc::Builder> {
    let metadata = &entry.metadata;
    let small = |value: u64, what: &str| {
        u32::try_from(value).with_context(|| format!("its {what} does not fit into cpio"))
    };
    let (kind, major, minor) = match entry.kind {
        Kind::Directory => (ModeFileType::Directory, 0, 0),
        Kind::File(_) => (ModeFileType::Regular, 0, 0),
        Kind::Link(_) => (ModeFileType::Symlink, 0, 0),
        Kind::Character(major, minor) => (ModeFileType::Char, major, minor),
        Kind::Block(major, minor) => (ModeFileType::Block, major, minor),
        Kind::Fifo => (ModeFileType::Fifo, 0, 0),
    };
    Ok(newc::Builder::new(name)
        .ino(number)
        .nlink(links)
        .uid(small(metadata.uid, "owner")?)
        .gid(small(metadata.gid, "group")?)
        .mtime(small(metadata.mtime, "time")?)
        .rdev_major(major)
        .rdev_minor(minor)
        .mode(metadata.mode)
        .set_mode_file_type(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_mkfs_erofs_is_read_in_both_its_forms() {
        for (text, expected) in [
            ("mkfs.erofs 1.8.2", Some((1, 8))),
            ("mkfs.erofs (erofs-utils) 1.5", Some((1, 5))),
            ("mkfs.erofs 1.7-rc1", Some((1, 7))),
            ("", None),
        ] {
            assert_eq!(erofs_version(text), expected, "{text}");
        }
    }
}
