//! `--probe`: asks the daemon that runs here what a node asks first.
//!
//! Its addresses come in; an error goes out unless it answers, by TLS as the site's master. Nothing is written.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::tls;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// No answer to what is asked here is as long.
const MAX_BYTES: u64 = 64 << 10;

const REQUEST: &[u8] = b"GET /v1/root HTTP/1.0\r\n\r\n";

/// Asks by plain HTTP.
///
/// # Errors
/// When nothing answers, or something else does.
pub(super) fn by_http(address: SocketAddr) -> Result<()> {
    let asking = || format!("asking by HTTP on {address}");
    let mut stream = connect(address).with_context(asking)?;
    ask(&mut stream).with_context(asking).map(drop)
}

/// Asks by TLS, where the site's master must answer with the root's certificate.
///
/// # Errors
/// When nothing answers, or something else does.
pub(super) fn by_tls(address: SocketAddr, credentials: &Path, master: &str) -> Result<()> {
    let asking = || format!("asking by TLS on {address}");
    let path = credentials.join("root.crt");
    let root =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let socket = connect(address).with_context(asking)?;
    let mut stream = tls::client(&root, master, socket)?;
    let answer = ask(&mut stream).with_context(asking)?;
    if !answer.ends_with(&root) {
        bail!("what answers by TLS on {address} has another root: restart slipwayd");
    }
    Ok(())
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let here = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    let stream = TcpStream::connect_timeout(&SocketAddr::new(here, address.port()), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Asks for the root's certificate; the daemon has none without TLS, and says so.
fn ask(stream: &mut (impl Read + Write)) -> Result<String> {
    stream.write_all(REQUEST)?;
    let mut answer = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if !answer.starts_with("HTTP/1.") || !["200", "404"].contains(&status) {
        bail!("what answers there is not slipwayd");
    }
    Ok(answer)
}
