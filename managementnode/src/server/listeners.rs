//! What the daemon listens on: the sockets that systemd passes, by their names, or its own.
//!
//! Reference: sd_listen_fds(3), `FileDescriptorName=` in systemd.socket(5).

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use listenfd::ListenFd;

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketProtocol {
    Http,
    Tls,
    /// xCAT's `installstatus`.
    Reports,
}

impl SocketProtocol {
    const ALL: [Self; 3] = [Self::Http, Self::Tls, Self::Reports];

    /// Returns the name that a unit gives such a socket.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Reports => "reports",
        }
    }
}

/// Takes the sockets that systemd passes; where there is none, opens those that are `wanted`.
///
/// # Errors
/// When a socket has no name of ours, or one cannot be opened.
pub(super) fn open(
    wanted: &[(SocketAddr, SocketProtocol)],
) -> Result<Vec<(TcpListener, SocketProtocol)>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    if passed.len() == 0 {
        return wanted
            .iter()
            .map(|(at, protocol)| bound(*at, *protocol))
            .collect();
    }
    let protocols = protocols(&names, passed.len())?;
    let mut listeners = Vec::new();
    for (at, protocol) in protocols.into_iter().enumerate() {
        let listener = passed.take_tcp_listener(at);
        let listener =
            listener.with_context(|| format!("taking the socket '{}'", protocol.name()))?;
        listeners.extend(listener.map(|listener| (listener, protocol)));
    }
    Ok(listeners)
}

fn bound(address: SocketAddr, protocol: SocketProtocol) -> Result<(TcpListener, SocketProtocol)> {
    let listener = TcpListener::bind(address);
    Ok((
        listener.with_context(|| format!("listening on {address}"))?,
        protocol,
    ))
}

/// Reads what is spoken on which of the sockets that are passed.
fn protocols(names: &str, count: usize) -> Result<Vec<SocketProtocol>> {
    let known = |name: &str| {
        SocketProtocol::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    };
    let protocols: Option<Vec<_>> = names.split(':').map(known).collect();
    match protocols {
        Some(protocols) if protocols.len() == count => Ok(protocols),
        _ => bail!(
            "the {count} sockets that systemd passes are named '{}': FileDescriptorName= of each is to be one of http, \
             tls, reports",
            names.escape_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_a_name_that_says_what_is_spoken_there() {
        use SocketProtocol::{Http, Reports, Tls};
        assert_eq!(
            protocols("http:tls:tls:reports", 4).unwrap(),
            [Http, Tls, Tls, Reports]
        );
        for (names, count) in [
            ("http", 2),
            ("unknown", 1),
            ("", 1),
            ("http:slipwayd.socket", 2),
        ] {
            assert!(protocols(names, count).is_err(), "{names}");
        }
        assert_eq!(
            protocols("a\u{1b}", 1).unwrap_err().to_string(),
            "the 1 sockets that systemd passes are named 'a\\u{1b}': FileDescriptorName= of each is to be one of http, \
             tls, reports"
        );
    }
}
