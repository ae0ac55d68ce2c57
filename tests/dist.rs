//! The packages of the management node: what `make dist` makes installs, works, and goes without a trace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use e2e::{MadeOnce, Need, Snapshot, commands, same, snapshot, trial, workspace};
use libtest_mimic::Trial;

use crate::install;

const BUILD: Need = Need::Tools(&[
    "make",
    "dpkg-deb",
    "dpkg-shlibdeps",
    "rpmbuild",
    "python3",
    "strip",
]);

pub(crate) fn trials() -> Vec<Trial> {
    let chroot = &[
        BUILD,
        Need::Root,
        Need::Tools(&["chroot"]),
        Need::DebianRoot,
    ];
    vec![
        trial(
            "dist::the_debian_package_works_in_a_bare_system_and_leaves_nothing",
            chroot,
            debian,
        ),
        trial(
            "dist::the_rpm_works_and_leaves_nothing",
            &[BUILD, Need::Root],
            rpm,
        ),
        trial(
            "dist::the_same_input_makes_the_same_packages",
            &[BUILD],
            reproducible,
        ),
        trial(
            "dist::the_list_of_digests_is_signed_by_the_key_that_is_named",
            &[Need::Tools(&["gpg", "gpgv", "sha256sum"])],
            signed,
        ),
    ]
}

/// Makes the packages of this test run's binaries, without what helps to debug them: optimised ones take minutes to build,
/// and these minutes to compress. Returns where they are, in `out`, beside what they were made of, in `root`.
fn made() -> Result<PathBuf> {
    static MADE: MadeOnce = MadeOnce::new("packages");
    MADE.get(|dir| package(&stripped(&dir.join("root"))?, &dir.join("out")))
}

/// Installs this test run's binaries below a directory, without what helps to debug them.
pub(crate) fn stripped(root: &Path) -> Result<PathBuf> {
    fs::create_dir_all(root)?;
    expect(&install::make_install(root)?)?;
    for command in commands()? {
        let binary = root.join("usr/bin").join(&command.name);
        expect(&Command::new("strip").arg(binary).output()?)?;
    }
    Ok(root.to_owned())
}

/// Returns the one package of a kind.
fn the_package(dir: &Path, extension: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in dir.join("out").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "expected one .{extension}, got {found:?}");
    found.pop().context("no package")
}

fn package(root: &Path, out: &Path) -> Result<()> {
    let made = Command::new(workspace().join("packaging/dist"))
        .args([root, out])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("COMPRESSION", "gzip")
        .output()?;
    expect(&made).map(drop)
}

/// A key's signature covers the list, and the list the files; a key that is missing publishes nothing.
fn signed() -> Result<()> {
    let (out, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(out.path());
        command.env("GNUPGHOME", home.path()).output()
    };
    let made_by = |key: &str| {
        let mut command = Command::new(workspace().join("packaging/sums"));
        command.arg(out.path()).args(["one.deb", "two.rpm"]);
        command
            .env("GNUPGHOME", home.path())
            .env("SIGNING_KEY", key);
        command.output()
    };
    for name in ["one.deb", "two.rpm"] {
        fs::write(out.path().join(name), name)?;
    }
    let key = "release@slipway.invalid";
    let refused = made_by(key)?;
    ensure!(!refused.status.success(), "signed without a key");
    ensure!(
        !out.path().join("SHA256SUMS").exists(),
        "published unsigned"
    );
    let generate = [
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        key,
        "ed25519",
    ];
    expect(&run("gpg", &generate)?)?;
    expect(&run("gpg", &["--output", "key.gpg", "--export", key])?)?;
    expect(&made_by(key)?)?;
    let check = ["--keyring", "./key.gpg", "SHA256SUMS.asc", "SHA256SUMS"];
    expect(&run("gpgv", &check)?)?;
    expect(&run("sha256sum", &["--check", "SHA256SUMS"])?)?;
    // A file that changed is found, and so is a list that was changed with it.
    fs::write(out.path().join("one.deb"), "other")?;
    let found = run("sha256sum", &["--check", "SHA256SUMS"])?;
    ensure!(!found.status.success(), "a changed file passed");
    fs::write(out.path().join("SHA256SUMS"), "0  one.deb\n")?;
    ensure!(
        !run("gpgv", &check)?.status.success(),
        "a changed list passed"
    );
    // What is made anew without a key has no signature left of before.
    expect(&made_by("")?)?;
    ensure!(
        !out.path().join("SHA256SUMS.asc").exists(),
        "an old signature was left"
    );
    Ok(())
}

