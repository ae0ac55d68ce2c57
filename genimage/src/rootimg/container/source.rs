//! Where a container image is, as `--from` names it.
//!
//! A text comes in, and a place goes out, or what it should be. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// The SHA-256 of a blob: `sha256:` and 64 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct BlobDigest(String);

impl BlobDigest {
    /// The digest of these bytes, as they were hashed.
    pub(super) fn of(hash: &[u8]) -> Self {
        Self(definitions::hex(hash))
    }

    /// Returns the digits.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl FromStr for BlobDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix("sha256:") {
            Some(digits) if digits.len() == 64 && digits.bytes().all(digit) => {
                Ok(Self(digits.to_owned()))
            }
            _ => Err(format!(
                "'{}' is not sha256: and 64 lower-case hexadecimal digits",
                text.escape_debug()
            )),
        }
    }
}

impl TryFrom<String> for BlobDigest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// An image in a registry, by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryImage {
    /// The registry, with its port if it has one of its own.
    pub(super) host: String,
    pub(super) repository: String,
    pub(super) digest: BlobDigest,
}

/// Where a container image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContainerSource {
    /// A file of `docker save`, or an archive of an image layout.
    DockerArchive(PathBuf),
    /// A directory in the OCI image layout.
    OciLayout(PathBuf),
    /// A registry that is asked over HTTPS.
    Registry(RegistryImage),
}

impl fmt::Display for ContainerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
            Self::OciLayout(path) => write!(f, "oci:{}", path.display()),
            Self::Registry(image) => write!(
                f,
                "docker://{}/{}@{}",
                image.host, image.repository, image.digest
            ),
        }
    }
}

impl FromStr for ContainerSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("docker-archive", path)) if !path.is_empty() => {
                Ok(Self::DockerArchive(path.into()))
            }
            Some(("oci", path)) if !path.is_empty() => Ok(Self::OciLayout(path.into())),
            Some(("docker", rest)) if rest.starts_with("//") => {
                RegistryImage::parse(&rest[2..]).map(Self::Registry)
            }
            _ => Err(
                "expected docker-archive:FILE, oci:DIRECTORY, or docker://REGISTRY/IMAGE@sha256:DIGEST"
                    .to_owned(),
            ),
        }
    }
}

impl RegistryImage {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, digest) = text.split_once('@').ok_or_else(|| {
            format!(
                "it names no digest, and what a tag names changes without a word: `skopeo inspect --format '{{{{.Digest}}}}' \
                 docker://{text}` prints it, or `docker buildx imagetools inspect {text}`; then \
                 docker://{}@sha256:DIGEST",
                untagged(text)
            )
        })?;
        let digest = digest.parse()?;
        let name = untagged(name);
        let (host, repository) = name
            .split_once('/')
            .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
            .ok_or_else(|| {
                format!("'{name}' begins with no registry, such as registry.example.invalid/{name}")
            })?;
        let in_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let in_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let is_part = |part: &str| {
            part.chars().all(in_part) && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        if !host.chars().all(in_host) || !repository.split('/').all(is_part) {
            return Err(format!(
                "'{}' is not the name of an image",
                name.escape_debug()
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            digest,
        })
    }
}

/// A reference without the tag that it may have beside its digest.
fn untagged(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') && before.contains('/') => before,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_printed_parses_to_the_same() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "docker-archive:/srv/image.tar".to_owned(),
            "oci:layout".to_owned(),
            format!("docker://registry.example.invalid/a/b-c_d@{digest}"),
            format!("docker://10.1.0.1:5000/base@{digest}"),
        ] {
            let parsed: ContainerSource = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
        }
        let tagged = format!("docker://registry.example.invalid:5000/base:1@{digest}");
        let parsed: ContainerSource = tagged.parse().unwrap();
        assert_eq!(
            parsed.to_string(),
            format!("docker://registry.example.invalid:5000/base@{digest}")
        );
    }

    #[test]
    fn what_names_no_image_for_good_is_refused_with_what_does() {
        let form =
            "expected docker-archive:FILE, oci:DIRECTORY, or docker://REGISTRY/IMAGE@sha256:DIGEST";
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, expected) in [
            ("debian", form),
            ("oci:", form),
            ("dir:/srv", form),
            (
                "docker://registry.example.invalid/base:12",
                "it names no digest, and what a tag names changes without a word: `skopeo inspect --format '{{.Digest}}' \
                 docker://registry.example.invalid/base:12` prints it, or `docker buildx imagetools inspect \
                 registry.example.invalid/base:12`; then docker://registry.example.invalid/base@sha256:DIGEST",
            ),
            (
                "docker://registry.example.invalid/base@sha512:00",
                "'sha512:00' is not sha256: and 64 lower-case hexadecimal digits",
            ),
            (
                &format!("docker://base@{digest}"),
                "'base' begins with no registry, such as registry.example.invalid/base",
            ),
            (
                &format!("docker://registry.example.invalid/../base@{digest}"),
                "'registry.example.invalid/../base' is not the name of an image",
            ),
            (
                &format!("docker://user@registry.example.invalid/base@{digest}"),
                &format!(
                    "'registry.example.invalid/base@{digest}' is not sha256: and 64 lower-case hexadecimal digits"
                ),
            ),
        ] {
            assert_eq!(
                text.parse::<ContainerSource>().unwrap_err(),
                expected,
                "{text}"
            );
        }
    }
}
