//! `daemon.json`: ours merged into the user's, as text.
//!
//! The user's file comes in, the file that should stand there goes out, or the conflict: a key of ours
//! that the user has set to something else. Keys that are not ours keep their value and their place.
//! The keys are those of dockerd(8), "Daemon configuration file".

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// What we want dockerd to do.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    /// Where dockerd answers for the host itself: `fd://` where systemd hands it the socket.
    pub(super) local: &'a str,
    /// Where it answers for trusted clients: `tcp://ADDR:PORT`.
    pub(super) remote: &'a str,
    /// The authorities whose clients it trusts.
    pub(super) authorities: &'a Path,
    /// Its certificate.
    pub(super) certificate: &'a Path,
    /// Its key.
    pub(super) key: &'a Path,
}

/// Puts our keys into the user's `daemon.json`.
///
/// An absent or empty file is an empty object. `hosts` is a list, so it is joined: a socket that the
/// user added stays, as long as it is no TCP address, which would be open without our certificates'
/// names or clash with ours.
pub(super) fn merge(text: &str, wanted: &Wanted<'_>) -> Result<String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let parsed: Value = serde_json::from_str(text).context("reading it as JSON")?;
    let Value::Object(mut config) = parsed else {
        bail!("reading it: no JSON object")
    };
    let before = config.clone();
    merge_hosts(&mut config, wanted)?;
    for (key, value) in keys(wanted) {
        match config.get(key) {
            None => {
                config.insert(key.to_owned(), value);
            }
            Some(user) if *user == value => {}
            Some(user) => bail!(
                "\"{key}\" is {user} there and has to be {value}: take it out there, or set it to that"
            ),
        }
    }
    if config == before {
        return Ok(text.to_owned());
    }
    let mut merged = serde_json::to_string_pretty(&config).context("writing it as JSON")?;
    merged.push('\n');
    Ok(merged)
}

/// Returns where dockerd already listens for trusted clients, if its configuration says so.
pub(super) fn listens_on(text: &str) -> Option<SocketAddr> {
    let config: Value = serde_json::from_str(text).ok()?;
    if config["tlsverify"] != true {
        return None;
    }
    let hosts = config["hosts"].as_array()?.iter().filter_map(Value::as_str);
    hosts
        .filter_map(|host| host.strip_prefix("tcp://")?.parse().ok())
        .next()
}

fn keys(wanted: &Wanted<'_>) -> [(&'static str, Value); 5] {
    [
        ("tlsverify", json!(true)),
        ("tlscacert", json!(wanted.authorities)),
        ("tlscert", json!(wanted.certificate)),
        ("tlskey", json!(wanted.key)),
        // A restart of dockerd leaves the containers running.
        ("live-restore", json!(true)),
    ]
}

fn merge_hosts(config: &mut Map<String, Value>, wanted: &Wanted<'_>) -> Result<()> {
    // A TCP address beside a key of ours is one that an earlier run wrote.
    let ours = config.get("tlskey") == Some(&json!(wanted.key));
    let hosts = config.entry("hosts").or_insert_with(|| json!([]));
    let Value::Array(hosts) = hosts else {
        bail!("\"hosts\" is {hosts} there: no list")
    };
    if ours {
        let is_tcp = |host: &Value| host.as_str().is_some_and(|host| host.starts_with("tcp:"));
        hosts.retain(|host| !is_tcp(host) || host == wanted.remote);
    }
    let foreign = |host: &&Value| {
        host.as_str()
            .is_none_or(|host| host.starts_with("tcp:") && host != wanted.remote)
    };
    if let Some(host) = hosts.iter().find(foreign) {
        bail!(
            "\"hosts\" holds {host} there and has to hold \"{}\": take it out, or name it with --listen",
            wanted.remote
        );
    }
    for host in [wanted.local, wanted.remote] {
        if !hosts.iter().any(|there| there == host) {
            hosts.push(json!(host));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted<'static> {
        Wanted {
            local: "fd://",
            remote: "tcp://0.0.0.0:2376",
            authorities: Path::new("/t/ca.pem"),
            certificate: Path::new("/t/cert.pem"),
            key: Path::new("/t/key.pem"),
        }
    }

    const OURS: &str = r#"{
  "hosts": [
    "fd://",
    "tcp://0.0.0.0:2376"
  ],
  "tlsverify": true,
  "tlscacert": "/t/ca.pem",
  "tlscert": "/t/cert.pem",
  "tlskey": "/t/key.pem",
  "live-restore": true
}
"#;

    #[test]
    fn an_absent_file_becomes_ours() {
        for empty in ["", " \n", "{}"] {
            assert_eq!(merge(empty, &wanted()).unwrap(), OURS);
        }
    }

    #[test]
    fn a_second_merge_changes_no_byte() {
        assert_eq!(merge(OURS, &wanted()).unwrap(), OURS);
        let spaced = OURS.replace("  ", "\t");
        assert_eq!(merge(&spaced, &wanted()).unwrap(), spaced);
    }

    #[test]
    fn another_address_replaces_the_one_that_was_ours() {
        let moved = Wanted {
            remote: "tcp://10.0.0.5:2377",
            ..wanted()
        };
        let merged = merge(OURS, &moved).unwrap();
        assert_eq!(merged, OURS.replace("0.0.0.0:2376", "10.0.0.5:2377"));
        assert_eq!(listens_on(&merged), Some("10.0.0.5:2377".parse().unwrap()));
        assert_eq!(listens_on(r#"{"hosts": ["tcp://10.0.0.5:2375"]}"#), None);
    }

    #[test]
    fn the_users_keys_and_their_order_stay() {
        let user =
            r#"{"zeta": [1, {"b": 2, "a": 1}], "log-driver": "journald", "hosts": ["unix:///x"]}"#;
        let merged = merge(user, &wanted()).unwrap();
        let keys: Vec<_> = serde_json::from_str::<Map<String, Value>>(&merged)
            .unwrap()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys[..3], ["zeta", "log-driver", "hosts"]);
        assert!(merged.contains("\"b\": 2,\n      \"a\": 1"));
        assert!(merged.contains("\"unix:///x\",\n    \"fd://\",\n    \"tcp://0.0.0.0:2376\""));
    }

    #[test]
    fn a_conflict_shows_both_sides() {
        for (user, message) in [
            (
                r#"{"tlsverify": false}"#,
                "\"tlsverify\" is false there and has to be true: take it out there, or set it to that",
            ),
            (
                r#"{"hosts": ["tcp://0.0.0.0:2375"]}"#,
                "\"hosts\" holds \"tcp://0.0.0.0:2375\" there and has to hold \"tcp://0.0.0.0:2376\": \
                 take it out, or name it with --listen",
            ),
            (r#"{"hosts": "x"}"#, "\"hosts\" is \"x\" there: no list"),
            ("[]", "reading it: no JSON object"),
        ] {
            assert_eq!(merge(user, &wanted()).unwrap_err().to_string(), message);
        }
        let error = format!("{:#}", merge("{\"a\": ", &wanted()).unwrap_err());
        assert!(
            error.starts_with("reading it as JSON: EOF while parsing"),
            "{error}"
        );
    }
}
