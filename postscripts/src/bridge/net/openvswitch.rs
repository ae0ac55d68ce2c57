//! Open vSwitch itself: its database read and changed by `ovs-vsctl`, which root alone can have put where it is.
//!
//! `ovs-vsctl` exits 0 when `ovs-vswitchd` could not do what the database says, so nothing here goes by its exit code
//! alone: a bridge or port is there once the database has a number for it and no error. What is removed has to carry our
//! mark (`external_ids:slipway`), so that what somebody else made is left alone.
//! Reference: ovs-vsctl(8), ovs-vswitchd.conf.db(5), RFC 7047 §5.1 for the values.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::net::if_::if_nametoindex;
use serde::Deserialize;
use serde_json::Value;

use super::switch::{Datapath, Switch, SwitchPort};
use super::{HostKernel, Mac};
use crate::program;

const PROGRAM: &str = "ovs-vsctl";
/// How long one call may take, and how long `ovs-vswitchd` may take to do what the database says.
const TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What marks a bridge or a port as ours.
const MARK: &str = "slipway";
/// The device that the kernel's datapath is, and with it the master of its ports.
const KERNEL_DATAPATH: &str = "ovs-system";

/// A table as `ovs-vsctl --format=json list` prints it.
#[derive(Debug, Deserialize)]
struct Table {
    headings: Vec<String>,
    data: Vec<Vec<Value>>,
}

/// One row of it.
type Row = BTreeMap<String, Value>;

/// Reads the database.
///
/// # Errors
/// When there is no `ovs-vsctl`, or no database answers it.
pub(super) fn load() -> Result<Vec<Switch>> {
    let printed = vsctl(&[
        "--format=json",
        "--columns=name,datapath_type,fail_mode,other_config,external_ids,ports",
        "list",
        "Bridge",
        "--",
        "--columns=_uuid,name,interfaces,external_ids",
        "list",
        "Port",
        "--",
        "--columns=_uuid,name,ofport,error,mac_in_use",
        "list",
        "Interface",
    ])?;
    parse(&printed).context("reading the database of Open vSwitch")
}

/// Runs `ovs-vsctl`.
fn vsctl(arguments: &[&str]) -> Result<String> {
    let program = program::find(PROGRAM).context(
        "finding ovs-vsctl, which --switch ovs needs: install Open vSwitch first (openvswitch-switch, openvswitch)",
    )?;
    let mut command = Command::new(program);
    command
        .arg(format!("--timeout={}", TIMEOUT.as_secs()))
        .args(arguments);
    program::run(&mut command, Stdio::null(), TIMEOUT * 2)
}

/// Makes three tables one list of bridges.
fn parse(printed: &str) -> Result<Vec<Switch>> {
    // warnings come between them
    let tables = printed.lines().filter(|line| line.starts_with('{'));
    let tables: Vec<Table> = tables.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let [bridges, ports, interfaces] = tables.as_slice() else {
        bail!("ovs-vsctl printed {} tables, not 3", tables.len());
    };
    let by_id = |table: &Table| -> BTreeMap<String, Row> {
        let rows = rows(table).into_iter();
        rows.map(|row| (uuids(&row, "_uuid").concat(), row))
            .collect()
    };
    let (ports, interfaces) = (by_id(ports), by_id(interfaces));
    let port = |row: &Row| {
        let own = uuids(row, "interfaces");
        let mut faults = own.iter().map(|id| fault(interfaces.get(id)));
        SwitchPort {
            name: text(row, "name"),
            made_for: map(row, "external_ids").remove(MARK),
            fault: faults.find_map(|fault| fault),
        }
    };
    let switches = rows(bridges).into_iter().map(|row| {
        let name = text(&row, "name");
        let own = interfaces.values().find(|one| text(one, "name") == name);
        let mac = |text: String| text.parse::<Mac>().ok();
        let ids = uuids(&row, "ports");
        Switch {
            datapath: match text(&row, "datapath_type").as_str() {
                "" | "system" => Some(Datapath::System),
                "netdev" => Some(Datapath::Netdev),
                _ => None,
            },
            fixed_mac: map(&row, "other_config").remove("hwaddr").and_then(mac),
            mac: own.map(|one| text(one, "mac_in_use")).and_then(mac),
            is_secure: text(&row, "fail_mode") == "secure",
            made_for: map(&row, "external_ids").remove(MARK),
            ports: ids
                .iter()
                .filter_map(|id| ports.get(id))
                .map(port)
                .collect(),
            name,
        }
    });
    Ok(switches.collect())
}

/// Why packets do not pass an interface.
fn fault(interface: Option<&Row>) -> Option<String> {
    let Some(row) = interface else {
        return Some("the database has no interface for it".to_owned());
    };
    let error = text(row, "error");
    if !error.is_empty() {
        return Some(error);
    }
    match row.get("ofport").and_then(Value::as_i64) {
        Some(number) if number > 0 => None,
        Some(_) => Some("ovs-vswitchd could not open it".to_owned()),
        None => Some("ovs-vswitchd has not taken it up: is it running?".to_owned()),
    }
}

