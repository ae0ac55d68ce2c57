//! What is answered to which request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use definitions::states::{ReportEvidence, ReportedState, StateReport};
use definitions::terminal::escaped;
use definitions::{EnrolmentRequest, RenewalRequest, Site};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::content::Content;
use super::files::{Tree, plain};
use super::limits::{BODY, MAX_BODY};
use super::nodes::KnownNodes;
use super::signer::{SignerClient, SocketClient};
use super::tls::Peer;
use super::{api, page};
use crate::states::States;
use crate::trust::{
    Answer, CertificateHolder, Enrolment, Question, Renewal, ShownCertificate, now,
};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) tree: Tree,
    pub(super) nodes: KnownNodes,
    pub(super) states: Mutex<States>,
    /// The turns of those who read definitions.
    pub(super) readers: Arc<Semaphore>,
    pub(super) editor: SocketClient,
    /// The root's certificate, where there is TLS.
    pub(super) root: Option<String>,
    pub(super) signer: SignerClient,
}

/// Whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    pub(super) is_tls: bool,
    /// Who it is, by its certificate.
    pub(super) peer: Option<Peer>,
}

impl Caller {
    /// Returns the certificate that it showed.
    pub(super) fn shows(&self, own: &CertificateHolder) -> ShownCertificate {
        ShownCertificate {
            name: own.name.clone(),
            serial: own.serial.clone(),
            from: self.address.to_string(),
        }
    }
}

