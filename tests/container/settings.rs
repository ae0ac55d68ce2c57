//! What compose.yaml and the quadlet files say: the same; and what podman makes of the latter.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, Outcome, outcome, same, workspace};
use serde_json::{Value, json};

use super::tag;

/// Reads a file of `packaging/image`.
fn read(name: &str) -> Result<String> {
    let path = workspace().join("packaging/image").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Returns what compose.yaml says of a service, line by line.
fn service<'a>(compose: &'a str, name: &str) -> Vec<&'a str> {
    let after = compose
        .lines()
        .skip_while(|line| *line != format!("  {name}:"))
        .skip(1);
    after
        .take_while(|line| line.starts_with("    ") || line.is_empty())
        .map(str::trim)
        .collect()
}

pub(super) fn agree() -> Result<()> {
    let (compose, example) = (read("compose.yaml")?, read("env.example")?);
    ensure!(
        compose.contains(&format!(
            "  image: ${{SLIPWAY_IMAGE:-{}}}\n",
            tag("slipway")
        )) && example.contains(&format!("\nSLIPWAY_IMAGE={}\n", tag("slipway"))),
        "the image is not of this version"
    );
    for name in ["signer", "slipwayd", "dnsmasq"] {
        let file = format!("quadlet/slipway-{name}.container");
        let (unit, lines) = (read(&file)?, service(&compose, name));
        let of = |key: &str| -> BTreeSet<String> {
            let values = unit.lines().filter_map(|line| line.strip_prefix(key));
            values.map(str::to_owned).collect()
        };
        let named = |key: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(key));
            value.map(|value| value.trim_matches(['[', ']', '"']).replace(", ", " "))
        };
        let one = |value: Option<String>| value.into_iter().collect::<BTreeSet<_>>();
        same(
            &of("Image="),
            &one(Some(format!("localhost/{}", tag("slipway")))),
        )?;
        same(&of("Exec="), &one(named("command: ")))?;
        same(&of("User="), &one(named("user: ")))?;
        same(&of("AddCapability="), &one(named("cap_add: ")))?;
        let health = named("test: [CMD, ").context("no health check")?;
        same(&of("HealthCmd="), &one(Some(health)))?;
        let sysctl = named("net.ipv4.").map(|set| format!("net.ipv4.{}", set.replace(": ", "=")));
        same(&of("Sysctl="), &one(sysctl))?;
        let volumes = lines.iter().filter_map(|line| line.strip_prefix("- "));
        // Volumes with a file of their own, which says that they are in memory.
        let volumes = volumes.map(|volume| {
            let (name, rest) = volume.split_once(':').unwrap_or((volume, ""));
            let own = if name.ends_with("run") { ".volume" } else { "" };
            format!("slipway-{name}{own}:{rest}")
        });
        same(&of("Volume="), &volumes.collect())?;
        for line in [
            "ReadOnly=true",
            "ReadOnlyTmpfs=false",
            "DropCapability=all",
            "NoNewPrivileges=true",
        ] {
            ensure!(unit.lines().any(|has| has == line), "{file} has no {line}");
        }
    }
    for (name, variables) in [("mgtnet", "MGT"), ("svcnet", "SVC")] {
        let network: Value =
            serde_json::from_str(&read(&format!("quadlet/networks/slipway-{name}.json"))?)?;
        let of = |variable: &str| -> Result<Value> {
            let line = format!("{variables}_{variable}=");
            let value = example.lines().find_map(|has| has.strip_prefix(&line));
            Ok(value.context("the example lacks a line")?.into())
        };
        same(&network["name"], &format!("slipway-{name}").into())?;
        same(&network["network_interface"], &of("BRIDGE")?)?;
        let subnet = json!([{ "subnet": of("SUBNET")?, "gateway": of("GATEWAY")? }]);
        same(&network["subnets"], &subnet)?;
        // Its addresses stay the host's.
        same(&network["options"], &json!({ "mode": "unmanaged" }))?;
    }
    Ok(())
}

/// Runs podman's generator of units, in its own release, on a directory.
fn generate(units: &Path) -> Result<Outcome> {
    let root = Need::podman_root().context("there is no podman")?;
    let script = "mount --bind \"$1\" \"$2/mnt\" && exec chroot \"$2\" env QUADLET_UNIT_DIRS=/mnt /usr/libexec/podman/quadlet -dryrun";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    outcome(command.arg(units).arg(root))
}

/// podman's generator takes each file, and what it runs has what the files say.
pub(super) fn generated() -> Result<()> {
    let directory = workspace().join("packaging/image/quadlet");
    let made = generate(&directory)?;
    ensure!(made.code == Some(0), "{made:?}");
    let hardened = "--security-opt=no-new-privileges --cap-drop all ";
    for (unit, expected) in [
        ("slipway-run-volume", &["o=size=1m,mode=2750,gid=980 "][..]),
        ("slipway-dnsmasq-run-volume", &["type=tmpfs"]),
        (
            "slipway-signer",
            &[hardened, "--network none ", "--sdnotify=healthy "],
        ),
        (
            "slipway-slipwayd",
            &[hardened, "--ip 10.1.0.2 ", "--user 980:980 "],
        ),
        (
            "slipway-dnsmasq",
            &[
                hardened,
                "--cap-add net_admin --cap-add net_raw --cap-add setgid --cap-add setuid ",
                "--network slipway-mgtnet:ip=10.1.0.3 --network slipway-svcnet:ip=10.2.0.3 ",
            ],
        ),
    ] {
        let begins = format!("---{unit}.service---\n");
        let (_, text) = made.stdout.split_once(&begins).context(unit)?;
        let line = text.lines().find(|line| line.starts_with("ExecStart="));
        let line = line.with_context(|| format!("{unit} runs nothing"))?;
        for part in expected {
            ensure!(line.contains(part), "{unit} has no '{part}': {line}");
        }
        let is_read_only = line.contains(" --read-only ");
        ensure!(is_read_only != unit.ends_with("volume"), "{line}");
    }
    let odd = tempfile::tempdir()?;
    let name = "slipway-signer.container";
    let text = fs::read_to_string(directory.join(name))?;
    fs::write(odd.path().join(name), text.replace("HealthCmd=", "Health="))?;
    let refused = generate(odd.path())?;
    ensure!(
        refused.code == Some(1) && refused.stderr.contains("unsupported key 'Health'"),
        "{refused:?}"
    );
    Ok(())
}
