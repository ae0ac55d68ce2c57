//! One entry of `otherpkgdir` or `pkgdir`, as it is written. Pure.
//!
//! ```text
//! https://repo.example.invalid/ubuntu noble stable            apt: URI, suite, components
//! https://repo.example.invalid/repo ./                        apt: a flat repository
//! [signed-by=/path/key.asc arch=amd64] https://… noble stable options first, as in sources.list(5)
//! [gpgkey=/path/key.asc name=docker-ce] https://…/$releasever/$basearch/stable   dnf, zypper
//! /install/post/otherpkgs/rocky9.4/x86_64                     a directory of the management node
//! ```
//!
//! Entries are separated by commas; only an option such as `arch=amd64,arm64` contains one.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::Arch;

/// The format of a repository: whose package manager reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryFormat {
    /// Debian and Ubuntu.
    #[default]
    Apt,
    /// The RHEL family and Fedora.
    Dnf,
    /// SLE and openSUSE.
    Zypper,
}

impl RepositoryFormat {
    /// Returns the option of an entry that names its key.
    pub fn key_option(self) -> &'static str {
        match self {
            Self::Apt => "signed-by",
            Self::Dnf | Self::Zypper => "gpgkey",
        }
    }

    /// Returns what to add to an entry that gives no reason to trust it.
    pub fn trust_advice(self) -> String {
        let key = self.key_option();
        let signed = match self {
            Self::Apt => "the repository",
            Self::Dnf | Self::Zypper => "the packages",
        };
        format!(
            "has no reason to be trusted: put '[{key}=/path/of/its/key.asc]' in front of it, \
             '[{key}=distribution]' where the distribution's own key signs {signed}, or '[trusted=yes]' to \
             accept it unsigned"
        )
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryEntry {
    /// Whose format it has.
    pub format: RepositoryFormat,
    /// The name that it gives the repository.
    pub name: Option<String>,
    /// Where the repository is.
    pub location: RepositoryLocation,
    /// The suite of an apt repository; one that ends in `/` is flat.
    pub suite: Option<String>,
    /// The components of an apt repository.
    pub components: Vec<String>,
    /// The architectures that it limits the repository to.
    pub architectures: Vec<Arch>,
    /// Why its packages are trusted.
    pub trust: RepositoryTrust,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryLocation {
    /// A directory of the management node.
    Directory(PathBuf),
    /// An http or https URI that nodes reach.
    Uri(String),
}

/// Why packages are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryTrust {
    /// A key in a file of the management node signs them.
    Key(PathBuf),
    /// A key that nodes fetch over https signs them.
    KeyUrl(String),
    /// A key that the distribution brings signs them: it is a mirror.
    Distribution,
    /// The definition accepts them unsigned, explicitly.
    Explicit,
    /// The entry gives no reason.
    Unspecified,
}

impl RepositoryEntry {
    /// Parses one entry.
    ///
    /// # Errors
    /// What is wrong with it, to be put after the entry: `has no suite: …`.
    pub fn parse(text: &str, format: RepositoryFormat) -> Result<Self, String> {
        if text.contains(char::is_control) {
            return Err("contains a control character: delete it".to_owned());
        }
        let text = strip_deb(text.trim(), format)?;
        let (options, text) = match text.strip_prefix('[') {
            Some(rest) => rest
                .split_once(']')
                .ok_or_else(|| "has a '[' without its ']'".to_owned())?,
            None => ("", text),
        };
        let mut words = text.split_whitespace();
        let target = words.next().ok_or_else(|| {
            "names no repository: write a directory, or a URI such as https://…".to_owned()
        })?;
        let mut entry = Self {
            format,
            name: None,
            location: RepositoryLocation::parse(target, format)?,
            suite: None,
            components: Vec::new(),
            architectures: Vec::new(),
            trust: RepositoryTrust::Unspecified,
        };
        for option in options.split_whitespace() {
            entry.set_option(option)?;
        }
        entry.set_suite(&words.collect::<Vec<_>>())?;
        Ok(entry)
    }

    /// Parses a list of entries, separated by commas; empty ones are passed over.
    ///
    /// # Errors
    /// What is wrong with the first bad entry, after its text.
    pub fn parse_list(text: &str, format: RepositoryFormat) -> Result<Vec<Self>, String> {
        let entries = split_list(text).map(str::trim);
        let parse = |entry: &str| {
            Self::parse(entry, format).map_err(|why| format!("'{}' {why}", entry.escape_debug()))
        };
        let given = entries.filter(|entry| !entry.is_empty());
        given.map(parse).collect()
    }

    /// Reads `name=value`.
    fn set_option(&mut self, option: &str) -> Result<(), String> {
        let format = self.format;
        let key = format.key_option();
        match option.split_once('=').unwrap_or((option, "")) {
            ("name", name) if self.name.is_none() => self.name = Some(checked_name(name)?),
            ("trusted", "yes") => self.set_trust(RepositoryTrust::Explicit)?,
            ("trusted", _) => {
                return Err("has 'trusted': write 'trusted=yes', or leave it out".to_owned());
            }
            (name, value) if name == key => self.set_trust(RepositoryTrust::parse(value, key)?)?,
            ("signed-by" | "gpgkey", _) => {
                return Err(format!(
                    "has '{option}', which another package manager reads: write '{key}=…' here"
                ));
            }
            ("arch", names) if format == RepositoryFormat::Apt => {
                for name in names.split(',') {
                    let arch = name
                        .parse::<Arch>()
                        .map_err(|err| format!("has 'arch': {err}"))?;
                    if !self.architectures.contains(&arch) {
                        self.architectures.push(arch);
                    }
                }
            }
            (name, _) => {
                let arch = if format == RepositoryFormat::Apt {
                    ", arch="
                } else {
                    ""
                };
                return Err(format!(
                    "has the option '{name}' twice, or it is unknown: there are {key}=, trusted=yes, name={arch}"
                ));
            }
        }
        Ok(())
    }

    fn set_trust(&mut self, trust: RepositoryTrust) -> Result<(), String> {
        if self.trust != RepositoryTrust::Unspecified {
            return Err("gives two reasons to be trusted: leave one".to_owned());
        }
        self.trust = trust;
        Ok(())
    }

    /// Reads what follows the URI: suite and components.
    fn set_suite(&mut self, words: &[&str]) -> Result<(), String> {
        if self.format != RepositoryFormat::Apt {
            return match words {
                [] => Ok(()),
                [word, ..] => Err(format!(
                    "has '{word}' after the URI: suites and components are apt's, leave them out"
                )),
            };
        }
        let good = |word: &&str| word.chars().all(is_url_character) && !word.contains("..");
        if let Some(word) = words.iter().find(|word| !good(word)) {
            return Err(format!(
                "has '{word}', which is neither a suite nor a component"
            ));
        }
        match words {
            [] if matches!(self.location, RepositoryLocation::Uri(_)) => Err(
                "has no suite: write it after the URI, as in '… noble stable', or './' where Packages lies \
                 beside the packages"
                    .to_owned(),
            ),
            [suite, _, ..] if suite.ends_with('/') => Err(format!(
                "has components after '{suite}', which is a flat repository: leave them out"
            )),
            [suite] if !suite.ends_with('/') => Err(format!(
                "has no component after '{suite}': write them, as in '{suite} main'"
            )),
            [] => Ok(()),
            [suite, components @ ..] => {
                self.suite = Some((*suite).to_owned());
                self.components = components.iter().map(|word| (*word).to_owned()).collect();
                Ok(())
            }
        }
    }
}

/// Prints an entry that parses to the same value, without a comma.
impl fmt::Display for RepositoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.format.key_option();
        let mut options: Vec<String> = Vec::new();
        options.extend(self.name.iter().map(|name| format!("name={name}")));
        let arch = |arch: &Arch| format!("arch={}", arch.debian_name());
        options.extend(self.architectures.iter().map(arch));
        options.extend(match &self.trust {
            RepositoryTrust::Key(path) => Some(format!("{key}={}", path.display())),
            RepositoryTrust::KeyUrl(url) => Some(format!("{key}={url}")),
            RepositoryTrust::Distribution => Some(format!("{key}=distribution")),
            RepositoryTrust::Explicit => Some("trusted=yes".to_owned()),
            RepositoryTrust::Unspecified => None,
        });
        if !options.is_empty() {
            write!(f, "[{}] ", options.join(" "))?;
        }
        match &self.location {
            RepositoryLocation::Directory(path) => write!(f, "{}", path.display())?,
            RepositoryLocation::Uri(uri) => f.write_str(uri)?,
        }
        for word in self.suite.iter().chain(&self.components) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl RepositoryTrust {
    /// Reads the value of `signed-by` or `gpgkey`.
    fn parse(value: &str, option: &str) -> Result<Self, String> {
        let fetched = option == RepositoryFormat::Dnf.key_option();
        match value {
            "distribution" => Ok(Self::Distribution),
            path if path.starts_with('/') && !path.contains([',', ']']) => {
                Ok(Self::Key(PathBuf::from(path)))
            }
            url if url.starts_with("https://") && fetched => {
                check_uri(url).map(|()| Self::KeyUrl(url.to_owned()))
            }
            other => {
                let url = if fetched { " an https URL," } else { "" };
                Err(format!(
                    "has '{option}={other}': give the path of a key on the management node,{url} or \
                     'distribution'"
                ))
            }
        }
    }
}

impl RepositoryLocation {
    /// Reads a directory or a URI.
    fn parse(target: &str, format: RepositoryFormat) -> Result<Self, String> {
        if target.starts_with('/') {
            let path = Path::new(target);
            if path.components().any(|part| part == Component::ParentDir) {
                return Err(format!("has '..' in '{target}': write the path without it"));
            }
            if target.contains(',') {
                return Err(format!("has a ',' in '{target}', which separates entries"));
            }
            return Ok(Self::Directory(path.components().collect()));
        }
        if let Some(path) = target.strip_prefix("file:") {
            return Err(format!(
                "begins with 'file:': write the directory alone, '/{}'",
                path.trim_start_matches('/')
            ));
        }
        if !target.starts_with("https://") && !target.starts_with("http://") {
            return Err(format!(
                "has '{target}', which is neither an absolute directory nor an http or https URI"
            ));
        }
        // dnf and zypper expand these themselves; genimage does it for them.
        let plain = match format {
            RepositoryFormat::Apt => target.to_owned(),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => ["$releasever", "$basearch"]
                .iter()
                .fold(target.to_owned(), |text, name| text.replace(name, "x")),
        };
        check_uri(&plain)?;
        Ok(Self::Uri(target.to_owned()))
    }
}

/// Whether a character may be in the path of a URL as it is.
pub fn is_url_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+~-/".contains(c)
}

