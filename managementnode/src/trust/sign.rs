//! `sign`: signatures of what nodes boot, which the site's iPXE checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use definitions::{Catalog, in_parallel};
use serde_json::json;

use super::directory::{Holder, TrustDirectory};
use super::output;
use super::x509::Signer;
use crate::replace;

/// No file that firmware boots is as large.
const MAX_BYTES: u64 = 4 << 30;

/// The longest name of a signer: that of a certificate's subject.
const MAX_NAME: usize = 64;

/// A file, and as what it is signed: `node:n1=/install/autoinst/n1/boot.ipxe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedFile {
    signer: String,
    path: PathBuf,
}

impl FromStr for SignedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ":._-".contains(c);
        match text.split_once('=') {
            Some((signer, path))
                if !signer.is_empty() && signer.chars().all(is_plain) && !path.is_empty() =>
            {
                Ok(Self {
                    signer: signer.to_owned(),
                    path: path.into(),
                })
            }
            _ => Err("expected SIGNER=FILE, such as node:n1=boot.ipxe".to_owned()),
        }
    }
}

/// Signs files.
///
/// # Errors
/// When a file cannot be read, or there is nothing to sign with.
pub(super) fn sign(
    catalog: &Catalog,
    files: &[SignedFile],
    out: Option<&Path>,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
    if !directory.path("boot.crt").exists() {
        bail!("the site has no authority of what nodes boot yet: run slipway-trust ipxe");
    }
    let signer = directory.signer(Holder::BootFiles, super::term::now())?;
    let root = directory.certificate(Holder::Boot)?;
    let one = |file: &SignedFile| sign_one(&signer, &root, file, out, dry_run);
    let signed = in_parallel(files, one);
    let signed = signed.into_iter().collect::<Result<Vec<_>>>()?;
    let would = if dry_run { "would be " } else { "" };
    let lines = signed
        .iter()
        .map(|path| format!("{}: {would}written\n", path.display()));
    let text: String = lines.collect();
    output(
        as_json,
        &text,
        json!({ "signatures": signed, "dry_run": dry_run }),
    )
}

fn sign_one(
    signer: &Signer,
    root: &str,
    file: &SignedFile,
    out: Option<&Path>,
    dry_run: bool,
) -> Result<PathBuf> {
    let path = &file.path;
    if file.signer.len() > MAX_NAME {
        bail!(
            "'{}' is no name of a signer: it has more than {MAX_NAME} characters, which no certificate holds",
            file.signer
        );
    }
    let reading = || format!("reading {}", path.display());
    let meta = fs::metadata(path).with_context(reading)?;
    if !meta.is_file() {
        bail!("{} is no regular file", path.display());
    }
    if meta.len() > MAX_BYTES {
        bail!(
            "{} has {} bytes: no firmware loads as much",
            path.display(),
            meta.len()
        );
    }
    let bytes = fs::read(path).with_context(reading)?;
    let signature = signer.sign_boot_file(&file.signer, root, &bytes)?;
    let name = path.file_name().unwrap_or_default();
    let mut target = out.map_or_else(|| path.clone(), |out| out.join(name));
    target.as_mut_os_string().push(".sig");
    if !dry_run {
        replace::write(&target, &signature, 0o644)?;
    }
    Ok(target)
}
