//! Refuses revoked clients of a docker host; see `postscripts::dockerauthz`.

use std::process::ExitCode;

fn main() -> ExitCode {
    definitions::command::main(postscripts::dockerauthz::run)
}
