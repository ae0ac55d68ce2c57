//! `daemon.json`: ours merged into the user's, as text.
//!
//! The user's file and what dockerd's command line says come in; the file as it should be goes
//! out, or the conflict: a key of ours that the user has set to something else, or one that dockerd would
//! find in both places and refuse to start with. Keys that are not ours keep their value and their place.
//! The keys are those of dockerd(8), "Daemon configuration file".

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::dockerd_command::Flag;
use super::listener::ListenAddress;
use super::unique_keys;

/// What we want dockerd to do.
#[derive(Debug, Clone)]
pub(super) struct DaemonSettings<'a> {
    /// Where dockerd answers for the host itself, where nothing says so yet.
    pub(super) local: &'a str,
    /// Where it answers for trusted clients: `tcp://ADDR:PORT`.
    pub(super) remote: &'a str,
    /// Whether systemd listens there for it, so that dockerd must not.
    pub(super) is_activated: bool,
    /// The authorities whose clients it trusts.
    pub(super) authorities: &'a Path,
    /// Its certificate.
    pub(super) certificate: &'a Path,
    /// Its key.
    pub(super) key: &'a Path,
    /// Whether a restart of it leaves containers running, which it cannot in swarm mode.
    pub(super) live_restore: bool,
}

/// The file as it should be, and what of it is worth a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}

/// Options of dockerd that may be given several times: their key is a list and has an `s` more.
const LISTS: [&str; 13] = [
    "authorization-plugin",
    "cdi-spec-dir",
    "cluster-store-opt",
    "default-address-pool",
    "default-ulimit",
    "dns-opt",
    "exec-opt",
    "host",
    "label",
    "log-opt",
    "node-generic-resource",
    "registry-mirror",
    "storage-opt",
];

/// Puts our keys into the user's `daemon.json`.
///
/// An absent or empty file is an empty object. `hosts` is a list, so it is joined, also with the
/// listeners of the command line, which dockerd refuses to find in both places: a socket that the user
/// added stays, as long as it is no TCP address, which would be open without our certificates' names or
/// clash with ours. Any other key is set in one place: where the command line says what we want, it is
/// not said here again.
pub(super) fn merge(text: &str, flags: &[Flag], settings: &DaemonSettings<'_>) -> Result<Merged> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let Value::Object(mut config) = unique_keys::parse(text)? else {
        bail!("reading it: no JSON object")
    };
    let before = config.clone();
    let notes = merge_hosts(&mut config, flags, settings)?;
    for (key, value) in keys(settings) {
        merge_key(&mut config, flags, key, value)?;
    }
    refuse_duplicates(&config, flags)?;
    if config == before {
        let text = text.to_owned();
        return Ok(Merged { text, notes });
    }
    let mut text = serde_json::to_string_pretty(&config).context("writing it as JSON")?;
    text.push('\n');
    Ok(Merged { text, notes })
}

fn merge_key(
    config: &mut Map<String, Value>,
    flags: &[Flag],
    key: &str,
    value: Value,
) -> Result<()> {
    let flag_given = flags.iter().rev().find(|flag| flag.name == key);
    let settings = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match (flag_given, config.get(key)) {
        (_, Some(user)) if *user != value => bail!(
            "\"{key}\" is {user} there and has to be {value}: remove it there, or set it to that"
        ),
        (Some(flag), _) if !flag.has_value(&settings) => bail!(
            "{flag} is in {} and \"{key}\" has to be {value}: remove it there",
            flag.origin
        ),
        (Some(_), _) => drop(config.shift_remove(key)),
        (None, Some(_)) => {}
        (None, None) => drop(config.insert(key.to_owned(), value)),
    }
    Ok(())
}

/// Fails when the command line and the file set the same: dockerd does not start then.
fn refuse_duplicates(config: &Map<String, Value>, flags: &[Flag]) -> Result<()> {
    for flag in flags {
        let key = key_of(&flag.name);
        let held = config.contains_key(key.as_str()) || config.contains_key(&flag.name);
        // Of these dockerd takes both.
        if held && key != "hosts" && key != "runtimes" {
            bail!(
                "{flag} is in {} and \"{key}\" there: dockerd refuses to start with both; remove one \
                 of them",
                flag.origin
            );
        }
    }
    Ok(())
}

