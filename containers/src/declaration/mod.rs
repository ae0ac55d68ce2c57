//! What the definition of a node asks an engine for, in the engine's own words.
//!
//! A node comes in; the body of a create request goes out, in the form that the newest API has. It is the same for every
//! engine: what older ones want elsewhere (the hardware address, further networks) is put there when the request is made,
//! so that a host's upgrade changes no declaration. Pure. Reference: the Engine API, `ContainerCreate`.

mod request;

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use definitions::{ImageReference, Node};
use serde_json::{Value, json};

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
        let mut request = request::process(node, command);
        request["HostConfig"] = request::host_config(node, names)?;
        request["HostConfig"]["NetworkMode"] = json!(network);
        request["Image"] = json!(image.to_string());
        request::ports(node, &mut request);
        request::networks(node, &network, &mut request);
        if let (Some(flags), Value::Object(request)) = (&node.dockerflag, &mut request) {
            let mut overridden = Vec::new();
            request::merge(request, flags.object(), "", &mut overridden);
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
            addresses: node.addresses().collect(),
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
    if node.address().is_none() {
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

#[cfg(test)]
mod tests;
