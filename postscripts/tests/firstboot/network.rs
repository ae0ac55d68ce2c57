//! A network that comes late, or not; and the management node that may listen.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use definitions::ScriptOrigin;

use crate::node::{Node, Server, entry};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "programs_are_fetched_once_the_network_is_there",
        Need::Nothing,
        late,
    ),
    (
        "without_a_network_what_is_here_runs_and_the_rest_waits_for_the_next_boot",
        Need::Nothing,
        never,
    ),
    (
        "a_script_that_asks_for_another_try_gets_one",
        Need::Nothing,
        temporary,
    ),
    (
        "a_connection_that_is_cut_is_tried_again",
        Need::Nothing,
        cut,
    ),
    (
        "a_program_is_fetched_once_even_under_two_names",
        Need::Nothing,
        twins,
    ),
    (
        "states_are_told_to_a_management_node_that_listens",
        Need::Nothing,
        states,
    ),
    (
        "states_are_reported_by_the_node_s_certificate_where_it_has_one",
        Need::Nothing,
        certified,
    ),
    (
        "a_management_node_that_says_nothing_or_is_a_name_holds_nothing_up",
        Need::Nothing,
        silent,
    ),
];

/// Finds an address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn late() {
    let address = nobody();
    let mut node = Node::new();
    node.script("first", "echo first >> trace");
    node.script("second", "echo second >> trace");
    let programs =
        ["first", "second"].map(|name| (name, format!("#!/bin/sh\necho {name} >> trace\n")));
    node.list.source = format!("http://{address}/install/postscripts");
    node.install();
    let server = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        let server = Server::start(&address.to_string());
        for (name, content) in programs {
            server.serve(name, content.as_bytes());
        }
    });
    let ran = node.run(&["--patience", "30"]).expect(0);
    server.join().unwrap();
    assert_eq!(node.trace(), ["first", "second"]);
    let waiting = format!(
        "firstboot: first: fetching it from {}: connecting to {address}: Connection refused (os error \
         111): trying again in 1 s\n",
        node.list.source
    );
    assert!(ran.err.starts_with(&waiting), "{}", ran.err);
}

fn never() {
    let mut node = Node::new();
    node.script("here", "echo here >> trace");
    node.install();
    node.run(&["--fetch"]).expect(0);
    node.script("away", "echo away >> trace");
    let source = std::mem::replace(
        &mut node.list.source,
        format!("http://{}/install/postscripts", nobody()),
    );
    node.install();

    let begun = Instant::now();
    let ran = node.run(&["--patience", "2"]).expect(75);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(node.trace(), ["here"]);
    let results = node.results();
    assert_eq!(results[0], "here done 0");
    assert!(
        results[1].starts_with("away waiting 75: fetching it from "),
        "{}",
        results[1]
    );
    assert!(
        ran.err.ends_with("firstboot: 1 did not end within 2 s\n"),
        "{}",
        ran.err
    );
    let last = "host01: failed: 1 of 2 scripts failed or are tried again at the next boot\n";
    assert!(ran.out.ends_with(last), "{}", ran.out);

    // Not all has ended, so the next boot goes on, and does not repeat.
    node.boots("2");
    node.list.source = source;
    node.install();
    node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["here", "away"]);
    node.run(&["--status"]).expect(0);
}

fn temporary() {
    let mut node = Node::new();
    node.script(
        "moody",
        "echo moody >> trace; [ $(wc -l < trace) -ge 4 ] || exit 75",
    );
    node.script("other", "echo other >> trace");
    node.install();
    let ran = node.run(&["--patience", "30"]).expect(0);
    assert_eq!(node.trace(), ["moody", "other", "moody", "moody"]);
    assert!(
        ran.out
            .contains("moody exited with code 75 (it is tried again)\n"),
        "{}",
        ran.out
    );
    assert_eq!(
        ran.err,
        "firstboot: 1 had no network, or asked for another try: trying again in 1 s
firstboot: 1 had no network, or asked for another try: trying again in 2 s
"
    );
    assert_eq!(node.status()["scripts"][0]["attempts"], 3);
}

