//! From an image to osimages: what `copycds` publishes is what the medium holds, it is recorded and
//! verified, and `lsdef`, `chdef` and `rmdef` work on what it defined.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Medium, Need, Sandbox, Snapshot, binary, same, snapshot, trial, workspace};
use libtest_mimic::Trial;

const TREE: &str = "debian12.9.0/x86_64";
const DOCKERHOST: &str = "debian12.9.0-x86_64-install-dockerhost";

pub(crate) fn trials() -> Vec<Trial> {
    let media = &[Need::MEDIA];
    let bsdtar = &[Need::MEDIA, Need::Tools(&["bsdtar"])];
    vec![
        trial(
            "chain::a_tree_is_what_another_reader_extracts",
            bsdtar,
            tree_is_the_medium,
        ),
        trial(
            "chain::sha256sum_accepts_the_manifest",
            media,
            manifest_is_sha256sums,
        ),
        trial(
            "chain::a_medium_becomes_four_osimages",
            media,
            osimages_are_listed,
        ),
        trial(
            "chain::a_second_run_changes_nothing",
            media,
            second_run_changes_nothing,
        ),
        trial(
            "chain::looking_changes_nothing",
            media,
            looking_changes_nothing,
        ),
        trial(
            "chain::a_good_signature_is_said",
            media,
            good_signature_is_said,
        ),
        trial(
            "chain::a_changed_byte_is_named_and_leaves_nothing",
            media,
            changed_byte_is_named,
        ),
        trial("chain::a_cut_image_is_refused", media, cut_image_is_refused),
        trial(
            "chain::what_is_no_medium_is_refused",
            &[],
            no_medium_is_refused,
        ),
        trial(
            "chain::the_demo_holds_on_a_real_debian_medium",
            &[Need::DebianMedium],
            demo_holds,
        ),
        trial(
            "chain::wrong_usage_exits_with_two",
            &[],
            wrong_usage_exits_with_two,
        ),
        trial(
            "chain::a_directory_is_a_medium",
            bsdtar,
            directory_is_a_medium,
        ),
        trial(
            "chain::edits_of_a_user_survive_a_new_import",
            media,
            edits_survive,
        ),
        trial(
            "chain::verify_names_what_was_changed_since",
            media,
            verify_names_changes,
        ),
    ]
}

/// Imports a fresh medium; returns its tree.
fn imported(sandbox: &Sandbox) -> Result<(Medium, std::path::PathBuf)> {
    let medium = sandbox.medium("one", 0)?;
    sandbox.import(&medium)?;
    let tree = sandbox.install().join(TREE);
    ensure!(tree.is_dir(), "no tree at {}", tree.display());
    Ok((medium, tree))
}

/// Content and kind of everything, without what an extraction may do as it likes.
fn substance(snapshot: Snapshot) -> Vec<(std::path::PathBuf, u32, Vec<u8>)> {
    snapshot
        .into_iter()
        .filter(|(path, _)| !path.starts_with(".slipway"))
        .map(|(path, node)| (path, node.mode & 0o170_000, node.bytes))
        .collect()
}

fn tree_is_the_medium() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (medium, tree) = imported(&sandbox)?;
    let theirs = sandbox.path("theirs");
    extract(&medium.iso, &theirs)?;
    ensure!(
        substance(snapshot(&tree)?) == substance(snapshot(&theirs)?),
        "bsdtar extracts something else"
    );
    Ok(())
}

fn extract(iso: &Path, into: &Path) -> Result<()> {
    fs::create_dir(into)?;
    let status = Command::new("bsdtar")
        .arg("-C")
        .arg(into)
        .arg("-xf")
        .arg(iso)
        .status()?;
    ensure!(status.success(), "bsdtar: {status}");
    Ok(())
}

fn manifest_is_sha256sums() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (_, tree) = imported(&sandbox)?;
    let check = Command::new("sha256sum")
        .args(["--strict", "--quiet", "-c", ".slipway/SHA256SUMS"])
        .current_dir(&tree)
        .output()?;
    ensure!(
        check.status.success() && check.stdout.is_empty(),
        "{check:?}"
    );
    let manifest = fs::read_to_string(tree.join(".slipway/SHA256SUMS"))?;
    let files = substance(snapshot(&tree)?)
        .iter()
        .filter(|(_, mode, _)| *mode == 0o100_000)
        .count();
    let recorded = manifest
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    same(&recorded, &files)
}

