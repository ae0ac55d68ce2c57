//! `rpower`: starts and stops containers.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::power::run)
}
