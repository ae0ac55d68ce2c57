//! TLS: this machine's certificate, and which nodes and clients are known by theirs.
//!
//! A node's certificate counts when the authority of hosts signed it, a client's when that of clients did: neither signs
//! for the other. TLS 1.2 and 1.3.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

use crate::trust::{CertificateHolder, holder};

/// What TLS is made of.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The root's certificate, PEM.
    pub(super) root: String,
    nodes: Arc<dyn ClientCertVerifier>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// Who the other side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    Node(CertificateHolder),
    Client(CertificateHolder),
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
        let authority = |name: &str| certificates(&read(name)?, name);
        let (nodes, clients) = (authority("nodes.crt")?, authority("clients.crt")?);
        let (server, key) = (read("server.crt")?, private(&directory.join("server.key"))?);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .ok()
            .context("reading server.key")?;
        let all = [nodes.as_slice(), clients.as_slice()].concat();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("choosing versions of TLS")?
            .with_client_cert_verifier(verifier(all)?)
            .with_single_cert(certificates(&server, "server.crt")?, key)
            .context("putting server.crt and server.key together")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root: read("root.crt")?,
            nodes: verifier(nodes)?,
            clients: verifier(clients)?,
        })
    }

    /// Says who the other side is, by the certificates of a handshake that succeeded.
    pub(super) fn peer(&self, chain: &[CertificateDer<'_>]) -> Option<Peer> {
        let (own, above) = chain.split_first()?;
        let is_of = |authority: &Arc<dyn ClientCertVerifier>| {
            authority
                .verify_client_cert(own, above, UnixTime::now())
                .is_ok()
        };
        if is_of(&self.nodes) {
            holder(own).map(Peer::Node)
        } else if is_of(&self.clients) {
            holder(own).map(Peer::Client)
        } else {
            None
        }
    }
}

/// Reads a key, which nobody but its owner and its group may read.
fn private(path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mode = file.metadata().with_context(reading)?.mode() & 0o777;
    if mode & 0o007 != 0 {
        bail!(
            "{} can be read by others (mode {mode:04o}): chmod 600 it if nobody has read it, else slipway-trust renew server \
             --new-key",
            path.display()
        );
    }
    let mut key = String::new();
    file.read_to_string(&mut key).with_context(reading)?;
    Ok(key)
}

/// Checks certificates by authorities; who has none is let in as nobody.
fn verifier(authorities: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots
            .add(certificate)
            .context("reading the authorities' certificates")?;
    }
    let provider = Arc::new(default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .context("making the check of certificates")
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
