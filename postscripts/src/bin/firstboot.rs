//! Runs what a node's definition asks for after its installation; see `postscripts::firstboot`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(postscripts::firstboot::run)
}
