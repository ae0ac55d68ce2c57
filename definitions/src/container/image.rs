//! References to images: `registry:5000/team/app:1.2@sha256:…`.
//!
//! Reference: distribution's `reference` package, `regexp.go`.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A reference to an image: a repository, a tag, a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageReference {
    /// Returns the repository: `registry:5000/team/app`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, where one is named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, where one pins the image: `sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ImageReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parsed(text).ok_or_else(|| {
            let expected = "[REGISTRY[:PORT]/]NAME[:TAG][@sha256:DIGEST] with a name in lower case";
            Error::invalid("the name of an image", text, expected)
        })
    }
}

fn parsed(text: &str) -> Option<ImageReference> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash is of the registry's port.
    let name_begins = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match rest[name_begins..].find(':') {
        Some(at) => (
            &rest[..name_begins + at],
            Some(&rest[name_begins + at + 1..]),
        ),
        None => (rest, None),
    };
    let is_known =
        is_repository(repository) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    is_known.then(|| ImageReference {
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

fn is_repository(text: &str) -> bool {
    let mut parts: Vec<_> = text.split('/').collect();
    // The first part is a registry where it has a dot or a port, or is this machine.
    let is_registry = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    if parts.len() > 1 && parts.first().is_some_and(is_registry) {
        let registry = parts.remove(0);
        let (host, port) = match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        };
        let known_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        if crate::host_name_fault(host).is_some() || !known_port {
            return false;
        }
    }
    text.len() <= 255 && parts.into_iter().all(is_component)
}

fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let allowed = |c: char| word(c) || matches!(c, '.' | '_' | '-');
    part.starts_with(word) && part.ends_with(word) && part.chars().all(allowed)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let allowed = |c: char| word(c) || matches!(c, '.' | '-');
    tag.starts_with(word) && tag.len() <= 128 && tag.chars().all(allowed)
}

fn is_digest(digest: &str) -> bool {
    let digits = digest.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        let known = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        digits.len() == 64 && digits.bytes().all(known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_repository_a_tag_and_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let pinned = format!("reg.example.invalid:5000/team/app:1.2@{digest}");
        for (text, repository, tag, pin) in [
            ("ubuntu", "ubuntu", None, None),
            ("ubuntu:22.04", "ubuntu", Some("22.04"), None),
            ("reg:5000/app", "reg:5000/app", None, None),
            ("localhost/app:x", "localhost/app", Some("x"), None),
            (
                &*pinned,
                "reg.example.invalid:5000/team/app",
                Some("1.2"),
                Some(&*digest),
            ),
        ] {
            let image: ImageReference = text.parse().unwrap();
            assert_eq!(image.repository(), repository);
            assert_eq!((image.tag(), image.digest()), (tag, pin));
            assert_eq!(image.to_string(), text);
        }
        for text in [
            "",
            ":x",
            "Ubuntu",
            "a b",
            "a:",
            "a:-x",
            "a@sha256:12",
            "a//b",
            "/a",
            "a/",
            "a!cmd",
            "reg:x/app",
            "a:b:c",
            "../a",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
