//! `dockerimage`: the images of docker hosts.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::image::run)
}