/// The key of an option.
fn key_of(name: &str) -> String {
    match name {
        "add-runtime" => "runtimes".to_owned(),
        "insecure-registry" => "insecure-registries".to_owned(),
        name if LISTS.contains(&name) => format!("{name}s"),
        name => name.to_owned(),
    }
}

/// Returns every address that dockerd is configured to listen on, in the file and on the command line.
pub(super) fn listeners(text: &str, flags: &[Flag]) -> Vec<String> {
    let config = unique_keys::parse(text).unwrap_or_default();
    let hosts = config["hosts"].as_array().map(Vec::as_slice);
    let hosts = hosts.unwrap_or_default().iter().filter_map(Value::as_str);
    let given = flags.iter().filter(|flag| flag.name == "host");
    let given = given.map(|flag| flag.value.as_str());
    hosts.chain(given).map(str::to_owned).collect()
}

/// Returns the same with a plugin among those that dockerd asks who may do what, or without; `None` where it is so.
pub(super) fn with_plugin(text: &str, plugin: &str, asks: bool) -> Result<Option<String>> {
    const KEY: &str = "authorization-plugins";
    let text = if text.trim().is_empty() { "{}" } else { text };
    let Value::Object(mut config) = unique_keys::parse(text)? else {
        bail!("reading it: no JSON object")
    };
    let mut plugins = match config.get(KEY) {
        None => Vec::new(),
        Some(Value::Array(plugins)) => plugins.clone(),
        Some(other) => bail!("\"{KEY}\" is {other} there: no list"),
    };
    if plugins.iter().any(|there| there == plugin) == asks {
        return Ok(None);
    }
    if asks {
        plugins.push(json!(plugin));
    } else {
        plugins.retain(|there| there != plugin);
    }
    if plugins.is_empty() {
        config.shift_remove(KEY);
    } else {
        config.insert(KEY.to_owned(), json!(plugins));
    }
    let mut text = serde_json::to_string_pretty(&config).context("writing it as JSON")?;
    text.push('\n');
    Ok(Some(text))
}

/// Returns the same without listeners on TCP, and without TLS, whose files may not be there yet.
pub(super) fn without_tls(text: &str) -> String {
    let Ok(Value::Object(mut config)) = unique_keys::parse(text) else {
        return text.to_owned();
    };
    config.retain(|key, _| !key.starts_with("tls"));
    if let Some(Value::Array(hosts)) = config.get_mut("hosts") {
        let is_tcp = |host: &Value| {
            host.as_str()
                .is_some_and(|h| ListenAddress::parse(h).is_tcp())
        };
        hosts.retain(|host| !is_tcp(host));
    }
    Value::Object(config).to_string()
}

/// Returns where dockerd already listens for trusted clients, if its configuration says so.
pub(super) fn listens_on(text: &str) -> Option<SocketAddr> {
    let config = unique_keys::parse(text).ok()?;
    if config["tlsverify"] != true {
        return None;
    }
    let hosts = config["hosts"].as_array()?.iter().filter_map(Value::as_str);
    hosts
        .filter_map(|host| host.strip_prefix("tcp://")?.parse().ok())
        .next()
}

fn keys(settings: &DaemonSettings<'_>) -> Vec<(&'static str, Value)> {
    let mut keys = vec![
        ("tlsverify", json!(true)),
        ("tlscacert", json!(settings.authorities)),
        ("tlscert", json!(settings.certificate)),
        ("tlskey", json!(settings.key)),
    ];
    if settings.live_restore {
        // A restart of dockerd leaves the containers running.
        keys.push(("live-restore", json!(true)));
    }
    keys
}

