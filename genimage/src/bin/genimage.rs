//! `genimage`: see `genimage --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(genimage::genimage::run)
}
