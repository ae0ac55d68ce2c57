//! One file on its way: read piece by piece, written, hashed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;

use super::byte_progress::ByteProgress;
use super::plan::{FileAction, Step, conflict};
use super::tree_dir::TreeDir;
use crate::checksums::ExpectedDigests;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{Medium, MediumEntry};

/// How many pieces of a large file are between reading and hashing.
const IN_FLIGHT: usize = 4;

/// What the copies of all files share.
#[derive(Debug)]
pub(super) struct CopyContext<'a> {
    /// Where the bytes come from.
    pub(super) medium: &'a Medium,
    /// What the medium says of them.
    pub(super) checksums: &'a ExpectedDigests,
    /// Where they go.
    pub(super) tree: &'a TreeDir,
    /// The disc's name in messages.
    pub(super) label: &'a str,
    /// Whether they are hashed; not to is for measuring only.
    pub(super) hash: bool,
    /// Counts the bytes, and may stop the copy.
    pub(super) progress: &'a ByteProgress,
}

impl CopyContext<'_> {
    /// Returns what a file is hashed by: SHA-256 always, and first; then what else the medium states.
    fn algorithms(&self, step: &Step<'_>) -> Vec<Algorithm> {
        if !self.hash {
            return Vec::new();
        }
        let expected = self.checksums.to_compare(&step.entry.path);
        let others = expected.map(|expected| expected.digest.algorithm());
        let others = others.filter(|algorithm| *algorithm != Algorithm::Sha256);
        std::iter::once(Algorithm::Sha256).chain(others).collect()
    }
}

/// A file that is being read, and written unless it is only compared.
pub(super) struct FileCopy<'a> {
    context: &'a CopyContext<'a>,
    step: &'a Step<'a>,
    algorithms: Vec<Algorithm>,
    source: Box<dyn Read + 'a>,
    out: Option<File>,
    done: u64,
}

/// A piece on its way through the hashing threads: a buffer, and how much of it counts.
type HashChunk = (Vec<u8>, usize);

impl<'a> FileCopy<'a> {
    /// Opens the file on the medium and creates it in the tree.
    pub(super) fn open(context: &'a CopyContext<'a>, step: &'a Step<'a>) -> Result<Self> {
        let source = context.medium.reader(step.entry)?;
        let out = match step.action {
            FileAction::Copy => Some(
                context
                    .tree
                    .create(&step.path)
                    .with_context(|| writing(context, step))?,
            ),
            FileAction::Compare { .. } => None,
        };
        Ok(Self {
            context,
            step,
            algorithms: context.algorithms(step),
            source,
            out,
            done: 0,
        })
    }

    /// Reads and writes the next piece, as much as the buffer holds; returns how much that was, 0 at
    /// the end of the file.
    fn advance(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Self { context, step, .. } = *self;
        ensure!(
            !context.progress.stopped(),
            "it was interrupted before it was done"
        );
        let left = usize::try_from(step.size - self.done).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let piece = &mut buffer[..len];
        self.source.read_exact(piece).with_context(|| {
            let medium = context.medium.path().display();
            format!(
                "reading '{}' from {medium} at byte {} of {}",
                step.entry.path, self.done, step.size
            )
        })?;
        if let Some(out) = &self.out {
            out.write_all_at(piece, self.done)
                .with_context(|| writing(context, step))?;
        }
        self.done += len as u64;
        context.progress.add(len as u64);
        Ok(len)
    }

    /// Reads and writes the whole file and hashes each piece from the buffer it was read into.
    pub(super) fn run(mut self, buffer: &mut [u8]) -> Result<Option<Digest>> {
        let algorithms = self.algorithms.iter();
        let mut hashers: Vec<_> = algorithms.copied().map(Hasher::new).collect();
        loop {
            let len = self.advance(buffer)?;
            if len == 0 {
                let digests: Vec<_> = hashers.into_iter().map(Hasher::finish).collect();
                return self.finish(&digests);
            }
            hashers
                .iter_mut()
                .for_each(|hasher| hasher.update(&buffer[..len]));
        }
    }

