//! A machine without an installed disk behind `mgtbr`: the management node from compose.yaml gives it its address, its boot
//! files and its identity, and then reaches its engine.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{BareMachine, DockerHost, Machine, Progress, RootImage, Site, binary, outcome, same};

use serde_json::Value;

use super::compose::ComposeSite;
use super::engine::{Engine, Place, succeeded};
use super::image;
use crate::netboot;

/// The network of machines in place of the example's.
const NETWORK: [(&str, &str); 4] = [
    ("MGT_SUBNET", "10.77.0.0/24"),
    ("MGT_GATEWAY", Site::ADDRESS),
    ("MGT_SLIPWAYD", "10.77.0.2"),
    ("MGT_DNSMASQ", "10.77.0.3"),
];
/// The osimage of `tests/machines/rootimg`.
const OSIMAGE: &str = "diskless";

pub(super) fn story() -> Result<()> {
    let mut progress = Progress::begin();
    let root = RootImage::find().context("finding the root image of a machine")?;
    let wire = Site::new()?;
    let engine = Engine::start_at(&wire, "10.77.0.9/24")?;
    engine.succeed(&["load", "--input", &image("slipway")?.display().to_string()])?;
    let bridgeprereq = binary("postscripts", "bridgeprereq")?;
    let mut bridge = engine.inside(Place::Host, bridgeprereq);
    succeeded(outcome(bridge.args(["--no-persist", "eth0:mgtbr"]))?)?;
    let site = ComposeSite::new(&engine, "machine", &NETWORK)?;
    let digest = export(&root, &site)?;
    progress.done("exported");
    site.compose(&["up", "--detach"])?;
    site.is_healthy()?;
    progress.done("management node up");
    prepare(&site, &digest)?;
    progress.done("image imported, node set");
    let disk = wire.path("state.raw");
    netboot::make_state_disk(&disk)?;
    let bare = BareMachine {
        site: &wire,
        name: "behind-bridge",
        disk: &disk,
        kernel: &root.kernel()?,
        key: root.key(),
    };
    let machine = bare.boot_from_network()?;
    progress.done("booted");
    machine.wait_for_first_boot()?;
    progress.done("firstboot");
    holds(&site, &machine)?;
    progress.done("proven");
    machine.power_off()?;
    println!("{progress}");
    Ok(())
}

/// Packs the image and writes its bundle, on another management node, to where this one finds media; returns the digest.
fn export(root: &RootImage, site: &ComposeSite) -> Result<String> {
    let media = site.directory.join("media");
    let bundle = media.join("diskless.slipway").display().to_string();
    let run = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(binary("genimage", name)?);
        command
            .args(arguments)
            .env("SLIPWAY_CONFIG", root.path("config"));
        succeeded(outcome(&mut command)?).with_context(|| name.to_owned())
    };
    root.serve_programs()?;
    run("packimage", &[OSIMAGE])?;
    let exported = run("imgexport", &[OSIMAGE, &bundle, "--json"])?;
    let exported: Value = serde_json::from_str(&exported)?;
    fs::copy(root.path("key.pub"), media.join("key.pub"))?;
    let digest = exported["sha256"].as_str();
    digest.map(str::to_owned).context("no digest is printed")
}

/// What an administrator types.
fn prepare(site: &ComposeSite, digest: &str) -> Result<()> {
    let at = format!("ip={}", Machine::ADDRESS);
    let scripts = format!("postbootscripts={}", DockerHost::SCRIPTS.join(","));
    let label = format!("statelabel={}", netboot::LABEL);
    let node = [
        "mac=52:54:00:77:00:01",
        "serialport=0",
        &at,
        &label,
        &scripts,
    ];
    let image = format!("osimage={OSIMAGE}");
    for arguments in [
        &["bash", "-c", "cp /media/key.pub /etc/slipway/key.pub"][..],
        &[
            "chdef",
            "-t",
            "site",
            "clustersite",
            "authorizedkeys=/etc/slipway/key.pub",
        ],
        &["imgimport", "/media/diskless.slipway", "--sha256", digest],
        &[&["mkdef", "host01", "groups=all"][..], &node].concat(),
        &["nodeset", "host01", &image],
        &["makedhcp", "-a"],
        &["makedns"],
    ] {
        println!("$ {}\n{}", arguments.join(" "), site.managed(arguments)?);
    }
    Ok(())
}

/// The node reported and enrolled: no authority's key is on it, and its engine takes the site's clients.
fn holds(site: &ComposeSite, machine: &Machine) -> Result<()> {
    let state = site.managed(&["nodestat", "host01"])?;
    ensure!(state.starts_with("host01: booted"), "{state}");
    let identity = machine.succeed("ls /etc/slipway/identity")?;
    ensure!(identity.contains("cert.pem"), "{identity}");
    let keys = machine.succeed("find / -xdev -name 'ca*key*' -path '*slipway*'")?;
    same(&keys.as_str(), &"")?;
    let hosted = site.manage(&["lsdocker", "host01"])?;
    same(&hosted.code, &Some(0)).with_context(|| format!("{hosted:?}"))
}
