//! The containers and docker hosts of the definitions, and how each host's engine is reached.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use definitions::command::Config;
use definitions::{Catalog, DockerHost, Node, Noderange, Nodes};

use crate::client_certificate;
use crate::engine::{Credentials, Endpoint};

/// The value of `mgt` that makes a node a container.
const DOCKER: &str = "docker";

/// What every command here is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(flatten)]
    pub(crate) config: Config,

    /// Where the client's ca.pem, cert.pem and key.pem are, or those of each host in a directory of its name; unless
    /// given, root has a certificate of the site's authority where there is one, others the directory 'client' of the
    /// definitions
    #[arg(long, value_name = "DIR", env = "DOCKER_CERT_PATH")]
    cert_path: Option<PathBuf>,

    /// How many hosts are worked on at a time
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) fanout: u16,
}

/// A docker host: its name, and where its engine is.
#[derive(Debug, Clone)]
pub(crate) struct EngineHost {
    /// The name that messages have for it, the same for all its containers.
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
}

/// The definitions, and the certificates that lead to hosts.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) catalog: Catalog,
    pub(crate) nodes: Nodes,
    /// What `--cert-path` names.
    certificates: Option<PathBuf>,
    loaded: RefCell<BTreeMap<PathBuf, Credentials>>,
}

impl Cluster {
    /// Loads the definitions.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn load(args: &ClusterArgs) -> Result<Self> {
        let catalog = args.config.catalog();
        Ok(Self {
            nodes: catalog.nodes()?,
            certificates: args.cert_path.clone(),
            catalog,
            loaded: RefCell::default(),
        })
    }

    /// Lists the nodes that a range names, with all that they have.
    ///
    /// # Errors
    /// When a name does not exist, or there is none.
    pub(crate) fn select(&self, range: &Noderange) -> Result<Vec<Node>> {
        let names = range.select(&self.nodes)?;
        ensure!(!names.is_empty(), "the node range names no node");
        names
            .iter()
            .map(|name| Ok(self.nodes.node(name)?))
            .collect()
    }

    /// Says whether a node is a container.
    pub(crate) fn is_container(node: &Node) -> bool {
        node.mgt.as_deref() == Some(DOCKER)
    }

    /// Finds the host of a container.
    ///
    /// # Errors
    /// When the node is no container, has no host, or nothing says who the client is there.
    pub(crate) fn host_of(&self, node: &Node) -> Result<EngineHost> {
        if !Self::is_container(node) {
            let mgt = node.mgt.as_deref().unwrap_or("not set");
            bail!("it is no container: its mgt is {mgt}, and {DOCKER} of a container");
        }
        let host = node.dockerhost.as_ref().with_context(|| {
            let name = &node.name;
            format!("Docker host not set correct for {name}: chdef {name} dockerhost=HOST")
        })?;
        self.resolve(host)
    }

    /// Finds the engine of a node that is a docker host itself.
    ///
    /// # Errors
    /// As [`Self::host_of`].
    pub(crate) fn host_itself(&self, node: &Node) -> Result<EngineHost> {
        let named = DockerHost::Remote {
            host: node.name.clone(),
            port: None,
        };
        self.resolve(&named)
    }

    fn resolve(&self, host: &DockerHost) -> Result<EngineHost> {
        let (name, port) = match host {
            DockerHost::Socket(path) => {
                return Ok(EngineHost {
                    name: host.to_string(),
                    endpoint: Endpoint::Unix(path.clone()),
                });
            }
            DockerHost::Remote { host, port } => (host, *port),
        };
        let node = self.nodes.own(name).map(|_| self.nodes.node(name));
        let node = node.transpose()?;
        // A docker host with a port of its own says so by its own dockerhost.
        let own = node.as_ref().and_then(|node| node.dockerhost.as_ref());
        if let (None, Some(DockerHost::Socket(path))) = (port, own) {
            return Ok(EngineHost {
                name: name.clone(),
                endpoint: Endpoint::Unix(path.clone()),
            });
        }
        let own_port = match own {
            Some(DockerHost::Remote { port, .. }) => *port,
            _ => None,
        };
        let address = node.and_then(|node| node.ip);
        let endpoint = Endpoint::Tls {
            host: address.map_or_else(|| name.clone(), |address| address.to_string()),
            port: port.or(own_port).unwrap_or(DockerHost::PORT),
            credentials: self.credentials(name)?,
        };
        Ok(EngineHost {
            name: name.clone(),
            endpoint,
        })
    }

    /// Loads who the client is on a host: the files of that host, else those of all, which the site's authority makes
    /// where there is one and no other directory is given.
    fn credentials(&self, host: &str) -> Result<Credentials> {
        let config = self.catalog.path();
        let usual = || config.join("client");
        let all = self.certificates.clone().unwrap_or_else(usual);
        let own = all.join(host);
        let has_own = Credentials::are_in(&own);
        let of_authority =
            !has_own && self.certificates.is_none() && client_certificate::has_authority(config);
        let directory = match (has_own, of_authority) {
            (true, _) => own.clone(),
            (_, true) => config.join("trust"),
            _ => all.clone(),
        };
        if let Some(loaded) = self.loaded.borrow().get(&directory) {
            return Ok(loaded.clone());
        }
        ensure!(
            of_authority || Credentials::are_in(&directory),
            "nothing lets a client in on {host}: neither {} nor {} has ca.pem, cert.pem and key.pem: {}",
            own.display(),
            all.display(),
            client_certificate::advice(config, host)
        );
        let credentials = if of_authority {
            client_certificate::load(config)?
        } else {
            Credentials::load(&directory)?
        };
        let mut loaded = self.loaded.borrow_mut();
        loaded.insert(directory, credentials.clone());
        Ok(credentials)
    }
}
