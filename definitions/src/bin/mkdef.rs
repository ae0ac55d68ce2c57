//! `mkdef` makes definitions.

use std::process::ExitCode;

use definitions::cli::mkdef;

fn main() -> ExitCode {
    definitions::command::main(mkdef::run)
}