fn osimages_are_listed() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (_, tree) = imported(&sandbox)?;
    let listed = sandbox.run("lsdef", &["-t", "osimage"])?;
    let names: Vec<_> = [
        "install-compute",
        "install-dockerhost",
        "netboot-compute",
        "netboot-dockerhost",
    ]
    .map(|kind| format!("debian12.9.0-x86_64-{kind}  (osimage)\n"))
    .into();
    same(&listed.stdout, &names.concat())?;
    let shown = sandbox.run("lsdef", &["-t", "osimage", DOCKERHOST])?.stdout;
    for line in [
        format!("Object name: {DOCKERHOST}"),
        "    imagetype=linux".into(),
        "    osarch=x86_64".into(),
        "    osname=Linux".into(),
        "    osvers=debian12.9.0".into(),
        format!("    pkgdir={}", tree.display()),
        "    profile=dockerhost".into(),
        "    provmethod=install".into(),
    ] {
        ensure!(
            shown.lines().any(|shown| shown == line),
            "no line '{line}' in:\n{shown}"
        );
    }
    Ok(())
}

fn second_run_changes_nothing() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (medium, _) = imported(&sandbox)?;
    let before = (snapshot(sandbox.install())?, snapshot(&sandbox.config())?);
    sandbox.import(&medium)?;
    ensure!(
        before == (snapshot(sandbox.install())?, snapshot(&sandbox.config())?),
        "the second run wrote"
    );
    Ok(())
}

fn looking_changes_nothing() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", 0)?;
    for option in ["-i", "--dry-run"] {
        let before = (snapshot(sandbox.install())?, snapshot(&sandbox.config())?);
        let outcome = sandbox.run("copycds", &[option.as_ref(), medium.iso.as_os_str()])?;
        ensure!(outcome.code == Some(0), "{option}: {outcome:?}");
        ensure!(
            outcome.stdout.contains("debian12.9.0"),
            "{option} does not say what it saw: {outcome:?}"
        );
        let after = (snapshot(sandbox.install())?, snapshot(&sandbox.config())?);
        ensure!(before == after, "{option} wrote");
    }
    Ok(())
}

fn good_signature_is_said() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", 0)?;
    let said = sandbox.import(&medium)?;
    let signed = "14 by SHA-256 of Release → Packages (signed by Slipway demo medium";
    ensure!(said.stdout.contains(signed), "{said:?}");
    Ok(())
}

fn changed_byte_is_named() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", 0)?;
    let mut image = fs::read(&medium.iso)?;
    let needle = b"chrony of medium one";
    let at = image
        .windows(needle.len())
        .position(|window| window == needle)
        .context("no such package")?;
    image[at] ^= 1;
    fs::write(&medium.iso, image)?;
    let outcome = sandbox.run("copycds", &[&medium.iso])?;
    same(&outcome.code, &Some(1))?;
    ensure!(
        outcome
            .stderr
            .contains("pool/main/c/chrony/chrony_1.0-1_amd64.deb"),
        "{outcome:?}"
    );
    nothing_is_left(&sandbox)
}

fn cut_image_is_refused() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let medium = sandbox.medium("one", 0)?;
    let length = fs::metadata(&medium.iso)?.size();
    for cut in [length / 2, 40_000, 2048, 1, 0] {
        fs::OpenOptions::new()
            .write(true)
            .open(&medium.iso)?
            .set_len(cut)?;
        let outcome = sandbox.run("copycds", &[&medium.iso])?;
        ensure!(outcome.code == Some(1), "cut to {cut}: {outcome:?}");
        one_sentence(&outcome.stderr)?;
        nothing_is_left(&sandbox)?;
    }
    Ok(())
}

