//! `makedhcp`: addresses and boot files of nodes, by dnsmasq.
//!
//! ```text
//! networks (which are served here, by whom?) ─> boot (what does which firmware load?) ─> settings
//! host (which entries has a node?) ─> list ─> dnsmasq --test ─> one rename a file ─> SIGHUP or restart
//! ```
//!
//! Reference: xCAT's makedhcp(8); RFC 2131, 4578 (what PXE clients say), 4361 and 4390 (InfiniBand).

mod boot;
mod cli;
mod detect;
mod host;
mod networks;
mod networks6;

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use definitions::{Definition, Network, Nodes, ObjectKind};

use crate::dnsmasq::{self, Directory, NodeEntries};
use crate::report::{Report, SettingsChange, write};
use boot::Loaders;
pub use cli::Args;
use host::Unlisted;
use networks::ServedNetworks;

/// The settings that `-n` writes.
const SETTINGS: &str = "slipway-dhcp.conf";

/// The list of nodes.
const LIST: &str = "dhcp-hosts";

/// Runs `makedhcp`.
///
/// # Errors
/// When the definitions cannot be served, dnsmasq refuses what is made of them, or a file cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    if args.query {
        return query(&args);
    }
    if args.detect {
        return detect::detect(&args);
    }
    let directory = Directory::open(&args.dnsmasq.directory, args.dry_run)?;
    if args.new {
        settings(&args, &directory)
    } else {
        list(&args, &directory)
    }
}

/// Writes the settings of the networks.
fn settings(args: &Args, directory: &Directory) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let site = catalog.site()?;
    let served = ServedNetworks::load(&catalog, &site)?;
    let loaders = Loaders::of_site(&catalog, &site, args.loaders.as_deref())?;
    let text = served.settings()?
        + &loaders.settings(&served)?
        + &dnsmasq::setting(
            "dhcp-hostsfile",
            &[&directory.list(LIST).display().to_string()],
        )?;
    let drafts = [
        directory.settings(SETTINGS, text.clone())?,
        // dnsmasq does not start without the list that it is told of.
        directory.dhcp_hosts(LIST, directory.listing(LIST)?.render("makedhcp"))?,
    ];
    directory.check(&drafts)?;
    if !args.dry_run {
        loaders.publish()?;
    }
    let dnsmasq = directory.publish(&drafts, &args.dnsmasq.service())?;
    let report = Report {
        command: "makedhcp",
        dry_run: args.dry_run,
        settings: Some(SettingsChange {
            path: drafts[0].path().display().to_string(),
            text,
            is_changed: drafts[0].is_changed(),
        }),
        changes: Default::default(),
        listing: NodeEntries::default(),
        left_out: Vec::new(),
        problems: Vec::new(),
        notes: [served.notes(), loaders.notes()].concat(),
        dnsmasq,
    };
    report.print(args.json)
}

/// Changes the list of nodes.
fn list(args: &Args, directory: &Directory) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let nodes = catalog.nodes()?;
    let before = directory.listing(LIST)?;
    let names = chosen(args, &nodes)?;
    let mut after = if args.all {
        NodeEntries::default()
    } else {
        before.clone()
    };
    let (mut left_out, mut problems) = (Vec::new(), Vec::new());
    if args.delete {
        names.iter().for_each(|name| after.set(name, Vec::new()));
    } else {
        let settings = directory.settings_text(SETTINGS)?.with_context(|| {
            format!(
                "dnsmasq is not set up to read a list of nodes: run makedhcp -n first, which writes {}",
                args.dnsmasq.directory.join(SETTINGS).display()
            )
        })?;
        let served = ServedNetworks::load(&catalog, &catalog.site()?)?;
        // A node of a network that dnsmasq does not know would be listed and get nothing.
        if !settings.starts_with(&served.settings()?) {
            bail!("the networks have changed since makedhcp -n: run that again, then this");
        }
        for name in &names {
            match served.entries(&nodes.node(name)?) {
                Ok(entries) => after.set(name, entries),
                Err(Unlisted::LeftOut(reason)) if args.all => left_out.push((name.clone(), reason)),
                Err(Unlisted::LeftOut(reason) | Unlisted::Wrong(reason)) => {
                    // What is wrong now does not take away what works.
                    after.set(name, before.of(name).to_vec());
                    problems.push((name.clone(), reason));
                }
            }
        }
        refuse_shared(&after)?;
    }
    let draft = [directory.dhcp_hosts(LIST, after.render("makedhcp"))?];
    directory.check(&draft)?;
    let dnsmasq = directory.publish(&draft, &args.dnsmasq.service())?;
    let changes = after.changes(&before, (!args.all).then_some(&names), &problems);
    let report = Report {
        command: "makedhcp",
        dry_run: args.dry_run,
        settings: None,
        changes,
        listing: after,
        left_out,
        problems,
        notes: Vec::new(),
        dnsmasq,
    };
    report.print(args.json)
}

/// Says what DHCP has of the nodes, in xCAT's words.
fn query(args: &Args) -> Result<ExitCode> {
    let nodes = args.config.catalog().nodes()?;
    let listing = Directory::look(&args.dnsmasq.directory).listing(LIST)?;
    let names = chosen(args, &nodes)?;
    if args.json {
        let known = names
            .iter()
            .map(|name| serde_json::json!({ "node": name, "entries": listing.of(name) }));
        let known: Vec<_> = known.collect();
        write(&(serde_json::to_string_pretty(&serde_json::json!({ "nodes": known }))? + "\n"))?;
    } else {
        let lines = names.iter().flat_map(|name| {
            listing
                .of(name)
                .iter()
                .map(move |entry| host::described(name, entry))
        });
        write(&lines.collect::<String>())?;
    }
    let missing: Vec<_> = names
        .iter()
        .filter(|name| listing.of(name).is_empty())
        .map(String::as_str)
        .collect();
    if !args.all && !missing.is_empty() {
        bail!(
            "DHCP has nothing of {}: makedhcp {}",
            missing.join(","),
            missing.join(",")
        );
    }
    Ok(ExitCode::SUCCESS)
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

/// Refuses a list in which two nodes have one hardware address or one address.
fn refuse_shared(listing: &NodeEntries) -> Result<()> {
    let mut owners = HashMap::<&str, &str>::new();
    for (node, entry) in listing.entries() {
        for (what, value) in host::keys(entry) {
            if let Some(other) = owners.insert(value, node) {
                bail!(
                    "{node} has the {what} {value}, which DHCP also has for {other}: change one of them, then run \
                     makedhcp {other},{node}"
                );
            }
        }
    }
    Ok(())
}

/// Loads every network of the site.
fn networks_of(catalog: &definitions::Catalog) -> Result<Vec<Network>> {
    let objects = catalog.objects(ObjectKind::Network)?;
    let networks = objects.iter().map(Network::from_object);
    networks
        .collect::<Result<_, _>>()
        .context("reading the networks")
}
