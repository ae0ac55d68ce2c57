//! How root gets in to the nodes: public ssh keys and a crypted password, and nothing by default.

use std::io;
use std::path::Path;

use definitions::{Distro, Site, read_text};
use nix::unistd::Gid;

use crate::context::RootAccess;
use crate::problem::{FileLine, Problem};
use crate::secrets;

/// No file of keys is longer, in bytes.
const MAX_KEYS: u64 = 1 << 20;

/// Reads what the site says.
///
/// # Errors
/// A password where its file could not be kept from everybody but the web server, `web_server` being no group, and
/// the site does not accept that; a file of keys that cannot be read or holds something else.
pub(crate) fn load(site: &Site, web_server: Option<Gid>) -> Result<RootAccess, Vec<Problem>> {
    let mut problems = Vec::new();
    // `secureroot=1` is xCAT's word for: never a password.
    let secure = site.secureroot.as_deref() == Some("1");
    let password = site.rootpassword.as_ref().filter(|_| !secure);
    let password = password.map(ToString::to_string);
    if password.is_some() && web_server.is_none() && !secrets::accepts_secrets(site) {
        problems.push(Problem::new(format!(
            "the site's rootpassword would be in files that every user of this machine can read: run this as root \
             where a web server is installed, or use authorizedkeys and unset it (chdef -t site \
             rootpassword=), or {}",
            secrets::ACCEPT
        )));
    }
    let keys = match &site.authorizedkeys {
        None => Vec::new(),
        Some(file) => match read(file) {
            Ok(text) => keys(file, text.trim_start_matches('\u{feff}'), &mut problems),
            Err(error) => {
                problems.push(Problem::new(format!(
                    "the site's authorizedkeys: reading {file}: {error}"
                )));
                Vec::new()
            }
        },
    };
    if problems.is_empty() {
        Ok(RootAccess { password, keys })
    } else {
        Err(problems)
    }
}

