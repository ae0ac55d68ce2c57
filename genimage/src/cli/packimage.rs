//! The command line of `packimage`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use definitions::OsImage;
use definitions::command::Config;
use nix::sys::stat::Mode;

use crate::rootimg::pack::PackRequest;
use crate::rootimg::publish::{PackOutcome, publish};
use crate::rootimg::record::{ImageCompression, ImageFormat};
use crate::vouch::SiteKey;

const EXAMPLES: &str = "\
Examples:
  packimage debian12.9.0-x86_64-netboot-dockerhost
                                 pack what genimage built, as squashfs with zstd, or what its kernel reads
  packimage -m cpio -c gzip NAME pack it as xCAT does by default
  packimage -m tar -c xz NAME    pack it as an archive for other tools

The same root gives the same bytes, on any day and any machine. A site with an authority (slipway-trust init) signs their
digests, and nodeset takes no others. What was published before is kept as long as a node's
assets name it.

Exit status: 0 when the image is packed as asked for, 1 when it is not, 2 for wrong usage.";

/// Pack a root image that genimage built, for nodes to boot
#[derive(Debug, Parser)]
#[command(name = "packimage", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// The osimage
    #[arg(value_name = "OSIMAGE")]
    osimage: String,
    /// The form: squashfs, erofs, cpio or tar
    #[arg(short, long, value_name = "FORM", default_value = "squashfs")]
    method: ImageFormat,
    /// The compression: zstd, gzip, xz, or lz4 for a file system [default: the first of zstd, gzip, lz4
    /// and xz that the image's kernel reads]
    #[arg(short, long, value_name = "NAME", value_parser = compression)]
    compress: Option<ImageCompression>,
    /// Print results as JSON
    #[arg(long)]
    json: bool,
}

/// Reads a compression; xCAT's `pigz` is a faster gzip.
fn compression(text: &str) -> Result<ImageCompression, String> {
    if text == "pigz" {
        return Ok(ImageCompression::Gzip);
    }
    text.parse()
}

/// Runs `packimage`.
///
/// # Errors
/// When the definitions cannot be read, or the image cannot be packed.
pub fn run(args: Args) -> Result<ExitCode> {
    // What nodes fetch is read by a web server, however careful the umask of who publishes it.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let catalog = args.config.catalog();
    let image: OsImage = catalog.load(&args.osimage)?;
    let installdir = catalog.site()?.install_dir();
    let request = PackRequest {
        format: args.method,
        compression: args.compress,
    };
    let site = SiteKey::of(&catalog)?;
    let outcome = publish(&image, &installdir, request, site.as_ref())?;
    args.print(&outcome)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn print(&self, outcome: &PackOutcome) -> Result<()> {
        let PackOutcome {
            record,
            changed,
            is_signed,
            removed,
            notes,
        } = outcome;
        if self.json {
            let json = serde_json::json!({
                "osimage": record.osimage,
                "changed": changed,
                "signed": is_signed,
                "record": record,
                "removed": removed,
                "notes": notes,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            let became = if *changed {
                "packed"
            } else {
                "is packed already"
            };
            println!(
                "{}: {became}{}: {}, {:.1} MB of {:.1} MB, kernel {}",
                record.osimage,
                if *is_signed { " and signed" } else { "" },
                record.image.file,
                record.image.bytes as f64 / 1e6,
                record.unpacked_bytes as f64 / 1e6,
                record.kernel_version
            );
            for name in removed {
                println!("{}: removed {name}, which no node names", record.osimage);
            }
        }
        notes
            .iter()
            .for_each(|note| eprintln!("packimage: note: {note}"));
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
        let parsed = |line: &str| {
            let args = Args::try_parse_from(line.split(' '));
            args.map(|args| (args.method, args.compress))
                .map_err(|error| error.exit_code())
        };
        let (squashfs, cpio) = (ImageFormat::Squashfs, ImageFormat::Cpio);
        for (line, expected) in [
            ("packimage a", Ok((squashfs, None))),
            (
                "packimage -m cpio -c pigz a",
                Ok((cpio, Some(ImageCompression::Gzip))),
            ),
            (
                "packimage -m squashfs -c xz a",
                Ok((squashfs, Some(ImageCompression::Xz))),
            ),
            ("packimage -m ext4 a", Err(2)),
            ("packimage", Err(2)),
        ] {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }
}
