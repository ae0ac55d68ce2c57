//! The indices of a run: each is read once, however many nodes ask.
//!
//! A repository comes in; what it holds goes out, with the reason for every part that could not be read.
//! Files are read below the repository's directory alone.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use definitions::Distro;
use repodata::{Digest, Input, Location, ReadError, Repomd};

use super::index::{Gathered, Index};
use super::index_file::{self, IndexFile, IndexKind};
use super::parsed::ParsedIndex;
use super::store::IndexStore;
use super::suite::Suite;
use crate::problem::{FileLine, Problem};
use crate::repository::Repository;
use crate::repository::packing::Packings;

/// The indices that were read so far; shared by all nodes of a run.
#[derive(Debug, Default)]
pub struct IndexCache {
    store: IndexStore,
    read: Mutex<HashMap<CacheKey, Arc<OnceLock<RepoIndex>>>>,
    advice: Mutex<HashMap<String, Option<String>>>,
}

/// What makes two repositories one index.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CacheKey {
    directory: String,
    suite: Option<String>,
    components: Vec<String>,
    arch: String,
    packings: Packings,
}

/// What is known of one repository.
#[derive(Debug, Default)]
pub(super) struct RepoIndex {
    /// What it holds, as far as it could be read.
    pub(super) index: Index,
    /// The names by which a list asks for the suite: `name/suite`.
    pub(super) suites: Vec<String>,
    /// Whether a part could be read; it may hold nothing.
    pub(super) read: bool,
    /// Which indices do not exist. A tree holds one for each architecture of its nodes, and need not hold others.
    pub(super) absent: Vec<String>,
    /// Why a part could not be read; the repository may then hold more than is known.
    pub(super) unread: Vec<String>,
    /// What is damaged, and would stop an installation.
    pub(super) damaged: Vec<Problem>,
}

impl IndexCache {
    /// Returns a cache that keeps large indices for the user's next run.
    pub fn of_user() -> Self {
        Self {
            store: IndexStore::of_user(),
            ..Self::default()
        }
    }

    /// Returns what a repository holds for nodes of a release; `arch` is Debian's name for repositories of apt.
    pub(super) fn index_of(
        &self,
        repository: &Repository,
        arch: &str,
        distro: &Distro,
    ) -> Arc<OnceLock<RepoIndex>> {
        let key = CacheKey {
            directory: repository.directory.clone().unwrap_or_default(),
            suite: repository.suite.clone(),
            components: repository.components.clone(),
            arch: arch.to_owned(),
            packings: Packings::of(distro),
        };
        let slot = {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(read.entry(key).or_default())
        };
        // Outside of the lock: two repositories are read at once, and one only once.
        slot.get_or_init(|| RepoIndex::read(repository, arch, distro, &self.store));
        slot
    }

    /// Returns the advice on a sentence: to find what is near costs milliseconds, and 10,000 nodes may
    /// share one mistake.
    pub(super) fn advice(
        &self,
        message: &str,
        find: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let mut known = self.advice.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(advice) = known.get(message) {
            return advice.clone();
        }
        let advice = find();
        known.insert(message.to_owned(), advice.clone());
        advice
    }
}

/// What is being read.
#[derive(Debug)]
struct IndexReader<'a> {
    store: &'a IndexStore,
    distro: &'a Distro,
    packings: Packings,
    gathered: Gathered,
    suites: Vec<String>,
    read: bool,
    absent: Vec<String>,
    unread: Vec<String>,
    damaged: Vec<Problem>,
}

impl RepoIndex {
    fn read(repository: &Repository, arch: &str, distro: &Distro, store: &IndexStore) -> Self {
        let mut reader = IndexReader {
            store,
            distro,
            packings: Packings::of(distro),
            gathered: Gathered::default(),
            suites: Vec::new(),
            read: false,
            absent: Vec::new(),
            unread: Vec::new(),
            damaged: Vec::new(),
        };
        match (&repository.directory, &repository.suite) {
            (None, _) => reader.unread.push("it is not on this machine".to_owned()),
            (Some(directory), Some(suite)) => {
                reader.apt(Path::new(directory), suite, repository, arch)
            }
            (Some(directory), None) => reader.rpm(Path::new(directory), !repository.is_tree()),
        }
        Self {
            index: reader.gathered.finish(),
            suites: reader.suites,
            read: reader.read,
            absent: reader.absent,
            unread: reader.unread,
            damaged: reader.damaged,
        }
    }
}

