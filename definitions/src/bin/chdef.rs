//! `chdef` changes definitions.

use std::process::ExitCode;

use definitions::cli::chdef;

fn main() -> ExitCode {
    definitions::command::main(chdef::run)
}
