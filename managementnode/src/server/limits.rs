//! What bounds the daemon, all in one place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many connections there are at a time, and how many of them from one address, unless the user says otherwise.
pub(super) const MAX_CONNECTIONS: usize = 1024;
pub(super) const MAX_PER_ADDRESS: usize = 64;

/// How long a TLS handshake, and the head of a request, may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// How large the head of a request may be, and how many fields it may have.
pub(super) const MAX_HEAD: usize = 16 << 10;
pub(super) const MAX_FIELDS: usize = 64;

/// How large the body of a request may be, and how long it may take.
pub(super) const MAX_BODY: usize = 64 << 10;
pub(super) const BODY: Duration = Duration::from_secs(10);

/// How much must move in how long, in one direction or the other, for a connection to stay.
pub(super) const MIN_PROGRESS: u64 = 4 << 10;
pub(super) const PROGRESS: Duration = Duration::from_secs(60);

/// How long requests that are under way when the daemon is told to end may take still.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// How long a connection may be open then before its first request begins.
pub(super) const BEGIN: Duration = Duration::from_secs(1);

/// How much of a file is in memory for each connection.
pub(super) const CHUNK: usize = 64 << 10;

/// How much of a file the kernel is asked to send at a time.
pub(super) const SENT: usize = 1 << 20;

/// How many questions are with the signer at a time, and how long each may take, waiting included.
pub(super) const MAX_QUESTIONS: usize = 16;
pub(super) const QUESTION: Duration = Duration::from_secs(30);

/// The longest answer: the status of a site has all its armed nodes and alarms.
pub(super) const MAX_ANSWER: u64 = 4 << 20;

/// How many requests read definitions at a time: each may read all of them.
pub(super) const MAX_READERS: usize = 4;

/// How long an answer that a certificate counts is good, and how many are kept.
pub(super) const VALIDITY_TTL: Duration = Duration::from_secs(5);
pub(super) const MAX_VALIDITY: usize = 20_000;

/// How long a report in xCAT's form may take, and how long it may be.
pub(super) const REPORT: Duration = Duration::from_secs(10);
pub(super) const MAX_REPORT: u64 = 256;

/// Counts connections.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    max: usize,
    max_per_address: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    connections: Connections,
    address: IpAddr,
}

impl Connections {
    pub(super) fn new(max: usize, max_per_address: usize) -> Self {
        let counts = Arc::default();
        Self {
            max,
            max_per_address,
            counts,
        }
    }

    /// Counts a connection; `None` when there are too many.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Counted> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.all >= self.max || own >= self.max_per_address {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(address, own + 1);
        Some(Counted {
            connections: self.clone(),
            address,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counts = &self.connections.counts;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_address_nor_all_have_more_than_their_share() {
        let connections = Connections::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut held: Vec<_> = (0..MAX_PER_ADDRESS)
            .map(|_| connections.admit(address(1)).unwrap())
            .collect();
        assert!(connections.admit(address(1)).is_none());
        for n in 2..=u8::try_from(MAX_CONNECTIONS / MAX_PER_ADDRESS).unwrap() {
            held.extend((0..MAX_PER_ADDRESS).map(|_| connections.admit(address(n)).unwrap()));
        }
        assert_eq!(held.len(), MAX_CONNECTIONS);
        assert!(connections.admit(address(200)).is_none());
        held.pop();
        assert!(connections.admit(address(200)).is_some());
        held.clear();
        let counts = connections.counts.lock().unwrap();
        assert!(counts.by_address.is_empty() && counts.all == 0);
    }
}
