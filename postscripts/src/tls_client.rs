//! A client of TLS that trusts the authorities that it is given, and no others: not those of the system.
//!
//! A connection and PEM texts come in, a stream that is proven to be the named server's goes out. TLS 1.3 and 1.2. The only
//! file that knows rustls.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use time::{Duration, OffsetDateTime};

use crate::timed_stream::TimedStream;
use crate::tls::{CertificateInfo, KeyPem};

/// A client's certificate chain and key, PEM.
pub(crate) type ClientIdentity<'a> = (&'a str, &'a KeyPem);

/// At which time a server's certificate is to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckedTime {
    /// Now, by this host's clock, which is so far behind.
    Behind(Duration),
    /// At some time: whoever asks for the time cannot know it.
    Any,
}

impl CheckedTime {
    /// Now, by this host's clock.
    pub(crate) const NOW: Self = Self::Behind(Duration::ZERO);
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateTerm {
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
}

/// Whom a client trusts, whom it asks for, and who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TlsClient<'a> {
    /// The authorities' certificates, PEM.
    pub(crate) authorities: &'a str,
    /// A name or an address that the server's certificate must have.
    pub(crate) name: &'a str,
    /// The client's own certificate and key.
    pub(crate) identity: Option<ClientIdentity<'a>>,
    pub(crate) time: CheckedTime,
}

/// What is said to a server that is proven to be the one.
pub(crate) struct TlsStream(StreamOwned<ClientConnection, TimedStream>);

impl TlsClient<'_> {
    /// Shakes hands.
    ///
    /// # Errors
    /// When the server is another, or does not answer.
    pub(crate) fn connect(&self, stream: TimedStream) -> Result<TlsStream> {
        self.handshake(self.config()?, stream)
    }

    /// Shakes hands without a certificate, and returns the subjects, DER, of the authorities that the server asks for one of.
    ///
    /// # Errors
    /// When the server is another, or does not answer.
    pub(crate) fn requested_authorities(&self, stream: TimedStream) -> Result<Vec<Vec<u8>>> {
        let asked = Arc::new(RequestedAuthorities::default());
        let resolver = Arc::clone(&asked);
        let config = self.builder()?.with_client_cert_resolver(resolver);
        // a server asks before it proves who it is, and one that speaks TLS 1.2 refuses a client without a certificate
        // after that and before the handshake ends
        if let Err(error) = self.handshake(config, stream)
            && !is_refusal(&error)
        {
            return Err(error);
        }
        Ok(asked.subjects())
    }

    fn handshake(&self, config: ClientConfig, stream: TimedStream) -> Result<TlsStream> {
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
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let verifier = VerifierAtTime {
            verifier: verifier.build()?,
            time: self.time,
        };
        Ok(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)))
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

/// rustls's own check of a server, at a time of ours.
#[derive(Debug)]
struct VerifierAtTime {
    verifier: Arc<WebPkiServerVerifier>,
    time: CheckedTime,
}

impl VerifierAtTime {
    /// Returns when the certificates are to be valid, all of them.
    fn time(&self, certificates: &[&[u8]], now: UnixTime) -> Option<UnixTime> {
        let seconds = match self.time {
            CheckedTime::Behind(offset) => {
                let now = i64::try_from(now.as_secs()).ok()?;
                now.checked_add(offset.whole_seconds())?
            }
            CheckedTime::Any => {
                let begins = certificates.iter().map(|der| {
                    let described = CertificateInfo::of_der(der).ok()?;
                    Some(described.not_before.unix_timestamp())
                });
                begins.collect::<Option<Vec<_>>>()?.into_iter().max()?
            }
        };
        let since = std::time::Duration::from_secs(u64::try_from(seconds).ok()?);
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl ServerCertVerifier for VerifierAtTime {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(own).chain(above);
        let all: Vec<&[u8]> = all.map(AsRef::as_ref).collect();
        let time = self
            .time(&all, now)
            .ok_or(rustls::CertificateError::BadEncoding)?;
        self.verifier
            .verify_server_cert(own, above, name, ocsp, time)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Says whether the server ended a handshake: this side had nothing against its certificate.
fn is_refusal(error: &anyhow::Error) -> bool {
    let error = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let error = error.and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::AlertReceived(_)))
}

/// Whether a name is one that a client can ask for: of all digits it is none.
pub(crate) fn is_usable_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

impl TlsStream {
    /// Returns from when until when the server's certificate is valid.
    pub(crate) fn server_term(&self) -> Option<CertificateTerm> {
        let own = self.0.conn.peer_certificates()?.first()?;
        let described = CertificateInfo::of_der(own).ok()?;
        Some(CertificateTerm {
            from: described.not_before,
            until: described.not_after,
        })
    }

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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use rustls::server::WebPkiClientVerifier;
    use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

    use super::*;
    use crate::timed_stream::TimeLimits;
    use crate::tls::{Authority, CertificateInfo, LocalAuthority, SubjectAltNames, Usage};

    fn authority(name: &str) -> LocalAuthority {
        LocalAuthority::create(name, OffsetDateTime::now_utc())
            .unwrap()
            .0
    }

