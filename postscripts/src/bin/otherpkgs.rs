//! Installs the extra packages of a node's osimage; see `postscripts::otherpkgs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(postscripts::otherpkgs::run)
}
