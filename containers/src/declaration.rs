//! What the definition of a node asks an engine for, in the engine's own words.
//!
//! A node comes in; the body of a create request goes out, in the form that the newest API has. It is the same for every
//! engine: what older ones want elsewhere (the hardware address, further networks) is put there when the request is made,
//! so that a host's upgrade changes no declaration. Pure. Reference: the Engine API, `ContainerCreate`.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use definitions::{CpuLimit, HealthCheck, ImageReference, Node, RestartPolicy, VolumeMount};
use serde_json::{Map, Value, json};

use crate::engine::ApiVersion;
use crate::images::HostImage;
use crate::labels;
use crate::macvlan::MacvlanNetwork;
use crate::names::ClusterNames;

/// The network that a container with an address is on unless its definition names another: `setupdockerhost`'s.
const NETWORK: &str = "mydocker0";
/// Networks that every engine has; none of them gives an address that was asked for.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];

/// A container as it is declared.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub(crate) node: String,
    pub(crate) image: ImageReference,
    /// The first network, which has the addresses.
    pub(crate) network: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// The first network where it is one that `mkdocker` makes itself.
    pub(crate) macvlan: Option<MacvlanNetwork>,
    /// The create request, an object.
    pub(crate) request: Value,
    /// What is to be known of how it came about.
    pub(crate) remarks: Vec<String>,
}

impl Declaration {
    /// Puts together what a node says.
    ///
    /// # Errors
    /// When it has no image, no address where it needs one, or links to what has none.
    pub(crate) fn of(node: &Node, names: &ClusterNames<'_>) -> Result<Self> {
        let name = &node.name;
        ensure!(
            name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()),
            "no engine takes {name} as the name of a container: it wants two characters or more, a letter or digit first"
        );
        let mut remarks = Vec::new();
        let (image, command) = what_runs(node)?;
        let network = first_network(node)?;
        let mut request = process(node, command);
        request["HostConfig"] = host_config(node, names)?;
        request["HostConfig"]["NetworkMode"] = json!(network);
        request["Image"] = json!(image.to_string());
        ports(node, &mut request);
        networks(node, &network, &mut request);
        if let (Some(flags), Value::Object(request)) = (&node.dockerflag, &mut request) {
            let mut overridden = Vec::new();
            merge(request, flags.object(), "", &mut overridden);
            let told = |path: &String| format!("dockerflag overrides {path}");
            remarks.extend(overridden.iter().map(told));
        }
        if request["NetworkDisabled"] == true
            && let Value::Object(request) = &mut request
        {
            // What the engine does not connect has no address there: another tool gives it one.
            request.remove("NetworkingConfig");
        }
        for key in ["HostConfig", "NetworkingConfig", "Labels"] {
            let value = &request[key];
            ensure!(
                value.is_null() || value.is_object(),
                "dockerflag has {key}={value}, and engines want an object there"
            );
        }
        let image = request["Image"].as_str();
        let image: ImageReference = image.context("dockerflag names no image")?.parse()?;
        let image = tagged(image, &mut remarks)?;
        request["Image"] = json!(image.to_string());
        let network = request["HostConfig"]["NetworkMode"].as_str();
        Ok(Self {
            node: node.name.clone(),
            macvlan: MacvlanNetwork::of(node, names.networks())?,
            network: network.map_or_else(|| network_or_default(node), str::to_owned),
            addresses: addresses(node),
            image,
            request,
            remarks,
        })
    }

    /// Makes the body of the request for an engine, with the labels that keep the declaration.
    pub(crate) fn body(&self, api: ApiVersion, image: &HostImage) -> Value {
        let mut body = self.request.clone();
        if let Some(digest) = &image.digest {
            body["Labels"][labels::IMAGE] = json!(digest);
        }
        body["Labels"][labels::NODE] = json!(self.node);
        body["Labels"][labels::DECLARATION] = json!(self.request.to_string());
        if api >= ApiVersion::ENDPOINT_SETTINGS {
            return body;
        }
        let first = self.request["NetworkingConfig"]["EndpointsConfig"].get(&self.network);
        if let Some(first) = first {
            let mut first = first.clone();
            if let Some(mac) = first
                .as_object_mut()
                .and_then(|first| first.remove("MacAddress"))
            {
                body["MacAddress"] = mac;
            }
            body["NetworkingConfig"]["EndpointsConfig"] = json!({ &self.network: first });
        }
        body
    }

    /// Lists the networks that are connected after the container is made, each with its settings.
    pub(crate) fn connected_later(&self, api: ApiVersion) -> Vec<(&str, &Value)> {
        if api >= ApiVersion::ENDPOINT_SETTINGS {
            return Vec::new();
        }
        self.endpoints()
            .filter(|(name, _)| *name != self.network)
            .collect()
    }

    /// Lists the networks, each with its settings.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&str, &Value)> {
        let endpoints = self.request["NetworkingConfig"]["EndpointsConfig"].as_object();
        endpoints
            .into_iter()
            .flatten()
            .map(|(name, settings)| (name.as_str(), settings))
    }
}

