//! `makedns`: tells dnsmasq the names of nodes.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(managementnode::dns::run)
}
