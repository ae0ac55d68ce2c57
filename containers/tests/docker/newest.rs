//! Engine 29, which no Debian release has, by its answers: what API 1.52 to 1.55 say otherwise than the engines of the lab.
//!
//! The answers are made as the documentation of the API has them (its history from v1.44 to v1.55, and the schemas of v1.55):
//! no deprecated addresses beside `Networks`, the manifest's digest as an image's identity, reasons in `errorDetail` alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::Case;
use crate::answers::{answer, ping, serve};
use crate::newest_images;
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    (
        "the_newest_engine_is_spoken_with_by_its_answers",
        life_of_a_container,
    ),
    ("a_second_run_looks_at_each_container_once", looks_once),
    (
        "what_an_engine_answers_wrongly_at_any_call_the_next_run_ends",
        wrong_at_any_call,
    ),
    ("every_verb_prints_one_document", documents),
    (
        "a_node_that_is_done_is_told_while_others_are_at_work",
        progress,
    ),
];

pub(crate) const MANIFEST: &str =
    "sha256:67e0a2c81b5ddc5ec7ff8bd2bd8d7b5a8c1e1a1f9d6f0a41b1f1c0f6a8d25e11";
const MAC: &str = "02:42:0a:01:00:15";

/// What goes wrong: at the calls that have this text, with these bytes in the place of the answer.
type Fault = (&'static str, Vec<u8>);

/// An engine that has one image, and makes, changes and removes containers.
#[derive(Default)]
pub(crate) struct NewestEngine {
    /// What each was made of, and its state.
    containers: Mutex<Vec<(String, Value, &'static str)>>,
    /// What it was asked, in order: each line, and what it was sent.
    requests: Mutex<Vec<(String, Value)>>,
    fault: Mutex<Option<Fault>>,
}

impl NewestEngine {
    /// Serves one on a socket of a directory.
    pub(crate) fn start(directory: &Path) -> (Arc<Self>, String) {
        let engine = Arc::new(Self::default());
        let serving = Arc::clone(&engine);
        let socket = serve(directory, move |request| serving.answer(request));
        (engine, format!("unix:{}", socket.display()))
    }

    fn answer(&self, request: &str) -> Vec<u8> {
        let right = self.right_answer(request);
        let line = request.lines().next().unwrap_or_default();
        match &*self.fault.lock().unwrap() {
            Some((at, wrong)) if line.contains(at) => wrong.clone(),
            _ => right,
        }
    }

    fn right_answer(&self, request: &str) -> Vec<u8> {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let body = serde_json::from_str(body).unwrap_or_default();
        let mut requests = self.requests.lock().unwrap();
        requests.push((format!("{method} {target}"), Value::clone(&body)));
        if target.ends_with("/_ping") {
            return ping("1.55");
        }
        let Some(target) = target.strip_prefix("/v1.55") else {
            return refused("400 Bad Request", "another version was asked for");
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let words: Vec<_> = path.split('/').skip(1).collect();
        match (method, &words[..]) {
            ("GET", ["networks"]) => found(json!([network()])),
            (_, ["images" | "distribution" | "commit", ..]) => {
                newest_images::answer(method, &words, query)
            }
            ("GET", ["containers", "json"]) => self.list(),
            ("POST", ["containers", "create"]) => self.create(query, body),
            ("GET", ["containers", name, "json"]) => self.inspect(name),
            ("POST", ["containers", id, verb]) => self.change(id, verb),
            ("DELETE", ["containers", of]) => {
                let mut containers = self.containers.lock().unwrap();
                containers.retain(|(name, ..)| id(name) != *of);
                b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
            }
            _ => refused("404 Not Found", "page not found"),
        }
    }

    fn list(&self) -> Vec<u8> {
        let containers = self.containers.lock().unwrap();
        let list = containers.iter().map(|(name, made, state)| {
            json!({
                "Id": id(name), "Names": [format!("/{name}")], "Image": "app:1", "ImageID": MANIFEST,
                "ImageManifestDescriptor": { "digest": MANIFEST, "size": 481 },
                "Command": "serve", "Created": 1_790_000_000, "Labels": made["Labels"], "State": state,
                "Status": "Up 2 hours", "Health": { "Status": "none", "FailingStreak": 0 },
                "NetworkSettings": { "Networks": { "mydocker0": endpoint(made, state) } }, "Mounts": [], "Ports": [],
            })
        });
        found(list.collect())
    }

    fn create(&self, query: &str, body: Value) -> Vec<u8> {
        if body.get("MacAddress").is_some() {
            return refused("400 Bad Request", "the MAC address is the endpoint's");
        }
        let name = query.strip_prefix("name=").unwrap().to_owned();
        let made = json!({ "Id": id(&name), "Warnings": [] });
        self.containers
            .lock()
            .unwrap()
            .push((name, body, "created"));
        answer("201 Created", "application/json", &made.to_string())
    }

    fn inspect(&self, name: &str) -> Vec<u8> {
        let containers = self.containers.lock().unwrap();
        let Some((_, made, state)) = containers.iter().find(|(found, ..)| found == name) else {
            return refused("404 Not Found", &format!("No such container: {name}"));
        };
        let mut config = made.clone();
        let mut host = config
            .as_object_mut()
            .unwrap()
            .remove("HostConfig")
            .unwrap();
        config.as_object_mut().unwrap().remove("NetworkingConfig");
        for (key, value) in [
            ("NetworkMode", json!("mydocker0")),
            ("MemorySwap", json!(134_217_728)),
            (
                "RestartPolicy",
                json!({ "Name": "no", "MaximumRetryCount": 0 }),
            ),
        ] {
            host[key] = value;
        }
        found(json!({
            "Id": id(name), "Name": format!("/{name}"), "Created": "2026-11-01T10:00:00.5Z", "Path": "serve", "Args": [],
            "Image": MANIFEST, "ImageManifestDescriptor": { "digest": MANIFEST, "size": 481 },
            "Config": config, "HostConfig": host, "Mounts": [], "RestartCount": 0, "Storage": { "RootFS": {} },
            "State": { "Status": state, "Running": *state == "running", "Paused": false, "ExitCode": 0 },
            "NetworkSettings": {
                "SandboxID": "", "SandboxKey": "", "Ports": {}, "Networks": { "mydocker0": endpoint(made, state) },
            },
        }))
    }

    fn change(&self, of: &str, verb: &str) -> Vec<u8> {
        let mut containers = self.containers.lock().unwrap();
        let found = containers.iter_mut().find(|(name, ..)| id(name) == of);
        let is = match verb {
            "start" | "restart" | "unpause" => "running",
            "stop" => "exited",
            "pause" => "paused",
            _ => return refused("404 Not Found", "page not found"),
        };
        let (_, _, state) = found.unwrap();
        let was = std::mem::replace(state, is);
        let is_so = was == is && ["start", "stop"].contains(&verb);
        let status = if is_so {
            "304 Not Modified"
        } else {
            "204 No Content"
        };
        format!("HTTP/1.1 {status}\r\n\r\n").into_bytes()
    }
}

fn id(name: &str) -> String {
    let name = name.bytes().map(|byte| format!("{byte:02x}"));
    format!("{:c<64}", name.collect::<String>())
}

pub(crate) fn found(body: Value) -> Vec<u8> {
    answer("200 OK", "application/json", &body.to_string())
}

pub(crate) fn refused(status: &str, message: &str) -> Vec<u8> {
    answer(
        status,
        "application/json",
        &json!({ "message": message }).to_string(),
    )
}

/// A docker network as it is listed, with the use of its addresses.
fn network() -> Value {
    json!({
        "Name": "mydocker0", "Id": "9b1", "Scope": "local", "Driver": "bridge", "EnableIPv4": true, "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Config": [{
            "Subnet": "10.0.0.0/8", "IPRange": "10.1.0.1/32", "Gateway": "10.1.0.1", "AuxiliaryAddresses": {},
        }] },
        "Options": { "com.docker.network.bridge.inhibit_ipv4": "true" },
        "Status": { "IPAM": { "Subnets": { "10.0.0.0/8": { "IPsInUse": 4, "DynamicIPsAvailable": 0 } } } },
    })
}

/// A container's place in its network; one that does not run has no address yet.
fn endpoint(made: &Value, state: &str) -> Value {
    let asked = &made["NetworkingConfig"]["EndpointsConfig"]["mydocker0"];
    let runs = state == "running";
    json!({
        "IPAMConfig": asked["IPAMConfig"], "Links": null, "Aliases": null, "DriverOpts": null, "GwPriority": 0,
        "NetworkID": if runs { "9b1" } else { "" }, "EndpointID": "", "Gateway": "", "DNSNames": ["f1"],
        "MacAddress": if runs { asked["MacAddress"].clone() } else { json!("") },
        "IPAddress": if runs { asked["IPAMConfig"]["IPv4Address"].clone() } else { json!("") },
    })
}

/// The definition of a container of such an engine.
pub(crate) fn definition(name: &str, engine: &str, ip: &str) -> String {
    format!(
        "[node.{name}]\nmgt = \"docker\"\ndockerhost = \"{engine}\"\nimage = \"app:1\"\nip = \"{ip}\"\n"
    )
}

fn life_of_a_container() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, socket) = NewestEngine::start(directory.path());
    let more = "environment = [\"A=1\"]\ndockermemory = \"64M\"\n";
    let other = definition("f2", &socket, "10.1.0.22").replace("app:1", "other:1");
    let site = Site::bare(&(definition("f1", &socket, "10.1.0.21") + more + &other));
    assert_eq!(site.ok("mkdocker f1"), "f1: success\n");
    let asked = engine.requests.lock().unwrap().clone();
    let (line, made) = asked.last().unwrap();
    assert_eq!(line, "POST /v1.55/containers/create?name=f1");
    let endpoint = &made["NetworkingConfig"]["EndpointsConfig"]["mydocker0"];
    assert_eq!(
        (
            &endpoint["MacAddress"],
            &endpoint["IPAMConfig"],
            made.get("MacAddress")
        ),
        (&json!(MAC), &json!({ "IPv4Address": "10.1.0.21" }), None),
        "{made:#}"
    );
    assert_eq!(made["Labels"]["slipway.image"], format!("app@{MANIFEST}"));
    for (line, out) in [
        ("mkdocker f1", "f1: unchanged\n"),
        ("rpower f1 state", "f1: created\n"),
        ("rpower f1 start --no-probe", "f1: success\n"),
        (
            "rpower f1 start --no-probe",
            "f1: container already started\n",
        ),
        ("mkdocker f1", "f1: unchanged\n"),
        ("rpower f1 reset", "f1: success\n"),
        ("rpower f1 off", "f1: success\n"),
        ("rpower f1 stop", "f1: container already stopped\n"),
    ] {
        assert_eq!(site.ok(line), out, "{line}");
    }
    let listed = site.ok("lsdocker f1");
    assert!(listed.starts_with("f1: 6631cccccccc   app:1 "), "{listed}");
    let refused = site.run("mkdocker f2");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (
            1,
            "f2: [mn]: Error: pulling the image other:1: manifest unknown\n"
        ),
        "{refused:?}"
    );
    site.redefine("A=1", "A=2");
    assert_eq!(
        site.ok("mkdocker f1 --dry-run"),
        "f1: Env.A: \"1\" -> \"2\" (replace; the definition changed)\nf1: would be replaced\n"
    );
}

