//! Checks that dockerd accepts the trusted client, and no other.
//!
//! Six clients call at the daemon's TCP address: one that is trusted, and five that are not. Where the site signs clients, no
//! trusted one is on the host: dockerd says then whose certificates it asks for. Each asks
//! for `/version` as the real client does; only an HTTP answer of 200 counts as having got in.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use time::OffsetDateTime;

use crate::timed_stream::{TimeLimits, TimedStream};
use crate::tls::{
    Authority, CertificateInfo, KeyPem, LEAF_LIFE, LocalAuthority, SubjectAltNames, Usage,
    certificates_in,
};
use crate::tls_client::{CheckedTime, ClientIdentity, TlsClient};

/// How long one client waits.
const LIMITS: TimeLimits = TimeLimits {
    connect: TIMEOUT,
    idle: TIMEOUT,
    total: Duration::from_secs(60),
};
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long dockerd may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);

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
    /// The authorities whose clients dockerd lets in, PEM.
    pub(super) trusted: &'a str,
    /// A trusted client; where the site signs them, none is here.
    pub(super) client: Option<ClientIdentity<'a>>,
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
    let (client, trusted) = match endpoint.client {
        Some(client) => ("a trusted client", request_version(endpoint, Some(client))),
        None => ("clients that get in", check_requested(endpoint)),
    };
    let mut checks = vec![TlsCheck {
        client,
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

/// Compares the authorities that dockerd asks for a certificate of with those that it is to trust.
fn check_requested(endpoint: &TlsEndpoint<'_>) -> Result<String> {
    let client = TlsClient {
        authorities: endpoint.authority,
        name: endpoint.name,
        identity: None,
        time: CheckedTime::NOW,
    };
    let asked: BTreeSet<_> = client
        .requested_authorities(connect(endpoint.address)?)?
        .into_iter()
        .collect();
    let mut wanted = BTreeSet::new();
    for certificate in certificates_in(endpoint.trusted) {
        wanted.insert(CertificateInfo::parse(&certificate)?.subject().to_vec());
    }
    if asked != wanted {
        bail!(
            "dockerd asks for certificates of {} authorities, and not of the {} that it is to trust",
            asked.len(),
            wanted.len()
        );
    }
    Ok("those of the trusted authorities alone are asked for".to_owned())
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
    let client = TlsClient {
        authorities: endpoint.authority,
        name: endpoint.name,
        identity,
        time: CheckedTime::NOW,
    };
    let mut stream = client.connect(connect(endpoint.address)?)?;
    read_version(&mut stream)?;
    Ok(stream.protocol())
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

fn connect(address: SocketAddr) -> Result<TimedStream> {
    TimedStream::connect(&address, LIMITS).with_context(|| format!("connecting to {address}"))
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
