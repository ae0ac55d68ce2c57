//! Checks that dockerd accepts the trusted client, and no other.
//!
//! Six clients call at the daemon's TCP address: one that is trusted, and five that are not. Each asks
//! for `/version` as the real client does; only an HTTP answer of 200 counts as having got in. The
//! only file that knows rustls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Serialize;
use time::OffsetDateTime;

use crate::dockerhost::tls::{
    Authority, KeyPem, LEAF_LIFE, LocalAuthority, SubjectAltNames, Usage,
};

/// How long one client waits.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long dockerd may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's certificate chain and key, PEM.
pub(super) type ClientIdentity<'a> = (&'a str, &'a KeyPem);

/// One client and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TlsCheck {
    /// Who called.
    pub(super) client: &'static str,
    /// Whether dockerd did what it should.
    pub(super) holds: bool,
    /// What was seen: the protocol that was spoken, or why the client did not get in.
    pub(super) seen: String,
}

/// What the proof needs.
pub(super) struct TlsEndpoint<'a> {
    /// Where dockerd listens.
    pub(super) address: SocketAddr,
    /// A name that its certificate has.
    pub(super) name: &'a str,
    /// The authority that signed it, PEM.
    pub(super) authority: &'a str,
    /// The trusted client.
    pub(super) client: ClientIdentity<'a>,
    /// dockerd's own pair, to try it as a client's.
    pub(super) server: ClientIdentity<'a>,
    /// The signing authority, where its key is here, to make an expired certificate.
    pub(super) signer: Option<&'a dyn Authority>,
    /// The time.
    pub(super) now: OffsetDateTime,
}

/// Sends every client to the endpoint.
pub(super) fn check(endpoint: &TlsEndpoint<'_>) -> Result<Vec<TlsCheck>> {
    wait_until_it_listens(endpoint.address)?;
    let trusted = request_version(endpoint, Some(endpoint.client));
    let mut checks = vec![TlsCheck {
        client: "a trusted client",
        holds: trusted.is_ok(),
        seen: trusted.unwrap_or_else(|error| format!("{error:#}")),
    }];
    checks.push(must_be_refused(
        "a client without a certificate",
        request_version(endpoint, None),
    ));
    let (foreign, _) = LocalAuthority::create("a foreign authority", endpoint.now)?;
    let foreign_client = issue_client(&foreign, endpoint.now + LEAF_LIFE)?;
    let foreign_client = request_version(endpoint, Some((&foreign_client.0, &foreign_client.1)));
    checks.push(must_be_refused(
        "a client of a foreign authority",
        foreign_client,
    ));
    if let Some(signer) = endpoint.signer {
        let expired_client = issue_client(signer, endpoint.now - time::Duration::days(1))?;
        let expired_client =
            request_version(endpoint, Some((&expired_client.0, &expired_client.1)));
        checks.push(must_be_refused(
            "a client with an expired certificate",
            expired_client,
        ));
    }
    checks.push(must_be_refused(
        "a server's certificate as a client's",
        request_version(endpoint, Some(endpoint.server)),
    ));
    checks.push(must_be_refused(
        "a client that speaks no TLS",
        read_version(connect(endpoint.address)?),
    ));
    Ok(checks)
}

/// Whether a name is one that the clients here can ask for: of all digits it is none.
pub(super) fn is_usable_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

fn must_be_refused(client: &'static str, outcome: Result<String>) -> TlsCheck {
    match outcome {
        Ok(seen) => TlsCheck {
            client,
            holds: false,
            seen: format!("got in: {seen}"),
        },
        Err(error) => TlsCheck {
            client,
            holds: true,
            seen: format!("{error:#}"),
        },
    }
}

fn issue_client(authority: &dyn Authority, not_after: OffsetDateTime) -> Result<(String, KeyPem)> {
    let key = KeyPem::generate()?;
    let request = key.request("proof", &SubjectAltNames::default())?;
    Ok((authority.sign(&request, Usage::Client, not_after)?, key))
}

/// Asks for `/version` over TLS; returns the protocol that was spoken.
fn request_version(
    endpoint: &TlsEndpoint<'_>,
    identity: Option<ClientIdentity<'_>>,
) -> Result<String> {
    let config = config(endpoint.authority, identity)?;
    let name = ServerName::try_from(endpoint.name.to_owned()).context("taking a server's name")?;
    let connection = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = StreamOwned::new(connection, connect(endpoint.address)?);
    stream.flush().context("shaking hands")?;
    read_version(&mut stream)?;
    let version = stream.conn.protocol_version();
    Ok(version
        .and_then(|version| version.as_str())
        .unwrap_or("TLS")
        .replace('v', " ")
        .replace('_', "."))
}

/// Trusts the one authority and no other: not those of the system.
fn config(authority: &str, identity: Option<ClientIdentity<'_>>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(authority.context("reading the authority's certificate")?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots);
    let Some((chain, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .context("reading a client's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
    let key = key.context("reading a client's key")?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

/// Sends the request and reads the status; TLS 1.3 tells a client that it is refused only here.
fn read_version<S: Read + Write>(mut stream: S) -> Result<String> {
    stream
        .write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
        .context("asking")?;
    stream.flush().context("asking")?;
    let mut answer = Vec::new();
    let end = stream.take(65_536).read_to_end(&mut answer);
    let status = String::from_utf8_lossy(&answer);
    let status = status.lines().next().unwrap_or_default().to_owned();
    if status.split_whitespace().nth(1) == Some("200") {
        return Ok(status);
    }
    end.context("refused")?;
    match status.as_str() {
        "" => bail!("refused: the connection was closed"),
        status => bail!("refused: {status}"),
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connecting = || format!("connecting to {address}");
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(connecting)?;
    stream
        .set_read_timeout(Some(TIMEOUT))
        .with_context(connecting)?;
    stream
        .set_write_timeout(Some(TIMEOUT))
        .with_context(connecting)?;
    Ok(stream)
}

fn wait_until_it_listens(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while let Err(error) = TcpStream::connect_timeout(&address, TIMEOUT) {
        if Instant::now() > deadline {
            return Err(error)
                .with_context(|| format!("waiting for dockerd to listen on {address}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