/// Expects a program to succeed, and returns what it printed.
fn expect(output: &Output) -> Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}

/// The files of a system, without what package managers write for themselves.
fn system(root: &Path) -> Result<Snapshot> {
    let mut found = snapshot(root)?;
    let own = [
        "var/lib/dpkg",
        "var/lib/rpm",
        "var/log",
        "var/cache",
        "usr/lib/sysimage",
        "root",
        "proc",
        "dev",
    ];
    found.retain(|path, _| !own.iter().any(|own| path.starts_with(own)));
    for node in found.values_mut() {
        node.mtime = (0, 0); // a directory in which something was has another time
    }
    Ok(found)
}

/// Lists what a command must have put into a system, by path.
fn expected() -> Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for command in commands()? {
        let (name, section) = (&command.name, command.section);
        for path in [
            format!("usr/bin/{name}"),
            format!("usr/share/man/man{section}/{name}.{section}.gz"),
            format!("usr/share/bash-completion/completions/{name}"),
            format!("usr/share/zsh/site-functions/_{name}"),
            format!("usr/share/fish/vendor_completions.d/{name}.fish"),
        ] {
            paths.insert(path.into());
        }
    }
    for path in [
        "copyright",
        "changelog.gz",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "rules.toml",
        "updatenode.md",
    ] {
        paths.insert(Path::new("usr/share/doc/slipway").join(path));
    }
    for path in [
        "systemd/system/slipwayd.service",
        "systemd/system/slipwayd-http.socket",
        "systemd/system/slipwayd-tls.socket",
        "systemd/system/slipwayd-reports.socket",
        "systemd/system/slipwayd-editor.service",
        "systemd/system/slipwayd-editor.socket",
        "systemd/system/slipway-signer.service",
        "systemd/system/slipway-signer.socket",
        "systemd/system/slipway-registry-garbage.service",
        "systemd/system/slipway-registry-garbage.timer",
        "sysusers.d/slipway.conf",
    ] {
        paths.insert(Path::new("usr/lib").join(path));
    }
    paths.insert("usr/share/slipway/nginx.conf".into());
    for path in ["bridgeprereq", "xHRM"] {
        paths.insert(Path::new("usr/share/slipway/postscripts").join(path));
    }
    Ok(paths)
}

/// Holds that what is installed is there, owned by root and for everyone to read, and that every command runs.
fn works(before: &Snapshot, root: &Path, run: impl Fn(&str) -> Command) -> Result<()> {
    let after = system(root)?;
    for path in expected()? {
        ensure!(
            after.contains_key(&path),
            "{} was not installed",
            path.display()
        );
    }
    for (path, node) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        let mode = node.mode & 0o7777;
        let fits = match path.starts_with("usr/bin")
            || path.starts_with("usr/share/slipway/postscripts")
        {
            _ if node.mode & 0o170_000 == 0o120_000 => true,
            executable => {
                mode == if executable || node.mode & 0o170_000 == 0o040_000 {
                    0o755
                } else {
                    0o644
                }
            }
        };
        ensure!(fits, "{} has mode {mode:o}", path.display());
    }
    for command in commands()? {
        let said = expect(&run(&command.name).arg("--version").output()?)?;
        same(
            &said,
            &format!("{} {}\n", command.name, env!("CARGO_PKG_VERSION")),
        )?;
        let (name, section) = (&command.name, command.section);
        let page = root.join(format!("usr/share/man/man{section}/{name}.{section}.gz"));
        let page = expect(&Command::new("gzip").arg("-dc").arg(page).output()?)?;
        ensure!(
            page.contains(&format!(".TH {name} {section} ")),
            "the page of {name}: {page}"
        );
    }
    Ok(())
}