/// The body of a report.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    state: ReportedState,
    #[serde(default)]
    lines: Vec<String>,
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
            let node = Arc::clone(&self).node(caller);
            let fields = request.headers();
            return self.tree.answer(file, fields, is_head, node).await;
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
            (&Method::POST, "/v1/renew") => match body(request).await {
                Ok(body) => self.renew(&caller, body).await,
                Err(status) => plain(status, ""),
            },
            (&Method::GET, "/v1/time") if caller.is_tls => {
                plain(StatusCode::OK, &format!("{}\n", now().unix_timestamp()))
            }
            (&Method::POST, "/v1/confirm") => self.confirm(&caller).await,
            (&Method::GET, "/v1/revocations") => self.revocations(&caller).await,
            (
                _,
                "/v1/root" | "/v1/report" | "/v1/enrol" | "/v1/renew" | "/v1/confirm"
                | "/v1/revocations",
            ) => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
            (_, path) if path.starts_with("/install/") => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
            (_, path) if caller.is_tls && path.starts_with(api::PREFIX) => {
                api::answer(self, &caller, request).await
            }
            (&Method::GET, path) if caller.is_tls && page::is_for(path) => {
                page::answer(self, &caller, request.uri()).await
            }
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    /// Returns the node that asks: by its certificate, while that counts, else by its address.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(super) async fn node(
        self: Arc<Self>,
        caller: Caller,
    ) -> Result<Option<String>, StatusCode> {
        if let Some(Peer::Node(own)) = &caller.peer {
            match self.signer.is_valid(caller.shows(own)).await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    log(&format!("{error:#}"));
                    return Err(StatusCode::SERVICE_UNAVAILABLE);
                }
            }
        }
        // Who asks may have to be looked up in the definitions.
        let known = tokio::task::spawn_blocking(move || self.known(&caller).0).await;
        known.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the node that asks, if it is defined, and how that is known; revoked certificates are not looked for.
    fn known(&self, caller: &Caller) -> (Option<String>, ReportEvidence) {
        match &caller.peer {
            Some(Peer::Node(own)) => (
                self.nodes.exists(&own.name).then(|| own.name.clone()),
                ReportEvidence::Certificate,
            ),
            // A client is no node, whatever its name and wherever it is.
            Some(Peer::Client(_)) => (None, ReportEvidence::Certificate),
            None => (self.nodes.at(caller.address), ReportEvidence::Address),
        }
    }

    async fn report(self: Arc<Self>, caller: &Caller, body: ReportBody) -> Response<Content> {
        if let Some(Peer::Node(own)) = &caller.peer {
            match self.signer.is_valid(caller.shows(own)).await {
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
        let (node, by) = self.known(caller);
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
        self.states().record(report.bounded())?;
        Ok(true)
    }

    /// Reads the site's settings.
    pub(super) async fn site(self: &Arc<Self>) -> Result<Site, api::Refused> {
        let service = Arc::clone(self);
        let read = move || service.nodes.catalog().site();
        let site = tokio::task::spawn_blocking(read).await;
        site.map_err(api::internal)?
            .map_err(|error| api::unavailable(&error))
    }

    pub(super) fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enrol(&self, caller: &Caller, request: EnrolmentRequest) -> Response<Content> {
        let question = Question::Enrol(Enrolment {
            request,
            from: caller.address.to_string(),
            of_container: self.nodes.container_at(caller.address),
        });
        self.signed(question).await
    }

    /// Has a node's certificate be followed by another: whoever has it is the node.
    async fn renew(&self, caller: &Caller, request: RenewalRequest) -> Response<Content> {
        let Some(Peer::Node(own)) = &caller.peer else {
            return plain(StatusCode::FORBIDDEN, "no node has this certificate\n");
        };
        let renewal = Renewal {
            request,
            node: own.name.clone(),
            serial: own.serial.clone(),
            from: caller.address.to_string(),
        };
        self.signed(Question::Renew(renewal)).await
    }

    /// Hears that a node has its certificate in use, and says what the site's roots are now.
    async fn confirm(&self, caller: &Caller) -> Response<Content> {
        let Some(Peer::Node(own)) = &caller.peer else {
            return plain(StatusCode::FORBIDDEN, "no node has this certificate\n");
        };
        match self.signer.ask(&Question::Confirm(caller.shows(own))).await {
            Ok(Answer::Confirmed(roots)) => plain(StatusCode::OK, &roots),
            Ok(_) => plain(StatusCode::FORBIDDEN, "this certificate is revoked\n"),
            Err(error) => unavailable(&error),
        }
    }

    /// Tells a node what is revoked, as the authorities sign it.
    async fn revocations(&self, caller: &Caller) -> Response<Content> {
        let Some(Peer::Node(own)) = &caller.peer else {
            return plain(StatusCode::FORBIDDEN, "no node has this certificate\n");
        };
        match self.signer.is_valid(caller.shows(own)).await {
            Ok(true) => {}
            Ok(false) => return plain(StatusCode::FORBIDDEN, "this certificate is revoked\n"),
            Err(error) => return unavailable(&error),
        }
        match self.signer.ask(&Question::Revocations).await {
            Ok(Answer::Revocations(lists)) => plain(StatusCode::OK, &lists),
            Ok(_) => plain(StatusCode::SERVICE_UNAVAILABLE, ""),
            Err(error) => unavailable(&error),
        }
    }

    /// Passes on what the signer answers.
    async fn signed(&self, question: Question) -> Response<Content> {
        let (status, answer) = match self.signer.ask(&question).await {
            Ok(answer @ Answer::Signed(_)) => (StatusCode::OK, answer),
            Ok(answer) => (StatusCode::FORBIDDEN, answer),
            Err(error) => return unavailable(&error),
        };
        match serde_json::to_string(&answer) {
            Ok(text) => plain(status, &(text + "\n")),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }
}

/// Says on our side what is wrong.
pub(super) fn log(text: &str) {
    eprintln!("slipwayd: {}", escaped(text, '\t'));
}

/// Answers with a text of a type, which nobody keeps and no browser takes for another type.
pub(super) fn with_type(kind: &'static str, text: String) -> Response<Content> {
    let mut response = Response::new(Content::Bytes(Some(text.into())));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Says on our side what is wrong, and to whoever asked that it may pass.
fn unavailable(error: &anyhow::Error) -> Response<Content> {
    log(&format!("{error:#}"));
    plain(StatusCode::SERVICE_UNAVAILABLE, "")
}

/// Reads the JSON of a request.
pub(super) async fn body<T: for<'a> Deserialize<'a>>(
    request: Request<Incoming>,
) -> Result<T, StatusCode> {
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
