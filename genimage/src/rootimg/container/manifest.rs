//! What an image says of itself: index, manifest, configuration, and the older list of `docker save`.
//!
//! JSON of somebody else's comes in; which blobs an image has goes out. Pure.
//!
//! Reference: OCI image format 1.1, "Image Index", "Image Manifest", "Image Configuration"; Docker image manifest
//! version 2 schema 2; Docker image specification 1.2 for `manifest.json`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use definitions::Arch;
use serde::Deserialize;

use super::source::BlobDigest;

/// The most layers that an image has.
const MAX_LAYERS: usize = 1000;

/// What names a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub(super) media_type: String,
    pub(super) digest: BlobDigest,
    pub(super) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// A document of a registry or a layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Images for several architectures.
    Index(Vec<Descriptor>),
    /// One image.
    Manifest {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
}

/// Both in one, since media types are what a server says they are.
#[derive(Deserialize)]
struct Either {
    #[serde(rename = "schemaVersion")]
    version: u32,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    /// Parses an index or a manifest.
    ///
    /// # Errors
    /// When it is neither, or both.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let either: Either = serde_json::from_slice(bytes).context("parsing a manifest")?;
        ensure!(
            either.version == 2,
            "the manifest has the schema version {}, and 2 is known: have the image pushed again by a current tool",
            either.version
        );
        match (either.manifests, either.config, either.layers) {
            (Some(manifests), None, None) => Ok(Self::Index(manifests)),
            (None, Some(config), Some(layers)) => {
                ensure!(
                    layers.len() <= MAX_LAYERS,
                    "the image has more than {MAX_LAYERS} layers"
                );
                for layer in &layers {
                    let kind = &layer.media_type;
                    ensure!(
                        !kind.contains("encrypted") && !kind.contains("foreign"),
                        "the layer {} is of the kind {}, which only its owner can read or give away",
                        layer.digest,
                        kind.escape_debug()
                    );
                }
                Ok(Self::Manifest { config, layers })
            }
            _ => bail!("the manifest is neither of one image nor of several"),
        }
    }
}

/// Returns how images name an architecture, which is how Go does.
pub(super) fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::X86 => "386",
        Arch::Aarch64 => "arm64",
        Arch::Armv7l | Arch::Armel | Arch::Arm => "arm",
        Arch::Mips64el => "mips64le",
        Arch::Mipsel => "mipsle",
        Arch::Loongarch64 => "loong64",
        other => other.name(),
    }
}

/// Chooses the image of an architecture.
///
/// # Errors
/// When there is none, with those that there are, or when several could be meant.
pub(super) fn choose(images: Vec<Descriptor>, arch: Arch) -> Result<Descriptor> {
    let wanted = architecture(arch);
    let all: Vec<String> = images
        .iter()
        .map(|image| {
            match (
                &image.platform,
                image.annotations.get("org.opencontainers.image.ref.name"),
            ) {
                (Some(platform), _) => format!("{}/{}", platform.os, platform.architecture),
                (None, Some(name)) => name.clone(),
                (None, None) => image.digest.to_string(),
            }
        })
        .collect();
    let all = all.join(", ").escape_debug().to_string();
    let fits = |image: &Descriptor| match &image.platform {
        Some(platform) => platform.os == "linux" && platform.architecture == wanted,
        None => true,
    };
    let mut fitting = images.into_iter().filter(fits);
    let first = fitting
        .next()
        .with_context(|| format!("there is no image for linux/{wanted}, but for {all}"))?;
    ensure!(
        first.platform.is_some() || fitting.next().is_none(),
        "there are several images ({all}): copy the one that is meant into a layout of its own, by skopeo copy"
    );
    Ok(first)
}

