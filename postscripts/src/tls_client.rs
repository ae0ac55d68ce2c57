//! A client of TLS that trusts the authorities that it is given, and no others: not those of the system.
//!
//! A connection and PEM texts come in, a stream that is proven to be the named server's goes out. TLS 1.3 and 1.2. The only
//! file that knows rustls.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned};

use crate::tls::KeyPem;

/// A client's certificate chain and key, PEM.
pub(crate) type ClientIdentity<'a> = (&'a str, &'a KeyPem);

/// Whom a client trusts, whom it asks for, and who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TlsClient<'a> {
    /// The authorities' certificates, PEM.
    pub(crate) authorities: &'a str,
    /// A name or an address that the server's certificate must have.
    pub(crate) name: &'a str,
    /// The client's own certificate and key.
    pub(crate) identity: Option<ClientIdentity<'a>>,
}

/// What is said to a server that is proven to be the one.
pub(crate) struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient<'_> {
    /// Shakes hands.
    ///
    /// # Errors
    /// When the server is another, or does not answer.
    pub(crate) fn connect(&self, stream: TcpStream) -> Result<TlsStream> {
        self.handshake(self.config()?, stream)
    }

    /// Shakes hands without a certificate, and returns the subjects, DER, of the authorities that the server asks for one of.
    ///
    /// # Errors
    /// When the server is another, or does not answer.
    pub(crate) fn requested_authorities(&self, stream: TcpStream) -> Result<Vec<Vec<u8>>> {
        let asked = Arc::new(RequestedAuthorities::default());
        let resolver = Arc::clone(&asked);
        let config = self.builder()?.with_client_cert_resolver(resolver);
        // a server that speaks TLS 1.2 refuses a client without a certificate before the handshake ends
        if let Err(error) = self.handshake(config, stream)
            && asked.subjects().is_empty()
        {
            return Err(error);
        }
        Ok(asked.subjects())
    }

    fn handshake(&self, config: ClientConfig, stream: TcpStream) -> Result<TlsStream> {
        let name = ServerName::try_from(self.name.to_owned()).context("taking a server's name")?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.flush().context("shaking hands")?;
        Ok(TlsStream(stream))
    }

    fn builder(
        &self,
    ) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            roots.add(authority.context("reading the authority's certificate")?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots))
    }

    fn config(&self) -> Result<ClientConfig> {
        let builder = self.builder()?;
        let Some((chain, key)) = self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .context("reading a client's certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
        let key = key.context("reading a client's key")?;
        Ok(builder.with_client_auth_cert(chain, key)?)
    }
}

/// Whether a name is one that a client can ask for: of all digits it is none.
pub(crate) fn is_usable_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

impl TlsStream {
    /// Returns the protocol that is spoken: `TLS 1.3`.
    pub(crate) fn protocol(&self) -> String {
        let version = self.0.conn.protocol_version();
        version
            .and_then(|version| version.as_str())
            .unwrap_or("TLS")
            .replace('v', " ")
            .replace('_', ".")
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            // whoever answers in HTTP/1.0 closes at the end, and not everybody says so in TLS too: lengths are compared
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Notes which authorities a server asks for a certificate of, and shows none.
#[derive(Debug, Default)]
struct RequestedAuthorities(Mutex<Vec<Vec<u8>>>);

impl RequestedAuthorities {
    fn subjects(&self) -> Vec<Vec<u8>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesClientCert for RequestedAuthorities {
    fn resolve(
        &self,
        subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = subjects.iter().map(|subject| subject.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
