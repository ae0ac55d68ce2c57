//! `lsdocker`: lists the containers of docker hosts, containers by name, or what they have printed.

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use definitions::{Node, Noderange};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset};

use crate::cluster::{Cluster, ClusterArgs};
use crate::engine::{Call, EngineApi, container_path};
use crate::fanout::{self, Event, HostWork, Task};
use crate::labels;
use crate::logs::ContainerLog;
use crate::replace;
use crate::report::Report;

/// How many lines of a log a document holds.
const MAX_LINES: usize = 100_000;

/// List the containers of docker hosts, containers by name, or what containers have printed
///
/// Of a docker host all containers that run are listed, whoever made them; what no definition names, or names on
/// another host, is marked.
#[derive(Debug, clap::Parser)]
#[command(name = "lsdocker", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Docker hosts, containers, or both
    #[arg(value_name = "NODERANGE")]
    nodes: Noderange,

    /// Of hosts: list also the containers that do not run
    #[arg(short, long, conflicts_with = "logs")]
    all: bool,

    /// Of containers: print what they have printed
    #[arg(short, long)]
    logs: bool,

    /// With --logs: go on with what they print from now on, until interrupted
    #[arg(short, long, requires = "logs", conflicts_with = "json")]
    follow: bool,

    /// With --logs: begin so many lines before the end
    #[arg(long, value_name = "N", requires = "logs")]
    tail: Option<u32>,

    /// Print results as JSON, in the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  lsdocker host01                 what runs there
  lsdocker hosts -a               the same of all members of a group, with what does not run
  lsdocker web01                  one container, wherever it is
  lsdocker web01 -l --tail 20     the last lines that it printed
  lsdocker web -l -f              what all members of a group print, as they print it

Exit status: 0 all is listed, 1 a host or a container is not, 2 wrong usage.";

/// Runs `lsdocker`.
///
/// # Errors
/// When nothing can be begun with; what becomes of each node is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::load(&args.cluster)?;
    let mut report = Report::new(args.json);
    let nodes = cluster.select(&args.nodes)?;
    let mut tasks = Vec::new();
    for node in &nodes {
        match prepared(&cluster, node, args.logs) {
            Ok(task) => tasks.push(task),
            Err(error) => report.error(&node.name, &error)?,
        }
    }
    let listing = ContainerListing {
        args: &args,
        // Before there are threads: then nobody could say any more.
        offset: UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC),
        cluster: definitions_of(&cluster),
    };
    let hosts = if args.follow {
        tasks.len().max(1)
    } else {
        args.cluster.fanout.into()
    };
    fanout::run(&listing, tasks, hosts, &mut |node, event| match event {
        Event::Said(line) => report.line(&format!("{node}: {line}")),
        Event::Ended(Err(error)) => report.error(node, &error),
        Event::Ended(Ok(document)) => {
            report.document(node, document);
            Ok(())
        }
    })?;
    report.finish()
}

/// What a node is listed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListSubject {
    Container,
    DockerHost,
}

fn prepared(cluster: &Cluster, node: &Node, logs: bool) -> Result<Task<ListSubject>> {
    let (host, item) = if Cluster::is_container(node) {
        (cluster.host_of(node)?, ListSubject::Container)
    } else {
        ensure!(!logs, " -l is not support for {}", node.name);
        (cluster.host_itself(node)?, ListSubject::DockerHost)
    };
    let node = node.name.clone();
    Ok(Task { node, host, item })
}

/// The names of defined containers, each with the name of its host where it has one.
type Defined = std::collections::BTreeMap<String, Option<String>>;

fn definitions_of(cluster: &Cluster) -> Defined {
    let nodes = cluster
        .nodes
        .names()
        .filter_map(|name| cluster.nodes.node(name).ok());
    let containers = nodes.filter(Cluster::is_container);
    containers
        .map(|node| {
            let host = node.dockerhost.map(|host| match host {
                definitions::DockerHost::Remote { host, .. } => host,
                socket @ definitions::DockerHost::Socket(_) => socket.to_string(),
            });
            (node.name, host)
        })
        .collect()
}

