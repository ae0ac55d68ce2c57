//! Install media into trees and osimage definitions.
//!
//! A medium comes in (an image, a device, a directory); a published tree with a manifest and the
//! definitions of its osimages go out. The story is `open → recognise → gather claims → copy →
//! describe`, one module each; [`run`] tells it for the command line. Nothing here mounts anything,
//! needs root, or believes a byte of the medium unchecked.

pub mod claims;
mod cli;
pub mod copy;
pub mod describe;
mod disc;
mod import;
pub mod media;
pub mod recognise;
mod report;
mod setting;
mod show;
mod verify;

pub use repodata::digest;

use std::borrow::Cow;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use nix::sys::stat::Mode;

pub use cli::Args;
use disc::Disc;
use import::Import;
use report::Report;
use setting::Setting;

/// Runs `copycds`.
///
/// # Errors
/// Whatever went wrong, in one sentence; then nothing of that medium is published.
pub fn run(args: Args) -> Result<ExitCode> {
    // What media say stands in errors too, which others print.
    imported(args).map_err(|error| {
        let text = format!("{error:#}");
        match show::printable(&text) {
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
    let setting = Setting::load(&args)?;
    let mut report = Report::new(args.json);
    let result = each(&args, &setting, &mut report);
    report.finish()?;
    result.map(|()| ExitCode::SUCCESS)
}

/// Takes the media through every step, all of them through one before any goes to the next that writes.
fn each(args: &Args, setting: &Setting, report: &mut Report) -> Result<()> {
    if args.inspection {
        return args.media.iter().try_for_each(|path| {
            let (_, verdict) = disc::inspect(path, setting)?;
            report.inspected(path, &verdict)
        });
    }
    show::stop_on_signals(&setting.progress)?;
    let discs = args.media.iter().map(|path| Disc::open(path, setting));
    let discs: Vec<_> = discs.collect::<Result<_>>()?;
    setting.check_one_tree(&discs)?;
    let imports: Vec<_> = discs
        .iter()
        .map(|disc| Import::plan(disc, setting))
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
