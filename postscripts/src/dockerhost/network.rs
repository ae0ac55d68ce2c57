//! The docker network on the bridge: what should be there, against what is.
//!
//! The bridge is the LAN itself, and an engine knows its own containers alone: it would hand out the same address on
//! every host. So the network has an address range of one address, the gateway's, which is taken: a container gets the
//! address that it asks for, or none. The host's own addresses are reserved. Reference: moby `libnetwork/ipam`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use definitions::DockerNetwork;
use ipnetwork::IpNetwork;
use serde_json::{Map, Value, json};

use super::engine::EngineClient;
use super::host_names;
use crate::fault::Fault;

/// The option that names the bridge of a network of the bridge driver.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// The option that keeps dockerd from putting the gateway's address on the bridge: the bridge's
/// addresses are the host's. Known to every engine from 20.10 on (libnetwork, `drivers/bridge`).
const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";

/// What is to be done about the network.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NetworkAction {
    /// It is as it should be.
    Keep,
    /// It is used and cannot be replaced; what it does not reserve as it should is said.
    KeepInUse(String),
    /// There is none of that name.
    Create(Value),
    /// There is one that differs and that nothing uses.
    Replace { with: Value, before: Value },
}

impl NetworkAction {
    /// Says whether anything is done.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Replace { .. })
    }
}

/// Compares what the engine has with what should be there.
pub(super) fn plan(engine: &EngineClient, network: &DockerNetwork) -> Result<NetworkAction> {
    let wanted = request(network, &host_addresses(network)?);
    let networks = engine.networks()?;
    refuse_overlap(network, &networks)?;
    let Some(there) = engine.network(network.name().as_str())? else {
        return Ok(NetworkAction::Create(wanted));
    };
    if is_equal(&there, &wanted) {
        return Ok(NetworkAction::Keep);
    }
    let users = engine.containers_on(network.name().as_str())?;
    if !users.is_empty() && is_equal_but_for_reservations(&there, &wanted) {
        return Ok(NetworkAction::KeepInUse(format!(
            "the docker network {} does not reserve what it should, and a container without an address may get one that \
             is in use: remove {} and run setupdockerhost again",
            network.name(),
            users.join(", ")
        )));
    }
    if !users.is_empty() {
        bail!(
            "the docker network {} differs from {network} and is used by {}: remove them first",
            network.name(),
            users.join(", ")
        );
    }
    Ok(NetworkAction::Replace {
        with: wanted,
        before: there,
    })
}

/// Does it.
pub(super) fn apply(
    engine: &EngineClient,
    network: &DockerNetwork,
    step: &NetworkAction,
    fault: &Fault,
) -> Result<()> {
    let name = network.name().as_str();
    let create = |wanted: &Value| {
        fault
            .part()
            .map_err(anyhow::Error::from)
            .and_then(|()| engine.create_network(wanted))
            .with_context(|| format!("creating the docker network {name}"))
    };
    match step {
        NetworkAction::Keep => Ok(()),
        NetworkAction::KeepInUse(warning) => {
            error_line!("setupdockerhost: {warning}");
            Ok(())
        }
        NetworkAction::Create(wanted) => create(wanted),
        NetworkAction::Replace { with, before } => {
            let removing = || format!("removing the docker network {name}");
            fault.part().with_context(removing)?;
            engine.remove_network(name).with_context(removing)?;
            create(with).or_else(|error| {
                // The one that stood there is better than none.
                engine
                    .create_network(&recreate_request(before))
                    .context("putting back the network before")?;
                Err(error)
            })
        }
    }
}

/// Lists the addresses of this host in the subnet, but for the gateway: those of the bridge, or of the NIC that joins it.
fn host_addresses(network: &DockerNetwork) -> Result<BTreeSet<IpAddr>> {
    let mut addresses = host_names::addresses_v4()?;
    addresses
        .retain(|address| network.subnet().contains(*address) && *address != network.gateway());
    Ok(addresses)
}

/// Returns what the engine is asked for.
fn request(network: &DockerNetwork, host: &BTreeSet<IpAddr>) -> Value {
    let gateway = network.gateway();
    let mut config = json!({
        "Subnet": network.subnet().to_string(),
        "IPRange": format!("{gateway}/32"),
        "Gateway": gateway.to_string(),
    });
    let names = (1..).map(|number| format!("host{number}"));
    let reserved: Map<_, _> = names
        .zip(host.iter().map(|address| json!(address.to_string())))
        .collect();
    if !reserved.is_empty() {
        config["AuxiliaryAddresses"] = Value::Object(reserved);
    }
    json!({
        "Name": network.name().as_str(),
        "CheckDuplicate": true,
        "Driver": "bridge",
        "IPAM": { "Config": [config] },
        "Options": { BRIDGE_NAME: network.name().as_str(), INHIBIT_IPV4: "true" },
    })
}

