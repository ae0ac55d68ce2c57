//! What dockerd is answered: whether a request may be.
//!
//! JSON comes in as dockerd writes it (`pkg/authorization/api.go`), JSON goes out. Pure, but for the lists.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use definitions::terminal::escaped;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::lists::Lists;
use crate::tls::PresentedCertificate;

/// What is answered where dockerd asks what this plugin does.
pub(super) fn activation() -> Value {
    json!({ "Implements": ["authz"] })
}

/// A request that a client made of dockerd; all else that dockerd says of it is left unread.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClientRequest {
    #[serde(default)]
    user: Option<String>,
    /// How dockerd knows the user; nothing where it came by the socket of this host.
    #[serde(default)]
    user_authn_method: Option<String>,
    /// What the client showed: PEM, in base64, its own first.
    #[serde(default)]
    request_peer_certificates: Option<Vec<String>>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    Refused(String),
}

impl Decision {
    pub(super) fn document(&self) -> Value {
        match self {
            Self::Allowed => json!({ "Allow": true }),
            Self::Refused(why) => json!({ "Allow": false, "Msg": why }),
        }
    }
}

/// Decides by the lists, or by why there are none.
pub(super) fn decide(
    request: &[u8],
    lists: &Result<Lists, String>,
    now: OffsetDateTime,
) -> Decision {
    let shown = match presented(request) {
        Ok(None) => return Decision::Allowed,
        Ok(Some(shown)) => shown,
        Err(error) => return Decision::Refused(format!("{error:#}")),
    };
    let lists = match lists {
        Ok(lists) => lists,
        Err(why) => return Decision::Refused(format!("{why}: run dockerauthz on this host")),
    };
    if let Some(until) = lists.until().filter(|until| *until <= now) {
        return Decision::Refused(format!(
            "the list of what is revoked ended at {until}: run dockerauthz on this host"
        ));
    }
    match shown.iter().find(|shown| lists.revokes(shown)) {
        None => Decision::Allowed,
        Some(revoked) => Decision::Refused(format!(
            "the certificate of '{}' is revoked",
            escaped(&revoked.name, '\t')
        )),
    }
}

