//! `slipway-trust`: the site's authorities, and what they sign.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(managementnode::trust::run)
}
