//! What of its host and of other containers a container sees: volumes, ports, devices, links.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{is_absolute_path, is_docker_name};
use crate::{Error, NodeName};

/// What a container has at one of its paths; options follow further colons: `/srv:/srv:ro`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeMount {
    /// A path of the host, or a volume of the engine by its name.
    Bind {
        /// The path or the name.
        source: String,
        /// The path in the container.
        target: String,
        /// `ro`, `rw`, `z`, `rshared` …
        options: Vec<String>,
    },
    /// Memory: `tmpfs:/run:size=64m`.
    Tmpfs {
        /// The path in the container.
        target: String,
        /// Mount options.
        options: Vec<String>,
    },
}

impl fmt::Display for VolumeMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = match self {
            Self::Bind {
                source,
                target,
                options,
            } => {
                write!(f, "{source}:{target}")?;
                options
            }
            Self::Tmpfs { target, options } => {
                write!(f, "tmpfs:{target}")?;
                options
            }
        };
        options.iter().try_for_each(|option| write!(f, ":{option}"))
    }
}

impl FromStr for VolumeMount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let expected =
                "/HOST/PATH:/PATH[:OPTION…], NAME:/PATH[:OPTION…] or tmpfs:/PATH[:OPTION…]";
            Error::invalid("a volume", text, expected)
        };
        let mut parts = text.split(':');
        let (source, target) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
        let options: Vec<String> = parts.map(str::to_owned).collect();
        let known_options = options.iter().all(|option| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | '_' | '-');
            !option.is_empty() && option.chars().all(allowed)
        });
        if !is_absolute_path(target) || target == "/" || !known_options {
            return Err(wrong());
        }
        let target = target.to_owned();
        if source == "tmpfs" {
            return Ok(Self::Tmpfs { target, options });
        }
        if !is_absolute_path(source) && !is_docker_name(source) {
            return Err(wrong());
        }
        let source = source.to_owned();
        Ok(Self::Bind {
            source,
            target,
            options,
        })
    }
}

/// A port of a container that its host offers: `[ADDRESS:][PORT:]PORT[/udp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The address of the host, where it is not all of them.
    pub address: Option<IpAddr>,
    /// The port there; the engine chooses one where none is given.
    pub host: Option<u16>,
    /// The port in the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            Some(address) => write!(f, "{address}:")?,
            None => {}
        }
        match (self.host, self.address) {
            (Some(port), _) => write!(f, "{port}:")?,
            (None, Some(_)) => f.write_str(":")?,
            (None, None) => {}
        }
        write!(f, "{}", self.container)?;
        match self.protocol.as_str() {
            "tcp" => Ok(()),
            protocol => write!(f, "/{protocol}"),
        }
    }
}

impl FromStr for PublishedPort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        published(text).ok_or_else(|| {
            let expected = "[ADDRESS:][PORT:]PORT[/udp] such as 8080:80 or 10.1.0.5:53:53/udp";
            Error::invalid("a published port", text, expected)
        })
    }
}

fn published(text: &str) -> Option<PublishedPort> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = ["tcp", "udp", "sctp"].contains(&protocol);
    let (rest, container) = match rest.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, rest),
    };
    let (address, host) = match rest.map(|rest| {
        rest.rsplit_once(':')
            .map_or((None, rest), |(a, p)| (Some(a), p))
    }) {
        None => (None, None),
        Some((address, port)) => (address, Some(port)),
    };
    let address = match address {
        None => None,
        Some(address) => {
            let bare = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            Some(bare.unwrap_or(address).parse().ok()?)
        }
    };
    let host = match host {
        None => None,
        Some("") if address.is_some() => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
    };
    let container = container.parse().ok().filter(|port| *port > 0)?;
    known.then(|| PublishedPort {
        address,
        host,
        container,
        protocol: protocol.to_owned(),
    })
}

/// Another container, on any host, that a container knows by name: `NODE[:ALIAS]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLink {
    /// The node of the other container.
    pub node: NodeName,
    /// The name that it has here, where that is another.
    pub alias: Option<NodeName>,
}