fn rows(table: &Table) -> Vec<Row> {
    let row = |values: &Vec<Value>| {
        let names = table.headings.iter().cloned();
        names.zip(values.iter().cloned()).collect()
    };
    table.data.iter().map(row).collect()
}

/// A string, or nothing: what is optional is an empty set when it is absent.
fn text(row: &Row, column: &str) -> String {
    let value = row.get(column).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

/// The rows that a column refers to: a single one is no set.
fn uuids(row: &Row, column: &str) -> Vec<String> {
    let Some([kind, value]) = row.get(column).and_then(pair) else {
        return Vec::new();
    };
    let members = match (kind.as_str(), value) {
        (Some("uuid"), Value::String(id)) => return vec![id.clone()],
        (Some("set"), Value::Array(members)) => members,
        _ => return Vec::new(),
    };
    let ids = members.iter().filter_map(pair);
    ids.filter_map(|[_, id]| Some(id.as_str()?.to_owned()))
        .collect()
}

fn map(row: &Row, column: &str) -> BTreeMap<String, String> {
    let pairs = match row.get(column).and_then(pair) {
        Some([_, Value::Array(pairs)]) => pairs.as_slice(),
        _ => &[],
    };
    let strings = pairs
        .iter()
        .filter_map(pair)
        .filter_map(|[key, value]| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())));
    strings.collect()
}

fn pair(value: &Value) -> Option<&[Value; 2]> {
    value.as_array()?.as_slice().try_into().ok()
}

/// What a bridge or a port is marked with.
fn mark(bridge: &str) -> String {
    format!("external_ids:{MARK}=\"{bridge}\"")
}

fn hwaddr(mac: Mac) -> String {
    format!("other_config:hwaddr=\"{mac}\"")
}

/// Makes a switch and waits until it forwards.
pub(super) fn create_switch(name: &str, bridge: &str, datapath: Datapath, mac: Mac) -> Result<()> {
    let kind = match datapath {
        Datapath::System => "datapath_type=system",
        Datapath::Netdev => "datapath_type=netdev",
    };
    let (mark, mac) = (mark(bridge), hwaddr(mac));
    let told = vsctl(&[
        "--", "add-br", name, "--", "set", "Bridge", name, kind, &mac, &mark,
    ]);
    confirm(name, name, told)?;
    if_nametoindex(name)
        .with_context(|| format!("{name} is in the database and not in the kernel"))?;
    Ok(())
}

