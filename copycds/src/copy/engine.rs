//! The bytes of a medium, into a tree: read once, written, hashed while they are warm.
//!
//! The files of a plan come in, in the order they lie on the medium; every one of them is in the tree
//! when this returns, and its SHA-256 goes out. A few threads each take the next file: a piece of it
//! is read into a buffer that fits the second-level cache, written, and hashed from that buffer, so
//! that no byte is fetched from memory twice and what was hashed is what was written. Large files come
//! first and are hashed beside their copy, so that none is left alone at the end; files that the medium
//! has an MD5 for go eight at a time ([`lanes`](super::lanes)). A file that differs from what the
//! medium says of it, or from what another disc brought under its name, stops everything.
//!
//! In-kernel copies (copy_file_range(2)) were measured against this: without hashing they take as long,
//! and with hashing each byte has to come to user space anyway.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

use super::job::Job;
use super::lanes::{BLOCK, LANES, Md5State, advance, padding};
use super::plan::Step;
use super::progress::Progress;
use super::stage::Dir;
use crate::claims::Claims;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::Medium;

/// Small enough to stay in a core's own cache, large enough that system calls do not count.
const PIECE: usize = 128 << 10;
/// The same, for each of the files whose MD5 are computed together.
const LANE_PIECE: usize = 32 << 10;
/// From this size on a file is hashed beside its copy.
pub(super) const LARGE: u64 = 32 << 20;
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

/// What all threads of an engine share: which step is next, and what came of those before.
struct Board<'a> {
    steps: &'a [Step<'a>],
    next: AtomicUsize,
    results: Mutex<Result<Vec<Option<Digest>>>>,
}

impl Engine<'_> {
    /// Does every step and returns the SHA-256 of each file, in the order of the steps; none unless it
    /// hashes.
    ///
    /// # Errors
    /// The first thing that went wrong; what was written until then stays for the caller to remove.
    pub(super) fn run(&self, steps: &[Step<'_>]) -> Result<Vec<Option<Digest>>> {
        let board = Board {
            steps,
            next: AtomicUsize::new(0),
            results: Mutex::new(Ok(vec![None; steps.len()])),
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    if let Err(error) = self.work(&board) {
                        board.fail(error);
                    }
                });
            }
        });
        board
            .results
            .into_inner()
            .map_err(|_| anyhow!("a copying thread panicked"))?
    }

    /// Takes steps until there are none, filling the lanes with those that need an MD5.
    fn work(&self, board: &Board<'_>) -> Result<()> {
        let mut buffer = vec![0; PIECE];
        let mut lanes: [Option<Lane<'_>>; LANES] = Default::default();
        loop {
            while let Some(lane) = lanes.iter_mut().find(|lane| lane.is_none()) {
                let Some((index, step)) = board.take() else {
                    break;
                };
                let job = Job::open(self, index, step)?;
                let algorithms = self.algorithms(step);
                if step.size >= LARGE {
                    board.note(index, job.run_pipelined(PIECE, &algorithms)?);
                } else if algorithms.contains(&Algorithm::Md5) {
                    *lane = Some(Lane::new(job, &algorithms));
                } else {
                    board.note(index, job.run(&mut buffer, &algorithms)?);
                }
            }
            if lanes.iter().all(Option::is_none) {
                return Ok(());
            }
            let mut finished = false;
            for slot in &mut lanes {
                if slot.as_mut().map_or(Ok(false), Lane::refill)?
                    && let Some(lane) = slot.take()
                {
                    board.note(lane.job.index, lane.finish()?);
                    finished = true;
                }
            }
            if !finished {
                hash_together(&mut lanes);
            }
        }
    }

    /// Returns what a file is hashed by: SHA-256 always, and what else the medium's claims need.
    fn algorithms(&self, step: &Step<'_>) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        if self.hash {
            algorithms.push(Algorithm::Sha256);
            let claims = self.claims.of(&step.entry.path).iter();
            let claimed = claims.map(|claim| claim.digest.algorithm());
            algorithms.extend(claimed.filter(|algorithm| *algorithm != Algorithm::Sha256));
        }
        algorithms
    }
}

