//! `slipwayd`: serves nodes their files, hears how they are, and passes on what enrols.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(managementnode::server::run)
}
