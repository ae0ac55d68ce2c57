//! What a container is, beside what its definition says: declared then, declared now, live.
//!
//! Two declarations and what the engine tells of the container come in; the differences go out, each with what it takes to
//! end it and who made it. Only what is declared counts: what engines and images add is nobody's wish. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use definitions::looks_secret;
use serde_json::{Map, Value, json};

/// What can be changed while the container goes on: the update call of the Engine API.
const IN_PLACE: [&str; 11] = [
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "Memory",
    "MemoryReservation",
    "NanoCpus",
    "PidsLimit",
    "RestartPolicy",
];

/// How much of a value a line shows, in characters; the JSON has all of it.
const MAX_SHOWN: usize = 200;

/// The keys that lead to a value in a create request.
type FieldPath = Vec<String>;

/// One value that is not what the definition says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldDifference {
    pub(crate) keys: FieldPath,
    /// What the definition says, if it still does.
    pub(crate) now: Option<Value>,
    /// What the container has; what it was made with where the engine does not tell.
    pub(crate) live: Option<Value>,
    /// Whether it can be ended without a new container.
    pub(crate) in_place: bool,
    pub(crate) cause: DifferenceCause,
}

/// Who made a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DifferenceCause {
    /// The definition was changed since the container was made.
    Definition,
    /// Somebody changed the container.
    Host,
    /// Both.
    Both,
}

impl fmt::Display for DifferenceCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Definition => "the definition changed",
            Self::Host => "it was changed on the host",
            Self::Both => "the definition changed, and it was changed on the host",
        })
    }
}

impl FieldDifference {
    /// Names the value: `HostConfig.Memory`.
    pub(crate) fn field(&self) -> String {
        self.keys.join(".")
    }

    /// Says what it takes.
    pub(crate) fn change(&self) -> &'static str {
        if self.in_place { "in place" } else { "replace" }
    }

    fn shown(&self, value: Option<&Value>) -> Value {
        let name = self.keys.last().map_or("", String::as_str);
        match value {
            Some(Value::String(text)) if looks_secret(name, text) => json!(definitions::MASK),
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }

    /// Makes the JSON of a difference.
    pub(crate) fn document(&self) -> Value {
        json!({
            "field": self.field(),
            "live": self.shown(self.live.as_ref()),
            "declared": self.shown(self.now.as_ref()),
            "change": self.change(),
            "cause": self.cause.to_string(),
        })
    }
}

/// Cuts what is longer than a line, and says how long it is.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: Option<&Value>| match value {
            None => "nothing".to_owned(),
            value => shortened(self.shown(value).to_string()),
        };
        write!(
            f,
            "{}: {} -> {} ({}; {})",
            self.field(),
            side(self.live.as_ref()),
            side(self.now.as_ref()),
            self.change(),
            self.cause
        )
    }
}

/// Compares; `image` is the identity of the image that the declared reference means on that host, where it is known.
pub(crate) fn compare(
    then: &Value,
    now: &Value,
    container: &Value,
    image: Option<&str>,
) -> Vec<FieldDifference> {
    let (then, now) = (flat(then), flat(now));
    let keys: BTreeSet<_> = then.keys().chain(now.keys()).collect();
    let mut differences = Vec::new();
    for keys in keys {
        let (then, now) = (then.get(keys), now.get(keys));
        let live = live(container, keys).or_else(|| then.cloned());
        let live = live.filter(|live| !is_empty(live));
        if same(keys, now, live.as_ref()) {
            continue;
        }
        let (redefined, touched) = (!same(keys, then, now), !same(keys, then, live.as_ref()));
        differences.push(FieldDifference {
            in_place: in_place(keys, now),
            keys: keys.clone(),
            now: now.cloned(),
            live,
            cause: match (redefined, touched) {
                (true, true) => DifferenceCause::Both,
                (true, false) => DifferenceCause::Definition,
                _ => DifferenceCause::Host,
            },
        });
    }
    let named = differences
        .iter()
        .any(|difference| difference.keys == ["Image"]);
    let (live, declared) = (container["Image"].as_str(), image);
    if let (false, Some(live), Some(declared)) = (named, live, declared)
        && live != declared
    {
        differences.push(FieldDifference {
            keys: vec!["Image".to_owned(), "Id".to_owned()],
            now: Some(json!(declared)),
            live: Some(json!(live)),
            in_place: false,
            cause: DifferenceCause::Host,
        });
    }
    differences
}

/// Flattens a request: what is empty says nothing, and the environment has a key for each variable.
fn flat(request: &Value) -> BTreeMap<FieldPath, Value> {
    let mut values = BTreeMap::new();
    if let Value::Object(request) = request {
        descend(request, &mut Vec::new(), &mut values);
    }
    values
}