/// One inspection a container, one look at a host and at each image: what a run with nothing to do costs.
fn looks_once() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, socket) = NewestEngine::start(directory.path());
    let nodes =
        (1..=20).map(|at| definition(&format!("f{at:02}"), &socket, &format!("10.1.0.{}", at + 1)));
    let site = Site::bare(&nodes.collect::<String>());
    site.ok("mkdocker f[01-20]");
    engine.requests.lock().unwrap().clear();
    let said = site.ok("mkdocker f[01-20]");
    assert_eq!(said.matches(": unchanged\n").count(), 20, "{said}");
    let asked = engine.requests.lock().unwrap().clone();
    let count = |text: &str| asked.iter().filter(|(line, _)| line.contains(text)).count();
    assert_eq!(
        [
            count("/containers/f"),
            count("/containers/json"),
            count("/networks"),
            count("/images/")
        ],
        [20, 1, 1, 1],
        "{asked:#?}"
    );
    // Each of a host's four connections asks for the version, and nothing else is asked.
    assert_eq!(count("/_ping") + 23, asked.len(), "{asked:#?}");
    assert!(count("/_ping") <= 4, "{asked:#?}");
}

fn wrong_at_any_call() {
    let calls = [
        "/containers/json",
        "/networks",
        "/images/app:1/json",
        "/containers/f1/json",
        "/containers/create",
    ];
    let wrong = [
        answer("200 OK", "text/html", "<html>welcome</html>"),
        answer("500 Internal Server Error", "application/json", ""),
        answer("200 OK", "application/json", "{\"Id\": "),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{".to_vec(),
        Vec::new(),
    ];
    let directory = tempfile::tempdir().unwrap();
    let (engine, socket) = NewestEngine::start(directory.path());
    let site = Site::bare(&definition("f1", &socket, "10.1.0.21"));
    for call in calls {
        for wrong in &wrong {
            let what = String::from_utf8_lossy(wrong).into_owned();
            *engine.fault.lock().unwrap() = Some((call, wrong.clone()));
            let told = site.run("mkdocker f1");
            *engine.fault.lock().unwrap() = None;
            assert!(
                (told.code, told.out.as_str()) == (1, "")
                    && told.err.starts_with("f1: [mn]: Error: ")
                    && told.err.lines().count() == 1,
                "{call} {what}: {told:?}"
            );
            // One that is made before the answer is lost is there, and is not made twice.
            let is_made = call == "/containers/create";
            let made = engine.containers.lock().unwrap().len();
            assert_eq!(made, usize::from(is_made), "{call} {what}");
            let ended = if is_made {
                "f1: unchanged\n"
            } else {
                "f1: success\n"
            };
            assert_eq!(site.ok("mkdocker f1"), ended, "{call} {what}");
            assert_eq!(site.ok("rmdocker f1"), "f1: success\n");
        }
    }
}

fn documents() {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, socket) = NewestEngine::start(directory.path());
    let host = format!("[node.h1]\ndockerhost = \"{socket}\"\n");
    let tty = "dockerflag = '{\"Tty\":true,\"OpenStdin\":true}'\n";
    let site = Site::bare(&(definition("f1", &socket, "10.1.0.21") + tty + &host));
    let status = |line: &str| site.document(line, "f1")["status"].clone();
    for (line, expected) in [
        ("mkdocker f1 --dry-run --json", "would be created"),
        ("mkdocker f1 --json", "created"),
        ("mkdocker f1 --json", "unchanged"),
        ("rpower f1 state --json", "created"),
        ("rpower f1 start --no-probe --json", "success"),
        ("rpower f1 pause --json", "success"),
        ("rpower f1 state --json", "paused"),
        ("rpower f1 unpause --json", "success"),
    ] {
        assert_eq!(status(line), expected, "{line}");
    }
    assert_eq!(
        site.document("lsdocker f1 --json", "f1")["state"],
        "running"
    );
    let listed = site.document("lsdocker h1 --json", "h1");
    assert_eq!(listed["containers"][0]["name"], "f1", "{listed:#}");
    let console: Value = serde_json::from_str(&site.ok("rcons f1 --json")).unwrap();
    assert_eq!(
        (&console["node"], &console["attached"]),
        (&json!("f1"), &json!(true)),
        "{console:#}"
    );
    assert_eq!(status("rmdocker f1 -f --json"), "success");
    let gone = site.document("rpower f1 state --json", "f1");
    assert_eq!(gone["error"], "No such container: f1");
}

/// The first of two hosts has answered, and the second does not until that was seen.
fn progress() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [(_, quick), (slow, slow_socket)] = directories
        .each_ref()
        .map(|directory| NewestEngine::start(directory.path()));
    let nodes = [
        definition("f1", &quick, "10.1.0.21"),
        definition("f2", &slow_socket, "10.1.0.22"),
    ];
    let site = Site::bare(&nodes.concat());
    site.ok("mkdocker f1,f2");
    // It answers nothing while its containers are held.
    let held = slow.containers.lock().unwrap();
    let mut command = site.command("rpower");
    command.args(["f1,f2", "state"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "f1: created");
    drop(held);
    assert_eq!(lines.next().unwrap().unwrap(), "f2: created");
    assert!(child.wait().unwrap().success());
}
