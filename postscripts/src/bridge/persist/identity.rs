//! What the NIC is known by on its network, where that is made from its name or from a profile's UUID:
//! the bridge has neither, so that it has to be configured.
//!
//! In: the live addresses and the leases that the daemons note. Out: the interface identifier of the
//! addresses that routers advertise (RFC 7217 mixes the name in), the DHCP client identifier, and the
//! addresses themselves for an error that names those that would change.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use anyhow::{Result, bail};
use ipnetwork::IpNetwork;
use nix::libc;

use super::model::{Addressing, DesiredBridge};
use crate::bridge::net::{Mac, NetState};
use crate::files::{self, under_root};

/// What has to be carried over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NicIdentity {
    /// Addresses by router advertisements that are not made from the hardware address.
    derived: Vec<Ipv6Addr>,
    /// The link-local address, where it is not made from the hardware address.
    link_local: Option<Ipv6Addr>,
    /// A leased IPv6 address.
    leased: Option<Ipv6Addr>,
    /// The DHCP client identifier in colon-separated octets.
    pub(super) client_id: Option<String>,
    /// How the kernel makes addresses (`addr_gen_mode`).
    generation: Option<u8>,
}

impl NicIdentity {
    /// Reads it off the NIC; `was` has the addresses that are configured.
    pub(super) fn read(
        root: &Path,
        desired: &DesiredBridge,
        was: &Addressing,
        state: &NetState,
    ) -> Result<Self> {
        let mut identity = Self {
            client_id: client_id(root, &desired.nic)?,
            ..Self::default()
        };
        let mode = Path::new("/proc/sys/net/ipv6/conf").join(&desired.nic);
        let mode = files::read(&under_root(root, &mode.join("addr_gen_mode")))?;
        identity.generation = mode.and_then(|mode| mode.trim().parse().ok());
        for address in state
            .link(&desired.nic)
            .iter()
            .flat_map(|link| &link.addresses)
        {
            let IpAddr::V6(ip) = address.ip else { continue };
            let network = IpNetwork::new(address.ip, address.len).ok();
            let configured = network.is_some_and(|network| was.addresses.contains(&network));
            // a temporary address is random and changes by itself (RFC 8981)
            if configured || address.flags & libc::IFA_F_TEMPORARY != 0 {
                continue;
            }
            let by_hardware = interface_id(ip) == eui64(desired.mac);
            match address.len {
                128 if address.lifetimes.is_some() => identity.leased = Some(ip),
                64 if by_hardware => {}
                64 if ip.is_unicast_link_local() => identity.link_local = Some(ip),
                64 => identity.derived.push(ip),
                _ => {}
            }
        }
        Ok(identity)
    }

    /// The token (`::` and the interface identifier) that makes the same address again, where the one
    /// that stands is not made from the hardware address.
    pub(super) fn token(&self, desired: &DesiredBridge) -> Result<Option<Ipv6Addr>> {
        let ids: BTreeSet<u64> = self.derived.iter().map(|ip| interface_id(*ip)).collect();
        if ids.len() > 1 {
            let addresses: Vec<String> = self.derived.iter().map(Ipv6Addr::to_string).collect();
            bail!(
                "the addresses {} are made from the name {} and would be others on {}, and no token can replace all of \
                 them: have them made from the hardware address (eui64), or configure them, first",
                addresses.join(", "),
                desired.nic,
                desired.bridge
            );
        }
        Ok(ids.first().map(|id| Ipv6Addr::from(u128::from(*id))))
    }

    /// Refuses where the kernel makes addresses from a secret: it mixes in what a bridge has not.
    pub(super) fn refuse_secret(&self, desired: &DesiredBridge) -> Result<()> {
        let all = self.derived.iter().chain(&self.link_local);
        match (self.generation, all.into_iter().next()) {
            (Some(mode @ (2 | 3)), Some(address)) => bail!(
                "the kernel makes {address} from a secret (addr_gen_mode {mode} of {}) and would make another one \
                 for {}: set addr_gen_mode to 0, or configure the address, first",
                desired.nic,
                desired.bridge
            ),
            _ => Ok(()),
        }
    }

    /// Refuses to let the link-local address change that `setting` makes.
    pub(super) fn refuse_link_local(&self, setting: &str, desired: &DesiredBridge) -> Result<()> {
        match self.link_local {
            Some(address) => bail!(
                "{setting} makes the link-local address {address} from the name {}, and {} would have another one: \
                 take it out first",
                desired.nic,
                desired.bridge
            ),
            None => Ok(()),
        }
    }

