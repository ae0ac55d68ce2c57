//! What is asked of slipwayd, over TLS with the site's root as the only authority.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use definitions::terminal::escaped;
use definitions::{EnrolmentOrder, EnrolmentRequest, RenewalRequest, SignedIdentity};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::TRY_AGAIN;
use crate::http;
use crate::identity::HostIdentity;
use crate::slipwayd::ServerAddress;
use crate::timed_stream::TimeLimits;
use crate::tls::{KeyPem, SubjectAltNames};
use crate::tls_client::{CheckedTime, ClientIdentity};

/// How long slipwayd may take: its signer may have a queue.
const LIMITS: TimeLimits = TimeLimits {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    total: Duration::from_secs(120),
};
/// No time is longer.
const MAX_TIME: u64 = 64;
/// No answer is longer.
const MAX_ANSWER: u64 = 64 << 10;

/// Why nothing was signed.
#[derive(Debug)]
pub(super) enum EnrolmentFailure {
    /// Another try may help: slipwayd cannot be reached, or its signer.
    ForNow(anyhow::Error),
    /// Another try does not help.
    Lasting(anyhow::Error),
}

impl EnrolmentFailure {
    /// Says what failed; exits so that firstboot tries again where that may help.
    pub(super) fn exit(self, what: &'static str) -> Result<ExitCode> {
        match self {
            Self::ForNow(error) => {
                error_line!("enrol: {:#}", error.context(what));
                Ok(ExitCode::from(TRY_AGAIN))
            }
            Self::Lasting(error) => Err(error.context(what)),
        }
    }
}

impl From<anyhow::Error> for EnrolmentFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Lasting(error)
    }
}

/// The management node, as this host knows it.
pub(super) struct SlipwaydClient<'a> {
    pub(super) address: ServerAddress,
    /// The certificates of the site's roots, PEM.
    pub(super) root: &'a str,
    /// By how much this host's clock is behind.
    pub(super) behind: time::Duration,
}

/// What is answered to who gets nothing.
#[derive(Debug, Deserialize)]
struct AnsweredRefusal {
    refused: String,
}

impl SlipwaydClient<'_> {
    /// Enrols: the secret is said to the site alone.
    pub(super) fn enrol(
        &self,
        order: &EnrolmentOrder,
        key: &KeyPem,
        ssh: Option<String>,
    ) -> Result<SignedIdentity, EnrolmentFailure> {
        let request = EnrolmentRequest {
            node: order.node.clone(),
            token: order.token.reveal(),
            request: request(key)?,
            ssh,
        };
        self.post("/v1/enrol", &request, None)
    }

    /// Asks for the next certificate over the present one.
    pub(super) fn renew(
        &self,
        identity: &HostIdentity,
        ssh: Option<String>,
    ) -> Result<SignedIdentity, EnrolmentFailure> {
        let request = RenewalRequest {
            request: request(&identity.key)?,
            ssh,
        };
        let own = (identity.certificate.as_str(), &identity.key);
        self.post("/v1/renew", &request, Some(own))
    }

    /// Asks by how much this host's clock is behind the site's; one that does not say leaves it as it is.
    pub(super) fn clock(&self) -> Result<time::Duration, EnrolmentFailure> {
        let any = self
            .address
            .connect_at(CheckedTime::Any, self.root, None, LIMITS);
        let mut stream = any.map_err(EnrolmentFailure::ForNow)?;
        let term = stream
            .server_term()
            .context("slipwayd shows no certificate")?;
        let host = self.address.server.to_string();
        let answered = http::get(&mut stream, &host, "/v1/time", MAX_TIME);
        let (status, said) = answered
            .with_context(|| format!("asking slipwayd on {host}"))
            .map_err(EnrolmentFailure::ForNow)?;
        if status != 200 {
            return Ok(time::Duration::ZERO);
        }
        let offset = super::clock::offset(&said, &term, OffsetDateTime::now_utc());
        Ok(offset.with_context(|| format!("asking slipwayd on {host} for the time"))?)
    }

    /// Says that the identity is in use, and returns the site's roots and keys of trees as they are now.
    pub(super) fn confirm(&self, identity: &HostIdentity) -> Result<String, EnrolmentFailure> {
        let own = (identity.certificate.as_str(), &identity.key);
        let (status, answer) = self.asked("/v1/confirm", "", Some(own))?;
        if status != 200 {
            return Err(failure_of(status, &answer));
        }
        let roots = String::from_utf8(answer).context("reading slipwayd's answer");
        Ok(roots?)
    }

    fn post(
        &self,
        path: &str,
        request: &impl Serialize,
        identity: Option<ClientIdentity<'_>>,
    ) -> Result<SignedIdentity, EnrolmentFailure> {
        let text = serde_json::to_string(request).context("writing a request")?;
        let (status, answer) = self.asked(path, &text, identity)?;
        answer_of(status, &answer)
    }

    fn asked(
        &self,
        path: &str,
        text: &str,
        identity: Option<ClientIdentity<'_>>,
    ) -> Result<(u16, Vec<u8>), EnrolmentFailure> {
        let time = CheckedTime::Behind(self.behind);
        let connected = self.address.connect_at(time, self.root, identity, LIMITS);
        let mut stream = connected.map_err(EnrolmentFailure::ForNow)?;
        let host = self.address.server.to_string();
        let answered = http::post(&mut stream, &host, path, text, MAX_ANSWER);
        answered
            .with_context(|| format!("asking slipwayd on {host}"))
            .map_err(EnrolmentFailure::ForNow)
    }
}

/// Makes the request over a key; who it is for is said beside it, and what may be signed is the site's to know.
fn request(key: &KeyPem) -> Result<String> {
    let request = key.request("host", &SubjectAltNames::default())?;
    Ok(request.as_pem().to_owned())
}

fn answer_of(status: u16, answer: &[u8]) -> Result<SignedIdentity, EnrolmentFailure> {
    match status {
        200 => Ok(serde_json::from_slice(answer).context("reading slipwayd's answer")?),
        status => Err(failure_of(status, answer)),
    }
}

fn failure_of(status: u16, answer: &[u8]) -> EnrolmentFailure {
    match status {
        403 => {
            let refusal = serde_json::from_slice::<AnsweredRefusal>(answer);
            let why = refusal.map_or_else(
                |_| String::from_utf8_lossy(answer).trim().to_owned(),
                |refusal| refusal.refused,
            );
            EnrolmentFailure::Lasting(anyhow!("refused: {}", escaped(&why, '\t')))
        }
        status @ (408 | 429 | 500..=599) => {
            EnrolmentFailure::ForNow(anyhow!("slipwayd answered {status}"))
        }
        status => EnrolmentFailure::Lasting(anyhow!("slipwayd answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        let lasting = |status, text: &str| match answer_of(status, text.as_bytes()) {
            Err(EnrolmentFailure::Lasting(error)) => format!("{error:#}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            lasting(403, r#"{"refused":"not armed\u001b"}"#),
            "refused: not armed\\u001b"
        );
        assert_eq!(
            lasting(403, "no node has this certificate\n"),
            "refused: no node has this certificate"
        );
        assert_eq!(lasting(404, ""), "slipwayd answered 404");
        assert!(lasting(200, "{}").starts_with("reading slipwayd's answer: "));
        for status in [408, 429, 500, 503] {
            assert!(matches!(
                answer_of(status, b""),
                Err(EnrolmentFailure::ForNow(_))
            ));
        }
        let signed = answer_of(200, br#"{"certificate":"c","clients":"d","more":1}"#).unwrap();
        assert_eq!((signed.certificate.as_str(), signed.ssh), ("c", None));
    }
}
