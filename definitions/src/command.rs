//! The one way in for every binary: parse, run, say what went wrong, exit.
//!
//! A `clap` parser and a function come in; an exit code goes out: 0 done, 1 failed, 2 usage. The error
//! chain is printed once, here, as `name: step: cause`. With the feature `generate` every binary also
//! prints its own man page and shell completions, made from its parser, so that they cannot go stale.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};

use crate::terminal::escaped;

/// Runs a binary: parses its arguments, calls `run` and maps the result to an exit code.
///
/// Wrong usage exits with 2. An error is printed as `name: {err:#}` and exits with 1. A reader that
/// closes our output early (`lsdef | head`) is no failure.
pub fn main<A: Parser>(run: impl FnOnce(A) -> anyhow::Result<ExitCode>) -> ExitCode {
    main_from(std::env::args_os(), run)
}

/// Does what [`main`] does with the arguments that are given, the program's own name first.
pub fn main_from<A: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(A) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let name = A::command().get_name().to_owned();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    #[cfg(feature = "generate")]
    match generate::asked(&name, &arguments) {
        None => {}
        Some(Ok(form)) => return finish(&name, form.write::<A>(&mut io::stdout().lock())),
        Some(Err(error)) => return usage(&error),
    }
    match A::try_parse_from(arguments) {
        Ok(arguments) => finish(&name, run(arguments)),
        Err(error) => usage(&error),
    }
}

/// Prints a message of the parser: help and version are results, all else is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A terminal that is gone leaves nobody to print to.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

/// Maps a result to an exit code and prints the error chain in one line.
fn finish(name: &str, result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Names in it may come from files of others.
            let error = format!("{error:#}");
            // As above: who cannot read it learns it from the exit code.
            let _ = writeln!(io::stderr(), "{name}: {}", escaped(&error, '\n'));
            ExitCode::FAILURE
        }
    }
}

/// Says whether the reader of our output went away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Where the definitions are: an option of every command that reads them.
#[cfg(feature = "catalog")]
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// The directory of the definitions
    #[arg(long, value_name = "DIR", env = "SLIPWAY_CONFIG", default_value = crate::Catalog::DEFAULT)]
    config: std::path::PathBuf,
}

#[cfg(feature = "catalog")]
impl Config {
    /// Returns the definitions there.
    pub fn catalog(&self) -> crate::Catalog {
        crate::Catalog::new(&self.config)
    }
}

#[cfg(feature = "generate")]
mod generate {
    //! Man pages and completions from the parser.

    use std::ffi::OsString;
    use std::io::Write;
    use std::process::ExitCode;

    use clap::{Arg, ArgMatches, Command, Parser, ValueEnum};
    use clap_complete::Shell;

    /// What the hidden option prints.
    #[derive(Debug, Clone, Copy, ValueEnum)]
    pub(super) enum GeneratedForm {
        Man,
        Bash,
        Elvish,
        Fish,
        Zsh,
    }

    /// Reads the option where it is the first argument.
    ///
    /// It has a parser of its own, so that neither operands that a run needs nor variables that are
    /// for options are in its way.
    pub(super) fn asked(
        name: &str,
        arguments: &[OsString],
    ) -> Option<Result<GeneratedForm, clap::Error>> {
        let first = arguments.get(1)?.to_str()?;
        if first.split('=').next() != Some("--generate") {
            return None;
        }
        let form = Arg::new("form")
            .long("generate")
            .value_name("FORM")
            .value_parser(clap::value_parser!(GeneratedForm))
            .required(true);
        let parser = Command::new("generate").bin_name(name).arg(form);
        let matches = parser.try_get_matches_from(arguments);
        let form = |matches: ArgMatches| matches.get_one("form").copied();
        matches.map(form).transpose()
    }

    /// Writes what the page says of one of a program's verbs: a section with its usage and its options.
    fn verb_page(verb: &Command, out: &mut dyn Write) -> anyhow::Result<()> {
        let title = verb
            .get_bin_name()
            .unwrap_or(verb.get_name())
            .to_uppercase();
        let page = clap_mangen::Man::new(verb.clone());
        let mut text = Vec::new();
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        let text = String::from_utf8(text)?;
        let parts = text.lines().map(|line| match line.strip_prefix(".SH ") {
            Some(part) => format!(".SS {part}\n"),
            None => format!("{line}\n"),
        });
        writeln!(out, ".SH \"{}\"", title.replace('-', "\\-"))?;
        out.write_all(parts.collect::<String>().as_bytes())?;
        Ok(())
    }