impl<'a> Board<'a> {
    fn take(&self) -> Option<(usize, &'a Step<'a>)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        Some((index, self.steps.get(index)?))
    }

    fn note(&self, index: usize, digest: Option<Digest>) {
        if let Ok(mut results) = self.results.lock()
            && let Ok(digests) = &mut *results
        {
            digests[index] = digest;
        }
    }

    /// Keeps the first error and lets nobody begin another step.
    fn fail(&self, error: anyhow::Error) {
        self.next.store(self.steps.len(), Ordering::Relaxed);
        if let Ok(mut results) = self.results.lock()
            && results.is_ok()
        {
            *results = Err(error);
        }
    }
}

/// A file whose MD5 is computed together with those of others.
struct Lane<'a> {
    job: Job<'a>,
    /// SHA-256, and what else but MD5 is claimed.
    hashers: Vec<Hasher>,
    md5: Md5State,
    buffer: Vec<u8>,
    /// What of the buffer the MD5 has still to take: whole blocks.
    rest: std::ops::Range<usize>,
    padded: bool,
}

impl<'a> Lane<'a> {
    fn new(job: Job<'a>, algorithms: &[Algorithm]) -> Self {
        let others = algorithms.iter().filter(|kind| **kind != Algorithm::Md5);
        let len = usize::try_from(job.size())
            .unwrap_or(LANE_PIECE)
            .min(LANE_PIECE);
        Self {
            job,
            hashers: others.copied().map(Hasher::new).collect(),
            md5: Md5State::START,
            buffer: vec![0; len],
            rest: 0..0,
            padded: false,
        }
    }

    /// Reads the next piece when the last is used up; returns whether the file is done.
    fn refill(&mut self) -> Result<bool> {
        if !self.rest.is_empty() {
            return Ok(false);
        }
        if self.padded {
            return Ok(true);
        }
        let len = self.job.advance(&mut self.buffer)?;
        let piece = &self.buffer[..len];
        self.hashers
            .iter_mut()
            .for_each(|hasher| hasher.update(piece));
        self.rest = 0..len;
        // Every piece but the last is whole blocks long.
        if self.job.is_read() {
            self.buffer.truncate(len);
            self.buffer.extend_from_slice(&padding(self.job.size()));
            self.rest.end = self.buffer.len();
            self.padded = true;
        }
        Ok(false)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.rest.clone()]
    }

    fn finish(self) -> Result<Option<Digest>> {
        let md5 = Digest::from_md5(self.md5.bytes());
        let mut digests: Vec<_> = self.hashers.into_iter().map(Hasher::finish).collect();
        digests.push(md5);
        self.job.finish(&digests)
    }
}

/// Lets every lane take what the shortest of them has left. With few of them it is no slower to let
/// each take all of its own.
fn hash_together(lanes: &mut [Option<Lane<'_>>; LANES]) {
    let live = lanes.iter().flatten().count();
    if live <= 2 {
        for lane in lanes.iter_mut().flatten() {
            lane.md5.update(&lane.buffer[lane.rest.clone()]);
            lane.rest.start = lane.rest.end;
        }
        return;
    }
    // An empty lane hashes what another has, for nothing.
    let shortest = lanes
        .iter()
        .flatten()
        .map(Lane::rest)
        .min_by_key(|rest| rest.len());
    let idle = shortest.unwrap_or_default();
    let data = lanes
        .each_ref()
        .map(|lane| lane.as_ref().map_or(idle, Lane::rest));
    let mut states = lanes
        .each_ref()
        .map(|lane| lane.as_ref().map_or(Md5State::START, |lane| lane.md5));
    let blocks = advance(&mut states, data);
    for (lane, state) in lanes.iter_mut().zip(states) {
        if let Some(lane) = lane {
            lane.md5 = state;
            lane.rest.start += blocks * BLOCK;
        }
    }
}
