//! The rules by which words on a medium become claims. They are data: a table in this crate, and
//! whatever files a user lays beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use definitions::Arch;
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::claim::Version;

/// The rules in force.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) families: Vec<Family>,
    pub(super) others: Vec<Other>,
    /// Names of files that hint at a family, an architecture or another system, and whose they are.
    pub(super) names: NameRules,
    /// Every architecture word, standing alone or with a build number glued behind it.
    pub(super) arch_word: Regex,
}

/// One distribution.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) product: String,
    pub(super) says: Vec<Pattern>,
    pub(super) disk_info: Vec<Pattern>,
    pub(super) release: Vec<Pattern>,
    /// Version and codename, in the order of the file.
    pub(super) codenames: Vec<(Version, String)>,
    pub(super) arches: BTreeMap<String, Arch>,
}

/// Something to refuse by name.
#[derive(Debug, Clone)]
pub(super) struct Other {
    pub(super) name: String,
    pub(super) derivative: bool,
    pub(super) says: Vec<Pattern>,
    pub(super) ids: Vec<Pattern>,
}

/// A regular expression, and the version it stands for when it captures none.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    version: Option<Version>,
}

/// Which rule a file's name speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameRule {
    /// A package of this family (index), and whether only this family has it.
    Package { family: usize, own: bool },
    /// A path that hints at this family (index).
    Family(usize),
    /// A path that hints at an architecture.
    Arch(Arch),
    /// A path that only another system (index) has.
    Other(usize),
}

/// All patterns for names, matched in one pass.
#[derive(Debug, Clone)]
pub(super) struct NameRules {
    set: RegexSet,
    rules: Vec<(NameRule, Pattern)>,
}

/// What a pattern took from a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) version: Option<Version>,
    pub(super) codename: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) disc: Option<u32>,
    /// Where in the text the last digit of the version stands.
    pub(super) version_end: usize,
}

const VERSION: &str = "(?<version>[0-9]{1,2}(?:[._-][0-9]{1,2})?)";
const VERSION3: &str = r"(?<version>[0-9]{1,2}(?:\.[0-9]{1,2}){0,2})";
const END: &str = "(?:[ ._-]|$)";

/// Words that media use besides the names an [`Arch`] goes by.
const ARCH_WORDS: &[(&str, Arch)] = &[
    ("x86-64", Arch::X86_64),
    ("p64el", Arch::Ppc64le),
    ("riscv", Arch::Riscv64),
];

impl Rules {
    /// Returns the rules that come with this program.
    ///
    /// # Errors
    /// Never, as the tests hold; a rule that does not compile would be said like a user's.
    pub fn embedded() -> anyhow::Result<Self> {
        Self::compile(vec![parse(include_str!("rules.toml"), "rules.toml")?])
    }

    /// Returns the rules of this program and those of every `*.toml` in a directory, which may not
    /// exist; a family named again replaces the one before it.
    ///
    /// # Errors
    /// Says file and line of what is wrong.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let mut files = vec![parse(include_str!("rules.toml"), "rules.toml")?];
        for path in tables(dir)? {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            files.push(parse(&text, &path.display().to_string())?);
        }
        Self::compile(files)
    }

    fn compile(files: Vec<Table>) -> anyhow::Result<Self> {
        let mut families: Vec<Family> = Vec::new();
        let mut others = Vec::new();
        let mut named: BTreeMap<String, Vec<(bool, Pattern, bool)>> = BTreeMap::new();
        let mut names = Vec::new();
        for table in files {
            let source = &table.source;
            for raw in table.family {
                let compile = |list: &[Spanned<String>]| compile_all(list, source);
                let own = |list: Vec<Pattern>, own, package| {
                    list.into_iter().map(move |pattern| (own, pattern, package))
                };
                let files = own(compile(&raw.packages)?, true, true)
                    .chain(own(compile(&raw.also)?, false, true))
                    .chain(own(compile(&raw.names)?, false, false))
                    .collect();
                named.insert(raw.name.clone(), files);
                let family = raw.compile(source)?;
                match families.iter_mut().find(|known| known.name == family.name) {
                    Some(known) => *known = family,
                    None => families.push(family),
                }
            }
            for raw in table.marker {
                for pattern in compile_all(&raw.names, source)? {
                    names.push((NameRule::Arch(raw.arch), pattern));
                }
            }
            for raw in table.other {
                for pattern in compile_all(&raw.names, source)? {
                    names.push((NameRule::Other(others.len()), pattern));
                }
                others.push(Other {
                    name: raw.name,
                    derivative: raw.derivative,
                    says: compile_all(&raw.says, source)?,
                    ids: compile_all(&raw.ids, source)?,
                });
            }
        }
        for (index, family) in families.iter().enumerate() {
            for (own, pattern, package) in named.remove(&family.name).unwrap_or_default() {
                let rule = if package {
                    NameRule::Package { family: index, own }
                } else {
                    NameRule::Family(index)
                };
                names.push((rule, pattern));
            }
        }
        Ok(Self {
            families,
            others,
            names: NameRules::new(names)?,
            arch_word: arch_word()?,
        })
    }
}