/// What is listed, and how.
#[derive(Debug)]
struct ContainerListing<'a> {
    args: &'a Args,
    offset: UtcOffset,
    cluster: Defined,
}

impl HostWork for ContainerListing<'_> {
    type Item = ListSubject;
    type Known = ();
    type Done = Map<String, Value>;

    fn connections(&self) -> usize {
        if self.args.follow { usize::MAX } else { 4 }
    }

    fn prepare(&self, _: &mut EngineApi) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut EngineApi,
        (): &(),
        task: &Task<ListSubject>,
        say: &dyn Fn(String),
    ) -> Result<Map<String, Value>> {
        match (task.item, self.args.logs) {
            (ListSubject::DockerHost, _) => self.host(engine, task, say),
            (ListSubject::Container, false) => container(engine, task, say),
            (ListSubject::Container, true) => self.logs(engine, task, say),
        }
    }
}

impl ContainerListing<'_> {
    /// Lists what a host has.
    fn host(
        &self,
        engine: &mut EngineApi,
        task: &Task<ListSubject>,
        say: &dyn Fn(String),
    ) -> Result<Map<String, Value>> {
        let all = if self.args.all { "1" } else { "0" };
        let answer = engine.ask(&Call::get("/containers/json").query("all", all))?;
        let Value::Array(containers) = answer.succeeded()? else {
            bail!("the engine sent no list of its containers")
        };
        if containers.is_empty() {
            say("No running docker".to_owned());
        }
        let mut documents = Vec::new();
        for container in &containers {
            let name = text(&container["Names"][0]);
            let created = container["Created"].as_i64().unwrap_or_default();
            let row = ContainerRow {
                id: text(&container["Id"]),
                image: text(&container["Image"]),
                command: text(&container["Command"]),
                created: local(created, self.offset),
                status: text(&container["Status"]),
                name,
            };
            let bare = name.trim_start_matches('/');
            let remark = self.remark(bare, &container["Labels"], &task.host.name);
            let marked = remark.as_ref().map(|remark| format!(" ({remark})"));
            say(row.line() + marked.as_deref().unwrap_or_default());
            let mut document = row.document();
            document["created"] = json!(rfc3339(created));
            document.insert("state".to_owned(), container["State"].clone());
            document.insert("defined".to_owned(), json!(self.cluster.contains_key(bare)));
            document.insert("remark".to_owned(), json!(remark));
            documents.push(Value::Object(document));
        }
        Ok(Map::from_iter([(
            "containers".to_owned(),
            Value::Array(documents),
        )]))
    }

    /// Says what is odd about a container that is on a host.
    fn remark(&self, name: &str, labels: &Value, host: &str) -> Option<String> {
        let of = labels[labels::NODE].as_str();
        if let Some(node) = of.filter(|node| replace::beside(node).iter().any(|left| left == name))
        {
            return Some(format!(
                "left by an interrupted replacement: mkdocker {node}"
            ));
        }
        match self.cluster.get(name) {
            None => Some("no definition".to_owned()),
            Some(Some(defined)) if defined != host => Some(format!("defined on {defined}")),
            Some(_) => None,
        }
    }

    /// Prints what a container has printed.
    fn logs(
        &self,
        engine: &mut EngineApi,
        task: &Task<ListSubject>,
        say: &dyn Fn(String),
    ) -> Result<Map<String, Value>> {
        let found = engine.inspect(&task.node)?.succeeded()?;
        let path = container_path(&found)?;
        let has_terminal = found["Config"]["Tty"] == true;
        let mut call = Call::get(format!("{path}/logs"))
            .query("stdout", "1")
            .query("stderr", "1");
        if let Some(tail) = self.args.tail {
            call = call.query("tail", &tail.to_string());
        }
        if self.args.follow {
            call = call.query("follow", "1").endless();
        }
        let mut kept = Vec::new();
        let mut each = |line: &str| {
            if !self.args.json {
                say(line.to_owned());
                return Ok(());
            }
            ensure!(
                kept.len() < MAX_LINES,
                "it has printed more than {MAX_LINES} lines: give --tail with --json"
            );
            kept.push(json!(line));
            Ok(())
        };
        let mut lines = ContainerLog::new(has_terminal);
        let mut silent = true;
        engine.bytes(&call, &mut |chunk| {
            silent = false;
            lines.push(chunk, &mut each)
        })?;
        lines.finish(&mut each)?;
        if silent {
            // One that printed nothing has its line too, as in xCAT.
            say(String::new());
        }
        Ok(Map::from_iter([("log".to_owned(), Value::Array(kept))]))
    }
}

