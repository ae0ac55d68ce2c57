//! `lsdocker`: lists containers.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::list::run)
}
