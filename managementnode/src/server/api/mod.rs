//! The API: definitions, states and trust for clients, as JSON.
//!
//! ```text
//! request ─> operations (which one?) ─> who may it? ─┬─> objects: the catalog, read
//!                                                    ├─> the editor, on its socket, for changes
//!                                                    ├─> states
//!                                                    └─> the signer, on its socket
//! ```
//!
//! Clients are known by certificates of the site's authority of clients that are on record and not revoked. Everything is
//! described by the document that [`openapi`] makes from the same operations and types. Reference: RFC 9110 §13, RFC 9457.

mod objects;
mod openapi;
mod operations;
mod types;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use definitions::ObjectKind;
use definitions::states::StateReport;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::content::Content;
use super::files::decoded;
use super::http::{Caller, Service, body};
use super::tls::Peer;
use crate::editor::{ChangeAnswer, ChangeQuestion, Condition, Refusal};
use crate::trust::{Answer, Question};
use operations::{ApiAction, FoundOperation};
use types::{ApiNodeState, ProblemDetails, StateList, TrustStatus};

/// What every path of the API begins with.
pub(super) const PREFIX: &str = "/v1/";

/// Why a request is not answered as it asks: a status, and what is told.
pub(super) type Refused = (StatusCode, String);

/// What a request is answered with: a status, a version, and a document.
struct Reply {
    status: StatusCode,
    tag: Option<String>,
    document: Option<String>,
}

impl Reply {
    fn new(document: &impl Serialize) -> Result<Self, Refused> {
        let document = serde_json::to_string(document).map_err(internal)?;
        Ok(Self {
            status: StatusCode::OK,
            tag: None,
            document: Some(document),
        })
    }

    fn tagged(mut self, status: StatusCode, tag: String) -> Self {
        (self.status, self.tag) = (status, Some(tag));
        self
    }
}

