//! The distributions' keys on this machine, whom each vouches for, and what they say of a signature.
//!
//! A text and its OpenPGP signature come in; who signed it goes out, or why that does not count here.
//! `gpgv` does the work, as it does for apt, one keyring a call. Which files of keys count for a distribution
//! is data (`keyrings.toml`, and `<config>/keyrings.d/`); what the site puts into `<config>/keyrings/` counts for all, unless that data
//! says for whom. A keyring that counts and cannot be read is an error. Nothing is fetched, and no key that
//! came on the medium ever counts.
//!
//! A signature counts when it is good now: neither it nor its key has expired, its key was not revoked, its
//! hash is of the SHA-2 family or newer, and a key of RSA or DSA has at least 2048 bits.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use definitions::{glob, read_bounded, read_text};
use serde::Deserialize;

use super::gpgv::{GpgvResult, parse_status, run};
use super::openpgp;

/// The table that is part of the program.
const TABLE: &str = include_str!("keyrings.toml");
/// A file of keys is small; the largest, Debian's maintainers', has some ten megabytes.
const MAX_BYTES: u64 = 32 << 20;

/// Which files of keys there are, and whom each vouches for.
#[derive(Debug, Clone)]
pub struct Keyrings {
    config: PathBuf,
    bindings: Vec<Binding>,
}

/// The files of keys that vouch for one distribution.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    files: Vec<PathBuf>,
    distributions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringTable {
    #[serde(default)]
    keyring: Vec<Binding>,
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is whose it says it is; the text is what that key signed.
    Good { by: String, text: Vec<u8> },
    /// It does not belong to this text, or its key was revoked.
    Bad { by: String },
    /// It does not count here, and why.
    NotAccepted { reason: String },
}

impl Keyrings {
    /// Reads whom the files of keys vouch for: the table that ships, and `<config>/keyrings.d/*.toml`.
    ///
    /// # Errors
    /// When a file of the configuration cannot be read, or is no such table.
    pub fn load(config: &Path) -> Result<Self> {
        let mut bindings = parse(TABLE).context("reading the table of keyrings that ships")?;
        for path in list_files(&config.join("keyrings.d"))? {
            if path.extension().is_none_or(|ending| ending != "toml") {
                continue;
            }
            let text = read_text(&path, MAX_BYTES).map_err(anyhow::Error::from);
            let more = text.and_then(|text| parse(&text));
            bindings.extend(more.with_context(|| format!("reading {}", path.display()))?);
        }
        let config = config.to_owned();
        // A relative name counts from the configuration.
        bindings
            .iter_mut()
            .flat_map(|binding| &mut binding.files)
            .for_each(|file| *file = config.join(&file));
        Ok(Self { config, bindings })
    }

    /// Returns the keys that vouch for a family of distributions: `debian`, `rocky`.
    ///
    /// # Errors
    /// When a directory of keyrings cannot be read.
    pub fn of(&self, family: &str) -> Result<Keys> {
        let mut files = Vec::new();
        let own = list_files(&self.config.join("keyrings"))?;
        let unbound = |path: &PathBuf| {
            let mut patterns = self.bindings.iter().flat_map(|binding| &binding.files);
            !patterns.any(|pattern| matches(pattern, path))
        };
        files.extend(own.into_iter().filter(unbound));
        let bound = |binding: &&Binding| binding.distributions.iter().any(|name| name == family);
        for pattern in self
            .bindings
            .iter()
            .filter(bound)
            .flat_map(|binding| &binding.files)
        {
            let place = pattern.parent().unwrap_or(Path::new("/"));
            let found = list_files(place)?.into_iter();
            files.extend(found.filter(|path| matches(pattern, path)));
        }
        files.sort();
        files.dedup();
        Ok(Keys { files })
    }
}

fn parse(text: &str) -> Result<Vec<Binding>> {
    let table: KeyringTable = toml::from_str(text)?;
    Ok(table.keyring)
}

/// Lists the files of a directory, which need not exist; hidden ones do not count.
fn list_files(place: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading the directory {}", place.display());
    let entries = match fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(reading)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(reading)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file is in the pattern's directory and its name is of the pattern's form.
fn matches(pattern: &Path, path: &Path) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let names = name(pattern).zip(name(path));
    pattern.parent() == path.parent()
        && names.is_some_and(|(pattern, name)| glob::matches(&pattern, &name))
}

