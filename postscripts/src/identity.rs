//! The identity that the site signs for this host, as `enrol` keeps it and `setupdockerhost` takes it.
//!
//! Files come in, and an identity that is one goes out: the key belongs to the certificate, whose authority the site's root
//! signed. Nothing is written here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{IdentityFiles, SignedIdentity};

use crate::files::load_text;
use crate::tls::{CertificateInfo, KeyPem, certificates_in};

/// The identity of a host.
#[derive(Debug)]
pub(crate) struct HostIdentity {
    pub(crate) key: KeyPem,
    /// The host's certificate, then that of its authority, PEM.
    pub(crate) certificate: String,
    /// What the certificate says.
    pub(crate) info: CertificateInfo,
    /// The certificate of the site's root, PEM.
    pub(crate) root: String,
    /// The certificate of the authority of clients, PEM.
    pub(crate) clients: String,
}

/// Returns the directory of the identity, below a root directory.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join(IdentityFiles::DIRECTORY.trim_start_matches('/'))
}

impl HostIdentity {
    /// Loads the identity; `None` where the host has none yet.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together.
    pub(crate) fn load(root: &Path) -> Result<Option<Self>> {
        let directory = directory(root);
        let loading = || format!("loading the identity in {}", directory.display());
        let text = |name: &str| load_text(&directory.join(name));
        let Some(certificate) = text(IdentityFiles::CERTIFICATE).with_context(loading)? else {
            return Ok(None);
        };
        let required = |name: &str| text(name)?.with_context(|| format!("there is no {name}"));
        let load = || {
            let key = KeyPem::new(required(IdentityFiles::KEY)?);
            let root = required(IdentityFiles::ROOT)?;
            let signed = SignedIdentity {
                certificate,
                clients: required(IdentityFiles::CLIENTS)?,
                ssh: None,
            };
            Self::check(key, root, signed)
        };
        load().with_context(loading).map(Some)
    }

    /// Takes what was signed, if it is what was asked for.
    ///
    /// # Errors
    /// When the certificate is for another key, or the root did not sign its authority or that of clients.
    pub(crate) fn check(key: KeyPem, root: String, signed: SignedIdentity) -> Result<Self> {
        let chain = certificates_in(&signed.certificate);
        let [own, above] = &chain[..] else {
            bail!(
                "there are {} certificates and not the host's and its authority's",
                chain.len()
            );
        };
        let (info, above) = (CertificateInfo::parse(own)?, CertificateInfo::parse(above)?);
        if !key.belongs_to(&info)? {
            bail!("the certificate is for another key");
        }
        if !info.is_signed_by(&above)? {
            bail!("the authority beside the certificate did not sign it");
        }
        let anchor = CertificateInfo::parse(&root)?;
        if !above.is_signed_by(&anchor)? {
            bail!("the site's root did not sign the authority of hosts");
        }
        let clients = certificates_in(&signed.clients);
        if clients.is_empty() {
            bail!("there is no certificate of the authority of clients");
        }
        // dockerd lets in the clients of each of them
        for authority in &clients {
            if !CertificateInfo::parse(authority)?.is_signed_by(&anchor)? {
                bail!("the site's root did not sign the authority of clients");
            }
        }
        Ok(Self {
            key,
            certificate: signed.certificate,
            info,
            root,
            clients: clients.concat(),
        })
    }
}
