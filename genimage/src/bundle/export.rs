//! An osimage into one file: its definition, the files that it names, and its packed root image.
//!
//! Definitions and files come in; an archive goes out, the same bytes for the same input, with the manifest first and the site's signature of it, if it
//! has a key, next.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use definitions::{AtomicFile, Catalog, Node, Object, ObjectKind, OsImage, ProvMethod, hex};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::manifest::{
    BundleManifest, MANIFEST, Member, Named, NodeScripts, SIGNATURE, image_path,
};
use super::{FILE_ATTRIBUTES, MAX_FILE, plain, split_value};
use crate::image;
use crate::library::{AssetKind, AssetOrigin, Library};
use crate::rootimg::record::RootImageDir;
use crate::vouch::SiteKey;

/// What was written.
#[derive(Debug)]
pub(crate) struct ExportOutcome {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) members: usize,
    /// Whether the site's key signed its manifest.
    pub(crate) is_signed: bool,
    pub(crate) notes: Vec<String>,
}

/// Where the bytes of a member are.
#[derive(Debug)]
enum MemberContent {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Writes an osimage into a file that does not exist yet.
///
/// # Errors
/// When there is no such osimage, what it names cannot be read, or a file is another one than its record says.
pub(crate) fn export(
    catalog: &Catalog,
    library: &Library,
    name: &str,
    node: Option<&str>,
    to: &Path,
) -> Result<ExportOutcome> {
    let site = SiteKey::of(catalog)?;
    let image: OsImage = catalog.load(name)?;
    let mut objects = catalog.objects(ObjectKind::OsImage)?.into_iter();
    let object = objects
        .find(|object| object.name() == name)
        .with_context(|| format!("finding the osimage {name}"))?;
    let installdir = catalog.site()?.install_dir();
    let mut manifest = BundleManifest::new(
        name,
        object.to_json(),
        &installdir.path().display().to_string(),
    );
    let mut notes = Vec::new();
    let mut contents = named_files(&object, &image, library, &mut manifest, &mut notes)?;
    if let Some(node) = node {
        let node: Node = catalog.nodes()?.node(node)?;
        manifest.scripts = Some(NodeScripts {
            postscripts: node.postscripts,
            postbootscripts: node.postbootscripts,
        });
    }
    if image.provmethod == Some(ProvMethod::Netboot) {
        let directory = RootImageDir::of(&image, &installdir)?;
        let record = directory.load_vouched(site.as_ref())?.with_context(|| {
            format!("the osimage {name} has no packed root image: packimage {name} makes it")
        })?;
        ensure!(
            record.osimage == name,
            "{} holds the image of {}, not of {name}: packimage {name} makes one of it",
            directory.path().display(),
            record.osimage
        );
        for file in record.files() {
            manifest.members.push(Member {
                path: image_path(&file.file),
                sha256: file.sha256.clone(),
                bytes: file.bytes,
                named: None,
            });
            contents.push(MemberContent::File(directory.file(file)));
        }
        manifest.image = Some(record);
    }
    let (bytes, sha256) = write(&manifest, contents, site.as_ref(), to)
        .with_context(|| format!("writing {}", to.display()))?;
    Ok(ExportOutcome {
        path: to.to_owned(),
        bytes,
        sha256,
        members: manifest.members.len(),
        is_signed: site.is_some(),
        notes,
    })
}

/// Reads the files that the attributes name; what is built in is on every management node.
fn named_files(
    object: &Object,
    image: &OsImage,
    library: &Library,
    manifest: &mut BundleManifest,
    notes: &mut Vec<String>,
) -> Result<Vec<MemberContent>> {
    let mut contents = Vec::new();
    for attribute in FILE_ATTRIBUTES {
        let values = object
            .value(attribute)
            .map_or(&[][..], |value| value.entries());
        for value in values {
            let (_, path) = split_value(value);
            let Some(path) = located(attribute, path, image, library)? else {
                continue;
            };
            let reading = || format!("reading {attribute} {}", path.display());
            let found = fs::metadata(&path).with_context(reading)?;
            ensure!(
                found.is_file() && found.len() <= MAX_FILE,
                "{}: it is not a file of at most {MAX_FILE} bytes",
                reading()
            );
            let bytes = fs::read(&path).with_context(reading)?;
            notes.extend(beside(attribute, &path, &bytes));
            let stem = path.file_name().unwrap_or_default().to_string_lossy();
            manifest.members.push(Member {
                path: format!("files/{attribute}/{}-{}", contents.len(), plain(&stem)),
                sha256: hex(&Sha256::digest(&bytes)),
                bytes: bytes.len() as u64,
                named: Some(Named {
                    attribute: attribute.to_owned(),
                    value: value.clone(),
                }),
            });
            contents.push(MemberContent::Bytes(bytes));
        }
    }
    Ok(contents)
}

/// Finds the file that an attribute names; `None` for what is built in.
fn located(
    attribute: &str,
    name: &str,
    image: &OsImage,
    library: &Library,
) -> Result<Option<PathBuf>> {
    if name.starts_with('/') {
        return Ok(Some(name.into()));
    }
    let kind = match attribute {
        "template" => AssetKind::Template,
        "pkglist" => AssetKind::PkgList,
        "otherpkglist" => AssetKind::OtherPkgList,
        _ => anyhow::bail!("the {attribute} '{name}' is not an absolute path"),
    };
    let first = |problems: Vec<crate::problem::Problem>| {
        let problem = problems.first().map(ToString::to_string);
        anyhow::Error::msg(problem.unwrap_or_default())
    };
    let (_, family) = image::target(image).map_err(first)?;
    let asset = library.named(kind, family, name);
    let asset = asset.map_err(|problem| anyhow::Error::msg(problem.to_string()))?;
    Ok(match asset.origin {
        AssetOrigin::Custom(path) => Some(path),
        AssetOrigin::Embedded(_) => None,
    })
}

/// Says what of a file stays here.
fn beside(attribute: &str, path: &Path, bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let path = path.display();
    if attribute == "synclists" {
        Some(format!(
            "the files that {path} names do not go along: they are in the root image, but needed to build another"
        ))
    } else if text.contains("#INCLUDE:") {
        Some(format!("what {path} includes does not go along"))
    } else {
        None
    }
}

/// Writes the archive; returns its size and its digest.
fn write(
    manifest: &BundleManifest,
    contents: Vec<MemberContent>,
    site: Option<&SiteKey>,
    to: &Path,
) -> Result<(u64, String)> {
    let file = AtomicFile::create(to, 0o644)?;
    let mut builder = Builder::new(HashingWriter {
        inner: file,
        hash: Sha256::new(),
        bytes: 0,
    });
    let text = serde_json::to_string_pretty(manifest)? + "\n";
    append(
        &mut builder,
        MANIFEST,
        text.len() as u64,
        &mut text.as_bytes(),
    )?;
    if let Some(site) = site {
        let signature = site.sign(text.as_bytes()).context("signing its manifest")?;
        append(
            &mut builder,
            SIGNATURE,
            signature.len() as u64,
            &mut signature.as_bytes(),
        )?;
    }
    for (member, content) in manifest.members.iter().zip(contents) {
        let mut reader: Box<dyn Read> = match content {
            MemberContent::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            MemberContent::File(path) => {
                let opening = || format!("opening {}", path.display());
                Box::new(File::open(&path).with_context(opening)?)
            }
        };
        let mut hashing = MemberReader {
            inner: reader.as_mut(),
            hash: Sha256::new(),
        };
        append(&mut builder, &member.path, member.bytes, &mut hashing)?;
        let digest = hex(&hashing.hash.finalize());
        ensure!(
            digest == member.sha256,
            "{} is another file than its record says: its SHA-256 is {digest}, and should be {}",
            member.path,
            member.sha256
        );
    }
    let done = builder.into_inner()?;
    match done.inner.commit_new() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            anyhow::bail!("it exists already: name another file")
        }
        committed => committed?,
    }
    Ok((done.bytes, hex(&done.hash.finalize())))
}

fn append(
    builder: &mut Builder<HashingWriter>,
    path: &str,
    bytes: u64,
    reader: &mut dyn Read,
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(bytes);
    header.set_mtime(0);
    header.set_cksum();
    let mut reader = reader.take(bytes);
    builder.append(&header, &mut reader)?;
    ensure!(
        reader.limit() == 0,
        "{path} is shorter than its record says"
    );
    Ok(())
}

/// Hashes what is written.
struct HashingWriter {
    inner: AtomicFile,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read.
struct MemberReader<'a> {
    inner: &'a mut dyn Read,
    hash: Sha256,
}

impl Read for MemberReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
