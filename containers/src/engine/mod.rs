//! A client of the Docker Engine API: one engine, one connection, blocking.
//!
//! A [`Call`] comes in, an [`EngineAnswer`] or a stream goes out. The engine is reached over a unix socket or by mutual TLS,
//! never in the clear. One `HEAD /_ping` decides the version of the API, which every later call names; a status
//! other than 2xx is an answer as any other, so that the 304 of "already started" is kept. Answers are JSON values:
//! what an engine adds is no error. Every answer has a bound, every wait a limit. Nothing here knows nodes.
//! The one place that knows hyper, rustls and their asynchronous runtime.
//! Reference: the Engine API 1.24 to 1.55; moby `daemon/server/middleware/version.go`.

mod call;
mod connection;
mod console;
mod credentials;
mod https;
mod json_lines;
mod version;

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

pub(crate) use call::{Call, EngineAnswer, EngineRefusal, RegistryAuth};
pub(crate) use connection::Endpoint;
pub(crate) use console::{Console, ConsoleInput};
pub(crate) use credentials::Credentials;
pub(crate) use https::HttpsProbe;
pub(crate) use json_lines::JsonLines;
pub(crate) use version::ApiVersion;

use connection::EngineConnection;

/// An engine that answered, and the version of the API that is spoken with it.
#[derive(Debug)]
pub(crate) struct EngineApi {
    runtime: Runtime,
    connection: EngineConnection,
}

impl EngineApi {
    /// Connects and asks for the version of the API.
    ///
    /// # Errors
    /// When nobody is reached, TLS is refused by either side, or what answers is no engine that can be spoken with.
    pub(crate) fn connect(endpoint: &Endpoint) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the client's event loop")?;
        let connection = runtime.block_on(EngineConnection::open(endpoint.clone()))?;
        Ok(Self {
            runtime,
            connection,
        })
    }

    /// Returns the version of the API that is spoken.
    pub(crate) fn api(&self) -> ApiVersion {
        self.connection.api()
    }

    /// Makes a call and returns its answer, whatever its status.
    ///
    /// # Errors
    /// When the engine does not answer in time, or its answer is not of the API.
    pub(crate) fn ask(&mut self, call: &Call) -> Result<EngineAnswer> {
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            let response = connection.send(call).await?;
            connection.answer(response, call).await
        })
    }

    /// Asks for the container of a name; where there is none, the answer is 404.
    ///
    /// Engines take the beginning of an ID for a name too (`GetContainer`, daemon/container.go of moby): `db` would be
    /// whatever container has an ID that begins so. What is done to a container is therefore done by the ID found here.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) fn inspect(&mut self, name: &str) -> Result<EngineAnswer> {
        let answer = self.ask(&Call::get(format!("/containers/{name}/json")))?;
        let found = answer.body["Name"].as_str();
        let is_another = found.is_some_and(|found| found.strip_prefix('/') != Some(name));
        Ok(if answer.status < 400 && is_another {
            EngineAnswer {
                status: 404,
                body: json!({ "message": format!("No such container: {name}") }),
            }
        } else {
            answer
        })
    }

    /// Makes a call whose answer is a stream of JSON values, and hands on each as it comes.
    ///
    /// # Errors
    /// A [`EngineRefusal`] when the call is refused; else as [`Self::ask`], or what `each` returns.
    pub(crate) fn stream(
        &mut self,
        call: &Call,
        each: &mut dyn FnMut(Value) -> Result<()>,
    ) -> Result<()> {
        let mut lines = JsonLines::default();
        self.bytes(call, &mut |chunk| {
            lines.push(chunk)?;
            while let Some(value) = lines.next()? {
                each(value)?;
            }
            Ok(())
        })?;
        lines.finish()
    }

    /// Makes a call whose answer is a stream of bytes, and hands on each piece as it comes.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub(crate) fn bytes(
        &mut self,
        call: &Call,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            let mut response = connection.send(call).await?;
            if !response.status().is_success() {
                let answer = connection.answer(response, call).await?;
                return answer.succeeded().map(drop).map_err(Into::into);
            }
            loop {
                let next = call.limited(response.body_mut().frame()).await?;
                let Some(frame) = next else { return Ok(()) };
                let frame = frame.context("reading what it sends")?;
                if let Some(chunk) = frame.data_ref() {
                    each(chunk)?;
                }
            }
        })
    }

    /// Makes a call that turns the connection into a console, and stays with it until either side ends it.
    ///
    /// # Errors
    /// As [`Self::stream`]; and when the connection is lost.
    pub(crate) fn console(&mut self, call: &Call, console: &mut Console<'_>) -> Result<()> {
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            let stream = connection.upgrade(call).await?;
            console.run(stream, connection).await
        })
    }
}
/// Returns the path of calls about a container that was inspected.
///
/// # Errors
/// When the engine named no ID.
pub(crate) fn container_path(found: &Value) -> Result<String> {
    let id = found["Id"].as_str().context("the engine names no ID")?;
    Ok(format!("/containers/{id}"))
}
