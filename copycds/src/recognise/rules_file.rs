//! The files of rules as they are written, and what they compile to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use definitions::{Arch, read_text};
use serde::Deserialize;
use toml::Spanned;

use super::arch_words::arch_word;
use super::finding::Version;
use super::pattern::RulePattern;
use super::rules::{FamilyRules, NameRule, NameRules, OtherSystem, RecognitionRules};
use super::trailing_words::TrailingWords;

/// No file of rules is longer, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// A file of rules as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    #[serde(skip)]
    source: RulesFile,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    family: Vec<RawFamily>,
    #[serde(default)]
    other: Vec<RawOther>,
    #[serde(default)]
    marker: Vec<RawMarker>,
    #[serde(default)]
    neutral: Vec<RawNeutral>,
    #[serde(default)]
    releases: Vec<RawReleases>,
}

/// Where a table came from, to say file and line.
#[derive(Debug, Default, Clone)]
struct RulesFile {
    file: String,
    text: String,
}

/// The name of the rules that come with this program; tests compile all of them.
const EMBEDDED: &str = "rules.toml";

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
    #[serde(default)]
    carries: Vec<String>,
    #[serde(default)]
    words: Vec<String>,
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
    arch: Option<Arch>,
    mark: Option<String>,
    names: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNeutral {
    says: Vec<Spanned<String>>,
}

/// Names of packages that look like the release package of a product.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReleases {
    #[serde(default)]
    packages: Vec<Spanned<String>>,
    #[serde(default)]
    known: Vec<Spanned<String>>,
}

impl RecognitionRules {
    /// Returns the rules that come with this program.
    ///
    /// # Errors
    /// Never, as the tests hold; a rule that does not compile would be said like a user's.
    pub fn embedded() -> anyhow::Result<Self> {
        compile(vec![parse(include_str!("rules.toml"), EMBEDDED)?])
    }

    /// Returns the rules of this program and those of every `*.toml` in a directory, which may not
    /// exist; a family named again replaces the one before it.
    ///
    /// # Errors
    /// Says file and line of what is wrong.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let mut files = vec![parse(include_str!("rules.toml"), EMBEDDED)?];
        for path in tables(dir)? {
            let reading = || format!("reading {}", path.display());
            let text = read_text(&path, MAX_BYTES).with_context(reading)?;
            files.push(parse(&text, &path.display().to_string())?);
        }
        compile(files)
    }
}

/// Makes the rules of several files one; a family named again replaces the one before it.
pub(super) fn compile(files: Vec<RawRules>) -> anyhow::Result<RecognitionRules> {
    let words: Vec<String> = files.iter().flat_map(|table| table.words.clone()).collect();
    let mut raws: Vec<(RawFamily, RulesFile)> = Vec::new();
    let mut all = CompiledRules {
        words: TrailingWords::new(words.iter(), std::iter::empty()),
        others: Vec::new(),
        neutral: Vec::new(),
        marks: Vec::new(),
        names: Vec::new(),
    };
    for table in files {
        let source = table.source;
        for raw in table.family {
            let known = raws.iter().position(|(known, _)| known.name == raw.name);
            match known {
                Some(index) => raws[index] = (raw, source.clone()),
                None => raws.push((raw, source.clone())),
            }
        }
        all.markers(table.marker, &source)?;
        all.others(table.other, &source)?;
        all.releases(&table.releases, &source)?;
        for raw in table.neutral {
            let patterns = compile_all(&raw.says, &source, &all.words)?;
            all.neutral.extend(patterns);
        }
    }
    let mut families = Vec::new();
    for (raw, source) in &raws {
        let family = raw.compile(source, &words)?;
        let names = raw.name_rules(families.len(), source, &family.words)?;
        all.names.extend(names);
        families.push(family);
    }
    Ok(RecognitionRules {
        families,
        others: all.others,
        neutral: all.neutral,
        marks: all.marks,
        names: NameRules::new(all.names),
        arch_word: arch_word()?,
    })
}

/// What is gathered from the files besides the families.
struct CompiledRules {
    words: TrailingWords,
    others: Vec<OtherSystem>,
    neutral: Vec<RulePattern>,
    marks: Vec<String>,
    names: Vec<(NameRule, RulePattern)>,
}

