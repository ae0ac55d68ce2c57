//! `<tree>/.slipway/SHA256SUMS`: every file of a published tree with its SHA-256, disc by disc.
//!
//! What `sha256sum -c` reads, from the root of the tree: a digest, two spaces, a path; a line that
//! begins with a backslash has its name escaped. Two kinds of comment lines, which `sha256sum` passes
//! over, say what it has no words for: `# disc LABEL` begins the files of one disc, and
//! `# link<TAB>PATH<TAB>TARGET` is a symbolic link. A file that two discs hold alike is listed under both.
//! Text comes in and goes out; nothing here touches the disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

use crate::digest::{Algorithm, Digest};
use crate::media::MediumPath;

/// What a published tree holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// One section a disc, in the order of import.
    pub discs: Vec<DiscManifest>,
}

/// What one disc brought into the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscManifest {
    /// The disc, as messages name it.
    pub label: String,
    /// Its regular files and their SHA-256.
    pub files: BTreeMap<MediumPath, Digest>,
    /// Its symbolic links and what they say.
    pub links: BTreeMap<MediumPath, Vec<u8>>,
}

const HEAD: &str = "# SHA-256 of every file; check from the root of the tree: \
                    sha256sum -c --quiet .slipway/SHA256SUMS\n";

impl Manifest {
    /// Reads a manifest that [`Manifest::render`] wrote.
    ///
    /// # Errors
    /// Names the first line that is not a line of a manifest.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut manifest = Self::default();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            manifest
                .parse_line(line)
                .with_context(|| format!("reading line {}", number + 1))?;
        }
        Ok(manifest)
    }

    fn parse_line(&mut self, line: &[u8]) -> Result<()> {
        if let Some(label) = line.strip_prefix(b"# disc ") {
            let label = String::from_utf8_lossy(label).into_owned();
            self.discs.push(DiscManifest {
                label,
                ..DiscManifest::default()
            });
            return Ok(());
        }
        let link = line.strip_prefix(b"# link\t");
        if line.is_empty() || (line.starts_with(b"#") && link.is_none()) {
            return Ok(());
        }
        let disc = self
            .discs
            .last_mut()
            .context("it comes before the first '# disc' line")?;
        if let Some(link) = link {
            let mut fields = link.split(|&byte| byte == b'\t');
            let (Some(path), Some(target), None) = (fields.next(), fields.next(), fields.next())
            else {
                bail!("a link has a path and a target");
            };
            disc.links
                .insert(path_of(unescape(path)?)?, unescape(target)?);
            return Ok(());
        }
        let (escaped, line) = match line.strip_prefix(b"\\") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        ensure!(
            line.len() > 66 && &line[64..66] == b"  ",
            "it is not a digest and a path"
        );
        let hex = std::str::from_utf8(&line[..64]).context("its digest is not text")?;
        let digest = Digest::parse(Algorithm::Sha256, hex).map_err(anyhow::Error::msg)?;
        let name = if escaped {
            unescape(&line[66..])?
        } else {
            line[66..].to_vec()
        };
        disc.files.insert(path_of(name)?, digest);
        Ok(())
    }

    /// Writes it as text.
    pub fn render(&self) -> Vec<u8> {
        let mut out = HEAD.as_bytes().to_vec();
        for disc in &self.discs {
            // A label is one line whatever the medium says.
            let label: String = disc.label.chars().filter(|c| !c.is_control()).collect();
            out.extend_from_slice(format!("# disc {label}\n").as_bytes());
            for (path, digest) in &disc.files {
                let name = escape(path.as_bytes(), b"\\\n\r");
                if name.len() != path.as_bytes().len() {
                    out.push(b'\\');
                }
                let mut hex = String::with_capacity(66);
                let _ = write!(hex, "{digest}  ");
                out.extend_from_slice(hex.as_bytes());
                out.extend_from_slice(&name);
                out.push(b'\n');
            }
            for (path, target) in &disc.links {
                out.extend_from_slice(b"# link\t");
                out.extend_from_slice(&escape(path.as_bytes(), b"\\\n\r\t"));
                out.push(b'\t');
                out.extend_from_slice(&escape(target, b"\\\n\r\t"));
                out.push(b'\n');
            }
        }
        out
    }

    /// Returns every file of the tree, and which disc brought it first.
    pub fn files(&self) -> BTreeMap<&MediumPath, (&Digest, &DiscManifest)> {
        let mut files = BTreeMap::new();
        for disc in self.discs.iter().rev() {
            files.extend(
                disc.files
                    .iter()
                    .map(|(path, digest)| (path, (digest, disc))),
            );
        }
        files
    }

    /// Returns every symbolic link of the tree, and which disc brought it first.
    pub fn links(&self) -> BTreeMap<&MediumPath, (&[u8], &DiscManifest)> {
        let mut links = BTreeMap::new();
        for disc in self.discs.iter().rev() {
            links.extend(
                disc.links
                    .iter()
                    .map(|(path, to)| (path, (to.as_slice(), disc))),
            );
        }
        links
    }
}

fn path_of(bytes: Vec<u8>) -> Result<MediumPath> {
    MediumPath::new(bytes).map_err(anyhow::Error::msg)
}

fn escape(bytes: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if special.contains(&byte) {
            out.push(b'\\');
            out.push(match byte {
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                other => other,
            });
        } else {
            out.push(byte);
        }
    }
    out
}

fn unescape(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'\\') => b'\\',
                _ => bail!("a backslash is followed by none of n, r, t and a backslash"),
            },
            byte => byte,
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = MediumPath> {
        proptest::collection::vec(proptest::collection::vec(1u8..=255, 1..6), 1..3)
            .prop_filter_map("a name", |parts| MediumPath::new(parts.join(&b'/')).ok())
    }

    fn section() -> impl Strategy<Value = DiscManifest> {
        let files = proptest::collection::btree_map(path(), any::<Vec<u8>>(), 0..5);
        let links = proptest::collection::btree_map(path(), any::<Vec<u8>>(), 0..5);
        ("[A-Za-z0-9 ._-]{0,20}", files, links).prop_map(|(label, files, links)| DiscManifest {
            label,
            files: files
                .into_iter()
                .map(|(path, content)| (path, Digest::of(Algorithm::Sha256, &content)))
                .collect(),
            links,
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_parses_to_itself(discs in proptest::collection::vec(section(), 0..4)) {
            let manifest = Manifest { discs };
            prop_assert_eq!(Manifest::parse(&manifest.render()).unwrap(), manifest);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(&bytes);
        }
    }

    #[test]
    fn a_line_that_is_none_of_a_manifest_is_named() {
        let error = |text: &str| format!("{:#}", Manifest::parse(text.as_bytes()).unwrap_err());
        assert_eq!(
            error("# disc 1\nhello"),
            "reading line 2: it is not a digest and a path"
        );
        assert_eq!(
            error("hello"),
            "reading line 1: it comes before the first '# disc' line"
        );
    }
}
