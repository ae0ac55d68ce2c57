//! The init of a diskless node's initrd; see `postscripts::netboot`.

use std::process::ExitCode;

fn main() -> ExitCode {
    postscripts::netboot::main()
}
