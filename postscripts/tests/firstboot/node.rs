//! A node in a directory and a web server of its own: `firstboot` is the real binary, the scripts are real.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use definitions::{ProgramDigest, Runlist, RunlistEntry, ScriptOrigin};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a server answers for a name: raw, the whole answer.
type Answers = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A web server of a few files, which remembers what it was asked for.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            answers: Answers::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&server.answers), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &answers, &asked);
            }
        });
        server
    }

    /// Gives a name a file.
    pub(crate) fn serve(&self, name: &str, bytes: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        self.say(name, &[head.as_bytes(), bytes].concat());
    }

    /// Gives a name a whole answer, head and all.
    pub(crate) fn say(&self, name: &str, answer: &[u8]) {
        self.answers
            .lock()
            .unwrap()
            .insert(name.to_owned(), answer.to_owned());
    }

    /// Returns the names that were asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, answers: &Answers, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    let request = text(&request);
    let path = request.split(' ').nth(1).unwrap();
    let name = path
        .strip_prefix("/install/postscripts/")
        .unwrap()
        .to_owned();
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let answer = answers
        .lock()
        .unwrap()
        .get(&name)
        .cloned()
        .unwrap_or(missing);
    asked.lock().unwrap().push(name);
    let _ = stream.write_all(&answer);
}

/// A node.
pub(crate) struct Node {
    root: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) list: Runlist,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::beside(Server::start("127.0.0.1:0"))
    }

    /// Makes a node whose programs come from a server.
    pub(crate) fn beside(server: Server) -> Self {
        let root = tempfile::Builder::new().prefix("fb").tempdir().unwrap();
        let node = Self {
            root,
            list: Runlist {
                node: "host01".to_owned(),
                osimage: "debian12-x86_64-install-dockerhost".to_owned(),
                source: format!("http://{}/install/postscripts", server.address),
                environment: BTreeMap::from([("NODE".to_owned(), "host01".to_owned())]),
                ..Runlist::default()
            },
            server,
        };
        node.boots("1");
        node
    }

    /// Adds a program that the server has, and the list names as it is.
    pub(crate) fn program(&mut self, name: &str, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        self.server.serve(name, content);
        let program = ProgramDigest {
            sha256: sha256(content),
            size: content.len() as u64,
        };
        self.list.programs.insert(name.to_owned(), program);
    }

    /// Adds a shell script and a postbootscript of its name.
    pub(crate) fn script(&mut self, line: &str, body: &str) {
        let entry = entry(ScriptOrigin::Node, line);
        self.program(entry.line.program(), format!("#!/bin/sh\n{body}\n"));
        self.list.postbootscripts.push(entry);
    }

    /// Puts the list on the node.
    pub(crate) fn install(&self) {
        let path = self.path("var/lib/slipway/postscripts.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, serde_json::to_vec(&self.list).unwrap()).unwrap();
    }

    /// The machine starts anew.
    pub(crate) fn boots(&self, id: &str) {
        let path = self.path("proc/sys/kernel/random/boot_id");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{id}\n")).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firstboot"));
        command
            .arg("--root")
            .arg(self.root.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs it with a list on standard input.
    pub(crate) fn update(&self, arguments: &[&str], list: &[u8]) -> Ran {
        let mut command = self.command(&[&["--update", "--list", "-"], arguments].concat());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(list).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.read("var/lib/slipway/status.json")).unwrap()
    }

    /// Returns `line state code` of every script, and the reason where there is one.
    pub(crate) fn results(&self) -> Vec<String> {
        let status = self.status();
        let scripts = status["scripts"].as_array().unwrap().iter();
        scripts
            .map(|record| {
                let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
                let reason = word("reason");
                let reason = if reason.is_empty() {
                    reason
                } else {
                    format!(": {reason}")
                };
                format!(
                    "{} {} {}{reason}",
                    word("line"),
                    word("state"),
                    record["code"]
                )
            })
            .collect()
    }

    /// Returns the lines that the node's scripts left in the file `trace`.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.read("opt/slipway/postscripts/trace")
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn make_executable(path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

pub(crate) fn entry(origin: ScriptOrigin, line: &str) -> RunlistEntry {
    RunlistEntry {
        origin,
        line: line.parse().unwrap(),
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a condition holds, twenty seconds at most.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says whether a process lives: one that waits to be reaped does not.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}
