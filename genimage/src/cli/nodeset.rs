//! The command line of `nodeset`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Result;
use clap::Parser;
use definitions::Noderange;
use definitions::command::Config;

use crate::arming::DEFAULT_TERM;
use crate::report::Report;

const EXAMPLES: &str = "\
Examples:
  nodeset host01 osimage=debian12.9.0-x86_64-install-dockerhost
                                        render, check and write what host01 installs
  nodeset rack1 osimage                 render each node's own osimage (provmethod) again
  nodeset rack1 osimage --arm=12h       let each of them enrol within 12 hours
  nodeset rack1 osimage --diff --dry-run
                                        show what would change, line by line

Each node's files go to <installdir>/autoinst/<node>/: what its installer reads, boot.ipxe, postscripts.json
with the scripts that it runs, and boot.cpio.gz, the archive that follows the installer's initrd and holds what
it reads. They are checked by the installer's rules, and every package is looked up, before anything is
written; a node that has a problem keeps what it had. Where the site has an authority (slipway-trust), each node
gets a one-time secret, by which it enrols at its first boot.

Exit status: 0 when all nodes have their assets, 1 when something is wrong, 2 for wrong usage.";

/// Assign an osimage to nodes: render, check and write the files that they fetch while they install
#[derive(Debug, Parser)]
#[command(name = "nodeset", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub(crate) config: Config,
    /// The nodes
    #[arg(value_name = "NODERANGE")]
    pub(crate) noderange: Noderange,
    /// The osimage: osimage=NAME, or osimage alone for each node's provmethod
    #[arg(value_name = "osimage[=NAME]")]
    pub(crate) osimage: OsimageArgument,
    /// Let the nodes enrol for TERM, once each, while they install [default: 4h, where the site has an authority]
    #[arg(long, value_name = "TERM", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_TERM)]
    pub(crate) arm: Option<String>,
    /// Let them enrol no more, and put nothing to enrol with into their files
    #[arg(long, visible_alias = "no-arm", conflicts_with = "arm")]
    pub(crate) disarm: bool,
    /// Print what would be written; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show what changes, line by line
    #[arg(long)]
    pub(crate) diff: bool,
    /// Print results as JSON
    #[arg(long, conflicts_with = "diff")]
    pub(crate) json: bool,
}

/// Which osimage is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OsimageArgument(Option<String>);

impl OsimageArgument {
    /// Returns the name, where one is given.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromStr for OsimageArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "osimage" => Ok(Self(None)),
            Some(("osimage", name)) if !name.is_empty() => Ok(Self(Some(name.to_owned()))),
            _ => Err(
                "expected osimage=NAME, or osimage alone for what each node's provmethod names"
                    .to_owned(),
            ),
        }
    }
}

impl Args {
    /// For how long nodes are armed.
    pub(crate) fn term(&self) -> &str {
        self.arm.as_deref().unwrap_or(DEFAULT_TERM)
    }

    /// Prints a report: results to stdout, what is wrong to stderr.
    pub(crate) fn print(&self, report: &Report) -> Result<ExitCode> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
        } else {
            for program in &report.programs {
                let would = if self.dry_run {
                    "would be brought"
                } else {
                    "brought"
                };
                writeln!(out, "postscripts/{program} {would} up to date")?;
            }
            out.write_all(report.results().as_bytes())?;
        }
        out.flush()?;
        for line in report.complaints().lines() {
            eprintln!("nodeset: {line}");
        }
        Ok(if report.failed() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_sound_and_takes_what_xcat_users_type() {
        Args::command().debug_assert();
        let parsed = |line: &str| Args::try_parse_from(line.split(' '));
        let args = parsed("nodeset rack1,-host03 osimage=debian12-x86_64-install-compute").unwrap();
        assert_eq!(args.osimage.name(), Some("debian12-x86_64-install-compute"));
        assert_eq!(
            parsed("nodeset rack1 osimage").unwrap().osimage.name(),
            None
        );
        let arm = |line: &str| parsed(line).unwrap().arm;
        assert_eq!(arm("nodeset rack1 osimage"), None);
        assert_eq!(arm("nodeset rack1 osimage --arm").as_deref(), Some("4h"));
        assert_eq!(arm("nodeset rack1 osimage --arm=2d").as_deref(), Some("2d"));
        assert!(parsed("nodeset rack1 osimage --no-arm").unwrap().disarm);
        for line in [
            "nodeset",
            "nodeset rack1",
            "nodeset rack1 osimage=",
            "nodeset rack1 install",
            "nodeset a osimage --json --diff",
            "nodeset a osimage --arm --disarm",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
