//! Many containers on many hosts at a time.
//!
//! Tasks come in, each of one node on one host; events go out in the order in which they happen, to one thread. A host
//! has a few connections, its nodes wait for each other and for no other host's. A host that cannot be reached ends
//! its own nodes, all at once, and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};

use crate::cluster::EngineHost;
use crate::engine::EngineApi;

/// How many connections a host has: more do not make an engine faster.
const MAX_CONNECTIONS: usize = 4;

/// How many events wait to be told: whoever says more than is printed waits.
const MAX_WAITING: usize = 1024;

/// One node, its host, and what is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Task<T> {
    pub(crate) node: String,
    pub(crate) host: EngineHost,
    pub(crate) item: T,
}

/// What is done with every task.
pub(crate) trait HostWork: Sync {
    /// What a task holds.
    type Item: Send;
    /// What is known of a host, once for all its tasks.
    type Known: Sync;
    /// What came of a task.
    type Done: Send;

    /// How many of a host's tasks are done at a time, each over a connection of its own.
    fn connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    /// Looks at a host before its tasks.
    fn prepare(&self, engine: &mut EngineApi) -> Result<Self::Known>;

    /// Does one task; `say` takes a line for whoever watches.
    fn perform(
        &self,
        engine: &mut EngineApi,
        known: &Self::Known,
        task: &Task<Self::Item>,
        say: &dyn Fn(String),
    ) -> Result<Self::Done>;
}

/// What happens to a node.
#[derive(Debug)]
pub(crate) enum Event<D> {
    /// It is at work, and this is to be told.
    Said(String),
    /// It ended.
    Ended(Result<D>),
}

/// An event, and the node that it is of.
type NodeEvent<D> = (String, Event<D>);

/// What takes events, each with the name of its node.
type Each<'a, D> = &'a mut dyn FnMut(&str, Event<D>) -> Result<()>;

/// The tasks of one host.
type HostQueue<T> = Mutex<VecDeque<Task<T>>>;

/// Does all tasks, so many hosts at a time; `each` takes the events.
///
/// # Errors
/// What `each` returned first: the tasks are done all the same.
pub(crate) fn run<W: HostWork>(
    work: &W,
    tasks: Vec<Task<W::Item>>,
    hosts: usize,
    each: Each<'_, W::Done>,
) -> Result<()> {
    let mut lanes = BTreeMap::<String, VecDeque<Task<W::Item>>>::new();
    for task in tasks {
        let key = format!("{} {}", task.host.name, task.host.endpoint);
        lanes.entry(key).or_default().push_back(task);
    }
    let width = hosts.clamp(1, lanes.len().max(1));
    let lanes: Mutex<VecDeque<_>> = Mutex::new(lanes.into_values().map(Mutex::new).collect());
    let (sender, events): (SyncSender<NodeEvent<W::Done>>, Receiver<_>) = sync_channel(MAX_WAITING);
    thread::scope(|scope| {
        for _ in 0..width {
            let (lanes, sender) = (&lanes, sender.clone());
            scope.spawn(move || {
                while let Some(lane) = next(lanes) {
                    work_on(work, &lane, &sender);
                }
            });
        }
        drop(sender);
        let mut result = Ok(());
        for (node, event) in events {
            let reported = each(&node, event);
            result = result.and(reported);
        }
        result
    })
}

/// Does the tasks of one host.
fn work_on<W: HostWork>(
    work: &W,
    lane: &HostQueue<W::Item>,
    events: &SyncSender<NodeEvent<W::Done>>,
) {
    let Some(endpoint) = lock(lane).front().map(|task| task.host.endpoint.clone()) else {
        return;
    };
    let opened = EngineApi::connect(&endpoint).and_then(|mut engine| {
        let known = work.prepare(&mut engine)?;
        Ok((engine, known))
    });
    let (engine, known) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let text = format!("{error:#}");
            while let Some(task) = next(lane) {
                send(events, &task.node, Event::Ended(Err(anyhow!(text.clone()))));
            }
            return;
        }
    };
    let more = lock(lane).len().min(work.connections()).saturating_sub(1);
    thread::scope(|scope| {
        for _ in 0..more {
            let (known, endpoint) = (&known, &endpoint);
            scope.spawn(move || {
                // The first connection does what a further one does not get to.
                if let Ok(engine) = EngineApi::connect(endpoint) {
                    perform_all(work, engine, known, lane, events);
                }
            });
        }
        perform_all(work, engine, &known, lane, events);
    });
}

/// Does tasks over one connection until there is none left.
fn perform_all<W: HostWork>(
    work: &W,
    mut engine: EngineApi,
    known: &W::Known,
    lane: &HostQueue<W::Item>,
    events: &SyncSender<NodeEvent<W::Done>>,
) {
    while let Some(task) = next(lane) {
        let say = |line: String| send(events, &task.node, Event::Said(line));
        let done = work.perform(&mut engine, known, &task, &say);
        send(events, &task.node, Event::Ended(done));
    }
}

fn send<D>(events: &SyncSender<NodeEvent<D>>, node: &str, event: Event<D>) {
    // The receiver ends after all senders.
    let _ = events.send((node.to_owned(), event));
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    lock(queue).pop_front()
}

/// Takes a lock; what a thread that panicked left is as good as what another did.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
