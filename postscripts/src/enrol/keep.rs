//! What is kept of an identity: each file whole, the certificate last, so that it counts when all is there.

use std::path::Path;

use anyhow::{Context, Result};
use definitions::{IdentityFiles, SignedIdentity};

use super::ask::EnrolmentFailure;
use super::{sshd, trees};
use crate::files;
use crate::identity::{HostIdentity, directory};
use crate::owner::load_state_text;
use crate::slipwayd::ServerAddress;
use crate::tls::KeyPem;

/// What is to be kept.
pub(super) struct Kept<'a> {
    pub(super) key: KeyPem,
    pub(super) root: &'a str,
    pub(super) server: &'a ServerAddress,
    pub(super) signed: SignedIdentity,
}

/// Returns the key of this host, which is made where there is none, and on the disk before anybody is asked to sign it.
pub(super) fn key(root: &Path) -> Result<KeyPem> {
    let path = directory(root).join(IdentityFiles::KEY);
    if let Some(text) = load_state_text(&path)? {
        return Ok(KeyPem::new(text));
    }
    let key = KeyPem::generate()?;
    write(&path, key.reveal(), 0o600)?;
    Ok(key)
}

/// Keeps an identity, if it is one for this host's key from the site's root.
pub(super) fn keep(root: &Path, kept: Kept<'_>) -> Result<HostIdentity, EnrolmentFailure> {
    let ssh = kept.signed.ssh.clone();
    let identity = HostIdentity::check(kept.key, kept.root.to_owned(), kept.signed)
        .context("checking what the site signed")?;
    // before the certificate, by which the site counts this host among those that have them
    trees::apply(root, &identity.trees)?;
    let server = serde_json::to_string(kept.server).context("writing where slipwayd is")?;
    let directory = directory(root);
    if let Some(ssh) = ssh {
        write(&directory.join(sshd::CERTIFICATE), &ssh, 0o644)?;
    }
    for (name, text) in [
        (IdentityFiles::ROOT, &identity.root),
        (IdentityFiles::CLIENTS, &identity.clients),
        (IdentityFiles::SERVER, &server),
        (IdentityFiles::CERTIFICATE, &identity.certificate),
    ] {
        write(&directory.join(name), text, 0o644)?;
    }
    Ok(identity)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    files::replace(path, text.as_bytes(), mode)
        .with_context(|| format!("writing {}", path.display()))
}