/// Takes a switch away that is ours, unless others use it.
pub(super) fn delete_switch(name: &str, bridge: &str) -> Result<()> {
    let ours = |switch: &Switch| switch.made_for.as_deref() == Some(bridge);
    let Some(switch) = find(name)?.filter(ours) else {
        return Ok(());
    };
    if let Some(other) = switch.ports.iter().find(|port| port.name != name) {
        bail!("{name} has got the port {} meanwhile", other.name);
    }
    let told = vsctl(&["--", "--if-exists", "del-br", name]);
    if find(name)?.is_some() {
        return told.and_then(|_| bail!("{name} is still in the database"));
    }
    let end = Instant::now() + TIMEOUT;
    while if_nametoindex(name).is_ok() {
        if Instant::now() > end {
            bail!("{name} is still in the kernel: is ovs-vswitchd running?");
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Gives a switch a hardware address of its own, or has it choose one of its ports' again.
pub(super) fn set_switch_mac(name: &str, mac: Option<Mac>) -> Result<()> {
    match mac {
        Some(mac) => vsctl(&["--", "set", "Bridge", name, &hwaddr(mac)]),
        None => vsctl(&[
            "--",
            "--if-exists",
            "remove",
            "Bridge",
            name,
            "other_config",
            "hwaddr",
        ]),
    }
    .map(drop)
}

/// Makes a device a port of a switch, and waits until packets pass it.
pub(super) fn add_port(kernel: &HostKernel, switch: &str, port: &str, bridge: &str) -> Result<()> {
    let mark = mark(bridge);
    let told = vsctl(&[
        "--", "add-port", switch, port, "--", "set", "Port", port, &mark,
    ]);
    let datapath = confirm(switch, port, told)?;
    let state = kernel.load(&[]).context("reading the network")?;
    let master = state.link(port).and_then(|link| link.master.as_deref());
    if datapath == Some(Datapath::System) && master != Some(KERNEL_DATAPATH) {
        bail!("{port} is in the database and not in the kernel's datapath");
    }
    Ok(())
}

/// Takes a port out that is ours.
pub(super) fn remove_port(
    kernel: &HostKernel,
    switch: &str,
    port: &str,
    bridge: &str,
) -> Result<()> {
    let ours = |one: &SwitchPort| one.made_for.as_deref() == Some(bridge);
    let is_there = || -> Result<bool> {
        let found = find(switch)?;
        Ok(found.is_some_and(|switch| switch.port(port).is_some_and(ours)))
    };
    if !is_there()? {
        return Ok(());
    }
    let told = vsctl(&["--", "--if-exists", "del-port", switch, port]);
    if is_there()? {
        return told.and_then(|_| bail!("{port} is still in the database"));
    }
    let end = Instant::now() + TIMEOUT;
    while is_held(kernel, port)? {
        if Instant::now() > end {
            bail!("the kernel's datapath still has {port}: is ovs-vswitchd running?");
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Reports whether the kernel's datapath takes the packets of a device.
fn is_held(kernel: &HostKernel, port: &str) -> Result<bool> {
    let state = kernel.load(&[]).context("reading the network")?;
    let master = state.link(port).and_then(|link| link.master.as_deref());
    Ok(master == Some(KERNEL_DATAPATH))
}

fn find(name: &str) -> Result<Option<Switch>> {
    Ok(load()?.into_iter().find(|switch| switch.name == name))
}

/// Waits until packets pass a port; `told` is what `ovs-vsctl` said when it was told. Returns the switch's datapath.
fn confirm(switch: &str, port: &str, told: Result<String>) -> Result<Option<Datapath>> {
    let end = Instant::now() + TIMEOUT;
    loop {
        let found = find(switch)?;
        let known = found.as_ref().and_then(|found| found.port(port));
        let fault = match known {
            // the database refused it
            None => return told.and_then(|_| bail!("{switch} has no port {port}")),
            Some(known) => known.fault.clone(),
        };
        match fault {
            None => return Ok(found.and_then(|found| found.datapath)),
            Some(fault) if Instant::now() > end => bail!("{port}: {fault}"),
            Some(_) => sleep(POLL_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Open vSwitch 3.1 prints of a bridge with a NIC in it, another whose datapath is missing, and a warning.
    const PRINTED: &str = concat!(
        "2026-01-01T00:00:00Z|00001|ovsdb|WARN|a warning\n",
        r#"{"data":[["br0","netdev","secure",["map",[["hwaddr","02:00:00:00:00:09"]]],["map",[["slipway","mydocker0"]]],"#,
        r#"["set",[["uuid","p1"],["uuid","p2"]]]],["sys0","",["set",[]],["map",[]],["map",[]],["uuid","p3"]]],"#,
        r#""headings":["name","datapath_type","fail_mode","other_config","external_ids","ports"]}"#,
        "\n",
        r#"{"data":[[["uuid","p1"],"br0",["uuid","i1"],["map",[]]],[["uuid","p2"],"eth0",["uuid","i2"],["map",[["slipway","mydocker0"]]]],"#,
        r#"[["uuid","p3"],"sys0",["uuid","i3"],["map",[]]]],"headings":["_uuid","name","interfaces","external_ids"]}"#,
        "\n",
        r#"{"data":[[["uuid","i1"],"br0",65534,["set",[]],"02:00:00:00:00:09"],[["uuid","i2"],"eth0",-1,"could not open network device eth0 (No such device)",["set",[]]],"#,
        r#"[["uuid","i3"],"sys0",["set",[]],["set",[]],["set",[]]]],"headings":["_uuid","name","ofport","error","mac_in_use"]}"#,
        "\n",
    );

    #[test]
    fn the_database_is_read_with_what_is_wrong_in_it() {
        let port = |name: &str, made_for: Option<&str>, fault: Option<&str>| SwitchPort {
            name: name.to_owned(),
            made_for: made_for.map(str::to_owned),
            fault: fault.map(str::to_owned),
        };
        let mac = || Some(Mac([2, 0, 0, 0, 0, 9]));
        let broken = "could not open network device eth0 (No such device)";
        let missing = "ovs-vswitchd has not taken it up: is it running?";
        assert_eq!(
            parse(PRINTED).unwrap(),
            [
                Switch {
                    name: "br0".to_owned(),
                    datapath: Some(Datapath::Netdev),
                    fixed_mac: mac(),
                    mac: mac(),
                    is_secure: true,
                    made_for: Some("mydocker0".to_owned()),
                    ports: vec![
                        port("br0", None, None),
                        port("eth0", Some("mydocker0"), Some(broken)),
                    ],
                },
                Switch {
                    name: "sys0".to_owned(),
                    datapath: Some(Datapath::System),
                    fixed_mac: None,
                    mac: None,
                    is_secure: false,
                    made_for: None,
                    ports: vec![port("sys0", None, Some(missing))],
                },
            ]
        );
    }

    #[test]
    fn what_is_no_answer_of_the_database_is_an_error() {
        for (printed, error) in [
            ("", "ovs-vsctl printed 0 tables, not 3"),
            (
                "{\"headings\":[],\"data\":[]}\n",
                "ovs-vsctl printed 1 tables, not 3",
            ),
            (
                "{\"headings\":[]",
                "EOF while parsing an object at line 1 column 14",
            ),
        ] {
            assert_eq!(parse(printed).unwrap_err().to_string(), error);
        }
    }
}