impl RootAccess {
    /// Checks that a node's release knows the method of the crypted password.
    ///
    /// # Errors
    /// When it does not, so that nobody could log in.
    pub(crate) fn check(&self, node: &str, distro: &Distro) -> Result<(), Problem> {
        match &self.password {
            Some(password) if !knows_method(distro, password) => Err(Problem::new(format!(
                "{node}: the site's rootpassword is crypted by a method that {distro} does not know: use mkpasswd -m \
                 sha-512"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether the C library of a release knows the method of a crypted password (crypt(5)): before libxcrypt there were
/// three, and these are the last releases without it.
fn knows_method(distro: &Distro, password: &str) -> bool {
    let methods = ["$1$", "$5$", "$6$"];
    let last = match distro.family() {
        "rhels" | "centos" | "ol" | "SL" | "cloudlinux" | "anolis" => 7,
        "debian" => 10,
        "ubuntu" => 19,
        "fedora" => 27,
        "sles" | "sled" => 12,
        _ => return true,
    };
    let major: Option<u32> = distro.major().parse().ok();
    methods.iter().any(|method| password.starts_with(method))
        || major.is_none_or(|major| major > last)
}

/// Reads a file of keys.
fn read(file: &str) -> io::Result<String> {
    read_text(Path::new(file), MAX_KEYS)
}

/// Takes the keys of a file, a line each; `#` begins a comment line, as in sshd(8).
fn keys(file: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if is_key(line) {
            keys.push(line.to_owned());
            continue;
        }
        let place = FileLine {
            file: file.into(),
            line: at + 1,
        };
        let message = if line.contains("PRIVATE KEY") {
            "this is a private key, which must stay secret: give the file that ends in .pub"
        } else {
            "this is not a public ssh key: expected a line such as 'ssh-ed25519 AAAA… name'"
        };
        problems.push(Problem::at(place, message));
        break;
    }
    keys
}

/// Whether a line holds a key of a known kind, after options or not.
fn is_key(line: &str) -> bool {
    let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let words: Vec<_> = line.split_whitespace().collect();
    let printable = line.chars().all(|c| !c.is_control());
    printable
        && words.windows(2).any(|pair| {
            kinds.iter().any(|kind| pair[0].starts_with(kind)) && pair[1].starts_with("AAAA")
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn access(
        password: Option<&str>,
        publishes: bool,
        keys: &str,
    ) -> Result<RootAccess, Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(keys.as_bytes()).unwrap();
        let site = Site {
            rootpassword: password.map(|password| password.parse().unwrap()),
            publishsecrets: publishes.then(|| "1".to_owned()),
            authorizedkeys: Some(file.path().display().to_string()),
            ..Site::default()
        };
        let name = file.path().display().to_string();
        load(&site, None).map_err(|problems| {
            problems
                .iter()
                .map(|problem| problem.to_string().replace(&name, "KEYS"))
                .collect()
        })
    }

    #[test]
    fn keys_and_a_crypted_password_are_taken_as_they_are() {
        let root = access(
            Some("$6$salt$hash"),
            true,
            "# ours\n\nssh-ed25519 AAAAC3 a b\nfrom=\"10.0.0.0/8\" ecdsa-sha2-nistp256 AAAAE2\n",
        );
        let root = root.unwrap();
        assert_eq!(root.password.as_deref(), Some("$6$salt$hash"));
        assert_eq!(
            root.keys,
            [
                "ssh-ed25519 AAAAC3 a b",
                "from=\"10.0.0.0/8\" ecdsa-sha2-nistp256 AAAAE2"
            ]
        );
    }

    #[test]
    fn secrets_and_what_is_no_key_are_refused() {
        assert_eq!(
            access(Some("$6$salt$hash"), false, "ssh-rsa\n").unwrap_err(),
            [
                "the site's rootpassword would be in files that every user of this machine can read: run this as root where a web server is installed, or use authorizedkeys and unset it (chdef -t site rootpassword=), or accept that with chdef -t site publishsecrets=1",
                "KEYS:1: this is not a public ssh key: expected a line such as 'ssh-ed25519 AAAA… name'",
            ]
        );
        assert_eq!(
            access(None, false, "\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n").unwrap_err(),
            [
                "KEYS:2: this is a private key, which must stay secret: give the file that ends in .pub"
            ]
        );
    }

    #[test]
    fn a_crypted_password_is_taken_where_the_web_server_alone_can_read_it() {
        let site = Site {
            rootpassword: Some("$6$salt$hash".parse().unwrap()),
            ..Site::default()
        };
        let root = load(&site, Some(Gid::from_raw(33))).unwrap();
        assert_eq!(root.password.as_deref(), Some("$6$salt$hash"));
        assert!(load(&site, None).is_err());
    }

    #[test]
    fn a_release_knows_the_method_of_the_password_or_the_node_is_refused() {
        for (distro, password, knows) in [
            ("centos7.9", "$6$salt$hash", true),
            ("centos7.9", "$y$j9T$salt$hash", false),
            ("rhels8.6.0", "$y$j9T$salt$hash", true),
            ("debian10.5.0", "$2b$10$salt$hash", false),
            ("debian12.9.0", "$y$j9T$salt$hash", true),
            ("debiantesting", "$y$j9T$salt$hash", true),
            ("ubuntu18.04.6", "$y$j9T$salt$hash", false),
            ("ubuntu18.04.6", "$1$salt$hash", true),
            ("sles12.5", "$gy$j9T$salt$hash", false),
            ("rocky9.4", "$y$j9T$salt$hash", true),
        ] {
            let root = RootAccess {
                password: Some(password.to_owned()),
                keys: Vec::new(),
            };
            let expected = if knows {
                Ok(())
            } else {
                Err(format!(
                    "n1: the site's rootpassword is crypted by a method that {distro} does not know: use mkpasswd -m \
                     sha-512"
                ))
            };
            let checked = root.check("n1", &distro.parse().unwrap());
            assert_eq!(checked.map_err(|problem| problem.to_string()), expected);
        }
    }

    #[test]
    fn a_site_that_wants_no_password_has_none() {
        let site = Site {
            rootpassword: Some("$6$salt$hash".parse().unwrap()),
            secureroot: Some("1".to_owned()),
            ..Site::default()
        };
        assert_eq!(load(&site, None).unwrap().password, None);
    }
}
