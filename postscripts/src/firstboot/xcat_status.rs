//! Reports the node's state to a management node that listens: xCAT's `installstatus STATE` on port 3002.
//!
//! A state comes in, one line goes out. Nothing depends on the answer.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::record::InstallStatus;
use super::report::step;

/// Where xCAT's server listens for it, unless its site says otherwise.
const PORT: u16 = 3002;
/// How long it may take to answer, each time.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Reports to the management node of the environment, if it is named by address and listens.
pub(super) fn report(environment: &BTreeMap<String, String>, state: InstallStatus) {
    let address = ["MASTER_IP", "MASTER"].into_iter().find_map(|name| {
        let value = environment.get(name)?;
        value.parse::<IpAddr>().ok()
    });
    let Some(address) = address else {
        if let Some(master) = environment.get("MASTER") {
            step(format!(
                "MASTER '{master}' is not an address: '{state}' is not reported"
            ));
        }
        return;
    };
    let port = environment
        .get("XCATIPORT")
        .and_then(|port| port.parse().ok());
    // A management node that does not listen is no error.
    let _ = send(SocketAddr::new(address, port.unwrap_or(PORT)), state);
}

/// Reports to a management node that the boot has failed, if it listens.
pub(crate) fn report_failure(server: IpAddr) {
    let _ = send(SocketAddr::new(server, PORT), InstallStatus::Failed);
}

/// It says `ready`, we say the state, it says `done`.
fn send(server: SocketAddr, state: InstallStatus) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut answer = [0; 64];
    // One that waits for us to speak first gets the state too.
    let _ = stream.read(&mut answer);
    stream.write_all(format!("installstatus {state}\n").as_bytes())?;
    stream.read(&mut answer).map(drop)
}
