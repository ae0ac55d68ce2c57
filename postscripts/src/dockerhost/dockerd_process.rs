//! The dockerd that runs now: its process, what it was started with, and whether it is the one that has
//! a port.
//!
//! In: what the service manager and `/proc` say. Out: facts. A process counts as dockerd only when it is
//! the service's main process; none is looked for by its name.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::paths::HostPaths;
use super::service::{ServiceManager, run};

/// The state of a socket that listens (`TCP_LISTEN`, `net/tcp_states.h`).
const TCP_LISTEN: &str = "0A";

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DockerdProcess(u32);

impl DockerdProcess {
    /// Finds the main process of dockerd's service.
    pub(super) fn of(manager: &ServiceManager, paths: &HostPaths) -> Option<Self> {
        let pid = match manager {
            ServiceManager::Systemd if paths.is_host() => {
                let shown = Command::new("systemctl");
                property(shown, "docker.service", "MainPID")?
            }
            ServiceManager::Systemd => return None,
            _ => ["/run/docker.pid", "/var/run/docker.pid"]
                .into_iter()
                .find_map(|path| fs::read_to_string(paths.at(path)).ok())?,
        };
        let pid = pid.trim().parse().ok().filter(|pid| *pid > 1)?;
        Some(Self(pid))
    }

    /// Returns what it was started with, without the program itself, when that is dockerd.
    pub(super) fn arguments(self) -> Option<Vec<String>> {
        let words = fs::read(format!("/proc/{}/cmdline", self.0)).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let mut words = words.trim_end_matches('\0').split('\0').map(str::to_owned);
        let program = words.next()?;
        (program.rsplit('/').next() == Some("dockerd")).then(|| words.collect())
    }

    /// Whether this process has every socket that keeps others from listening there.
    pub(super) fn has_port(self, listen: SocketAddr) -> bool {
        let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/net/{name}")));
        let tables = tables.into_iter().flatten().collect::<String>();
        let sockets = listening(&tables, listen);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.0));
        let own: Vec<_> = descriptors
            .into_iter()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .collect();
        let has = |inode: &String| {
            own.iter()
                .any(|link| link == Path::new(&socket_link(inode)))
        };
        !sockets.is_empty() && sockets.iter().all(has)
    }
}

fn socket_link(inode: &str) -> String {
    format!("socket:[{inode}]")
}

/// Asks systemd for one property of a unit; `None` where it has no value.
pub(super) fn property(mut systemctl: Command, unit: &str, name: &str) -> Option<String> {
    let shown = run(systemctl.args(["show", unit, "-p", name])).ok()?;
    let value = shown.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| value.to_owned())
    });
    value.filter(|value| !value.is_empty())
}

/// The sockets that listen on a port at an address that clashes with `listen`, by their inode; the text
/// is that of `/proc/net/tcp` and `tcp6` (`net/ipv4/tcp_ipv4.c`, `get_tcp4_sock`).
fn listening(tables: &str, listen: SocketAddr) -> Vec<String> {
    let lines = tables.lines().filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (address, port) = columns.get(1)?.split_once(':')?;
        let is_there = u16::from_str_radix(port, 16) == Ok(listen.port());
        let clashes = clash(parse_address(address)?, listen.ip());
        let listens = *columns.get(3)? == TCP_LISTEN;
        (is_there && clashes && listens).then(|| columns.get(9).map(|inode| (*inode).to_owned()))
    });
    lines.flatten().collect()
}

/// Addresses stand there as they lie in memory, four bytes at a time.
fn parse_address(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<_>> = (0..text.len() / 8)
        .map(|at| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let v4 = <[u8; 4]>::try_from(bytes.as_slice()).map(Ipv4Addr::from);
    let v6 = || <[u8; 16]>::try_from(bytes.as_slice()).map(Ipv6Addr::from);
    v4.map(IpAddr::from)
        .or_else(|_| v6().map(IpAddr::from))
        .ok()
}

fn clash(one: IpAddr, other: IpAddr) -> bool {
    one.is_unspecified() || other.is_unspecified() || one == other
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_a_process_own_only_where_all_its_sockets_are() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        let this = DockerdProcess(std::process::id());
        assert!(this.has_port(address));
        assert!(this.has_port(SocketAddr::new(
            Ipv4Addr::UNSPECIFIED.into(),
            address.port()
        )));
        assert!(
            !DockerdProcess(1).has_port(address),
            "init has the socket of a test"
        );
        drop(own);
        assert!(!this.has_port(address), "nobody has it");
    }

    #[test]
    fn sockets_are_read_as_the_kernel_prints_them() {
        let tables = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0948 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n\
            1: 0500000A:0948 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n\
            2: 0100007F:0948 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0\n\
            3: 0100007F:0949 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0\n\
            4: 00000000000000000000000001000000:0948 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 555 1\n";
        for (listen, inodes) in [
            ("127.0.0.1:2376", &["111"][..]),
            ("0.0.0.0:2376", &["111", "222", "555"]),
            ("[::1]:2376", &["555"]),
            ("10.0.0.9:2376", &[]),
        ] {
            assert_eq!(
                listening(tables, listen.parse().unwrap()),
                inodes,
                "{listen}"
            );
        }
    }
}