/// Answers a request below [`PREFIX`].
pub(super) async fn answer(
    service: Arc<Service>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Response<Content> {
    let path = request.uri().path();
    let found = path
        .split('/')
        .skip(2)
        .map(decoded)
        .collect::<Option<Vec<_>>>()
        .map_or(FoundOperation::Nothing, |path| {
            operations::find(request.method(), &path)
        });
    let (action, name) = match found {
        FoundOperation::Nothing => return problem(StatusCode::NOT_FOUND, "there is no such path"),
        FoundOperation::OtherMethods(allowed) => {
            let detail = format!("this path is for {allowed}");
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
            if let Ok(allowed) = allowed.parse() {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        FoundOperation::Operation(action, name) => (action, name),
    };
    match act(service, caller, action, name, request).await {
        Ok(reply) => respond(reply),
        Err((status, detail)) => problem(status, &detail),
    }
}

async fn act(
    service: Arc<Service>,
    caller: &Caller,
    action: ApiAction,
    name: String,
    request: Request<Incoming>,
) -> Result<Reply, Refused> {
    if action == ApiAction::Describe {
        return Reply::new(&openapi::document());
    }
    let client = client(&service, caller).await?;
    let fields = request.headers().clone();
    match action {
        ApiAction::Put(kind) => {
            let condition = condition(&fields, kind != ObjectKind::Site)?;
            let attributes = Some(attributes(&fields, &name, request).await?);
            let kind = kind.to_string();
            let question = ChangeQuestion {
                client,
                kind,
                name,
                condition,
                attributes,
            };
            edit(&service, question).await
        }
        ApiAction::Delete(kind) => {
            let question = ChangeQuestion {
                client,
                kind: kind.to_string(),
                name,
                condition: condition(&fields, false)?,
                attributes: None,
            };
            edit(&service, question).await
        }
        ApiAction::Trust => {
            let status = trust(&service).await;
            Reply::new(&status.map_err(|error| unavailable(&error))?)
        }
        _ => {
            let query = request.uri().query().map(str::to_owned);
            let turn = service.readers.clone().acquire_owned().await;
            let _turn = turn.map_err(internal)?;
            let read = move || read(&service, action, &name, query.as_deref(), &fields);
            tokio::task::spawn_blocking(read).await.map_err(internal)?
        }
    }
}

/// The body of a change; what was read may be written back.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectBody {
    name: Option<String>,
    attributes: Map<String, Value>,
}

/// Reads what the object of a name is to say.
async fn attributes(
    fields: &HeaderMap,
    name: &str,
    request: Request<Incoming>,
) -> Result<Map<String, Value>, Refused> {
    let kind = fields
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if kind != Some("application/json") {
        let detail = "the body is to be application/json".to_owned();
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let object: ObjectBody = body(request).await.map_err(|status| {
        let detail = "the body is not {\"name\": …, \"attributes\": {…}}, of at most 64 KiB";
        (status, detail.to_owned())
    })?;
    if object.name.is_some_and(|own| own != name) {
        let detail = "the name is not the one in the path".to_owned();
        return Err((StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(object.attributes)
}

/// Asks the signer what authorities there are, and what is wrong with them.
///
/// # Errors
/// When it does not say.
pub(super) async fn trust(service: &Service) -> anyhow::Result<TrustStatus> {
    match service.signer.ask(&Question::Status).await? {
        Answer::Status(status) => {
            serde_json::from_value(status).context("reading the signer's answer")
        }
        _ => bail!("the signer gives another answer"),
    }
}

/// Returns the name of the client that asks.
///
/// # Errors
/// When it is not one, or may not ask any more.
pub(super) async fn client(service: &Service, caller: &Caller) -> Result<String, Refused> {
    let Some(Peer::Client(own)) = &caller.peer else {
        let detail = "this is for clients of the site: on the management node, as root: slipway-trust issue NAME";
        return Err((StatusCode::FORBIDDEN, detail.to_owned()));
    };
    match service.signer.is_valid(caller.shows(own)).await {
        Ok(true) => Ok(own.name.clone()),
        Ok(false) => Err((
            StatusCode::FORBIDDEN,
            "this certificate is revoked".to_owned(),
        )),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Reads definitions or states.
fn read(
    service: &Service,
    action: ApiAction,
    name: &str,
    query: Option<&str>,
    fields: &HeaderMap,
) -> Result<Reply, Refused> {
    let catalog = service.nodes.catalog();
    let range = objects::noderange(query)?;
    match action {
        ApiAction::List(kind) => Reply::new(&objects::list(catalog, kind, range.as_ref())?),
        ApiAction::Effective => Reply::new(&objects::effective(catalog, name)?),
        ApiAction::Read(kind) => {
            let (tag, document) = objects::read(catalog, kind, name)?;
            let known = fields
                .get(IF_NONE_MATCH)
                .and_then(|value| value.to_str().ok());
            if known.is_some_and(|known| known == "*" || tags(known).contains(&tag)) {
                let (status, tag, document) = (StatusCode::NOT_MODIFIED, Some(tag), None);
                return Ok(Reply {
                    status,
                    tag,
                    document,
                });
            }
            Ok(Reply::new(&document)?.tagged(StatusCode::OK, tag))
        }
        ApiAction::State => {
            let nodes = objects::nodes(catalog)?;
            let Some(node) = nodes.own(name) else {
                return Err(objects::missing(ObjectKind::Node, name, nodes.names()));
            };
            Reply::new(&ApiNodeState::new(name, service.states().of(node.name())))
        }
        _ => {
            let nodes = objects::nodes(catalog)?;
            let names = objects::chosen(&nodes, range.as_ref())?;
            let states = service.states();
            let states = names
                .iter()
                .map(|name| ApiNodeState::new(name, states.of(name)));
            let states = states.collect();
            Reply::new(&StateList { states })
        }
    }
}

/// The nodes that a query chooses, each with its last report, and the node range as it was given.
pub(super) type ChosenReports = (String, Vec<(String, Option<StateReport>)>);

/// Reads what the nodes that a query chooses reported last.
///
/// # Errors
/// When the query or the definitions are not right.
pub(super) async fn reports_of(
    service: &Arc<Service>,
    query: Option<String>,
) -> Result<ChosenReports, Refused> {
    let turn = service.readers.clone().acquire_owned().await;
    let _turn = turn.map_err(internal)?;
    let service = Arc::clone(service);
    let read = move || {
        let text = objects::range_of(query.as_deref())?;
        let range = objects::noderange(query.as_deref().filter(|_| !text.is_empty()))?;
        let nodes = objects::nodes(service.nodes.catalog())?;
        let names = objects::chosen(&nodes, range.as_ref())?;
        let states = service.states();
        let reports = names.into_iter().map(|name| {
            let report = states.of(&name).cloned();
            (name, report)
        });
        Ok((text, reports.collect()))
    };
    tokio::task::spawn_blocking(read).await.map_err(internal)?
}

/// Reads what must be so for a change to be made (RFC 9110 §13.1): without a condition nothing changes.
fn condition(fields: &HeaderMap, may_create: bool) -> Result<Condition, Refused> {
    let text = |name| {
        fields
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (Some("*"), None) => Ok(Condition::Present),
        (Some(known), None) => Ok(Condition::Tagged(tags(known))),
        (None, Some("*")) if may_create => Ok(Condition::Absent),
        _ => {
            let create = if may_create {
                ", or If-None-Match: * to make what is new"
            } else {
                ""
            };
            let detail = format!("a change needs If-Match with the ETag of what was read{create}");
            Err((StatusCode::PRECONDITION_REQUIRED, detail))
        }
    }
}

fn tags(text: &str) -> Vec<String> {
    text.split(',').map(|tag| tag.trim().to_owned()).collect()
}

/// Has the editor make a change.
async fn edit(service: &Service, question: ChangeQuestion) -> Result<Reply, Refused> {
    match service.editor.ask::<_, ChangeAnswer>(&question).await {
        Ok(ChangeAnswer::Created { tag, object }) => {
            Ok(Reply::new(&object)?.tagged(StatusCode::CREATED, tag))
        }
        Ok(ChangeAnswer::Replaced { tag, object }) => {
            Ok(Reply::new(&object)?.tagged(StatusCode::OK, tag))
        }
        Ok(ChangeAnswer::Removed) => {
            let (status, tag, document) = (StatusCode::NO_CONTENT, None, None);
            Ok(Reply {
                status,
                tag,
                document,
            })
        }
        Ok(ChangeAnswer::Refused { why, detail }) => {
            let status = match why {
                Refusal::Forbidden => StatusCode::FORBIDDEN,
                Refusal::Stale => StatusCode::PRECONDITION_FAILED,
                Refusal::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Err((status, detail))
        }
        Err(error) => Err(unavailable(&error)),
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refused {
    super::http::log(&format!("answering a client: {error}"));
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "the daemon's log says why".to_owned(),
    )
}

/// Says on our side what is wrong, and to the client that it may pass.
pub(super) fn unavailable(error: &anyhow::Error) -> Refused {
    super::http::log(&format!("{error:#}"));
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the daemon's log says why; ask again".to_owned(),
    )
}

fn respond(reply: Reply) -> Response<Content> {
    let mut response =
        super::http::with_type("application/json", reply.document.unwrap_or_default());
    *response.status_mut() = reply.status;
    if let Some(Ok(tag)) = reply.tag.map(|tag| tag.parse()) {
        response.headers_mut().insert(ETAG, tag);
    }
    if matches!(
        reply.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

/// Says what is wrong (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Response<Content> {
    let problem = ProblemDetails {
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
    };
    let text = serde_json::to_string(&problem).unwrap_or_default();
    let mut response = super::http::with_type("application/problem+json", text);
    *response.status_mut() = status;
    response
}
