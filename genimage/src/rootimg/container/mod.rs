//! A container image as the root of machines: found, verified, merged, and made a host's.
//!
//! ```text
//! source (where is it?) ─> store, registry (its blobs, each verified) ─> manifest (which of them?)
//!      ─> tree::layer (one tree) ─> release (of the osimage's?), host, network (as a machine's) ─> boot_check (can it boot?)
//! ```
//!
//! Nothing of an image is unpacked here, and nothing of it runs: it becomes entries of a tree. Its packages are the
//! package manager's business, in the namespace.

pub(super) mod boot_check;
pub(super) mod host;
mod manifest;
pub(super) mod network;
mod registry;
pub(super) mod release;
mod source;
mod store;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use definitions::Arch;

pub(crate) use source::ContainerSource;

pub(crate) use super::tree::RootTree;
use manifest::{Document, ImageConfig, SavedImage, choose};
use registry::RegistryBlobs;
use source::BlobDigest;
use store::{ArchiveFiles, BlobName, BlobStore, LayoutDirectory, document, layer};
pub(crate) use store::{open_regular, spool, unpacked};

/// How deep indices name further ones.
const MAX_DEPTH: usize = 4;

/// An image whose manifest was read and verified.
#[derive(Debug)]
pub(super) struct ContainerImage {
    store: Box<dyn BlobStore>,
    layers: Vec<ImageLayer>,
    /// What names all of it: the digest of the manifest, or of the configuration that names each layer's.
    pub(super) digest: BlobDigest,
    /// Whether it says that bootc(8) boots it.
    pub(super) is_bootc: bool,
}

#[derive(Debug)]
struct ImageLayer {
    blob: BlobName,
    diff_id: BlobDigest,
}

impl ContainerImage {
    /// Finds the image of an architecture. What is packed is unpacked into `staging`, up to `limit` bytes.
    ///
    /// # Errors
    /// When it is not there, not an image, or another one than its digest says.
    pub(super) fn open(
        source: &ContainerSource,
        arch: Arch,
        staging: &Path,
        limit: u64,
    ) -> Result<Self> {
        match source {
            ContainerSource::OciLayout(path) => {
                ensure!(
                    path.is_dir(),
                    "{} is not a directory: an archive of one is docker-archive:FILE",
                    path.display()
                );
                Self::of_layout(Box::new(LayoutDirectory(path.clone())), arch)
            }
            ContainerSource::DockerArchive(path) => {
                let mut files = RootTree::default();
                let archive = unpacked(open_regular(path)?, staging, limit);
                files.read(&archive.with_context(|| format!("reading {}", path.display()))?)?;
                let has = |name: &[u8]| files.entry(name).is_some();
                let (saved, layout) = (has(b"manifest.json"), has(b"index.json"));
                let store = Box::new(ArchiveFiles(files));
                match (saved, layout) {
                    (true, _) => Self::of_saved(store, arch),
                    (false, true) => Self::of_layout(store, arch),
                    (false, false) => bail!(
                        "{} has neither a manifest.json nor an index.json: make it by docker save or skopeo copy",
                        path.display()
                    ),
                }
            }
            ContainerSource::Registry(image) => {
                let store = RegistryBlobs::new(image)?;
                let first = BlobName::of_digest(&image.digest, None);
                Self::of_manifest(Box::new(store), first, arch)
            }
        }
    }

    fn of_layout(store: Box<dyn BlobStore>, arch: Arch) -> Result<Self> {
        let index = BlobName {
            name: "index.json".to_owned(),
            digest: None,
            size: None,
        };
        Self::of_manifest(store, index, arch)
    }

    /// Goes from an index to the manifest of an architecture, and from that to layers.
    fn of_manifest(store: Box<dyn BlobStore>, first: BlobName, arch: Arch) -> Result<Self> {
        let mut blob = first;
        for _ in 0..MAX_DEPTH {
            let (bytes, digest) = document(store.open_manifest(&blob.name), &blob)?;
            match Document::parse(&bytes)? {
                Document::Index(images) => {
                    let chosen = choose(images, arch)?;
                    blob = BlobName::of_digest(&chosen.digest, Some(chosen.size));
                }
                Document::Manifest { config, layers } => {
                    let name = BlobName::of_digest(&config.digest, Some(config.size));
                    let (bytes, _) = document(store.open(&name.name), &name)?;
                    let config = ImageConfig::parse(&bytes, arch, layers.len())?;
                    let blobs = layers
                        .iter()
                        .map(|layer| BlobName::of_digest(&layer.digest, Some(layer.size)));
                    return Ok(Self::new(store, blobs.collect(), config, digest));
                }
            }
        }
        bail!("its indices name further ones, {MAX_DEPTH} deep")
    }

    fn of_saved(store: Box<dyn BlobStore>, arch: Arch) -> Result<Self> {
        let file = |name: &str, digest| BlobName {
            name: name.to_owned(),
            digest,
            size: None,
        };
        let name = file("manifest.json", None);
        let (bytes, _) = document(store.open(&name.name), &name)?;
        let saved = SavedImage::parse(&bytes)?;
        let name = file(&saved.config, saved.named_digest());
        let (bytes, digest) = document(store.open(&name.name), &name)?;
        let config = ImageConfig::parse(&bytes, arch, saved.layers.len())?;
        // The configuration has the digest of what each of them unpacks to.
        let blobs = saved.layers.iter().map(|layer| file(layer, None));
        Ok(Self::new(store, blobs.collect(), config, digest))
    }

    fn new(
        store: Box<dyn BlobStore>,
        blobs: Vec<BlobName>,
        config: ImageConfig,
        digest: BlobDigest,
    ) -> Self {
        let is_bootc = config.is_bootc();
        let pairs = blobs.into_iter().zip(config.rootfs.diff_ids);
        Self {
            store,
            layers: pairs
                .map(|(blob, diff_id)| ImageLayer { blob, diff_id })
                .collect(),
            digest,
            is_bootc,
        }
    }

    /// Merges the layers, which have at most `limit` bytes together; their contents stay in files without a name.
    ///
    /// # Errors
    /// When a layer is missing, another one than its digest says, too large, or leads out of the root.
    pub(super) fn tree(&self, staging: &Path, limit: u64) -> Result<RootTree> {
        let mut tree = RootTree::default();
        let mut left = limit;
        for (number, one) in (1..).zip(&self.layers) {
            let merging = || format!("layer {number} of {}", self.layers.len());
            let file = layer(self.store.as_ref(), &one.blob, &one.diff_id, staging, left)
                .with_context(merging)?;
            left = left.saturating_sub(file.metadata().with_context(merging)?.len());
            tree.read_layer(&file).with_context(merging)?;
        }
        Ok(tree)
    }
}