impl CompiledRules {
    fn markers(&mut self, raws: Vec<RawMarker>, source: &RulesFile) -> anyhow::Result<()> {
        for raw in raws {
            for pattern in compile_all(&raw.names, source, &self.words)? {
                if let Some(arch) = raw.arch {
                    self.names.push((NameRule::Arch(arch), pattern.clone()));
                }
                if raw.mark.is_some() {
                    self.names.push((NameRule::Mark(self.marks.len()), pattern));
                }
            }
            self.marks.extend(raw.mark);
        }
        Ok(())
    }

    fn releases(&mut self, raws: &[RawReleases], source: &RulesFile) -> anyhow::Result<()> {
        for raw in raws {
            let lists = [
                (&raw.packages, NameRule::ReleasePackage),
                (&raw.known, NameRule::KnownReleasePackage),
            ];
            for (list, rule) in lists {
                let patterns = compile_all(list, source, &self.words)?;
                self.names
                    .extend(patterns.into_iter().map(|pattern| (rule, pattern)));
            }
        }
        Ok(())
    }

    fn others(&mut self, raws: Vec<RawOther>, source: &RulesFile) -> anyhow::Result<()> {
        for raw in raws {
            for pattern in compile_all(&raw.names, source, &self.words)? {
                self.names
                    .push((NameRule::Other(self.others.len()), pattern));
            }
            self.others.push(OtherSystem {
                says: compile_all(&raw.says, source, &self.words)?,
                ids: compile_all(&raw.ids, source, &self.words)?,
                name: raw.name,
                derivative: raw.derivative,
            });
        }
        Ok(())
    }
}

impl RawFamily {
    /// The patterns for names of files of this family, which has this index.
    fn name_rules(
        &self,
        family: usize,
        source: &RulesFile,
        words: &TrailingWords,
    ) -> anyhow::Result<Vec<(NameRule, RulePattern)>> {
        let rules = [
            (&self.packages, NameRule::Package { family, own: true }),
            (&self.also, NameRule::Package { family, own: false }),
            (&self.names, NameRule::Family(family)),
        ];
        let mut all = Vec::new();
        for (patterns, rule) in rules {
            let patterns = compile_all(patterns, source, words)?;
            all.extend(patterns.into_iter().map(|pattern| (rule, pattern)));
        }
        Ok(all)
    }

    fn compile(&self, source: &RulesFile, words: &[String]) -> anyhow::Result<FamilyRules> {
        let allowed = |c: char| c.is_ascii_alphabetic() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(allowed) {
            bail!(
                "{}: the family '{}' is to be named with letters and '-' only",
                source.file,
                self.name
            );
        }
        let own = self.product.split_whitespace().chain([&*self.name]);
        let own: Vec<String> = own.map(str::to_owned).collect();
        let more = self.words.iter().chain(&own);
        let words = TrailingWords::new(words.iter().chain(more), self.arches.keys());
        Ok(FamilyRules {
            says: compile_all(&self.says, source, &words)?,
            disk_info: compile_all(&self.disk_info, source, &words)?,
            release: compile_all(&self.release, source, &words)?,
            codenames: self
                .codenames
                .iter()
                .map(|(version, name)| (Version::new(version), name.clone()))
                .collect(),
            words,
            arches: self.arches.clone(),
            carries: self.carries.clone(),
            name: self.name.clone(),
            product: self.product.clone(),
        })
    }
}

impl RulesFile {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn compile_all(
    list: &[Spanned<String>],
    source: &RulesFile,
    words: &TrailingWords,
) -> anyhow::Result<Vec<RulePattern>> {
    list.iter()
        .map(|text| {
            let pattern = RulePattern::parse(text.get_ref(), words);
            if source.file != EMBEDDED {
                pattern.ensure_compiles().map_err(|err| {
                    let line = source.line(text.span().start);
                    anyhow!("{}:{line}: '{}': {err}", source.file, text.get_ref())
                })?;
            }
            Ok(pattern)
        })
        .collect()
}

pub(super) fn parse(text: &str, file: &str) -> anyhow::Result<RawRules> {
    let source = RulesFile {
        file: file.to_owned(),
        text: text.to_owned(),
    };
    let mut table: RawRules = toml::from_str(text).map_err(|err| {
        let line = source.line(err.span().map_or(0, |span| span.start));
        anyhow!("{file}:{line}: {}", err.message().replace('\n', " "))
    })?;
    table.source = source;
    Ok(table)
}

/// The tables of a directory, by name; none when it does not exist.
pub(super) fn tables(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
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