fn no_medium_is_refused() -> Result<()> {
    let sandbox = Sandbox::new()?;
    fs::write(sandbox.path("text"), "no image\n".repeat(100_000))?;
    fs::create_dir(sandbox.path("empty"))?;
    for name in ["text", "empty", "absent"] {
        let outcome = sandbox.run("copycds", &[name])?;
        ensure!(outcome.code == Some(1), "{name}: {outcome:?}");
        ensure!(
            outcome.stderr.contains(name),
            "{name} is not named: {outcome:?}"
        );
        nothing_is_left(&sandbox)?;
    }
    Ok(())
}

/// The demo with the binaries of this test run: it exits with 0 only if every step held.
fn demo_holds() -> Result<()> {
    let copycds = binary("copycds", "copycds")?;
    for name in ["chdef", "lsdef"] {
        binary("definitions", name)?;
    }
    let built = copycds.parent().context("a binary lies nowhere")?;
    let output = Command::new(workspace().join("tests/demo"))
        .env("BUILT", built)
        .env_remove("KEEP")
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    for line in [
        "by SHA-256 of Release → Packages (signed by Slipway demo medium",
        "    profile=dockerhost",
    ] {
        ensure!(said.contains(line), "no '{line}' in:\n{said}");
    }
    Ok(())
}

fn wrong_usage_exits_with_two() -> Result<()> {
    let sandbox = Sandbox::new()?;
    for (name, args) in [
        ("copycds", &["--no-such-option"][..]),
        ("copycds", &[]),
        ("copycds", &["-a", "amd46", "x.iso"]),
        ("lsdef", &["--no-such-option"]),
        ("chdef", &["--no-such-option"]),
    ] {
        let outcome = sandbox.run(name, args)?;
        ensure!(
            outcome.code == Some(2) && outcome.stdout.is_empty(),
            "{name} {args:?}: {outcome:?}"
        );
    }
    nothing_is_left(&sandbox)
}

fn directory_is_a_medium() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (medium, tree) = imported(&sandbox)?;
    let other = Sandbox::new()?;
    fs::copy(&medium.keyring, other.config().join("keyrings/one.gpg"))?;
    let dir = other.path("mounted");
    extract(&sandbox.path("one.iso"), &dir)?;
    let outcome = other.run("copycds", &[&dir])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let theirs = substance(snapshot(&other.install().join(TREE))?);
    ensure!(
        substance(snapshot(&tree)?) == theirs,
        "a directory gives another tree than the image"
    );
    Ok(())
}

fn edits_survive() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (medium, _) = imported(&sandbox)?;
    let edit = [
        "-t",
        "osimage",
        DOCKERHOST,
        "pkglist=/install/custom/mine.pkglist",
    ];
    same(&sandbox.run("chdef", &edit)?.code, &Some(0))?;
    sandbox.import(&medium)?;
    let shown = sandbox
        .run("lsdef", &["-t", "osimage", DOCKERHOST, "-i", "pkglist"])?
        .stdout;
    ensure!(
        shown.contains("    pkglist=/install/custom/mine.pkglist\n"),
        "{shown}"
    );
    Ok(())
}

fn verify_names_changes() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (_, tree) = imported(&sandbox)?;
    let verify = || sandbox.run("copycds", &["--verify".as_ref(), tree.as_os_str()]);
    same(&verify()?.code, &Some(0))?;
    fs::write(tree.join("install.amd/vmlinuz"), "another kernel\n")?;
    fs::remove_file(tree.join("md5sum.txt"))?;
    let outcome = verify()?;
    same(&outcome.code, &Some(1))?;
    for name in ["install.amd/vmlinuz", "md5sum.txt"] {
        ensure!(
            format!("{}{}", outcome.stdout, outcome.stderr).contains(name),
            "{outcome:?}"
        );
    }
    Ok(())
}

/// Nothing was imported, staged or defined.
fn nothing_is_left(sandbox: &Sandbox) -> Result<()> {
    let left: Vec<_> = snapshot(sandbox.install())?.into_keys().collect();
    ensure!(left.is_empty(), "left over: {left:?}");
    ensure!(
        !sandbox.config().join("osimages").exists(),
        "osimages were defined"
    );
    Ok(())
}

/// A complaint is one line that says who speaks.
fn one_sentence(stderr: &str) -> Result<()> {
    let complaint: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("copycds: "))
        .collect();
    ensure!(complaint.len() == 1, "not one sentence: {stderr}");
    Ok(())
}