/// Lists one container.
fn container(
    engine: &mut EngineApi,
    task: &Task<ListSubject>,
    say: &dyn Fn(String),
) -> Result<Map<String, Value>> {
    let found = engine.inspect(&task.node)?.succeeded()?;
    let arguments = found["Args"].as_array().map_or(&[][..], Vec::as_slice);
    let words = std::iter::once(text(&found["Path"]).to_owned());
    let words = words.chain(arguments.iter().map(|word| quoted(text(word))));
    let command = words.collect::<Vec<_>>().join(" ");
    let created = text(&found["Created"]);
    let row = ContainerRow {
        id: text(&found["Id"]),
        image: text(&found["Config"]["Image"]),
        command: &command,
        created: created.split('.').next().unwrap_or(created).to_owned(),
        status: text(&found["State"]["Status"]),
        name: text(&found["Name"]),
    };
    say(row.line());
    let mut document = row.document();
    document["created"] = json!(created);
    document.insert("state".to_owned(), found["State"]["Status"].clone());
    document.insert("host".to_owned(), json!(task.host.name));
    Ok(document)
}

/// A container as xCAT lists it.
#[derive(Debug)]
struct ContainerRow<'a> {
    id: &'a str,
    image: &'a str,
    command: &'a str,
    created: String,
    status: &'a str,
    name: &'a str,
}

impl ContainerRow<'_> {
    /// Prints the columns, each at least as wide as xCAT has it.
    fn line(&self) -> String {
        let Self {
            created, status, ..
        } = self;
        let (id, image) = (cut(self.id, 12), cut(self.image, 30));
        let command = format!("\"{}\"", cut(self.command, 20));
        let name = self.name;
        format!("{id}   {image:<30} {command:<22} {created:<20} {status:<10} {name}")
    }

    fn document(&self) -> Map<String, Value> {
        Map::from_iter([
            ("id".to_owned(), json!(self.id)),
            ("image".to_owned(), json!(self.image)),
            ("command".to_owned(), json!(self.command)),
            ("created".to_owned(), json!(self.created)),
            ("status".to_owned(), json!(self.status)),
            ("name".to_owned(), json!(self.name.trim_start_matches('/'))),
        ])
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// Quotes a word that has blanks.
fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

/// Writes a time as xCAT does: `2026-3-4 - 9:5:7`.
fn local(seconds: i64, offset: UtcOffset) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let time = time.to_offset(offset);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year}-{month}-{day} - {hour}:{minute}:{second}")
}

fn rfc3339(seconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_columns_of_xcat() {
        let row = ContainerRow {
            id: "4c01db0b339ca1b2c3",
            image: "ubuntu:22.04",
            command: "/bin/bash",
            created: local(1_772_615_107, UtcOffset::UTC),
            status: "Up 2 hours",
            name: "/c01",
        };
        assert_eq!(
            row.line(),
            "4c01db0b339c   ubuntu:22.04                   \"/bin/bash\"            2026-3-4 - 9:5:7     Up 2 hours /c01"
        );
        assert_eq!(rfc3339(1_772_615_107).unwrap(), "2026-03-04T09:05:07Z");
        assert_eq!((&*quoted("a b"), &*quoted("a")), ("'a b'", "a"));
    }
}
