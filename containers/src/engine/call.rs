//! What is asked of an engine, and what it answers.

use std::fmt::Write as _;
use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::Method;
use serde_json::Value;

/// How long an engine may take for an answer, or be silent within one.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How much of an answer that is no JSON a message shows.
const MAX_SHOWN: usize = 300;

/// One call of the API: a method, a path without the version, a query, a body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    target: String,
    body: Option<Value>,
    timeout: Option<Duration>,
    upgrades: bool,
    upload: Option<Upload>,
    registry_auth: Option<RegistryAuth>,
}

/// Who we are to a registry, as the header `X-Registry-Auth` has it. Prints as nothing, so that no log ever holds it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RegistryAuth(String);

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistryAuth(not shown)")
    }
}

impl RegistryAuth {
    /// Takes JSON in base64, of the alphabet for URLs.
    pub(crate) fn new(encoded: String) -> Self {
        Self(encoded)
    }

    /// Says that there is no password: some calls are refused that say nothing of it.
    pub(crate) fn nobody() -> Self {
        // An empty object.
        Self("e30=".to_owned())
    }

    /// Returns the header's value; for the one request that has it.
    pub(crate) fn value(&self) -> &str {
        &self.0
    }
}

/// An archive that is sent: how it is opened, once for each time that it is.
#[derive(Clone)]
struct Upload(Arc<OpenUpload>);

type OpenUpload = dyn Fn() -> Result<Box<dyn Read + Send>> + Send + Sync;

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upload")
    }
}

/// The body of a request: at once, or as it is read.
pub(super) type Payload = Either<Full<Bytes>, Channel<Bytes, std::io::Error>>;

/// How much of an archive is sent at a time, and how many such pieces wait.
const PIECE: usize = 128 << 10;
const MAX_WAITING: usize = 4;

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            target: path.into(),
            body: None,
            timeout: Some(TIMEOUT),
            upgrades: false,
            upload: None,
            registry_auth: None,
        }
    }

    /// Reads.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Changes.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Removes.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        let sign = if self.target.contains('?') { '&' } else { '?' };
        let _ = write!(self.target, "{sign}{name}={}", encoded(value));
        self
    }

    /// Sends a body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends an archive, which is read while it is sent.
    pub(crate) fn upload(
        mut self,
        open: impl Fn() -> Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    ) -> Self {
        self.upload = Some(Upload(Arc::new(open)));
        self
    }

    /// Says who we are to the registry that the engine asks.
    pub(crate) fn registry_auth(mut self, auth: RegistryAuth) -> Self {
        self.registry_auth = Some(auth);
        self
    }

    /// Waits as much longer as the engine itself may wait.
    pub(crate) fn with_more_time(mut self, more: Duration) -> Self {
        self.timeout = self.timeout.map(|timeout| timeout + more);
        self
    }

    /// Waits without end: for what a container prints next.
    pub(crate) fn endless(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Asks that the connection become a console.
    pub(crate) fn upgrading(mut self) -> Self {
        self.upgrades = true;
        self
    }

    pub(super) fn upgrades(&self) -> bool {
        self.upgrades
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn auth(&self) -> Option<&RegistryAuth> {
        self.registry_auth.as_ref()
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.upload {
            Some(_) => "application/x-tar",
            None => "application/json",
        }
    }

    /// Makes the body; an archive is read by a thread of its own.
    pub(super) fn payload(&self) -> Result<Payload> {
        let Some(Upload(open)) = &self.upload else {
            let body = self.body.as_ref();
            let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
            return Ok(Either::Left(Full::new(body)));
        };
        let mut archive = open()?;
        let (mut sender, channel) = Channel::new(MAX_WAITING);
        let (pieces, mut read) = tokio::sync::mpsc::channel(MAX_WAITING);
        thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let length = archive.read(&mut piece);
                let ended = !matches!(length, Ok(1..));
                let piece = length.map(|length| {
                    piece.truncate(length);
                    Bytes::from(piece)
                });
                if pieces.blocking_send(piece).is_err() || ended {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(piece) = read.recv().await {
                match piece {
                    Ok(piece) if piece.is_empty() => return,
                    Ok(piece) => {
                        if sender.send_data(piece).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => return sender.abort(error),
                }
            }
        });
        Ok(Either::Right(channel))
    }

    /// Waits for something no longer than the call may take.
    pub(super) async fn limited<T>(&self, wait: impl Future<Output = T>) -> Result<T> {
        let Some(timeout) = self.timeout else {
            return Ok(wait.await);
        };
        let limited = tokio::time::timeout(timeout, wait).await;
        limited.map_err(|_| anyhow!("the engine sent nothing for {} s", timeout.as_secs()))
    }
}

/// Writes a text as a part of a query: all but unreserved characters as `%XX` (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What an engine answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EngineAnswer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body; null where there is none.
    pub(crate) body: Value,
}

