//! The environment of a node's scripts: the names that xCAT's `mypostscript` exports.
//!
//! Definitions come in; names and values go out. Names are what a shell can export; the site's and the
//! network's attributes whose names hold `-` do not exist in our schema. No secret is among the values:
//! the crypted password of root and those of management controllers are left out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use definitions::{
    Definition, Network, Node, OsImage, PackageOrigin, RepositoryEntry, RepositoryFormat, Site,
};

use crate::context::Context;
use crate::image::Image;
use crate::problem::Problem;
use crate::published;
use crate::repository::{Repository, format_of};

/// Makes what is the same for every node of the osimage: the site, its networks, the packages.
///
/// # Errors
/// An `environvar` that is no `NAME=value`; a secret that the site does not accept where anybody fetches it.
pub(crate) fn shared<'a>(
    image: &Image,
    site: &Site,
    networks: impl Iterator<Item = &'a Network>,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let mut environment = BTreeMap::new();
    let mut problems = Vec::new();
    site_attributes(site, &mut environment);
    network_lines(networks, &mut environment);
    software(image, &mut environment);
    for pair in &image.definition.environvar {
        match pair.split_once('=') {
            Some((name, value)) if is_name(name) => {
                environment.insert(name.to_owned(), value.to_owned());
            }
            _ => problems.push(Problem::new(format!(
                "the osimage {}: environvar has '{pair}': expected NAME=value",
                image.definition.name
            ))),
        }
    }
    problems.extend(published::variables(
        site,
        &image.definition.name,
        &environment,
    ));
    if problems.is_empty() {
        Ok(environment)
    } else {
        Err(problems)
    }
}

/// Says whether a shell can export a name.
fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

/// Every attribute of the site in upper case; its `master` is SITEMASTER, since MASTER is the node's.
fn site_attributes(site: &Site, environment: &mut BTreeMap<String, String>) {
    let Ok(object) = site.to_object() else { return };
    for (name, value) in object.attributes() {
        if Site::KIND.attribute(name).is_ok_and(|known| known.secret) {
            continue;
        }
        let name = match *name {
            "master" => "SITEMASTER".to_owned(),
            other => other.to_ascii_uppercase(),
        };
        environment.insert(name, value.to_string());
    }
}

/// `NETWORKS_LINES=2`, `NETWORKS_LINE1=netname=…||net=…||…`.
fn network_lines<'a>(
    networks: impl Iterator<Item = &'a Network>,
    environment: &mut BTreeMap<String, String>,
) {
    let mut count = 0;
    for network in networks {
        let Ok(object) = network.to_object() else {
            continue;
        };
        count += 1;
        let mut line = format!("netname={}", network.name);
        for (name, value) in object.attributes() {
            line += &format!("||{name}={value}");
        }
        environment.insert(format!("NETWORKS_LINE{count}"), line);
    }
    environment.insert("NETWORKS_LINES".to_owned(), count.to_string());
}

/// The package lists, and the keys of the repositories that they come from.
fn software(image: &Image, environment: &mut BTreeMap<String, String>) {
    let Image {
        definition,
        packages,
        others,
        repositories,
        own,
        ..
    } = image;
    let (of_tree, extra) = repositories.split_at(*own);
    let form = format_of(image.family);
    // The first entry is the tree, which the installer has configured the node for.
    let mirrors = definition.pkgdir.get(1..).unwrap_or_default();
    for (origin, list, directories, entries, repositories) in [
        (
            PackageOrigin::Tree,
            packages,
            &definition.pkgdir,
            mirrors,
            of_tree,
        ),
        (
            PackageOrigin::Others,
            others,
            &definition.otherpkgdir,
            &definition.otherpkgdir,
            extra,
        ),
    ] {
        if !list.transactions.is_empty() {
            environment.insert(
                origin.directories_variable().to_owned(),
                directories.join(","),
            );
            environment.extend(list.variables(origin));
            environment.extend(keys(origin, entries, repositories, form));
        }
    }
}

/// Returns the key of each entry that names one, as `OTHERPKGKEY1` … A key's path means nothing on the node:
/// its text goes along, so that nothing is fetched unverified.
fn keys(
    origin: PackageOrigin,
    entries: &[String],
    repositories: &[Repository],
    form: RepositoryFormat,
) -> Vec<(String, String)> {
    let key = |(at, entry): (usize, &String)| {
        let number = at + 1;
        let named = RepositoryEntry::parse(entry, form)
            .ok()
            .and_then(|entry| entry.name);
        let name = named.unwrap_or_else(|| format!("{}{number}", origin.repository_stem()));
        let of_entry = |repository: &&Repository| {
            let rest = repository.name.strip_prefix(&name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let key = repositories.iter().find(of_entry)?.key.clone()?;
        Some((origin.key_variable(number), key))
    };
    entries.iter().enumerate().filter_map(key).collect()
}

/// Adds what is this node's alone.
pub(crate) fn of_node(
    node: &Node,
    image: &OsImage,
    context: &Context,
    server: IpAddr,
    environment: &mut BTreeMap<String, String>,
) {
    let facts = &context.node;
    let list = |entries: &[String]| Some(entries.join(",")).filter(|list| !list.is_empty());
    let groups = Some(node.groups.join(",")).filter(|groups| !groups.is_empty());
    let pairs = [
        ("NODE", Some(node.name.clone())),
        ("IPADDR", facts.ip.clone()),
        ("MACADDRESS", Some(facts.mac.clone())),
        ("GROUP", groups),
        ("OSVER", Some(context.image.osvers.clone())),
        ("ARCH", Some(context.image.arch.clone())),
        ("PROFILE", Some(context.image.profile.clone())),
        ("PROVMETHOD", Some(image.name.clone())),
        ("NTYPE", Some("compute".to_owned())),
        ("NODESETSTATE", Some("install".to_owned())),
        ("UPDATENODE", Some("0".to_owned())),
        ("MASTER", Some(server.to_string())),
        ("MASTER_IP", Some(server.to_string())),
        (
            "NFSSERVER",
            Some(node.nfsserver.clone().unwrap_or_else(|| server.to_string())),
        ),
        (
            "HTTPPORT",
            context
                .server
                .host
                .rsplit_once(':')
                .map_or(Some("80"), |(_, port)| Some(port))
                .map(str::to_owned),
        ),
        ("INSTALLNIC", node.installnic.clone()),
        ("PRIMARYNIC", node.primarynic.clone()),
        ("NICNODE", Some(node.name.clone())),
        ("NICIPS", list(&node.nicips)),
        ("NICTYPES", list(&node.nictypes)),
        ("NICHOSTNAMESUFFIXES", list(&node.nichostnamesuffixes)),
        ("NICCUSTOMSCRIPTS", list(&node.niccustomscripts)),
        ("NICNETWORKS", list(&node.nicnetworks)),
        ("NICEXTRAPARAMS", list(&node.nicextraparams)),
        ("NICDEVICES", list(&node.nicdevices)),
        ("NODEROUTENAMES", list(&node.routenames)),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            environment.insert(name.to_owned(), value);
        }
    }
}
