//! The command line of `genimage`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use definitions::command::Config;

use crate::assets::Assets;
use crate::report::OsimageReport;
use crate::rootimg::build::{BuildOptions, BuildOutcome};
use crate::rootimg::container::ContainerSource;

const EXAMPLES: &str = "\
Examples:
  genimage debian12.9.0-x86_64-install-dockerhost
                                      check that everything its nodes need is there
  genimage debian12.9.0-x86_64-netboot-dockerhost
                                      build the root image of its diskless nodes; packimage packs it
  genimage NAME --from docker-archive:base.tar
                                      install its packages into a container image instead of nothing
  genimage NAME --from oci:layout --check
                                      say whether a container image could boot, and what it lacks
  genimage rocky9.4-x86_64-install-compute --show ks.cfg
                                      print the file that a node's installer reads
  genimage --context NAME             print all fields of templates, with example values
  genimage --list-assets NAME         print which list and template are used, and why
  genimage --export-assets ./assets   write the built-in lists and templates, to edit them

Your own files go to <installdir>/custom/templates/ and <installdir>/custom/pkglists/, under the names that
--export-assets writes; a template may also extend a built-in one and override a block of it.

A root image (provmethod=netboot) is built in memory, in a user namespace; nothing of it needs root.

Exit status: 0 when nothing is wrong, 1 when something is, 2 for wrong usage.";

