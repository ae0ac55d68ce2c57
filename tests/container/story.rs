//! A management node from compose.yaml, as the page about it tells: it comes up, serves a node behind the NIC, and keeps what
//! it has when it goes down, when the engine starts anew, and when its volumes move.

use std::fs;
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::{Sandbox, binary, commands, outcome, same};

use super::compose::{ComposeSite, VOLUMES};
use super::engine::{Engine, Place, eventually, succeeded};
use super::{image, tag, takeover};

/// The node behind the NIC.
const MAC: &str = "52:54:00:10:00:01";

pub(super) fn story() -> Result<()> {
    let mut engine = Engine::start()?;
    let image = image("slipway")?.display().to_string();
    engine.succeed(&["load", "--input", &image])?;
    every_command_runs(&engine)?;
    // The NIC into the bridge, whose addresses stay the host's.
    let bridgeprereq = binary("postscripts", "bridgeprereq")?;
    let mut bridge = engine.inside(Place::Host, bridgeprereq);
    succeeded(outcome(bridge.args(["--no-persist", "eth0:mgtbr"]))?)?;
    let site = ComposeSite::new(&engine, "slipway", &[])?;
    let began = Instant::now();
    site.compose(&["up", "--detach"])?;
    site.is_healthy()?;
    println!(
        "from compose up until all are healthy: {:.1?}",
        began.elapsed()
    );
    let address = outcome(
        engine
            .inside(Place::Host, "ip")
            .args(["-4", "-o", "address", "show", "mgtbr"]),
    )?;
    ensure!(address.stdout.contains("inet 10.1.0.1/16"), "{address:?}");
    nothing_is_privileged(&site)?;
    lease(&site)?;
    println!(
        "from compose up to the node's lease: {:.1?}",
        began.elapsed()
    );
    let root = asked(&engine)?;
    nic_is_lost(&engine)?;
    import(&site)?;
    clients_are_certified(&site)?;
    let kept = site.managed(&["lsdef", "-z", "host01"])?;
    copied(&engine, "slipway_config", "backup_config")?;
    let standby = site.standby("standby")?;
    let enrolled = takeover::killed_while_nodes_enrol(&site, &standby)?;

    // All goes down; what comes up has the definitions and the trust of the backup.
    standby.compose(&["down"])?;
    site.compose(&["down"])?;
    copied(&engine, "backup_config", "slipway_config")?;
    site.compose(&["up", "--detach"])?;
    site.is_healthy()?;
    same(&asked(&engine)?, &root)?;
    same(&site.managed(&["lsdef", "-z", "host01"])?, &kept)?;
    takeover::older_copy_is_noticed(&site, &enrolled)?;

    let mut another = another_server(&engine)?;
    engine.restart()?;
    let site = ComposeSite::new(&engine, "slipway", &[])?;
    site.is_healthy()?;
    same(&asked(&engine)?, &root)?;
    let said = "the DHCP server 10.1.0.11 is not this machine's, and offers 10.1.0.150";
    eventually("the other DHCP server is said", || {
        Ok(site.compose(&["logs", "dnsmasq"])?.contains(said))
    })?;
    another.kill()?;
    another.wait()?;

    // Elsewhere, and by another tag.
    site.compose(&["down"])?;
    for volume in VOLUMES {
        copied(
            &engine,
            &format!("slipway_{volume}"),
            &format!("elsewhere_{volume}"),
        )?;
    }
    engine.succeed(&["tag", &tag("slipway"), "slipway:next"])?;
    let next = [("SLIPWAY_IMAGE", "slipway:next")];
    let elsewhere = ComposeSite::new(&engine, "elsewhere", &next)?;
    elsewhere.compose(&["up", "--detach"])?;
    elsewhere.is_healthy()?;
    same(&asked(&engine)?, &root)?;
    same(&elsewhere.managed(&["lsdef", "-z", "host01"])?, &kept)?;
    let trees = elsewhere.managed(&["copycds", "--verify", "/install/debian12.9.0/x86_64"])?;
    ensure!(
        trees.ends_with(" files are as they were published\n"),
        "{trees}"
    );
    Ok(())
}

