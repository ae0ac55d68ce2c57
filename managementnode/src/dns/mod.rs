//! `makedns`: the names of nodes and containers, by dnsmasq.
//!
//! Definitions come in; `addn-hosts` and the settings of the domains go out, checked and published as `makedhcp` does.
//! Reference: xCAT's makedns(8), hosts(5).

mod cli;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use definitions::{Definition, Kind, Network, Node, NodeName, Nodes, Site, host_name_fault};
use ipnetwork::IpNetwork;

use crate::dnsmasq::{Directory, Listing, setting};
use crate::nic::nic_names;
use crate::report::{Report, SettingsChange};
use crate::subnet::subnet;
pub use cli::Args;

/// The settings of the domains.
const SETTINGS: &str = "slipway-dns.conf";

/// The list of names.
const LIST: &str = "dns-hosts";

/// Runs `makedns`.
///
/// # Errors
/// When dnsmasq refuses what the definitions make, or a file cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let directory = match args.dry_run {
        true => Directory::look(&args.dnsmasq.directory),
        false => Directory::lock(&args.dnsmasq.directory)?,
    };
    let catalog = args.config.catalog();
    let (nodes, site) = (catalog.nodes()?, catalog.site()?);
    let domains = Domains::new(&catalog.objects(Kind::Network)?, &site)?;
    let names = chosen(&args, &nodes)?;
    let before = directory.listing(LIST)?;
    let mut after = if args.new {
        Listing::default()
    } else {
        before.clone()
    };
    let (mut left_out, mut problems) = (Vec::new(), Vec::new());
    for name in &names {
        let node = nodes.node(name)?;
        match if args.delete {
            Ok(Vec::new())
        } else {
            domains.lines(&node)
        } {
            Ok(lines) => {
                if lines.is_empty() && !args.delete {
                    left_out.push((name.clone(), "it has no address".to_owned()));
                }
                after.set(name, lines);
            }
            Err(error) => {
                after.set(name, before.of(name).to_vec());
                problems.push((name.clone(), format!("{error:#}")));
            }
        }
    }
    let text = domains.settings(&site, &directory)?;
    let drafts = [
        directory.dns_hosts(LIST, after.render("makedns"))?,
        directory.settings(SETTINGS, text.clone())?,
    ];
    directory.check(&drafts)?;
    let dnsmasq = match args.dry_run {
        true => "untouched",
        false => directory.publish(&drafts, &args.dnsmasq.service())?,
    };
    let mut changes = after.changes(&before);
    let meant: BTreeSet<_> = names.iter().collect();
    let wrong: BTreeSet<_> = problems.iter().map(|(name, _)| name.clone()).collect();
    changes.retain(|name, _| (args.new || meant.contains(name)) && !wrong.contains(name));
    let report = Report {
        command: "makedns",
        dry_run: args.dry_run,
        settings: Some(SettingsChange {
            path: drafts[1].path().display().to_string(),
            text,
            is_changed: drafts[1].is_changed(),
        }),
        changes,
        listing: after,
        left_out,
        problems,
        notes: Vec::new(),
        dnsmasq,
    };
    report.print(args.json)
}

fn chosen(args: &Args, nodes: &Nodes) -> Result<Vec<String>> {
    let Some(range) = &args.nodes else {
        return Ok(nodes.names().map(str::to_owned).collect());
    };
    let names = range.select(nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    Ok(names)
}

/// Refuses what is no domain.
///
/// # Errors
/// What keeps it from being one.
pub(crate) fn check_domain(domain: &str) -> Result<()> {
    match host_name_fault(domain) {
        Some(fault) => bail!("the domain '{domain}' is none: {fault}"),
        None => Ok(()),
    }
}

/// Which domain an address is in.
#[derive(Debug)]
struct Domains {
    networks: Vec<(IpNetwork, Option<String>)>,
    site: Option<String>,
}

impl Domains {
    fn new(networks: &[definitions::Object], site: &Site) -> Result<Self> {
        let networks = networks.iter().map(|object| {
            let network = Network::from_object(object)?;
            Ok((subnet(&network)?, network.domain))
        });
        let domains = Self {
            networks: networks.collect::<Result<_>>()?,
            site: site.domain.clone(),
        };
        domains.all().into_iter().try_for_each(check_domain)?;
        Ok(domains)
    }

    /// Lists every domain once.
    fn all(&self) -> BTreeSet<&str> {
        let own = self
            .networks
            .iter()
            .filter_map(|(_, domain)| domain.as_deref());
        own.chain(self.site.as_deref()).collect()
    }

    fn of(&self, address: IpAddr) -> Option<&str> {
        let holding = self
            .networks
            .iter()
            .filter(|(network, _)| network.contains(address));
        let nearest = holding.max_by_key(|(network, _)| network.prefix());
        nearest
            .and_then(|(_, domain)| domain.as_deref())
            .or(self.site.as_deref())
    }

    /// Returns a node's lines: one for each of its addresses.
    fn lines(&self, node: &Node) -> Result<Vec<String>> {
        let further: Vec<NodeName> = node
            .hostnames
            .iter()
            .flat_map(|names| names.split_whitespace())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("reading its hostnames")?;
        let name: NodeName = node.name.parse()?;
        let own = node.ip.map(|address| (name, address, further));
        let nics = nic_names(node)?
            .into_iter()
            .map(|nic| (nic.host, nic.address, nic.aliases));
        let lines = own.into_iter().chain(nics).map(|(host, address, aliases)| {
            let mut names = Vec::new();
            // The first name is the one that the address has.
            for name in [&host].into_iter().chain(&aliases) {
                match self.of(address) {
                    Some(domain) if !name.ends_with(&format!(".{domain}")) => {
                        names.push(format!("{name}.{domain}"));
                        names.push(name.to_string());
                    }
                    _ => names.push(name.to_string()),
                }
            }
            format!("{address} {}", names.join(" "))
        });
        Ok(lines.collect())
    }

    /// Returns the settings: names of our domains are asked of nobody else.
    fn settings(&self, site: &Site, directory: &Directory) -> Result<String> {
        let mut text =
            "# Written by makedns from the definitions: changes are lost.\ndomain-needed\n"
                .to_owned();
        if let Some(domain) = &self.site {
            text += &setting("domain", &[domain])?;
        }
        for domain in self.all() {
            text += &setting("local", &[&format!("/{domain}/")])?;
        }
        if !site.forwarders.is_empty() {
            text += "no-resolv\n";
        }
        for forwarder in &site.forwarders {
            text += &setting("server", &[&forwarder.to_string()])?;
        }
        Ok(text + &setting("addn-hosts", &[&directory.list(LIST).display().to_string()])?)
    }
}
