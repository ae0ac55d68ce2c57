//! Keys that are handed on.

use proptest::prelude::*;

use super::{KEY, Scene};
use crate::repository::{Extra, Repository, extra, key};
use definitions::RepositoryFormat;

#[test]
fn a_key_beneath_the_install_directory_is_served_from_there() {
    let scene = Scene::new("rocky9.4", &["keys/ours.asc"]);
    let own = scene.directory.path().display().to_string();
    let entries = [format!("[gpgkey={own}/keys/ours.asc] https://h/r")];
    let with = Extra {
        attribute: "otherpkgdir",
        stem: "extra",
        served: scene.served(),
        codename: None,
        directories: &[],
        read: &|_| Ok(KEY.into()),
    };
    let repositories = extra(&entries, &with).unwrap();
    assert_eq!(
        repositories[0].file(),
        "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\ngpgcheck=1\n\
         gpgkey=http://10.1.0.1/install/keys/ours.asc\n"
    );
}

#[test]
fn only_public_keys_are_handed_on() {
    let body: String = KEY.lines().skip(2).take(5).collect();
    let binary = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    assert_eq!(key::armoured(KEY.as_bytes()).as_deref(), Ok(KEY));
    assert_eq!(key::armoured(&binary).as_deref(), Ok(KEY));
    let commented = KEY.replace("BLOCK-----\n\nmDME", "BLOCK-----\nComment: x\r\n\r\nmDME");
    let commented = format!("My key:\n{commented}");
    assert_eq!(key::armoured(commented.as_bytes()).as_deref(), Ok(KEY));
    let two = format!("{KEY}{KEY}");
    let both = [binary.clone(), binary.clone()].concat();
    assert_eq!(key::armoured(two.as_bytes()), key::armoured(&both));

    let secret = "holds a secret key, which must not leave its owner: export the public one";
    let with = |packet: &[u8]| [binary.as_slice(), packet].concat();
    let private =
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx==\n-----END PGP PRIVATE KEY BLOCK-----\n";
    let signature = KEY.replace("PUBLIC KEY BLOCK", "SIGNATURE");
    for (bytes, expected) in [
        (private.as_bytes().to_vec(), secret),
        (vec![0x95, 0, 1, 0], secret),
        (with(&[0x9d, 0, 1, 0]), secret),
        (with(&[0xc5, 1, 0]), secret),
        (Vec::new(), "is no OpenPGP public key"),
        (b"<html>404</html>".to_vec(), "is no OpenPGP public key"),
        (vec![0x88, 1, 0], "is no OpenPGP public key"),
        (with(&[0x01]), "is no OpenPGP public key"),
        (binary[..40].to_vec(), "is cut short"),
        (
            KEY.replace("mDME", "mDMF").into_bytes(),
            "is damaged: its checksum is another one",
        ),
        (
            KEY.replace("mDME", "m*ME").into_bytes(),
            "is damaged: its block is no base64",
        ),
        (
            KEY.as_bytes()[..200].to_vec(),
            "is cut short: its last block has no end",
        ),
        (
            signature.into_bytes(),
            "holds '-----BEGIN PGP SIGNATURE-----', which is no public key",
        ),
    ] {
        assert_eq!(key::armoured(&bytes), Err(expected.to_owned()));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_is_handed_on_is_taken_again(
        head in prop::sample::select(vec![&b""[..], &[0x98, 3, 4], &[0xc6, 1, 4], &[0xc6, 0xff], &[0x99, 0, 2]]),
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = [head, &rest].concat();
        if let Ok(text) = key::armoured(&bytes) {
            prop_assert_eq!(key::armoured(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn a_text_that_was_damaged_is_never_handed_on_as_another_key(at in 38..KEY.len() - 40, byte in 33u8..127) {
        let mut bytes = KEY.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = key::armoured(&bytes) {
            prop_assert_eq!(text, KEY);
        }
    }
}

#[test]
fn installers_of_suse_are_told_fingerprints_of_keys() {
    let repository = |form| Repository {
        form,
        key: Some(KEY.to_owned()),
        ..Repository::default()
    };
    let told = |form| serde_json::to_value(repository(form)).unwrap()["fingerprints"].clone();
    // As gpg --show-keys has it.
    let expected = ["7E9133288ED2DAC35AAB03F975B575F9CE6876AD"];
    assert_eq!(told(RepositoryFormat::Zypper), serde_json::json!(expected));
    assert_eq!(told(RepositoryFormat::Dnf), serde_json::json!([]));
}
