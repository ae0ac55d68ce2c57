//! TLS: this machine's certificate, and which nodes are known by theirs.
//!
//! A node's certificate counts when the authority of hosts signed it; that of clients signs for no node. TLS 1.2 and 1.3.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

/// What TLS is made of.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The root's certificate, PEM.
    pub(super) root: String,
}

impl Tls {
    /// Reads the certificates and the key.
    ///
    /// # Errors
    /// When one is missing, or they do not belong together.
    pub(super) fn load(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let (nodes, server, key) = (read("nodes.crt")?, read("server.crt")?, read("server.key")?);
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(&nodes, "nodes.crt")? {
            authorities.add(certificate).context("reading nodes.crt")?;
        }
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(authorities),
            Arc::clone(&provider),
        )
        .allow_unauthenticated()
        .build()
        .context("making the check of nodes' certificates")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .ok()
            .context("reading server.key")?;
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing versions of TLS")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&server, "server.crt")?, key)
            .context("putting server.crt and server.key together")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root: read("root.crt")?,
        })
    }
}

/// Speaks TLS with a server that must be the master, by a certificate below the root.
///
/// # Errors
/// When the root or the master's name cannot be read.
pub(super) fn client(root: &str, master: &str, socket: TcpStream) -> Result<impl Read + Write> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(root, "root.crt")? {
        roots.add(certificate).context("reading root.crt")?;
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .context("choosing versions of TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(master.to_owned())
        .with_context(|| format!("reading the site's master '{master}'"))?;
    let connection = rustls::ClientConnection::new(Arc::new(config), name);
    Ok(rustls::StreamOwned::new(
        connection.context("beginning TLS")?,
        socket,
    ))
}

fn certificates(pem: &str, name: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>();
    certificates.ok().with_context(|| format!("reading {name}"))
}