/// Without its NIC the bridge carries no question of a node; `bridgeprereq` puts it back beside the containers.
fn nic_is_lost(engine: &Engine) -> Result<()> {
    let out = ["link", "set", "eth0", "nomaster"];
    succeeded(outcome(engine.inside(Place::Host, "ip").args(out))?)?;
    let none = outcome(&mut udhcpc(engine, "2"))?;
    ensure!(none.stderr.ends_with("no lease, failing\n"), "{none:?}");
    let mut bridge = engine.inside(Place::Host, binary("postscripts", "bridgeprereq")?);
    bridge.args(["--no-persist", "--firewall", "keep", "eth0:mgtbr"]);
    succeeded(outcome(&mut bridge)?)?;
    let back = succeeded(outcome(&mut udhcpc(engine, "20"))?)?;
    ensure!(back.contains("bound 10.1.0.11 "), "{back}");
    Ok(())
}

/// Each verb says its version, as whoever runs it.
fn every_command_runs(engine: &Engine) -> Result<()> {
    let names: Vec<_> = commands()?.iter().map(|one| one.name.as_str()).collect();
    let run = [
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--user=1000",
    ];
    let image = tag("slipway");
    let script = "for name; do $name --version; done";
    let shell = [image.as_str(), "bash", "-ec", script, "bash"];
    let said = engine.succeed(&[&run[..], &shell, &names].concat())?;
    let version = env!("CARGO_PKG_VERSION");
    let expected = names.iter().map(|name| format!("{name} {version}\n"));
    same(&said, &expected.collect::<String>())
}

/// What runs has the capabilities that compose.yaml names, and writes nothing but volumes.
fn nothing_is_privileged(site: &ComposeSite) -> Result<()> {
    for (service, capabilities) in [
        ("signer", "0000000000000000"),
        ("slipwayd", "0000000000000000"),
        // NET_ADMIN and NET_RAW; SETGID and SETUID are gone.
        ("dnsmasq", "0000000000003000"),
    ] {
        let id = site.container(service)?;
        let program = match service {
            "signer" => "slipway-trust",
            service => service,
        };
        let script = format!(
            "for pid in /proc/[0-9]*; do [ \"$(cat $pid/comm)\" != {} ] || sed -n 's/^CapEff:\\t//p; s/^NoNewPrivs:\\t//p' $pid/status; done",
            &program[..program.len().min(15)]
        );
        let status = site.engine.succeed(&["exec", &id, "bash", "-c", &script])?;
        same(&status, &format!("{capabilities}\n1\n")).context(service)?;
        let write = site
            .engine
            .docker(&["exec", &id, "touch", "/usr/written"])?;
        ensure!(write.stderr.contains("Read-only file system"), "{write:?}");
    }
    Ok(())
}

/// The node gets its address, its name and its loader.
fn lease(site: &ComposeSite) -> Result<()> {
    let engine = site.engine;
    let mac = ["link", "set", "eth0", "address", MAC];
    succeeded(outcome(engine.inside(Place::Node, "ip").args(mac))?)?;
    let node = ["mkdef", "host01", "groups=all", "ip=10.1.0.11"];
    site.managed(&[&node[..], &[&format!("mac={MAC}")]].concat())?;
    let said = site.managed(&["makedhcp", "-a"])?;
    ensure!(said.contains("dnsmasq: reloaded\n"), "{said}");
    let said = site.managed(&["makedns"])?;
    ensure!(said.contains("dnsmasq: reloaded\n"), "{said}");
    let script = engine.path("lease");
    fs::write(
        &script,
        "#!/bin/sh\necho $1 $ip $siaddr $boot_file $hostname $dns\n",
    )?;
    succeeded(outcome(Command::new("chmod").arg("+x").arg(&script))?)?;
    let answer = succeeded(outcome(&mut udhcpc(engine, "20"))?)?;
    same(
        &answer.lines().last(),
        &Some("bound 10.1.0.11 10.1.0.3 undionly.kpxe host01 10.1.0.3"),
    )?;
    let address = ["address", "add", "10.1.0.11/16", "dev", "eth0"];
    succeeded(outcome(engine.inside(Place::Node, "ip").args(address))?)?;
    let mut loader = engine.inside(Place::Node, "curl");
    loader.args(["--silent", "--show-error", "--max-time", "60", "--output"]);
    loader
        .arg(engine.path("loader"))
        .arg("tftp://10.1.0.3/undionly.kpxe");
    succeeded(outcome(&mut loader)?)?;
    ensure!(
        fs::metadata(engine.path("loader"))?.len() > 10_000,
        "no loader"
    );
    let mut name = engine.inside(Place::Node, "busybox");
    let named = succeeded(outcome(name.args([
        "nslookup",
        "host01.cluster",
        "10.1.0.3",
    ]))?)?;
    ensure!(named.contains("10.1.0.11"), "{named}");
    Ok(())
}