/// Check what an osimage installs, or build the root image of its diskless nodes
#[derive(Debug, Parser)]
#[command(name = "genimage", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,
    /// The osimage
    #[arg(value_name = "OSIMAGE", required_unless_present_any = ["list_assets", "export_assets", "inside"])]
    osimage: Option<String>,
    /// Print one of the files that were rendered, or all
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    show: Option<String>,
    /// Print all fields that a template may use, as JSON
    #[arg(long, requires = "osimage", conflicts_with_all = ["show", "json", "list_assets"])]
    context: bool,
    /// List the lists and templates; with an OSIMAGE, those that it uses, and why
    #[arg(long, conflicts_with_all = ["show", "json"])]
    list_assets: bool,
    /// Write the built-in lists and templates to DIR; edited files there are kept
    #[arg(long, value_name = "DIR", conflicts_with_all = ["osimage", "show", "list_assets", "json"])]
    export_assets: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, conflicts_with = "show")]
    json: bool,
    /// Of a root image: only look up its packages, with all that they need
    #[arg(long, conflicts_with_all = ["show", "context", "list_assets", "export_assets"])]
    dry_run: bool,
    /// Of a root image: print what has changed since it was built, and build nothing
    #[arg(long, conflicts_with_all = ["show", "context", "list_assets", "export_assets", "dry_run"])]
    diff: bool,
    /// Of a root image: install its packages into a container image instead of nothing: docker-archive:FILE,
    /// oci:DIRECTORY or docker://REGISTRY/IMAGE@DIGEST
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["show", "context", "list_assets", "export_assets"])]
    from: Option<ContainerSource>,
    /// Of a root image, or of the container image that --from names: print whether it can boot, and what it lacks
    #[arg(long, conflicts_with_all = ["show", "context", "list_assets", "export_assets", "dry_run", "diff"])]
    check: bool,
    /// Of a root image: build it although nothing has changed
    #[arg(long, conflicts_with_all = ["show", "context", "list_assets", "export_assets", "dry_run", "diff", "check"])]
    rebuild: bool,
    /// Of a root image: give up when nothing is printed for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Run a stage of a build, in its namespace
    #[arg(long, hide = true, exclusive = true, num_args = 1.., value_name = "STAGE")]
    inside: Option<Vec<String>>,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum GenimageAction<'a> {
    /// Render and check.
    Check(&'a str),
    /// Print the context of templates.
    Context(&'a str),
    /// Say what there is, for an osimage or at all.
    List(Option<&'a str>),
    /// Write out what is built in.
    Export(&'a Path),
}

impl Args {
    /// Returns the stage of a build that this process is.
    pub(crate) fn stage(&self) -> Option<&[String]> {
        self.inside.as_deref()
    }

    /// Returns how a root image is built.
    pub(crate) fn build_options(&self) -> BuildOptions {
        BuildOptions {
            rebuild: self.rebuild,
            dry_run: self.dry_run,
            diff: self.diff,
            check: self.check,
            idle: Duration::from_secs(self.timeout),
        }
    }

    /// Returns the container image that packages are installed into.
    pub(crate) fn from(&self) -> Option<&ContainerSource> {
        self.from.as_ref()
    }

    /// Refuses what is for root images alone.
    ///
    /// # Errors
    /// When it is asked for.
    pub(crate) fn ensure_no_root(&self, name: &str) -> Result<()> {
        ensure!(
            self.from.is_none() && !self.check,
            "{name} is no root image: --from and --check are for osimages with provmethod=netboot"
        );
        Ok(())
    }

    /// Prints what became of a root image.
    pub(crate) fn print_root(
        &self,
        name: &str,
        report: &OsimageReport,
        built: Option<Result<BuildOutcome>>,
    ) -> Result<ExitCode> {
        let mut notes: Vec<_> = report.notes.iter().map(ToString::to_string).collect();
        let mut problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        let mut message = None;
        match built {
            Some(Ok(outcome)) => {
                notes.extend(outcome.notes);
                problems.extend(outcome.problems);
                message = Some(outcome.message);
            }
            Some(Err(error)) => problems.push(format!("{error:#}")),
            None => {}
        }
        if self.json {
            let report = serde_json::json!({ "problems": problems, "notes": notes });
            let json = serde_json::json!({ "osimage": name, "result": message, "report": report });
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else if let Some(message) = message {
            println!("{message}");
        }
        notes
            .iter()
            .for_each(|note| eprintln!("genimage: note: {note}"));
        problems
            .iter()
            .for_each(|problem| eprintln!("genimage: {problem}"));
        Ok(if problems.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Says what is asked for.
    pub(crate) fn action(&self) -> Result<GenimageAction<'_>> {
        Ok(match (&self.export_assets, &self.osimage) {
            (Some(directory), _) => GenimageAction::Export(directory),
            (None, name) if self.list_assets => GenimageAction::List(name.as_deref()),
            (None, Some(name)) if self.context => GenimageAction::Context(name),
            (None, Some(name)) => GenimageAction::Check(name),
            (None, None) => bail!("name an osimage: lsdef -t osimage lists them"),
        })
    }

    /// Prints what was found out; results to stdout, what is wrong to stderr.
    pub(crate) fn print(
        &self,
        name: &str,
        report: &OsimageReport,
        assets: Option<&Assets>,
    ) -> Result<ExitCode> {
        let mut out = io::stdout().lock();
        let files: Vec<_> = assets.iter().flat_map(|assets| assets.files()).collect();
        if self.json {
            let names: Vec<_> = files.iter().map(|(file, _)| file).collect();
            let json = serde_json::json!({ "osimage": name, "files": names, "report": report });
            serde_json::to_writer_pretty(&mut out, &json)?;
            writeln!(out)?;
        } else if let Some(wanted) = &self.show {
            let shown = files
                .iter()
                .filter(|(file, _)| wanted.is_empty() || file == wanted);
            let mut any = false;
            for (file, bytes) in shown {
                any = true;
                if wanted.is_empty() {
                    writeln!(out, "==> {file} <==")?;
                }
                out.write_all(bytes)?;
            }
            if !any && assets.is_some() {
                let names: Vec<_> = files.iter().map(|(file, _)| *file).collect();
                bail!(
                    "there is no {wanted} among what {name} renders: {}",
                    names.join(", ")
                );
            }
        } else if assets.is_some() && report.problems.is_empty() {
            let names: Vec<_> = files.iter().map(|(file, _)| *file).collect();
            writeln!(out, "{name}: {} are valid", names.join(", "))?;
        }
        out.flush()?;
        for note in &report.notes {
            eprintln!("genimage: note: {note}");
        }
        for problem in &report.problems {
            eprintln!("genimage: {problem}");
        }
        let right = report.problems.is_empty();
        Ok(if right {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Args::command().debug_assert();
        let code =
            |line: &str| Args::try_parse_from(line.split(' ')).map_err(|error| error.exit_code());
        for line in [
            "genimage",
            "genimage --show",
            "genimage a --export-assets d",
            "genimage a --show --json",
        ] {
            assert_eq!(code(line).unwrap_err(), 2, "{line}");
        }
        for line in [
            "genimage a --show ks.cfg",
            "genimage a --show",
            "genimage --list-assets",
            "genimage --export-assets d",
        ] {
            assert!(code(line).is_ok(), "{line}");
        }
    }
}