fn cut() {
    let mut node = Node::new();
    node.script("mine", "echo mine >> trace");
    node.server.say(
        "mine",
        b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n#!/bin/sh",
    );
    node.install();
    let ran = node.run(&["--patience", "0"]).expect(75);
    let reason = "the connection ended after 9 of 28 bytes";
    assert!(ran.out.contains(reason), "{}", ran.out);
    assert!(node.trace().is_empty());
    node.server
        .serve("mine", b"#!/bin/sh\necho mine >> trace\n");
    node.run(&["--patience", "0"]).expect(0);
    assert_eq!(node.trace(), ["mine"]);
}

fn twins() {
    let mut node = Node::new();
    let content = "#!/bin/sh\nbasename $0 >> trace\n";
    for name in ["bridgeprereq", "xHRM"] {
        node.program(name, content);
        node.list
            .postbootscripts
            .push(entry(ScriptOrigin::Node, name));
    }
    node.install();
    let ran = node.run(&["--fetch"]).expect(0);
    assert_eq!(ran.out, "2 of 2 programs are here and verified\n");
    assert_eq!(node.server.asked(), ["bridgeprereq"]);
    node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["bridgeprereq", "xHRM"]);
    assert_eq!(node.server.asked(), [""; 0]);
}

/// Listens as xCAT's server does; hands over the lines that it hears.
fn listener(greets: bool) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if greets {
                stream.write_all(b"ready\n").unwrap();
            }
            let mut line = [0; 64];
            let n = stream.read(&mut line).unwrap();
            sender
                .send(String::from_utf8_lossy(&line[..n]).into_owned())
                .unwrap();
            if greets {
                stream.write_all(b"done\n").unwrap();
            } else {
                std::mem::forget(stream);
            }
        }
    });
    (address, receiver)
}

/// A node that reports to a management node at an address.
fn node_of(address: SocketAddr) -> Node {
    let mut node = Node::new();
    for (name, value) in [
        ("MASTER", address.ip().to_string()),
        ("XCATIPORT", address.port().to_string()),
    ] {
        node.list.environment.insert(name.to_owned(), value);
    }
    node
}

fn states() {
    let (address, heard) = listener(true);
    let mut node = node_of(address);
    node.script("broken", "exit 1");
    node.install();
    node.run(&["--phase", "installer"]).expect(0);
    node.run(&[]).expect(1);
    let heard: Vec<_> = heard.try_iter().collect();
    let states = ["installing", "booting", "postbooting", "failed"];
    assert_eq!(
        heard,
        states.map(|state| format!("installstatus {state}\n"))
    );
}

fn certified() {
    let (address, heard) = listener(true);
    let mut node = node_of(address);
    let (identity, told) = (node.path("etc/slipway/identity"), node.path("told"));
    let [identity, told] = [identity.display(), told.display()];
    node.script(
        "enrol",
        &format!(
            "case $3 in --report) echo \"$4\"; cat;; *) mkdir -p {identity}; : >{identity}/cert.pem; exit;; esac >>{told}"
        ),
    );
    node.script("broken", "echo one; echo two >&2; exit 4");
    node.install();
    node.run(&[]).expect(4);
    assert_eq!(
        heard.try_iter().collect::<Vec<_>>(),
        ["installstatus postbooting\n"],
        "before there was an identity"
    );
    let told = fs::read_to_string(node.path("told")).unwrap();
    assert_eq!(told, "failed\nbroken: ended with 4\none\ntwo");
}

fn silent() {
    let (address, heard) = listener(false);
    let mut node = Node::new();
    node.list
        .environment
        .insert("MASTER".to_owned(), address.ip().to_string());
    node.list
        .environment
        .insert("XCATIPORT".to_owned(), address.port().to_string());
    node.script("mine", "true");
    node.install();
    let begun = Instant::now();
    let ran = node.run(&[]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!((ran.err.as_str(), heard.try_iter().count()), ("", 2));

    fs::remove_file(node.path("var/lib/slipway/firstboot.done")).unwrap();
    node.list
        .environment
        .insert("MASTER".to_owned(), "mn01".to_owned());
    node.install();
    let ran = node.run(&[]).expect(0);
    let said =
        |state| format!("firstboot: MASTER 'mn01' is not an address: '{state}' is not reported\n");
    assert_eq!(ran.err, said("postbooting") + &said("booted"));
}