    /// A server that lets in the clients of an authority alone.
    fn server(
        version: &'static SupportedProtocolVersion,
        hosts: &LocalAuthority,
        clients: &LocalAuthority,
    ) -> SocketAddr {
        let until = OffsetDateTime::now_utc() + Duration::days(1);
        server_until(version, hosts, clients, until)
    }

    /// The same, whose certificate ends then; it begins in 1970.
    fn server_until(
        version: &'static SupportedProtocolVersion,
        hosts: &LocalAuthority,
        clients: &LocalAuthority,
        until: OffsetDateTime,
    ) -> SocketAddr {
        let names = SubjectAltNames {
            dns: ["host01".to_owned()].into(),
            ..SubjectAltNames::default()
        };
        let key = KeyPem::generate().unwrap();
        let request = key.request("host01", &names).unwrap();
        let certificate = hosts.sign(&request, Usage::Server, until).unwrap();
        let mut roots = RootCertStore::empty();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(der(clients.certificate())).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![der(&certificate)],
                PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            // until the client is gone: one that has no certificate is refused
            while connection.complete_io(&mut stream).is_ok() {}
            let _ = stream.read_to_end(&mut Vec::new());
        });
        address
    }

    fn connect(address: SocketAddr, seconds: u64) -> TimedStream {
        let limits = TimeLimits {
            connect: std::time::Duration::from_secs(20),
            idle: std::time::Duration::from_secs(20),
            total: std::time::Duration::from_secs(seconds),
        };
        TimedStream::connect(&address, limits).unwrap()
    }

    #[test]
    fn what_a_server_asks_for_counts_where_it_is_the_one() {
        let (hosts, clients, other) =
            (authority("hosts"), authority("clients"), authority("other"));
        let expected = CertificateInfo::parse(clients.certificate()).unwrap();
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let asked = |authority: &LocalAuthority, name| {
                let client = TlsClient {
                    authorities: authority.certificate(),
                    name,
                    identity: None,
                    time: CheckedTime::NOW,
                };
                let stream = connect(server(version, &hosts, &clients), 60);
                let asked = client.requested_authorities(stream);
                asked.map_err(|error| format!("{error:#}"))
            };
            assert_eq!(
                asked(&hosts, "host01"),
                Ok(vec![expected.subject().to_vec()])
            );
            let refused = "shaking hands: invalid peer certificate: ";
            for (authority, name) in [(&other, "host01"), (&hosts, "host02")] {
                let why = asked(authority, name).unwrap_err();
                assert!(why.starts_with(refused), "{version:?} {name}: {why}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_off_lets_in_nobody_whom_another_authority_signed() {
        let (hosts, clients, other) =
            (authority("hosts"), authority("clients"), authority("other"));
        let until = OffsetDateTime::UNIX_EPOCH + Duration::days(365);
        let now = OffsetDateTime::now_utc();
        let behind = |days: i64| {
            CheckedTime::Behind(OffsetDateTime::UNIX_EPOCH + Duration::days(days) - now)
        };
        for (authority, name, time, expected) in [
            (
                &hosts,
                "host01",
                CheckedTime::NOW,
                Err("certificate expired"),
            ),
            (&hosts, "host01", behind(366), Err("certificate expired")),
            (&hosts, "host01", behind(300), Ok(Some(until))),
            (&hosts, "host01", CheckedTime::Any, Ok(Some(until))),
            (
                &other,
                "host01",
                CheckedTime::Any,
                Err("invalid peer certificate: UnknownIssuer"),
            ),
            (
                &hosts,
                "host02",
                CheckedTime::Any,
                Err("certificate not valid for name"),
            ),
        ] {
            let client = TlsClient {
                authorities: authority.certificate(),
                name,
                identity: None,
                time,
            };
            let version = &rustls::version::TLS12;
            let stream = connect(server_until(version, &hosts, &clients, until), 60);
            // this server lets nobody in without a certificate: it has proven by then who it is, or has not
            let mut config = client.config().unwrap();
            config.enable_sni = true;
            let name = ServerName::try_from(name).unwrap();
            let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = stream;
            let ended = loop {
                match connection.complete_io(&mut stream) {
                    Err(error) => break format!("{error}"),
                    Ok(_) if !connection.is_handshaking() => break String::new(),
                    Ok(_) => {}
                }
            };
            let shown = TlsStream(StreamOwned::new(connection, stream)).server_term();
            match expected {
                Ok(until) => assert_eq!(shown.map(|term| term.until), until, "{time:?}: {ended}"),
                Err(why) => assert!(ended.contains(why), "{time:?}: {ended}"),
            }
        }
    }

    #[test]
    fn a_handshake_has_an_end_however_its_bytes_come() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // the head of a record of 16 KiB, and then one byte and another
            stream.write_all(&[22, 3, 3, 64, 0]).unwrap();
            while stream.write_all(&[0]).is_ok() {
                thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let hosts = authority("hosts");
        let client = TlsClient {
            authorities: hosts.certificate(),
            name: "host01",
            identity: None,
            time: CheckedTime::NOW,
        };
        let error = client.connect(connect(address, 1)).err().unwrap();
        assert_eq!(format!("{error:#}"), "shaking hands: it took more than 1 s");
    }
}
