//! A registry, asked over HTTPS for blobs by their digests. The only module that knows an HTTP client.
//!
//! A reference with a digest comes in; manifests and blobs go out, unverified as from any other store. The registry is
//! known by the certificates that this machine trusts, and those in `/etc/docker/certs.d/HOST`, where dockerd has them;
//! nothing is sent but a token that the registry itself gives whoever asks.
//!
//! Reference: OCI distribution specification 1.1; the distribution project's "Token Authentication".

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::source::{BlobDigest, RegistryImage};
use super::store::{BlobStore, MAX_DOCUMENT};

/// Where distributions have the certificates of authorities.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where dockerd has a registry's own.
const DOCKER: &str = "/etc/docker/certs.d";
/// How long an answer is waited for, and one blob.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// See [`CONNECT_TIMEOUT`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// See [`CONNECT_TIMEOUT`].
const BLOB_TIMEOUT: Duration = Duration::from_secs(3600);
/// What manifests may be.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.docker.distribution.manifest.v2+json";

/// A repository of a registry.
#[derive(Debug)]
pub(super) struct RegistryBlobs {
    host: String,
    repository: String,
    agent: Agent,
    token: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl RegistryBlobs {
    /// Prepares for an image.
    ///
    /// # Errors
    /// When there is no certificate that could vouch for a registry.
    pub(super) fn new(image: &RegistryImage) -> Result<Self> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let bundle = named.or_else(|| {
            let mut places = AUTHORITIES.iter().map(PathBuf::from);
            places.find(|place| place.is_file())
        });
        let tls = tls(bundle.as_deref(), &Path::new(DOCKER).join(&image.host))?;
        let config = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(5)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_recv_body(Some(BLOB_TIMEOUT))
            .user_agent("slipway")
            .tls_config(tls)
            .build();
        Ok(Self {
            host: image.host.clone(),
            repository: image.repository.clone(),
            agent: config.new_agent(),
            token: Mutex::new(None),
        })
    }

    fn ask(&self, url: &str) -> Result<Response<Body>> {
        let mut request = self.agent.get(url).header(header::ACCEPT, ACCEPTED);
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = token.as_ref() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
            .call()
            .with_context(|| format!("asking {} for {}", self.host, self.repository))
    }

    /// Fetches what a layout has as `blobs/sha256/DIGITS`.
    fn fetch(&self, kind: &str, name: &str) -> Result<Box<dyn Read + '_>> {
        let digits = name.rsplit('/').next().unwrap_or_default();
        let digest: BlobDigest = format!("sha256:{digits}")
            .parse()
            .map_err(anyhow::Error::msg)?;
        let url = format!(
            "https://{}/v2/{}/{kind}/{digest}",
            self.host, self.repository
        );
        let mut response = self.ask(&url)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = response.headers().get(header::WWW_AUTHENTICATE);
            let challenge = challenge.and_then(|value| value.to_str().ok());
            self.fetch_token(challenge.unwrap_or_default())?;
            response = self.ask(&url)?;
        }
        let status = response.status();
        ensure!(
            status.is_success(),
            "{} answers {status} for {digest} of {}",
            self.host,
            self.repository
        );
        Ok(Box::new(response.into_body().into_reader()))
    }

    /// Asks whom the registry names for what whoever asks is given.
    fn fetch_token(&self, challenge: &str) -> Result<()> {
        let asking = || {
            format!(
                "asking for a token to read {} of {}",
                self.repository, self.host
            )
        };
        let url = token_url(challenge).with_context(asking)?;
        let response = self.agent.get(&url).call().with_context(asking)?;
        ensure!(
            response.status().is_success(),
            "{}: the answer is {}: an image that needs a password is copied to a file first, by skopeo copy",
            asking(),
            response.status()
        );
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(MAX_DOCUMENT);
        reader.read_to_end(&mut bytes).with_context(asking)?;
        let token: Token = serde_json::from_slice(&bytes).with_context(asking)?;
        let found = token.token.or(token.access_token);
        let found = found.with_context(|| format!("{}: there is none in the answer", asking()))?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(())
    }
}

impl BlobStore for RegistryBlobs {
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        self.fetch("blobs", name)
    }

    fn open_manifest(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        self.fetch("manifests", name)
    }
}

/// Whom to trust, and who this is if the registry wants to know: dockerd's own files.
fn tls(bundle: Option<&Path>, own: &Path) -> Result<TlsConfig> {
    let mut authorities = Vec::new();
    let pem = own.join("ca.crt");
    for path in bundle
        .into_iter()
        .chain(pem.is_file().then_some(pem.as_path()))
    {
        authorities.extend(certificates(path)?);
    }
    ensure!(
        !authorities.is_empty(),
        "there is no certificate of an authority on this machine: install ca-certificates, or put the registry's into {}",
        pem.display()
    );
    let client = own.join("client.cert");
    let client = client.is_file().then(|| client_certificate(&client));
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&authorities))
        .client_cert(client.transpose()?)
        .unversioned_rustls_crypto_provider(ring);
    Ok(config.build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let reading = || format!("reading {}", path.display());
    let bytes = fs::read(path).with_context(reading)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(certificate) = item.with_context(reading)? {
            found.push(certificate);
        }
    }
    Ok(found)
}

fn client_certificate(path: &Path) -> Result<ClientCert> {
    let key = path.with_extension("key");
    let reading = || format!("reading {}", key.display());
    let key = PrivateKey::from_pem(&fs::read(&key).with_context(reading)?).with_context(reading)?;
    Ok(ClientCert::new_with_certs(&certificates(path)?, key))
}

/// Makes the address of a token out of what a registry asks for: `Bearer realm="https://…",service="…",scope="…"`.
fn token_url(challenge: &str) -> Result<String> {
    let rest = challenge.strip_prefix("Bearer ").with_context(|| {
        format!(
            "it asks for '{}', and only tokens are known: copy the image to a file first, by skopeo copy",
            challenge.escape_debug()
        )
    })?;
    let field = |name: &str| {
        let (_, rest) = rest.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    let realm = field("realm").context("it does not say where")?;
    ensure!(
        realm.starts_with("https://"),
        "'{}' is not asked over HTTPS",
        realm.escape_debug()
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/,*".contains(c);
    let mut url = realm.to_owned();
    for name in ["service", "scope"] {
        let Some(value) = field(name) else { continue };
        ensure!(
            value.chars().all(plain),
            "it asks for the {name} '{}'",
            value.escape_debug()
        );
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("{name}={value}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_over_https_alone() {
        let challenge = r#"Bearer realm="https://auth.example.invalid/token",service="registry",scope="repository:a/b:pull""#;
        assert_eq!(
            token_url(challenge).unwrap(),
            "https://auth.example.invalid/token?service=registry&scope=repository:a/b:pull"
        );
        for (challenge, expected) in [
            (
                "Basic realm=\"x\"",
                "it asks for 'Basic realm=\\\"x\\\"', and only tokens are known: copy the image to a file first, by skopeo \
                 copy",
            ),
            ("Bearer service=\"x\"", "it does not say where"),
            (
                "Bearer realm=\"http://auth.example.invalid\"",
                "'http://auth.example.invalid' is not asked over HTTPS",
            ),
            (
                "Bearer realm=\"https://auth.example.invalid\",scope=\"a b\"",
                "it asks for the scope 'a b'",
            ),
        ] {
            assert_eq!(token_url(challenge).unwrap_err().to_string(), expected);
        }
    }
}
