//! `make install` puts what a distribution's package would hold, and it works from there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::{Installed, Need, binary, commands, same, snapshot, trial, workspace};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let make = &[Need::Tools(&["make", "install"])];
    vec![trial(
        "install::what_is_installed_works_and_is_documented",
        make,
        installed_works,
    )]
}

fn installed_works() -> Result<()> {
    let dest = tempfile::tempdir()?;
    let output = make_install(dest.path())?;
    ensure!(output.status.success(), "{output:?}");
    let usr = dest.path().join("usr");
    for command in commands()? {
        works(&usr, command).with_context(|| format!("looking at {}", command.name))?;
    }
    let programs = usr.join("share/slipway/postscripts");
    same(
        &fs::read_to_string(programs.join("bridgeprereq"))?,
        &"a placeholder".to_owned(),
    )?;
    same(
        &fs::read_link(programs.join("xHRM"))?,
        &"bridgeprereq".into(),
    )?;
    let unit = fs::read_to_string(usr.join("lib/systemd/system/slipwayd.service"))?;
    ensure!(unit.contains("\nExecStart=/usr/bin/slipwayd\n"), "{unit}");
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

/// Runs `make install` with the binaries of this test run and with placeholders for the programs of hosts: to
/// build optimised and static ones takes minutes.
pub(crate) fn make_install(dest: &Path) -> Result<Output> {
    let mut built = None;
    for command in commands()? {
        let binary = binary(&command.package, &command.name)?;
        built = binary.parent().map(Path::to_owned);
    }
    let built = built.context("no binary was built")?;
    let programs = tempfile::tempdir()?;
    fs::write(programs.path().join("bridgeprereq"), "a placeholder")?;
    symlink("bridgeprereq", programs.path().join("xHRM"))?;
    let make = Command::new("make")
        .args([
            "--no-print-directory",
            "install",
            "CARGO=true",
            "PREFIX=/usr",
        ])
        .arg(format!("DESTDIR={}", dest.display()))
        .arg(format!("BUILT={}", built.display()))
        .arg(format!("PROGRAMS={}", programs.path().display()))
        .current_dir(workspace())
        .output();
    Ok(make?)
}

/// Holds that a command runs from there, and says the same of itself everywhere.
fn works(usr: &Path, command: &Installed) -> Result<()> {
    let Installed { name, section, .. } = command;
    let version = Command::new(usr.join("bin").join(name))
        .arg("--version")
        .output()?;
    same(
        &String::from_utf8(version.stdout)?,
        &format!("{name} {}\n", env!("CARGO_PKG_VERSION")),
    )?;
    let page = fs::read_to_string(usr.join(format!("share/man/man{section}/{name}.{section}")))?;
    let title = format!(".TH {name} {section} ");
    ensure!(page.contains(&title), "the page has no '{title}': {page}");
    ensure!(
        page.contains("\n.SH OPTIONS\n"),
        "the page lists no options"
    );
    let bash = usr.join("share/bash-completion/completions").join(name);
    let parsed = Command::new("bash").arg("-n").arg(bash).status()?;
    ensure!(parsed.success(), "bash does not take the completion");
    for completion in [
        format!("zsh/site-functions/_{name}"),
        format!("fish/vendor_completions.d/{name}.fish"),
    ] {
        let text = fs::read_to_string(usr.join("share").join(&completion))?;
        ensure!(
            text.contains("--help") || text.contains("-l help"),
            "{completion} knows no --help"
        );
    }
    Ok(())
}