/// Returns what a client showed; `None` where it came by the socket of this host.
fn presented(request: &[u8]) -> Result<Option<Vec<PresentedCertificate>>> {
    let request: ClientRequest =
        serde_json::from_slice(request).context("reading what dockerd asks")?;
    let is_empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    let shown = request.request_peer_certificates.unwrap_or_default();
    if shown.is_empty() && is_empty(&request.user) && is_empty(&request.user_authn_method) {
        return Ok(None);
    }
    let read = |text: &String| {
        let pem = BASE64_STANDARD.decode(text).ok();
        PresentedCertificate::parse(&pem.context("reading a client's certificate")?)
    };
    let shown: Vec<_> = shown.iter().map(read).collect::<Result<_>>()?;
    if shown.is_empty() {
        anyhow::bail!("dockerd does not say which certificate the client has");
    }
    Ok(Some(shown))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::dockerauthz::Paths;
    use crate::dockerauthz::lists::{host_identity, keep};
    use crate::tls::revocations_for_tests::ListAuthority;

    /// A host of a site, in a directory.
    pub(in crate::dockerauthz) struct SiteHost {
        root: tempfile::TempDir,
        pub(in crate::dockerauthz) clients: ListAuthority,
        pub(in crate::dockerauthz) other: ListAuthority,
        pub(in crate::dockerauthz) now: OffsetDateTime,
    }

    impl SiteHost {
        pub(in crate::dockerauthz) fn new() -> Self {
            use crate::tls::{Authority, KeyPem, LocalAuthority, SubjectAltNames, Usage};
            let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
            let root = tempfile::tempdir().unwrap();
            let (site, _) = LocalAuthority::create("site", now).unwrap();
            let key = KeyPem::generate().unwrap();
            let request = key.request("host01", &SubjectAltNames::default()).unwrap();
            let until = now + time::Duration::days(30);
            let own = site.sign(&request, Usage::Server, until).unwrap();
            let clients = ListAuthority::below(&site, "clients");
            let identity = root.path().join("etc/slipway/identity");
            fs::create_dir_all(&identity).unwrap();
            // as whoever asks for the list makes it, by its lock
            fs::create_dir_all(root.path().join("var/lib/slipway/dockerauthz")).unwrap();
            for (name, text) in [
                ("key.pem", key.reveal()),
                ("cert.pem", &(own + site.certificate())),
                ("root.pem", site.certificate()),
                ("clients.pem", &clients.certificate),
            ] {
                fs::write(identity.join(name), text).unwrap();
            }
            Self {
                root,
                clients,
                other: ListAuthority::new("clients"),
                now,
            }
        }

        pub(in crate::dockerauthz) fn paths(&self) -> Paths {
            Paths::new(self.root.path())
        }
    }

    fn asked(user: &str, method: &str, chain: &[&str]) -> Vec<u8> {
        let chain: Vec<_> = chain
            .iter()
            .map(|pem| BASE64_STANDARD.encode(pem))
            .collect();
        let asked = json!({
            "User": user, "UserAuthNMethod": method, "RequestMethod": "GET", "RequestUri": "/info",
            "RequestBody": "eA==", "RequestHeaders": {"Accept": "*"}, "RequestPeerCertificates": chain,
        });
        asked.to_string().into_bytes()
    }

    #[test]
    fn whom_the_site_revoked_is_refused_and_root_of_this_host_never() {
        let site = SiteHost::new();
        let now = site.now;
        let text = site.clients.list(1, &[7], now);
        let lists = Ok(keep(&site.paths(), &text, now).unwrap());
        assert_eq!(
            lists,
            Ok(Lists::parse(&text, &host_identity(&site.paths()).unwrap()).unwrap())
        );
        let (alice, bob) = (
            site.clients.client("alice", 7),
            site.clients.client("bob", 8),
        );
        let before = ListAuthority::new("before").client("carol", 7);
        let none = Err("there is none".to_owned());
        let ended = now + time::Duration::days(7);
        let refused = |why: &str| Decision::Refused(why.to_owned());
        let local = asked("", "", &[]);
        for (asked, lists, now, decision) in [
            (&local, &lists, now, Decision::Allowed),
            (&local, &none, now, Decision::Allowed),
            (&b"{}".to_vec(), &none, now, Decision::Allowed),
            (
                &asked("bob", "TLS", &[&bob]),
                &lists,
                now,
                Decision::Allowed,
            ),
            // one of an authority that dockerd trusts beside the site's
            (
                &asked("carol", "TLS", &[&before]),
                &lists,
                now,
                Decision::Allowed,
            ),
            (
                &asked("alice", "TLS", &[&alice]),
                &lists,
                now,
                refused("the certificate of 'alice' is revoked"),
            ),
            (
                &asked("bob", "TLS", &[&bob, &alice]),
                &lists,
                now,
                refused("the certificate of 'alice' is revoked"),
            ),
            (
                &asked("bob", "TLS", &[&bob]),
                &none,
                now,
                refused("there is none: run dockerauthz on this host"),
            ),
            (
                &asked("bob", "TLS", &[&bob]),
                &lists,
                ended,
                refused(&format!(
                    "the list of what is revoked ended at {ended}: run dockerauthz on this host"
                )),
            ),
            (
                &asked("bob", "TLS", &[]),
                &lists,
                now,
                refused("dockerd does not say which certificate the client has"),
            ),
            (
                &asked("bob", "TLS", &["x"]),
                &lists,
                now,
                refused("reading a certificate: it contains no PEM block"),
            ),
        ] {
            let said = String::from_utf8_lossy(asked).into_owned();
            assert_eq!(decide(asked, lists, now), decision, "{said}");
        }
        assert_eq!(
            decide(b"x", &lists, now),
            refused("reading what dockerd asks: expected value at line 1 column 1")
        );
        assert_eq!(
            refused("no").document(),
            json!({"Allow": false, "Msg": "no"})
        );
        assert_eq!(Decision::Allowed.document(), json!({"Allow": true}));
    }
}
