//! One request over TLS to a server of this machine that is no engine: whether a client gets in.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;

use super::Credentials;
use super::connection::{explained, server_name};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client of a server on this machine.
#[derive(Debug)]
pub(crate) struct HttpsProbe {
    pub(crate) port: u16,
    /// The name or address that its certificate must be for.
    pub(crate) name: String,
    pub(crate) credentials: Credentials,
}

impl HttpsProbe {
    /// Asks for a path; returns the status of the answer.
    ///
    /// # Errors
    /// When TLS is refused by either side, or nothing answers.
    pub(crate) fn get(&self, path: &str) -> Result<u16> {
        self.status(Method::GET, path)
    }

    /// Posts nothing to a path; returns the status of the answer.
    ///
    /// # Errors
    /// As [`HttpsProbe::get`].
    pub(crate) fn post(&self, path: &str) -> Result<u16> {
        self.status(Method::POST, path)
    }

    fn status(&self, method: Method, path: &str) -> Result<u16> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("starting the client's event loop")?;
        let asked = async { tokio::time::timeout(TIMEOUT, self.ask(method, path)).await };
        runtime
            .block_on(asked)
            .map_err(|_| anyhow!("nothing came for {} s", TIMEOUT.as_secs()))?
    }

    async fn ask(&self, method: Method, path: &str) -> Result<u16> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let tls = TlsConnector::from(self.credentials.config());
        let stream = tls
            .connect(server_name(&self.name)?, tcp)
            .await
            .map_err(explained)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever waits for the answer hears of an error there.
            let _ = connection.await;
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.name)
            .body(Empty::<Bytes>::new())?;
        // With TLS 1.3 a server refuses a client's certificate after the handshake.
        let response = sender.send_request(request).await.map_err(explained)?;
        Ok(response.status().as_u16())
    }
}
