//! `nodeset`: see `nodeset --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(genimage::nodeset::run)
}
