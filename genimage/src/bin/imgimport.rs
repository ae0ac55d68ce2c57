//! `imgimport`: see `imgimport --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(genimage::imgimport::run)
}
