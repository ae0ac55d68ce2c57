//! What a user sees: a line for each node as it ends, in xCAT's form, or one JSON document at the end.
//!
//! What engines and containers say is foreign: nothing of it does anything to a terminal.

use std::collections::BTreeMap;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use definitions::Node;
use definitions::terminal::escaped;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, ClusterArgs};
use crate::fanout::{self, Event, HostWork, Task};

/// How a node ended well: its line, and what its document holds.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What follows the node's name.
    pub(crate) line: String,
    /// What its document has besides.
    pub(crate) document: Map<String, Value>,
}

impl Outcome {
    /// A line that is all there is to say, as `status` in the document, beside the `host` of the task.
    pub(crate) fn status<T>(task: &Task<T>, line: impl Into<String>) -> Self {
        let line = line.into();
        let document = Map::from_iter([
            ("status".to_owned(), json!(line)),
            ("host".to_owned(), json!(task.host.name)),
        ]);
        Self { line, document }
    }

    /// Puts one more value into the document.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.document.insert(key.to_owned(), value.into());
        self
    }
}

/// What has been printed, and is to be.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whether standard output is for JSON.
    json: bool,
    server: String,
    failed: bool,
    documents: BTreeMap<String, Value>,
}

impl Report {
    /// Begins.
    pub(crate) fn new(json: bool) -> Self {
        let name = nix::unistd::gethostname();
        let name = name.map(|name| name.to_string_lossy().into_owned());
        Self {
            json,
            server: name.unwrap_or_default(),
            failed: false,
            documents: BTreeMap::new(),
        }
    }

    /// Says what happens to a node: with JSON on standard error.
    pub(crate) fn progress(&self, node: &str, text: &str) -> Result<()> {
        if self.json {
            write_line(&mut stderr().lock(), &format!("{node}: {text}"))
        } else {
            self.line(&format!("{node}: {text}"))
        }
    }

    /// Remarks something on standard error.
    pub(crate) fn note(&self, node: &str, text: &str) -> Result<()> {
        write_line(&mut stderr().lock(), &format!("{node}: {text}"))
    }

    /// Prints a line of results; nothing where they are JSON.
    pub(crate) fn line(&self, line: &str) -> Result<()> {
        if self.json {
            Ok(())
        } else {
            write_line(&mut stdout().lock(), line)
        }
    }

    /// Does a work with containers, each with what `item` makes of its node, and says how each ended.
    ///
    /// # Errors
    /// When nothing can be printed; what becomes of nodes is told.
    pub(crate) fn work<W: HostWork<Done = Outcome>>(
        &mut self,
        work: &W,
        (cluster, args): (&Cluster, &ClusterArgs),
        nodes: &[Node],
        item: impl FnMut(&Node) -> Result<W::Item>,
    ) -> Result<()> {
        let tasks = self.tasks(cluster, nodes, item)?;
        fanout::run(work, tasks, args.fanout.into(), &mut |node, event| {
            self.event(node, event)
        })
    }

    /// Says what happened to a node.
    pub(crate) fn event(&mut self, node: &str, event: Event<Outcome>) -> Result<()> {
        match event {
            Event::Said(line) => self.progress(node, &line),
            Event::Ended(Ok(outcome)) => self.done(node, outcome),
            Event::Ended(Err(error)) => self.error(node, &error),
        }
    }

    /// Makes a task of each container, and says of which none can be made.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub(crate) fn tasks<T>(
        &mut self,
        cluster: &Cluster,
        nodes: &[Node],
        mut item: impl FnMut(&Node) -> Result<T>,
    ) -> Result<Vec<Task<T>>> {
        let mut tasks = Vec::new();
        for node in nodes {
            let made = cluster
                .host_of(node)
                .and_then(|host| Ok((host, item(node)?)));
            match made {
                Ok((host, item)) => tasks.push(Task {
                    node: node.name.clone(),
                    host,
                    item,
                }),
                Err(error) => self.error(&node.name, &error)?,
            }
        }
        Ok(tasks)
    }

    /// Says how a node ended well.
    pub(crate) fn done(&mut self, node: &str, outcome: Outcome) -> Result<()> {
        self.line(&format!("{node}: {}", outcome.line))?;
        self.document(node, outcome.document);
        Ok(())
    }

    /// Keeps the document of a node.
    pub(crate) fn document(&mut self, node: &str, more: Map<String, Value>) {
        let mut document = Map::from_iter([("node".to_owned(), json!(node))]);
        document.extend(more);
        document.entry("error").or_insert(Value::Null);
        self.documents
            .insert(node.to_owned(), Value::Object(document));
    }

    /// Says that a node failed, as xCAT does.
    pub(crate) fn error(&mut self, node: &str, error: &Error) -> Result<()> {
        self.failed = true;
        let text = format!("{error:#}");
        self.document(node, Map::from_iter([("error".to_owned(), json!(text))]));
        let line = format!("{node}: [{}]: Error: {text}", self.server);
        write_line(&mut stderr().lock(), &line)
    }

    /// Ends: prints the document; 1 if any node failed.
    pub(crate) fn finish(self) -> Result<ExitCode> {
        if self.json {
            let nodes: Vec<_> = self.documents.into_values().collect();
            let document = serde_json::to_string_pretty(&json!({ "nodes": nodes }))?;
            write_line(&mut stdout().lock(), &document)?;
        }
        Ok(if self.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Writes a line, or a document of several. All that others say comes through here.
fn write_line(out: &mut dyn Write, text: &str) -> Result<()> {
    let text = escaped(text, '\n');
    writeln!(out, "{text}").context("printing results")
}
