//! Lists beside an image and lists that are given, without signatures.

use std::fs;

use super::*;
use crate::digest::Algorithm;

fn keys() -> Keys {
    Keys::default()
}

fn find(image: &Path) -> Option<ImageDigests> {
    ImageDigests::find(
        image,
        DigestOptions::default(),
        &keys(),
        UnverifiedPolicy::Refuse,
    )
    .unwrap()
    .0
}

#[test]
fn the_usual_lists_beside_an_image_are_found_and_others_are_not() {
    let hex = Digest::of(Algorithm::Sha256, b"image");
    let md5 = Digest::of(Algorithm::Md5, b"image");
    for (name, text, found) in [
        ("a.iso.sha256", format!("{hex}\n"), true),
        ("a.sha256", format!("{hex}\n"), true),
        ("A.iso.SHA512SUM", format!("{hex}  a.iso\n"), true),
        (
            "SHA384SUMS",
            format!("{}  a.iso\n", Digest::of(Algorithm::Sha384, b"image")),
            true,
        ),
        ("sha256sums.txt", format!("{hex}\ta.iso\n"), true),
        ("SHA256SUM", format!("{hex}  a.iso\n"), true),
        ("b.sha256", format!("{hex}\n"), false),
        ("notes.txt", format!("{hex}  a.iso\n"), false),
        ("SHA256SUMS", format!("{hex}\n"), false),
        ("SHA256SUMS", format!("{hex}  a.iso\n"), true),
        (
            "SHA256SUMS",
            format!("{hex} *./a.iso\nno line of a list\n"),
            true,
        ),
        ("a.iso.sha256", format!("{hex}  a.iso\n"), true),
        ("a.iso.sha256", format!("SHA2-256(a.iso)= {hex}\n"), true),
        (
            "Server-42-x86_64-CHECKSUM",
            format!("# a.iso: 5 bytes\nSHA256 (a.iso) = {hex}\n"),
            true,
        ),
        ("SHA256SUMS", format!("{hex}  b.iso\n"), false),
        ("b.iso.sha256", format!("{hex}  a.iso\n"), false),
        ("sha256sum.txt", format!("{md5}  a.iso\n"), false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.iso");
        fs::write(&image, "image").unwrap();
        fs::write(dir.path().join(name), &text).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("a.iso", &link).unwrap();
        for path in [&image, &link] {
            let digests = find(path);
            assert_eq!(digests.is_some(), found, "{name}: {text}");
            if let Some(digests) = digests {
                assert!(!digests.is_vouched(), "nobody signed it");
                digests
                    .check(&File::open(&image).unwrap(), || true)
                    .unwrap();
            }
        }
    }
}

#[test]
fn an_image_that_differs_from_any_statement_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.iso");
    fs::write(&image, "image").unwrap();
    let [right, wrong] = [&b"image"[..], b"other"].map(|text| Digest::of(Algorithm::Sha256, text));
    let file = File::open(&image).unwrap();
    let check = |sha256| {
        let options = DigestOptions {
            sha256: Some(sha256),
            sums: None,
        };
        let digests = ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse);
        let digests = digests.unwrap().0.unwrap();
        assert!(digests.is_vouched(), "the user says so");
        digests.check(&file, || true)
    };
    check(&right).unwrap();
    assert_eq!(
        check(&wrong).unwrap_err().to_string(),
        format!(
            "the image's SHA-256 is {right}, but --sha256 says {wrong}: it is damaged, or another image; \
             fetch it again"
        )
    );
    fs::write(
        dir.path().join("SHA256SUMS"),
        format!("{right}  a.iso\n{wrong}  a.iso\n"),
    )
    .unwrap();
    assert!(
        find(&image).unwrap().check(&file, || true).is_err(),
        "both lines count"
    );
}

#[test]
fn a_list_that_is_given_has_to_name_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    fs::write(&list, "nothing\n").unwrap();
    let options = DigestOptions {
        sha256: None,
        sums: Some(&list),
    };
    let error = ImageDigests::find(
        Path::new("/x/a.iso"),
        options,
        &keys(),
        UnverifiedPolicy::Refuse,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} has no digest of a.iso: give its publisher's list of SHA-256, SHA-384 or SHA-512",
            list.display()
        )
    );
}

