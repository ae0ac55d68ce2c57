//! The page: which nodes there are, how they are, what is wrong and since when, without a script.
//!
//! Who may see it: clients with a certificate that counts, and machines of the networks that the site names in
//! `statusnetworks`. Alarms and what is wrong with the authorities are for clients alone.

mod html;

use std::net::IpAddr;
use std::sync::Arc;

use definitions::Site;
use definitions::terminal::escaped;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use hyper::{Response, StatusCode, Uri};

use super::api::{self, client, reports_of};
use super::content::Content;
use super::http::{Caller, Service, with_type};
use super::tls::Peer;
use crate::trust::now;
use html::{PageContent, TrustLine};

const STYLE: &str = include_str!("page.css");

/// What whoever may not see the page is told.
const UNSEEN: &str = "This page is for clients of the site: on the management node, as root: slipway-trust issue NAME; or let \
                      a network see it: chdef -t site -p statusnetworks=ADDRESS/LENGTH";

/// Nothing is run, and nothing is fetched but the style.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Whether a path is the page's.
pub(super) fn is_for(path: &str) -> bool {
    matches!(path, "/" | "/page.css")
}

/// Answers a request for the page.
pub(super) async fn answer(service: Arc<Service>, caller: &Caller, uri: &Uri) -> Response<Content> {
    if uri.path() == "/page.css" {
        return with_type("text/css; charset=utf-8", STYLE.to_owned());
    }
    let (status, text) = match content(&service, caller, uri).await {
        Ok(content) => (StatusCode::OK, html::render(&content)),
        Err((status, detail)) => (status, html::refusal(status.as_u16(), &detail)),
    };
    let mut response = with_type("text/html; charset=utf-8", text.into_string());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_SECURITY_POLICY, POLICY);
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    fields.insert(opener, HeaderValue::from_static("same-origin"));
    response
}

async fn content(
    service: &Arc<Service>,
    caller: &Caller,
    uri: &Uri,
) -> Result<PageContent, (StatusCode, String)> {
    let site = service.site().await?;
    let is_client = matches!(caller.peer, Some(Peer::Client(_)));
    if is_client {
        client(service, caller).await?;
    } else if !is_seen_from(&site, caller.address) {
        return Err((StatusCode::FORBIDDEN, UNSEEN.to_owned()));
    }
    let query = uri.query().map(str::to_owned);
    let (range, nodes) = reports_of(service, query).await?;
    let trust = if is_client {
        Some(trust(service).await)
    } else {
        None
    };
    Ok(PageContent {
        site: site.domain.or(site.master),
        range,
        nodes,
        now: now(),
        trust,
    })
}

/// Whether the site lets a machine see the page by its address.
fn is_seen_from(site: &Site, address: IpAddr) -> bool {
    site.statusnetworks
        .iter()
        .any(|network| network.contains(address))
}

/// Says what is wrong with the authorities.
async fn trust(service: &Service) -> TrustLine {
    match api::trust(service).await {
        Ok(status) => TrustLine::Known {
            alarms: status.alarms.iter().map(ToString::to_string).collect(),
            problems: status.problems,
        },
        Err(error) => TrustLine::Unknown(escaped(&format!("{error:#}"), '\t').to_string()),
    }
}
