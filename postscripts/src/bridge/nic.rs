//! Which NIC is meant when the user names none.

use anyhow::{Context, Result, bail};
use definitions::IfName;

use super::net::{self, NetState};

/// Names the bridge's NIC when the user does not, as xCAT's script did: `INSTALLNIC`, `PRIMARYNIC`,
/// else the interface that holds the default route. `mac` stands for the NIC with `MACADDRESS`.
///
/// # Errors
/// When there is none, or the one that is named is not here.
pub fn default_nic(
    state: &NetState,
    bridge: &IfName,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<IfName> {
    let named = ["INSTALLNIC", "PRIMARYNIC"]
        .into_iter()
        .find_map(|variable| Some((variable, environment(variable).filter(|v| !v.is_empty())?)));
    let name = match named {
        Some((_, value)) if value == "mac" => {
            let mac = environment("MACADDRESS").unwrap_or_default();
            by_mac(state, &mac)
                .with_context(|| format!("finding the NIC with MACADDRESS '{mac}'"))?
        }
        Some((variable, value)) if value.contains(':') => by_mac(state, &value)
            .with_context(|| format!("finding the NIC with {variable} '{value}'"))?,
        Some((_, value)) => value,
        None => by_default_route(state, bridge)
            .context("finding the NIC of the default route: pass NIC:BRIDGE")?,
    };
    Ok(name.parse()?)
}

/// Finds the NIC itself among all that share its hardware address.
fn by_mac(state: &NetState, text: &str) -> Result<String> {
    // xCAT lists several as 'MAC!host|MAC!host', the first being the node's own
    let first = text.split(['|', '!']).next().unwrap_or(text);
    let mac = first.parse::<net::Mac>()?;
    let fits = |link: &&net::Link| {
        link.mac == Some(mac) && link.kind != net::LinkKind::Bridge && link.parent.is_none()
    };
    match state.links.iter().find(fits) {
        Some(link) => Ok(link.name.clone()),
        None => bail!("no NIC has it"),
    }
}

fn by_default_route(state: &NetState, bridge: &IfName) -> Result<String> {
    const MAIN: u32 = 254;
    let mut defaults: Vec<_> = state.routes.iter().collect();
    defaults.retain(|route| route.is_default() && route.table == MAIN);
    defaults.sort_by_key(|route| (route.v6, route.metric.unwrap_or(0)));
    let device = |route: &&net::KernelRoute| route.hops.iter().find_map(|hop| hop.device.clone());
    let Some(device) = defaults.iter().find_map(device) else {
        bail!("there is no default route");
    };
    if device != bridge.as_str() {
        return Ok(device);
    }
    // it has moved already: the port that gave the bridge its hardware address
    let mac = state.link(&device).and_then(|link| link.mac);
    // a switch may have it in the bridge's place
    let by_switch = net::bridge_end(state, &device).is_some();
    let switched = state.links.iter().filter(|link| {
        let is_switch = |kind: &str| kind == "openvswitch" || kind == "tun";
        let own = matches!(&link.kind, net::LinkKind::Other(kind) if is_switch(kind));
        by_switch && !own && link.name != device
    });
    let mut candidates = state.ports(&device).chain(switched);
    match candidates.find(|link| link.mac == mac) {
        Some(port) => Ok(port.name.clone()),
        None => bail!("{device} holds it, and none of its ports has its hardware address"),
    }
}