/// Makes a request of what the engine said of a network.
fn recreate_request(before: &Value) -> Value {
    let kept = [
        "Name",
        "Driver",
        "IPAM",
        "Options",
        "Internal",
        "Attachable",
        "EnableIPv6",
        "Labels",
    ];
    kept.into_iter()
        .map(|key| (key.to_owned(), before[key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Reads the subnets of a network that is bound to the bridge of its own name, as ours are.
pub(super) fn bound(network: &Value) -> Vec<DockerNetwork> {
    let bridge = network["Options"][BRIDGE_NAME].as_str();
    let name = network["Name"]
        .as_str()
        .filter(|name| Some(*name) == bridge);
    let configs = network["IPAM"]["Config"].as_array();
    let read = |config: &Value| {
        let (subnet, gateway) = (config["Subnet"].as_str()?, config["Gateway"].as_str()?);
        format!("{}={subnet}@{gateway}", name?).parse().ok()
    };
    configs.into_iter().flatten().filter_map(read).collect()
}

fn is_equal(there: &Value, wanted: &Value) -> bool {
    let (has, wants) = (ipam(there), ipam(wanted));
    is_equal_but_for_reservations(there, wanted)
        && ["IPRange", "AuxiliaryAddresses"]
            .iter()
            .all(|key| has[*key] == wants[*key])
}

/// Compares the rest. A network of both families is never equal: engines from 28 on take the host's own IPv6 addresses
/// from the bridge.
fn is_equal_but_for_reservations(there: &Value, wanted: &Value) -> bool {
    let (has, wants) = (ipam(there), ipam(wanted));
    there["Driver"] == wanted["Driver"]
        && there["EnableIPv6"] != true
        && has["Subnet"] == wants["Subnet"]
        && has["Gateway"] == wants["Gateway"]
        && [BRIDGE_NAME, INHIBIT_IPV4]
            .iter()
            .all(|option| there["Options"][*option] == wanted["Options"][*option])
}

/// Returns the one subnet of a network, with what is reserved in it.
fn ipam(network: &Value) -> &Value {
    &network["IPAM"]["Config"][0]
}

/// Refuses a subnet that another network holds; the engine would say so later and less clearly.
fn refuse_overlap(network: &DockerNetwork, networks: &[Value]) -> Result<()> {
    for other in networks
        .iter()
        .filter(|other| other["Name"] != network.name().as_str())
    {
        let configs = other["IPAM"]["Config"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let subnets = configs
            .iter()
            .filter_map(|config| config["Subnet"].as_str()?.parse().ok());
        for subnet in subnets {
            if overlap(network.subnet(), subnet) {
                let name = other["Name"].as_str().unwrap_or("?");
                bail!(
                    "{} overlaps {subnet} of the docker network {name}: {}",
                    network.subnet(),
                    advice(name)
                );
            }
        }
    }
    Ok(())
}

/// What can be done about a network in the way: docker makes some itself, and again when they are removed.
fn advice(name: &str) -> &'static str {
    match name {
        "bridge" => {
            "docker made that one itself; give it another subnet with \"bip\" in daemon.json, as in \
             \"bip\": \"192.168.250.1/24\", and restart docker"
        }
        "docker_gwbridge" | "ingress" => {
            "docker made that one itself for its swarm; leave the swarm, set \"default-address-pools\" in \
             daemon.json or choose another subnet"
        }
        _ => "remove that network or choose another subnet",
    }
}

/// Of two networks one holds the other, or they have nothing in common.
fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_the_gateway_and_what_the_host_has_is_reserved() {
        let network: DockerNetwork = "mydocker0=10.1.0.0/16@10.1.0.1".parse().unwrap();
        let host = ["10.1.0.5", "10.1.0.6"].map(|address| address.parse().unwrap());
        assert_eq!(
            request(&network, &BTreeSet::from(host))["IPAM"]["Config"],
            json!([{
                "Subnet": "10.1.0.0/16", "IPRange": "10.1.0.1/32", "Gateway": "10.1.0.1",
                "AuxiliaryAddresses": { "host1": "10.1.0.5", "host2": "10.1.0.6" },
            }])
        );
        // The host is the router: its address is the gateway, which is reserved already.
        assert_eq!(
            request(&network, &BTreeSet::new())["IPAM"]["Config"],
            json!([{ "Subnet": "10.1.0.0/16", "IPRange": "10.1.0.1/32", "Gateway": "10.1.0.1" }])
        );
    }

    #[test]
    fn a_network_of_both_families_is_not_equal() {
        let network: DockerNetwork = "mydocker0=10.1.0.0/16@10.1.0.1".parse().unwrap();
        let wanted = request(&network, &BTreeSet::new());
        assert!(is_equal(&wanted, &wanted));
        let mut both = wanted.clone();
        both["EnableIPv6"] = json!(true);
        assert!(!is_equal(&both, &wanted) && !is_equal_but_for_reservations(&both, &wanted));
        let mut open = wanted.clone();
        open["IPAM"]["Config"][0]["IPRange"] = json!("10.1.0.0/16");
        assert!(!is_equal(&open, &wanted) && is_equal_but_for_reservations(&open, &wanted));
    }

    #[test]
    fn what_is_in_the_way_is_said_with_what_can_be_done() {
        let network: DockerNetwork = "mydocker0=172.17.0.0/16@172.17.0.1".parse().unwrap();
        for (name, advice) in [
            (
                "bridge",
                "docker made that one itself; give it another subnet with \"bip\" in daemon.json, as in \
                 \"bip\": \"192.168.250.1/24\", and restart docker",
            ),
            (
                "ingress",
                "docker made that one itself for its swarm; leave the swarm, set \"default-address-pools\" in \
                 daemon.json or choose another subnet",
            ),
            ("other", "remove that network or choose another subnet"),
        ] {
            let config = json!({ "Config": [{ "Subnet": "172.17.0.0/24" }] });
            let there = json!({ "Name": name, "IPAM": config });
            assert_eq!(
                refuse_overlap(&network, &[there]).unwrap_err().to_string(),
                format!(
                    "172.17.0.0/16 overlaps 172.17.0.0/24 of the docker network {name}: {advice}"
                )
            );
        }
    }
}
