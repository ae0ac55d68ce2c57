//! ifupdown: `/etc/network/interfaces` and what it sources.
//!
//! In: those files and the desired bridge. Out: the NIC's stanzas renamed to the bridge in place, with
//! all their options and comments; the bridge is made and the NIC put into it by `pre-up` lines that
//! need iproute2 alone (the `bridge_*` options need bridge-utils, which a host may lack); a `manual`
//! stanza keeps the NIC's hardware options. Reference: interfaces(5).

mod edit;
mod read;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::model::DesiredBridge;
use super::sources::Sources;
use crate::files::glob;
use crate::files::{Access, FileChange};

use edit::InterfacesEdit;
pub(super) use read::read;

/// The file that everything starts from, and where others are.
pub(super) const MAIN: &str = "/etc/network/interfaces";
pub(super) const DIRS: [&str; 1] = ["/etc/network/interfaces.d"];
/// The class of what comes up at boot.
const AUTO: &str = "auto";
/// Options whose value is a command.
const COMMANDS: [&str; 6] = ["pre-up", "up", "post-up", "pre-down", "down", "post-down"];

pub(super) fn wanted(name: &str) -> bool {
    // The names that `source-directory` takes; a `source` pattern may take any.
    !name.starts_with('.') && !name.ends_with('~')
}

/// Every file that may be in force: wherever `source` leads, and on from there.
pub(super) fn load(root: &Path) -> Result<Sources> {
    let mut sources = Sources::load(root, &DIRS, wanted)?;
    sources.load_file(root, Path::new(MAIN))?;
    let mut followed = BTreeSet::new();
    loop {
        let lines = sources.iter().flat_map(|(_, text)| text.lines());
        let found: BTreeSet<PathBuf> = lines.filter_map(sourced).map(|(_, to)| to).collect();
        let new: Vec<PathBuf> = found.difference(&followed).cloned().collect();
        if new.is_empty() {
            return Ok(sources);
        }
        for pattern in new {
            for path in glob::expand(root, &pattern)? {
                if !sources.holds(&path) {
                    sources.load_file(root, &path)?;
                }
            }
            followed.insert(pattern);
        }
    }
}

/// What a line has read too: its keyword, and the pattern of the files.
fn sourced(line: &str) -> Option<(&str, PathBuf)> {
    let mut words = line.split_whitespace();
    let (keyword, target) = (words.next()?, words.next()?);
    let pattern = match keyword {
        "source" => target.to_owned(),
        "source-directory" => format!("{}/*", target.trim_end_matches('/')),
        _ => return None,
    };
    Some((keyword, Path::new("/etc/network").join(pattern)))
}

/// The files in force: the main one and those it sources, in that order.
pub(super) fn files(sources: &Sources) -> Vec<PathBuf> {
    let mut files = Vec::new();
    follow(sources, Path::new(MAIN), &mut files);
    files
}

fn follow(sources: &Sources, path: &Path, files: &mut Vec<PathBuf>) {
    let Some(text) = sources
        .text(path)
        .filter(|_| !files.iter().any(|known| known == path))
    else {
        return;
    };
    files.push(path.to_owned());
    for (keyword, pattern) in text.lines().filter_map(sourced) {
        let pattern = pattern.display().to_string();
        let plain = |path: &Path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            keyword == "source"
                || name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let found: Vec<&Path> = sources
            .iter()
            .map(|(path, _)| path)
            .filter(|path| glob::matches(&pattern, &path.display().to_string()) && plain(path))
            .collect();
        found
            .into_iter()
            .for_each(|path| follow(sources, path, files));
    }
}

/// A line by what it begins.
enum InterfacesLine<'a> {
    /// `auto` and `allow-*` with the devices they name.
    Class(&'a str, Vec<&'a str>),
    /// `iface NAME FAMILY METHOD`.
    Iface(&'a str, &'a str, &'a str),
    /// Another stanza.
    Other(&'a str, Vec<&'a str>),
    /// An option of the stanza above, with its value.
    Option(&'a str, &'a str),
    /// Nothing or a comment.
    Blank,
}

