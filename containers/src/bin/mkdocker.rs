//! `mkdocker`: makes containers of nodes.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::make::run)
}
