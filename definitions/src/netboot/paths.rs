//! Directories of a diskless node whose content is kept over a boot, beside those that every node keeps.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Directories of a root that are kept on the node's state disk: `/var/log,/srv/data`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatePaths(Vec<String>);

impl StatePaths {
    /// The most bytes that all of them have: a kernel's command line has two thousand.
    const MAX_BYTES: usize = 512;
    /// What is mounted there is the kernel's, or what every node keeps.
    const TAKEN: [&'static str; 9] = [
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/etc/docker/tls",
        "/etc/slipway",
        "/var/lib/docker",
        "/var/lib/containerd",
        "/var/lib/slipway",
    ];

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for StatePaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(","))
    }
}

impl FromStr for StatePaths {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |what: &str, expected: &str| {
            Err(Error::invalid("a directory to be kept", what, expected))
        };
        if text.len() > Self::MAX_BYTES {
            return invalid(text, "512 bytes at most");
        }
        let mut paths: Vec<String> = Vec::new();
        for path in text.split(',').map(str::trim) {
            if !is_plain(path) {
                return invalid(
                    path,
                    "absolute paths with letters, digits and . _ + @ - only, separated by ','",
                );
            }
            let others = Self::TAKEN
                .into_iter()
                .chain(paths.iter().map(String::as_str));
            let within = |a: &str, b: &str| {
                a.strip_prefix(b)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if let Some(other) = { others }.find(|other| within(path, other) || within(other, path))
            {
                return invalid(path, &format!("none that is {other}, in it or above it"));
            }
            paths.push(path.to_owned());
        }
        Ok(Self(paths))
    }
}

/// Whether it is an absolute path that means the same to everybody.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    let is_name = |name: &str| !["", ".", ".."].contains(&name) && name.chars().all(plain);
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_plain_paths_that_nothing_else_is_mounted_at() {
        for (text, expected) in [
            ("/srv", "/srv"),
            (
                "/var/log, /srv/data,/var/lib/docker-registry",
                "/var/log,/srv/data,/var/lib/docker-registry",
            ),
        ] {
            let paths: StatePaths = text.parse().unwrap();
            assert_eq!(paths.to_string(), expected);
            assert_eq!(paths.to_string().parse::<StatePaths>().unwrap(), paths);
        }
        let plain = "absolute paths with letters, digits and . _ + @ - only, separated by ','";
        let taken = |other: &str| format!("none that is {other}, in it or above it");
        for (text, wrong, expected) in [
            ("", "", plain.to_owned()),
            ("/", "/", plain.to_owned()),
            ("srv", "srv", plain.to_owned()),
            ("/srv/", "/srv/", plain.to_owned()),
            ("/srv/../etc", "/srv/../etc", plain.to_owned()),
            ("/srv,/a b", "/a b", plain.to_owned()),
            ("/srv,", "", plain.to_owned()),
            ("/var", "/var", taken("/var/lib/docker")),
            ("/proc/sys", "/proc/sys", taken("/proc")),
            ("/etc/slipway", "/etc/slipway", taken("/etc/slipway")),
            ("/srv,/srv", "/srv", taken("/srv")),
            ("/srv/a,/srv", "/srv", taken("/srv/a")),
        ] {
            assert_eq!(
                text.parse::<StatePaths>().unwrap_err().to_string(),
                format!("'{wrong}' is not a directory to be kept: expected {expected}"),
                "{text}"
            );
        }
        assert!(
            format!("/{}", "a".repeat(512))
                .parse::<StatePaths>()
                .is_err()
        );
    }
}
