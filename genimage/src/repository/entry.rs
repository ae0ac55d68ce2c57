//! One entry of `otherpkgdir`, as it is written. Pure.
//!
//! ```text
//! https://docker.example.invalid/linux/ubuntu noble stable       apt: URI, suite, components
//! https://host/repo ./                                        apt: a flat repository
//! [signed-by=/path/key.asc arch=amd64] https://… noble stable options first, as in sources.list(5)
//! [gpgkey=/path/key.asc name=docker-ce] https://…/$releasever/$basearch/stable   dnf, zypper
//! /install/post/otherpkgs/rocky9.4/x86_64                     a directory of the management node's
//! ```
//!
//! An entry contains no comma, which separates entries.

use std::path::{Path, PathBuf};

use definitions::Arch;

use super::RepositoryFormat;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name that it gives the repository.
    pub name: Option<String>,
    /// Where the repository is.
    pub source: Source,
    /// The suite of an apt repository.
    pub suite: Option<String>,
    /// The components of an apt repository.
    pub components: Vec<String>,
    /// The architectures that it limits the repository to.
    pub architectures: Vec<Arch>,
    /// Why its packages may be believed.
    pub trust: Trust,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory of the management node's.
    Directory(PathBuf),
    /// A URI that nodes reach.
    Internet(String),
}

/// Why packages may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A key in a file of the management node's signs them.
    Key(PathBuf),
    /// A key that nodes fetch signs them.
    KeyUrl(String),
    /// A key that the distribution brings signs them: it is a mirror.
    Distribution,
    /// The definition says so.
    Explicit,
    /// It does not say.
    Unspecified,
}

