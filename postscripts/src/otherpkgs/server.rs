//! The management node's web server, as this node reaches it.

use std::net::IpAddr;

use anyhow::{Result, bail};

use crate::http::{Failure, Url};

/// Where the install directory is served.
const SERVED: &str = "/install";

/// The web server.
#[derive(Debug)]
pub(super) struct InstallServer {
    url: Url,
    /// The install directory, as its machine names it.
    installdir: String,
}

impl InstallServer {
    /// Finds it in the environment.
    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let names = ["NFSSERVER", "MASTER_IP", "MASTER"];
        let address = names
            .into_iter()
            .find_map(|name| variable(name)?.parse::<IpAddr>().ok());
        let host = match address {
            None => {
                bail!("none of NFSSERVER, MASTER_IP and MASTER is the address of a management node")
            }
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("[{address}]"),
        };
        let port = variable("HTTPPORT").filter(|port| !port.is_empty() && port != "80");
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let installdir = variable("INSTALLDIR").unwrap_or_default();
        Ok(Self {
            url: format!("http://{host}{port}").parse()?,
            installdir: installdir.trim_end_matches('/').to_owned(),
        })
    }

    /// Returns where it has a path of its machine: what is in the install directory, wherever that is,
    /// is in `/install` there.
    fn place(&self, path: &str) -> String {
        match path.strip_prefix(self.installdir.as_str()) {
            Some(rest) if !self.installdir.is_empty() && rest.starts_with('/') => {
                format!("{SERVED}{rest}")
            }
            _ => path.to_owned(),
        }
    }

    /// Returns the address of a path of its machine.
    pub(super) fn uri(&self, path: &str) -> String {
        format!("http://{}{}", self.url.host, self.place(path))
    }

    /// Says whether it has a file of its machine.
    pub(super) fn has(&self, path: &str) -> Result<bool, Failure> {
        self.url.has(self.place(path).trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_directory_is_served_under_one_name_wherever_it_is() {
        for (variables, path, expected) in [
            (
                &[("MASTER", "10.1.0.1")][..],
                "/install/a",
                "http://10.1.0.1/install/a",
            ),
            (
                &[
                    ("MASTER", "mn01"),
                    ("MASTER_IP", "fd00::1"),
                    ("HTTPPORT", "8080"),
                ],
                "/install/a",
                "http://[fd00::1]:8080/install/a",
            ),
            (
                &[
                    ("NFSSERVER", "10.1.0.2"),
                    ("MASTER", "10.1.0.1"),
                    ("INSTALLDIR", "/srv/os/"),
                ],
                "/srv/os/a",
                "http://10.1.0.2/install/a",
            ),
            (
                &[("MASTER", "10.1.0.1"), ("INSTALLDIR", "/srv/os")],
                "/srv/osx/a",
                "http://10.1.0.1/srv/osx/a",
            ),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(InstallServer::of(&variable).unwrap().uri(path), expected);
        }
    }
}
