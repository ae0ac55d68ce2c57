//! What slipwayd serves of the install directory, and to whom.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::lab::daemon::{Daemon, curl, site};

pub(super) fn files() {
    let lab = site("");
    let content: String = (0..100_000).map(|n| format!("{n:07}\n")).collect();
    lab.write("install/file", &content);
    lab.write("install/a b+c", "plain");
    lab.write("install/empty", "");
    let daemon = Daemon::start(&lab);
    let url = daemon.url("/install/file");
    let get = |arguments: &[&str]| curl(&lab, &[arguments, &[&url]].concat());
    assert_eq!(get(&[]), ("200".to_owned(), content.clone()));
    for (range, status, expected) in [
        ("0-7", "206", &content[..8]),
        ("799992-", "206", &content[799_992..]),
        ("-8", "206", &content[799_992..]),
        ("300000-500000", "206", &content[300_000..=500_000]),
        ("0-1,4-5", "200", &content),
        ("800000-", "416", ""),
    ] {
        assert_eq!(
            get(&["--range", range]),
            (status.to_owned(), expected.to_owned()),
            "{range}"
        );
    }
    let head = get(&["--head"]).1;
    let head = head.replace("ETag", "etag");
    for field in [
        "content-length: 800000",
        "accept-ranges: bytes",
        "content-type: application/octet-stream",
    ] {
        assert!(head.contains(field), "{head}");
    }
    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .trim()
        .to_owned();
    assert_eq!(
        get(&["--header", &format!("If-None-Match: {tag}")]),
        ("304".to_owned(), String::new())
    );
    assert_eq!(
        get(&["--range", "0-7", "--header", &format!("If-Range: {tag}")]).0,
        "206"
    );
    let date = head
        .lines()
        .find_map(|line| line.strip_prefix("last-modified: "));
    let date = date.unwrap().trim();
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    for (field, status) in [
        (format!("If-None-Match: \"other\", W/{tag}"), "304"),
        ("If-None-Match: *".to_owned(), "304"),
        ("If-None-Match: \"other\"".to_owned(), "200"),
        (format!("If-Modified-Since: {date}"), "304"),
        (format!("If-Modified-Since: {past}"), "200"),
        ("If-Modified-Since: yesterday".to_owned(), "200"),
    ] {
        assert_eq!(get(&["--header", &field]).0, status, "{field}");
    }
    // A tag goes before a date.
    let (other, since) = (
        "If-None-Match: \"other\"",
        format!("If-Modified-Since: {date}"),
    );
    assert_eq!(get(&["--header", other, "--header", &since]).0, "200");
    for (begun, status) in [(date, "206"), (past, "200")] {
        let begun = format!("If-Range: {begun}");
        assert_eq!(
            get(&["--range", "0-7", "--header", &begun]).0,
            status,
            "{begun}"
        );
    }
    // Another version: the whole of it, and not a part that does not go with what is there already.
    assert_eq!(
        get(&["--range", "0-7", "--header", "If-Range: \"other\""]).0,
        "200"
    );
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/a%20b%2Bc")]),
        ("200".to_owned(), "plain".to_owned())
    );
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/empty")]),
        ("200".to_owned(), String::new())
    );
    for (arguments, status) in [
        (&["--data", "x"][..], "405"),
        (&["--request", "DELETE"], "405"),
    ] {
        assert_eq!(get(arguments).0, status);
    }
    for path in ["/", "/install", "/install/none", "/etc/passwd", "/v1"] {
        assert_eq!(curl(&lab, &[&daemon.url(path)]).0, "404", "{path}");
    }
}

pub(super) fn restricted() {
    let lab = site("[node.n1]\nip = \"127.0.0.2\"\n[node.n2]\nip = \"127.0.0.3\"\n");
    for node in ["n1", "n2"] {
        fs::create_dir_all(lab.path(&format!("install/autoinst/{node}"))).unwrap();
        for (file, mode) in [("boot.cpio.gz", 0o640), ("boot.ipxe", 0o644)] {
            let file = format!("install/autoinst/{node}/{file}");
            lab.write(&file, node);
            fs::set_permissions(lab.path(&file), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    lab.write("install/alone", "alone");
    fs::set_permissions(lab.path("install/alone"), fs::Permissions::from_mode(0o600)).unwrap();
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, lab.path(at)).unwrap();
    link("autoinst", "install/nodes");
    let daemon = Daemon::start(&lab);
    let get = |from: &str, path: &str| {
        let url = daemon.url(&format!("/install/{path}"));
        curl(&lab, &["--interface", from, "--path-as-is", &url]).0
    };
    for (from, path, status) in [
        ("127.0.0.2", "autoinst/n1/boot.cpio.gz", "200"),
        ("127.0.0.2", "autoinst/n2/boot.cpio.gz", "403"),
        ("127.0.0.3", "autoinst/n2/boot.cpio.gz", "200"),
        ("127.0.0.9", "autoinst/n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "nodes/n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "autoinst//n1/boot.cpio.gz", "403"),
        ("127.0.0.9", "autoinst/%6e1/boot.cpio.gz", "403"),
        ("127.0.0.2", "alone", "403"),
        ("127.0.0.9", "autoinst/n1/boot.ipxe", "200"),
    ] {
        assert_eq!(get(from, path), status, "{path} from {from}");
    }
}

pub(super) fn paths() {
    let lab = site("");
    lab.write("secret", "secret");
    fs::create_dir_all(lab.path("install/tree/dists/trixie")).unwrap();
    lab.write("install/tree/dists/trixie/Release", "Suite: trixie");
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, lab.path(at)).unwrap();
    link("trixie", "install/tree/dists/stable");
    link("../secret", "install/out");
    link("..", "install/up");
    link("/etc/passwd", "install/absolute");
    link(
        &lab.path("install/tree").display().to_string(),
        "install/inside-by-an-absolute-path",
    );
    link("loop", "install/loop");
    link("/proc/self/root/etc/passwd", "install/magic");
    nix::unistd::mkfifo(
        &lab.path("install/pipe"),
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    let daemon = Daemon::start(&lab);
    // A link that stays within is part of a tree.
    assert_eq!(
        curl(&lab, &[&daemon.url("/install/tree/dists/stable/Release")]),
        ("200".to_owned(), "Suite: trixie".to_owned())
    );
    for path in [
        "/install/../secret",
        "/install/%2e%2e/secret",
        "/install/..%2fsecret",
        "/install/tree/../../secret",
        "/install/./tree/dists/trixie/Release",
        "/install//etc/passwd",
        "/install/%2fetc/passwd",
        "/install/%00",
        "/install/out",
        "/install/up/secret",
        "/install/absolute",
        "/install/inside-by-an-absolute-path/dists/trixie/Release",
        "/install/loop",
        "/install/magic",
        "/install/pipe",
        "/install/tree",
        "/install/tree/",
        "/install/tree/dists/trixie/Release/",
    ] {
        let (status, body) = curl(&lab, &["--path-as-is", &daemon.url(path)]);
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("404", "404 Not Found\n"),
            "{path}"
        );
    }
}
