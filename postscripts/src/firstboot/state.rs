//! How far the node is, told to a management node that listens: xCAT's `installstatus STATE` on port 3002.
//!
//! A state comes in, one line goes out. Nobody needs to listen, and nothing depends on the answer.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::record::State;
use super::report::step;

/// Where xCAT's server listens for it, unless its site says otherwise.
const PORT: u16 = 3002;
/// How long it may take to answer, each time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the management node of the environment, if it is named by address and listens.
pub(super) fn report(environment: &BTreeMap<String, String>, state: State) {
    let address = ["MASTER_IP", "MASTER"].into_iter().find_map(|name| {
        let value = environment.get(name)?;
        value.parse::<IpAddr>().ok()
    });
    let Some(address) = address else {
        if let Some(master) = environment.get("MASTER") {
            step(format!(
                "MASTER '{master}' is no address: '{state}' is reported to nobody"
            ));
        }
        return;
    };
    let port = environment
        .get("XCATIPORT")
        .and_then(|port| port.parse().ok());
    // A node whose management node does not listen is nothing to talk about.
    let _ = tell(SocketAddr::new(address, port.unwrap_or(PORT)), state);
}

/// It says `ready`, we say the state, it says `done`.
fn tell(server: SocketAddr, state: State) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut answer = [0; 64];
    // One that waits for us to speak first is told all the same.
    let _ = stream.read(&mut answer);
    stream.write_all(format!("installstatus {state}\n").as_bytes())?;
    stream.read(&mut answer).map(drop)
}