impl Entry {
    /// Parses one entry.
    ///
    /// # Errors
    /// What is no repository, or one that nobody could check.
    pub fn parse(text: &str, form: RepositoryFormat) -> Result<Self, String> {
        if text.contains(char::is_control) {
            return Err("holds a control character: delete it".to_owned());
        }
        let text = strip_deb(text.trim(), form)?;
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
            name: None,
            source: source(target, form)?,
            suite: None,
            components: Vec::new(),
            architectures: Vec::new(),
            trust: Trust::Unspecified,
        };
        for option in options.split_whitespace() {
            entry.option(option, form)?;
        }
        entry.place(&words.collect::<Vec<_>>(), form)?;
        if let (Source::Internet(_), Trust::Unspecified) = (&entry.source, &entry.trust) {
            return Err(unspecified(form));
        }
        Ok(entry)
    }

    /// Takes `name=value`.
    fn option(&mut self, option: &str, form: RepositoryFormat) -> Result<(), String> {
        let key = if form == RepositoryFormat::Apt {
            "signed-by"
        } else {
            "gpgkey"
        };
        match option.split_once('=').unwrap_or((option, "")) {
            ("name", name) if self.name.is_none() => self.name = Some(checked_name(name)?),
            ("trusted", "yes") => self.set_trust(Trust::Explicit)?,
            ("trusted", _) => {
                return Err("'trusted' is said as 'trusted=yes', or left out".to_owned());
            }
            ("signed-by" | "gpgkey", value) if option.starts_with(key) => {
                self.set_trust(key_at(value, key)?)?;
            }
            ("signed-by" | "gpgkey", _) => {
                return Err(format!("'{option}' is for others: write '{key}=…' here"));
            }
            ("arch", name) if form == RepositoryFormat::Apt => {
                let arch = name.parse::<Arch>().map_err(|err| err.to_string())?;
                if !self.architectures.contains(&arch) {
                    self.architectures.push(arch);
                }
            }
            (name, _) => {
                let arch = if form == RepositoryFormat::Apt {
                    ", arch="
                } else {
                    ""
                };
                return Err(format!(
                    "has the option '{name}' twice or to no use: there are {key}=, trusted=yes, name={arch}"
                ));
            }
        }
        Ok(())
    }

    fn set_trust(&mut self, trust: Trust) -> Result<(), String> {
        if self.trust != Trust::Unspecified {
            return Err("says twice why it may be believed: leave one".to_owned());
        }
        self.trust = trust;
        Ok(())
    }

    /// Takes what stands behind the URI: suite and components.
    fn place(&mut self, words: &[&str], form: RepositoryFormat) -> Result<(), String> {
        if form != RepositoryFormat::Apt {
            return match words {
                [] => Ok(()),
                [word, ..] => Err(format!(
                    "has '{word}' behind the URI: suites and components are apt's, leave them out"
                )),
            };
        }
        let good = |word: &&str| word.chars().all(super::in_url) && !word.contains("..");
        if let Some(word) = words.iter().find(|word| !good(word)) {
            return Err(format!("has '{word}', which is no suite and no component"));
        }
        let internet = matches!(self.source, Source::Internet(_));
        match words {
            [] if internet => Err(
                "has no suite: write it behind the URI, as in '… noble stable', or './' where Packages lies \
                 beside the packages"
                    .to_owned(),
            ),
            [suite, _, ..] if suite.ends_with('/') => Err(format!(
                "has components behind '{suite}', which is a flat repository: leave them out"
            )),
            [suite] if !suite.ends_with('/') => Err(format!(
                "has no component behind '{suite}': write them, as in '{suite} main'"
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

/// Takes a leading `deb` off, which lines of a `.list` begin with.
fn strip_deb(text: &str, form: RepositoryFormat) -> Result<&str, String> {
    match text.split_once(char::is_whitespace) {
        Some(("deb", rest)) if form == RepositoryFormat::Apt => Ok(rest.trim_start()),
        Some(("deb", _)) => {
            Err("begins with 'deb', and is for apt: write the URI alone".to_owned())
        }
        Some(("deb-src", _)) => {
            Err("is a repository of sources, which nodes do not install: leave it out".to_owned())
        }
        _ => Ok(text),
    }
}

/// Says what to add to a repository that nobody could check.
pub(super) fn unspecified(form: RepositoryFormat) -> String {
    let (key, what) = match form {
        RepositoryFormat::Apt => ("signed-by", "the repository"),
        RepositoryFormat::Dnf | RepositoryFormat::Zypper => ("gpgkey", "the packages"),
    };
    format!(
        "does not say why it may be believed: put '[{key}=/path/of/its/key.asc]' in front of it, \
         '[{key}=distribution]' where the distribution's own key signs {what}, or '[trusted=yes]' to do \
         without"
    )
}

fn checked_name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= 64 && name.chars().all(allowed) && !name.starts_with("tree") {
        return Ok(name.to_owned());
    }
    Err(format!(
        "has the name '{name}': letters, digits, '-' and '_' make one, and none begins with 'tree', which is \
         the tree's"
    ))
}

fn key_at(value: &str, key: &str) -> Result<Trust, String> {
    match value {
        "distribution" => Ok(Trust::Distribution),
        path if path.starts_with('/') => Ok(Trust::Key(PathBuf::from(path))),
        url if url.starts_with("https://") && key == "gpgkey" => {
            check_uri(url).map(|()| Trust::KeyUrl(url.to_owned()))
        }
        other if key == "gpgkey" => Err(format!(
            "has 'gpgkey={other}': give the path of a key on this machine, an https URL, or 'distribution'"
        )),
        other => Err(format!(
            "has 'signed-by={other}': give the path of a key on this machine, or 'distribution'"
        )),
    }
}

/// Reads a directory or a URI.
fn source(target: &str, form: RepositoryFormat) -> Result<Source, String> {
    if target.starts_with('/') {
        let path = Path::new(target);
        let up = |part: std::path::Component<'_>| part == std::path::Component::ParentDir;
        if path.components().any(up) {
            return Err(format!("has '..' in '{target}': write where it leads"));
        }
        return Ok(Source::Directory(path.components().collect()));
    }
    if let Some(path) = target.strip_prefix("file:") {
        return Err(format!(
            "begins with 'file:': write the directory alone, '/{}'",
            path.trim_start_matches('/')
        ));
    }
    if !target.starts_with("https://") && !target.starts_with("http://") {
        return Err(format!(
            "has '{target}', which is neither a directory, with a '/' in front, nor an http or https URI"
        ));
    }
    // What dnf and zypper put in for these is put in here.
    let plain = match form {
        RepositoryFormat::Apt => target.to_owned(),
        RepositoryFormat::Dnf | RepositoryFormat::Zypper => ["$releasever", "$basearch"]
            .iter()
            .fold(target.to_owned(), |text, name| text.replace(name, "x")),
    };
    check_uri(&plain)?;
    Ok(Source::Internet(target.to_owned()))
}

/// Checks a URI: a host, and nothing that a shell, an installer's file or a log could take amiss.
fn check_uri(uri: &str) -> Result<(), String> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(
            "has a name or a password in its URI, and definitions hold no secrets: mirror it, or let the \
             nodes' addresses in"
                .to_owned(),
        );
    }
    let signs = |c: char| super::in_url(c) || ":%@=[]".contains(c);
    if host.is_empty() || !rest.chars().all(signs) {
        return Err(format!(
            "has '{uri}', which is no URI of a repository: letters, digits and . _ + ~ - / : % @ = stand \
             behind the host"
        ));
    }
    Ok(())
}
