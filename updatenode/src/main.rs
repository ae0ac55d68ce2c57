//! `updatenode`: runs the postscripts of nodes again.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(updatenode::run)
}
