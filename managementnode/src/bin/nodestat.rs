//! `nodestat`: says how nodes are.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(managementnode::nodestat::run)
}
