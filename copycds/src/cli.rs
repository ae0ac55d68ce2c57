//! The command line of `copycds`.

use std::path::PathBuf;

use clap::Parser;
use definitions::{Arch, Catalog, Distro};

use crate::digest::{Algorithm, Digest};

/// Import install media: each becomes a verified tree under the install directory, with definitions of
/// its osimages.
///
/// A MEDIUM is an ISO image, an optical device or a directory that holds one disc. It is neither
/// mounted nor written to, and no privilege is needed beyond write access to the install directory.
/// Every file is hashed and compared with what the medium says of itself. The tree appears whole or not
/// at all; a disc that is in its tree already is left alone.
#[derive(Debug, Clone, Parser)]
#[command(name = "copycds", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// Give the release this name (such as rocky9.4) whatever the medium calls itself.
    #[arg(
        short = 'n',
        long = "name",
        visible_alias = "osver",
        value_name = "NAME"
    )]
    pub name: Option<Distro>,

    /// The architecture of the medium; an error when the medium names another.
    #[arg(short = 'a', long, value_name = "ARCH")]
    pub arch: Option<Arch>,

    /// Publish the tree at DIR instead of <installdir>/<osvers>/<arch>.
    #[arg(short = 'p', long, value_name = "DIR", conflicts_with = "inspection")]
    pub path: Option<PathBuf>,

    /// Print what the medium is and what says so; change nothing.
    #[arg(short = 'i', long)]
    pub inspection: bool,

    /// Define no osimages.
    #[arg(short = 'o', long)]
    pub noosimage: bool,

    /// Do nothing, not even for the osimages, when the disc was imported already.
    #[arg(short = 'w', long)]
    pub nonoverwrite: bool,

    /// Check a published tree against its manifest instead of importing anything.
    #[arg(
        long,
        value_name = "TREE",
        conflicts_with_all = ["media", "name", "arch", "path", "inspection", "noosimage", "nonoverwrite", "dry_run", "sums", "sha256", "accept_unsigned"],
    )]
    pub verify: Option<PathBuf>,

    /// Compare the image with FILE, a list of digests such as SHA256SUMS, with its signature in it or
    /// beside it (FILE.sign, .gpg, .asc); without this, the usual names beside the image are tried.
    #[arg(long, value_name = "FILE", conflicts_with = "inspection")]
    pub sums: Option<PathBuf>,

    /// Compare the image with this digest, which its publisher gives.
    #[arg(long, value_name = "HEX", value_parser = sha256, conflicts_with_all = ["inspection", "sums"])]
    pub sha256: Option<Digest>,

    /// Import a medium as unsigned although it carries signatures that do not count here, or although its
    /// tree is signed so far: they are listed, and the tree is recorded as unsigned. The site signs it all the same, if it has an
    /// authority.
    #[arg(long, conflicts_with = "inspection")]
    pub accept_unsigned: bool,

    /// Print what an import would do; write nothing.
    #[arg(long, conflicts_with = "inspection")]
    pub dry_run: bool,

    /// Print results as JSON.
    #[arg(long)]
    pub json: bool,

    /// Keep definitions in DIR.
    #[arg(long, value_name = "DIR", env = "SLIPWAY_CONFIG", default_value = Catalog::DEFAULT)]
    pub config: PathBuf,

    /// Copy without hashing, to measure what hashing costs; the tree is not recorded.
    #[arg(long, hide = true)]
    pub no_hash: bool,

    /// The images, devices or directories, each one disc.
    #[arg(value_name = "MEDIUM", required_unless_present = "verify")]
    pub media: Vec<PathBuf>,
}

fn sha256(hex: &str) -> Result<Digest, String> {
    Digest::parse(Algorithm::Sha256, hex.trim())
}

const EXAMPLES: &str = "\
Examples:
  copycds debian-12.9.0-amd64-DVD-1.iso           import a disc and define its osimages
  copycds SLE-15-SP1-Installer.iso Packages.iso   import two discs into one tree
  copycds --sums SHA256SUMS image.iso             check the image by its publisher's signed list
  copycds -i image.iso                            see what it is, and what says so
  copycds -n rocky9.4 -a x86_64 remaster.iso      name a medium that does not name itself
  copycds --verify /install/rocky9.4/x86_64       check a tree against its manifest

Exit status: 0 when all is done or there was nothing to do, 1 when something failed, 2 for wrong usage.
Several discs are imported in the order given; all are read and recognised before anything is written.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_parser_is_sound_and_takes_the_names_that_xcat_users_type() {
        Args::command().debug_assert();
        let args =
            parsed("copycds -ow --osver rocky9.4 --arch amd64 --path /a x.iso y.iso").unwrap();
        assert!(args.noosimage && args.nonoverwrite && args.media.len() == 2);
        assert_eq!(args.name.unwrap().as_str(), "rocky9.4");
        assert_eq!(args.arch, Some(Arch::X86_64));
        assert!(
            parsed("copycds --inspection --name rocky9 x.iso")
                .unwrap()
                .inspection
        );
    }

    #[test]
    fn what_makes_no_sense_together_is_wrong_usage() {
        for line in [
            "copycds",
            "copycds -i --dry-run x.iso",
            "copycds --verify /tree x.iso",
            "copycds --verify /tree -n rocky9",
            "copycds -i -p /a x.iso",
            "copycds -n ../x x.iso",
            "copycds -a amd46 x.iso",
            "copycds --sha256 12 x.iso",
            "copycds -i --sums SHA256SUMS x.iso",
            "copycds --verify /tree --accept-unsigned",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