/// What a configuration says.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ImageConfig {
    pub(super) architecture: String,
    pub(super) os: String,
    pub(super) rootfs: RootFs,
    #[serde(default)]
    config: Option<RunConfig>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct RootFs {
    /// The digest of each layer, unpacked.
    pub(super) diff_ids: Vec<BlobDigest>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct RunConfig {
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

impl ImageConfig {
    /// Parses a configuration.
    ///
    /// # Errors
    /// When it is not one, is of another architecture, or of another number of layers.
    pub(super) fn parse(bytes: &[u8], arch: Arch, layers: usize) -> Result<Self> {
        let config: Self = serde_json::from_slice(bytes).context("parsing the configuration")?;
        let wanted = architecture(arch);
        ensure!(
            config.os == "linux" && config.architecture == wanted,
            "the image is for {}/{}, and the osimage for linux/{wanted}",
            config.os.escape_debug(),
            config.architecture.escape_debug()
        );
        ensure!(
            config.rootfs.diff_ids.len() == layers && layers <= MAX_LAYERS,
            "the image has {layers} layers, and its configuration names {}",
            config.rootfs.diff_ids.len()
        );
        Ok(config)
    }

    /// Whether its labels say that it boots by bootc(8).
    pub(super) fn is_bootc(&self) -> bool {
        let labels = self
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        labels.is_some_and(|labels| {
            let set = |name: &str| {
                labels
                    .get(name)
                    .is_some_and(|value| value == "1" || value == "true")
            };
            set("containers.bootc") || set("ostree.bootable")
        })
    }
}

/// An image of `docker save`: files of the archive.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct SavedImage {
    #[serde(rename = "Config")]
    pub(super) config: String,
    #[serde(rename = "Layers")]
    pub(super) layers: Vec<String>,
}

impl SavedImage {
    /// Parses `manifest.json`, which has one image.
    ///
    /// # Errors
    /// When it is not such a list, or has another number of them.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut images: Vec<Self> =
            serde_json::from_slice(bytes).context("parsing manifest.json")?;
        ensure!(
            images.len() == 1,
            "the archive has {} images: docker save one of them",
            images.len()
        );
        images.pop().context("finding the image")
    }

    /// Returns the digest that the name of the configuration says, if it says one.
    pub(super) fn named_digest(&self) -> Option<BlobDigest> {
        let name = self
            .config
            .strip_prefix("blobs/sha256/")
            .unwrap_or(&self.config);
        let digits = name.strip_suffix(".json").unwrap_or(name);
        format!("sha256:{digits}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(platform: &str) -> String {
        format!(
            r#"{{"digest": "sha256:{}", "size": 1{platform}}}"#,
            "0a".repeat(32)
        )
    }

    fn images(platforms: &[&str]) -> Vec<Descriptor> {
        let list: Vec<_> = platforms
            .iter()
            .map(|platform| descriptor(platform))
            .collect();
        let text = format!(
            r#"{{"schemaVersion": 2, "manifests": [{}]}}"#,
            list.join(",")
        );
        match Document::parse(text.as_bytes()).unwrap() {
            Document::Index(images) => images,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_image_is_chosen_by_architecture() {
        let arm = r#", "platform": {"os": "linux", "architecture": "arm64"}"#;
        let amd = r#", "platform": {"os": "linux", "architecture": "amd64"}"#;
        let other = r#", "platform": {"os": "unknown", "architecture": "unknown"}"#;
        let named = r#", "annotations": {"org.opencontainers.image.ref.name": "latest"}"#;
        let chosen = |platforms: &[&str]| {
            let chosen = choose(images(platforms), Arch::X86_64);
            chosen.map(|image| image.platform.map(|platform| platform.architecture))
        };
        assert_eq!(
            chosen(&[arm, amd, other]).unwrap().as_deref(),
            Some("amd64")
        );
        assert_eq!(chosen(&[named]).unwrap(), None);
        for (platforms, expected) in [
            (
                &[arm, other][..],
                "there is no image for linux/amd64, but for linux/arm64, unknown/unknown",
            ),
            (&[], "there is no image for linux/amd64, but for "),
            (
                &[named, named],
                "there are several images (latest, latest): copy the one that is meant into a layout of its own, by \
                 skopeo copy",
            ),
        ] {
            assert_eq!(chosen(platforms).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_manifest_of_one_kind_is_refused() {
        let one = descriptor("");
        for (text, expected) in [
            (
                "{}".to_owned(),
                "parsing a manifest: missing field `schemaVersion` at line 1 column 2",
            ),
            (
                r#"{"schemaVersion": 1}"#.to_owned(),
                "the manifest has the schema version 1, and 2 is known: have the image pushed again by a current tool",
            ),
            (
                format!(
                    r#"{{"schemaVersion": 2, "manifests": [], "config": {one}, "layers": []}}"#
                ),
                "the manifest is neither of one image nor of several",
            ),
            (
                format!(
                    r#"{{"schemaVersion": 2, "config": {one}, "layers": [{}]}}"#,
                    descriptor(
                        r#", "mediaType": "application/vnd.oci.image.layer.v1.tar+encrypted""#
                    )
                ),
                &format!(
                    "the layer sha256:{} is of the kind application/vnd.oci.image.layer.v1.tar+encrypted, which only its \
                     owner can read or give away",
                    "0a".repeat(32)
                ),
            ),
        ] {
            let refused = Document::parse(text.as_bytes()).unwrap_err();
            assert_eq!(format!("{refused:#}"), expected, "{text}");
        }
    }

    #[test]
    fn a_configuration_is_of_the_architecture_and_of_all_layers() {
        let text = r#"{"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": []},
            "config": {"Labels": {"containers.bootc": "1"}}}"#;
        let parse = |arch, layers| ImageConfig::parse(text.as_bytes(), arch, layers);
        assert!(parse(Arch::Aarch64, 0).unwrap().is_bootc());
        for (arch, layers, expected) in [
            (
                Arch::X86_64,
                0,
                "the image is for linux/arm64, and the osimage for linux/amd64",
            ),
            (
                Arch::Aarch64,
                1,
                "the image has 1 layers, and its configuration names 0",
            ),
        ] {
            assert_eq!(parse(arch, layers).unwrap_err().to_string(), expected);
        }
    }
}
