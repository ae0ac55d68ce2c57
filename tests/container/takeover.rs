//! A management node that dies while nodes enrol: another takes over its volumes and its address, and every node enrols once.

use std::fs;
use std::process::{Child, Command};
use std::thread;

use anyhow::{Context, Result, ensure};
use e2e::{outcome, same};
use serde_json::{Value, json};

use super::compose::ComposeSite;
use super::engine::{Place, eventually, succeeded};

/// How many nodes enrol.
const NODES: usize = 10;
const SERVICES: [&str; 3] = ["signer", "slipwayd", "dnsmasq"];

/// Has ten nodes enrol, kills every container of a management node after the first have and while the others do, and lets
/// another management node on the same volumes take over; returns what the nodes enrolled with.
pub(super) fn killed_while_nodes_enrol(
    site: &ComposeSite,
    standby: &ComposeSite,
) -> Result<Vec<Value>> {
    let armed = armed(site)?;
    let containers: Vec<_> = SERVICES
        .iter()
        .map(|service| site.container(service))
        .collect::<Result<_>>()?;
    let ids: Vec<_> = containers.iter().map(String::as_str).collect();
    waits(standby, ids[0])?;
    let (first, others) = armed.split_at(NODES / 2);
    let start = |nodes: &[Value]| -> Result<Vec<Child>> {
        nodes.iter().map(|node| enrol(site, node)).collect()
    };
    let mut asking = start(first)?;
    eventually("a node has enrolled", || {
        Ok(armed.iter().any(|node| answer(site, node).is_ok()))
    })?;
    thread::scope(|scope| {
        let kill = scope.spawn(|| site.engine.succeed(&[&["kill"], ids.as_slice()].concat()));
        asking.extend(start(others)?);
        kill.join().expect("nothing panics").map(drop)
    })?;
    let before = armed.iter().filter(|node| answer(site, node).is_ok());
    let before = before.count();
    ensure!(
        before < NODES,
        "all had enrolled before the containers died"
    );
    println!("enrolled when the containers died: {before}");
    standby.compose(&["up", "--detach"])?;
    standby.is_healthy()?;
    for child in &mut asking {
        ensure!(child.wait()?.success(), "a node did not enrol");
    }
    for node in &armed {
        let identity = answer(site, node)?;
        let certificate = identity["certificate"].as_str().unwrap_or_default();
        ensure!(certificate.contains("BEGIN CERTIFICATE"), "{identity}");
    }
    let status = status(standby)?;
    same(&status["alarms"], &json!([]))?;
    // None was signed twice: who lost the answer gets the same one again.
    same(&status["issued"]["node"]["valid"], &json!(NODES))?;
    let is_ours = |node: &&Value| {
        node["node"]
            .as_str()
            .is_some_and(|name| name.starts_with("ha"))
    };
    let left = status["armed"]
        .as_array()
        .context("no list of armed nodes")?;
    same(&left.iter().filter(is_ours).count(), &0)?;
    Ok(armed)
}

/// Lets the nodes enrol, and returns their names and secrets.
fn armed(site: &ComposeSite) -> Result<Vec<Value>> {
    let define = "for n in $(seq 1 10); do mkdef ha$n groups=ha ip=10.1.1.$n mac=52:54:00:11:00:$(printf %02x $n); done; \
                  slipway-trust arm ha --json";
    let said = site.managed(&["bash", "-c", define])?;
    let (_, armed) = said.split_once('{').context("no node is armed")?;
    let mut armed: Value = serde_json::from_str(&format!("{{{armed}"))?;
    let armed: Vec<Value> = serde_json::from_value(armed["nodes"].take())?;
    same(&armed.len(), &NODES)?;
    Ok(armed)
}

/// The other signer waits for that of this container, and says so.
fn waits(standby: &ComposeSite, signer: &str) -> Result<()> {
    standby.compose(&["up", "--detach", "signer"])?;
    let holder = signer.get(..12).context("an identifier is long")?;
    let said = format!(" (slipway-trust) of {holder}, which signs for this site");
    eventually("the other signer waits", || {
        let log = standby.compose(&["logs", "signer"])?;
        Ok(log.contains("slipway-trust: waiting for process ") && log.contains(&said))
    })
}

