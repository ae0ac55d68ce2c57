//! Runs other people's tools.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program in `dir`, which must succeed within two minutes.
pub(crate) fn run<A: AsRef<OsStr>>(dir: &Path, program: &str, args: impl IntoIterator<Item = A>) {
    let output = Command::new("timeout")
        .args(["120", program])
        .args(args)
        .current_dir(dir)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes an image of `tree` by genisoimage with these options.
pub(crate) fn genisoimage(tree: &Path, options: &str) -> PathBuf {
    let image = tree.with_extension("iso");
    let mut args: Vec<&OsStr> = vec!["-quiet".as_ref(), "-o".as_ref(), image.as_ref()];
    args.extend(options.split_whitespace().map(OsStr::new));
    args.push(tree.as_ref());
    run(tree.parent().unwrap(), "genisoimage", args);
    image
}

/// Makes an image of `tree` by xorriso, which understands much the same options.
pub(crate) fn xorriso(tree: &Path, options: &str) -> PathBuf {
    let image = tree.with_extension("iso");
    let mut args: Vec<&OsStr> = ["-as", "mkisofs", "-quiet", "-o"].map(OsStr::new).into();
    args.push(image.as_ref());
    args.extend(options.split_whitespace().map(OsStr::new));
    args.push(tree.as_ref());
    run(tree.parent().unwrap(), "xorriso", args);
    image
}

/// Takes an image apart by another reader; returns the directory.
pub(crate) fn unpack(reader: &str, image: &Path, place: &Path) -> PathBuf {
    let out = place.join(reader);
    fs::create_dir(&out).unwrap();
    let (image, to) = (image.to_str().unwrap(), out.to_str().unwrap());
    match reader {
        "xorriso" => {
            let args = ["-osirrox", "on", "-indev", image, "-extract", "/", to];
            run(place, "xorriso", args);
        }
        "bsdtar" => run(place, "bsdtar", ["-xpf", image, "-C", to]),
        "7z" => run(place, "7z", ["x", "-bd", "-y", &format!("-o{to}"), image]),
        other => unreachable!("{other}"),
    }
    out
}
