//! Gets a host its identity from the site; see `postscripts::enrol`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(postscripts::enrol::run)
}