fn merge_hosts(
    config: &mut Map<String, Value>,
    flags: &[Flag],
    settings: &DaemonSettings<'_>,
) -> Result<Vec<String>> {
    // A TCP address beside a key of ours is one that an earlier run wrote.
    let ours = config.get("tlskey") == Some(&json!(settings.key));
    let is_open = config.get("tlsverify") != Some(&json!(true));
    let hosts = config.entry("hosts").or_insert_with(|| json!([]));
    let Value::Array(hosts) = hosts else {
        bail!("\"hosts\" is {hosts} there: no list")
    };
    let is_tcp = |host: &str| ListenAddress::parse(host).is_tcp();
    if ours {
        hosts.retain(|host| host == settings.remote || !host.as_str().is_some_and(is_tcp));
    }
    let foreign = |host: &&Value| host != &settings.remote && host.as_str().is_none_or(is_tcp);
    if let Some(host) = hosts.iter().find(foreign) {
        bail!(
            "\"hosts\" holds {host} there and has to hold \"{}\": remove it, or name it with --listen",
            settings.remote
        );
    }
    refuse_odd(hosts, flags)?;
    let mut notes = Vec::new();
    if is_open && hosts.iter().any(|host| host == settings.remote) {
        notes.push(now_closed_note(settings.remote));
    }
    for flag in flags.iter().filter(|flag| flag.name == "host") {
        let (host, origin) = (flag.value.as_str(), &flag.origin);
        if ListenAddress::parse(host).is_tcp()
            && ListenAddress::parse(host) != ListenAddress::parse(settings.remote)
        {
            bail!(
                "{flag} is in {origin} and dockerd has to listen on {}: remove it, or name it with \
                 --listen",
                settings.remote
            );
        }
        if !flag.is_removable() || host.contains('%') {
            bail!(
                "{flag} is in {origin}, and dockerd refuses to start with listeners there and in \
                 \"hosts\" too: remove it there{}",
                if ListenAddress::parse(host).is_tcp() {
                    String::new()
                } else {
                    format!(", and put {host} into \"hosts\"")
                }
            );
        }
        if hosts.iter().any(|there| there == host) {
            continue;
        }
        match ListenAddress::parse(host) {
            ListenAddress::Tcp(_) => notes.extend(is_open.then(|| now_closed_note(host))),
            listener => {
                if listener != ListenAddress::Activated {
                    notes.push(format!("{flag} of {origin} goes into \"hosts\""));
                }
                hosts.push(json!(host));
            }
        }
    }
    let is_local = |host: &Value| {
        host.as_str()
            .is_some_and(|host| ListenAddress::parse(host).is_local())
    };
    if !hosts.iter().any(is_local) {
        hosts.push(json!(settings.local));
    }
    if settings.is_activated {
        hosts.retain(|there| there != settings.remote);
    } else if !hosts.iter().any(|there| there == settings.remote) {
        hosts.push(json!(settings.remote));
    }
    Ok(notes)
}

/// Fails for a listener that dockerd does not know, and for one that is there twice: it ends at both.
fn refuse_odd(hosts: &[Value], flags: &[Flag]) -> Result<()> {
    const KNOWN: &str = "dockerd knows unix://PATH, tcp://ADDRESS:PORT and fd://";
    let is_odd = |host: &str| ListenAddress::parse(host) == ListenAddress::Other;
    for (at, host) in hosts.iter().enumerate() {
        if host.as_str().is_some_and(is_odd) {
            bail!("\"hosts\" holds {host} there: {KNOWN}");
        }
        if hosts[..at].contains(host) {
            bail!("\"hosts\" holds {host} there twice: remove one of the two");
        }
    }
    let mut flags = flags.iter().filter(|flag| flag.name == "host");
    match flags.find(|flag| is_odd(&flag.value)) {
        Some(flag) => bail!("{flag} is in {}: {KNOWN}", flag.origin),
        None => Ok(()),
    }
}

fn now_closed_note(listener: &str) -> String {
    format!("{listener} accepted every client; from now on it requires a certificate")
}

#[cfg(test)]
mod tests;