/// The directory of a `Release`, what that says, and whether it is checked as apt does: its name, and its digests against
/// the indices. Those of a tree were verified when it was imported.
struct Dist<'a> {
    directory: &'a Path,
    release: Suite,
    verify: bool,
}

impl Dist<'_> {
    /// Returns a file's path below the directory.
    fn relative(&self, path: &Path) -> Option<String> {
        let path = path.strip_prefix(self.directory).ok()?;
        path.to_str().map(str::to_owned)
    }

    /// Whether apt opens a file.
    fn counts(&self, path: &Path) -> bool {
        let path = self.relative(path);
        path.is_none_or(|path| self.release.names_file(&path))
    }

    /// Returns the digest that a file must have.
    fn expected(&self, path: &Path) -> Option<Digest> {
        let path = self.relative(path).filter(|_| self.verify)?;
        self.release.digest(&path)
    }

    /// Whether it has only digests of a file that can be forged, which apt refuses.
    fn is_weak(&self, path: &Path) -> bool {
        let path = self.relative(path).filter(|_| self.verify);
        path.is_some_and(|path| self.release.gives_only_weak(&path))
    }
}

impl IndexReader<'_> {
    /// Reads the indices of an apt repository: one, or one for each component.
    fn apt(&mut self, directory: &Path, suite: &str, repository: &Repository, arch: &str) {
        let components = &repository.components;
        if !stays_below(suite) || !components.iter().all(|component| stays_below(component)) {
            self.unread
                .push(format!("'{suite}' leads out of {}", directory.display()));
            return;
        }
        let flat = suite.ends_with('/');
        let place = if flat {
            directory.join(suite)
        } else {
            directory.join("dists").join(suite)
        };
        let release = Suite::load(&place).unwrap_or_else(|(path, why)| {
            self.damaged.push(unreadable(&path, &why));
            Suite::default()
        });
        let dist = Dist {
            release,
            directory: &place,
            verify: !repository.is_tree(),
        };
        if dist.verify && !flat && !dist.release.is_suite(suite) {
            let names = dist.release.names.join("' and '");
            let message = format!(
                "is the suite '{}', and not '{suite}': name that one, or bring the mirror up to date",
                names.escape_debug()
            );
            self.damaged.push(at(&place, message));
        }
        self.suites.push(suite.to_owned());
        self.suites.extend(dist.release.names.iter().cloned());
        if flat {
            self.first(&dist, &[place.join("Packages")]);
            return;
        }
        for component in components {
            let index = |arch: &str| {
                place
                    .join(component)
                    .join(format!("binary-{arch}/Packages"))
            };
            let all = index_file::find(&index("all"), self.packings, |path| dist.counts(path));
            if dist.release.splits_all && all != IndexFile::Missing {
                self.first(&dist, &[index("all")]);
            }
            self.first(&dist, &[index(arch), index("all")]);
        }
    }

    /// Reads an rpm-md repository, or SUSE's own form where there is none.
    fn rpm(&mut self, directory: &Path, verify: bool) {
        let repomd = directory.join("repodata/repomd.xml");
        if !repomd.is_file() {
            let susetags = directory.join("suse/setup/descr/packages");
            match index_file::find(&susetags, self.packings, |_| true) {
                IndexFile::Missing => self
                    .unread
                    .push(format!("there is no {}", repomd.display())),
                found => self.found(found, IndexKind::Susetags, None),
            }
            return;
        }
        let read = File::open(&repomd).map_err(anyhow::Error::from);
        let read = read.and_then(|file| Ok(Input::open(&repomd.display().to_string(), file)?));
        let files = match read.and_then(|input| Ok(Repomd::read(input)?.files)) {
            Ok(files) => files,
            Err(why) => {
                self.damaged.push(unreadable(&repomd, &why));
                Vec::new()
            }
        };
        if let Some(data) = files.iter().find(|data| !stays_below(&data.href)) {
            let message = format!(
                "names '{}', which leads out of the repository: create it again",
                data.href.escape_debug()
            );
            self.damaged.push(at(&repomd, message));
            return;
        }
        let of = |kind: &str| {
            let data = files.iter();
            let data = data.filter(|data| data.kind.split('_').next() == Some(kind));
            let mut found: Vec<_> = data
                .map(|data| {
                    (
                        index_file::of_name(directory.join(&data.href), self.packings),
                        data.digest,
                    )
                })
                .collect();
            // one form that can be read is enough
            let readable = found
                .iter()
                .position(|(one, _)| matches!(one, IndexFile::Readable(_)));
            (!found.is_empty()).then(|| found.swap_remove(readable.unwrap_or(0)))
        };
        let (primary, group) = (of("primary"), of("group"));
        match primary {
            Some((IndexFile::Missing, _)) | None => {
                let message = "names no primary that is there: create it again";
                self.damaged.push(at(&repomd, message.to_owned()));
            }
            Some((IndexFile::Readable(path), Some(digest)))
                if verify && !digest.algorithm().is_strong() =>
            {
                self.damaged.push(weak(&path, "repomd.xml"));
            }
            Some((found, digest)) => {
                self.found(found, IndexKind::Primary, digest.filter(|_| verify))
            }
        }
        if let Some((IndexFile::Readable(path), digest)) = group {
            let digest = digest.filter(|digest| verify && digest.algorithm().is_strong());
            self.file(&path, IndexKind::Comps, digest);
        }
    }

    /// Reads the first of these that lies on disk, packed or not.
    fn first(&mut self, dist: &Dist<'_>, plain: &[PathBuf]) {
        let mut found = plain
            .iter()
            .map(|plain| index_file::find(plain, self.packings, |path| dist.counts(path)));
        match found.find(|found| *found != IndexFile::Missing) {
            Some(IndexFile::Readable(path)) if dist.is_weak(&path) => self.damaged.push(weak(&path, "Release")),
            Some(found) => {
                let expected = match &found {
                    IndexFile::Readable(path) => dist.expected(path),
                    _ => None,
                };
                self.found(found, IndexKind::Apt, expected);
            }
            None => match index_file::find(&plain[0], self.packings, |_| true) {
                IndexFile::Missing => {
                    let shown = plain[0].display();
                    self.absent.push(format!("there is no {shown}"));
                }
                _ => self.damaged.push(at(
                    &plain[0],
                    "is not named by its Release, so that apt does not read it: create Release again"
                        .to_owned(),
                )),
            },
        }
    }

    /// Reads an index that was found, or says who cannot.
    fn found(&mut self, found: IndexFile, kind: IndexKind, expected: Option<Digest>) {
        match found {
            IndexFile::Readable(path) => self.read |= self.file(&path, kind, expected),
            IndexFile::NotHere(path) => self.unread.push(format!(
                "{} has a compression that is not read here",
                path.display()
            )),
            IndexFile::NotByNode(path) => {
                let message = format!(
                    "the package manager of {} cannot read an index with this compression: create it again with gzip, as \
                     by `createrepo_c --general-compress-type=gz --compress-type=gz`",
                    self.distro
                );
                self.damaged.push(at(&path, message));
            }
            IndexFile::Missing => {}
        }
    }

    /// Reads an index; says whether it could be read.
    fn file(&mut self, path: &Path, kind: IndexKind, expected: Option<Digest>) -> bool {
        let (parsed, error) = match ParsedIndex::load(path, kind, expected, self.store) {
            ParsedIndex::Read(parsed, error) => (parsed, error),
            ParsedIndex::Differs => {
                self.damaged.push(at(
                    path,
                    format!("differs from the digest in {}, and nodes would refuse it: bring the mirror up to date, or create that again", kind.lists()),
                ));
                return false;
            }
        };
        let error = error.or(self.gathered.append(parsed).err());
        self.damaged
            .extend(error.as_ref().map(|error| unreadable(path, error)));
        error.is_none()
    }
}

/// Tells of an index that cannot be read, at its line where that is known.
fn unreadable(path: &Path, why: &anyhow::Error) -> Problem {
    let (line, why) = match why.downcast_ref::<ReadError>() {
        Some(ReadError {
            location: Location::Line(line),
            problem,
            ..
        }) => (usize::try_from(*line).unwrap_or(0), problem.clone()),
        _ => (0, format!("{why:#}")),
    };
    let place = FileLine {
        file: path.display().to_string().into(),
        line,
    };
    let message = format!(
        "this index cannot be read: {why}: import the medium again, or create the index again"
    );
    Problem::at(place, message)
}

/// Tells of an index whose digests can be forged.
fn weak(path: &Path, list: &str) -> Problem {
    let message = format!(
        "{list} gives it no SHA-256 and no SHA-512, and anybody could have made it: bring the mirror up to date, or create {list} \
         again"
    );
    at(path, message)
}

fn at(path: &Path, message: String) -> Problem {
    let place = FileLine {
        file: path.display().to_string().into(),
        line: 0,
    };
    Problem::at(place, message)
}

/// Whether a path that a file names stays where it is joined.
fn stays_below(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
