//! Daemons that are still configuring the NIC, as early in a boot: a network that is read then is not the one that they
//! make, and which profile NetworkManager activates is in none of its notes until it is done.
//!
//! Reference: `LINK_STATE_PENDING` (src/network/networkd-link.h of systemd); `NMDeviceState`
//! (src/libnm-core-public/nm-dbus-interface.h of NetworkManager).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::detect::{LINKS, NETWORK_MANAGER, NETWORKD, daemons, network_file};
use crate::files::{self, under_root};
use crate::program;

/// How long that may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// networkd's notes of a device that it has not done with.
const AT_WORK: [&str; 3] = [
    "ADMIN_STATE=pending",
    "ADMIN_STATE=initialized",
    "ADMIN_STATE=configuring",
];
/// From `NM_DEVICE_STATE_PREPARE` to `NM_DEVICE_STATE_SECONDARIES`.
const ACTIVATING: std::ops::RangeInclusive<u32> = 40..=90;
/// `nmcli` asks a daemon that answers at once, or hangs.
const NMCLI_TIMEOUT: Duration = Duration::from_secs(60);
const BUS: &str = "/run/dbus/system_bus_socket";

/// Waits while a daemon is at work on a NIC. Where no DHCP server answers it never ends, so that the wait does, and
/// `progress` gets both.
///
/// # Errors
/// When their notes, or what runs, cannot be read.
pub fn wait_for_daemons(root: &Path, nic: &str, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let running = daemons(root)?;
    let daemon = |name: &str| running.iter().any(|running| running == name);
    if daemon(NETWORKD)
        && let Some(index) = index(root, nic)?
    {
        let by = network_file(root, &index)?.map(|file| file.display().to_string());
        // one that ended leaves its notes
        wait(NETWORKD, nic, by, progress, || {
            let notes = files::read(&under_root(root, &Path::new(LINKS).join(&index)))?;
            let notes = notes.unwrap_or_default();
            Ok(notes.lines().any(|line| AT_WORK.contains(&line)))
        })?;
    }
    if daemon(NETWORK_MANAGER) {
        let by = activating(root, nic).map(|uuid| format!("the profile {uuid}"));
        wait(NETWORK_MANAGER, nic, by, progress, || {
            Ok(is_activating(root, nic))
        })?;
    }
    Ok(())
}

fn wait(
    daemon: &str,
    nic: &str,
    by: Option<String>,
    progress: &mut dyn FnMut(&str),
    is_at_work: impl Fn() -> Result<bool>,
) -> Result<()> {
    if !is_at_work()? {
        return Ok(());
    }
    let by = by.map(|what| format!(" by {what}")).unwrap_or_default();
    let seconds = TIMEOUT.as_secs();
    progress(&format!(
        "{daemon} is configuring {nic}{by}: waiting for at most {seconds} s until it has its addresses"
    ));
    let end = Instant::now() + TIMEOUT;
    while Instant::now() < end {
        sleep(Duration::from_millis(50));
        if !is_at_work()? {
            return Ok(());
        }
    }
    progress(&format!(
        "{daemon} is still configuring {nic}{by} (does a DHCP server answer?): going on with the network as it is"
    ));
    Ok(())
}

/// The UUID of the profile that NetworkManager is activating on a NIC.
pub(super) fn activating(root: &Path, nic: &str) -> Option<String> {
    if !is_activating(root, nic) {
        return None;
    }
    let active = nmcli(
        root,
        &["-t", "-f", "UUID,DEVICE", "connection", "show", "--active"],
    )?;
    profile_of(&active, nic).map(str::to_owned)
}

/// The profile of a device among `UUID:DEVICE`.
fn profile_of<'a>(active: &'a str, nic: &str) -> Option<&'a str> {
    let mut lines = active.lines().filter_map(|line| line.split_once(':'));
    let (uuid, _) = lines.find(|(_, device)| *device == nic)?;
    Some(uuid)
}

fn is_activating(root: &Path, nic: &str) -> bool {
    let state = nmcli(root, &["-t", "-f", "GENERAL.STATE", "device", "show", nic]);
    state.is_some_and(|state| is_activating_state(&state))
}

/// Reads `GENERAL.STATE:70 (connecting (getting IP configuration))`.
fn is_activating_state(line: &str) -> bool {
    let number = || -> Option<u32> {
        let (_, state) = line.trim().split_once(':')?;
        state.split(' ').next()?.parse().ok()
    };
    number().is_some_and(|number| ACTIVATING.contains(&number))
}

/// What `nmcli` prints, where there is one and its daemon answers.
fn nmcli(root: &Path, arguments: &[&str]) -> Option<String> {
    if !fs::exists(under_root(root, Path::new(BUS))).unwrap_or_default() {
        return None;
    }
    let mut command = Command::new(program::find("nmcli")?);
    command.args(arguments);
    program::run(&mut command, Stdio::null(), NMCLI_TIMEOUT).ok()
}

fn index(root: &Path, nic: &str) -> Result<Option<String>> {
    let class = Path::new("/sys/class/net").join(nic).join("ifindex");
    let index = files::read(&under_root(root, &class))?;
    Ok(index.map(|text| text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_between_disconnected_and_activated_are_activating() {
        for (state, expected) in [
            ("GENERAL.STATE:10 (unmanaged)", false),
            ("GENERAL.STATE:30 (disconnected)", false),
            ("GENERAL.STATE:40 (connecting (prepare))", true),
            (
                "GENERAL.STATE:70 (connecting (getting IP configuration))\n",
                true,
            ),
            (
                "GENERAL.STATE:90 (connecting (starting secondary connections))",
                true,
            ),
            ("GENERAL.STATE:100 (connected)", false),
            ("GENERAL.STATE:110 (deactivating)", false),
            ("GENERAL.STATE:", false),
            ("", false),
        ] {
            assert_eq!(is_activating_state(state), expected, "{state}");
        }
    }

    #[test]
    fn a_profile_is_that_of_the_device_and_of_no_longer_name() {
        let active = "0e1c7a5e:eth00\n2f5c7a3e:eth0\n83255fb5:lo\n";
        assert_eq!(profile_of(active, "eth0"), Some("2f5c7a3e"));
        assert_eq!(profile_of(active, "eth1"), None);
    }
}
