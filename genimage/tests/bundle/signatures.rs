//! Who vouches for a bundle and for the root image in it: real signatures, made and verified by gpg.

use std::fs;
use std::path::{Path, PathBuf};

use definitions::hex;
use sha2::{Digest, Sha256};

use crate::site::{IMAGE, Site};
use crate::{Entry, edit, entries, write};

/// What is said of a bundle that nobody vouches for.
pub(crate) fn nobody(path: &str, why: &str) -> String {
    format!(
        "imgimport: reading {path}: {why}, so that nobody vouches for what nodes would run: give the key of the site that \
         it is from (--key FILE, of slipway-trust export trees there) or the digest that imgexport printed (--sha256), or \
         take it in all the same (--accept-unsigned)\n"
    )
}

/// A site with a key, whose root image it has signed as `packimage` does, by way of a bundle.
fn signed_site() -> (Site, PathBuf) {
    let (packed, here) = (Site::with_image(), Site::new().with_key("ours"));
    let bundle = packed.export("packed.slipway");
    let ran = here.run(
        "imgimport",
        &[bundle.to_str().unwrap(), "--accept-unsigned"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = here.run("imgexport", &[IMAGE, "hosts.slipway"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let begin = format!("{IMAGE}: exported and signed: hosts.slipway, 8 files, ");
    assert!(ran.out.starts_with(&begin), "{ran:?}");
    let bundle = here.path("hosts.slipway");
    (here, bundle)
}

#[test]
fn a_bundle_is_believed_by_the_key_of_the_site_or_the_one_that_is_named_and_no_other() {
    let (here, bundle) = signed_site();
    let path = bundle.to_str().unwrap();
    let imported = |by: &str| {
        format!("{IMAGE}: can be imported: its definition and 3 files, with its root image{by}\n")
    };
    let own = here.run("imgimport", &[path, "--dry-run", "-f", "hosts-2"]);
    let beside = imported(", signed by ours").replace("dockerhost", "hosts-2");
    assert_eq!(own.out, beside, "{own:?}");
    // Elsewhere the key is known when it is named, whatever other the site has.
    let there = Site::new().with_key("theirs");
    let key = here.path("config/trust/trees.asc");
    let key = key.to_str().unwrap();
    let named = there.run("imgimport", &[path, "--dry-run", "--key", key]);
    assert_eq!(named.out, imported(", signed by ours"), "{named:?}");
    let own = there.path("config/trust/trees.asc");
    let before = there.files();
    let signature = String::from_utf8(entries(&bundle)[1].2.clone()).unwrap();
    let id = key_of(&signature);
    let unknown = format!("it is signed by {id}, which is no key that is known here");
    let ran = there.run("imgimport", &[path]);
    assert_eq!((ran.code, ran.err), (Some(1), nobody(path, &unknown)));
    let ran = there.run("imgimport", &[path, "--key", own.to_str().unwrap()]);
    assert_eq!(
        (ran.code, ran.err),
        (
            Some(1),
            format!(
                "imgimport: reading {path}: {unknown}: the key that --key names must have signed it\n"
            )
        )
    );
    assert_eq!(there.files(), before);
    let accepted = there.run(
        "imgimport",
        &[path, "--dry-run", "--accept-unsigned", "--json"],
    );
    let json: serde_json::Value = serde_json::from_str(&accepted.out).unwrap();
    assert_eq!(
        (&json["vouched_by"], &json["signer"]),
        (&"nobody".into(), &serde_json::Value::Null)
    );
    // The image is signed by the key of the site that took it in.
    let ran = there.run("imgimport", &[path, "--key", key]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = there.run("imgexport", &[IMAGE]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Returns the fingerprint that a signature names, as gpg prints it.
fn key_of(signature: &str) -> String {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("signature");
    fs::write(&path, signature).unwrap();
    let words = ["--homedir", work.path().to_str().unwrap(), "--list-packets"];
    let mut gpg = std::process::Command::new("gpg");
    let listed = gpg.args(words).arg(&path).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let (_, rest) = listed.split_once("issuer fpr v4 ").unwrap();
    rest.split(')').next().unwrap().to_owned()
}

#[test]
fn a_bundle_that_was_changed_after_it_was_signed_is_refused_whatever_is_accepted() {
    let (here, bundle) = signed_site();
    let refused = |change: &dyn Fn(&mut Vec<Entry>), words: &[&str], expected: &str| {
        let mut all = entries(&bundle);
        change(&mut all);
        let changed = here.path("changed.slipway");
        write(&changed, &all);
        let before = here.files();
        let path = changed.to_str().unwrap();
        let ran = here.run("imgimport", &[&[path], words].concat());
        let expected = if expected == "nobody" {
            nobody(path, "it is not signed")
        } else {
            format!("imgimport: reading {path}: {expected}\n")
        };
        assert_eq!((ran.code, ran.err), (Some(1), expected));
        assert_eq!(here.files(), before);
    };
    let bad = |who: &str| {
        format!(
            "its signature is bad: it is not what {who} signed; have it exported again, and take in nothing of it"
        )
    };
    let change = |all: &mut Vec<Entry>| edit(&mut all[0], "dockerhost", "dockerhosT");
    refused(&change, &["-n", "mine"], &bad("ours"));
    refused(&change, &["--accept-unsigned"], &bad("ours"));
    let image = String::from_utf8(entries(&bundle)[5].1.clone()).unwrap();
    refused(
        &|all| all[5].2[0] = b'T',
        &[],
        &format!(
            "the member {image}: it was changed: its SHA-256 is {}, and should be {}",
            hex(&Sha256::digest("The image")),
            hex(&Sha256::digest("the image"))
        ),
    );
    refused(&|all| drop(all.remove(1)), &[], "nobody");
    refused(
        &|all| all[1].2 = b"none\n".to_vec(),
        &["--accept-unsigned"],
        &bad("nobody: it holds no signature"),
    );
    // A second signature is no member.
    refused(
        &|all| all.insert(2, all[1].clone()),
        &["-n", "mine"],
        &format!(
            "it has 'manifest.json.asc' where its manifest names {}",
            String::from_utf8(entries(&bundle)[2].1.clone()).unwrap()
        ),
    );
}

#[test]
fn nodes_and_bundles_get_no_root_image_that_the_site_s_key_did_not_sign() {
    let (here, _) = signed_site();
    let images = here.install("netboot/debian12.9.0/x86_64/dockerhost");
    fs::create_dir_all(here.install("debian12.9.0/x86_64")).unwrap();
    let record = images.join("rootimg.json");
    let text = fs::read_to_string(&record).unwrap();
    let refused = |expected: &str| {
        let ran = here.run("imgexport", &[IMAGE, "other.slipway"]);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (Some(1), format!("imgexport: {expected}\n").as_str())
        );
        let image = format!("osimage={IMAGE}");
        let ran = here.run("nodeset", &["host01", &image]);
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.err.contains(&format!("nodeset: {IMAGE}: {expected}\n")),
            "{ran:?}"
        );
    };
    let not = format!(
        "{} is not what the site signed: packimage {IMAGE} packs it again and signs it: ",
        record.display()
    );
    // Another record has a signature of another name, which is not there.
    fs::write(&record, text.replace("6.1.0-28", "6.1.0-29")).unwrap();
    let changed = signature(&images, &fs::read_to_string(&record).unwrap());
    refused(&format!(
        "{not}reading {}: No such file or directory (os error 2)",
        changed.display()
    ));
    // Nor is one of another record of any use.
    fs::copy(signature(&images, &text), &changed).unwrap();
    refused(&format!("{not}it is not what ours signed"));
    fs::write(&record, &text).unwrap();
    let ran = here.run("imgexport", &[IMAGE, "again.slipway"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A kernel of the same size is one that nobody signed.
    let kernel = fs::read_dir(&images)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut kernel = kernel.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("kernel.")
    });
    let kernel = kernel.next().unwrap();
    fs::write(&kernel, "The kernel").unwrap();
    let digest = |text: &str| hex(&Sha256::digest(text));
    refused(&format!(
        "{} was changed: its SHA-256 is {}, and should be {}: remove it, and run packimage again",
        kernel.display(),
        digest("The kernel"),
        digest("the kernel")
    ));
}

fn signature(images: &Path, record: &str) -> PathBuf {
    let digest = hex(&Sha256::digest(record));
    images.join(format!("rootimg.{}.asc", &digest[..16]))
}
