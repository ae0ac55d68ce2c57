//! What the site's key signs of a packed root image: gpgv verifies it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::scene::Scene;

/// Has `packimage` find a key of the site, and a `slipway-trust` that signs with it as the real one does.
fn with_authority(scene: &Scene) {
    scene.make_key();
    fs::create_dir(scene.path("trust")).unwrap();
    fs::copy(
        scene.path("keyrings/other.asc"),
        scene.path("trust/trees.asc"),
    )
    .unwrap();
    fs::create_dir(scene.path("bin")).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$3\" = sign-image ] || exit 2\necho x >>{}\nexec gpg --batch --quiet --homedir {} --armor \
         --output \"$4.asc\" --detach-sign \"$4\"\n",
        scene.path("signed").display(),
        scene.path("gnupg").display()
    );
    scene.script("bin/slipway-trust", &script);
    let (built, place) = (env!("CARGO_BIN_EXE_packimage"), scene.path("bin/packimage"));
    fs::hard_link(built, &place)
        .or_else(|_| fs::copy(built, &place).map(drop))
        .unwrap();
}

pub(crate) fn signed() {
    let scene = Scene::new("vouched", "system\n");
    scene.ok("genimage image");
    let unsigned = scene.ok("packimage image");
    assert!(
        unsigned.out.starts_with("image: packed: rootimg."),
        "{unsigned:?}"
    );
    with_authority(&scene);
    let signed = scene.ok("packimage image");
    assert!(
        signed.out.starts_with("image: packed and signed: rootimg."),
        "{signed:?}"
    );
    let verified = || {
        let keys = scene.path("keys.gpg");
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--yes", "--homedir"])
            .arg(scene.path("gnupg"));
        let made = gpg.arg("--output").arg(&keys).arg("--dearmor");
        let made = made.arg(scene.path("trust/trees.asc")).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut gpgv = Command::new("gpgv");
        let gpgv = gpgv.arg("--keyring").arg(&keys);
        let gpgv = gpgv
            .arg(scene.one("rootimg.", ".asc"))
            .arg(scene.images().join("rootimg.json"));
        gpgv.output().unwrap().status.success()
    };
    assert!(verified());
    let count = || {
        fs::read_to_string(scene.path("signed"))
            .unwrap()
            .lines()
            .count()
    };
    scene.ok("packimage image");
    assert_eq!(count(), 1, "what is signed is left alone");
    // Another image has another signature, and the old one is named by nobody.
    scene.ok("packimage -m tar image");
    assert!(verified());
    assert_eq!(count(), 2);
    // A signature that is damaged is made again.
    fs::write(scene.one("rootimg.", ".asc"), "none\n").unwrap();
    scene.ok("packimage -m tar image");
    assert!(verified());
    // A record of somebody else's is not signed as it is, nor is a root that was changed.
    let path = scene.images().join("rootimg.json");
    let own = fs::read_to_string(&path).unwrap();
    let other = own.replace(
        "\"kernel_version\": \"6.1.0-test\"",
        "\"kernel_version\": \"2.0-other\"",
    );
    assert_ne!(other, own);
    fs::write(&path, other).unwrap();
    let again = scene.ok("packimage -m tar image");
    assert!(
        again.out.starts_with("image: packed and signed: rootimg."),
        "{again:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), own);
    let tar = scene.one("root.", ".tar");
    let built = fs::read(&tar).unwrap();
    let mut changed = built.clone();
    changed[600] ^= 1;
    fs::write(&tar, changed).unwrap();
    let refused = scene.run("packimage image");
    assert_eq!(refused.code, Some(1));
    let begin = format!("packimage: {} was changed: its SHA-256 is ", tar.display());
    assert!(
        refused.err.starts_with(&begin)
            && refused
                .err
                .ends_with(": remove it, and run genimage --rebuild image again\n"),
        "{refused:?}"
    );
    fs::write(&tar, built).unwrap();
    written_by_others(&scene);
    // What cannot be signed is not published.
    let record = fs::read_to_string(scene.images().join("rootimg.json")).unwrap();
    scene.script(
        "bin/slipway-trust",
        "#!/bin/sh\necho 'slipway-trust: the key is gone' >&2\nexit 1\n",
    );
    let failed = scene.run("packimage image");
    assert_eq!(
        (failed.code, failed.err.lines().last()),
        (
            Some(1),
            Some(
                "packimage: signing the record of the root image: slipway-trust sign-image: the key is gone"
            )
        )
    );
    assert_eq!(
        fs::read_to_string(scene.images().join("rootimg.json")).unwrap(),
        record
    );
}

/// What others can have written, the key does not sign: a record and a root that agree with each other say nothing then.
fn written_by_others(scene: &Scene) {
    let (images, above) = (scene.images(), scene.installdir().join("netboot"));
    let files = [images.join("root.json"), scene.one("root.", ".tar")];
    for path in files.iter().chain([&images, &above]) {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        for (opened, owner) in [
            (mode | 0o020, None),
            (mode | 0o002, None),
            (mode, Some(1234)),
        ] {
            if owner.is_some() && !nix::unistd::Uid::effective().is_root() {
                continue;
            }
            fs::set_permissions(path, fs::Permissions::from_mode(opened)).unwrap();
            std::os::unix::fs::chown(path, owner, None).unwrap();
            let refused = scene.run("packimage image");
            let said = format!(
                "packimage: the site's key signs nothing that others can have written: {} belongs to user {} and has the mode \
                 {:o}: see that it is what you built, then chown it and chmod go-w, or run genimage --rebuild\n",
                path.display(),
                fs::metadata(path).unwrap().uid(),
                opened & 0o7777
            );
            assert_eq!((refused.code, refused.err), (Some(1), said));
            let own = nix::unistd::Uid::effective().as_raw();
            std::os::unix::fs::chown(path, Some(own), None).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    // A root that another osimage's run left in this directory is not published by this one's name.
    let text = fs::read_to_string(&files[0]).unwrap();
    let other = text.replace("\"osimage\": \"image\"", "\"osimage\": \"other\"");
    assert_ne!(other, text);
    fs::write(&files[0], other).unwrap();
    let refused = scene.run("packimage image");
    let said = format!(
        "packimage: the root in {} is that of the osimage other: genimage image, or give one of them a rootimgdir of its \
         own\n",
        images.display()
    );
    assert_eq!((refused.code, refused.err), (Some(1), said));
    fs::write(&files[0], text).unwrap();
}