impl fmt::Display for ContainerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.alias {
            Some(alias) => write!(f, "{}:{alias}", self.node),
            None => self.node.fmt(f),
        }
    }
}

impl FromStr for ContainerLink {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (node, alias) = match text.split_once(':') {
            Some((node, alias)) => (node, Some(alias.parse()?)),
            None => (text, None),
        };
        let node = node.parse()?;
        Ok(Self { node, alias })
    }
}

/// A device of the host that a container may use: `/dev/kvm`, `/dev/sda:/dev/xvda:r`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceMapping {
    /// The path on the host.
    pub host: String,
    /// The path in the container.
    pub container: String,
    /// What may be done: `r`, `w` and `m` (make).
    pub permissions: String,
}

impl fmt::Display for DeviceMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.container, self.permissions)
    }
}

impl FromStr for DeviceMapping {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<_> = text.split(':').collect();
        let (host, container, permissions) = match parts[..] {
            [host] => (host, host, "rwm"),
            [host, second] if second.starts_with('/') => (host, second, "rwm"),
            [host, permissions] => (host, host, permissions),
            [host, container, permissions] => (host, container, permissions),
            _ => ("", "", ""),
        };
        let known = !permissions.is_empty() && permissions.chars().all(|c| "rwm".contains(c));
        let paths = [host, container];
        let devices = paths
            .iter()
            .all(|path| is_absolute_path(path) && path.starts_with("/dev/"));
        if !known || !devices {
            let expected = "/dev/NAME[:/dev/NAME][:rwm]";
            return Err(Error::invalid("a device", text, expected));
        }
        Ok(Self {
            host: host.to_owned(),
            container: container.to_owned(),
            permissions: permissions.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_ports_links_and_devices_print_as_they_are_read() {
        for text in [
            "/srv:/srv",
            "/srv:/srv:ro:z",
            "data:/var/lib/x",
            "tmpfs:/run:size=64m",
        ] {
            assert_eq!(text.parse::<VolumeMount>().unwrap().to_string(), text);
        }
        for text in [
            "80",
            "8080:80",
            "10.1.0.5:53:53/udp",
            "[fd00::5]:80:80",
            "10.1.0.5::80",
        ] {
            assert_eq!(text.parse::<PublishedPort>().unwrap().to_string(), text);
        }
        for text in ["web1", "web1:db"] {
            assert_eq!(text.parse::<ContainerLink>().unwrap().to_string(), text);
        }
        for (text, printed) in [
            ("/dev/kvm", "/dev/kvm:/dev/kvm:rwm"),
            ("/dev/sda:r", "/dev/sda:/dev/sda:r"),
            ("/dev/sda:/dev/xvda", "/dev/sda:/dev/xvda:rwm"),
        ] {
            assert_eq!(text.parse::<DeviceMapping>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_no_engine_takes_is_refused() {
        for text in [
            "",
            "/srv",
            "srv/x:/y",
            "/a:b",
            "/a:/",
            "/a:/../b",
            "a b:/c",
            "/a:/b:",
            "/a:/b:r o",
        ] {
            assert!(text.parse::<VolumeMount>().is_err(), "{text}");
        }
        for text in [
            "",
            "0",
            "x",
            "80/icmp",
            ":80",
            "1.2.3:1:2",
            "70000:1",
            "80:",
        ] {
            assert!(text.parse::<PublishedPort>().is_err(), "{text}");
        }
        for text in ["", "a b", "a:", "a:b:c"] {
            assert!(text.parse::<ContainerLink>().is_err(), "{text}");
        }
        for text in [
            "",
            "kvm",
            "/dev/kvm:x",
            "/etc/passwd",
            "/dev/../etc/x",
            "/dev/a:/dev/b:rwx",
        ] {
            assert!(text.parse::<DeviceMapping>().is_err(), "{text}");
        }
    }
}
