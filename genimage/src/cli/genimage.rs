//! The command line of `genimage`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use definitions::command::Config;

use crate::assets::Assets;
use crate::report::OsimageReport;

const EXAMPLES: &str = "\
Examples:
  genimage debian12.9.0-x86_64-install-dockerhost
                                      check that everything its nodes need is there
  genimage rocky9.4-x86_64-install-compute --show ks.cfg
                                      print the file that a node's installer reads
  genimage --context NAME             print all fields of templates, with example values
  genimage --list-assets NAME         print which list and template are used, and why
  genimage --export-assets ./assets   write the built-in lists and templates, to edit them

Your own files go to <installdir>/custom/templates/ and <installdir>/custom/pkglists/, under the names that
--export-assets writes; a template may also extend a built-in one and override a block of it.

Exit status: 0 when nothing is wrong, 1 when something is, 2 for wrong usage.";

/// Render and check what an osimage installs, for a placeholder node
#[derive(Debug, Parser)]
#[command(name = "genimage", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,
    /// The osimage
    #[arg(value_name = "OSIMAGE", required_unless_present_any = ["list_assets", "export_assets"])]
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
