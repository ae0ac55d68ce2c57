//! What a container gets from the attributes of its node, each a type that parsing alone makes.
//!
//! A text comes in, as a command line or a file has it; a value goes out that an engine can be asked for. What an
//! engine alone can know (whether an image exists, whether a network does) is not looked at here.
//! Reference: the Engine API, `ContainerCreate`; docker-run(1) for the forms of volumes, ports and devices.

mod host;
mod image;
mod limits;
mod process;
mod resources;

use std::fmt;
use std::str::FromStr;

use crate::Error;

pub use host::DockerHost;
pub use image::ImageReference;
pub use limits::{CpuLimit, MemorySize, RestartPolicy};
pub use process::{EngineOptions, HealthCheck, ProcessArguments};
pub use resources::{ContainerLink, DeviceMapping, PublishedPort, VolumeMount};

/// The name of an object of an engine: a network, a log driver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DockerName(String);

/// The user that a container's process runs as: `name`, `uid`, `user:group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUser(String);

crate::name::text! { DockerName ContainerUser }

impl FromStr for DockerName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_docker_name(text) {
            return Ok(Self(text.to_owned()));
        }
        let expected = "at most 200 letters, digits, '_', '.' and '-', a letter or a digit first";
        Err(Error::invalid("a name for docker", text, expected))
    }
}

impl FromStr for ContainerUser {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_name = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            !part.is_empty() && !part.starts_with('-') && part.chars().all(allowed)
        };
        let parts: Vec<_> = text.split(':').collect();
        if parts.len() <= 2 && parts.iter().all(|part| is_name(part)) {
            return Ok(Self(text.to_owned()));
        }
        let expected = "a name or a number, or two as 'user:group'";
        Err(Error::invalid("a user of a container", text, expected))
    }
}

/// One `NAME=VALUE` of a container's environment or labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// The value, which may be empty.
    pub value: String,
}

impl fmt::Display for NamedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl FromStr for NamedValue {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let pair = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
        let expected = "NAME=VALUE with a name that has no blanks";
        let (name, value) =
            pair.ok_or_else(|| Error::invalid("a setting of a container", text, expected))?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// A capability that a container gets beyond the engine's own choice, or with `-` one that it does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityChange {
    /// The name without `CAP_`, in capitals: `NET_ADMIN`, or `ALL`.
    pub name: String,
    /// Whether it is taken away.
    pub dropped: bool,
}

impl fmt::Display for CapabilityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.dropped { "-" } else { "" };
        write!(f, "{sign}{}", self.name)
    }
}

impl FromStr for CapabilityChange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (dropped, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if !name.is_empty() && name.chars().all(allowed) {
            let name = name.to_owned();
            return Ok(Self { name, dropped });
        }
        let expected =
            "a name of capabilities(7) such as NET_ADMIN, or '-' and one that is taken away";
        Err(Error::invalid("a capability", text, expected))
    }
}

/// Whether something is to be: `1` or `0`, also spelt `yes` and `no`, `true` and `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.0 { "1" } else { "0" })
    }
}

impl FromStr for Switch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(Self(true)),
            "0" | "no" | "false" | "off" => Ok(Self(false)),
            _ => Err(Error::invalid("a switch", text, "1 or 0")),
        }
    }
}

/// Says whether engines take a name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
fn is_docker_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 200
        && text.chars().all(allowed)
}

/// Says whether a text is a path in a container: absolute, and not led out of.
fn is_absolute_path(text: &str) -> bool {
    text.starts_with('/') && !text.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_users_settings_and_capabilities_are_what_engines_take() {
        for name in ["mydocker0", "json-file", "net_1.a"] {
            assert!(name.parse::<DockerName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a b", "a/b", "a:b", &"a".repeat(201)] {
            assert!(name.parse::<DockerName>().is_err(), "{name}");
        }
        for user in ["root", "1000", "1000:1000", "www-data:www-data"] {
            assert!(user.parse::<ContainerUser>().is_ok(), "{user}");
        }
        for user in ["", ":", "a:", "a:b:c", "-u", "a b"] {
            assert!(user.parse::<ContainerUser>().is_err(), "{user}");
        }
        let setting: NamedValue = "A=b=c".parse().unwrap();
        assert_eq!((&*setting.name, &*setting.value), ("A", "b=c"));
        for setting in ["A", "=b", "A B=c"] {
            assert!(setting.parse::<NamedValue>().is_err(), "{setting}");
        }
        for (text, printed) in [
            ("net_admin", "NET_ADMIN"),
            ("CAP_NET_ADMIN", "NET_ADMIN"),
            ("+SYS_TIME", "SYS_TIME"),
            ("-all", "-ALL"),
        ] {
            let change: CapabilityChange = text.parse().unwrap();
            assert_eq!(change.to_string(), printed);
        }
        for (text, printed) in [("yes", "1"), ("TRUE", "1"), ("0", "0"), ("off", "0")] {
            assert_eq!(text.parse::<Switch>().unwrap().to_string(), printed);
        }
        assert_eq!(
            "maybe".parse::<Switch>().unwrap_err().to_string(),
            "'maybe' is not a switch: expected 1 or 0"
        );
    }
}