impl NameRules {
    fn new(rules: Vec<(NameRule, Pattern)>) -> anyhow::Result<Self> {
        let set = RegexSetBuilder::new(rules.iter().map(|(_, pattern)| pattern.regex.as_str()))
            .case_insensitive(true)
            .build()
            .context("compiling the patterns for names")?;
        Ok(Self { set, rules })
    }

    /// Returns the rules that a path matches: packages by their last component, others whole.
    pub(super) fn matching(&self, path: &str) -> Vec<(NameRule, Taken)> {
        let base = path.rsplit('/').next().unwrap_or(path);
        let take = |text: &str, package: bool| {
            self.set
                .matches(text)
                .into_iter()
                .map(|index| &self.rules[index])
                .filter(|(rule, _)| matches!(rule, NameRule::Package { .. }) == package)
                .filter_map(|(rule, pattern)| Some((*rule, pattern.take(text)?)))
                .collect::<Vec<_>>()
        };
        let mut found = take(path, false);
        if base.ends_with(".rpm") || base.ends_with(".deb") {
            found.extend(take(base, true));
        }
        found
    }
}

impl Pattern {
    /// Compiles one pattern of a rules file: a regular expression, and behind ` => ` the version it
    /// stands for.
    fn compile(text: &str) -> anyhow::Result<Self> {
        let (regex, version) = match text.split_once(" => ") {
            Some((regex, version)) => (regex, Some(Version::new(version))),
            None => (text, None),
        };
        let regex = regex
            .replace("{version}", VERSION)
            .replace("{version3}", VERSION3)
            .replace("{end}", END)
            .replace("{arch}", &format!("(?:{})", arch_words().join("|")));
        let regex = RegexBuilder::new(&regex)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|err| {
                let message = err.to_string();
                let last = message.lines().last().unwrap_or_default();
                anyhow!("{}", last.trim_start_matches("error: "))
            })?;
        Ok(Self { regex, version })
    }

    /// Matches a text.
    pub(super) fn take(&self, text: &str) -> Option<Taken> {
        let found = self.regex.captures(text)?;
        let group = |name| found.name(name).map(|group| group.as_str().to_owned());
        Some(Taken {
            version: captured_version(&found).or_else(|| self.version.clone()),
            codename: group("codename").map(|name| name.to_lowercase()),
            variant: group("variant"),
            disc: group("disc").and_then(|digits| digits.parse().ok()),
            version_end: ["minor", "version", "major"]
                .iter()
                .find_map(|name| found.name(name))
                .map_or(0, |group| group.end()),
        })
    }
}

fn captured_version(found: &Captures<'_>) -> Option<Version> {
    let group = |name| found.name(name).map(|group| group.as_str());
    match (group("version"), group("major"), group("minor")) {
        (Some(version), _, _) => Some(Version::new(version)),
        (None, Some(major), Some(minor)) => Some(Version::new(&format!("{major}.{minor}"))),
        (None, Some(major), None) => Some(Version::new(major)),
        _ => None,
    }
}

