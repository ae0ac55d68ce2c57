//! What nodes and administrators ask.

use std::process::Command;

use serde_json::{Value, json};

use super::lab::daemon::{Daemon, curl};
use super::lab::{Ended, Lab, ended};

pub(super) fn enrol(
    lab: &Lab,
    daemon: &Daemon,
    node: &str,
    token: &str,
    request: &str,
) -> (String, String) {
    let body = json!({ "node": node, "token": token, "request": lab.read(request) }).to_string();
    curl(lab, &["--data-binary", &body, &daemon.tls_url("/v1/enrol")])
}

pub(super) fn nodestat(lab: &Lab, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodestat"));
    command
        .args(arguments)
        .arg("--state")
        .arg(lab.path("state"))
        .env("SLIPWAY_CONFIG", lab.path("config"));
    ended(&mut command, lab.root())
}

pub(super) fn state_of(lab: &Lab, node: &str) -> String {
    let document: Value = serde_json::from_str(&nodestat(lab, &[node, "--json"]).stdout).unwrap();
    let node = &document["nodes"][0];
    format!(
        "{} {}",
        node["state"].as_str().unwrap_or("none"),
        node["by"].as_str().unwrap_or("none")
    )
}
