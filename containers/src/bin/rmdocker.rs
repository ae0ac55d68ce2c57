//! `rmdocker`: removes containers.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::remove::run)
}
