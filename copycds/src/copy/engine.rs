//! The bytes of a medium, into a tree: read once, written, hashed while they are warm.
//!
//! The files of a plan come in, in the order they lie on the medium; every one of them is in the tree
//! when this returns, and its SHA-256 goes out. A few threads each take the next file: a piece of it
//! is read into a buffer that fits the second-level cache, written, hashed from that buffer, so that no
//! byte is fetched from memory twice and what was hashed is what was written. A file that differs from
//! what the medium says of it, or from what another disc brought under its name, stops everything.
//!
//! In-kernel copies (copy_file_range(2)) were measured against this: without hashing they take as long,
//! and with hashing each byte would have to come to user space anyway, 5 to 15 % later.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;

use super::plan::{Act, Step, conflict};
use super::progress::Progress;
use super::stage::Dir;
use crate::claims::Claims;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{Content, Entry, Extent, Kind, Medium};

/// Small enough to stay in a core's own cache, large enough that system calls do not count.
const PIECE: usize = 128 << 10;

/// More threads than this only wait for one another and for the disk.
const MOST_THREADS: usize = 4;

/// A copy and what it needs to know.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    /// Where the bytes come from.
    pub(super) medium: &'a Medium,
    /// What the medium says of them.
    pub(super) claims: &'a Claims,
    /// Where they go.
    pub(super) tree: &'a Dir,
    /// The disc's name in messages.
    pub(super) label: &'a str,
    /// Whether they are hashed; not to is for measuring only.
    pub(super) hash: bool,
    /// Who is told, and who may stop it.
    pub(super) progress: &'a Progress,
}

impl Engine<'_> {
    /// Does every step and returns the SHA-256 of each file, in the order of the steps.
    ///
    /// # Errors
    /// The first thing that went wrong; what was written until then stays for the caller to remove.
    pub(super) fn run(&self, steps: &[Step<'_>]) -> Result<Vec<Digest>> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Ok(vec![None; steps.len()]));
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut buffer = vec![0; PIECE];
                    while let Some((index, step)) = take(&next, steps) {
                        let result = self.step(step, &mut buffer);
                        let failed = result.is_err();
                        note(&results, index, result);
                        if failed {
                            next.store(steps.len(), Ordering::Relaxed);
                            break;
                        }
                    }
                });
            }
        });
        let results = results
            .into_inner()
            .map_err(|_| anyhow!("a copying thread panicked"))??;
        results
            .into_iter()
            .map(|digest| digest.context("a file was left out"))
            .collect()
    }

    fn step(&self, step: &Step<'_>, buffer: &mut [u8]) -> Result<Digest> {
        let path = &step.entry.path;
        let mut source = Bytes::open(self.medium, step.entry)?;
        let out = match step.act {
            Act::Copy => Some(
                self.tree
                    .create(&step.path)
                    .with_context(|| self.writing(step))?,
            ),
            Act::Compare { .. } => None,
        };
        let claim = self.claims.of(path);
        let other = claim
            .map(|claim| claim.digest.algorithm())
            .filter(|algorithm| self.hash && *algorithm != Algorithm::Sha256);
        let mut sha256 = Hasher::new(Algorithm::Sha256);
        let mut other = other.map(Hasher::new);
        let mut done = 0;
        while done < step.size {
            ensure!(
                !self.progress.stopped(),
                "it was stopped before it was done"
            );
            let want = buffer
                .len()
                .min(usize::try_from(step.size - done).unwrap_or(usize::MAX));
            let piece = &mut buffer[..want];
            source
                .fill(piece)
                .with_context(|| self.reading(step, done))?;
            if let Some(out) = &out {
                out.write_all_at(piece, done)
                    .with_context(|| self.writing(step))?;
            }
            if self.hash {
                sha256.update(piece);
                other.iter_mut().for_each(|hasher| hasher.update(piece));
            }
            done += piece.len() as u64;
            self.progress.add(piece.len() as u64);
        }
        if let Some(out) = &out {
            finish(out, step.entry).with_context(|| self.writing(step))?;
        }
        let digest = sha256.finish();
        if self.hash {
            self.check(step, &digest, other.map(Hasher::finish))?;
        }
        Ok(digest)
    }

    /// Holds what was read against what the medium says of it and what another disc brought.
    fn check(&self, step: &Step<'_>, sha256: &Digest, other: Option<Digest>) -> Result<()> {
        let path = &step.entry.path;
        if let Some(claim) = self.claims.of(path) {
            let source = self.claims.source(claim);
            let got = other.as_ref().unwrap_or(sha256);
            if claim.size.is_some_and(|size| size != step.size) || *got != claim.digest {
                let algorithm = claim.digest.algorithm();
                let size = claim
                    .size
                    .map_or(String::new(), |size| format!(", {size} bytes"));
                bail!(
                    "'{path}' on {} is damaged: its {algorithm} is {got}, {} bytes, but {source} on \
                     the medium says {}{size}; get the medium anew",
                    self.medium.path().display(),
                    step.size,
                    claim.digest
                );
            }
        }
        match &step.act {
            Act::Compare { digest, disc } if digest != sha256 => {
                Err(conflict(path, disc, self.label))
            }
            _ => Ok(()),
        }
    }

    fn reading(&self, step: &Step<'_>, at: u64) -> String {
        format!(
            "reading '{}' from {} at byte {at} of {}",
            step.entry.path,
            self.medium.path().display(),
            step.size
        )
    }

    fn writing(&self, step: &Step<'_>) -> String {
        format!("writing '{}' in {}", step.path, self.tree.path().display())
    }
}

