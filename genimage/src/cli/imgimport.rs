//! The command line of `imgimport`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;
use nix::sys::stat::Mode;

use crate::bundle::import::read;
use crate::bundle::install::{ImportOutcome, ImportRequest, install};
use crate::bundle::{ImportTrust, Voucher};
use crate::vouch::{SiteKey, VerifyingKey};

const EXAMPLES: &str = "\
Examples:
  imgimport hosts.slipway        take in what imgexport wrote at this site, by its signature
  imgimport hosts.slipway --key other-trees.asc
                                 or at another, whose key it is
  imgimport hosts.slipway --sha256 DIGEST
                                 or if it is the file that imgexport printed the digest of
  imgimport hosts.slipway -f hosts-2
                                 beside another version: as <osvers>-<arch>-netboot-hosts-2
  imgimport -p rack1 hosts.slipway
                                 give nodes the scripts that imgexport -p took along
  imgimport xcat-image.tgz --accept-unsigned
                                 take in as much as carries over of a bundle of xCAT, which nobody signs

Everything is checked before anything is where nodes or commands read it.

Exit status: 0 when the osimage is there, 1 when it is not, 2 for wrong usage.";

/// Take in an osimage that imgexport wrote on another management node
#[derive(Debug, Parser)]
#[command(name = "imgimport", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// The file
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Give it another profile, and the name that follows from it
    #[arg(short = 'f', long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Give it another name
    #[arg(short, long, value_name = "OSIMAGE")]
    name: Option<String>,
    /// Give these nodes the scripts that came along
    #[arg(short, long, value_name = "NODES")]
    postscripts: Option<Noderange>,
    /// Refuse a file with another SHA-256
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    /// Refuse a file that this public key did not sign, as slipway-trust export trees prints it there; the site's own
    /// is known
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Take in a file that nobody vouches for
    #[arg(long, conflicts_with_all = ["key", "sha256"])]
    accept_unsigned: bool,
    /// Check the file, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `imgimport`.
///
/// # Errors
/// When the file is not what it should be, or something cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    // What nodes fetch is read by a web server, however careful the umask of who publishes it.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let catalog = args.config.catalog();
    let installdir = catalog.site()?.install_dir();
    let request = ImportRequest {
        name: args.name.clone(),
        profile: args.profile.clone(),
        nodes: args.postscripts.clone(),
        trust: ImportTrust {
            named: args.key.as_deref().map(VerifyingKey::load).transpose()?,
            site: SiteKey::of(&catalog)?.map(|site| site.verifying),
            sha256: args.sha256.clone(),
            accept_unsigned: args.accept_unsigned,
        },
    };
    let bundle = read(&args.bundle, &request, &installdir)?;
    let imported = install(bundle, &request, &catalog, &installdir, args.dry_run)?;
    args.print(&imported)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn print(&self, imported: &ImportOutcome) -> Result<()> {
        let ImportOutcome {
            name,
            files,
            has_image,
            nodes,
            voucher,
            left,
        } = imported;
        let (vouched, by) = match voucher {
            Voucher::Signature(name) => ("signature", Some(name)),
            Voucher::Digest => ("sha256", None),
            Voucher::Nobody => ("nobody", None),
        };
        if self.json {
            let json = serde_json::json!({
                "osimage": name,
                "imported": !self.dry_run,
                "files": files,
                "root_image": has_image,
                "nodes": nodes,
                "vouched_by": vouched,
                "signer": by,
                "left": left,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            let became = if self.dry_run {
                "can be imported"
            } else {
                "imported"
            };
            let image = if *has_image {
                ", with its root image"
            } else {
                ""
            };
            let signed = by.map(|by| format!(", signed by {by}")).unwrap_or_default();
            println!("{name}: {became}: its definition and {files} files{image}{signed}");
            for node in nodes {
                println!("{node}: has the scripts that came along");
            }
        }
        if *voucher == Voucher::Nobody {
            eprintln!("imgimport: note: nobody vouches for what it holds, and nodes run it");
        }
        for left in left {
            eprintln!("imgimport: note: {left}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_of_xcat_are_understood() {
        Args::command().debug_assert();
        let line = "imgimport a.slipway -p rack1 -f compute2 -n mine";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(args.profile.as_deref(), Some("compute2"));
        assert_eq!(args.name.as_deref(), Some("mine"));
        assert!(args.postscripts.is_some());
        for wrong in ["imgimport", "imgimport a --key k --accept-unsigned"] {
            assert!(Args::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