fn debian() -> Result<()> {
    let deb = the_package(&made()?, "deb")?;
    let root = tempfile::tempdir()?;
    let tar = Need::debian_root().context("no tar")?;
    expect(
        &Command::new("tar")
            .arg("-C")
            .arg(root.path())
            .arg("-xf")
            .arg(tar)
            .output()?,
    )?;
    let before = system(root.path())?;
    fs::copy(&deb, root.path().join("root/slipway.deb"))?;
    let run = |program: &str| {
        let mut command = Command::new("chroot");
        command
            .arg(root.path())
            .arg(program)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    expect(&run("dpkg").args(["-i", "/root/slipway.deb"]).output()?)?;
    works(&before, root.path(), run)?;
    same(
        &expect(&run("dpkg").args(["--verify", "slipway"]).output()?)?,
        &String::new(),
    )?;
    expect(&run("dpkg").args(["--purge", "slipway"]).output()?)?;
    left_as_it_was(&before, root.path())
}

fn rpm() -> Result<()> {
    let package = the_package(&made()?, "rpm")?;
    let listed = expect(
        &Command::new("rpm")
            .args(["-qp", "--requires"])
            .arg(&package)
            .output()?,
    )?;
    ensure!(
        listed.contains("libc.so.6"),
        "it asks for no C library: {listed}"
    );
    let root = tempfile::tempdir()?;
    for directory in [
        "usr/bin",
        "usr/lib/systemd/system",
        "usr/lib/sysusers.d",
        "usr/share/doc",
        "usr/share/man/man1",
        "usr/share/man/man8",
        "usr/share/bash-completion/completions",
    ] {
        fs::create_dir_all(root.path().join(directory))?;
    }
    let rpm = |arguments: &[&str]| {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(root.path()).args(arguments);
        command
    };
    expect(&rpm(&["--initdb"]).output()?)?;
    let before = system(root.path())?;
    // Debian's rpm knows of no package that is installed here.
    expect(&rpm(&["--install", "--nodeps"]).arg(&package).output()?)?;
    works(&before, root.path(), |name| {
        Command::new(root.path().join("usr/bin").join(name))
    })?;
    same(
        &expect(&rpm(&["--verify", "--nodeps", "slipway"]).output()?)?,
        &String::new(),
    )?;
    expect(&rpm(&["--erase", "slipway"]).output()?)?;
    left_as_it_was(&before, root.path())
}

fn left_as_it_was(before: &Snapshot, root: &Path) -> Result<()> {
    let mut after = system(root)?;
    after.retain(|path, node| before.get(path) != Some(node));
    let left: Vec<_> = after.keys().collect();
    ensure!(left.is_empty(), "left over or changed: {left:?}");
    Ok(())
}

fn reproducible() -> Result<()> {
    let made = made()?;
    let again = tempfile::tempdir()?;
    // Another place, another time.
    let root = again.path().join("elsewhere");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(made.join("root"))
        .arg(&root)
        .output()?;
    expect(&copied)?;
    package(&root, &again.path().join("out"))?;
    for extension in ["deb", "rpm"] {
        let first = the_package(&made, extension)?;
        let name = first.file_name().context("no name")?;
        let second = again.path().join("out").join(name);
        ensure!(
            fs::read(&first)? == fs::read(&second)?,
            "two {} differ",
            name.display()
        );
    }
    Ok(())
}
