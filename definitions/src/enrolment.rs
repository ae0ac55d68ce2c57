//! What a node enrols with, and what it sends and gets: the seam between `nodeset`, `slipwayd` and `enrol`.
//!
//! The order is in the node's boot archive, and on the node until it has enrolled. Requests and answers are bodies of
//! `POST /v1/enrol` and `POST /v1/renew`, by TLS alone. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How a node enrols, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentOrder {
    /// The node.
    pub node: String,
    /// Where slipwayd answers by TLS.
    pub server: SocketAddr,
    /// The address that slipwayd's certificate is for.
    pub name: IpAddr,
    /// The certificate of the site's root, PEM: the one whose digest is in the token.
    pub root: String,
    /// What lets the node enrol.
    pub token: EnrolmentToken,
}

impl EnrolmentOrder {
    /// Where the order is on a node.
    pub const ON_NODE: &'static str = "/var/lib/slipway/enrolment.json";
    /// The port on which slipwayd answers by TLS, unless it is told another.
    pub const PORT: u16 = 8443;
    /// The program that enrols a node.
    pub const PROGRAM: &'static str = "enrol";
    /// The most bytes that an order may have.
    pub const LIMIT: u64 = 64 << 10;
}

/// The digest of the site's root, and a secret that counts once: `SLIPWAY-1-<digest>-<secret>`.
///
/// Whoever has it knows whom to speak to before it says anything. It is not shown but where it is written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnrolmentToken {
    root: String,
    secret: String,
}

impl EnrolmentToken {
    /// What a token begins with: its form.
    const FORM: &'static str = "SLIPWAY-1";
    /// The hexadecimal digits of a SHA-256.
    const ROOT_DIGITS: usize = 64;
    /// The hexadecimal digits of a secret.
    const SECRET_DIGITS: usize = 32;

    /// Puts a token together.
    ///
    /// # Errors
    /// When a part has not as many lower-case hexadecimal digits as it should.
    pub fn new(root: &str, secret: &str) -> Result<Self, Error> {
        format!("{}-{root}-{secret}", Self::FORM).parse()
    }

    /// Returns one that lets nobody in and is as long as any: it is there while files are checked.
    #[must_use]
    pub fn placeholder() -> Self {
        Self {
            root: "0".repeat(Self::ROOT_DIGITS),
            secret: "0".repeat(Self::SECRET_DIGITS),
        }
    }

    /// Returns the SHA-256 of the root's certificate, DER, in hexadecimal digits.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns the secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns a text with every token in it taken out, so that it can be shown.
    #[must_use]
    pub fn hide_in(text: &str) -> String {
        let length = Self::placeholder().reveal().len();
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(Self::FORM) {
            let found = rest.get(at..at + length);
            let is_token = found.is_some_and(|found| found.parse::<Self>().is_ok());
            let end = at + if is_token { length } else { Self::FORM.len() };
            shown.push_str(&rest[..at + Self::FORM.len()]);
            if is_token {
                shown.push_str("-…");
            }
            rest = &rest[end..];
        }
        shown + rest
    }

    /// Returns the token's text, for the one place that holds it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}-{}-{}", Self::FORM, self.root, self.secret)
    }
}

impl FromStr for EnrolmentToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // the value is not shown: it may be a secret with a typing error
        let invalid = || {
            let expected = "SLIPWAY-1, 64 and 32 lower-case hexadecimal digits, joined by '-'";
            Error::invalid("an enrolment token", "…", expected)
        };
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let rest = text
            .strip_prefix(Self::FORM)
            .and_then(|rest| rest.strip_prefix('-'));
        let (root, secret) = rest
            .and_then(|rest| rest.split_once('-'))
            .ok_or_else(invalid)?;
        for (digits, length) in [(root, Self::ROOT_DIGITS), (secret, Self::SECRET_DIGITS)] {
            if digits.len() != length || !digits.bytes().all(is_digit) {
                return Err(invalid());
            }
        }
        Ok(Self {
            root: root.to_owned(),
            secret: secret.to_owned(),
        })
    }
}

