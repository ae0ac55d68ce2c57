//! The command line of `imgexport`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use definitions::command::Config;

use crate::bundle::export::export;
use crate::site_context::SiteContext;

const EXAMPLES: &str = "\
Examples:
  imgexport debian12.9.0-x86_64-netboot-dockerhost
                                 write NAME.slipway into this directory
  imgexport NAME /srv/images/hosts-1.slipway
                                 write it there
  imgexport -p host01 NAME       take along which scripts host01 runs, for imgimport -p

The file holds the definition, the lists, templates and scripts that it names, and the packed root image with its
kernel and initrd. A site with an authority (slipway-trust init) signs it, and imgimport --key checks that; the SHA-256
that is printed is what imgimport --sha256 compares.

Exit status: 0 when it was written, 1 when it was not, 2 for wrong usage.";

/// Write an osimage, its lists and its root image into one file, for another management node
#[derive(Debug, Parser)]
#[command(name = "imgexport", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// The osimage
    #[arg(value_name = "OSIMAGE")]
    osimage: String,
    /// The file, which does not exist yet [default: OSIMAGE.slipway]
    #[arg(value_name = "FILE")]
    destination: Option<PathBuf>,
    /// Take along the lists of scripts of a node
    #[arg(short, long, value_name = "NODE")]
    postscripts: Option<String>,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `imgexport`.
///
/// # Errors
/// When the definitions cannot be read, or the file cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let nodes = catalog.nodes()?;
    let site = SiteContext::open(&catalog, &nodes)?;
    let name = &args.osimage;
    let to = args.destination.clone();
    let to = to.unwrap_or_else(|| PathBuf::from(format!("{name}.slipway")));
    let exported = export(
        &catalog,
        site.library(),
        name,
        args.postscripts.as_deref(),
        &to,
    )?;
    if args.json {
        let json = serde_json::json!({
            "osimage": name,
            "file": exported.path,
            "bytes": exported.bytes,
            "sha256": exported.sha256,
            "members": exported.members,
            "signed": exported.is_signed,
            "notes": exported.notes,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!(
            "{name}: exported{}: {}, {} files, {:.1} MB, SHA-256 {}",
            if exported.is_signed {
                " and signed"
            } else {
                ""
            },
            exported.path.display(),
            exported.members,
            exported.bytes as f64 / 1e6,
            exported.sha256
        );
    }
    for note in &exported.notes {
        eprintln!("imgexport: note: {note}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
        let args = Args::try_parse_from("imgexport -p host01 a /tmp/a".split(' ')).unwrap();
        assert_eq!(args.postscripts.as_deref(), Some("host01"));
        assert!(Args::try_parse_from(["imgexport"]).is_err());
    }
}
