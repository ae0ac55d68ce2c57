//! Moves this host's uplink into a bridge; see `postscripts::bridge`.

use std::process::ExitCode;

fn main() -> ExitCode {
    postscripts::bridge::main()
}
