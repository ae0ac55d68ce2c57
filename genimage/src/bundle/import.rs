//! A file into a bundle: each of its members is the one that the manifest names, in this order, with this digest.
//!
//! A path comes in; a bundle goes out whose root image is in a staging directory beside where it goes, or what is wrong.
//! Nothing leads out of that directory: names are compared, and never used as paths.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use definitions::{InstallDir, Object, OsImage, hex};
use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use super::install::{ImportRequest, definition};
use super::manifest::{BundleManifest, MANIFEST, MAX_MANIFEST, Member, SIGNATURE};
use super::{Bundle, BundleFile, MAX_BYTES, MAX_FILE, StagedImage, xcat};
use crate::rootimg::build::{STAGING, lock, remove_leftovers};
use crate::rootimg::container::{open_regular, spool};
use crate::rootimg::record::{RootImageDir, RootImageRecord};
use crate::vouch::MAX_SIGNATURE;

/// How gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a bundle of ours, or as much as carries over of one of xCAT's.
///
/// # Errors
/// When it is damaged, has more or less than it says, is another one than `sha256`, or nobody vouches for it.
pub(crate) fn read(
    path: &Path,
    request: &ImportRequest,
    installdir: &InstallDir,
) -> Result<Bundle> {
    let reading = || format!("reading {}", path.display());
    let staging = installdir.path();
    fs::create_dir_all(staging).with_context(|| format!("making {}", staging.display()))?;
    let file = open_regular(path)?;
    let mut file = match &request.trust.sha256 {
        Some(expected) => verified(file, expected, staging).with_context(reading)?,
        None => file,
    };
    let mut begin = [0; 2];
    let known = file.read(&mut begin).with_context(reading)?;
    file.rewind().with_context(reading)?;
    if known == 2 && begin == GZIP {
        let voucher = request.trust.voucher(&[], None).with_context(reading)?;
        return xcat::read(file, voucher, staging).with_context(reading);
    }
    let mut archive = Archive::new(io::BufReader::with_capacity(1 << 18, file));
    let mut entries = archive.entries().with_context(reading)?.peekable();
    let first = entries.next().transpose().with_context(reading)?;
    let mut first = first
        .filter(|entry| *entry.path_bytes() == *MANIFEST.as_bytes())
        .with_context(|| {
            format!(
                "{}: it does not begin with {MANIFEST}: it is no bundle",
                reading()
            )
        })?;
    let text = bounded(&mut first, MAX_MANIFEST).with_context(reading)?;
    let is_signature = |entry: &io::Result<Entry<'_, _>>| {
        let entry = entry.as_ref().ok();
        entry.is_some_and(|entry| *entry.path_bytes() == *SIGNATURE.as_bytes())
    };
    let signature = match entries.next_if(is_signature).transpose() {
        Ok(Some(mut entry)) => Some(bounded(&mut entry, MAX_SIGNATURE).with_context(reading)?),
        other => other.with_context(reading)?.map(|_| Vec::new()),
    };
    let voucher = request.trust.voucher(&text, signature.as_deref());
    let voucher = voucher.with_context(reading)?;
    let manifest = BundleManifest::parse(&text).with_context(reading)?;
    let mut left = Vec::new();
    let object = definition(
        (
            &manifest.osimage,
            &manifest.attributes,
            Some(&manifest.installdir),
        ),
        request,
        installdir,
        &mut left,
    )?;
    let staged = match &manifest.image {
        Some(record) => Some(stage(record, &object, installdir)?),
        None => None,
    };
    let files = take_all(&mut entries, &manifest.members, staged.as_ref()).with_context(reading)?;
    Ok(Bundle {
        name: manifest.osimage,
        attributes: manifest.attributes,
        installdir: Some(manifest.installdir),
        files,
        scripts: manifest.scripts,
        image: staged,
        voucher,
        left,
    })
}