/// What `slipway-trust status` says, whether or not something is wrong.
fn status(site: &ComposeSite) -> Result<Value> {
    let status = site.manage(&["slipway-trust", "status", "--json"])?;
    serde_json::from_str(&status.stdout).with_context(|| format!("{status:?}"))
}

/// A management node whose `config` was put back from before these nodes enrolled notices it: its status says so, a secret
/// that was used lets nobody in again, and a certificate that was signed since is an alarm.
pub(super) fn older_copy_is_noticed(site: &ComposeSite, nodes: &[Value]) -> Result<()> {
    let node = nodes.first().context("no node enrolled")?;
    let name = node["node"].as_str().context("a node has a name")?;
    let again = curl(
        site,
        node,
        "/v1/enrol",
        &["--data-binary", &format!("@{}", path(site, name, "body"))],
    )?;
    ensure!(again.ends_with("403"), "its secret counts again: {again}");
    let certificate = answer(site, node)?["certificate"].clone();
    let certificate = certificate.as_str().context("a node has a certificate")?;
    fs::write(path(site, name, "crt"), certificate)?;
    let shown = [
        "--cert",
        &path(site, name, "crt"),
        "--key",
        &path(site, name, "key"),
        "--request",
        "POST",
    ];
    let confirmed = curl(site, node, "/v1/confirm", &shown)?;
    ensure!(
        confirmed.ends_with("403"),
        "its certificate counts: {confirmed}"
    );
    let alarms = status(site)?["alarms"].to_string();
    for said in [
        "the store of what was signed was put back from a copy: ",
        "its certificate was signed here and is not on record",
    ] {
        ensure!(alarms.contains(said), "no alarm says '{said}': {alarms}");
    }
    Ok(())
}

/// Asks the daemon as a node, and returns the answer with its status.
fn curl(site: &ComposeSite, node: &Value, at: &str, options: &[&str]) -> Result<String> {
    let mut curl = site.engine.inside(Place::Node, "curl");
    curl.args([
        "--silent",
        "--show-error",
        "--insecure",
        "--max-time",
        "60",
        "--write-out",
        "%{http_code}",
    ]);
    curl.args(["--interface", &address(node)?]);
    succeeded(outcome(
        curl.args(options).arg(format!("https://10.1.0.2:8443{at}")),
    )?)
}

fn address(node: &Value) -> Result<String> {
    let name = node["node"].as_str().context("a node has a name")?;
    Ok(format!("10.1.1.{}", name.trim_start_matches("ha")))
}

/// Has a node ask for its identity, from its own address and with a key of its own, until it gets one.
fn enrol(site: &ComposeSite, node: &Value) -> Result<Child> {
    let name = node["node"].as_str().context("a node has a name")?;
    let (key, request) = (path(site, name, "key"), path(site, name, "csr"));
    let mut made = Command::new("openssl");
    made.args(["req", "-new", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"])
        .args(["-keyout", &key, "-out", &request]);
    succeeded(outcome(&mut made)?)?;
    let body =
        json!({ "node": name, "token": node["token"], "request": fs::read_to_string(&request)? });
    let asked = path(site, name, "body");
    fs::write(&asked, body.to_string())?;
    let address = address(node)?;
    let on = ["address", "add", &format!("{address}/16"), "dev", "eth0"];
    succeeded(outcome(site.engine.inside(Place::Node, "ip").args(on))?)?;
    let script = "for try in $(seq 1 600); do
        if curl --silent --fail --max-time 20 --insecure --interface $1 --data-binary @$2 --output $3.new \\
            https://10.1.0.2:8443/v1/enrol; then mv $3.new $3; exit 0; fi; sleep 0.5; done; exit 1";
    let mut client = site.engine.inside(Place::Node, "sh");
    client.args(["-c", script, "sh", &address, &asked]);
    Ok(client.arg(path(site, name, "answer")).spawn()?)
}

/// What a node got, if it did.
fn answer(site: &ComposeSite, node: &Value) -> Result<Value> {
    let name = node["node"].as_str().context("a node has a name")?;
    let text = fs::read_to_string(path(site, name, "answer"))?;
    Ok(serde_json::from_str(&text)?)
}

fn path(site: &ComposeSite, node: &str, kind: &str) -> String {
    let file = format!("{node}.{kind}");
    site.engine.path(&file).display().to_string()
}
