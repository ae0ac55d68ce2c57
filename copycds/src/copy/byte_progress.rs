//! What threads share about a running import: how far it is, and whether to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of a running import, read by whoever draws a bar, and the flag that stops it.
#[derive(Debug, Default)]
pub struct ByteProgress {
    total: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
}

impl ByteProgress {
    /// Starts at nothing of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many bytes there are to read; 0 until that is known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns how many bytes were read so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Asks the workers to stop after the piece at hand. May be called from anywhere, at any time.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Returns whether someone asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}
