//! What a node runs once it is installed, and with what environment: `postscripts.json` among its assets.
//!
//! Written on the management node when the node's assets are rendered, read on the node by `firstboot`,
//! and carried to the node again by `updatenode`. The environment is what xCAT's `mypostscript` exports;
//! the entries are those of `postscripts` and `postbootscripts`, in the order in which they run.
//! Pure: paths and addresses are named here and none is touched.

mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

use named::{directory_of, files_below, named};

/// What a node runs, with what environment, and what the programs must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runlist {
    /// The node.
    pub node: String,
    /// The osimage whose scripts are among them.
    pub osimage: String,
    /// Where the programs are fetched from: `http://10.1.0.1/install/postscripts`; a program's name
    /// follows after a `/`.
    pub source: String,
    /// The environment of every script: `NODE`, `MASTER`, `OSVER` …
    pub environment: BTreeMap<String, String>,
    /// What runs inside the installer, in order.
    pub postscripts: Vec<RunlistEntry>,
    /// What runs after the first boot, in order.
    pub postbootscripts: Vec<RunlistEntry>,
    /// Every program that the entries name or need beside them, by name.
    pub programs: BTreeMap<String, ProgramDigest>,
}

impl Runlist {
    /// The file's name among a node's assets.
    pub const FILE: &'static str = "postscripts.json";
    /// Where the list is on the node.
    pub const ON_NODE: &'static str = "/var/lib/slipway/postscripts.json";
    /// The program that runs the list, on the node.
    pub const FIRSTBOOT: &'static str = "/opt/slipway/bin/firstboot";
    /// Where the programs of the list are on the node, verified.
    pub const PROGRAMS: &'static str = "/opt/slipway/postscripts";
    /// What a program starts that has to be beside it: `setupdockerhost NAME=…:NIC` starts
    /// `bridgeprereq`, and dockerd asks `dockerauthz` on a host of the site.
    pub const BESIDE: [(&'static str, &'static str); 2] = [
        ("setupdockerhost", "bridgeprereq"),
        ("setupdockerhost", "dockerauthz"),
    ];
    /// The most bytes that a list may have.
    pub const LIMIT: u64 = 1 << 20;

    /// The most files that one script may need.
    pub const FILES: usize = 1000;

    /// Returns the files that a script needs on the node: itself, what [`Self::BESIDE`] says, of a script in a
    /// directory of its own all files there, and every file that its text or its arguments name, and so on for
    /// each of these. A name in a comment is enough.
    ///
    /// `files` are those of the postscripts directory, by their paths in it; `text` reads one that is a text.
    pub fn needs(
        line: &ScriptLine,
        files: &BTreeSet<String>,
        text: &dyn Fn(&str) -> Option<String>,
    ) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        let mut due = vec![line.program().to_owned()];
        for argument in line.arguments() {
            due.extend(named(argument, line.program(), files));
        }
        while let Some(name) = due.pop() {
            if !needed.insert(name.clone()) {
                continue;
            }
            let beside = Self::BESIDE.iter().filter(|(of, _)| *of == name);
            due.extend(beside.map(|(_, beside)| (*beside).to_owned()));
            due.extend(files_below(directory_of(&name), files));
            due.extend(
                text(&name)
                    .iter()
                    .flat_map(|text| named(text, &name, files)),
            );
        }
        needed
    }

    /// Says whether a file of the postscripts directory can be in a list: no part of its path hides, or has
    /// other letters than those of scripts.
    pub fn can_name(path: &str) -> bool {
        path.split('/').all(is_plain_name)
    }

    /// Says what is wrong with the list, beyond its form.
    ///
    /// # Errors
    /// When a program's name would lead out of the directory, a digest is none, or a variable can be in
    /// no environment.
    pub fn check(&self) -> Result<(), Error> {
        for (name, program) in &self.programs {
            if !name.split('/').all(is_plain_name) {
                return Err(Error::invalid("a program's name", name, NAMES));
            }
            let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if program.sha256.len() != 64 || !program.sha256.bytes().all(digit) {
                let expected = format!("64 lower-case hexadecimal digits for {name}");
                return Err(Error::invalid("a SHA-256", &program.sha256, expected));
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let expected = "a name without '=', and no zero byte in name and value";
                return Err(Error::invalid("an environment variable", name, expected));
            }
        }
        Ok(())
    }
}

