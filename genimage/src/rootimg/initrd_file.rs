//! The initrd of a root image, made from the modules in the root and the program that ships with Slipway.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use definitions::{InstallDir, OsImage, RootFsType, hex};
use sha2::{Digest, Sha256};

use super::record::{ImageFormat, RootImageDir, RootImageRecord};
use super::root::{RootRecord, open, publish_bytes};
use super::tree::RootTree;
use crate::initrd::{self, InitrdRequest};
use crate::shipped;

/// The program's name.
const PROGRAM: &str = "netboot";
/// What is counted up when the same parts make another initrd.
const VERSION: &str = "2";
/// The most bytes of a file of the root that is read for it.
const MAX_FILE: u64 = 64 << 20;

/// Finds the program.
///
/// # Errors
/// When it is not there, with where it was looked for.
pub(super) fn program(installdir: &InstallDir) -> Result<Vec<u8>> {
    let places = [shipped::home(), Some(installdir.postscripts())];
    let places: Vec<PathBuf> = places.into_iter().flatten().collect();
    for place in &places {
        let path = place.join(PROGRAM);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => return read.with_context(|| format!("reading {}", path.display())),
        }
    }
    let places: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    anyhow::bail!(
        "the program {PROGRAM} is not in {}: `make install` or the package puts it there",
        places.join(" nor in ")
    )
}

/// What an initrd is made from.
pub(super) struct InitrdParts<'a> {
    pub(super) root: &'a RootRecord,
    pub(super) image: &'a OsImage,
    /// The program that it runs.
    pub(super) program: &'a [u8],
}

/// Makes the initrd of a record, unless it has the one that would be made.
///
/// # Errors
/// When the root has no kernel that can boot it, or something cannot be read or written.
pub(super) fn ensure(
    directory: &RootImageDir,
    staging: &Path,
    parts: &InitrdParts<'_>,
    record: &mut RootImageRecord,
) -> Result<()> {
    let InitrdParts {
        root,
        image,
        program,
    } = *parts;
    let mut hash = Sha256::new();
    for part in [VERSION, &root.tar.sha256, &record.format.to_string()] {
        hash.update(part);
        hash.update([0]);
    }
    for driver in &image.netdrivers {
        hash.update(driver);
        hash.update([0]);
    }
    hash.update(program);
    let from = hex(&hash.finalize());
    if record.initrd.is_some() && record.initrd_from.as_deref() == Some(&from) {
        return Ok(());
    }
    let mut tree = RootTree::default();
    tree.read(&open(&directory.file(&root.tar))?)?;
    let read = |path: &str| {
        let Some((size, mut content)) = tree.open(path.as_bytes()) else {
            return Ok(None);
        };
        let reading = || format!("reading {path} of the root");
        ensure!(
            size <= MAX_FILE,
            "{}: it has more than {MAX_FILE} bytes",
            reading()
        );
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).with_context(reading)?;
        Ok(Some(bytes))
    };
    let request = InitrdRequest {
        program,
        release: &root.kernel_version,
        fs_type: match record.format {
            ImageFormat::Erofs => RootFsType::Erofs,
            _ => RootFsType::Squashfs,
        },
        drivers: &image.netdrivers,
    };
    let rendered = initrd::render(request, &read)?;
    let mut rendered = rendered.as_slice();
    let file = publish_bytes(staging, directory.path(), ("initrd", None), &mut rendered)?;
    record.initrd = Some(file);
    record.initrd_from = Some(from);
    Ok(())
}
