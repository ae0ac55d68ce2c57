//! The indices of a run: each is read once, however many nodes ask.
//!
//! A repository comes in; what it holds goes out, with the reason for every part that could not be read.
//! Files are read beneath the repository's directory alone.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;

use super::index::{Gathered, Index};
use super::{debian, inflate, rpmmd, susetags};
use crate::problem::{Place, Problem};
use crate::repository::Repository;

/// How much of a `Release` is read: its fields stand before its digests.
const RELEASE_LIMIT: u64 = 1 << 20;

/// The indices that were read so far; shared by all nodes of a run.
#[derive(Debug, Default)]
pub struct Shelf {
    read: Mutex<HashMap<Key, Arc<OnceLock<Stock>>>>,
    advice: Mutex<HashMap<String, Option<String>>>,
}

/// What makes two repositories one index.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    directory: String,
    suite: Option<String>,
    components: Vec<String>,
    arch: String,
}

/// What is known of one repository.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// What it holds, as far as it could be read.
    pub(super) index: Index,
    /// Whether a part could be read; it may hold nothing.
    pub(super) read: bool,
    /// Why a part could not be read; the repository may then hold more than is known.
    pub(super) unread: Vec<String>,
    /// What is damaged, and would stop an installation.
    pub(super) damaged: Vec<Problem>,
}

impl Shelf {
    /// Returns what a repository holds; `arch` is Debian's name for repositories of apt.
    pub(super) fn stock(&self, repository: &Repository, arch: &str) -> Arc<OnceLock<Stock>> {
        let key = Key {
            directory: repository.directory.clone().unwrap_or_default(),
            suite: repository.suite.clone(),
            components: repository.components.clone(),
            arch: arch.to_owned(),
        };
        let slot = {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(read.entry(key).or_default())
        };
        // Outside of the lock: two repositories are read at once, and one only once.
        slot.get_or_init(|| Stock::read(repository, arch));
        slot
    }

    /// Returns the advice on a sentence: to find what is near costs milliseconds, and 10,000 nodes may
    /// share one mistake.
    pub(super) fn advice(
        &self,
        told: &str,
        find: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let mut known = self.advice.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(advice) = known.get(told) {
            return advice.clone();
        }
        let advice = find();
        known.insert(told.to_owned(), advice.clone());
        advice
    }
}

/// What is being read.
#[derive(Debug, Default)]
struct Reading {
    gathered: Gathered,
    read: bool,
    unread: Vec<String>,
    damaged: Vec<Problem>,
}

impl Stock {
    fn read(repository: &Repository, arch: &str) -> Self {
        let mut reading = Reading::default();
        match (&repository.directory, &repository.suite) {
            (None, _) => reading.unread.push("it lies elsewhere".to_owned()),
            (Some(directory), Some(suite)) => {
                reading.apt(Path::new(directory), suite, &repository.components, arch);
            }
            (Some(directory), None) => reading.rpm(Path::new(directory)),
        }
        Self {
            index: reading.gathered.finish(),
            read: reading.read,
            unread: reading.unread,
            damaged: reading.damaged,
        }
    }
}

impl Reading {
    /// Reads the indices of an apt repository: one, or one for each component.
    fn apt(&mut self, directory: &Path, suite: &str, components: &[String], arch: &str) {
        if !is_beneath(suite) || !components.iter().all(|component| is_beneath(component)) {
            self.unread
                .push(format!("'{suite}' leads out of {}", directory.display()));
            return;
        }
        if suite.ends_with('/') {
            let plain = directory.join(suite).join("Packages");
            self.first(&[plain], debian::parse);
            return;
        }
        let dist = directory.join("dists").join(suite);
        let split = splits_all(&dist);
        for component in components {
            let index = |arch: &str| dist.join(component).join(format!("binary-{arch}/Packages"));
            if split && inflate::find(&index("all")).is_some() {
                self.first(&[index("all")], debian::parse);
            }
            self.first(&[index(arch), index("all")], debian::parse);
        }
    }

    /// Reads an rpm-md repository, or SUSE's own form where there is none.
    fn rpm(&mut self, directory: &Path) {
        let repomd = directory.join("repodata/repomd.xml");
        if !repomd.is_file() {
            let susetags = directory.join("suse/setup/descr/packages");
            match inflate::find(&susetags) {
                Some(_) => self.first(&[susetags], susetags::parse),
                None => self
                    .unread
                    .push(format!("there is no {}", repomd.display())),
            }
            return;
        }
        let mut files = Vec::new();
        self.file(&repomd, |reader, _| {
            files = rpmmd::repomd(reader)?;
            Ok(())
        });
        let of = |kind: &str| {
            let beneath = |data: &&rpmmd::Data| {
                data.kind.split('_').next() == Some(kind)
                    && inflate::is_known(&data.href)
                    && is_beneath(&data.href)
            };
            files
                .iter()
                .find(beneath)
                .map(|data| directory.join(&data.href))
        };
        match of("primary") {
            Some(path) => self.read |= self.file(&path, rpmmd::primary),
            None => self.unread.push(format!(
                "{} names no primary that can be opened",
                repomd.display()
            )),
        }
        if let Some(path) = of("group") {
            self.file(&path, rpmmd::comps);
        }
    }

    /// Reads the first of these that lies on disk, packed or not.
    fn first(&mut self, plain: &[PathBuf], parse: Parse) {
        match plain.iter().find_map(|plain| inflate::find(plain)) {
            Some(path) => self.read |= self.file(&path, parse),
            None => self
                .unread
                .push(format!("there is no {}", plain[0].display())),
        }
    }

    /// Reads a file; says whether it could be read.
    fn file(
        &mut self,
        path: &Path,
        parse: impl FnOnce(Box<dyn BufRead>, &mut Gathered) -> Result<()>,
    ) -> bool {
        let read = inflate::open(path)
            .map_err(anyhow::Error::from)
            .and_then(|reader| parse(reader, &mut self.gathered));
        let is_read = read.is_ok();
        if let Err(why) = read {
            let place = Place {
                file: path.display().to_string().into(),
                line: 0,
            };
            let told = format!(
                "this index cannot be read: {why:#}: import the medium again, or make the index anew"
            );
            self.damaged.push(Problem::at(place, told));
        }
        is_read
    }
}

type Parse = fn(Box<dyn BufRead>, &mut Gathered) -> Result<()>;

/// Whether a path that a file names stays where it is joined.
fn is_beneath(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Whether a suite keeps `Architecture: all` in an index of its own. Most do not: Debian says so in the
/// field `No-Support-for-Architecture-all`.
fn splits_all(dist: &Path) -> bool {
    let mut release = String::new();
    let read = File::open(dist.join("Release"))
        .and_then(|file| file.take(RELEASE_LIMIT).read_to_string(&mut release));
    if read.is_err() {
        return false;
    }
    let fields = || {
        release
            .lines()
            .take_while(|line| !line.ends_with("SHA256:"))
    };
    let field = |name: &str| fields().find_map(|line| line.strip_prefix(name));
    field("Architectures:").is_some_and(|all| all.split_ascii_whitespace().any(|one| one == "all"))
        && field("No-Support-for-Architecture-all:").is_none()
}
