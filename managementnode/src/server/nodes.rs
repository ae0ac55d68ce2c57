//! Which nodes there are, and from which addresses they speak.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use definitions::Catalog;

use crate::nic::nic_names;

/// How old what is known may get, and how soon it is read again for a node that is not.
const MAX_AGE: Duration = Duration::from_secs(60);
const MIN_AGE: Duration = Duration::from_secs(5);

/// The nodes, as they are defined.
#[derive(Debug)]
pub(super) struct KnownNodes {
    catalog: Catalog,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    names: BTreeSet<String>,
    addresses: HashMap<IpAddr, String>,
    containers: BTreeSet<String>,
    since: Instant,
}

impl KnownNodes {
    /// Reads the definitions.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn load(catalog: Catalog) -> Result<Self> {
        let known = Mutex::new(read(&catalog)?);
        Ok(Self { catalog, known })
    }

    /// Returns where the definitions are.
    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Says whether there is such a node.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.find(|known| known.names.get(name).cloned()).is_some()
    }

    /// Returns the node that has an address.
    pub(super) fn at(&self, address: IpAddr) -> Option<String> {
        self.find(|known| known.addresses.get(&address.to_canonical()).cloned())
    }

    /// Returns the container that has an address.
    pub(super) fn container_at(&self, address: IpAddr) -> Option<String> {
        let is_container = |known: &Known, name: &String| known.containers.contains(name);
        self.find(|known| {
            let name = known.addresses.get(&address.to_canonical());
            name.filter(|name| is_container(known, name)).cloned()
        })
    }

    /// Looks among what is known, and again when that may have changed.
    fn find(&self, look: impl Fn(&Known) -> Option<String>) -> Option<String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = look(&known);
        let oldest = if found.is_some() { MAX_AGE } else { MIN_AGE };
        if known.since.elapsed() < oldest {
            return found;
        }
        match read(&self.catalog) {
            Ok(now) => *known = now,
            Err(error) => {
                known.since = Instant::now();
                super::http::log(&format!("{error:#}"));
            }
        }
        look(&known)
    }
}

fn read(catalog: &Catalog) -> Result<Known> {
    let nodes = catalog.nodes()?;
    let (mut addresses, mut containers) = (HashMap::new(), BTreeSet::new());
    for name in nodes.names() {
        let node = nodes.node(name)?;
        if node.mgt.as_deref() == Some("docker") {
            containers.insert(name.to_owned());
        }
        let nics = nic_names(&node).unwrap_or_default();
        let nics = nics.into_iter().map(|nic| nic.address);
        addresses.extend(
            node.addresses()
                .chain(nics)
                .map(|address| (address, name.to_owned())),
        );
    }
    Ok(Known {
        names: nodes.names().map(str::to_owned).collect(),
        addresses,
        containers,
        since: Instant::now(),
    })
}
