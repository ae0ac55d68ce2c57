//! Where dockerd listens, as `-H` and `hosts` name it (dockerd(8), "Daemon socket option").

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where dockerd's own socket is when nobody says where.
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// One place that dockerd answers at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListenAddress {
    /// The sockets that systemd hands over.
    Activated,
    /// A socket of the file system.
    Unix(PathBuf),
    /// An address; `None` where it is no plain address and port.
    Tcp(Option<SocketAddr>),
    /// Something else.
    Other,
}

impl ListenAddress {
    /// Reads one; what names no protocol is TCP, as dockerd has it.
    pub(super) fn parse(text: &str) -> Self {
        match text.trim().split_once("://") {
            None if text.trim().is_empty() => Self::Unix(DEFAULT_SOCKET.into()),
            None => Self::Tcp(text.trim().parse().ok()),
            Some(("fd", _)) => Self::Activated,
            Some(("unix", "")) => Self::Unix(DEFAULT_SOCKET.into()),
            Some(("unix", path)) => Self::Unix(path.into()),
            Some(("tcp", address)) => Self::Tcp(address.parse().ok()),
            Some(_) => Self::Other,
        }
    }

    /// Whether it is every socket that systemd hands over: `fd://NAME` is some of them.
    pub(super) fn is_all_activated(text: &str) -> bool {
        matches!(text.trim(), "fd://" | "fd://*")
    }

    /// Whether clients on this host call there.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Activated | Self::Unix(_))
    }

    /// Whether it is reached by TCP.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_read_as_dockerd_reads_it() {
        let tcp = |text: &str| ListenAddress::Tcp(Some(text.parse().unwrap()));
        for (text, listener) in [
            ("fd://", ListenAddress::Activated),
            ("fd://3", ListenAddress::Activated),
            ("unix:///x", ListenAddress::Unix("/x".into())),
            ("unix://", ListenAddress::Unix(DEFAULT_SOCKET.into())),
            ("", ListenAddress::Unix(DEFAULT_SOCKET.into())),
            ("tcp://0.0.0.0:2375", tcp("0.0.0.0:2375")),
            ("127.0.0.1:2375", tcp("127.0.0.1:2375")),
            ("tcp://[::]:2376", tcp("[::]:2376")),
            ("tcp://host01:2376", ListenAddress::Tcp(None)),
            (":2375", ListenAddress::Tcp(None)),
            ("npipe:////./pipe/x", ListenAddress::Other),
        ] {
            assert_eq!(ListenAddress::parse(text), listener, "{text}");
        }
    }
}
