//! One connection to an engine, opened again when it is lost between two calls.

use std::future::Future;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::call::Payload;
use super::{ApiVersion, Call, Credentials, EngineAnswer};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the handshake over it may take, on a host that is busy.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the first answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer: thousands of containers have some megabytes.
const MAX_ANSWER: usize = 32 << 20;
/// The port of engines that speak TLS, and the one that those have that do not.
const TLS_PORT: u16 = 2376;
const PLAIN_PORT: u16 = 2375;

/// Where an engine is reached.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A port, by mutual TLS.
    Tls {
        /// A name or an address; the engine's certificate must be for it.
        host: String,
        /// The port.
        port: u16,
        /// Who the client is, and whom it believes.
        credentials: Credentials,
    },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tls { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tls { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// An open connection; without a sender it is opened again by the next call.
#[derive(Debug)]
pub(super) struct EngineConnection {
    endpoint: Endpoint,
    api: ApiVersion,
    sender: Option<SendRequest<Payload>>,
}

impl EngineConnection {
    /// Connects, and settles which version of the API is spoken.
    pub(super) async fn open(endpoint: Endpoint) -> Result<Self> {
        let mut connection = Self {
            endpoint,
            api: ApiVersion::OLDEST,
            sender: None,
        };
        connection.reopen().await?;
        connection.api = connection.ping().await.with_context(|| {
            format!(
                "asking the engine at {} for its version",
                connection.endpoint
            )
        })?;
        Ok(connection)
    }

    pub(super) fn api(&self) -> ApiVersion {
        self.api
    }

    async fn reopen(&mut self) -> Result<&mut SendRequest<Payload>> {
        let opened = dial(&self.endpoint).await;
        let sender =
            opened.with_context(|| format!("connecting to the engine at {}", self.endpoint))?;
        Ok(self.sender.insert(sender))
    }

    /// Asks for the newest version that the engine speaks: in a header, since engines before 18.09 in a GET alone.
    async fn ping(&mut self) -> Result<ApiVersion> {
        let mut response = None;
        for method in [Method::HEAD, Method::GET] {
            let request = self
                .head(&method, "/_ping")
                .body(Either::Left(Full::default()))?;
            let answered = within(PING_TIMEOUT, "it does not answer", self.exchange(request));
            let sent = answered.await?.map_err(explained)?;
            let unknown = matches!(
                sent.status(),
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
            );
            response = Some(sent);
            if !unknown {
                break;
            }
            self.reopen().await?; // the rest of that answer is nobody's
        }
        let response = response.context("sending a ping")?;
        let newest = response.headers().get("Api-Version");
        let newest = newest.and_then(|value| value.to_str().ok());
        let Some(newest) = newest.and_then(|text| text.parse::<ApiVersion>().ok()) else {
            let status = response.status().as_u16();
            bail!(
                "what answers there is no docker engine: its answer, with status {status}, names no version of the API"
            );
        };
        newest.spoken().with_context(|| {
            let oldest = ApiVersion::OLDEST;
            format!("the engine's API is {newest}, and {oldest} is the oldest that can be spoken")
        })
    }

    /// Sends a call; returns the head of the answer.
    pub(super) async fn send(&mut self, call: &Call) -> Result<Response<Incoming>> {
        let lost = self.sender.as_mut().is_none_or(|sender| sender.is_closed());
        if lost {
            self.reopen().await?;
        }
        let request = self.request(call)?;
        let first = call.limited(self.exchange(request)).await?;
        match first {
            // Between two calls the engine may have gone and come back; what only reads may be asked again.
            Err(error) if call.method() == Method::GET && !error.is_timeout() => {
                self.reopen().await?;
                let request = self.request(call)?;
                let again = call.limited(self.exchange(request)).await?;
                again.map_err(explained)
            }
            Err(error) => Err(explained(error)),
            Ok(response) => Ok(response),
        }
    }

    /// Reads the whole of an answer.
    pub(super) async fn answer(
        &mut self,
        response: Response<Incoming>,
        call: &Call,
    ) -> Result<EngineAnswer> {
        let status = response.status().as_u16();
        let limited = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
        let body = match call.limited(limited.collect()).await? {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                self.sender = None;
                if error.is::<http_body_util::LengthLimitError>() {
                    bail!(
                        "the engine's answer is longer than {} MiB",
                        MAX_ANSWER >> 20
                    );
                }
                return Err(Error::from_boxed(error)).context("reading the answer");
            }
        };
        EngineAnswer::parse(status, &body)
    }

    /// Sends a call that turns the connection into a stream of bytes both ways; the next call opens another.
    pub(super) async fn upgrade(&mut self, call: &Call) -> Result<TokioIo<Upgraded>> {
        let response = self.send(call).await?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let answer = self.answer(response, call).await?;
            answer.succeeded()?;
            bail!("the engine answered {status} and opened no console");
        }
        let upgraded = hyper::upgrade::on(response).await;
        self.sender = None;
        Ok(TokioIo::new(upgraded.context("opening a console")?))
    }

    async fn exchange(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let Some(sender) = self.sender.as_mut() else {
            unreachable!("a connection is opened before it is used")
        };
        let sent = match sender.ready().await {
            Ok(()) => sender.send_request(request).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            self.sender = None;
        }
        sent
    }

    /// Makes the request of a call.
    fn request(&self, call: &Call) -> Result<Request<Payload>> {
        let target = format!("/v{}{}", self.api, call.target());
        let mut request = self.head(call.method(), &target);
        request = request.header(CONTENT_TYPE, call.content_type());
        if call.upgrades() {
            request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
        }
        if let Some(auth) = call.auth() {
            let mut value =
                HeaderValue::from_str(auth.value()).context("saying who we are to a registry")?;
            value.set_sensitive(true);
            request = request.header("X-Registry-Auth", value);
        }
        request.body(call.payload()?).context("making a request")
    }

    fn head(&self, method: &Method, target: &str) -> hyper::http::request::Builder {
        let host = match &self.endpoint {
            Endpoint::Unix(_) => "docker".to_owned(),
            endpoint => endpoint.to_string(),
        };
        Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, host)
            .header(USER_AGENT, concat!("slipway/", env!("CARGO_PKG_VERSION")))
    }
}