impl<'a> InterfacesLine<'a> {
    fn parse(line: &'a str) -> Self {
        let line = line.trim();
        let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (keyword, words.as_slice()) {
            ("", _) => Self::Blank,
            (keyword, _) if keyword.starts_with('#') => Self::Blank,
            ("iface", [name, family, method, ..]) => Self::Iface(name, family, method),
            ("iface", [name, ..]) => Self::Iface(name, "", ""),
            (
                "mapping" | "source" | "source-directory" | "rename" | "template" | "no-auto-down"
                | "no-scripts",
                _,
            ) => Self::Other(keyword, words),
            (class, _) if class == AUTO || class.starts_with("allow-") => Self::Class(class, words),
            (option, _) => Self::Option(option, rest.trim()),
        }
    }
}

/// Joins the lines that a trailing backslash continues.
fn logical(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.push('\n');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        open = line.ends_with('\\');
    }
    lines
}

/// Whether a stanza for the device exists, an alias such as `eth0:1` apart.
pub(super) fn defines(sources: &Sources, name: &str) -> Option<PathBuf> {
    files(sources).into_iter().find(|path| {
        let text = sources.text(path).unwrap_or_default();
        text.lines()
            .any(|line| matches!(InterfacesLine::parse(line), InterfacesLine::Iface(iface, ..) if iface == name))
    })
}

/// The files as they shall be.
pub(super) fn rewrite(sources: &Sources, desired: &DesiredBridge) -> Result<Vec<FileChange>> {
    let files = files(sources);
    if is_port(sources, &files, desired) {
        return Ok(Vec::new());
    }
    if let Some(path) = defines(sources, &desired.bridge) {
        bail!(
            "{} defines {} already and {} is not in it: remove the stanza first",
            path.display(),
            desired.bridge,
            desired.nic
        );
    }
    let mut after = sources.clone();
    let mut edit = InterfacesEdit {
        desired,
        hardware: Vec::new(),
        made: false,
    };
    let mut first = None;
    for path in &files {
        let text = sources.text(path).unwrap_or_default();
        let new = edit
            .file(text)
            .with_context(|| format!("editing {}", path.display()))?;
        if new != text {
            if !path.starts_with("/etc") {
                bail!(
                    "{} names {}, and only files below /etc are changed: move its stanza there first",
                    path.display(),
                    desired.nic
                );
            }
            if edit.made && first.is_none() {
                first = Some(path.clone());
            }
            after.insert(path, new);
        }
    }
    let path = first.with_context(|| format!("no stanza in {MAIN} defines {}", desired.nic))?;
    let mut text = after.text(&path).unwrap_or_default().to_owned();
    text.push_str(&edit.port_stanza());
    after.insert(path, text);
    Ok(sources.changes_to(&after, |path| Access::Like(path.to_owned())))
}

/// Whether the files make the NIC a port of the bridge already, by our lines or by bridge-utils'.
fn is_port(sources: &Sources, files: &[PathBuf], desired: &DesiredBridge) -> bool {
    let ours = enslave(desired);
    let mut inside = false;
    for line in files
        .iter()
        .flat_map(|path| sources.text(path).unwrap_or_default().lines())
    {
        match InterfacesLine::parse(line) {
            InterfacesLine::Iface(name, ..) => inside = name == desired.bridge,
            InterfacesLine::Option("pre-up", command) if inside && command == ours => return true,
            InterfacesLine::Option(key, ports) if inside && option_name(key) == "bridge-ports" => {
                return ports.split_whitespace().any(|port| port == desired.port());
            }
            _ => {}
        }
    }
    false
}

fn enslave(desired: &DesiredBridge) -> String {
    format!(
        "ip link set dev {} master {} up",
        desired.port(),
        desired.bridge
    )
}

/// An option's name in the one spelling that the tables know: ifupdown takes `_` for `-`.
fn option_name(key: &str) -> String {
    key.replace('_', "-")
}
