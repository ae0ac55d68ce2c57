//! `setupdockerhost`: a dockerd that only trusted clients reach.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(postscripts::dockerhost::run)
}