/// Chooses the image and what it runs: `image` and `command`, else xCAT's `provmethod=image!word,word`.
fn what_runs(node: &Node) -> Result<(ImageReference, Option<Vec<String>>)> {
    let own = node
        .command
        .as_ref()
        .map(|command| command.words().to_vec());
    if let Some(image) = &node.image {
        return Ok((image.clone(), own));
    }
    let name = &node.name;
    let provmethod = node.provmethod.as_deref().with_context(|| {
        format!("Image not set correct for {name}: mkdocker {name} image=IMAGE, or chdef {name} image=IMAGE")
    })?;
    let (image, command) = match provmethod.split_once('!') {
        Some((image, command)) => (image, Some(command)),
        None => (provmethod, None),
    };
    let image = image
        .parse()
        .with_context(|| format!("reading the image from provmethod={provmethod}"))?;
    let words = command.map(|command| command.split(',').map(str::to_owned).collect());
    Ok((image, own.or(words)))
}

/// Says which tag an image without one has: none is implied in silence.
fn tagged(image: ImageReference, remarks: &mut Vec<String>) -> Result<ImageReference> {
    if image.tag().is_some() || image.digest().is_some() {
        return Ok(image);
    }
    remarks.push(format!(
        "the image {image} names no tag: {image}:latest is meant"
    ));
    Ok(format!("{image}:latest").parse()?)
}

fn network_or_default(node: &Node) -> String {
    let named = node.dockernics.first().map(|name| name.to_string());
    named.unwrap_or_else(|| NETWORK.to_owned())
}

/// Chooses the network that has the addresses.
fn first_network(node: &Node) -> Result<String> {
    let network = network_or_default(node);
    let named_otherwise = node.dockerflag.as_ref().is_some_and(|flags| {
        flags
            .object()
            .get("HostConfig")
            .is_some_and(|host| host["NetworkMode"].is_string())
    });
    let name = &node.name;
    if addresses(node).is_empty() {
        ensure!(
            !node.dockernics.is_empty() || named_otherwise,
            "Network not set correct for {name}: chdef {name} ip=ADDRESS, or dockernics=bridge for an address that \
             its host alone knows"
        );
    } else if BUILT_IN.contains(&network.as_str()) && !named_otherwise {
        bail!(
            "the docker network {network} gives no address that is asked for: chdef {name} dockernics={NETWORK}, or ip="
        );
    }
    Ok(network)
}

/// Lists the addresses of a container.
pub(crate) fn addresses(node: &Node) -> Vec<IpAddr> {
    node.ip
        .into_iter()
        .chain(node.ip6.map(IpAddr::V6))
        .collect()
}

