//! The command line of `otherpkgs`.

use clap::Parser;

/// Install the extra packages of this node's osimage, from the repositories that it names.
///
/// Reads xCAT's environment, which firstboot and updatenode give: OTHERPKGDIR, OTHERPKGS1 and so on. Under the
/// name ospkgs it reads OSPKGDIR and OSPKGS. Every name is looked up before anything is changed; nothing else is
/// upgraded or removed; signatures are always checked unless an entry says [trusted=yes].
#[derive(Debug, Clone, Parser)]
#[command(name = "otherpkgs", version, after_help = AFTER)]
pub struct Args {
    /// Write the repositories, and install nothing
    #[arg(long)]
    pub repoonly: bool,

    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Seconds to wait for other package managers that are at work
    #[arg(long, value_name = "S", default_value = "600", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub patience: u64,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const AFTER: &str = "\
OTHERPKGDIR holds entries separated by commas, each with options in front or not:
  https://download.docker.com/linux/debian bookworm stable
  [signed-by=/install/keys/docker.asc arch=amd64] https://download.docker.com/linux/debian bookworm stable
  [trusted=yes] /install/post/otherpkgs/debian12/x86_64
A path is a directory of the management node, which its web server serves. The key of the first entry is in
OTHERPKGKEY1, and so on, or is a file of this node; it is never downloaded.

OTHERPKGS1 holds names separated by commas: NAME, DIR/NAME from a subdirectory of the entry's directory, -NAME is
removed before, --NAME after; ENVLIST1 is its environment. OTHERPKGS_INDEX is the number of lists.

Exit status: 0 done or nothing to do, 1 failed, 2 wrong usage, 75 not now: no network, another package manager
at work, or a slow clock.";