    impl GeneratedForm {
        /// Writes the page or the script for the parser `A`.
        pub(super) fn write<A: Parser>(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
            let mut parser = A::command();
            let name = parser.get_name().to_owned();
            let shell = match self {
                Self::Man => {
                    clap_mangen::Man::new(parser.clone()).render(out)?;
                    parser.build();
                    for verb in parser
                        .get_subcommands()
                        .filter(|verb| verb.get_name() != "help")
                    {
                        verb_page(verb, out)?;
                    }
                    return Ok(ExitCode::SUCCESS);
                }
                Self::Bash => Shell::Bash,
                Self::Elvish => Shell::Elvish,
                Self::Fish => Shell::Fish,
                Self::Zsh => Shell::Zsh,
            };
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut parser, name, &mut script);
            out.write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for the tests.
    #[derive(Debug, Parser)]
    #[command(name = "trial", version)]
    struct Args {
        /// What must be given.
        operand: String,
    }

    fn run_with(arguments: &[&str], result: fn() -> anyhow::Result<ExitCode>) -> ExitCode {
        let arguments = arguments.iter().map(OsString::from);
        main_from(arguments, |_: Args| result())
    }

    #[test]
    fn exit_codes_are_0_done_1_failed_2_usage() {
        let done = || Ok(ExitCode::SUCCESS);
        assert_eq!(run_with(&["trial", "x"], done), ExitCode::SUCCESS);
        assert_eq!(run_with(&["trial", "--help"], done), ExitCode::SUCCESS);
        assert_eq!(run_with(&["trial"], done), ExitCode::from(2));
        assert_eq!(run_with(&["trial", "-q", "x"], done), ExitCode::from(2));
        let failed = || Err(anyhow::anyhow!("reading the tea leaves"));
        assert_eq!(run_with(&["trial", "x"], failed), ExitCode::FAILURE);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let cut = || {
            let cause = io::Error::from(io::ErrorKind::BrokenPipe);
            Err(anyhow::Error::new(cause).context("writing the listing"))
        };
        assert_eq!(run_with(&["trial", "x"], cut), ExitCode::SUCCESS);
    }

    #[cfg(feature = "generate")]
    #[test]
    fn pages_are_made_from_the_parser() {
        use clap::ValueEnum;
        for form in generate::GeneratedForm::value_variants() {
            let mut page = Vec::new();
            form.write::<Args>(&mut page).unwrap();
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains("trial"), "{form:?}: {page}");
        }
    }

    /// A program with verbs, for the tests.
    #[cfg(feature = "generate")]
    #[derive(Debug, Parser)]
    #[command(name = "trial-verbs")]
    enum Verbs {
        /// Makes something
        Make {
            /// How large
            #[arg(long)]
            size: u32,
        },
    }

    #[cfg(feature = "generate")]
    #[test]
    fn a_page_says_what_each_verb_takes() {
        let mut page = Vec::new();
        generate::GeneratedForm::Man
            .write::<Verbs>(&mut page)
            .unwrap();
        let page = String::from_utf8(page).unwrap();
        for part in [
            ".SH \"TRIAL\\-VERBS MAKE\"\n",
            ".SS OPTIONS\n",
            "\\-\\-size",
            "How large",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[cfg(feature = "generate")]
    #[test]
    fn the_hidden_option_needs_no_operand_and_takes_known_forms_only() {
        let never = || Err(anyhow::anyhow!("the program ran"));
        let page = run_with(&["trial", "--generate", "man"], never);
        assert_eq!(page, ExitCode::SUCCESS);
        let unknown = run_with(&["trial", "--generate=pdf"], never);
        assert_eq!(unknown, ExitCode::from(2));
        assert_eq!(run_with(&["trial", "--generate"], never), ExitCode::from(2));
    }
}
