//! What is shown of a medium: its evidence, as text and as JSON; and the usage.

use std::fs;

use serde_json::Value;

use crate::site::{RELEASE, Site, snapshot, text};

pub(super) fn inspection() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&["-i", text(&iso)]);
    let head = format!(
        "OS Image:{}\nDISTNAME:{RELEASE}\nARCH:x86_64\n",
        iso.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    assert!(
        stdout.contains("\n  .disk/info says 'Debian GNU/Linux 12.9.0 \"Bookworm\""),
        "{stdout}"
    );
    assert_eq!(snapshot(site.bench.path()), before);
}

pub(super) fn no_arch() {
    let site = Site::new();
    let tree = site.bench.path().join("t");
    site.bench.lay(&tree, &[("isolinux/vmlinuz", "kernel")]);
    let iso = site
        .bench
        .image(&tree, "c.iso", &["-V", "CentOS_6.5_Final"]);
    let stdout = site.done(&["-i", text(&iso)]);
    let head = format!(
        "OS Image:{}\nDISTNAME:centos6.5\n  volume id says",
        iso.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    let error = site.refused(&[text(&iso)]);
    assert!(
        error.ends_with("; give it with -a, as in -a x86_64"),
        "{error}"
    );
}

pub(super) fn json() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let document = |arguments: &[&str]| -> Value {
        let document: Value = serde_json::from_str(&site.done(arguments)).unwrap();
        document["media"][0].clone()
    };
    let inspected = document(&["-i", "--json", text(&iso)]);
    assert_eq!(inspected["medium"], text(&iso));
    assert_eq!(inspected["distro"], RELEASE);
    assert_eq!(inspected["evidence"][0]["source"], ".disk/info");
    assert!(inspected.get("tree").is_none());
    let copied = document(&["--json", text(&iso)]);
    assert_eq!(copied["action"], "copied");
    assert_eq!(copied["tree"], text(&site.tree()));
    assert_eq!(
        copied["verified"]["by"][0]["how"],
        "SHA-256 of Release → Packages"
    );
    assert_eq!(copied["verified"]["by"][0]["signed_by"], Value::Null);
    assert_eq!(copied["osimages"][3]["change"], "created");
    let again = document(&["--json", text(&iso)]);
    assert_eq!(again["action"], "unchanged");
    assert!(again.get("verified").is_none());
    assert_eq!(again["osimages"][3]["change"], "unchanged");
    assert_eq!(document(&["--json", "-w", text(&iso)])["action"], "skipped");
    let tree = site.tree();
    let verified: Value =
        serde_json::from_str(&site.done(&["--json", "--verify", text(&tree)])).unwrap();
    assert_eq!(verified["intact"], true);
    // Every key is documented.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/copycds-json.md");
    let page = fs::read_to_string(page).unwrap();
    for object in [
        &inspected,
        &copied,
        &copied["verified"],
        &copied["verified"]["by"][0],
        &copied["osimages"][0],
        &copied["evidence"][0],
        &verified,
    ] {
        for key in object.as_object().unwrap().keys() {
            assert!(
                page.contains(&format!("`{key}`")),
                "docs/copycds-json.md does not explain {key}"
            );
        }
    }
}

pub(super) fn usage() {
    let site = Site::new();
    for arguments in [&[][..], &["--no-such-option", "x"], &["-n", "../x", "x"]] {
        assert_eq!(site.run(arguments).code(), 2, "{arguments:?}");
    }
    let help = site.done(&["--help"]);
    for word in ["--nonoverwrite", "--dry-run", "Examples:", "Exit status:"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(!help.contains("no-hash"));
}
