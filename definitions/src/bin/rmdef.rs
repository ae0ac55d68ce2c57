//! `rmdef` removes definitions.

use std::process::ExitCode;

use definitions::cli::rmdef;

fn main() -> ExitCode {
    definitions::command::main(rmdef::run)
}
