//! The real `slipway-trust sign-tree`, held against the verifiers of nodes: gpgv, and apt.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, ExitCode};

use lab::programs::{other, succeed, trust};
use lab::{Ended, Lab, ended};
use serde_json::Value;

const TREE: &str = "install/debian13.1.0/x86_64";
const SIGNED: &str = "install/debian13.1.0/x86_64/.slipway/signed";

/// Until when the second disc counts.
const OVER: &str = "Valid-Until: Sat, 13 Sep 2025 09:30:13 UTC\n";

/// What apt finds there.
const PACKAGES: &str = "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: x\n\
                        Filename: pool/hello.deb\nSize: 1\nSHA256: 0000000000000000000000000000000000000000000000000000000000000000\n";

fn main() -> ExitCode {
    lab::main(
        &[
            "apt-get",
            "gpg",
            "gpgv",
            "openssl",
            "sha256sum",
            "ssh-keygen",
        ],
        None,
        &[
            (
                "a_tree_has_the_site_s_signatures_beside_the_medium_s_and_apt_asks_for_no_more",
                verified,
            ),
            (
                "what_nobody_vouched_for_is_signed_by_explicit_word_alone",
                unvouched,
            ),
            ("what_copycds_did_not_publish_is_not_signed", foreign),
            (
                "a_site_without_the_key_gets_it_and_another_one_signs_again",
                keys,
            ),
            (
                "what_vouches_for_a_root_image_is_signed_by_the_key_of_trees_and_no_index_is",
                images,
            ),
        ],
    )
}

fn images() {
    let lab = ready();
    lab.write("rootimg.json", "{\"osimage\": \"hosts\"}\n");
    assert_eq!(
        succeed(&lab, &["sign-image", "rootimg.json", "--dry-run"]),
        "rootimg.json.asc: would be written\n"
    );
    assert!(!lab.path("rootimg.json.asc").exists());
    fs::create_dir(lab.path("signatures")).unwrap();
    for (words, signature) in [
        (&["sign-image", "rootimg.json"][..], "rootimg.json.asc"),
        (
            &["sign-image", "rootimg.json", "--out", "signatures"],
            "signatures/rootimg.json.asc",
        ),
    ] {
        assert_eq!(succeed(&lab, words), format!("{signature}: written\n"));
        assert!(is_good(&lab, &[signature, "rootimg.json"]), "{signature}");
        assert!(!is_good(&lab, &[signature, "trees.asc"]), "{signature}");
    }
    fs::remove_file(lab.path("rootimg.json.asc")).unwrap();
    for text in ["Origin: Debian\nSuite: stable\n", "[]\n", "<repomd/>\n"] {
        lab.write("other", text);
        let said = refused(&lab, &["sign-image", "rootimg.json", "other"]);
        let expected = "slipway-trust: other is neither the record of a root image nor the manifest of a bundle: ";
        assert!(said.starts_with(expected), "{said}");
        assert!(!lab.path("rootimg.json.asc").exists(), "{text}");
    }
}

/// A site with its authorities, and a tree of two discs that `copycds` published.
fn ready() -> Lab {
    let lab = Lab::new("[rack]\nnet = \"10.1.0.0\"\nmask = \"/16\"\n", "");
    lab.site("master = \"10.1.0.1\"\ndomain = \"cluster\"\n");
    succeed(&lab, &["init"]);
    for suite in ["dists/trixie", ".slipway/discs/2/dists/trixie"] {
        let index = format!("{suite}/main/binary-amd64/Packages");
        lay(&lab, &index, PACKAGES);
        let digest = sha256(&lab, &format!("{TREE}/{index}"));
        // A medium is old, and apt refuses an index whose time is over.
        let end = if suite.starts_with('.') { OVER } else { "" };
        let release = format!(
            "Origin: Debian\nSuite: stable\nCodename: trixie\nComponents: main\nArchitectures: amd64\n\
             Date: Sat, 06 Sep 2025 09:30:13 UTC\n{end}SHA256:\n {digest} {} \
             main/binary-amd64/Packages\n",
            PACKAGES.len()
        );
        lay(&lab, &format!("{suite}/Release"), &release);
    }
    lay(&lab, "dists/trixie/Release.gpg", "the medium's own\n");
    lay(&lab, "pool/hello.deb", "x");
    lay(&lab, "BaseOS/repodata/repomd.xml", "<repomd/>\n");
    lay(&lab, "BaseOS/repodata/repomd.xml.asc", "the medium's own\n");
    symlink("trixie", lab.path(&format!("{TREE}/dists/stable"))).unwrap();
    symlink(
        "../../../pool",
        lab.path(&format!("{TREE}/.slipway/discs/2/pool")),
    )
    .unwrap();
    record(&lab, "signed");
    lab
}