/// Makes the directory for a root image, beside where it goes, and locks that place.
fn stage(
    record: &RootImageRecord,
    object: &Object,
    installdir: &InstallDir,
) -> Result<StagedImage> {
    let image: OsImage = definitions::Definition::from_object(object)?;
    let directory = RootImageDir::of(&image, installdir)?;
    let path = directory.path();
    fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
    let lock = lock(path)?;
    remove_leftovers(path, STAGING)?;
    let staging = tempfile::Builder::new().prefix(STAGING).tempdir_in(path);
    let staging = staging.with_context(|| format!("making a directory in {}", path.display()))?;
    Ok(StagedImage {
        record: record.clone(),
        staging,
        lock,
    })
}

/// Fails when the next entry of an archive is not the member that the manifest names there.
fn check(member: &Member, entry: &Entry<'_, impl Read>) -> Result<()> {
    let name = entry.path_bytes();
    ensure!(
        *name == *member.path.as_bytes(),
        "it has '{}' where its manifest names {}",
        String::from_utf8_lossy(&name).escape_debug(),
        member.path
    );
    let is_file = entry.header().entry_type() == EntryType::Regular;
    ensure!(
        is_file && entry.size() == member.bytes,
        "the member {} is not a file of {} bytes",
        member.path,
        member.bytes
    );
    Ok(())
}

/// Takes all members in, and nothing else.
fn take_all<'a, R: Read + 'a>(
    entries: &mut impl Iterator<Item = io::Result<Entry<'a, R>>>,
    members: &[Member],
    staged: Option<&StagedImage>,
) -> Result<Vec<BundleFile>> {
    let mut files = Vec::new();
    for member in members {
        let taking = || format!("the member {}", member.path);
        let entry = entries.next().transpose().with_context(taking)?;
        let mut entry = entry.with_context(|| format!("{} is missing", taking()))?;
        check(member, &entry)?;
        take(member, &mut entry, staged, &mut files).with_context(taking)?;
    }
    if let Some(more) = entries.next().transpose()? {
        bail!(
            "it has '{}', which its manifest does not name",
            String::from_utf8_lossy(&more.path_bytes()).escape_debug()
        );
    }
    Ok(files)
}

/// Takes a member in, if its digest is what it should be.
fn take(
    member: &Member,
    entry: &mut impl Read,
    staged: Option<&StagedImage>,
    files: &mut Vec<BundleFile>,
) -> Result<()> {
    let digest = match (&member.named, staged) {
        (Some(named), _) => {
            let bytes = bounded(entry, MAX_FILE)?;
            let digest = hex(&Sha256::digest(&bytes));
            files.push(BundleFile {
                attribute: named.attribute.clone(),
                value: named.value.clone(),
                bytes,
            });
            digest
        }
        (None, Some(staged)) => {
            // The manifest was checked: a plain name of a file of the record.
            let name = member.path.rsplit('/').next().unwrap_or_default();
            let path = staged.staging.path().join(name);
            let mut file =
                File::create(&path).with_context(|| format!("writing {}", path.display()))?;
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 1 << 18];
            loop {
                let read = entry.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hash.update(&buffer[..read]);
                file.write_all(&buffer[..read])
                    .with_context(|| format!("writing {}", path.display()))?;
            }
            file.sync_all()?;
            hex(&hash.finalize())
        }
        (None, None) => bail!("there is no root image that it is of"),
    };
    ensure!(
        digest == member.sha256,
        "it was changed: its SHA-256 is {digest}, and should be {}",
        member.sha256
    );
    Ok(())
}

fn bounded(from: &mut impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= limit,
        "it has more than {limit} bytes"
    );
    Ok(bytes)
}

/// Copies a file that is to have a digest: whoever it belongs to may write to it after it was compared.
fn verified(mut file: File, expected: &str, staging: &Path) -> Result<File> {
    let (copy, digest) = spool(&mut file, staging, MAX_BYTES)?;
    let digest = digest.digits();
    ensure!(
        digest == expected,
        "its SHA-256 is {digest}, and should be {expected}"
    );
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_compared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bundle");
        fs::write(&path, "the bundle").unwrap();
        let digest = hex(&Sha256::digest("the bundle"));
        let mut copy = verified(File::open(&path).unwrap(), &digest, dir.path()).unwrap();
        fs::write(&path, "The bundle").unwrap();
        assert_eq!(bounded(&mut copy, 100).unwrap(), b"the bundle");
    }
}