    /// Refuses to let the leased IPv6 address change that the server knows by what is `made`, and says
    /// what to `write` down instead.
    pub(super) fn refuse_leased(
        &self,
        made: &str,
        write: &str,
        desired: &DesiredBridge,
    ) -> Result<()> {
        match self.leased {
            Some(address) => bail!(
                "{made}, so that {} would lose the lease of {address}: {write} first",
                desired.bridge
            ),
            None => Ok(()),
        }
    }
}

fn interface_id(address: Ipv6Addr) -> u64 {
    (u128::from(address) & u128::from(u64::MAX)) as u64
}

/// The interface identifier that is made from a hardware address (RFC 4291, appendix A).
fn eui64(Mac([a, b, c, d, e, f]): Mac) -> u64 {
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// What NetworkManager's own DHCP client sends to the server.
fn client_id(root: &Path, nic: &str) -> Result<Option<String>> {
    let dir = under_root(root, Path::new("/var/lib/NetworkManager"));
    let end = format!("-{nic}.lease");
    let wanted = |name: &&String| name.starts_with("internal-") && name.ends_with(&end);
    for name in files::names(&dir)?.iter().filter(wanted) {
        let text = files::read(&dir.join(name))?.unwrap_or_default();
        let hex = text.lines().find_map(|line| line.strip_prefix("CLIENTID="));
        let Some(hex) = hex.map(str::trim).filter(|hex| {
            !hex.is_empty() && hex.len() % 2 == 0 && hex.bytes().all(|b| b.is_ascii_hexdigit())
        }) else {
            continue;
        };
        let octets: Vec<&str> = (0..hex.len())
            .step_by(2)
            .map(|at| &hex[at..at + 2])
            .collect();
        return Ok(Some(octets.join(":").to_ascii_lowercase()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> DesiredBridge {
        DesiredBridge {
            nic: "eth0".to_owned(),
            bridge: "br0".to_owned(),
            mac: "52:54:00:12:34:56".parse().unwrap(),
            iaid: None,
            identity: NicIdentity::default(),
            address: None,
            switch: None,
        }
    }

    fn derived(addresses: &[&str]) -> NicIdentity {
        NicIdentity {
            derived: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..NicIdentity::default()
        }
    }

    #[test]
    fn the_hardware_address_makes_an_interface_identifier() {
        let made = "fe80::5054:ff:fe12:3456".parse().unwrap();
        assert_eq!(eui64(desired().mac), interface_id(made));
    }

    #[test]
    fn one_identifier_is_a_token_and_two_are_an_error() {
        assert_eq!(derived(&[]).token(&desired()).unwrap(), None);
        let one = derived(&["2001:db8::1:2:3:4", "2001:db8:5::1:2:3:4"]);
        let token = one.token(&desired()).unwrap().unwrap();
        assert_eq!(token.to_string(), "::1:2:3:4");
        let two = derived(&["2001:db8::1:2:3:4", "fd00::5:6:7:8"]);
        assert_eq!(
            two.token(&desired()).unwrap_err().to_string(),
            "the addresses 2001:db8::1:2:3:4, fd00::5:6:7:8 are made from the name eth0 and would be others on br0, and \
             no token can replace all of them: have them made from the hardware address (eui64), or configure them, first"
        );
    }

    #[test]
    fn what_cannot_be_carried_is_refused_by_its_address() {
        let identity = NicIdentity {
            link_local: Some("fe80::9".parse().unwrap()),
            leased: Some("2001:db8::77".parse().unwrap()),
            generation: Some(2),
            ..NicIdentity::default()
        };
        let desired = desired();
        let cases = [
            (
                identity.refuse_secret(&desired),
                "the kernel makes fe80::9 from a secret (addr_gen_mode 2 of eth0) and would make another one for br0: \
                 set addr_gen_mode to 0, or configure the address, first",
            ),
            (
                identity.refuse_link_local("X=y", &desired),
                "X=y makes the link-local address fe80::9 from the name eth0, and br0 would have another one: take it \
                 out first",
            ),
            (
                identity.refuse_leased("the DUID is made", "write it", &desired),
                "the DUID is made, so that br0 would lose the lease of 2001:db8::77: write it first",
            ),
        ];
        for (refused, message) in cases {
            assert_eq!(refused.unwrap_err().to_string(), message);
        }
        let none = NicIdentity::default();
        assert!(
            none.refuse_secret(&desired).is_ok() && none.refuse_link_local("", &desired).is_ok()
        );
    }
}