fn lay(lab: &Lab, name: &str, text: &str) {
    let path = lab.path(TREE).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes what `copycds` leaves in a tree.
fn record(lab: &Lab, trust: &str) {
    let disc =
        |label: &str| format!("[[disc]]\nlabel = \"{label}\"\nfiles = 1\ntrust = \"{trust}\"\n");
    let text = format!(
        "[tree]\ndistro = \"debian13.1.0\"\n\n{}{}",
        disc("DVD 1"),
        disc("DVD 2")
    );
    lay(lab, ".slipway/tree.toml", &text);
    let mut manifest = "# SHA-256 of every file\n# disc DVD 1\n".to_owned();
    for name in [
        "dists/trixie/Release",
        "dists/trixie/Release.gpg",
        "BaseOS/repodata/repomd.xml",
        ".slipway/discs/2/dists/trixie/Release",
    ] {
        manifest += &format!("{}  {name}\n", sha256(lab, &format!("{TREE}/{name}")));
    }
    lay(lab, ".slipway/SHA256SUMS", &manifest);
}

fn sha256(lab: &Lab, name: &str) -> String {
    let printed = other(lab, "sha256sum", &[name]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    printed.stdout[..64].to_owned()
}

fn refused(lab: &Lab, arguments: &[&str]) -> String {
    let ended = trust(lab, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    ended.stderr
}

/// Says whether gpgv verifies a file by the site's key and no other.
fn is_good(lab: &Lab, arguments: &[&str]) -> bool {
    lab.write("trees.asc", &succeed(lab, &["export", "trees"]));
    let words = [
        "--homedir",
        ".",
        "--yes",
        "--output",
        "trees.gpg",
        "--dearmor",
        "trees.asc",
    ];
    assert_eq!(other(lab, "gpg", &words).code, Some(0));
    let fixed = ["--homedir", ".", "--keyring", "./trees.gpg"];
    other(lab, "gpgv", &[&fixed, arguments].concat()).code == Some(0)
}

/// Has apt read the indices of a disc by the site's key alone; returns what it prints.
fn apt(lab: &Lab, directory: &str) -> Ended {
    for made in ["apt/lists/partial", "apt/cache/archives/partial", "apt/etc"] {
        fs::create_dir_all(lab.path(made)).unwrap();
    }
    let source = format!(
        "deb [arch=amd64 signed-by={}] copy:{} trixie main\n",
        lab.path("trees.asc").display(),
        lab.path(directory).display()
    );
    lab.write("apt/etc/sources.list", &source);
    let option = |name: &str, value: &str| format!("-o{name}={}", lab.path(value).display());
    let mut command = Command::new("apt-get");
    command
        .args([
            option("Dir::State::lists", "apt/lists"),
            option("Dir::Cache", "apt/cache"),
            option("Dir::Etc", "apt/etc"),
            "-oAPT::Sandbox::User=root".to_owned(),
            "-oAPT::Architecture=amd64".to_owned(),
            "-oDir::State::status=/dev/null".to_owned(),
            "-oAPT::Update::Error-Mode=any".to_owned(),
            "update".to_owned(),
        ])
        .env("LC_ALL", "C")
        .env_remove("APT_CONFIG");
    ended(&mut command, lab.root())
}

fn verified() {
    let lab = ready();
    let tree = lab.path(TREE);
    assert_eq!(
        succeed(&lab, &["sign-tree", TREE, "--dry-run"]),
        format!("{TREE}: would be signed\n")
    );
    assert!(!lab.path(SIGNED).exists());
    assert_eq!(
        succeed(&lab, &["sign-tree", TREE]),
        format!("{TREE}: signed\n")
    );
    for suite in [
        "dists/trixie",
        "dists/stable",
        ".slipway/discs/2/dists/trixie",
    ] {
        let of = |name: &str| format!("{SIGNED}/{suite}/{name}");
        assert!(is_good(&lab, &[&of("InRelease")]), "{suite}");
        assert!(
            is_good(&lab, &[&of("Release.gpg"), &of("Release")]),
            "{suite}"
        );
        let release = fs::read_to_string(tree.join(suite).join("Release")).unwrap();
        assert_eq!(lab.read(&of("Release")), release.replace(OVER, ""));
    }
    let metadata = format!("{SIGNED}/BaseOS/repodata/repomd.xml");
    assert!(is_good(&lab, &[&format!("{metadata}.asc"), &metadata]));
    assert_eq!(lab.read(&format!("{metadata}.key")), lab.read("trees.asc"));
    for own in ["dists/trixie/Release.gpg", "BaseOS/repodata/repomd.xml.asc"] {
        assert_eq!(lab.read(&format!("{TREE}/{own}")), "the medium's own\n");
    }
    for disc in ["", "/.slipway/discs/2"] {
        let directory = format!("{SIGNED}{disc}");
        assert_eq!(
            lab.read(&format!("{directory}/pool/hello.deb")),
            "x",
            "{disc}"
        );
        let updated = apt(&lab, &directory);
        assert_eq!(
            (updated.code, updated.stderr.as_str()),
            (Some(0), ""),
            "{disc}"
        );
    }
    // The medium's own signature is nobody's whom this key knows.
    assert_ne!(apt(&lab, TREE).code, Some(0));
    let made = lab.path(SIGNED).metadata().unwrap().ino();
    let again: Value =
        serde_json::from_str(&succeed(&lab, &["sign-tree", TREE, "--json"])).unwrap();
    assert_eq!(
        (
            &again["trees"][0]["outcome"],
            &again["trees"][0]["files"][2]
        ),
        (
            &Value::from("unchanged"),
            &Value::from("dists/trixie/Release")
        )
    );
    assert_eq!(lab.path(SIGNED).metadata().unwrap().ino(), made);
    fs::remove_file(lab.path(&format!("{SIGNED}/dists/trixie/InRelease"))).unwrap();
    assert_eq!(
        succeed(&lab, &["sign-tree", TREE]),
        format!("{TREE}: signed\n")
    );
    assert!(is_good(
        &lab,
        &[&format!("{SIGNED}/dists/trixie/InRelease")]
    ));
    let left = fs::read_dir(tree.join(".slipway")).unwrap();
    assert_eq!(
        left.count(),
        4,
        "the record, the manifest, the discs and the signatures"
    );
}

fn unvouched() {
    let lab = ready();
    record(&lab, "unsigned");
    let expected = format!(
        "slipway-trust: signing {TREE}: nobody vouched for 'DVD 1' when it was imported: import it again with its \
         publisher's signed list (copycds --sums) or its digest (--sha256), or sign it all the same: slipway-trust \
         sign-tree --accept-unsigned {TREE}\n"
    );
    assert_eq!(refused(&lab, &["sign-tree", TREE]), expected);
    assert!(!lab.path(SIGNED).exists());
    let done = format!("{TREE}: signed, though nobody vouched for it\n");
    assert_eq!(
        succeed(&lab, &["sign-tree", "--accept-unsigned", TREE]),
        done
    );
    // The word is about this tree, and holds for another key; not for another tree.
    succeed(&lab, &["renew", "trees", "--new-key"]);
    assert_eq!(succeed(&lab, &["sign-tree", TREE]), done);
    lay(&lab, "dists/trixie/Release", "Origin: somebody else\n");
    record(&lab, "unsigned");
    assert_eq!(refused(&lab, &["sign-tree", TREE]), expected);
    record(&lab, "digest");
    assert_eq!(
        succeed(&lab, &["sign-tree", TREE]),
        format!("{TREE}: signed\n")
    );
}

fn foreign() {
    let lab = ready();
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(lab.path(TREE).join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let is_refused = |expected: &str| {
        assert_eq!(
            refused(&lab, &["sign-tree", TREE]),
            format!("slipway-trust: signing {TREE}: {expected}\n")
        );
        assert!(!lab.path(SIGNED).exists());
    };
    let release = lab.read(&format!("{TREE}/dists/trixie/Release"));
    lay(&lab, "dists/trixie/Release", "Origin: somebody else\n");
    is_refused(&format!(
        "dists/trixie/Release is not what was imported: run copycds --verify <lab>/{TREE}, and import its discs again"
    ));
    fs::remove_file(lab.path(&format!("{TREE}/dists/trixie/Release"))).unwrap();
    symlink(
        "/dev/zero",
        lab.path(&format!("{TREE}/dists/trixie/Release")),
    )
    .unwrap();
    is_refused(&format!(
        "<lab>/{TREE}/dists/trixie/Release is no regular file"
    ));
    fs::remove_file(lab.path(&format!("{TREE}/dists/trixie/Release"))).unwrap();
    lay(&lab, "dists/trixie/Release", &release);
    mode(".slipway", 0o777);
    is_refused(&format!(
        "<lab>/{TREE}/.slipway can be written to by others (mode 0777), and what is signed here nodes install: chmod \
         go-w it"
    ));
    mode(".slipway", 0o755);
    for name in ["tree.toml", "SHA256SUMS"] {
        mode(&format!(".slipway/{name}"), 0o664);
        is_refused(&format!(
            "<lab>/{TREE}/.slipway/{name} can be written to by others (mode 0664), and what is signed here nodes install: \
             chmod go-w it"
        ));
        mode(&format!(".slipway/{name}"), 0o644);
    }
    lay(
        &lab,
        ".slipway/tree.toml",
        "[tree]\ndistro = \"debian13.1.0\"\n",
    );
    is_refused(&format!(
        "<lab>/{TREE}/.slipway/tree.toml names no disc, so that nobody vouched for one: import the medium again"
    ));
    let elsewhere = lab.path("elsewhere");
    fs::rename(lab.path(&format!("{TREE}/.slipway")), &elsewhere).unwrap();
    is_refused(&format!(
        "<lab>/{TREE}/.slipway/tree.toml is not there, which copycds leaves in what it imports: nothing else is signed"
    ));
    symlink(&elsewhere, lab.path(&format!("{TREE}/.slipway"))).unwrap();
    is_refused(&format!("<lab>/{TREE}/.slipway is no directory"));
    assert!(!elsewhere.join("signed").exists());
}

fn keys() {
    let lab = ready();
    let secret = lab.path("config/trust/trees.key");
    assert_eq!(
        secret.metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );
    fs::remove_file(&secret).unwrap();
    let advice = |name: &str| {
        format!(
            "slipway-trust: signing {TREE}: the key of trees is missing: <lab>/config/trust/{name}: put it back from \
             your copy, or run slipway-trust renew trees\n"
        )
    };
    assert_eq!(refused(&lab, &["sign-tree", TREE]), advice("trees.key"));
    fs::remove_file(lab.path("config/trust/trees.asc")).unwrap();
    assert_eq!(refused(&lab, &["sign-tree", TREE]), advice("trees.asc"));
    assert_eq!(
        succeed(&lab, &["renew", "trees", "--dry-run"]),
        "trees: would be made\n"
    );
    assert!(!secret.exists());
    assert_eq!(succeed(&lab, &["renew", "trees"]), "trees: made\n");
    assert_eq!(
        succeed(&lab, &["renew", "trees"]),
        "trees: there is a key, which has no end: --new-key makes another\n"
    );
    succeed(&lab, &["sign-tree", TREE]);
    let old = lab.read(&format!("{SIGNED}/dists/trixie/InRelease"));
    fs::create_dir_all(lab.path(&format!("{TREE}/.slipway/.signed-killed/x"))).unwrap();
    assert_eq!(
        succeed(&lab, &["renew", "trees", "--new-key"]),
        "trees: made\n"
    );
    assert_eq!(
        succeed(&lab, &["sign-tree", TREE]),
        format!("{TREE}: signed\n")
    );
    assert!(is_good(
        &lab,
        &[&format!("{SIGNED}/dists/trixie/InRelease")]
    ));
    lab.write("old", &old);
    assert!(!is_good(&lab, &["old"]));
    assert!(!Path::new(&lab.path(&format!("{TREE}/.slipway/.signed-killed"))).exists());
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_dir_all(lab.path(SIGNED)).unwrap();
    assert_eq!(
        refused(&lab, &["sign-tree", TREE]),
        format!(
            "slipway-trust: signing {TREE}: <lab>/config/trust/trees.key can be read by others (mode 0640): chmod 600 it \
             if nobody has, else make a new key\n"
        )
    );
}