fn take<'a, 's>(next: &AtomicUsize, steps: &'s [Step<'a>]) -> Option<(usize, &'s Step<'a>)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, steps.get(index)?))
}

/// Keeps a result, or the first error.
fn note(results: &Mutex<Result<Vec<Option<Digest>>>>, index: usize, result: Result<Digest>) {
    let Ok(mut all) = results.lock() else { return };
    match (&mut *all, result) {
        (Ok(digests), Ok(digest)) => digests[index] = Some(digest),
        (Ok(_), Err(error)) => *all = Err(error),
        (Err(_), _) => (),
    }
}

/// Gives a written file its mode and time: anyone may read it, its owner may change it, and it may be
/// run if anyone might run it on the medium.
fn finish(out: &File, entry: &Entry) -> io::Result<()> {
    let mode = if entry.mode & 0o111 == 0 {
        0o644
    } else {
        0o755
    };
    nix::sys::stat::fchmod(out, Mode::from_bits_truncate(mode))?;
    if let Some(time) = entry.mtime {
        let time = TimeSpec::new(time.0, 0);
        nix::sys::stat::futimens(out, &time, &time)?;
    }
    Ok(())
}

/// The bytes of one file, from the first to the last.
enum Bytes<'a> {
    /// Runs of an image.
    Extents {
        image: &'a File,
        rest: &'a [Extent],
        /// How much of the first of `rest` was read.
        read: u64,
    },
    /// A file of a directory, or what is inflated on the way.
    Stream(Box<dyn Read + 'a>),
}

impl<'a> Bytes<'a> {
    fn open(medium: &'a Medium, entry: &'a Entry) -> Result<Self> {
        match (&entry.kind, medium.image()) {
            (
                Kind::File {
                    content: Content::Extents(extents),
                    ..
                },
                Some(image),
            ) => Ok(Self::Extents {
                image,
                rest: extents,
                read: 0,
            }),
            (
                Kind::File {
                    content: Content::InPlace,
                    ..
                },
                _,
            ) => Ok(Self::Stream(Box::new(medium.open_entry(entry)?))),
            _ => Ok(Self::Stream(medium.reader(entry)?)),
        }
    }

    /// Fills the buffer with the next bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let got = match self {
                Self::Stream(stream) => stream.read(&mut buffer[filled..]),
                Self::Extents { image, rest, read } => {
                    let Some((extent, after)) = rest.split_first() else {
                        return Err(ErrorKind::UnexpectedEof.into());
                    };
                    let left = usize::try_from(extent.len - *read).unwrap_or(usize::MAX);
                    if left == 0 {
                        (*rest, *read) = (after, 0);
                        continue;
                    }
                    let want = left.min(buffer.len() - filled);
                    let got =
                        image.read_at(&mut buffer[filled..filled + want], extent.offset + *read);
                    *read += got.as_ref().map_or(0, |got| *got as u64);
                    got
                }
            };
            match got {
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "it ends too early",
                    ));
                }
                Ok(got) => filled += got,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
