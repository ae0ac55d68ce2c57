//! The pipeline of `packimage`: packed, published with its record, and what no node names any more removed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::{InstallDir, OsImage, ProvMethod};
use sha2::{Digest, Sha256};

use super::build::{STAGING, lock};
use super::decoders::ImageReader;
use super::initrd_file::{self, InitrdParts};
use super::pack::{PackRequest, Packing};
use super::record::{FileRecord, RootImageDir, RootImageRecord, VerityRecord};
use super::root::{self, RootRecord, publish_bytes, remove_leftovers};
use super::verity::HashTree;
use crate::vouch::SiteKey;

/// The largest asset of a node that may name an image.
const MAX_ASSET: u64 = 1 << 20;

/// What became of an image.
#[derive(Debug)]
pub(crate) struct PackOutcome {
    pub(crate) record: RootImageRecord,
    pub(crate) changed: bool,
    /// Whether the site's key signed its record.
    pub(crate) is_signed: bool,
    pub(crate) removed: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Packs the root of an osimage, unless it is packed so already, and removes what nothing names.
///
/// # Errors
/// When there is no root, or it cannot be packed; then the image that was there stays.
pub(crate) fn publish(
    image: &OsImage,
    installdir: &InstallDir,
    request: PackRequest,
    site: Option<&SiteKey>,
) -> Result<PackOutcome> {
    let name = &image.name;
    let method = image.provmethod.unwrap_or(ProvMethod::Install);
    anyhow::ensure!(
        method == ProvMethod::Netboot,
        "the osimage {name} has provmethod={method}: only a root image (provmethod=netboot) is packed"
    );
    let directory = RootImageDir::of(image, installdir)?;
    let built = || format!("the osimage {name} has no root image yet: genimage {name} builds it");
    anyhow::ensure!(directory.path().is_dir(), built());
    let _lock = lock(directory.path())?;
    let root = RootRecord::load(&directory)?.with_context(built)?;
    anyhow::ensure!(
        root.osimage == *name,
        "the root in {} is that of the osimage {}: genimage {name}, or give one of them a rootimgdir of its own",
        directory.path().display(),
        root.osimage
    );
    let format = request.format;
    let compression = ImageReader {
        release: &root.kernel_version,
        options: root.kernel_options.as_ref(),
    }
    .choose(format, request.compression)?;
    let packing = Packing {
        format,
        compression,
    };
    // What the site did not sign is packed again, and not signed as it is.
    let old = directory.load_vouched(site).ok().flatten();
    let mut notes = Vec::new();
    let is_current = |record: &RootImageRecord| {
        let same = record.packed_from == root.tar.sha256 && record.built_from == root.built_from;
        let packed_so = record.format == format && record.compression == Some(compression);
        same && packed_so && record.verity.is_some() == format.is_filesystem()
    };
    let staging = make_staging(directory.path())?;
    let mut record = match old.clone().filter(is_current) {
        Some(record) => record,
        None => {
            if site.is_some() {
                directory.require_own([root::RECORD, &root.tar.file])?;
                let remedy = format!("genimage --rebuild {name}");
                directory.check_digest(&root.tar, &remedy)?;
            }
            let (image, verity) = pack(&directory, staging.path(), &root, packing, &mut notes)
                .with_context(|| format!("packing the root image of {name}"))?;
            RootImageRecord {
                osimage: name.clone(),
                built_from: root.built_from.clone(),
                packed_from: root.tar.sha256.clone(),
                format,
                compression: Some(compression),
                image,
                unpacked_bytes: root.unpacked_bytes,
                kernel_version: root.kernel_version.clone(),
                kernel: root.kernel.clone(),
                initrd: None,
                initrd_from: None,
                manifest: root.manifest.clone(),
                verity,
            }
        }
    };
    let made = initrd_file::program(installdir).and_then(|program| {
        let parts = InitrdParts {
            root: &root,
            image,
            program: &program,
        };
        initrd_file::ensure(&directory, staging.path(), &parts, &mut record)
    });
    if let Err(error) = made {
        record.initrd = None;
        notes.push(format!(
            "{name} has no initrd, and nodeset refuses it until packimage can make one: {error:#}"
        ));
    }
    let changed = old.as_ref() != Some(&record);
    let signature = directory.publish(&record, site)?;
    let is_signed = signature.is_some();
    let own = [&root.tar, &root.kernel, &root.manifest];
    let used = own.into_iter().chain(record.files());
    let used = used.map(|file| file.file.clone()).chain(signature);
    let removed = remove_unused(&directory, installdir, &used.collect())?;
    Ok(PackOutcome {
        record,
        changed,
        is_signed,
        removed,
        notes,
    })
}

/// Makes a directory for what is not complete yet.
fn make_staging(directory: &Path) -> Result<tempfile::TempDir> {
    remove_leftovers(directory, STAGING)?;
    tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(directory)
        .with_context(|| format!("making a directory in {}", directory.display()))
}

fn pack(
    directory: &RootImageDir,
    staging: &Path,
    root: &RootRecord,
    packing: Packing,
    notes: &mut Vec<String>,
) -> Result<(FileRecord, Option<VerityRecord>)> {
    let path = directory.path();
    let packed = staging.join("image");
    notes.extend(packing.pack(&directory.file(&root.tar), &packed, root.epoch)?);
    let mut file = fs::File::open(&packed).context("reading what was packed")?;
    let ending = packing.ending();
    let image = publish_bytes(staging, path, ("rootimg", Some(&ending)), &mut file)?;
    let is_filesystem = packing.format.is_filesystem();
    let verity = is_filesystem.then(|| verity(directory, staging, &image));
    let verity = verity.transpose().context("making its hash tree")?;
    Ok((image, verity))
}

/// Publishes the hash tree of an image; the same image has the same salt.
fn verity(directory: &RootImageDir, staging: &Path, image: &FileRecord) -> Result<VerityRecord> {
    let path = directory.file(image);
    let file = fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let salt = Sha256::digest(&image.sha256).into();
    let tree = HashTree::of(&mut io::BufReader::with_capacity(1 << 18, file), &salt)
        .with_context(|| format!("reading {}", path.display()))?;
    let name = ("rootimg", Some("verity"));
    let file = publish_bytes(staging, directory.path(), name, &mut tree.bytes.as_slice())?;
    Ok(VerityRecord {
        tree: file,
        root_hash: tree.root_hash,
        salt: tree.salt,
        data_blocks: tree.data_blocks,
    })
}

/// Removes images, kernels, initrds and signatures of this directory that are neither used nor named by a node's assets.
fn remove_unused(
    directory: &RootImageDir,
    installdir: &InstallDir,
    used: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut unused = Vec::new();
    let reading = || format!("reading {}", directory.path().display());
    for entry in fs::read_dir(directory.path()).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if is_digest_named(&name) && !used.contains(&name) {
            unused.push(name);
        }
    }
    unused.sort();
    if !unused.is_empty() {
        let named = named_by_nodes(&installdir.autoinst(), &unused)?;
        unused.retain(|name| !named.contains(name));
    }
    for name in &unused {
        let path = directory.path().join(name);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(unused)
}

/// Whether a file has a name of ours: a stem, 16 digits of a digest, and perhaps an ending.
fn is_digest_named(name: &str) -> bool {
    let mut parts = name.splitn(3, '.');
    let stem = parts.next().unwrap_or_default();
    let digest = parts.next().unwrap_or_default();
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    ["rootimg", "root", "kernel", "initrd"].contains(&stem)
        && digest.len() == 16
        && digest.bytes().all(digit)
}

/// Returns those of the names that some node's assets have.
fn named_by_nodes(autoinst: &Path, names: &[String]) -> Result<BTreeSet<String>> {
    let reading = || format!("reading what nodes boot, below {}", autoinst.display());
    let mut found = BTreeSet::new();
    let nodes = match fs::read_dir(autoinst) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        nodes => nodes.with_context(reading)?,
    };
    for node in nodes {
        let node = node.with_context(reading)?;
        if !node.file_type().with_context(reading)?.is_dir() {
            continue;
        }
        for file in fs::read_dir(node.path()).with_context(reading)? {
            let file = file.with_context(reading)?;
            let meta = file.metadata().with_context(reading)?;
            if !meta.is_file() || meta.len() > MAX_ASSET {
                continue;
            }
            let bytes = fs::read(file.path()).with_context(reading)?;
            let text = String::from_utf8_lossy(&bytes);
            found.extend(names.iter().filter(|name| text.contains(*name)).cloned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_ours_are_named_by_a_digest() {
        for (name, expected) in [
            ("rootimg.0123456789abcdef.squashfs", true),
            ("rootimg.0123456789abcdef.tar.zst", true),
            ("rootimg.0123456789abcdef.verity", true),
            ("kernel.0123456789abcdef", true),
            ("rootimg.json", false),
            ("rootimg.gz", false),
            ("kernel.0123456789ABCDEF", false),
            ("mine.0123456789abcdef", false),
        ] {
            assert_eq!(is_digest_named(name), expected, "{name}");
        }
    }

    #[test]
    fn an_image_is_kept_while_a_node_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "kernel.0123456789abcdef".to_owned(),
            "kernel.fedcba9876543210".to_owned(),
        ];
        assert!(
            named_by_nodes(&dir.path().join("none"), &names)
                .unwrap()
                .is_empty()
        );
        fs::create_dir(dir.path().join("n1")).unwrap();
        let text = "kernel http://10.1.0.1/install/netboot/debian12/x86_64/compute/kernel.0123456789abcdef quiet\n";
        fs::write(dir.path().join("n1/boot.ipxe"), text).unwrap();
        let named = named_by_nodes(dir.path(), &names).unwrap();
        assert_eq!(named.into_iter().collect::<Vec<_>>(), names[..1]);
    }
}
