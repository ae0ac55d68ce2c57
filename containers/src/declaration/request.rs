//! The parts of the create request.

use anyhow::Result;
use definitions::{CpuLimit, HealthCheck, Node, RestartPolicy, VolumeMount};
use serde_json::{Map, Value, json};

use super::hardware_address;
use crate::names::ClusterNames;

/// What runs in the container.
pub(super) fn process(node: &Node, command: Option<Vec<String>>) -> Value {
    let mut request = json!({ "Hostname": node.name });
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            request[key] = value;
        }
    };
    put("Cmd", command.map(|words| json!(words)));
    put(
        "Entrypoint",
        node.entrypoint.as_ref().map(|words| json!(words.words())),
    );
    put("User", node.user.as_ref().map(|user| json!(&**user)));
    put(
        "StopTimeout",
        node.stoptimeout.map(|seconds| json!(seconds)),
    );
    put(
        "Healthcheck",
        node.healthcheck.as_ref().map(|check| {
            let test = match check {
                HealthCheck::None => vec!["NONE".to_owned()],
                HealthCheck::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
                HealthCheck::Program(words) => [&["CMD".to_owned()], words.words()].concat(),
            };
            json!({ "Test": test })
        }),
    );
    let environment: Vec<_> = node.environment.iter().map(ToString::to_string).collect();
    put("Env", (!environment.is_empty()).then(|| json!(environment)));
    let labels = node.labels.iter();
    let labels: Map<_, _> = labels
        .map(|label| (label.name.clone(), json!(label.value)))
        .collect();
    put(
        "Labels",
        (!labels.is_empty()).then_some(Value::Object(labels)),
    );
    request
}

/// What the host gives to the container.
pub(super) fn host_config(node: &Node, names: &ClusterNames<'_>) -> Result<Value> {
    let mut config = Map::new();
    let mut put = |key: &str, value: Value| {
        config.insert(key.to_owned(), value);
    };
    let mut binds = Vec::new();
    let mut tmpfs = Map::new();
    for volume in &node.volumes {
        match volume {
            VolumeMount::Tmpfs { target, options } => {
                tmpfs.insert(target.clone(), json!(options.join(",")));
            }
            VolumeMount::Bind {
                source,
                target,
                options,
            } if options.is_empty() => binds.push(format!("{source}:{target}")),
            VolumeMount::Bind {
                source,
                target,
                options,
            } => binds.push(format!("{source}:{target}:{}", options.join(","))),
        }
    }
    if !binds.is_empty() {
        put("Binds", json!(binds));
    }
    if !tmpfs.is_empty() {
        put("Tmpfs", Value::Object(tmpfs));
    }
    match &node.dockercpus {
        Some(CpuLimit::Count { nano, .. }) => put("NanoCpus", json!(nano)),
        Some(CpuLimit::Set(set)) => put("CpusetCpus", json!(set)),
        None => {}
    }
    if let Some(memory) = &node.dockermemory {
        put("Memory", json!(memory.bytes()));
    }
    if let Some(policy) = node.restart {
        let times = match policy {
            RestartPolicy::OnFailure(times) => times.unwrap_or(0),
            _ => 0,
        };
        put(
            "RestartPolicy",
            json!({ "Name": policy.name(), "MaximumRetryCount": times }),
        );
    }
    if let Some(init) = node.init {
        put("Init", json!(init.0));
    }
    for (key, dropped) in [("CapAdd", false), ("CapDrop", true)] {
        let changes = node.caps.iter().filter(|change| change.dropped == dropped);
        let names: Vec<_> = changes.map(|change| change.name.as_str()).collect();
        if !names.is_empty() {
            put(key, json!(names));
        }
    }
    let devices = node.devices.iter().map(|device| {
        json!({
            "PathOnHost": device.host,
            "PathInContainer": device.container,
            "CgroupPermissions": device.permissions,
        })
    });
    let devices: Vec<_> = devices.collect();
    if !devices.is_empty() {
        put("Devices", json!(devices));
    }
    if let Some(driver) = &node.logdriver {
        put("LogConfig", json!({ "Type": &**driver }));
    }
    names.put(node, &mut config)?;
    Ok(Value::Object(config))
}

pub(super) fn ports(node: &Node, request: &mut Value) {
    for port in &node.ports {
        let key = format!("{}/{}", port.container, port.protocol);
        request["ExposedPorts"][&key] = json!({});
        let binding = json!({
            "HostIp": port.address.map(|address| address.to_string()).unwrap_or_default(),
            "HostPort": port.host.map(|port| port.to_string()).unwrap_or_default(),
        });
        match &mut request["HostConfig"]["PortBindings"][&key] {
            Value::Array(bindings) => bindings.push(binding),
            none => *none = json!([binding]),
        }
    }
}

/// Says which networks the container is on, and with which addresses on the first.
pub(super) fn networks(node: &Node, first: &str, request: &mut Value) {
    let mut endpoints = Map::new();
    let mut settings = Map::new();
    let mut fixed = Map::new();
    for address in node.addresses() {
        let key = if address.is_ipv4() {
            "IPv4Address"
        } else {
            "IPv6Address"
        };
        fixed.insert(key.to_owned(), json!(address.to_string()));
    }
    if !fixed.is_empty() {
        settings.insert("IPAMConfig".to_owned(), Value::Object(fixed));
    }
    if let Some(mac) = hardware_address(node) {
        settings.insert("MacAddress".to_owned(), json!(mac));
    }
    if !settings.is_empty() {
        endpoints.insert(first.to_owned(), Value::Object(settings));
    }
    for network in node.dockernics.iter().skip(1) {
        endpoints.insert(network.to_string(), json!({}));
    }
    if endpoints.len() > 1 {
        // Engines take several networks only where the first is among them.
        endpoints.entry(first).or_insert_with(|| json!({}));
    }
    if !endpoints.is_empty() {
        request["NetworkingConfig"] = json!({ "EndpointsConfig": endpoints });
    }
}

/// Merges what goes before all else, key by key; null takes a key away. Notes what had another value.
pub(super) fn merge(
    request: &mut Map<String, Value>,
    flags: &Map<String, Value>,
    above: &str,
    overridden: &mut Vec<String>,
) {
    for (key, value) in flags {
        let path = format!("{above}{key}");
        match (request.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(value)) => {
                merge(below, value, &format!("{path}."), overridden);
            }
            (Some(had), Value::Null) => {
                if !had.is_null() {
                    overridden.push(path);
                }
                request.remove(key);
            }
            (None, Value::Null) => {}
            (Some(had), value) => {
                if had != value {
                    overridden.push(path);
                }
                *had = value.clone();
            }
            (None, value) => {
                request.insert(key.clone(), value.clone());
            }
        }
    }
}
