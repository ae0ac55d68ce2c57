//! The command line of `firstboot`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};

/// Run this node's postscripts, each once, and keep their results.
///
/// Without an option the postbootscripts of /var/lib/slipway/postscripts.json run in their order, as the
/// unit slipway-firstboot does it at boot, and before them the postscripts that no installer has run. Programs come over HTTP from the server that the list names and
/// are run only if size and SHA-256 are those of the list. A failure does not stop the list. What succeeded
/// is never repeated, also not after a crash or a loss of power; what failed because there was no network,
/// or asked for another try by exit code 75, is tried again. Once all have ended, a later boot does nothing.
#[derive(Debug, Clone, Parser)]
#[command(name = "firstboot", version, after_help = AFTER)]
#[command(group = ArgGroup::new("task").args(["phase", "update", "fetch", "status", "enable", "disable"]))]
pub struct Args {
    /// Run the postscripts inside the installer, or the postbootscripts (the default)
    #[arg(long, value_name = "PHASE")]
    pub phase: Option<PhaseArgument>,

    /// Run scripts again now, whatever their results were: all, or those of --scripts
    #[arg(long)]
    pub update: bool,

    /// With --update: run only these: a program's name, a whole line, or all of 'xcatdefaults', 'osimage'
    /// or 'node'
    #[arg(short = 'P', long, value_name = "SCRIPT[,…]", requires = "update")]
    pub scripts: Vec<String>,

    /// With --update: read this list first and keep it; '-' is standard input. A line before it may hold a nonce
    #[arg(long, value_name = "FILE", requires = "update")]
    pub list: Option<PathBuf>,

    /// With --update: print the results last, in one line of JSON, after the nonce if there is one
    #[arg(long, requires = "update")]
    pub results: bool,

    /// Fetch and verify the programs, and run nothing
    #[arg(long)]
    pub fetch: bool,

    /// Show the result of every script; exits with 1 unless all have succeeded
    #[arg(long)]
    pub status: bool,

    /// With --status: print it as JSON
    #[arg(long, requires = "status")]
    pub json: bool,

    /// Write the systemd unit and have it run at every boot until all is done; works in a chroot
    #[arg(long)]
    pub enable: bool,

    /// Remove the unit
    #[arg(long)]
    pub disable: bool,

    /// Seconds that one script may take
    #[arg(long, value_name = "S", default_value = "1800", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub timeout: u64,

    /// Seconds to wait for the network, and for what asks for another try [default: 900 at boot, 30 in the installer, 10 with --update]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub patience: Option<u64>,

    /// Work on the node below DIR (for testing)
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// Which half of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PhaseArgument {
    /// The postscripts, inside the installer
    Installer,
    /// The postbootscripts, after the first boot
    Boot,
}

impl Args {
    /// Returns how long one script may take.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Returns how long to wait for the network, with the task's default.
    pub(super) fn patience(&self, default: u64) -> Duration {
        Duration::from_secs(self.patience.unwrap_or(default))
    }
}

const AFTER: &str = "\
Files:
  /var/lib/slipway/postscripts.json   the list
  /var/lib/slipway/status.json        the result of every script
  /var/log/slipway/SCRIPT.log         its output
  /opt/slipway/postscripts/           the programs, and the directory in which they run

Exit status: 0 done or nothing to do, 1 failed, 2 wrong usage; else that of the last script that failed:
its own, 128 and the signal that ended it, or 75 no network or not now, 124 it took too long, 126 it differs from the
list or cannot be run, 127 it does not exist.";
