//! What vouches for a published tree afterwards: its manifest, and the site.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::site::{Ran, Site, text};

pub(super) fn verify() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let tree = site.tree();
    let name = tree.display();
    // genimage's, which is no part of what was published
    fs::write(tree.join(".slipway/initrd.json"), "{}").unwrap();
    let stdout = site.done(&["--verify", text(&tree)]);
    assert_eq!(
        stdout,
        format!("{name}: all 23 files are as they were published\n")
    );
    fs::write(tree.join("install.amd/vmlinuz"), "another kernel").unwrap();
    fs::write(tree.join("new"), "new").unwrap();
    fs::remove_file(tree.join("md5sum.txt")).unwrap();
    let ran = site.run(&["--verify", text(&tree)]);
    assert_eq!(ran.code(), 1);
    assert_eq!(
        ran.stdout(),
        format!(
            "changed: install.amd/vmlinuz\nmissing: md5sum.txt\nadded: new\n{name}: of 23 files 1 \
             changed and 1 are missing, and 1 were added; import the disc again\n"
        )
    );
}

/// A program in the place of `slipway-trust`, beside a `copycds` of its own: it signs by a file, and refuses what is
/// unsigned unless it is accepted.
pub(super) fn signed_by_site() {
    let site = Site::new();
    let bin = site.bench.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_copycds"), bin.join("copycds")).unwrap();
    let program = bin.join("slipway-trust");
    fs::write(
        &program,
        "#!/bin/sh\necho \"$*\" >>\"${0%/*}/asked\"\ncase $* in *--accept-unsigned*) ;; *) echo 'slipway-trust: signing: \
         nobody vouched' >&2; exit 1 ;; esac\nmkdir -p \"$4/.slipway/signed/dists\"\n: \
         >\"$4/.slipway/signed/signature.json\"\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let iso = site.bench.mini_debian("m.iso", false);
    let (tree, config) = (site.tree(), site.bench.path().join("config"));
    let asked = || fs::read_to_string(bin.join("asked")).unwrap_or_default();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(bin.join("copycds"));
        command.arg("--config").arg(&config).args(arguments);
        let ran = Ran(command.stdin(Stdio::null()).output().unwrap());
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    // A site without an authority.
    let note = "the site does not sign this tree: signing: nobody vouched";
    assert!(!run(&[text(&iso)]).contains("does not sign"));
    assert_eq!(asked(), "");
    fs::create_dir(config.join("trust")).unwrap();
    run(&["--dry-run", text(&iso)]);
    run(&["-w", text(&iso)]);
    assert_eq!(asked(), "");
    let stderr = run(&[text(&iso)]);
    assert!(stderr.contains(note), "{stderr}");
    let words = format!("--config {} sign-tree {}", config.display(), tree.display());
    assert_eq!(asked(), format!("{words}\n"));
    let stderr = run(&["--accept-unsigned", text(&iso)]);
    assert!(!stderr.contains("does not sign"), "{stderr}");
    assert_eq!(asked(), format!("{words}\n{words} --accept-unsigned\n"));
    // The signatures are no part of what was published, and none of another tree's.
    let signature = tree.join(".slipway/signed/signature.json");
    assert!(signature.is_file());
    fs::create_dir(tree.join(".slipway/.signed-killed")).unwrap();
    fs::write(tree.join(".slipway/.signed-killed/x"), "").unwrap();
    run(&["--verify", text(&tree)]);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let again = site.bench.mini_debian_of("again.iso", false, "again");
    run(&["--accept-unsigned", text(&again)]);
    assert!(!tree.join(".slipway/signed").exists());
}