impl Keys {
    /// Checks a signature: a clear-signed text alone, or a text with its detached signature.
    ///
    /// # Errors
    /// When gpgv cannot be run, or a keyring that counts cannot be read.
    pub(super) fn check(&self, text: &[u8], detached: Option<&[u8]>) -> Result<Signature> {
        let work = tempfile::tempdir().context("making a directory for gpgv")?;
        let write = |name: &str, bytes: &[u8]| {
            fs::write(work.path().join(name), bytes).context("writing for gpgv")
        };
        write("text", text)?;
        if let Some(signature) = detached {
            write("signature", signature)?;
        }
        // Without any keyring, gpgv still says which key is wanted.
        let none = self.files.is_empty().then(|| Ok(Vec::new()));
        let (mut weak, mut unknown) = (None, None);
        for keyring in none
            .into_iter()
            .chain(self.files.iter().map(|path| packets(path)))
        {
            let keyring = keyring?;
            write("keyring.gpg", &keyring)?;
            let status = run(work.path(), detached.is_some())?;
            match parse_status(&status, &keyring)? {
                GpgvResult::Good(by) => {
                    let text = match detached {
                        Some(_) => text.to_vec(),
                        None => fs::read(work.path().join("signed"))
                            .context("reading what was signed")?,
                    };
                    return Ok(Signature::Good { by, text });
                }
                GpgvResult::Bad(by) => return Ok(Signature::Bad { by }),
                GpgvResult::Weak(reason) => weak = Some(reason),
                GpgvResult::Unknown(key) => unknown = Some(key),
            }
        }
        // A key that is there and does not count says more than one that is not there.
        let absent =
            |key| format!("its key {key} is not bound to the distribution on this machine");
        let reason = weak.or(unknown.map(absent));
        let reason = reason.context("reading what gpgv says")?;
        Ok(Signature::NotAccepted { reason })
    }
}

/// Reads the keys of a file.
fn packets(path: &Path) -> Result<Vec<u8>> {
    let reading = || format!("reading the keyring {}", path.display());
    let bytes = read_bounded(path, MAX_BYTES).with_context(reading)?;
    openpgp::packets(bytes).with_context(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_vouches_for_the_distribution_it_is_bound_to_and_no_other() {
        let config = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("keyrings/own.gpg", ""),
            ("keyrings/theirs.gpg", ""),
            ("keyrings/.hidden", ""),
            (
                "keyrings.d/theirs.toml",
                "[[keyring]]\nfiles = [\"keyrings/th*.gpg\"]\ndistributions = [\"rocky\"]\n",
            ),
            ("keyrings.d/README", "no table"),
        ] {
            let path = config.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let keyrings = Keyrings::load(config.path()).unwrap();
        let own = |family: &str| {
            let files = keyrings.of(family).unwrap().files.into_iter();
            let names = files.filter_map(|path| {
                let name = path.strip_prefix(config.path().join("keyrings")).ok()?;
                Some(name.to_string_lossy().into_owned())
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(own("debian"), ["own.gpg"]);
        assert_eq!(own("rocky"), ["own.gpg", "theirs.gpg"]);
        fs::write(
            config.path().join("keyrings.d/x.toml"),
            "[[keyring]]\nfile = 1\n",
        )
        .unwrap();
        let error = format!("{:#}", Keyrings::load(config.path()).unwrap_err());
        assert!(error.starts_with("reading "), "{error}");
    }

    #[test]
    fn the_table_that_ships_binds_archives_keys_alone() {
        let table = parse(TABLE).unwrap();
        let of = |path: &str| {
            let bound = |binding: &&Binding| {
                let mut patterns = binding.files.iter();
                patterns.any(|pattern| matches(pattern, Path::new(path)))
            };
            let families = table
                .iter()
                .filter(bound)
                .flat_map(|binding| &binding.distributions);
            families.map(String::as_str).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(
            of("/usr/share/keyrings/debian-archive-keyring.gpg"),
            ["debian"]
        );
        assert_eq!(
            of("/etc/apt/trusted.gpg.d/debian-archive-trixie-security-automatic.asc"),
            ["debian"]
        );
        assert_eq!(
            of("/usr/share/keyrings/debian-archive-removed-keys.gpg"),
            none
        );
        assert_eq!(of("/usr/share/keyrings/debian-keyring.gpg"), none);
        assert_eq!(of("/usr/share/keyrings/vendor.gpg"), none);
        assert_eq!(of("/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"), ["rocky"]);
    }
}