/// Opens a connection and has a task of its own move its bytes.
async fn dial(endpoint: &Endpoint) -> Result<SendRequest<Payload>> {
    match endpoint {
        Endpoint::Unix(path) => speak(UnixStream::connect(path).await?).await,
        Endpoint::Tls {
            host,
            port,
            credentials,
        } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            let tcp = within(CONNECT_TIMEOUT, "it does not answer", connecting).await?;
            let tcp = tcp.map_err(|error| refused(error, *port))?;
            tcp.set_nodelay(true)?;
            let name = server_name(host)?;
            let tls = TlsConnector::from(credentials.config());
            let shaking = tls.connect(name, tcp);
            let stream = within(HANDSHAKE_TIMEOUT, "it speaks no TLS", shaking).await?;
            speak(stream.map_err(explained)?).await
        }
    }
}

/// Takes a name or an address as that of a server.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::from(address)),
        Err(_) => ServerName::try_from(host.to_owned())
            .with_context(|| format!("taking '{host}' as the name of a server")),
    }
}

/// Waits no longer than that, and else says what it means.
async fn within<T>(timeout: Duration, meaning: &str, wait: impl Future<Output = T>) -> Result<T> {
    let limited = tokio::time::timeout(timeout, wait).await;
    limited.map_err(|_| anyhow!("nothing came for {} s: {meaning}", timeout.as_secs()))
}

async fn speak<S>(stream: S) -> Result<SendRequest<Payload>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever waits for an answer hears of an error there.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Says what to do where the port of a definition from xCAT is refused.
fn refused(error: std::io::Error, port: u16) -> Error {
    let is_plain = error.kind() == ErrorKind::ConnectionRefused && port == PLAIN_PORT;
    if is_plain {
        anyhow!(
            "{error}: engines that speak TLS listen on {TLS_PORT}, not on {PLAIN_PORT}: change dockerhost"
        )
    } else {
        error.into()
    }
}

/// Adds to an error of TLS what it means for whoever has to mend it.
pub(super) fn explained(error: impl Into<Error>) -> Error {
    let error: Error = error.into();
    let of_tls = error.chain().find_map(|cause| {
        let inner = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
        inner.downcast_ref::<rustls::Error>()
    });
    match of_tls.and_then(meaning) {
        Some(meaning) => error.context(meaning),
        None => error,
    }
}

/// Says what is wrong with the engine's certificate, or what the engine finds wrong with the client's.
fn meaning(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer => {
                "the engine's certificate is of another authority than ca.pem"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the engine's certificate has expired, or a clock is wrong: setupdockerhost renews it"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the engine's certificate is for another name: setupdockerhost makes one for all that the host has"
            }
            _ => return None,
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA => {
                "the engine does not know the authority that signed the client's certificate"
            }
            AlertDescription::CertificateRequired => "the engine wants a client's certificate",
            AlertDescription::CertificateExpired => {
                "the client's certificate has expired, or a clock is wrong"
            }
            AlertDescription::BadCertificate => "the engine does not take the client's certificate",
            _ => return None,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what listens there speaks no TLS, and an engine without it obeys whoever reaches it: run setupdockerhost there"
        }
        _ => return None,
    })
}
