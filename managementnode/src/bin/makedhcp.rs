//! `makedhcp`: tells dnsmasq which nodes get which addresses and what they boot.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(managementnode::dhcp::run)
}
