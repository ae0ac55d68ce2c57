//! The Docker Engine API over the daemon's own socket, as far as this program needs it.
//!
//! A path comes in, JSON goes out. Requests are HTTP/1.0 (RFC 1945), so that the body ends where the
//! connection does; the daemon is on the other end of a unix socket, so there is nothing to encrypt
//! and nobody to authenticate.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// No answer that we ask for is larger.
const MAX_BYTES: u64 = 16 << 20;

/// A daemon, by its socket.
#[derive(Debug)]
pub(super) struct EngineClient {
    socket: PathBuf,
}

/// What a daemon says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EngineInfo {
    /// Whether its containers run on while it does not.
    live_restore: bool,
    dockerd_process: u64,
    /// Whether it is a node of a swarm, which rules out `live-restore`.
    pub(super) swarm: bool,
    /// Whether it is a daemon that runs as an ordinary user.
    pub(super) rootless: bool,
}

impl EngineInfo {
    /// Returns how many containers would end with the daemon.
    pub(super) fn containers_that_stop(&self) -> u64 {
        if self.live_restore {
            0
        } else {
            self.dockerd_process
        }
    }
}

/// What the daemon answered.
struct EngineResponse {
    status: u16,
    body: Value,
}

impl EngineClient {
    pub(super) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Returns the engine's version; fails when no daemon answers.
    pub(super) fn version(&self) -> Result<String> {
        let response = self
            .request("GET", "/version", None)
            .context("asking dockerd for its version")?;
        let version = response.body["Version"].as_str();
        Ok(version
            .context("asking dockerd for its version: it named none")?
            .to_owned())
    }

    /// Returns every network, each with its containers.
    pub(super) fn networks(&self) -> Result<Vec<Value>> {
        let context = "asking dockerd for its networks";
        let response = self.request("GET", "/networks", None).context(context)?;
        let Value::Array(networks) = response.body else {
            bail!("{context}: it sent no list")
        };
        Ok(networks)
    }

    /// Returns one network with the containers that use it, or `None`.
    pub(super) fn network(&self, name: &str) -> Result<Option<Value>> {
        let named = self
            .networks()?
            .into_iter()
            .find(|network| network["Name"] == name);
        let Some(id) = named.as_ref().and_then(|network| network["Id"].as_str()) else {
            return Ok(None);
        };
        let response = self.request("GET", &format!("/networks/{id}"), None);
        Ok(Some(
            response
                .with_context(|| format!("asking dockerd for the network {name}"))?
                .body,
        ))
    }

    /// Returns the names of the containers, running or not, that have an end in a network.
    pub(super) fn containers_on(&self, network: &str) -> Result<Vec<String>> {
        let response = self.request("GET", "/containers/json?all=1", None);
        let response = response.context("asking dockerd for its containers")?;
        let Value::Array(containers) = response.body else {
            return Ok(Vec::new());
        };
        let on = |container: &&Value| !container["NetworkSettings"]["Networks"][network].is_null();
        Ok(containers.iter().filter(on).map(name_of).collect())
    }

    /// Returns the name of a running container that is reached by a TCP port of this host.
    pub(super) fn publisher(&self, port: u16) -> Result<Option<String>> {
        let response = self.request("GET", "/containers/json", None);
        let response = response.context("asking dockerd for its containers")?;
        let containers = response.body.as_array().map(Vec::as_slice);
        let publishes = |container: &&Value| {
            let ports = container["Ports"].as_array().map(Vec::as_slice);
            let is_it = |one: &Value| one["PublicPort"] == port && one["Type"] == "tcp";
            ports.unwrap_or_default().iter().any(is_it)
        };
        let found = containers.unwrap_or_default().iter().find(publishes);
        Ok(found.map(name_of))
    }

    /// Returns what the daemon says of itself.
    pub(super) fn info(&self) -> Result<EngineInfo> {
        let response = self.request("GET", "/info", None);
        let info = response.context("asking dockerd about itself")?.body;
        let options = info["SecurityOptions"].as_array().map(Vec::as_slice);
        let mut options = options.unwrap_or_default().iter().filter_map(Value::as_str);
        let swarm = info["Swarm"]["LocalNodeState"].as_str();
        Ok(EngineInfo {
            live_restore: info["LiveRestoreEnabled"] == true,
            dockerd_process: info["ContainersRunning"].as_u64().unwrap_or(0),
            swarm: swarm.is_some_and(|state| !state.is_empty() && state != "inactive"),
            rootless: options.any(|option| option.starts_with("name=rootless")),
        })
    }

    /// Returns where the daemon answers this host.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn create_network(&self, request: &Value) -> Result<()> {
        self.request("POST", "/networks/create", Some(request))
            .map(drop)
    }

    pub(super) fn remove_network(&self, name: &str) -> Result<()> {
        self.request("DELETE", &format!("/networks/{name}"), None)
            .map(drop)
    }

    /// Asks something of whoever answers there.
    pub(super) fn post(&self, path: &str) -> Result<Value> {
        let asking = || format!("asking on {}", self.socket.display());
        let answered = self.request("POST", path, None).with_context(asking)?;
        Ok(answered.body)
    }

    /// Has the daemon call a registry as it does for an image: with what it has in `certs.d`, and without a password.
    pub(super) fn call_registry(&self, registry: &str) -> Result<()> {
        let request = serde_json::json!({ "serveraddress": registry });
        self.request("POST", "/auth", Some(&request)).map(drop)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<EngineResponse> {
        let response = self.exchange(method, path, body)?;
        if !(200..300).contains(&response.status) {
            let message = response.body["message"]
                .as_str()
                .unwrap_or("no reason given");
            bail!("dockerd answered {}: {message}", response.status);
        }
        Ok(response)
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<EngineResponse> {
        let connecting = || format!("connecting to {}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).with_context(connecting)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .context("sending a request")?;
        let mut bytes = Vec::new();
        stream
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .context("reading an answer")?;
        parse(&bytes).context("reading an answer: it is no HTTP")
    }
}

/// Returns the name of a container in a list of them.
fn name_of(container: &Value) -> String {
    let name = container["Names"][0].as_str().or(container["Id"].as_str());
    name.unwrap_or_default().trim_start_matches('/').to_owned()
}

/// Reads an HTTP/1.0 answer whose body is JSON or nothing.
fn parse(bytes: &[u8]) -> Option<EngineResponse> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or(Value::Null);
    Some(EngineResponse { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_json() {
        let response =
            parse(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{\"Version\":\"20.10\"}").unwrap();
        assert_eq!(
            (response.status, response.body["Version"].as_str()),
            (200, Some("20.10"))
        );
        let response = parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!((response.status, response.body), (204, Value::Null));
        for bytes in [
            &b""[..],
            b"HTTP/1.0\r\n\r\n",
            b"\xff\xff 200\r\n\r\n",
            b"GET / HTTP/1.0",
        ] {
            assert!(parse(bytes).is_none());
        }
    }
}