/// Reads one word as an architecture.
pub(super) fn arch_of(word: &str) -> Option<Arch> {
    word.parse().ok().or_else(|| {
        ARCH_WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, arch)| *arch)
    })
}

/// Every word for an architecture, the longest first, so that `ppc64le` is not taken for `ppc64`.
pub(super) fn arch_words() -> Vec<&'static str> {
    let mut words: Vec<_> = Arch::all()
        .flat_map(|arch| arch.names().iter().copied())
        .chain(ARCH_WORDS.iter().map(|(word, _)| *word))
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

fn arch_word() -> anyhow::Result<Regex> {
    let words = arch_words().join("|");
    Regex::new(&format!("(?:^|[^A-Za-z0-9])({words})(?:[^A-Za-z]|$)"))
        .context("compiling the pattern for architectures")
}

/// A file of rules as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(skip)]
    source: Source,
    #[serde(default)]
    family: Vec<RawFamily>,
    #[serde(default)]
    other: Vec<RawOther>,
    #[serde(default)]
    marker: Vec<RawMarker>,
}

/// Where a table came from, to say file and line.
#[derive(Debug, Default, Clone)]
struct Source {
    file: String,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawFamily {
    name: String,
    product: String,
    #[serde(default)]
    says: Vec<Spanned<String>>,
    #[serde(default)]
    disk_info: Vec<Spanned<String>>,
    #[serde(default)]
    release: Vec<Spanned<String>>,
    #[serde(default)]
    packages: Vec<Spanned<String>>,
    #[serde(default)]
    also: Vec<Spanned<String>>,
    #[serde(default)]
    names: Vec<Spanned<String>>,
    #[serde(default)]
    codenames: BTreeMap<String, String>,
    #[serde(default)]
    arches: BTreeMap<String, Arch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOther {
    name: String,
    #[serde(default)]
    derivative: bool,
    #[serde(default)]
    says: Vec<Spanned<String>>,
    #[serde(default)]
    ids: Vec<Spanned<String>>,
    #[serde(default)]
    names: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMarker {
    arch: Arch,
    names: Vec<Spanned<String>>,
}

impl RawFamily {
    fn compile(self, source: &Source) -> anyhow::Result<Family> {
        let allowed = |c: char| c.is_ascii_alphabetic() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            bail!(
                "{}: the family '{}' is to be named with letters and '-' only",
                source.file,
                self.name
            );
        }
        Ok(Family {
            says: compile_all(&self.says, source)?,
            disk_info: compile_all(&self.disk_info, source)?,
            release: compile_all(&self.release, source)?,
            codenames: self
                .codenames
                .into_iter()
                .map(|(version, name)| (Version::new(&version), name))
                .collect(),
            arches: self.arches,
            name: self.name,
            product: self.product,
        })
    }
}

impl Source {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn compile_all(list: &[Spanned<String>], source: &Source) -> anyhow::Result<Vec<Pattern>> {
    list.iter()
        .map(|text| {
            Pattern::compile(text.get_ref()).map_err(|err| {
                let line = source.line(text.span().start);
                anyhow!("{}:{line}: '{}': {err}", source.file, text.get_ref())
            })
        })
        .collect()
}

fn parse(text: &str, file: &str) -> anyhow::Result<Table> {
    let source = Source {
        file: file.to_owned(),
        text: text.to_owned(),
    };
    let mut table: Table = toml::from_str(text).map_err(|err| {
        let line = source.line(err.span().map_or(0, |span| span.start));
        anyhow!("{file}:{line}: {}", err.message().replace('\n', " "))
    })?;
    table.source = source;
    Ok(table)
}

/// The tables of a directory, by name; none when it does not exist.
fn tables(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err).with_context(|| format!("reading {}", dir.display())),
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry
            .with_context(|| format!("reading {}", dir.display()))?
            .path();
        if path.extension().is_some_and(|suffix| suffix == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
