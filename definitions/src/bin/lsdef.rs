//! `lsdef` lists definitions.

use std::process::ExitCode;

use definitions::cli::lsdef;

fn main() -> ExitCode {
    definitions::command::main(lsdef::run)
}
