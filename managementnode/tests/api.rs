//! The API of the real `slipwayd`, asked by curl.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lab::Lab;
use lab::daemon::{Daemon, LONG, arm, curl, openssl, request, trusted, with_writer as ready};
use serde_json::{Value, json};

fn main() -> ExitCode {
    lab::main(
        &["curl", "openssl"],
        None,
        &[
            ("clients_read_definitions_states_and_trust", reading),
            ("whoever_is_no_client_reads_nothing", strangers),
            ("a_change_needs_the_version_that_was_read", versions),
            ("of_those_who_read_the_same_version_one_changes_it", race),
            ("a_change_is_checked_as_by_the_verbs", checks),
            ("the_site_says_who_may_change_definitions", writers),
            ("secrets_stay_and_are_not_shown", secrets),
            ("no_file_is_read_for_a_client", ranges),
        ],
    )
}

/// What is answered: the status, the version, the document.
struct Answered {
    status: String,
    tag: String,
    document: Value,
}

/// Asks as a client.
fn ask(lab: &Lab, daemon: &Daemon, client: &str, path: &str, arguments: &[&str]) -> Answered {
    let (certificate, key) = (format!("{client}/cert.pem"), format!("{client}/key.pem"));
    let own = ["--cert", &certificate, "--key", &key, "--include"];
    let url = daemon.tls_url(path);
    let (status, text) = curl(lab, &[&own, arguments, &[&url]].concat());
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: "));
    Answered {
        status,
        tag: tag.unwrap_or_default().to_owned(),
        document: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

fn get(lab: &Lab, daemon: &Daemon, path: &str) -> Answered {
    ask(lab, daemon, "alice", path, &[])
}

/// Changes an object as a client.
fn put(
    (lab, daemon): (&Lab, &Daemon),
    client: &str,
    path: &str,
    condition: &str,
    body: &Value,
) -> Answered {
    let body = body.to_string();
    let arguments = [
        "--request",
        "PUT",
        "--header",
        "Content-Type: application/json",
        "--header",
        condition,
        "--data-binary",
        &body,
    ];
    ask(lab, daemon, client, path, &arguments)
}

fn if_match(tag: &str) -> String {
    format!("If-Match: {tag}")
}

/// What a problem says, with its status.
fn problem(answered: &Answered) -> String {
    let text = |name: &str| answered.document[name].as_str().unwrap_or_default();
    format!("{} {}", answered.status, text("detail"))
}

fn reading() {
    let lab = ready();
    let daemon = Daemon::with_signer(&lab);
    let own = json!({ "groups": ["rack1"], "ip": "127.0.0.1" });
    for (path, expected) in [
        (
            "/v1/nodes?noderange=n1",
            json!({ "nodes": [{ "name": "n1", "attributes": own }] }),
        ),
        ("/v1/nodes/n1", json!({ "name": "n1", "attributes": own })),
        (
            "/v1/nodes/n1/effective",
            json!({ "name": "n1", "attributes": { "groups": ["rack1"], "ip": "127.0.0.1", "os": "debian13.1" } }),
        ),
        (
            "/v1/groups",
            json!({ "groups": [{ "name": "rack1", "attributes": { "os": "debian13.1" } }] }),
        ),
        (
            "/v1/osimages/trixie",
            json!({ "name": "trixie", "attributes": { "osvers": "debian13.1" } }),
        ),
        (
            "/v1/networks/lo",
            json!({ "name": "lo", "attributes": { "net": "127.0.0.0", "mask": "/8" } }),
        ),
    ] {
        let answered = get(&lab, &daemon, path);
        assert_eq!(
            (answered.status.as_str(), answered.document),
            ("200", expected),
            "{path}"
        );
    }
    assert_eq!(
        get(&lab, &daemon, "/v1/nodes").document["nodes"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        get(&lab, &daemon, "/v1/site").document["attributes"]["domain"],
        "cluster"
    );
    let body = "{\"state\":\"failed\",\"lines\":[\"one\"]}";
    let report = daemon.url("/v1/report");
    assert_eq!(curl(&lab, &["--data-binary", body, &report]).0, "200");
    let states = get(&lab, &daemon, "/v1/states").document;
    assert_eq!(
        states["states"][0],
        get(&lab, &daemon, "/v1/states/n1").document
    );
    for (member, expected) in [
        ("node", json!("n1")),
        ("state", json!("failed")),
        ("by", json!("address")),
        ("lines", json!(["one"])),
    ] {
        assert_eq!(states["states"][0][member], expected);
    }
    assert_eq!(
        states["states"][1],
        json!({ "node": "n2", "state": null, "since": null, "by": null, "lines": [] })
    );
    let trust = get(&lab, &daemon, "/v1/trust").document;
    assert_eq!(
        (&trust["issued"]["client"]["valid"], &trust["problems"]),
        (&json!(2), &json!([]))
    );
    // What has not changed is not sent again.
    let tag = get(&lab, &daemon, "/v1/nodes/n1").tag;
    let known = format!("If-None-Match: {tag}");
    let again = ask(
        &lab,
        &daemon,
        "alice",
        "/v1/nodes/n1",
        &["--header", &known],
    );
    assert_eq!(
        (again.status.as_str(), again.document),
        ("304", Value::Null)
    );
    for (path, expected) in [
        (
            "/v1/nodes/n3",
            "404 Could not find an object named 'n3' of type 'node'.",
        ),
        (
            "/v1/states/n3",
            "404 Could not find an object named 'n3' of type 'node'.",
        ),
        ("/v1/osimages/..%2f..%2fetc", "404 there is no such path"),
        ("/v1/nothing", "404 there is no such path"),
        (
            "/v1/nodes?x=y",
            "400 the query is to be noderange=…, with escapes as in a URL",
        ),
        (
            "/v1/nodes?noderange=n9",
            "400 Could not find an object named 'n9' of type 'node'.",
        ),
        (
            "/v1/osimages?noderange=n1",
            "400 a node range chooses nodes and states alone",
        ),
    ] {
        assert_eq!(problem(&get(&lab, &daemon, path)), expected, "{path}");
    }
    let deleted = ask(&lab, &daemon, "alice", "/v1/site", &["--request", "DELETE"]);
    assert_eq!(problem(&deleted), "405 this path is for GET, PUT");
}

fn strangers() {
    let lab = ready();
    let daemon = Daemon::with_signer(&lab);
    let clients = "this is for clients of the site: on the management node, as root: slipway-trust issue NAME";
    let url = daemon.tls_url("/v1/nodes");
    let (status, text) = curl(&lab, &[&url]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status.as_str(), told["detail"].as_str()),
        ("403", Some(clients))
    );
    // A node is no client.
    request(&lab, "n1");
    let (_, token) = arm(&lab, "n1").remove(0);
    let body = json!({ "node": "n1", "token": token, "request": lab.read("n1.csr") }).to_string();
    let (_, answer) = curl(
        &lab,
        &["--data-binary", &body, &daemon.tls_url("/v1/enrol")],
    );
    let answer: Value = serde_json::from_str(&answer).unwrap();
    lab.write("n1.crt", answer["certificate"].as_str().unwrap());
    for path in [
        "/v1/nodes",
        "/v1/nodes/n1",
        "/v1/site",
        "/v1/states",
        "/v1/trust",
    ] {
        let (status, text) = curl(
            &lab,
            &["--cert", "n1.crt", "--key", "n1.key", &daemon.tls_url(path)],
        );
        assert_eq!(status, "403", "{path}: {text}");
        // Without TLS there is no API.
        assert_eq!(curl(&lab, &[&daemon.url(path)]).0, "404", "{path}");
    }
    // One that another authority signed ends with the handshake.
    let made = openssl(
        &lab,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=alice",
            "-keyout",
            "o.key",
            "-out",
            "o.crt",
        ],
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(
        curl(&lab, &["--cert", "o.crt", "--key", "o.key", &url]).0,
        "failed"
    );
    // One that is revoked counts no more, also on a connection that is open, and one whose standing is not known neither.
    assert_eq!(get(&lab, &daemon, "/v1/nodes").status, "200");
    trusted(&lab, &["revoke", "alice"]);
    let end = Instant::now() + LONG;
    while problem(&get(&lab, &daemon, "/v1/nodes")) != "403 this certificate is revoked" {
        assert!(Instant::now() < end, "a revoked certificate counts");
        thread::sleep(Duration::from_millis(200));
    }
    drop(daemon);
    let daemon = Daemon::start(&lab);
    let alone = ask(&lab, &daemon, "bob", "/v1/nodes", &[]);
    assert_eq!(problem(&alone), "503 the daemon's log says why; ask again");
    // The description is everybody's.
    assert_eq!(curl(&lab, &[&daemon.tls_url("/v1/openapi.json")]).0, "200");
}

fn versions() {
    let lab = ready();
    let daemon = Daemon::with_editor(&lab);
    let read = get(&lab, &daemon, "/v1/nodes/n2");
    let mut node = read.document.clone();
    node["attributes"]["usercomment"] = json!("moved");
    let needed = "428 a change needs If-Match with the ETag of what was read, or If-None-Match: * to make what is new";
    let none = put((&lab, &daemon), "alice", "/v1/nodes/n2", "X-None: x", &node);
    assert_eq!(problem(&none), needed);
    let changed = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n2",
        &if_match(&read.tag),
        &node,
    );
    assert_eq!((changed.status.as_str(), &changed.document), ("200", &node));
    assert_eq!(get(&lab, &daemon, "/v1/nodes/n2").tag, changed.tag);
    // The comment of the person who wrote the file stays.
    let file = lab.read("config/nodes/nodes.toml");
    assert!(
        file.contains("[node.n2] # the second") && file.contains("usercomment = \"moved\""),
        "{file}"
    );
    let stale = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n2",
        &if_match(&read.tag),
        &node,
    );
    assert_eq!(
        problem(&stale),
        "412 the node 'n2' is not as it was: read it again"
    );
    // What chdef changes is another version, too.
    let read = get(&lab, &daemon, "/v1/nodes/n2");
    lab.write("config/nodes/nodes.toml", &file.replace("moved", "back"));
    let stale = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n2",
        &if_match(&read.tag),
        &node,
    );
    assert_eq!(stale.status, "412");
    // New ones.
    let new = json!({ "attributes": { "groups": ["rack1"] } });
    let made = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n3",
        "If-None-Match: *",
        &new,
    );
    assert_eq!(
        (made.status.as_str(), &made.document["name"]),
        ("201", &json!("n3"))
    );
    let again = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n3",
        "If-None-Match: *",
        &new,
    );
    assert_eq!(again.status, "412");
    let absent = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n4",
        "If-Match: *",
        &new,
    );
    assert_eq!(problem(&absent), "412 there is no node 'n4'");
    // And gone.
    let delete = |condition: &str| {
        let arguments = ["--request", "DELETE", "--header", condition];
        ask(&lab, &daemon, "alice", "/v1/nodes/n3", &arguments)
    };
    assert_eq!(
        problem(&delete("X-None: x")),
        "428 a change needs If-Match with the ETag of what was read"
    );
    assert_eq!(delete("If-Match: \"other\"").status, "412");
    assert_eq!(delete(&if_match(&made.tag)).status, "204");
    assert_eq!(delete(&if_match(&made.tag)).status, "412");
    assert_eq!(get(&lab, &daemon, "/v1/nodes/n3").status, "404");
    // Osimages, networks and the site alike.
    for path in ["/v1/osimages/trixie", "/v1/networks/lo", "/v1/site"] {
        let read = get(&lab, &daemon, path);
        let mut object = read.document.clone();
        let remark = if path == "/v1/osimages/trixie" {
            "description"
        } else {
            "comments"
        };
        object["attributes"][remark] = json!("by the API");
        let changed = put(
            (&lab, &daemon),
            "alice",
            path,
            &if_match(&read.tag),
            &object,
        );
        assert_eq!(
            (changed.status.as_str(), &changed.document),
            ("200", &object),
            "{path}: {}",
            problem(&changed)
        );
        assert_eq!(get(&lab, &daemon, path).document, object);
    }
}

