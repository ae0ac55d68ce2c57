//! What nodes fetch asks nobody who they are: a secret in it is everybody's who reaches the web server.
//!
//! The content of a node's files comes in; every value that looks like a secret goes out as a problem, unless
//! the site accepts it. Values are never shown.
//!
//! Root's crypted password has to reach the installer, and so it is in a file that the web server alone can read
//! beside its owner; whoever reaches the web server can fetch it all the same, which makes a note.

use std::collections::BTreeMap;
use std::io;

use definitions::{RunlistEntry, Site, has_credential, looks_secret};
use nix::unistd::{Gid, Group, geteuid};

use crate::check;
use crate::installer::InstallerKind;
use crate::problem::{FileLine, Problem};

/// How a site accepts secrets there.
pub(crate) const ACCEPT: &str = "accept that with chdef -t site publishsecrets=1";

/// Says whether it does.
pub(crate) fn accepts_secrets(site: &Site) -> bool {
    site.publishsecrets.as_deref() == Some("1")
}

/// The groups that web servers run as: Debian's and Ubuntu's, nginx's, Apache's of the RHEL family, SUSE's, and slipwayd's.
const WEB_SERVERS: [&str; 5] = ["www-data", "nginx", "apache", "www", "slipway"];

/// Finds the group of the web server, which files with a secret are given to; only root can give a file away.
pub(crate) fn web_server() -> io::Result<Option<Gid>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in WEB_SERVERS {
        if let Some(group) = Group::from_name(name)? {
            return Ok(Some(group.gid));
        }
    }
    Ok(None)
}

/// Says what root's password is open to although local users cannot read it.
pub(crate) fn password_note() -> Problem {
    Problem::new(
        "root's crypted password is in its nodes' installer files: the web server's group alone can read them \
         here, and whoever reaches the web server can fetch them; use authorizedkeys instead",
    )
}

/// Finds variables of scripts that look like a secret.
pub(crate) fn variables(
    site: &Site,
    osimage: &str,
    variables: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let secret = variables
        .iter()
        .filter(|(name, value)| looks_secret(name, value));
    let secret = secret.filter(|_| !accepts_secrets(site));
    secret
        .map(|(name, _)| {
            problem(
                &format!("the osimage {osimage}"),
                &format!("the variable {name} of its scripts"),
            )
        })
        .collect()
}

/// Finds arguments of a node's scripts, and words of its kernel's command line, that look like a secret.
pub(crate) fn arguments<'a>(
    site: &Site,
    node: &str,
    scripts: impl Iterator<Item = &'a RunlistEntry>,
    kernel: &[String],
) -> Vec<Problem> {
    if accepts_secrets(site) {
        return Vec::new();
    }
    let scripts = scripts.filter_map(|entry| {
        let name = secret_word(entry.line.arguments())?;
        let what = named(name, "an argument");
        let of = format!("{what} of the script {}", entry.line.program());
        Some(problem(node, &of))
    });
    let kernel = secret_word(kernel);
    let kernel = kernel.map(|name| {
        let what = named(name, "a word");
        problem(node, &format!("{what} of its kernel's command line"))
    });
    scripts.chain(kernel).collect()
}

/// Finds plain passwords and credentials in a rendered file.
pub(crate) fn file(site: &Site, installer: InstallerKind, name: &str, text: &str) -> Vec<Problem> {
    if accepts_secrets(site) {
        return Vec::new();
    }
    let passwords = check::plain_passwords(installer, name, text);
    let passwords = passwords.into_iter().map(|problem| {
        let message = format!("{}, or {ACCEPT}", problem.message);
        Problem { message, ..problem }
    });
    let lines = (1..).zip(text.lines());
    let credentials = lines.filter(|(_, line)| has_credential(line));
    let credentials = credentials.map(|(line, _)| {
        let message = format!(
            "this line has a credential, and whoever reaches the web server can fetch this file: keep it on the node, \
             or {ACCEPT}"
        );
        let file = name.into();
        Problem::at(FileLine { file, line }, message)
    });
    passwords.chain(credentials).collect()
}

/// Names the first word that looks like a secret: `--token=…`, `--token …`, `TOKEN=…`.
fn secret_word(words: &[String]) -> Option<&str> {
    words.iter().enumerate().find_map(|(at, word)| {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value),
            // An option's value may be the next word; a word of its own has none.
            None if word.starts_with('-') => {
                (word.as_str(), words.get(at + 1).map_or("", String::as_str))
            }
            None => ("", word.as_str()),
        };
        looks_secret(name, value).then_some(name)
    })
}

/// Quotes a name; a value without one is never shown.
fn named(name: &str, otherwise: &str) -> String {
    if name.is_empty() {
        otherwise.to_owned()
    } else {
        format!("'{name}'")
    }
}

fn problem(of: &str, what: &str) -> Problem {
    Problem::new(format!(
        "{of}: {what} looks like a secret, and whoever reaches the web server can fetch what nodes fetch: keep it on the \
         node, in a file that the script reads, or {ACCEPT}"
    ))
}

#[cfg(test)]
mod tests {
    use definitions::ScriptOrigin;

    use super::*;

    const WHY: &str = " looks like a secret, and whoever reaches the web server can fetch what nodes fetch: keep it on the \
                       node, in a file that the script reads, or accept that with chdef -t site publishsecrets=1";

    fn messages(problems: Vec<Problem>) -> Vec<String> {
        let text = |problem: &Problem| problem.to_string().replace(WHY, "");
        problems.iter().map(text).collect()
    }

    fn site(accepts: bool) -> Site {
        Site {
            publishsecrets: accepts.then(|| "1".to_owned()),
            ..Site::default()
        }
    }

    #[test]
    fn secrets_are_named_and_never_shown_unless_the_site_accepts_them() {
        let pairs = [
            ("DB_PASSWORD", "Geheim"),
            ("http_proxy", "http://u:Geheim@proxy:1"),
            ("NODE", "n1"),
        ];
        let environment = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(
            messages(variables(&site(false), "img", &environment)),
            [
                "the osimage img: the variable DB_PASSWORD of its scripts",
                "the osimage img: the variable http_proxy of its scripts"
            ]
        );
        let lines = [
            "a --token=Geheim",
            "b --token Geheim",
            "c TOKEN=Geheim",
            "d 'https://u:Geheim@h/'",
            "e --token-file /root/x",
            "f eth0:br0 token",
            "g --password",
        ];
        let entries = lines.map(|line| RunlistEntry {
            origin: ScriptOrigin::Node,
            line: line.parse().unwrap(),
        });
        let kernel = [
            "console=ttyS0".to_owned(),
            "inst.vncpassword=Geheim".to_owned(),
        ];
        assert_eq!(
            messages(arguments(&site(false), "n1", entries.iter(), &kernel)),
            [
                "n1: '--token' of the script a",
                "n1: '--token' of the script b",
                "n1: 'TOKEN' of the script c",
                "n1: an argument of the script d",
                "n1: 'inst.vncpassword' of its kernel's command line"
            ]
        );
        assert!(variables(&site(true), "img", &environment).is_empty());
        assert!(arguments(&site(true), "n1", entries.iter(), &kernel).is_empty());
    }
}