/// What runs in the container.
fn process(node: &Node, command: Option<Vec<String>>) -> Value {
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
fn host_config(node: &Node, names: &ClusterNames<'_>) -> Result<Value> {
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

fn ports(node: &Node, request: &mut Value) {
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
fn networks(node: &Node, first: &str, request: &mut Value) {
    let mut endpoints = Map::new();
    let mut settings = Map::new();
    let mut fixed = Map::new();
    for address in addresses(node) {
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

/// The hardware address: the node's, else the one that engines up to 27 make of the address. Those from 28 on would
/// choose another at every start, and switches and neighbours would have to learn it.
pub(crate) fn hardware_address(node: &Node) -> Option<String> {
    if let Some(mac) = &node.mac {
        return Some(mac.first().to_owned());
    }
    match node.ip {
        Some(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            Some(format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
        }
        _ => None,
    }
}

/// Merges what goes before all else, key by key; null takes a key away. Notes what had another value.
fn merge(
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

#[cfg(test)]
mod tests {
    use super::*;
    use definitions::{Definition, Network, Nodes, Object, ObjectKind, Site};

    use crate::networks::SiteNetworks;

    fn node(name: &str, attributes: &[&str]) -> Object {
        let mut object = Object::new(ObjectKind::Node, name).unwrap();
        for attribute in attributes {
            let (attribute, value) = attribute.split_once('=').unwrap();
            object.set(attribute, value).unwrap();
        }
        object
    }

    fn declared(attributes: &[&str]) -> Result<Declaration> {
        let web = node("web1", attributes);
        let node = Node::from_object(&web).unwrap();
        let others = [
            node_of("db1", &["ip=10.1.0.30", "ip6=fd00::30", "groups=dbs"]),
            node_of("db3", &["ip=10.1.0.33", "groups=dbs"]),
            node_of("bare", &["groups=dbs"]),
        ];
        let nodes = Nodes::new(others);
        let network = |name: &str, net: &str, mask: &str, gateway: &str| Network {
            name: name.to_owned(),
            net: net.parse().ok(),
            mask: Some(mask.to_owned()),
            gateway: Some(gateway.to_owned()),
            nameservers: vec!["10.1.0.2".to_owned()],
            ..Network::default()
        };
        let networks = [
            network("cluster", "10.1.0.0", "/16", "10.1.0.1"),
            network("six", "fd00::", "/64", "fd00::1"),
        ];
        let site = Site {
            domain: Some("cluster".to_owned()),
            ..Site::default()
        };
        let networks = SiteNetworks::new(&networks, &site)?;
        Declaration::of(&node, &ClusterNames::new(&nodes, &networks))
    }

    fn node_of(name: &str, attributes: &[&str]) -> Object {
        node(name, attributes)
    }

    const ALL: [&str; 21] = [
        "ip=10.1.0.20",
        "ip6=fd00::20",
        "image=reg:5000/app:1",
        "command=sh -c 'a b'",
        "entrypoint=/init",
        "environment=A=1",
        "volumes=/srv:/srv:ro:z,data:/data,tmpfs:/run:size=64m",
        "ports=8080:80,10.1.0.5:53:53/udp",
        "links=db1:sql",
        "dockercpus=1.5",
        "dockermemory=512M",
        "restart=on-failure:3",
        "init=1",
        "healthcheck=/ok",
        "user=www-data",
        "caps=NET_ADMIN,-ALL",
        "devices=/dev/kvm:r",
        "labels=a=b",
        "logdriver=local",
        "stoptimeout=30",
        "dockernics=mydocker0,back",
    ];

    #[test]
    fn every_attribute_becomes_the_engines_word() {
        let declaration = declared(&ALL).unwrap();
        let expected = json!({
            "Hostname": "web1",
            "Cmd": ["sh", "-c", "a b"],
            "Entrypoint": ["/init"],
            "User": "www-data",
            "StopTimeout": 30,
            "Healthcheck": { "Test": ["CMD-SHELL", "/ok"] },
            "Env": ["A=1"],
            "Labels": { "a": "b" },
            "HostConfig": {
                "Binds": ["/srv:/srv:ro,z", "data:/data"],
                "Tmpfs": { "/run": "size=64m" },
                "NanoCpus": 1_500_000_000,
                "Memory": 512 << 20,
                "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
                "Init": true,
                "CapAdd": ["NET_ADMIN"],
                "CapDrop": ["ALL"],
                "Devices": [{
                    "PathOnHost": "/dev/kvm", "PathInContainer": "/dev/kvm", "CgroupPermissions": "r"
                }],
                "LogConfig": { "Type": "local" },
                "ExtraHosts": ["db1:10.1.0.30", "db1:fd00::30", "sql:10.1.0.30", "sql:fd00::30"],
                "Dns": ["10.1.0.2"],
                "DnsSearch": ["cluster"],
                "NetworkMode": "mydocker0",
                "PortBindings": {
                    "80/tcp": [{ "HostIp": "", "HostPort": "8080" }],
                    "53/udp": [{ "HostIp": "10.1.0.5", "HostPort": "53" }],
                },
            },
            "Image": "reg:5000/app:1",
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
            "NetworkingConfig": { "EndpointsConfig": {
                "mydocker0": {
                    "IPAMConfig": { "IPv4Address": "10.1.0.20", "IPv6Address": "fd00::20" },
                    "MacAddress": "02:42:0a:01:00:14",
                },
                "back": {},
            }},
        });
        assert_eq!(declaration.request, expected);
        assert_eq!(declaration.remarks, [""; 0]);
    }

    #[test]
    fn links_lead_to_members_of_groups_and_names_are_answered_for_by_the_network() {
        let host_config = |attributes: &[&str]| {
            let base = ["ip=10.1.0.20", "image=a:1"];
            let all = [&base[..], attributes].concat();
            declared(&all).map(|declaration| declaration.request["HostConfig"].clone())
        };
        let config = host_config(&["links=dbs", "groups=dbs", "nameservers=10.1.0.9"]).unwrap();
        assert_eq!(
            config,
            json!({
                "ExtraHosts": ["db1:10.1.0.30", "db1:fd00::30", "db3:10.1.0.33"],
                "Dns": ["10.1.0.9"], "DnsSearch": ["cluster"], "NetworkMode": "mydocker0",
            })
        );
        // A container whose host alone knows its address resolves by what its host does.
        let local = declared(&["image=a:1", "dockernics=bridge"]).unwrap();
        assert_eq!(
            local.request["HostConfig"],
            json!({ "NetworkMode": "bridge" })
        );
        let error = host_config(&["links=dbs:sql"]).unwrap_err();
        assert_eq!(error.to_string(), "linking to dbs: a group has no alias");
    }

    #[test]
    fn an_engine_gets_each_thing_where_its_version_wants_it() {
        let declaration = declared(&ALL).unwrap();
        let image = HostImage {
            id: "sha256:aa".to_owned(),
            digest: Some("reg:5000/app@sha256:bb".to_owned()),
        };
        let old = declaration.body(ApiVersion::new(1, 43), &image);
        assert_eq!(old["Labels"][labels::IMAGE], "reg:5000/app@sha256:bb");
        assert_eq!(old["MacAddress"], "02:42:0a:01:00:14");
        assert_eq!(
            old["NetworkingConfig"]["EndpointsConfig"],
            json!({ "mydocker0": { "IPAMConfig": { "IPv4Address": "10.1.0.20", "IPv6Address": "fd00::20" } } })
        );
        assert_eq!(
            declaration.connected_later(ApiVersion::new(1, 43)),
            [("back", &json!({}))]
        );
        let new = declaration.body(ApiVersion::new(1, 44), &image);
        assert_eq!(new.get("MacAddress"), None);
        assert_eq!(
            new["NetworkingConfig"],
            declaration.request["NetworkingConfig"]
        );
        assert!(
            declaration
                .connected_later(ApiVersion::new(1, 44))
                .is_empty()
        );
        for body in [&old, &new] {
            let kept = labels::declaration(&body["Labels"]);
            assert_eq!(kept.as_ref(), Some(&declaration.request));
            assert!(labels::is_of(&body["Labels"], "web1"));
        }
    }

    #[test]
    fn dockerflag_goes_before_all_else_and_that_is_said() {
        let declaration = declared(&[
            "ip=10.1.0.20",
            "image=ubuntu",
            "dockermemory=512M",
            "dockerflag={\"OpenStdin\":true,\"Hostname\":null,\"HostConfig\":{\"Memory\":7000000,\"ReadonlyRootfs\":true}}",
        ])
        .unwrap();
        assert_eq!(
            declaration.remarks,
            [
                "dockerflag overrides Hostname",
                "dockerflag overrides HostConfig.Memory",
                "the image ubuntu names no tag: ubuntu:latest is meant"
            ]
        );
        let request = &declaration.request;
        assert_eq!(request["HostConfig"]["Memory"], 7_000_000);
        assert_eq!(request["HostConfig"]["ReadonlyRootfs"], true);
        assert_eq!(request["HostConfig"]["NetworkMode"], "mydocker0");
        assert_eq!(
            (&request["OpenStdin"], request.get("Hostname")),
            (&json!(true), None)
        );
    }

    #[test]
    fn provmethod_is_the_image_and_the_command_as_xcat_stores_them() {
        let declaration = declared(&["ip=10.1.0.20", "provmethod=reg:5000/app:1!/bin/sh,-c,a b"]);
        let request = declaration.unwrap().request;
        assert_eq!(request["Image"], "reg:5000/app:1");
        assert_eq!(request["Cmd"], json!(["/bin/sh", "-c", "a b"]));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_do() {
        for (attributes, message) in [
            (
                &["ip=10.1.0.20"][..],
                "Image not set correct for web1: mkdocker web1 image=IMAGE, or chdef web1 image=IMAGE",
            ),
            (
                &["image=a"],
                "Network not set correct for web1: chdef web1 ip=ADDRESS, or dockernics=bridge for an address that its \
                 host alone knows",
            ),
            (
                &["image=a", "ip=10.1.0.20", "dockernics=bridge"],
                "the docker network bridge gives no address that is asked for: chdef web1 dockernics=mydocker0, or ip=",
            ),
            (
                &["image=a", "ip=10.1.0.20", "links=bare"],
                "linking to bare: it has no ip",
            ),
            (
                &["image=a", "ip=10.1.0.20", "links=db2"],
                "linking to db2: Could not find an object named 'db2' of type 'node'. Did you mean 'db1'?",
            ),
        ] {
            let error = declared(attributes).unwrap_err();
            assert_eq!(format!("{error:#}"), message);
        }
        assert!(declared(&["image=a", "dockernics=bridge"]).is_ok());
    }
}