fn race() {
    let lab = ready();
    let daemon = Daemon::with_editor(&lab);
    let read = get(&lab, &daemon, "/v1/nodes/n1");
    let statuses: Vec<_> = thread::scope(|scope| {
        let asked = (0..8).map(|at| {
            let (lab, daemon, read) = (&lab, &daemon, &read);
            scope.spawn(move || {
                let mut node = read.document.clone();
                node["attributes"]["usercomment"] = json!(format!("by {at}"));
                put(
                    (lab, daemon),
                    "alice",
                    "/v1/nodes/n1",
                    &if_match(&read.tag),
                    &node,
                )
                .status
            })
        });
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let count = |wanted: &str| statuses.iter().filter(|status| *status == wanted).count();
    assert_eq!((count("200"), count("412")), (1, 7), "{statuses:?}");
}

fn checks() {
    let lab = ready();
    let daemon = Daemon::with_editor(&lab);
    let before = lab.read("config/nodes/nodes.toml");
    let new = "If-None-Match: *";
    for (path, body, expected) in [
        (
            "n3",
            json!({ "attributes": {} }),
            "422 the attribute 'groups' must be set for the node 'n3'",
        ),
        (
            "n3",
            json!({ "attributes": { "groups": "rack1" } }),
            "422 'groups' is not written as its value must be: expected an array of strings",
        ),
        (
            "n3",
            json!({ "attributes": { "groups": ["all"], "ip": 7 } }),
            "422 'ip' is not written as its value must be: expected a string",
        ),
        (
            "n3",
            json!({ "attributes": { "groups": ["all"], "ip": "10.1" } }),
            "422 '10.1' is not an IP address: expected an address such as '10.1.0.5' or 'fd00::5'",
        ),
        (
            "n3",
            json!({ "attributes": { "groups": ["all"], "colour": "red" } }),
            "422 'colour' is not a valid attribute name for an object type of 'node'",
        ),
        (
            "N1",
            json!({ "attributes": { "groups": ["all"] } }),
            "422 the nodes 'N1' and 'n1' differ in case alone, which host names do not: name one otherwise",
        ),
        (
            "n3",
            json!({ "name": "n4", "attributes": {} }),
            "422 the name is not the one in the path",
        ),
        (
            "n3",
            json!({ "attributes": {}, "more": 1 }),
            "400 the body is not {\"name\": …, \"attributes\": {…}}, of at most 64 KiB",
        ),
        (
            "n3",
            json!({ "attributes": { "groups": ["x".repeat(70_000)] } }),
            "413 the body is not {\"name\": …, \"attributes\": {…}}, of at most 64 KiB",
        ),
    ] {
        let answered = put(
            (&lab, &daemon),
            "alice",
            &format!("/v1/nodes/{path}"),
            new,
            &body,
        );
        assert_eq!(problem(&answered), expected);
    }
    let named = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/-x",
        new,
        &json!({ "attributes": { "groups": ["all"] } }),
    );
    assert!(
        problem(&named).starts_with("422 '-x' is not "),
        "{}",
        problem(&named)
    );
    let arguments = [
        "--request",
        "PUT",
        "--header",
        new,
        "--header",
        "Content-Type: text/plain",
        "--data-binary",
        "{}",
    ];
    let form = ask(&lab, &daemon, "alice", "/v1/nodes/n3", &arguments);
    assert_eq!(problem(&form), "415 the body is to be application/json");
    assert_eq!(lab.read("config/nodes/nodes.toml"), before);
}

fn writers() {
    let lab = ready();
    let daemon = Daemon::with_editor(&lab);
    let new = json!({ "attributes": { "groups": ["rack1"] } });
    let refused = put(
        (&lab, &daemon),
        "bob",
        "/v1/nodes/n3",
        "If-None-Match: *",
        &new,
    );
    assert_eq!(
        problem(&refused),
        "403 the site does not let 'bob' change definitions: on the management node, as root: chdef -t site -p \
         apiwriters=bob"
    );
    assert_eq!(ask(&lab, &daemon, "bob", "/v1/nodes/n3", &[]).status, "404");
    // Nobody may, unless the site says so.
    lab.site("master = \"127.0.0.1\"\ndomain = \"cluster\"\n");
    let refused = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n3",
        "If-None-Match: *",
        &new,
    );
    assert_eq!(refused.status, "403");
    drop(daemon);
    // Without the editor, which is started apart, nothing changes.
    let daemon = Daemon::with_signer(&lab);
    let _ = fs::remove_file(lab.path("editor.sock"));
    let refused = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n3",
        "If-None-Match: *",
        &new,
    );
    assert_eq!(
        problem(&refused),
        "503 the daemon's log says why; ask again"
    );
}

