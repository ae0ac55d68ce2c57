//! Where a container runs: `host01`, `host01:2376`, `10.1.0.5:2376`, `unix:/run/docker.sock`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, host_name_fault};

/// The docker host of a container: a node, another name, an address, or a socket of the management node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DockerHost {
    /// A host that is reached over TLS.
    Remote {
        /// The name of a node, another name, or an address.
        host: String,
        /// The port, where it is not the usual one.
        port: Option<u16>,
    },
    /// The engine of the management node itself.
    Socket(PathBuf),
}

impl DockerHost {
    /// The port of engines that use TLS.
    pub const PORT: u16 = 2376;
}

impl fmt::Display for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Remote { host, port: None } => f.pad(host),
            Self::Remote {
                host,
                port: Some(port),
            } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Remote {
                host,
                port: Some(port),
            } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for DockerHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let expected = "a node, HOST:PORT, an address such as 10.1.0.5:2376 or [fd00::5]:2376, or unix:/PATH";
            Error::invalid("a docker host", text, expected)
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_path = path.starts_with('/');
            return is_path.then(|| Self::Socket(path.into())).ok_or_else(wrong);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            let (host, port) = (text.to_owned(), None);
            return Ok(Self::Remote { host, port });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':').ok_or_else(wrong)?),
                };
                (host, port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                if host_name_fault(host).is_some() {
                    return Err(wrong());
                }
                (host, port)
            }
        };
        let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0));
        let port = port.map(|port| port.ok_or_else(wrong)).transpose()?;
        let host = host.to_owned();
        Ok(Self::Remote { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_host_is_a_node_an_address_or_a_socket() {
        let remote = |host: &str, port| DockerHost::Remote {
            host: host.to_owned(),
            port,
        };
        for (text, host) in [
            ("host01", remote("host01", None)),
            ("host01:2375", remote("host01", Some(2375))),
            ("10.1.0.5:2376", remote("10.1.0.5", Some(2376))),
            ("fd00::5", remote("fd00::5", None)),
            ("[fd00::5]:2376", remote("fd00::5", Some(2376))),
            (
                "unix:/run/docker.sock",
                DockerHost::Socket("/run/docker.sock".into()),
            ),
        ] {
            assert_eq!(text.parse::<DockerHost>().unwrap(), host);
            assert_eq!(host.to_string(), text);
        }
        assert_eq!(
            "unix:///run/docker.sock".parse::<DockerHost>().unwrap(),
            DockerHost::Socket("/run/docker.sock".into())
        );
        for text in [
            "",
            "::::",
            "host:0",
            "host:99999",
            "host:",
            "[fd00::5",
            "[fd00::5]x",
            "[10.1.0.5]:2376",
            "tcp://host01",
            "a b",
            "unix:run",
        ] {
            assert!(text.parse::<DockerHost>().is_err(), "{text}");
        }
    }
}