/// An answer that says that the call was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineRefusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What the engine says about it.
    pub(crate) message: String,
}

impl std::fmt::Display for EngineRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineRefusal {}

impl EngineAnswer {
    /// Reads an answer; a body that is no JSON is refused with the beginning of its text.
    pub(crate) fn parse(status: u16, body: &[u8]) -> Result<Self> {
        if body.iter().all(u8::is_ascii_whitespace) {
            let body = Value::Null;
            return Ok(Self { status, body });
        }
        if let Ok(body) = serde_json::from_slice(body) {
            return Ok(Self { status, body });
        }
        let text = String::from_utf8_lossy(body);
        let shown: String = text.trim().chars().take(MAX_SHOWN).collect();
        let html = shown.starts_with('<');
        if status < 400 || html {
            let what = if html { "a web page" } else { "no JSON" };
            return Err(anyhow!(
                "what answers there is no docker engine: it sent {what} with status {status}"
            ));
        }
        // Engines refuse some requests in plain text.
        let body = serde_json::json!({ "message": shown });
        Ok(Self { status, body })
    }

    /// Returns the body of a call that was done, or was so already.
    ///
    /// # Errors
    /// A [`EngineRefusal`] with the engine's own words.
    pub(crate) fn succeeded(self) -> Result<Value, EngineRefusal> {
        if self.status < 400 {
            return Ok(self.body);
        }
        let message = self.body["message"].as_str().map(str::trim);
        let message = message.filter(|message| !message.is_empty());
        let silent = || format!("the engine answered {} without a reason", self.status);
        Err(EngineRefusal {
            status: self.status,
            message: message.map_or_else(silent, str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_any_text() {
        let call = Call::get("/images/json")
            .query("filters", r#"{"a":["b=c"]}"#)
            .query("t", "é+ /");
        assert_eq!(
            call.target(),
            "/images/json?filters=%7B%22a%22%3A%5B%22b%3Dc%22%5D%7D&t=%C3%A9%2B%20%2F"
        );
    }

    #[test]
    fn an_answer_is_json_or_nothing_and_a_refusal_has_a_reason() {
        let refused = |status, body: &str| {
            let answer = EngineAnswer::parse(status, body.as_bytes());
            let refusal = answer.map(|answer| answer.succeeded().unwrap_err().message);
            refusal.unwrap_or_else(|error| error.to_string())
        };
        for (status, body, message) in [
            (
                409,
                r#"{"message":"name in use\n"}"#,
                "name in use".to_owned(),
            ),
            (
                400,
                "client version 1.12 is too old",
                "client version 1.12 is too old".to_owned(),
            ),
            (
                500,
                "",
                "the engine answered 500 without a reason".to_owned(),
            ),
            (
                500,
                "{}",
                "the engine answered 500 without a reason".to_owned(),
            ),
            (400, &"x".repeat(9_000), "x".repeat(MAX_SHOWN)),
            (
                502,
                "<html>bad gateway</html>",
                "what answers there is no docker engine: it sent a web page with status 502"
                    .to_owned(),
            ),
        ] {
            assert_eq!(refused(status, body), message, "{body}");
        }
        assert_eq!(
            EngineAnswer::parse(304, b"").unwrap().succeeded(),
            Ok(Value::Null)
        );
        assert_eq!(
            EngineAnswer::parse(200, b"hello").unwrap_err().to_string(),
            "what answers there is no docker engine: it sent no JSON with status 200"
        );
    }
}
