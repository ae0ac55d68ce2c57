//! `imgexport`: see `imgexport --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(genimage::imgexport::run)
}
