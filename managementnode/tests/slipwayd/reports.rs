//! What nodes report, and what nodestat shows of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::lab::daemon::{Daemon, LONG, curl, ready, site};
use super::scene::{nodestat, state_of};

pub(super) fn installstatus() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let tell = |text: &str| {
        let mut stream = TcpStream::connect(daemon.reports).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ready\n");
        let _ = stream.write_all(text.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert_eq!(tell("installstatus installing\n"), "done\n");
    assert_eq!(state_of(&lab, "n1"), "installing address");
    assert_eq!(tell("installstatus booted\n"), "done\n");
    for odd in [
        "installstatus gone\n",
        "status booting\n",
        "\n",
        &format!("{}\n", "x".repeat(1000)),
    ] {
        tell(odd);
        assert_eq!(state_of(&lab, "n1"), "booted address", "{odd}");
    }
}

pub(super) fn killed() {
    let nodes: String = (1..=200)
        .map(|n| format!("[node.k{n:03}]\nip = \"127.0.2.{n}\"\n"))
        .collect();
    let lab = site(&nodes);
    let mut noted = Vec::new();
    for round in 0..4 {
        let mut daemon = Daemon::start(&lab);
        let url = daemon.url("/v1/report");
        for n in (round * 50 + 1)..=(round * 50 + 50) {
            let from = format!("127.0.2.{n}");
            if curl(
                &lab,
                &[
                    "--interface",
                    &from,
                    "--data-binary",
                    "{\"state\":\"booted\"}",
                    &url,
                ],
            )
            .0 == "200"
            {
                noted.push(format!("k{n:03}"));
            }
        }
        daemon.kill();
    }
    assert_eq!(noted.len(), 200);
    let document: Value =
        serde_json::from_str(&nodestat(&lab, &["k[001-200]", "--json"]).stdout).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert!(nodes.len() == 200 && nodes.iter().all(|node| node["state"] == "booted"));
}

pub(super) fn watch() {
    let lab = ready();
    let daemon = Daemon::start(&lab);
    let url = daemon.url("/v1/report");
    let mut watching = Command::new(env!("CARGO_BIN_EXE_nodestat"))
        .args(["-w", "n1,n2", "--state"])
        .arg(lab.path("state"))
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap());
    assert_eq!(lines.next().unwrap(), "n1: unknown");
    assert_eq!(lines.next().unwrap(), "n2: unknown");
    for state in ["installing", "booted"] {
        assert_eq!(
            curl(
                &lab,
                &[
                    "--data-binary",
                    &json!({ "state": state }).to_string(),
                    &url
                ]
            )
            .0,
            "200"
        );
        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("n1: {state} since ")), "{line}");
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
    let unknown = nodestat(&lab, &["n9"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (
            Some(1),
            "nodestat: Could not find an object named 'n9' of type 'node'.\n"
        )
    );
}