#[test]
fn a_list_that_names_the_image_and_cannot_be_read_there_is_refused() {
    let hex = Digest::of(Algorithm::Sha256, b"image").to_string();
    let short = &hex[1..];
    for (name, text, line) in [
        ("SHA256SUMS", format!("{hex}  b.iso\n{short}  a.iso\n"), 2),
        ("SHA256SUMS", format!("sum: {hex} *./a.iso\n"), 1),
        ("SHA256SUMS", format!("a.iso  {hex}\n"), 1),
        (
            "CHECKSUM",
            format!("# a.iso: 5 bytes\nSHA256 (a.iso) = {short}\n"),
            2,
        ),
        ("CHECKSUM", format!("SHA512 (a.iso) = {hex}\n"), 1),
        ("a.iso.sha256", format!("SHA256(a.iso)= {short}\n"), 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (image, list) = (dir.path().join("a.iso"), dir.path().join(name));
        fs::write(&image, "image").unwrap();
        fs::write(&list, &text).unwrap();
        let error = |sums| {
            let options = DigestOptions { sha256: None, sums };
            let found = ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse);
            found.unwrap_err().to_string()
        };
        let why = format!("names a.iso in line {line}, and no digest can be read there");
        let shown = list.display();
        assert_eq!(
            error(None),
            format!("{shown}, beside it, {why}: fetch the list again, or move it away"),
            "{text}"
        );
        assert_eq!(
            error(Some(&list)),
            format!("{shown} {why}: give its publisher's list of SHA-256, SHA-384 or SHA-512")
        );
    }
}

#[test]
fn a_list_beside_the_image_that_says_nothing_of_it_is_noted_once() {
    let hex = Digest::of(Algorithm::Sha256, b"image");
    for text in [
        String::new(),
        format!("{hex}  A.ISO\n"),
        format!("{hex}  a.iso.part\n"),
    ] {
        // A relative path and the absolute one of the same directory.
        let dir = tempfile::tempdir_in(".").unwrap();
        let name = Path::new(dir.path().file_name().unwrap());
        let image = name.join("a.iso");
        fs::write(&image, "image").unwrap();
        fs::write(name.join("SHA256SUMS"), &text).unwrap();
        let options = DigestOptions::default();
        let found = ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse);
        let (found, notes) = found.unwrap();
        assert_eq!((found, notes.len()), (None, 1), "{text}{notes:?}");
        assert!(notes[0].ends_with("SHA256SUMS is beside it and does not name a.iso"));
    }
}

#[test]
fn a_list_whose_digests_do_not_count_is_named_as_what_it_is() {
    let md5 = Digest::of(Algorithm::Md5, b"image");
    let sha1 = Digest::of(Algorithm::Sha1, b"image");
    // As long as a SHA-512 and a SHA-256.
    let (long, short) = ("0".repeat(128), "0".repeat(64));
    for (name, text, why) in [
        (
            "MD5SUMS",
            format!("{md5}  a.iso\n"),
            "has only the MD5 of a.iso, which can be forged",
        ),
        (
            "a.iso.sha1",
            format!("{sha1}\n"),
            "has only the SHA-1 of a.iso, which can be forged",
        ),
        (
            "b2sums.txt",
            format!("{long}  a.iso\n"),
            "has BLAKE2 digests, which copycds does not compute",
        ),
        (
            "a.iso.b2",
            format!("{long}\n"),
            "has BLAKE2 digests, which copycds does not compute",
        ),
        (
            "a.iso.sm3sum",
            format!("{short}  a.iso\n"),
            "has SM3 digests, which copycds does not compute",
        ),
        (
            "CHECKSUM",
            format!("BLAKE2b (a.iso) = {long}\n"),
            "has BLAKE2b digests, which copycds does not compute",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a.iso");
        let list = dir.path().join(name);
        fs::write(&image, "image").unwrap();
        fs::write(&list, text).unwrap();
        let find = |sums| {
            let options = DigestOptions { sha256: None, sums };
            ImageDigests::find(&image, options, &keys(), UnverifiedPolicy::Refuse)
        };
        let shown = list.display();
        let note = format!("{shown}, beside it, {why}: it is not read");
        assert_eq!(find(None).unwrap(), (None, vec![note]));
        assert_eq!(
            find(Some(&list)).unwrap_err().to_string(),
            format!("{shown} {why}: give its publisher's list of SHA-256, SHA-384 or SHA-512")
        );
    }
}
