//! `make install` puts what a distribution's package would hold, and it works from there.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Need, binary, same, snapshot, story, workspace};
use libtest_mimic::Trial;

/// Every program and the section of its man page, as xCAT has them.
const PROGRAMS: [(&str, &str, u8); 5] = [
    ("copycds", "copycds", 8),
    ("definitions", "chdef", 1),
    ("definitions", "lsdef", 1),
    ("definitions", "mkdef", 1),
    ("definitions", "rmdef", 1),
];

pub(crate) fn stories() -> Vec<Trial> {
    let make = &[Need::Tools(&["make", "install"])];
    vec![story(
        "install::what_is_installed_works_and_is_documented",
        make,
        installed_works,
    )]
}

fn installed_works() -> Result<()> {
    let dest = tempfile::tempdir()?;
    let mut built = None;
    for (package, name, _) in PROGRAMS {
        built = binary(package, name)?.parent().map(Path::to_owned);
    }
    let built = built.context("no binary was built")?;
    // The binaries are those of this test run: `make install` would spend minutes on optimised ones.
    let output = Command::new("make")
        .args([
            "--no-print-directory",
            "install",
            "CARGO=true",
            "PREFIX=/usr",
        ])
        .arg(format!("DESTDIR={}", dest.path().display()))
        .arg(format!("BUILT={}", built.display()))
        .current_dir(workspace())
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let usr = dest.path().join("usr");
    for (_, name, section) in PROGRAMS {
        let version = Command::new(usr.join("bin").join(name))
            .arg("--version")
            .output()?;
        same(
            &String::from_utf8(version.stdout)?,
            &format!("{name} {}\n", env!("CARGO_PKG_VERSION")),
        )?;
        let page =
            std::fs::read_to_string(usr.join(format!("share/man/man{section}/{name}.{section}")))?;
        let title = format!(".TH {name} {section} ");
        ensure!(
            page.contains(&title),
            "the page of {name} has no '{title}': {page}"
        );
        ensure!(
            page.contains("\n.SH OPTIONS\n"),
            "the page of {name} lists no options"
        );
        let bash = usr.join("share/bash-completion/completions").join(name);
        let parsed = Command::new("bash").arg("-n").arg(bash).status()?;
        ensure!(
            parsed.success(),
            "bash does not take the completion of {name}"
        );
        for completion in [
            format!("zsh/site-functions/_{name}"),
            format!("fish/vendor_completions.d/{name}.fish"),
        ] {
            let text = std::fs::read_to_string(usr.join("share").join(&completion))?;
            ensure!(
                text.contains("--help") || text.contains("-l help"),
                "{completion} knows no --help"
            );
        }
    }
    for document in [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "recognition.md",
        "rules.toml",
    ] {
        ensure!(
            usr.join("share/doc/slipway").join(document).is_file(),
            "no {document}"
        );
    }
    let outside: Vec<_> = snapshot(dest.path())?
        .into_keys()
        .filter(|path| !path.starts_with("usr"))
        .collect();
    ensure!(
        outside.is_empty(),
        "installed outside of the prefix: {outside:?}"
    );
    Ok(())
}
