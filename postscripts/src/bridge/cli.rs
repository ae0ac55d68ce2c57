//! The command line of `bridgeprereq`, and what it prints.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::error::ErrorKind;
use definitions::{BridgePort, command};
use ipnetwork::IpNetwork;

use super::net::{HostKernel, SwitchRequest, Uplink};
use super::transaction::{WATCHDOG, run_watchdog};
use super::{Firewall, Outcome, Report, Request};

/// The exit code of a change that failed and was taken back.
const ROLLED_BACK: u8 = 3;
/// The exit code of one that another run may do: EX_TEMPFAIL of sysexits.h, which firstboot heeds.
const TRY_AGAIN: u8 = 75;
/// How long a change may take to be proven, in seconds, unless the user says otherwise.
const TIMEOUT_SECONDS: u64 = 60;

/// Moves this host's uplink into a bridge, or leaves everything as it is.
#[derive(Debug, Parser)]
#[command(
    name = "bridgeprereq",
    version,
    after_help = "Exit codes: 0 done or nothing to do, 1 failed and nothing was changed, 2 wrong \
                  usage, 3 failed and everything was put back, 75 the same because something else \
                  changed the network meanwhile: run it again.\n\nWithout NIC: INSTALLNIC, \
                  PRIMARYNIC ('mac' stands for the NIC with MACADDRESS), else the interface that \
                  holds the default route. MASTER, an address, must answer afterwards if it does \
                  before."
)]
struct Args {
    /// The bridge and the NIC that becomes its port; several separated by commas
    #[arg(value_name = "[NIC:]BRIDGE[,…]", value_parser = bridge_ports)]
    bridges: Bridges,
    /// An address for the bridge beside those of the NIC
    #[arg(value_name = "ADDRESS[/LEN]")]
    address: Option<String>,
    /// The address's mask, when it has no /LEN
    netmask: Option<Ipv4Addr>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Have a bridge of Open vSwitch hold the NIC, and connect BRIDGE to it
    #[arg(long, value_name = "ovs[:BRIDGE[:netdev]]")]
    switch: Option<SwitchRequest>,
    /// Leave the files alone that configure the network at boot
    #[arg(long)]
    no_persist: bool,
    /// What to do about rules of the firewall that name the NIC
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    firewall: Firewall,
    /// Seconds until everything is put back unless it is proven to work
    #[arg(long, value_name = "S", overrides_with = "timeout", default_value_t = TIMEOUT_SECONDS, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// An address that must answer before and after; may be repeated
    #[arg(long = "probe", value_name = "ADDR")]
    probes: Vec<IpAddr>,
    /// The directory that takes the place of / for files (for tests)
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What stands between the commas.
#[derive(Debug, Clone)]
struct Bridges(Vec<BridgePort>);

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let [_, first, root, timeout] = arguments.as_slice()
        && first == WATCHDOG
    {
        let timeout = timeout.to_string_lossy().parse().map(Duration::from_millis);
        let timeout = timeout.unwrap_or(Duration::from_secs(TIMEOUT_SECONDS));
        return run_watchdog(Path::new(root), timeout);
    }
    match without_xhrm(arguments) {
        Ok(arguments) => command::main_from(arguments, run),
        Err(other) => {
            error_line!("xHRM: '{other}' is not known here: the one command is bridgeprereq");
            ExitCode::from(2)
        }
    }
}

/// Takes xCAT's name for it off the front: `xHRM bridgeprereq …`, be `xHRM` the program's name or
/// its first argument.
fn without_xhrm(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let is_xhrm = |name: &OsString| Path::new(name).file_name().is_some_and(|n| n == "xHRM");
    if arguments.len() > 1 && arguments[1] == "xHRM" {
        arguments.remove(0);
    }
    if !arguments.first().is_some_and(is_xhrm) {
        return Ok(arguments);
    }
    match arguments.get(1) {
        Some(word) if word == "bridgeprereq" => {
            arguments.remove(0);
            Ok(arguments)
        }
        Some(word) => Err(word.to_string_lossy().into_owned()),
        None => Err(String::new()),
    }
}

fn bridge_ports(text: &str) -> Result<Bridges, String> {
    text.split(',')
        .map(bridge_port)
        .collect::<Result<_, _>>()
        .map(Bridges)
}

/// Parses one bridge; the forms that made devices in xCAT's script are named with what to do now.
fn bridge_port(text: &str) -> Result<BridgePort, String> {
    let (nics, bridge) = text.split_once(':').unwrap_or(("", text));
    if let Some((first, rest)) = nics.split_once('&') {
        return Err(format!(
            "a bond of {first} and {rest} is no longer made here: configure it as bond0 where this \
             host's network is configured, then pass bond0:{bridge}"
        ));
    }
    let vlan = bridge
        .strip_prefix("vlan")
        .or_else(|| bridge.strip_prefix("vl"));
    if let Some(number) = vlan.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        let nic = if nics.is_empty() { "NIC" } else { nics };
        return Err(format!(
            "a VLAN is no longer made here by a bridge's name: configure {nic}.{number} where this \
             host's network is configured, then pass {nic}.{number}:BRIDGE"
        ));
    }
    text.parse()
        .map_err(|error: definitions::Error| error.to_string())
}