/// What the name of a script or a program is.
const NAMES: &str =
    "the name of a script in the postscripts directory, of letters, digits, '.', '_', '+' and '-'";

/// One script and its arguments, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunlistEntry {
    /// Who asked for it.
    pub origin: ScriptOrigin,
    /// The script and its arguments, as in the definition: `xHRM bridgeprereq eth0:mydocker0`.
    pub line: ScriptLine,
}

/// Who asked for a script; they run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptOrigin {
    /// The group `xcatdefaults`, for every node.
    Site,
    /// The osimage.
    Osimage,
    /// The node, or a group of its own.
    Node,
}

impl fmt::Display for ScriptOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Site => "site",
            Self::Osimage => "osimage",
            Self::Node => "node",
        })
    }
}

/// What became of the scripts of an update: the last line that `firstboot --results` prints, as JSON after
/// [`Results::mark`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Each script that was to run, in order.
    pub scripts: Vec<ScriptResult>,
    /// What `firstboot` ends with.
    pub code: u8,
}

impl Results {
    /// The longest nonce.
    pub const MAX_NONCE_LENGTH: usize = 64;

    /// Begins the line. The nonce is known to the one who asked and to `firstboot` alone: it is in a line of its
    /// own before the list, and nothing that a script prints is taken for the results. It may be empty.
    pub fn mark(nonce: &str) -> String {
        let blank = if nonce.is_empty() { "" } else { " " };
        format!("slipway-results{blank}{nonce}: ")
    }
}

/// What became of one script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptResult {
    /// The script and its arguments.
    pub line: ScriptLine,
    /// What it ended with, or what takes its place.
    pub code: u8,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed, where the code does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a program must be, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramDigest {
    /// The SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// How many bytes it has.
    pub size: u64,
}

/// A script's name and its arguments, as one entry of `postscripts` or `postbootscripts`.
///
/// Words are separated by blanks; `'…'`, `"…"` and `\` keep blanks, as in a shell, and nothing is expanded
/// or run: no shell ever sees the line. The name is a relative path of plain names: `site/mine.sh`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScriptLine {
    text: String,
    words: Vec<String>,
}

impl ScriptLine {
    /// Returns the program's name: `xHRM`.
    pub fn program(&self) -> &str {
        &self.words[0]
    }

    /// Returns the arguments.
    pub fn arguments(&self) -> &[String] {
        &self.words[1..]
    }

    /// Splits a list of scripts at its commas; those in quotes and after a `\` are of an argument.
    pub fn parts(list: &str) -> impl Iterator<Item = &str> {
        let (mut quote, mut keeps) = (None, false);
        list.split(move |c: char| {
            let kept = std::mem::take(&mut keeps);
            match (quote, c) {
                _ if kept => {}
                (None, ',') => return true,
                (None | Some('"'), '\\') => keeps = true,
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                _ => {}
            }
            false
        })
    }
}

impl FromStr for ScriptLine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let wrong = |expected: &str| Error::invalid("a script and its arguments", text, expected);
        let words = words(text).map_err(wrong)?;
        let Some(program) = words.first() else {
            return Err(wrong("the name of a script, then its arguments"));
        };
        if !program.split('/').all(is_plain_name) {
            return Err(wrong(NAMES));
        }
        Ok(Self {
            text: text.to_owned(),
            words,
        })
    }
}

/// Says whether a part of a path is a name that neither hides nor leads anywhere.
fn is_plain_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(allowed)
}

/// Parts a line into words; quotes keep blanks, a backslash keeps the next character.
pub(crate) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some('"') | None, '\\') => {
                let kept = characters.next().ok_or("a character after '\\'")?;
                // Within double quotes a backslash keeps only what would end or begin something.
                if quote.is_some() && !matches!(kept, '"' | '\\') {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().push(kept);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote that is closed");
    }
    words.extend(word);
    Ok(words)
}

impl fmt::Display for ScriptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for ScriptLine {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ScriptLine> for String {
    fn from(line: ScriptLine) -> Self {
        line.text
    }
}

#[cfg(test)]
mod tests;