/// Has the node ask for its address that often.
fn udhcpc(engine: &Engine, tries: &str) -> Command {
    let mut client = engine.inside(Place::Node, "busybox");
    client
        .args([
            "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-T", "2", "-t", tries,
        ])
        .args(["-x", "0x5d:0000", "-O", "hostname", "-s"])
        .arg(engine.path("lease"));
    client
}

/// Starts another DHCP server on the node.
fn another_server(engine: &Engine) -> Result<Child> {
    let mut server = engine.inside(Place::Node, "setpriv");
    server
        .args(["--pdeathsig", "TERM", "dnsmasq", "--keep-in-foreground"])
        .args(["--conf-file=/dev/null", "--port=0", "--no-ping"])
        .args(["--user=root", "--dhcp-range=10.1.0.150,10.1.0.150"])
        .arg(format!(
            "--pid-file={}",
            engine.path("another.pid").display()
        ))
        .arg(format!(
            "--dhcp-leasefile={}",
            engine.path("another.leases").display()
        ));
    Ok(server.spawn()?)
}

/// Asks the daemon from the node, by TLS, for the root; it must be the one that it says by HTTP.
fn asked(engine: &Engine) -> Result<String> {
    let curl = |arguments: &[&str]| {
        let mut curl = engine.inside(Place::Node, "curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
        succeeded(outcome(curl.args(arguments))?)
    };
    let root = curl(&["http://10.1.0.2/v1/root"])?;
    fs::write(engine.path("root.crt"), &root)?;
    let file = engine.path("root.crt").display().to_string();
    same(
        &curl(&["--cacert", &file, "https://10.1.0.2:8443/v1/root"])?,
        &root,
    )?;
    Ok(root)
}

/// A medium becomes a tree, and a node's files are rendered from it and served.
fn import(site: &ComposeSite) -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("container", 1)?;
    let media = site.directory.join("media");
    fs::copy(&medium.iso, media.join("debian.iso"))?;
    fs::copy(&medium.keyring, media.join("container.gpg"))?;
    let keyring = [
        "bash",
        "-c",
        "mkdir -p /etc/slipway/keyrings && cp /media/container.gpg /etc/slipway/keyrings/",
    ];
    site.managed(&keyring)?;
    let would = site.managed(&["copycds", "--dry-run", "debian.iso"])?;
    ensure!(would.contains("/install/debian12.9.0/x86_64"), "{would}");
    let done = site.managed(&["copycds", "debian.iso"])?;
    ensure!(
        done.contains("osimage debian12.9.0-x86_64-install-compute created\n"),
        "{done}"
    );
    let mut curl = site.engine.inside(Place::Node, "curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
    let served = outcome(curl.arg("http://10.1.0.2/install/debian12.9.0/x86_64/.disk/info"))?;
    ensure!(succeeded(served)?.contains("12.9.0"), "no tree is served");
    Ok(())
}

/// Commands for containers get a certificate of the site's authority, and then find no engine on the node.
fn clients_are_certified(site: &ComposeSite) -> Result<()> {
    let node = ["mkdef", "web01", "groups=web", "mgt=docker", "ip=10.1.0.21"];
    site.managed(&[&node[..], &["dockerhost=host01", "image=app:1"]].concat())?;
    let told = site.manage(&["mkdocker", "web01"])?;
    ensure!(
        told.stderr
            .contains("connecting to the engine at 10.1.0.11:2376: Connection refused"),
        "{told:?}"
    );
    Ok(())
}

/// Makes a volume what another is, as the page says.
fn copied(engine: &Engine, from: &str, to: &str) -> Result<()> {
    let (from, to) = (format!("{from}:/from:ro"), format!("{to}:/to"));
    let copy = "find /to -mindepth 1 -delete && cp -a /from/. /to/";
    let run = ["run", "--rm", "--volume", &from, "--volume", &to];
    let image = tag("slipway");
    engine
        .succeed(&[&run[..], &[image.as_str(), "bash", "-c", copy]].concat())
        .map(drop)
}
