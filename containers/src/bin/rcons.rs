//! `rcons`: opens the console of a container.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::attach::run)
}
