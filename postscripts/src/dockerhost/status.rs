//! `--status`: the present state, which is not changed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::certificates::RENEW_WITHIN;
use super::engine::EngineClient;
use super::listener::DEFAULT_SOCKET;
use super::paths::HostPaths;
use super::registries::{self, RegistryAddress};
use super::service::DockerService;
use super::{authorization, daemon, forwarding, network};
use crate::files::load_text;
use crate::identity::HostIdentity;
use crate::tls::{CertificateInfo, SubjectAltNames};

/// One certificate.
#[derive(Debug, Serialize)]
struct Certificate {
    names: SubjectAltNames,
    ends: String,
    days_left: i64,
    renewed_at_next_run: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    /// The engine's version; absent when it does not answer.
    engine: Option<String>,
    hosts: Vec<String>,
    server: Option<Certificate>,
    client: Option<Certificate>,
    authority: Option<Certificate>,
    /// What dockerd's authorization plugin knows of revoked clients; absent where it has none of ours.
    revocations: Option<Value>,
    /// The registries that dockerd has this host's identity for.
    registries: BTreeSet<RegistryAddress>,
    networks: Vec<String>,
    /// How containers on their bridges reach others, and what is in their way.
    forwarding: Vec<String>,
}

impl Status {
    /// What is wrong with what the plugin knows.
    fn wrong(&self) -> Vec<&str> {
        let wrong = self.revocations.as_ref();
        let wrong = wrong.and_then(|known| known["wrong"].as_array());
        let wrong = wrong.map(Vec::as_slice).unwrap_or_default();
        wrong.iter().filter_map(Value::as_str).collect()
    }
}

/// Prints the status; exits with 1 when dockerd does not answer, has no certificate, or does not know who is revoked.
pub(super) fn show(paths: &HostPaths, json: bool) -> Result<ExitCode> {
    let status = load(paths)?;
    if json {
        output_line!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(&status);
    }
    let ready = status.engine.is_some() && status.server.is_some() && status.wrong().is_empty();
    Ok(if ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn load(paths: &HostPaths) -> Result<Status> {
    let service = DockerService::detect(paths).ok();
    let config = service.as_ref().map(|service| service.config(paths));
    let config = config.and_then(Result::ok);
    let config = config.unwrap_or_else(|| paths.daemon_json());
    let config = load_text(&config)?.unwrap_or_default();
    let flags = service.as_ref().map_or(&[][..], DockerService::flags);
    let listeners = daemon::listeners(&config, flags);
    let socket = service
        .as_ref()
        .map(|service| service.socket(paths, &listeners));
    let engine = EngineClient::new(&socket.unwrap_or_else(|| paths.at(DEFAULT_SOCKET)));
    let config: Value = serde_json::from_str(&config).unwrap_or_default();
    let hosts = config["hosts"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let activated = service.as_ref().and_then(DockerService::activated_listener);
    let networks = engine.networks().unwrap_or_default();
    let identity = HostIdentity::load(&paths.at("/"))?;
    Ok(Status {
        engine: engine.version().ok(),
        hosts: hosts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .chain(activated.map(|address| format!("tcp://{address}")))
            .collect(),
        server: certificate(&paths.server_certificate(), identity.as_ref())?,
        client: certificate(&paths.client_dir().join("cert.pem"), None)?,
        authority: certificate(&paths.authority_certificate(), None)?,
        revocations: authorization::status(&config),
        registries: registries::ours(paths)?,
        networks: networks.iter().filter_map(describe).collect(),
        forwarding: networks.iter().flat_map(found).collect(),
    })
}

fn certificate(path: &Path, identity: Option<&HostIdentity>) -> Result<Option<Certificate>> {
    let Some(text) = load_text(path)? else {
        return Ok(None);
    };
    let described = CertificateInfo::parse(&text)?;
    let by_site = identity.is_some_and(|identity| identity.certificate == text);
    let left = described.not_after - OffsetDateTime::now_utc();
    Ok(Some(Certificate {
        names: described.names,
        ends: described.not_after.date().to_string(),
        days_left: left.whole_days(),
        renewed_at_next_run: left < RENEW_WITHIN && !by_site,
    }))
}

fn found(engines: &Value) -> Vec<String> {
    let found = forwarding::check(&network::bound(engines));
    found.iter().map(str::to_owned).collect()
}

/// Describes a network of the bridge driver that is bound to a bridge of the host.
fn describe(network: &Value) -> Option<String> {
    let bridge = network["Options"]["com.docker.network.bridge.name"].as_str()?;
    let name = network["Name"].as_str()?;
    let config = &network["IPAM"]["Config"][0];
    let part = |key: &str| config[key].as_str().unwrap_or("?").to_owned();
    Some(format!(
        "{name}={}@{} on {bridge}",
        part("Subnet"),
        part("Gateway")
    ))
}

fn print(status: &Status) {
    output_line!(
        "engine: {}",
        status.engine.as_deref().unwrap_or("does not answer")
    );
    output_line!("listens: {}", status.hosts.join(", "));
    let certificates = [
        ("server", &status.server),
        ("client", &status.client),
        ("authority", &status.authority),
    ];
    for (what, certificate) in certificates {
        match certificate {
            None => output_line!("{what}: none"),
            Some(certificate) => {
                output_line!(
                    "{what}: until {} ({} days)",
                    certificate.ends,
                    certificate.days_left
                );
                let names = certificate.names.dns.iter().cloned();
                let addresses = certificate.names.addresses.iter().map(ToString::to_string);
                let all: Vec<_> = names.chain(addresses).collect();
                if !all.is_empty() {
                    output_line!("    {}", all.join(", "));
                }
            }
        }
    }
    if let Some(known) = &status.revocations {
        let text = |key: &str| known[key].as_str().unwrap_or("-").to_owned();
        output_line!(
            "revoked clients: {}, as of {}, valid until {}",
            known["revoked"],
            text("from"),
            text("until")
        );
    }
    for wrong in status.wrong() {
        output_line!("wrong: {wrong}");
    }
    for registry in &status.registries {
        output_line!("registry: {registry}");
    }
    for network in &status.networks {
        output_line!("network: {network}");
    }
    for found in &status.forwarding {
        output_line!("forwarding: {found}");
    }
}