impl TryFrom<String> for EnrolmentToken {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<EnrolmentToken> for String {
    fn from(token: EnrolmentToken) -> Self {
        token.reveal()
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentToken(not shown)")
    }
}

/// What a node sends to enrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// The node.
    pub node: String,
    /// Its token, as text: what is none is refused like one that does not count.
    pub token: String,
    /// What asks for a certificate over its key: PKCS #10, PEM.
    pub request: String,
    /// Its public ssh host key, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

/// What a node sends to get a further certificate, over the connection that the present one makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalRequest {
    /// What asks for a certificate over its key: PKCS #10, PEM.
    pub request: String,
    /// Its public ssh host key, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

/// What a node gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIdentity {
    /// The node's certificate, then that of its authority, PEM.
    pub certificate: String,
    /// The certificate of the authority of clients, PEM: whom dockerd lets in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub clients: String,
    /// The site's roots, and certificates by which each of them vouches for another, PEM; those of before where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub roots: String,
    /// The keys by which the site signs trees (OpenPGP, armoured), which the certificate names; those of before where there is
    /// none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trees: String,
    /// The certificate of its ssh host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl SignedIdentity {
    /// What the certificate of a node says of the keys of trees that go with it, as its Netscape comment: this, then their
    /// SHA-256. Who answers in the site's place has no authority's key, and so hands out no keys of trees.
    pub const TREES: &'static str = "slipway trees sha256:";
}

/// The file beside the definitions by which `ssh` knows the site's hosts: `slipway-trust` writes it, `updatenode` reads it.
pub const KNOWN_HOSTS: &str = "ssh_known_hosts";

/// The identity that a node has from the site: `enrol` writes it, `setupdockerhost` takes it.
#[derive(Debug, Clone, Copy)]
pub struct IdentityFiles;

impl IdentityFiles {
    /// Its directory, which only root can enter.
    pub const DIRECTORY: &'static str = "/etc/slipway/identity";
    /// The node's key, made on it.
    pub const KEY: &'static str = "key.pem";
    /// Its certificate, and that of its authority.
    pub const CERTIFICATE: &'static str = "cert.pem";
    /// The certificates of the site's roots: one, and two while the authority changes.
    pub const ROOT: &'static str = "root.pem";
    /// The certificate of the authority of clients.
    pub const CLIENTS: &'static str = "clients.pem";
    /// The keys by which the site signs trees.
    pub const TREES: &'static str = "trees.asc";
    /// How slipwayd is reached.
    pub const SERVER: &'static str = "server.json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_not_shown() {
        let token = EnrolmentToken::new(&"ab".repeat(32), &"01".repeat(16)).unwrap();
        assert_eq!(token.reveal().parse::<EnrolmentToken>().unwrap(), token);
        assert_eq!(format!("{token:?}"), "EnrolmentToken(not shown)");
        let placeholder = EnrolmentToken::placeholder();
        assert_eq!(placeholder.reveal().len(), token.reveal().len());
        assert_eq!(
            placeholder.reveal().parse::<EnrolmentToken>().unwrap(),
            placeholder
        );
    }

    #[test]
    fn tokens_in_a_text_are_not_shown() {
        let token = EnrolmentToken::new(&"ab".repeat(32), &"01".repeat(16)).unwrap();
        let token = token.reveal();
        for (text, shown) in [
            (
                format!("a '{token}' b\n{token}"),
                "a 'SLIPWAY-1-…' b\nSLIPWAY-1-…",
            ),
            (format!("SLIPWAY-1{token}é"), "SLIPWAY-1SLIPWAY-1-…é"),
            ("SLIPWAY-1-ab of é".to_owned(), "SLIPWAY-1-ab of é"),
            (String::new(), ""),
        ] {
            assert_eq!(EnrolmentToken::hide_in(&text), shown);
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        let good = EnrolmentToken::placeholder().reveal();
        for text in [
            "",
            "SLIPWAY-1",
            "SLIPWAY-1--",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.replace('0', "A"),
            &good.replace("SLIPWAY-1", "SLIPWAY-2"),
        ] {
            let error = text.parse::<EnrolmentToken>().unwrap_err().to_string();
            assert_eq!(
                error,
                "'…' is not an enrolment token: expected SLIPWAY-1, 64 and 32 lower-case hexadecimal digits, joined by '-'"
            );
        }
    }

    #[test]
    fn an_order_holds_nothing_that_is_not_known() {
        let order = EnrolmentOrder {
            node: "n1".to_owned(),
            server: "10.1.0.1:8443".parse().unwrap(),
            name: "10.1.0.1".parse().unwrap(),
            root: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            token: EnrolmentToken::placeholder(),
        };
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(
            serde_json::from_str::<EnrolmentOrder>(&text).unwrap(),
            order
        );
        let more = text.replace("{\"node\"", "{\"more\":1,\"node\"");
        assert!(serde_json::from_str::<EnrolmentOrder>(&more).is_err());
    }
}