    /// As [`FileCopy::run`], for a file so large that it alone would keep all waiting: this thread reads and
    /// writes, and each algorithm has a thread of its own that hashes what was read. The pieces go from
    /// thread to thread and come back to be filled again.
    pub(super) fn run_pipelined(mut self, piece: usize) -> Result<Option<Digest>> {
        let digests = thread::scope(|scope| {
            let (first, mut pieces) = mpsc::channel();
            let mut threads = Vec::new();
            for &algorithm in &self.algorithms {
                let (output, next) = mpsc::channel();
                let input = std::mem::replace(&mut pieces, next);
                threads.push(scope.spawn(move || hash(algorithm, &input, &output)));
            }
            self.send_pieces(piece, first, &pieces)?;
            let digests = threads.into_iter().map(|thread| thread.join().ok());
            digests.collect::<Option<Vec<_>>>().ok_or_else(panicked)
        })?;
        self.finish(&digests)
    }

    /// Fills pieces and sends them to be hashed, taking those that come back.
    fn send_pieces(
        &mut self,
        piece: usize,
        to: Sender<HashChunk>,
        back: &Receiver<HashChunk>,
    ) -> Result<()> {
        let mut fresh = 0;
        loop {
            let mut buffer = if fresh < IN_FLIGHT {
                fresh += 1;
                vec![0; piece]
            } else {
                back.recv().map_err(|_| panicked())?.0
            };
            let len = self.advance(&mut buffer)?;
            if len == 0 {
                return Ok(());
            }
            to.send((buffer, len)).map_err(|_| panicked())?;
        }
    }

    /// Gives what was written its mode and time, and compares what was read with what the medium says
    /// of it and what another disc brought. Returns the SHA-256, which is the first digest if anything
    /// was hashed.
    fn finish(self, digests: &[Digest]) -> Result<Option<Digest>> {
        let Self { context, step, .. } = self;
        if let Some(out) = &self.out {
            set_mode_and_time(out, step.entry).with_context(|| writing(context, step))?;
        }
        if let Some(sha256) = digests.first() {
            ensure_expected(context, step, digests)?;
            match &step.action {
                FileAction::Compare { digest, disc } if digest != sha256 => {
                    return Err(conflict(&step.entry.path, disc, context.label));
                }
                _ => (),
            }
        }
        Ok(digests.first().copied())
    }
}

/// Compares a file with everything that the medium says of it, and with what was read of it before.
fn ensure_expected(context: &CopyContext<'_>, step: &Step<'_>, digests: &[Digest]) -> Result<()> {
    let path = &step.entry.path;
    let medium = context.medium.path().display();
    for expected in context.checksums.to_compare(path) {
        let algorithm = expected.digest.algorithm();
        let got = digests
            .iter()
            .find(|digest| digest.algorithm() == algorithm);
        let got = got.with_context(|| format!("'{path}' was not hashed by {algorithm}"))?;
        if expected.size.is_none_or(|size| size == step.size) && *got == expected.digest {
            continue;
        }
        let size = expected
            .size
            .map_or(String::new(), |size| format!(", {size} bytes"));
        bail!(
            "'{path}' on {medium} is damaged: its {algorithm} is {got}, {} bytes, but {} on the medium \
             says {}{size}; get the medium again",
            step.size,
            context.checksums.source(expected),
            expected.digest
        )
    }
    let before = context.checksums.as_read(path);
    ensure!(
        before.is_none_or(|before| digests.first() == Some(before)),
        "'{path}' on {medium} changed while it was imported: let nobody write to the medium and run again"
    );
    Ok(())
}

/// Anyone may read a published file, its owner may change it, and it may be run if anyone might run it
/// on the medium.
fn set_mode_and_time(out: &File, entry: &MediumEntry) -> io::Result<()> {
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

/// Hashes what comes in and passes it on.
fn hash(algorithm: Algorithm, input: &Receiver<HashChunk>, output: &Sender<HashChunk>) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    for (buffer, len) in input {
        hasher.update(&buffer[..len]);
        // Nobody takes it back when the reader has all it needs.
        let _ = output.send((buffer, len));
    }
    hasher.finish()
}

fn writing(context: &CopyContext<'_>, step: &Step<'_>) -> String {
    format!(
        "writing '{}' in {}",
        step.path,
        context.tree.path().display()
    )
}

fn panicked() -> anyhow::Error {
    anyhow!("a hashing thread panicked")
}
