//! `copycds`: imports install media.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(copycds::run)
}
