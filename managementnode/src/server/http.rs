//! What is answered to which request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use definitions::terminal::escaped;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::files::{Content, Tree, plain};
use super::limits::{BODY, MAX_BODY};
use super::nodes::KnownNodes;
use super::signer::SignerClient;
use crate::states::{ReportEvidence, ReportedState, StateReport, States};
use crate::trust::{Answer, CertificateHolder, Enrolment, Question, now};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) tree: Tree,
    pub(super) nodes: KnownNodes,
    pub(super) states: Mutex<States>,
    /// The root's certificate, where there is TLS.
    pub(super) root: Option<String>,
    pub(super) signer: SignerClient,
}

/// Whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    pub(super) is_tls: bool,
    /// The node, by its certificate.
    pub(super) certificate: Option<CertificateHolder>,
}

/// The body of a report.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    state: ReportedState,
    #[serde(default)]
    lines: Vec<String>,
}

/// The body of an enrolment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentBody {
    node: String,
    token: String,
    request: String,
}

impl Service {
    /// Answers a request.
    pub(super) async fn answer(
        self: Arc<Self>,
        caller: Caller,
        request: Request<Incoming>,
    ) -> Response<Content> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path().to_owned();
        if let Some(file) = path.strip_prefix("/install/").filter(|_| is_read) {
            let is_head = request.method() == Method::HEAD;
            return self.tree.answer(file, request.headers(), is_head).await;
        }
        match (request.method(), path.as_str()) {
            (&Method::GET, "/v1/root") => match &self.root {
                Some(root) => plain(StatusCode::OK, root),
                None => plain(StatusCode::NOT_FOUND, ""),
            },
            (&Method::POST, "/v1/report") => match body(request).await {
                Ok(body) => self.report(&caller, body).await,
                Err(status) => plain(status, ""),
            },
            (&Method::POST, "/v1/enrol") if !caller.is_tls => {
                plain(StatusCode::FORBIDDEN, "secrets are taken by TLS alone\n")
            }
            (&Method::POST, "/v1/enrol") => match body(request).await {
                Ok(body) => self.enrol(&caller, body).await,
                Err(status) => plain(status, ""),
            },
            (_, "/v1/root" | "/v1/report" | "/v1/enrol") => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "")
            }
            (_, path) if path.starts_with("/install/") => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn report(self: Arc<Self>, caller: &Caller, body: ReportBody) -> Response<Content> {
        if let Some(own) = &caller.certificate {
            match self.signer.is_valid(&own.serial).await {
                Ok(true) => {}
                Ok(false) => return plain(StatusCode::FORBIDDEN, "this certificate is revoked\n"),
                Err(error) => return unavailable(&error),
            }
        }
        let caller = caller.clone();
        let recorded =
            tokio::task::spawn_blocking(move || self.record(&caller, body.state, body.lines)).await;
        match recorded {
            Ok(Ok(true)) => plain(StatusCode::OK, "noted\n"),
            Ok(Ok(false)) => plain(
                StatusCode::FORBIDDEN,
                "no node has this address or certificate\n",
            ),
            Ok(Err(error)) => unavailable(&error),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }

    /// Keeps a report, if a node made it.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(super) fn record(
        &self,
        caller: &Caller,
        state: ReportedState,
        lines: Vec<String>,
    ) -> Result<bool> {
        let (node, by) = match &caller.certificate {
            Some(own) => (
                self.nodes.exists(&own.name).then(|| own.name.clone()),
                ReportEvidence::Certificate,
            ),
            None => (self.nodes.at(caller.address), ReportEvidence::Address),
        };
        let Some(node) = node else {
            return Ok(false);
        };
        let report = StateReport {
            node,
            state,
            time: now(),
            by,
            lines,
        };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.record(report.bounded())?;
        Ok(true)
    }

    async fn enrol(&self, caller: &Caller, body: EnrolmentBody) -> Response<Content> {
        let enrolment = Enrolment {
            node: body.node,
            token: body.token,
            request: body.request,
            from: caller.address.to_string(),
        };
        let (status, answer) = match self.signer.ask(&Question::Enrol(enrolment)).await {
            Ok(answer @ Answer::Certificate(_)) => (StatusCode::OK, answer),
            Ok(answer) => (StatusCode::FORBIDDEN, answer),
            Err(error) => return unavailable(&error),
        };
        match serde_json::to_string(&answer) {
            Ok(text) => plain(status, &(text + "\n")),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }
}

/// Says on our side what is wrong, and to whoever asked that it may pass.
fn unavailable(error: &anyhow::Error) -> Response<Content> {
    eprintln!("slipwayd: {}", escaped(&format!("{error:#}"), '\t'));
    plain(StatusCode::SERVICE_UNAVAILABLE, "")
}

/// Reads the JSON of a request.
async fn body<T: for<'a> Deserialize<'a>>(request: Request<Incoming>) -> Result<T, StatusCode> {
    let limited = Limited::new(request.into_body(), MAX_BODY);
    let collected = timeout(BODY, limited.collect())
        .await
        .map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    let bytes = collected.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        }
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|_| StatusCode::BAD_REQUEST)
}