fn run(arguments: Args) -> Result<ExitCode> {
    let address = match address(arguments.address.as_deref(), arguments.netmask) {
        Ok(address) => address,
        Err(problem) => usage(&problem),
    };
    if address.is_some() && arguments.bridges.0.len() > 1 {
        usage("an address belongs to one bridge: name one bridge at a time with it");
    }
    if arguments.switch.is_some() && arguments.bridges.0.len() > 1 {
        usage("a switch has one uplink: name one bridge at a time with --switch");
    }
    let request = Request {
        uplinks: uplinks(&arguments.bridges.0, address, arguments.switch.as_ref())?,
        dry_run: arguments.dry_run,
        firewall: arguments.firewall,
        persist: !arguments.no_persist,
        timeout: Duration::from_secs(arguments.timeout),
        probes: arguments.probes,
        master: master(),
        root: arguments.root,
    };
    let report = super::run(&request, &mut |step| error_line!("bridgeprereq: {step}"))?;
    print(&report, arguments.json)?;
    Ok(match report.outcome {
        Outcome::RolledBack if report.is_overtaken => ExitCode::from(TRY_AGAIN),
        Outcome::RolledBack => ExitCode::from(ROLLED_BACK),
        _ => ExitCode::SUCCESS,
    })
}

/// Says what is wrong with the arguments, as the parser does.
fn usage(problem: &str) -> ! {
    use clap::CommandFactory;
    Args::command()
        .error(ErrorKind::ValueValidation, problem)
        .exit()
}

/// Reads `ADDRESS[/LEN] [NETMASK]`.
fn address(text: Option<&str>, mask: Option<Ipv4Addr>) -> Result<Option<IpNetwork>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let (ip, length) = match text.split_once('/') {
        Some((ip, length)) => (ip, Some(length)),
        None => (text, None),
    };
    let invalid = || format!("'{text}' is not an address such as 10.0.0.5/24");
    let ip: IpAddr = ip.parse().map_err(|_| invalid())?;
    let network = match (length, mask) {
        (Some(_), Some(_)) => {
            return Err(format!("'{text}' has a prefix length: omit the netmask"));
        }
        (Some(length), None) => {
            let length = length.parse().map_err(|_| invalid())?;
            IpNetwork::new(ip, length).map_err(|_| invalid())?
        }
        (None, Some(_)) if ip.is_ipv6() => {
            return Err(format!(
                "{ip} is an IPv6 address and takes no netmask: give a prefix length, such as {ip}/64"
            ));
        }
        (None, Some(mask)) => IpNetwork::with_netmask(ip, mask.into())
            .map_err(|_| format!("{mask} is not a netmask"))?,
        (None, None) => {
            return Err(format!("{ip} needs a prefix length, such as {ip}/24"));
        }
    };
    if network.prefix() == 0 || ip.is_unspecified() || ip.is_multicast() {
        return Err(invalid());
    }
    Ok(Some(network))
}

/// Gives every bridge its NIC.
fn uplinks(
    ports: &[BridgePort],
    address: Option<IpNetwork>,
    switch: Option<&SwitchRequest>,
) -> Result<Vec<Uplink>> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut uplinks = Vec::new();
    for port in ports {
        let bridge = port.bridge().clone();
        let nic = match port.nic() {
            Some(nic) => nic.clone(),
            None => {
                let state = HostKernel::open().and_then(|kernel| kernel.load(&[]));
                let state = state.context("reading the network")?;
                super::default_nic(&state, &bridge, environment)?
            }
        };
        if nic == bridge {
            bail!("{nic} is the bridge itself: name the NIC that becomes its port");
        }
        uplinks.push(Uplink {
            nic,
            bridge,
            address,
            switch: switch.cloned(),
        });
    }
    Ok(uplinks)
}

/// The management node, when xCAT's environment names it by address.
fn master() -> Option<IpAddr> {
    let named = ["MASTER_IP", "MASTER"].into_iter();
    named
        .filter_map(|variable| std::env::var(variable).ok())
        .find_map(|value| value.parse().ok())
}

fn print(report: &Report, json: bool) -> Result<()> {
    for note in &report.notes {
        error_line!("bridgeprereq: {note}");
    }
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        return Ok(writeln!(out)?);
    }
    match report.outcome {
        Outcome::Unchanged => writeln!(out, "nothing to do")?,
        Outcome::Planned => {
            for step in report.steps.iter().chain(&report.files) {
                writeln!(out, "{step}")?;
            }
        }
        Outcome::Changed => match report.reached.as_slice() {
            [] => writeln!(
                out,
                "done; there was nobody to ask whether the network works"
            )?,
            reached => writeln!(out, "done; reached {}", reached.join(", "))?,
        },
        Outcome::RolledBack => {
            let why = report.error.as_deref().unwrap_or_default();
            let next = if report.is_overtaken {
                ": run this again"
            } else {
                ""
            };
            error_line!("bridgeprereq: {why}: everything was put back{next}");
        }
    }
    Ok(())
}