fn secrets() {
    let lab = ready();
    lab.write(
        "config/secrets.toml",
        "[node.n1]\nbmcpassword = \"hidden\"\n",
    );
    fs::set_permissions(
        lab.path("config/secrets.toml"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let daemon = Daemon::with_editor(&lab);
    let read = get(&lab, &daemon, "/v1/nodes/n1");
    for path in ["/v1/nodes", "/v1/nodes/n1", "/v1/nodes/n1/effective"] {
        let shown = get(&lab, &daemon, path).document.to_string();
        assert!(
            shown.contains("rack1") && !shown.contains("hidden") && !shown.contains("bmcpassword"),
            "{shown}"
        );
    }
    let mut node = read.document.clone();
    node["attributes"]["usercomment"] = json!("x");
    let changed = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n1",
        &if_match(&read.tag),
        &node,
    );
    assert_eq!(changed.status, "200");
    assert!(
        lab.read("config/secrets.toml")
            .contains("bmcpassword = \"hidden\"")
    );
    node["attributes"]["bmcpassword"] = json!("other");
    let changed = put(
        (&lab, &daemon),
        "alice",
        "/v1/nodes/n1",
        &if_match(&changed.tag),
        &node,
    );
    assert_eq!(
        (
            changed.status.as_str(),
            &changed.document["attributes"]["bmcpassword"]
        ),
        ("200", &Value::Null)
    );
    assert!(
        lab.read("config/secrets.toml")
            .contains("bmcpassword = \"other\"")
    );
    assert!(!lab.read("config/nodes/nodes.toml").contains("other"));
    let mode = fs::metadata(lab.path("config/secrets.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn ranges() {
    let lab = ready();
    lab.write("secret", "root-password\n");
    let daemon = Daemon::with_signer(&lab);
    let path = lab.path("secret").display().to_string();
    for path in [
        format!("/v1/nodes?noderange=%5E{path}"),
        format!("/v1/states?noderange=n1,%5E{path}"),
    ] {
        let answered = get(&lab, &daemon, &path);
        assert_eq!(answered.status, "400", "{path}");
        assert!(
            problem(&answered).contains("is not read for clients"),
            "{}",
            problem(&answered)
        );
    }
    let answered = get(
        &lab,
        &daemon,
        "/v1/nodes?noderange=n%5B1-2%5D%40rack1%2C-n2",
    );
    assert_eq!(answered.document["nodes"].as_array().unwrap().len(), 1);
}
