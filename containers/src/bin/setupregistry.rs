//! `setupregistry`: sets up the site's image registry.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(containers::registry::run)
}