/// Splits a list at the commas that are outside of brackets.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    text.split(move |c| {
        within = (within || c == '[') && c != ']';
        c == ',' && !within
    })
}

/// Strips the `deb` that lines of a `.list` begin with.
fn strip_deb(text: &str, format: RepositoryFormat) -> Result<&str, String> {
    match text.split_once(char::is_whitespace) {
        Some(("deb", rest)) if format == RepositoryFormat::Apt => Ok(rest.trim_start()),
        Some(("deb", _)) => {
            Err("begins with 'deb', which is apt's: write the URI alone".to_owned())
        }
        Some(("deb-src", _)) => {
            Err("is a repository of sources, which nodes do not install: leave it out".to_owned())
        }
        _ => Ok(text),
    }
}

fn checked_name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= 64 && name.chars().all(allowed) && !name.starts_with("tree") {
        return Ok(name.to_owned());
    }
    Err(format!(
        "has the name '{name}': a name consists of letters, digits, '-' and '_', and does not begin with 'tree', \
         which is the tree's"
    ))
}

/// Checks a URI: a host, and no character that a shell, an installer's file or a log interprets.
fn check_uri(uri: &str) -> Result<(), String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(
            "has a user name or a password in its URI, and definitions hold no secrets: mirror it, or grant \
             access to the nodes' addresses"
                .to_owned(),
        );
    }
    let allowed = |c: char| is_url_character(c) || ":%@=[]".contains(c);
    if host.is_empty() || !rest.chars().all(allowed) {
        return Err(format!(
            "has '{uri}', which is not the URI of a repository: letters, digits and . _ + ~ - / : % @ = are allowed \
             after the host"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
