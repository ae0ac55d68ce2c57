//! `makedns`: the names of nodes and containers, by dnsmasq.
//!
//! Definitions come in; `addn-hosts` and the settings of the domains go out, checked and published as `makedhcp` does.
//! Reference: xCAT's makedns(8), hosts(5).

mod cli;

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Result, bail};
use definitions::{Node, Nodes, ObjectKind, Site};

use crate::dnsmasq::{Directory, NodeEntries, setting};
use crate::domains::Domains;
use crate::report::{Report, SettingsChange};
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
    let directory = Directory::open(&args.dnsmasq.directory, args.dry_run)?;
    let catalog = args.config.catalog();
    let (nodes, site) = (catalog.nodes()?, catalog.site()?);
    let domains = Domains::new(&catalog.objects(ObjectKind::Network)?, &site)?;
    let names = chosen(&args, &nodes)?;
    let before = directory.listing(LIST)?;
    let mut after = if args.new {
        NodeEntries::default()
    } else {
        before.clone()
    };
    let (mut left_out, mut problems) = (Vec::new(), Vec::new());
    for name in &names {
        let node = nodes.node(name)?;
        let lines = if args.delete {
            Ok(Vec::new())
        } else {
            lines(&domains, &node)
        };
        match lines {
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
    let dnsmasq = directory.publish(&drafts, &args.dnsmasq.service())?;
    let changes = after.changes(&before, (!args.new).then_some(&names), &problems);
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

/// Returns a node's lines: one for each of its addresses.
fn lines(domains: &Domains, node: &Node) -> Result<Vec<String>> {
    let addresses = domains.addresses(node)?;
    let line = |(address, names): &(IpAddr, Vec<String>)| format!("{address} {}", names.join(" "));
    Ok(addresses.iter().map(line).collect())
}

impl Domains {
    /// Returns the settings: names of our domains are asked of nobody else.
    fn settings(&self, site: &Site, directory: &Directory) -> Result<String> {
        let mut text =
            "# Written by makedns from the definitions: changes are lost.\ndomain-needed\n"
                .to_owned();
        if let Some(domain) = self.site() {
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
