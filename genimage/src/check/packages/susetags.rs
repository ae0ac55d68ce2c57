//! SUSE's own index, `suse/setup/descr/packages`: what SLE 12 media have in place of rpm-md.
//!
//! Form: `=Pkg: name version release arch`, and `+Prv:` … `-Prv:` around one provide a line;
//! `pattern() = base` makes a package a pattern, as in rpm-md.

use std::io::BufRead;

use anyhow::{Context, Result};

use super::index::Gathered;
use super::lines::each_line;

/// Reads a whole index.
pub(super) fn parse(reader: impl BufRead, gathered: &mut Gathered) -> Result<()> {
    let (mut package, mut provides) = (String::new(), false);
    each_line(reader, |line| {
        if let Some(tag) = line.strip_prefix(b"=Pkg:") {
            let mut words = text(tag)?.split_ascii_whitespace();
            package = words.next().unwrap_or_default().to_owned();
            let mut word = || words.next().unwrap_or_default();
            let version = format!("{}-{}.{}", word(), word(), word());
            provides = false;
            gathered.packages.add(&package, &version)?;
        } else if line.starts_with(b"+Prv:") {
            provides = true;
        } else if line.starts_with(b"-Prv:") {
            provides = false;
        } else if provides {
            provide(text(line)?, &package, gathered)?;
        }
        Ok(())
    })
}

fn provide(line: &str, package: &str, gathered: &mut Gathered) -> Result<()> {
    let (name, version) = line.split_once(' ').unwrap_or((line, ""));
    if name == "pattern()" {
        let id = version.trim_start_matches(['=', ' ']);
        return gathered.groups.add(id, package);
    }
    if name == package {
        Ok(())
    } else {
        gathered.provides.add(name, package)
    }
}

fn text(line: &[u8]) -> Result<&str> {
    std::str::from_utf8(line.trim_ascii()).context("a line that is not UTF-8 text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packages_provides_and_patterns_are_found() {
        let text = "=Ver: 2.0\n##----\n=Pkg: bash 4.3 83.3 x86_64\n+Req:\nglibc\n-Req:\n+Prv:\nbash = 4.3-83.3\n\
                    /bin/sh\n-Prv:\n=Grp: System/Shells\n=Pkg: patterns-sles-base 12 77.1 x86_64\n\
                    +Prv:\npattern() = base\n-Prv:\n";
        let mut gathered = Gathered::default();
        parse(text.as_bytes(), &mut gathered).unwrap();
        let index = gathered.finish();
        assert_eq!(
            index.packages.values("bash").collect::<Vec<_>>(),
            ["4.3-83.3.x86_64"]
        );
        assert_eq!(index.provides.iter().collect::<Vec<_>>(), ["/bin/sh"]);
        assert!(index.groups.contains("base") && !index.packages.contains("glibc"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((=Pkg:|\\+Prv:|-Prv:|pattern\\(\\) =|x) ?[a-z ]{0,9}\n){0,12}") {
            let _ = parse(text.as_bytes(), &mut Gathered::default());
        }
    }
}