fn descend(
    object: &Map<String, Value>,
    above: &mut FieldPath,
    values: &mut BTreeMap<FieldPath, Value>,
) {
    for (key, value) in object {
        above.push(key.clone());
        match value {
            Value::Object(below) if above.len() == 3 && is_endpoint(above) => {
                values.insert(above.clone(), json!("connected"));
                descend(below, above, values);
            }
            Value::Object(below) => descend(below, above, values),
            Value::Array(entries) if *above == ["Env"] => {
                for (name, value) in entries.iter().filter_map(variable) {
                    values.insert(vec!["Env".to_owned(), name], value);
                }
            }
            value if is_empty(value) => {}
            value => {
                values.insert(above.clone(), value.clone());
            }
        }
        above.pop();
    }
}

fn is_endpoint(keys: &[String]) -> bool {
    keys.starts_with(&["NetworkingConfig".to_owned(), "EndpointsConfig".to_owned()])
}

fn variable(entry: &Value) -> Option<(String, Value)> {
    let (name, value) = entry.as_str()?.split_once('=')?;
    Some((name.to_owned(), json!(value)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}

/// Finds a value of the create request in what the engine tells of the container; `None` where it does not tell.
fn live(container: &Value, keys: &[String]) -> Option<Value> {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let networks = &container["NetworkSettings"]["Networks"];
    match keys[..] {
        ["HostConfig", ref rest @ ..] => at(&container["HostConfig"], rest),
        ["NetworkingConfig", "EndpointsConfig", network] => {
            let connected = networks.get(network).is_some();
            networks.is_object().then(|| {
                if connected {
                    json!("connected")
                } else {
                    Value::Null
                }
            })
        }
        ["NetworkingConfig", "EndpointsConfig", network, "MacAddress"] => {
            // One that does not run has it nowhere on some engines, and beside the endpoint on others.
            let places = [
                &networks[network]["MacAddress"],
                &container["Config"]["MacAddress"],
            ];
            places.into_iter().find(|mac| !is_empty(mac)).cloned()
        }
        [
            "NetworkingConfig",
            "EndpointsConfig",
            network,
            ref rest @ ..,
        ] => at(&networks[network], rest),
        ["Env", name] => {
            let entries = container["Config"]["Env"].as_array()?;
            let mut variables = entries.iter().filter_map(variable);
            let found = variables.find(|(variable, _)| variable == name);
            Some(found.map_or(Value::Null, |(_, value)| value))
        }
        ref keys => at(&container["Config"], keys),
    }
}

fn at(value: &Value, keys: &[&str]) -> Option<Value> {
    keys.iter()
        .try_fold(value, |value, key| value.get(key))
        .cloned()
}

/// Says whether two values mean the same.
fn same(keys: &[String], one: Option<&Value>, other: Option<&Value>) -> bool {
    let is_capabilities = keys
        .last()
        .is_some_and(|key| key == "CapAdd" || key == "CapDrop");
    match (one, other) {
        (Some(one), Some(other)) if is_capabilities => capabilities(one) == capabilities(other),
        (Some(one), Some(other)) => one == other,
        (None, None) => true,
        (Some(value), None) | (None, Some(value)) => is_empty(value),
    }
}

/// Engines write capabilities with or without their prefix.
fn capabilities(value: &Value) -> BTreeSet<String> {
    let names = value.as_array().map_or(&[][..], Vec::as_slice).iter();
    let names = names.filter_map(Value::as_str).map(str::to_ascii_uppercase);
    names
        .map(|name| name.strip_prefix("CAP_").unwrap_or(&name).to_owned())
        .collect()
}

/// Says whether a value can be changed in place: never taken away, which the engine takes for no change.
fn in_place(keys: &[String], now: Option<&Value>) -> bool {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    match (&keys[..], now) {
        (["HostConfig", key, ..], Some(_)) => IN_PLACE.contains(key),
        (["NetworkingConfig", "EndpointsConfig", _], Some(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }

    fn container() -> Value {
        json!({
            "Image": "sha256:aa",
            "Config": {
                "Image": "app:1", "Cmd": ["a"], "Env": ["PATH=/bin", "A=1", "TOKEN=x"],
                "Labels": { "l": "1", "slipway.node": "web1" }, "Hostname": "web1",
            },
            "HostConfig": {
                "Memory": 512, "NanoCpus": 0, "MemorySwap": 1024, "Init": null, "CapAdd": ["CAP_NET_ADMIN"],
                "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "Binds": null,
            },
            "NetworkSettings": { "Networks": { "mydocker0": {
                "IPAMConfig": { "IPv4Address": "10.1.0.20" }, "MacAddress": "", "NetworkID": "x",
            }}},
        })
    }

    fn declaration() -> Value {
        json!({
            "Image": "app:1", "Cmd": ["a"], "Env": ["A=1", "TOKEN=x"], "Labels": { "l": "1" }, "Hostname": "web1",
            "StopTimeout": 30,
            "HostConfig": {
                "Memory": 512, "CapAdd": ["NET_ADMIN"], "Init": false, "Binds": [],
                "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
            },
            "NetworkingConfig": { "EndpointsConfig": { "mydocker0": {
                "IPAMConfig": { "IPv4Address": "10.1.0.20" }, "MacAddress": "02:42:0a:01:00:14",
            }}},
        })
    }

    fn differences(then: Value, now: Value, container: &Value) -> Vec<String> {
        let merged = |change: Value| {
            let mut request = object(declaration());
            for (key, value) in object(change) {
                match (request.get_mut(&key), value) {
                    (Some(Value::Object(below)), Value::Object(value)) => below.extend(value),
                    (_, Value::Null) => drop(request.remove(&key)),
                    (_, value) => drop(request.insert(key, value)),
                }
            }
            Value::Object(request)
        };
        let differences = compare(&merged(then), &merged(now), container, Some("sha256:aa"));
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_engines_and_images_add_is_no_difference() {
        assert_eq!(differences(json!({}), json!({}), &container()), [""; 0]);
    }

    #[test]
    fn a_difference_says_what_it_takes_and_who_made_it() {
        for (then, now, expected) in [
            (
                json!({}),
                json!({ "HostConfig": { "Memory": 1024 } }),
                &["HostConfig.Memory: 512 -> 1024 (in place; the definition changed)"][..],
            ),
            (
                json!({ "HostConfig": { "Memory": 256 } }),
                json!({ "HostConfig": { "Memory": 256 } }),
                &["HostConfig.Memory: 512 -> 256 (in place; it was changed on the host)"],
            ),
            (
                json!({ "HostConfig": { "Memory": 256 } }),
                json!({ "HostConfig": { "Memory": 128 } }),
                &[
                    "HostConfig.Memory: 512 -> 128 (in place; the definition changed, and it was changed on the host)",
                ],
            ),
            (
                json!({}),
                json!({ "User": "é".repeat(10_000) }),
                &[&format!(
                    "User: nothing -> \"{}… (10002 characters) (replace; the definition changed)",
                    "é".repeat(199)
                )],
            ),
            (
                json!({}),
                json!({ "Cmd": ["b"], "Env": ["A=2", "TOKEN=y"] }),
                &[
                    "Cmd: [\"a\"] -> [\"b\"] (replace; the definition changed)",
                    "Env.A: \"1\" -> \"2\" (replace; the definition changed)",
                    "Env.TOKEN: \"********\" -> \"********\" (replace; the definition changed)",
                ],
            ),
            (
                json!({}),
                json!({ "StopTimeout": 10, "Labels": {} , "Env": ["A=1"] }),
                &[
                    "Env.TOKEN: \"********\" -> nothing (replace; the definition changed)",
                    "StopTimeout: 30 -> 10 (replace; the definition changed)",
                ],
            ),
            (
                json!({}),
                json!({ "NetworkingConfig": { "EndpointsConfig": { "mydocker0": {}, "back": {} } } }),
                &[
                    "NetworkingConfig.EndpointsConfig.back: nothing -> \"connected\" (in place; the definition changed)",
                    "NetworkingConfig.EndpointsConfig.mydocker0.IPAMConfig.IPv4Address: \"10.1.0.20\" -> nothing \
                     (replace; the definition changed)",
                    "NetworkingConfig.EndpointsConfig.mydocker0.MacAddress: \"02:42:0a:01:00:14\" -> nothing (replace; \
                     the definition changed)",
                ],
            ),
        ] {
            let mask = definitions::MASK;
            let expected: Vec<_> = expected
                .iter()
                .map(|line| line.replace("********", mask))
                .collect();
            assert_eq!(differences(then, now, &container()), expected);
        }
    }

    #[test]
    fn another_image_under_the_same_name_is_a_difference() {
        let differences = compare(
            &declaration(),
            &declaration(),
            &container(),
            Some("sha256:bb"),
        );
        assert_eq!(
            differences[0].to_string(),
            "Image.Id: \"sha256:aa\" -> \"sha256:bb\" (replace; it was changed on the host)"
        );
    }
}
