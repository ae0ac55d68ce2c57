//! How the stanzas of a device address it: interfaces(5).

use anyhow::{Context, Result};
use ipnetwork::IpNetwork;

use super::super::model::{Addressing, RouteConfig, length_of_mask, parse_network, with_length};
use super::super::sources::Sources;
use super::{InterfacesLine, files, logical, option_name};
use crate::bridge::persist::names::rename;

/// How the stanzas of a device address it.
pub(in crate::bridge::persist) fn read(sources: &Sources, name: &str) -> Result<Addressing> {
    let mut into = Addressing::default();
    for path in files(sources) {
        let text = sources.text(&path).unwrap_or_default();
        for stanza in stanzas(text, name) {
            stanza
                .collect(name, &mut into)
                .with_context(|| format!("reading {} of {}", name, path.display()))?;
        }
    }
    Ok(into)
}

struct InterfacesStanza {
    v6: bool,
    method: String,
    options: Vec<(String, String)>,
}

fn stanzas(text: &str, device: &str) -> Vec<InterfacesStanza> {
    let mut stanzas: Vec<InterfacesStanza> = Vec::new();
    let mut inside = false;
    for line in logical(text) {
        match InterfacesLine::parse(&line) {
            InterfacesLine::Iface(name, family, method) => {
                inside = name.split(':').next() == Some(device);
                if inside {
                    stanzas.push(InterfacesStanza {
                        v6: family == "inet6",
                        method: method.to_owned(),
                        options: Vec::new(),
                    });
                }
            }
            InterfacesLine::Option(key, value) if inside => {
                if let Some(stanza) = stanzas.last_mut() {
                    stanza.options.push((option_name(key), value.to_owned()));
                }
            }
            InterfacesLine::Class(..) | InterfacesLine::Other(..) => inside = false,
            _ => {}
        }
    }
    stanzas
}

impl InterfacesStanza {
    fn value(&self, key: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn collect(&self, name: &str, into: &mut Addressing) -> Result<()> {
        match (self.v6, self.method.as_str()) {
            (false, "dhcp") => into.dhcp4 = true,
            (true, "dhcp") => into.dhcp6 = true,
            (true, "auto") => into.ra = Some(true),
            _ => {}
        }
        if let Some(address) = self.value("address") {
            into.addresses.insert(self.net(address)?);
        }
        if let Some(gateway) = self.value("gateway").filter(|gateway| *gateway != "none") {
            into.routes
                .insert(RouteConfig::default_via(gateway.parse()?));
        }
        if let Some(mtu) = self.value("mtu") {
            into.mtu = Some(mtu.parse()?);
        }
        for (key, value) in &self.options {
            let words = value.split_whitespace().map(str::to_owned);
            match key.as_str() {
                "dns-nameservers" | "dns-nameserver" => into.dns.extend(words),
                "dns-search" | "dns-domain" => into.search.extend(words),
                // Commands add routes and rules: the same words must stand there for the bridge.
                "up" | "post-up" if value.contains(" route ") || value.contains(" rule ") => {
                    into.rules.insert(rename(value, name, "$IFACE"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn net(&self, address: &str) -> Result<IpNetwork> {
        let network = parse_network(address)?;
        if address.contains('/') {
            return Ok(network);
        }
        if let Some(mask) = self.value("netmask") {
            let length = mask.parse().ok().or_else(|| length_of_mask(mask));
            let length = length.with_context(|| format!("reading netmask {mask:?}"))?;
            return with_length(network.ip(), length);
        }
        Ok(network)
    }
}
