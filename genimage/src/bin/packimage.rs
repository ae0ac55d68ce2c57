//! `packimage`: see `packimage --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(genimage::packimage::run)
}
