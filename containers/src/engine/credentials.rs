//! Who a client is to an engine, and whom it believes: the three files that docker's own client takes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// The files: the authority, the client's certificate, its key.
const FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];
/// The longest of them.
const MAX_BYTES: u64 = 1 << 20;

/// A client's certificate and key, and the authority that engines are signed by.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(Arc<ClientConfig>);

impl Credentials {
    /// Says whether a directory holds them.
    pub(crate) fn are_in(directory: &Path) -> bool {
        FILES.iter().all(|file| directory.join(file).is_file())
    }

    /// Loads them: `ca.pem`, `cert.pem` and `key.pem` of a directory. No authority of the system is believed.
    ///
    /// # Errors
    /// When a file is missing or is not what it should be, or others may read the key.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let [authority, chain, key] = FILES.map(|file| directory.join(file));
        let certified = certificates(&chain)?;
        check_term(&certified, &chain)?;
        let config = believing(&authority)?
            .with_client_auth_cert(certified, private_key(&key)?)
            .with_context(|| format!("taking {} and {}", chain.display(), key.display()))?;
        Ok(Self(Arc::new(config)))
    }

    /// Makes those of a client who believes an authority and has no certificate.
    ///
    /// # Errors
    /// When the authority's certificate is not one.
    pub(crate) fn without_certificate(authority: &Path) -> Result<Self> {
        Ok(Self(Arc::new(believing(authority)?.with_no_client_auth())))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

/// Begins a client's configuration that believes one authority alone.
fn believing(authority: &Path) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        let reading = || format!("reading {}", authority.display());
        roots.add(certificate).with_context(reading)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.with_context(|| format!("reading {}", path.display()))?;
    ensure!(
        !certificates.is_empty(),
        "{} holds no certificate",
        path.display()
    );
    Ok(certificates)
}

/// Refuses a certificate that is not valid now: engines say of any that they do not take it, and not why.
fn check_term(certified: &[CertificateDer<'_>], path: &Path) -> Result<()> {
    let Some(own) = certified.first() else {
        return Ok(());
    };
    let (_, own) = X509Certificate::from_der(own)
        .ok()
        .with_context(|| format!("reading {}: it is damaged", path.display()))?;
    let (term, now) = (own.validity(), ASN1Time::now());
    ensure!(
        now <= term.not_after,
        "the client's certificate {} ended on {}: have another signed ('slipway-trust issue NAME --out DIR'), or copy \
         /etc/slipway/client of the host again",
        path.display(),
        term.not_after
    );
    ensure!(
        now >= term.not_before,
        "the client's certificate {} begins on {}: set the clock",
        path.display(),
        term.not_before
    );
    Ok(())
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let mode = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
    let mode = mode.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{} may be read or changed by others than its owner (mode {mode:03o}), and whoever has it is root on every \
         docker host: chmod 600 it",
        path.display()
    );
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .with_context(|| format!("reading {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let reading = || format!("reading {}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).with_context(reading)?;
    let mut file = std::io::Read::take(file, MAX_BYTES);
    std::io::Read::read_to_end(&mut file, &mut bytes).with_context(reading)?;
    Ok(bytes)
}
