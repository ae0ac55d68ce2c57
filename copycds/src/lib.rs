//! Install media into trees and osimage definitions.
//!
//! A medium comes in (an image, a device, a directory); a published tree with a manifest and the
//! definitions of its osimages go out. The story is `open → recognise → gather checksums → copy →
//! describe`, one module each; [`run`] tells it for the command line. Nothing here mounts anything,
//! needs root, or trusts a byte of the medium unchecked.

pub mod checksums;
mod cli;
pub mod copy;
pub mod describe;
mod disc;
mod import;
pub mod media;
mod progress;
pub mod recognise;
mod report;
mod run_config;
mod site_signature;
mod verify;

pub use repodata::digest;

use std::borrow::Cow;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use nix::sys::stat::Mode;

pub use cli::Args;
use disc::RecognisedDisc;
use import::DiscImport;
use report::Report;
use run_config::RunConfig;

/// Runs `copycds`.
///
/// # Errors
/// Whatever went wrong, in one sentence; then nothing of that medium is published.
pub fn run(args: Args) -> Result<ExitCode> {
    // Errors contain what media say, which others print.
    imported(args).map_err(|error| {
        let text = format!("{error:#}");
        match progress::printable(&text) {
            Cow::Borrowed(_) => error,
            Cow::Owned(shown) => anyhow!(shown),
        }
    })
}

fn imported(args: Args) -> Result<ExitCode> {
    if let Some(tree) = &args.verify {
        return verify::run(tree, args.json);
    }
    // A tree is read by a web server, however careful the umask of who publishes it.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    let config = RunConfig::load(&args)?;
    let mut report = Report::new(args.json);
    let result = each(&args, &config, &mut report);
    report.finish()?;
    result.map(|()| ExitCode::SUCCESS)
}

/// Takes the media through every step, all of them through one before any goes to the next that writes.
fn each(args: &Args, config: &RunConfig, report: &mut Report) -> Result<()> {
    if args.inspection {
        return args.media.iter().try_for_each(|path| {
            let (_, identity) = disc::inspect(path, config)?;
            report.inspected(path, &identity)
        });
    }
    progress::stop_on_signals(&config.progress)?;
    let discs = args
        .media
        .iter()
        .map(|path| RecognisedDisc::open(path, config));
    let discs: Vec<_> = discs.collect::<Result<_>>()?;
    disc::check_one_tree(&discs, config)?;
    let imports: Vec<_> = discs
        .iter()
        .map(|disc| DiscImport::plan(disc, config))
        .collect::<Result<_>>()?;
    for import in imports {
        let outcome = if args.dry_run {
            import.preview()?
        } else {
            import.run()?
        };
        report.imported(&outcome)?;
    }
    Ok(())
}
