//! Repositories as apt, dnf and zypper take them: what we write is given to the programs themselves, in
//! directories of their own, with a repository that is signed and one package in it. With the right key the
//! package can be installed, with another it cannot. And the trees of real media, whose file listings lie in
//! the corpus (`../shared/corpus`, or `SLIPWAY_CORPUS`), have the repositories that they have.
//!
//! What a machine lacks makes a case ignored, and its kind says why.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

mod scene;
mod trees;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use definitions::{AptKey, AptSource};
use libtest_mimic::{Arguments, Failed, Trial};

use genimage::repository::Repository;
use scene::Scene;
use trees::TREES;

/// What a real program is asked: the case, the programs that it takes, the proof.
type Real = (
    &'static str,
    &'static [&'static str],
    fn() -> Result<(), Failed>,
);

fn main() {
    let arguments = Arguments::from_args();
    let apt = &["apt-get", "apt-ftparchive", "dpkg-deb", "gpg"][..];
    let dnf = &["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg"][..];
    let zypper = &["zypper", "rpmbuild", "rpmsign", "createrepo_c", "gpg"][..];
    let tools: [Real; 6] = [
        (
            "apt_believes_the_key_that_is_named_and_no_other",
            apt,
            apt_takes_it,
        ),
        ("apt_takes_lines_too", apt, apt_takes_lines),
        (
            "dnf_believes_the_key_that_is_named_and_no_other",
            dnf,
            dnf_takes_it,
        ),
        (
            "zypper_believes_the_key_that_is_named_and_no_other",
            zypper,
            zypper_takes_it,
        ),
        (
            "dnf_believes_no_index_but_the_one_that_the_site_signed",
            dnf,
            dnf_verifies_the_index,
        ),
        (
            "zypper_believes_no_index_but_the_one_that_the_site_signed",
            zypper,
            zypper_verifies_the_index,
        ),
    ];
    let mut trials: Vec<_> = tools
        .into_iter()
        .map(|(name, tools, run)| {
            let tool = tools.iter().find(|tool| !in_path(tool)).copied();
            // Installing into another root needs it, even of nothing.
            let root = (!tools.contains(&"apt-get") && !is_root()).then_some("root");
            let lacking = tool.or(root);
            Trial::test(name, run)
                .with_ignored_flag(lacking.is_some())
                .with_kind(
                    lacking
                        .map(|what| format!("needs {what}"))
                        .unwrap_or_default(),
                )
        })
        .collect();
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = std::env::var_os("SLIPWAY_CORPUS").map_or_else(beside, PathBuf::from);
    let listings = corpus.join("listings");
    let there = listings.is_dir();
    for (listing, distro, expected) in TREES {
        let listings = listings.clone();
        let trial = Trial::test(format!("tree::{distro}"), move || {
            trees::tree(&listings, listing, distro, expected)
        });
        let kind = if there {
            ""
        } else {
            "no corpus beside the repository"
        };
        trials.push(trial.with_ignored_flag(!there).with_kind(kind));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(tool).is_file())
}

/// Every kind of trust, the option that says it, and whether the package may be had.
fn trusts(option: &str) -> [(String, bool); 3] {
    [
        (format!("{option}=ROOT/right.asc"), true),
        (format!("{option}=ROOT/wrong.asc"), false),
        ("trusted=yes".to_owned(), true),
    ]
}

fn apt_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.debian_repository();
    for (trust, expected) in trusts("signed-by") {
        let repository = scene.repository("debian12", &trust);
        let (installed, said) = scene.apt(&repository.file_name(), &repository.file());
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("is not signed") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

fn apt_takes_lines() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.debian_repository();
    for (trust, expected) in trusts("signed-by") {
        let repository = scene.repository("debian12", &trust);
        let key = scene.path("handed-on.asc").display().to_string();
        let source = AptSource {
            signed_by: repository.key.as_ref().map(|_| AptKey::File(key)),
            ..repository.apt_source()
        };
        for (file, text) in [
            ("extra1.list", source.render_line()),
            ("extra1.sources", source.render()),
        ] {
            let (installed, said) = scene.apt(file, &format!("{text}\n"));
            if installed != expected {
                return Err(format!("{text}: {said}").into());
            }
        }
    }
    Ok(())
}

fn dnf_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.rpm_repository();
    for (trust, expected) in trusts("gpgkey") {
        let repository = scene.repository("rocky9.4", &trust);
        let (installed, said) = scene.dnf(&repository);
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("GPG check FAILED") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

fn zypper_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.rpm_repository();
    for (trust, expected) in trusts("gpgkey") {
        let repository = scene.repository("sle15.5", &trust);
        let (installed, said) = scene.zypper(&repository);
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("Signature verification failed") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

/// Who signed the index of a tree whose packages the publisher signed, and whether its packages may be had.
const INDICES: [(Option<&str>, bool); 3] =
    [(Some("site"), true), (Some("wrong"), false), (None, false)];

fn verifies_the_index(
    distro: &str,
    install: fn(&Scene, &Repository) -> (bool, String),
    refusal: &str,
) -> Result<(), Failed> {
    let scene = Scene::new();
    scene.rpm_repository();
    let repository = scene.signed_tree(distro);
    for (signer, expected) in INDICES {
        scene.sign_index(signer);
        let (installed, said) = install(&scene, &repository);
        if installed != expected {
            return Err(format!("signed by {signer:?}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains(refusal) {
            return Err(format!("signed by {signer:?}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

fn dnf_verifies_the_index() -> Result<(), Failed> {
    verifies_the_index("rocky9.4", Scene::dnf, "repomd.xml")
}

fn zypper_verifies_the_index() -> Result<(), Failed> {
    verifies_the_index("leap15.6", Scene::zypper, "repomd.xml")
}
