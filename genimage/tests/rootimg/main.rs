//! Root images by the real commands: what is in them, how they are packed, and what a build survives.

#![allow(clippy::unwrap_used)] // a panic is how a test fails; without the harness clippy does not know it for one

mod container;
mod faults;
mod registry;
mod scene;
mod verity;
mod vouched;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

use scene::{Ran, Scene, lacking};

fn main() {
    let lacking = lacking();
    let case = |name: &str, run: fn()| {
        let trial = Trial::test(name, move || {
            run();
            Ok(())
        });
        let kind = lacking.clone().unwrap_or_default();
        trial.with_kind(kind).with_ignored_flag(lacking.is_some())
    };
    let mut trials = vec![
        case("owners_capabilities_and_links_are_kept", owners_are_kept),
        case(
            "what_is_one_machines_own_is_not_in_the_image",
            identity_is_removed,
        ),
        case("lists_and_files_of_the_site_are_applied", lists_are_applied),
        case(
            "a_second_run_does_nothing_and_says_what_would_change",
            second_run,
        ),
        case(
            "two_builds_and_two_packings_give_the_same_bytes",
            reproducible,
        ),
        case("every_form_is_packed_without_root", forms),
        case("what_no_node_names_is_removed", unused),
        case("a_site_with_a_key_signs_what_is_packed", vouched::signed),
        case(
            "a_package_that_lacks_something_is_refused_before_anything_is_built",
            closure,
        ),
        case("a_package_that_no_known_key_signs_is_refused", unsigned),
        case("a_package_that_a_known_key_signs_is_installed", signed),
        case("zypper_installs_what_dnf_does", zypper),
        case("a_tree_that_others_cannot_enter_is_refused", closed_tree),
        case(
            "a_script_that_fails_or_hangs_fails_the_build",
            faults::failures,
        ),
        case("what_a_package_leaves_running_is_ended", faults::daemons),
        case("a_script_that_mounts_leaves_nothing_of_it", faults::mounts),
        case(
            "a_killed_build_leaves_what_was_there_and_nothing_that_runs",
            faults::killed,
        ),
        case("a_mirror_that_goes_away_fails_the_build", faults::mirror),
        case(
            "two_builds_at_once_are_one_after_the_other",
            faults::two_at_once,
        ),
        case(
            "a_container_image_becomes_the_root_of_machines",
            container::becomes_a_root,
        ),
        case(
            "a_package_that_conflicts_with_a_container_images_is_refused_and_a_placeholder_gives_way",
            container::conflicts,
        ),
        case(
            "whether_a_container_image_can_boot_is_said_of_every_form",
            container::checked,
        ),
        case("a_hostile_container_image_is_refused", container::hostile),
        case(
            "a_registry_is_asked_over_https_by_digest",
            registry::fetched,
        ),
    ];
    let needs_root = lacking.clone().or_else(|| {
        let root = nix::unistd::Uid::effective().is_root();
        (!root).then(|| "not root".to_owned())
    });
    let needs_veritysetup = lacking.or_else(verity::lacking);
    for (name, run, lacking) in [
        (
            "a_full_disk_leaves_what_was_there",
            faults::full_disk as fn(),
            &needs_root,
        ),
        (
            "an_ordinary_user_builds_the_same_image",
            ordinary_user,
            &needs_root,
        ),
        (
            "settings_of_the_management_node_count_for_nothing",
            settings,
            &needs_root,
        ),
        (
            "the_hash_tree_of_an_image_is_that_of_veritysetup",
            verity::judged,
            &needs_veritysetup,
        ),
    ] {
        let trial = Trial::test(name, move || {
            run();
            Ok(())
        });
        let kind = lacking.clone().unwrap_or_default();
        trials.push(trial.with_kind(kind).with_ignored_flag(lacking.is_some()));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    scene::clear();
    conclusion.exit();
}

fn owners_are_kept() {
    let scene = Scene::new("owners", "owners\n");
    let ran = scene.ok("genimage image");
    assert!(ran.out.starts_with("image: built, "), "{ran:?}");
    let listing = scene.listing();
    for (begin, name) in [
        ("-rwsr-xr-x 0/0 ", "./srv/setuid"),
        ("-rw-r----- 1000/1001 ", "./srv/other"),
        ("drwxrwxrwt 0/0 ", "./tmp/"),
        ("hrw-r--r-- 0/0 ", "./srv/twin link to ./srv/plain"),
    ] {
        let found = listing.lines().find(|line| line.ends_with(name));
        let found = found.unwrap_or_else(|| panic!("{name}: {listing}"));
        assert!(found.starts_with(begin), "{found}");
    }
    scene.ok("packimage image");
    let image = scene.one("rootimg.", ".squashfs");
    // An extended attribute is written by root alone: the file system is read, and not unpacked.
    let raw = fs::read(&image).unwrap();
    assert_eq!(&raw[..4], b"hsqs");
    let tar = fs::read(scene.one("root.", ".tar")).unwrap();
    let has = |bytes: &[u8]| tar.windows(bytes.len()).any(|part| part == bytes);
    assert!(has(b"SCHILY.xattr.security.capability="));
    let said = Command::new("sqfs2tar")
        .arg(&image)
        .output()
        .unwrap()
        .stdout;
    let key = b"SCHILY.xattr.security.capability=";
    assert!(said.windows(key.len()).any(|part| part == key));
}

fn identity_is_removed() {
    let scene = Scene::new("identity", "system\n");
    scene.ok("genimage image");
    assert_eq!(scene.read("etc/machine-id").as_deref(), Some(""));
    assert_eq!(scene.read("etc/ssh/ssh_host_ed25519_key"), None);
    assert_eq!(scene.read("etc/resolv.conf"), None);
    assert_eq!(
        scene.read("etc/hosts").as_deref(),
        Some("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    );
    assert!(
        scene
            .read("etc/.updated")
            .is_some_and(|text| text.starts_with("TIMESTAMP_NSEC="))
    );
    assert_eq!(scene.read("boot/vmlinuz-6.1.0-test"), None);
    assert_eq!(
        fs::read_to_string(scene.one("kernel.", "")).unwrap(),
        "kernel\n"
    );
    let repository = scene.read("etc/yum.repos.d/tree.repo").unwrap();
    assert!(
        repository.contains("baseurl=http://10.1.0.1/install/rocky9.4/x86_64\n"),
        "{repository}"
    );
    // Where the booted system's rpm looks.
    assert!(scene.listing().contains(" ./var/lib/rpm/"));
}

fn lists_are_applied() {
    let scene = Scene::new("lists", "system\n");
    let post = scene.script(
        "post",
        "#!/bin/sh\necho \"$# $1 $2 $3 $4 $IMG_NAME $IMG_ROOTIMGDIR\" > $1/etc/post\n",
    );
    fs::write(scene.path("exlist"), "./usr/share/man*\n").unwrap();
    fs::write(scene.path("motd"), "hello\n").unwrap();
    fs::write(scene.path("accounts"), "ops:x:7:7::/:/bin/sh\n").unwrap();
    let sync = format!(
        "{dir}/motd -> /etc/motd\nAPPEND:\n{dir}/motd -> /etc/motd\nMERGE:\n{dir}/accounts -> /etc/passwd\n",
        dir = scene.path("").display()
    );
    fs::write(scene.path("sync"), sync.replace("//", "/")).unwrap();
    fs::write(scene.path("others"), "removed\n--removed\n").unwrap();
    scene.define(&format!(
        "otherpkglist = [{:?}]\npostinstall = [{post:?}]\nexlist = {:?}\nsynclists = [{:?}]\n",
        scene.path("others"),
        scene.path("exlist"),
        scene.path("sync")
    ));
    scene.ok("genimage image");
    assert_eq!(
        scene.read("etc/post").as_deref(),
        Some("4 / rocky9.4 x86_64 lists image /\n")
    );
    assert_eq!(scene.read("etc/motd").as_deref(), Some("hello\nhello\n"));
    assert_eq!(
        scene.read("etc/passwd").as_deref(),
        Some("root:x:0:0::/root:/bin/sh\nops:x:7:7::/:/bin/sh\n")
    );
    assert_eq!(scene.read("srv/removed"), None);
    let listing = scene.listing();
    assert!(!listing.contains("usr/share/man"), "{listing}");
    assert!(!listing.contains("slipway"), "{listing}");
}

fn second_run() {
    let scene = Scene::new("second", "system\n");
    scene.ok("genimage image");
    let tar = scene.one("root.", ".tar");
    let before = fs::metadata(&tar).unwrap();
    let ran = scene.ok("genimage image");
    assert!(ran.out.starts_with("image: is up to date: "), "{ran:?}");
    let after = fs::metadata(&tar).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
    assert_eq!(
        scene.ok("genimage image --diff").out,
        "image: is up to date\n"
    );
    fs::write(scene.path("pkglist"), "system\nowners\n").unwrap();
    assert_eq!(
        scene.ok("genimage image --diff").out,
        "image: packages has changed\n"
    );
    assert_eq!(fs::metadata(&tar).unwrap().ino(), before.ino());
}

fn reproducible() {
    let scene = Scene::new("same", "system\nowners\n");
    let digests = |scene: &Scene| {
        scene.ok("genimage image --rebuild");
        let forms = [("squashfs", "zstd"), ("cpio", "gzip"), ("tar", "xz")];
        let packed = forms.map(|(form, compression)| {
            scene.ok(&format!("packimage -m {form} -c {compression} image"));
            let record = fs::read_to_string(scene.images().join("rootimg.json")).unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            record["image"]["sha256"].as_str().unwrap().to_owned()
        });
        (
            packed,
            scene.one("root.", ".tar"),
            scene.one("root.", ".sha256sums"),
        )
    };
    let first = digests(&scene);
    std::thread::sleep(Duration::from_millis(1100)); // another second of the clock
    assert_eq!(digests(&scene), first);
}

fn forms() {
    let scene = Scene::new("forms", "owners\n");
    scene.ok("genimage image");
    for (words, ending, magic) in [
        ("", ".squashfs", &b"hsqs"[..]),
        ("-m squashfs -c gzip ", ".squashfs", b"hsqs"),
        ("-m cpio ", ".cpio.zst", b"\x28\xb5\x2f\xfd"),
        ("-m cpio -c gzip ", ".cpio.gz", b"\x1f\x8b"),
        ("-m tar -c xz ", ".tar.xz", b"\xfd7zXZ"),
    ] {
        let ran = scene.ok(&format!("packimage {words}image"));
        assert!(ran.out.starts_with("image: packed: rootimg."), "{ran:?}");
        let image = scene.one("rootimg.", ending);
        assert!(fs::read(&image).unwrap().starts_with(magic), "{words}");
        if words.contains("cpio") {
            let note = "packimage: note: cpio keeps no capabilities and no other extended attributes: 1 files lose \
                        theirs, such as /srv/capable\n";
            assert!(ran.err.starts_with(note), "{ran:?}");
        }
        let again = scene.ok(&format!("packimage {words}image"));
        assert!(
            again.out.starts_with("image: is packed already: "),
            "{again:?}"
        );
    }
    // What cpio(1) reads of it.
    scene.ok("packimage -m cpio -c gzip image");
    let shell = "zcat \"$0\" | cpio -itv --quiet";
    let output = Command::new("sh")
        .args(["-c", shell])
        .arg(scene.one("rootimg.", ".cpio.gz"))
        .output()
        .unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        listing
            .lines()
            .find(|line| line.ends_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("srv/setuid").starts_with("-rwsr-xr-x   1 root"),
        "{listing}"
    );
    assert!(
        line("srv/twin").starts_with("-rw-r--r--   2 root"),
        "{listing}"
    );
    let sums = scene.one("root.", ".sha256sums");
    assert!(fs::read_to_string(sums).unwrap().contains("  srv/other\n"));
    let refused = scene.run("packimage -m ext4 image");
    assert_eq!(refused.code, Some(2));
    // What the image's kernel does not read is not packed, and what is there stays.
    let names = scene.names();
    for (words, said) in [
        (
            "-m erofs -c zstd",
            "erofs with zstd (CONFIG_EROFS_FS_ZIP_ZSTD, which Linux has since 6.10): it reads lz4",
        ),
        (
            "-c lz4",
            "squashfs with lz4 (CONFIG_SQUASHFS_LZ4, which Linux has since 3.19): it reads zstd, gzip, xz",
        ),
    ] {
        let refused = scene.run(&format!("packimage {words} image"));
        let expected =
            format!("packimage: the kernel 6.1.0-test of the image does not read {said}\n");
        assert_eq!((refused.code, refused.err), (Some(1), expected));
    }
    assert_eq!(scene.names(), names);
}

fn unused() {
    let scene = Scene::new("unused", "system\n");
    scene.ok("genimage image");
    scene.ok("packimage image");
    let first = scene.one("rootimg.", ".squashfs");
    let name = first.file_name().unwrap().to_str().unwrap().to_owned();
    let node = scene.installdir().join("autoinst/unused1");
    fs::create_dir_all(&node).unwrap();
    fs::write(
        node.join("boot.ipxe"),
        format!("kernel http://10.1.0.1/{name}\n"),
    )
    .unwrap();
    scene.ok("packimage -m tar image");
    assert!(first.exists(), "a node names it");
    fs::remove_dir_all(&node).unwrap();
    let ran = scene.ok("packimage -m tar image");
    assert!(
        ran.out
            .contains(&format!("image: removed {name}, which no node names\n")),
        "{ran:?}"
    );
    assert!(!first.exists());
}

fn closure() {
    let scene = Scene::new("closure", "system\nbroken\n");
    for line in ["genimage image --dry-run", "genimage image"] {
        let ran = scene.run(line);
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.err
                .contains("looking up the packages, with all that they need: "),
            "{ran:?}"
        );
        assert!(
            ran.err
                .contains("nothing provides nowhere needed by broken-1-1.x86_64"),
            "{ran:?}"
        );
    }
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    fs::write(scene.path("pkglist"), "system\nownerz\n").unwrap();
    let ran = scene.run("genimage image");
    assert!(ran.err.contains("there is no package 'ownerz'"), "{ran:?}");
    let none = scene.run("packimage image");
    assert_eq!(
        none.err,
        "packimage: the osimage image has no root image yet: genimage image builds it\n"
    );
}

fn zypper() {
    let scene = Scene::of("leap15.6", "zypper", "system\nowners\n");
    scene.ok("genimage image");
    let listing = scene.lists(&[
        ("-rwsr-xr-x 0/0 ", "./srv/setuid"),
        ("-rw-r----- 1000/1001 ", "./srv/other"),
    ]);
    assert!(listing.contains(" ./usr/lib/sysimage/rpm/"), "{listing}");
    assert!(scene.read("etc/zypp/repos.d/tree.repo").is_some());
    fs::write(scene.path("pkglist"), "system\nbroken\n").unwrap();
    let ran = scene.run("genimage image --dry-run");
    assert!(
        ran.err
            .contains("nothing provides nowhere needed by broken-1-1.x86_64"),
        "{ran:?}"
    );
}

fn unsigned() {
    for (release, profile, said) in [
        ("rocky9.4", "unsigned-dnf", "GPG check FAILED"),
        ("leap15.6", "unsigned-zypper", "zypper failed ("),
    ] {
        let scene = Scene::of(release, profile, "system\n");
        scene.untrust();
        scene.make_key();
        let ran = scene.run("genimage image");
        assert!(ran.code == Some(1) && ran.err.contains(said), "{ran:?}");
        assert!(scene.names().is_empty(), "{:?}", scene.names());
    }
}

fn signed() {
    for (release, profile) in [("rocky9.5", "signed-dnf"), ("leap15.5", "signed-zypper")] {
        let scene = Scene::of(release, profile, "system\nowners\n");
        scene.make_key();
        scene.sign_tree();
        scene.untrust();
        scene.ok("genimage image");
    }
}

fn closed_tree() {
    let scene = Scene::new("closed", "afar\n");
    let closed = scene.installdir().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let copy = Command::new("cp")
        .arg("-r")
        .arg(scene.installdir().join("mirror"))
        .arg(&closed)
        .status()
        .unwrap();
    assert!(copy.success());
    scene.define(&format!(
        "otherpkgdir = [\"[trusted=yes] {}/mirror\"]\n",
        closed.display()
    ));
    let ran = scene.run("genimage image");
    let said = format!(
        "others cannot enter {closed}, and packages are installed by a user of a namespace, who is nobody here: chmod \
         o+x {closed}\n",
        closed = closed.display()
    );
    assert!(ran.err.contains(&said), "{ran:?}");
}

fn ordinary_user() {
    let by_root = Scene::new("by-root", "owners\n");
    by_root.ok("genimage image");
    let scene = Scene::new("by-nobody", "owners\n");
    fs::create_dir_all(scene.images()).unwrap();
    // Readable by nobody, who has ids here alone.
    let config = scene.path("");
    let script = format!(
        "chmod -R a+rX {config} && chown nobody {images} && for kind in uid gid; do echo nobody:200000:65536 > \
         {config}/sub$kind && mount --bind {config}/sub$kind /etc/sub$kind || exit 9; done && exec setpriv --reuid \
         65534 --regid 65534 --clear-groups {genimage} image",
        config = config.display(),
        images = scene.images().display(),
        genimage = env!("CARGO_BIN_EXE_genimage"),
    );
    for file in ["/etc/subuid", "/etc/subgid"] {
        assert!(
            Path::new(file).exists(),
            "{file} is there wherever newuidmap is"
        );
    }
    let ran = scene.in_own_mounts(&script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (own, other) = (scene.one("root.", ".tar"), by_root.one("root.", ".tar"));
    assert_eq!(own.file_name(), other.file_name());
}

/// Runs `genimage` where package managers have settings that leave a package out and check no signature.
fn run_with_settings(scene: &Scene) -> Ran {
    let script = format!(
        "printf '[main]\\nexcludepkgs=owners\\ngpgcheck=0\\n' > {config}/dnf && printf \
         '[main]\\ngpgcheck=off\\nrepo_gpgcheck=off\\npkg_gpgcheck=off\\n' > {config}/zypp && mount --bind {config}/dnf \
         /etc/dnf/dnf.conf && mount -t tmpfs none /etc/zypp && cp {config}/zypp /etc/zypp/zypp.conf || exit 9; exec \
         {genimage} image",
        config = scene.path("").display(),
        genimage = env!("CARGO_BIN_EXE_genimage"),
    );
    scene.in_own_mounts(&script)
}

fn settings() {
    let dnf = run_with_settings(&Scene::new("settings-dnf", "owners\n"));
    assert_eq!(dnf.code, Some(0), "{dnf:?}");
    let scene = Scene::of("leap15.6", "settings-zypper", "system\n");
    scene.untrust();
    scene.make_key();
    let zypper = run_with_settings(&scene);
    assert_eq!(zypper.code, Some(1), "{zypper:?}");
    assert!(zypper.err.contains("zypper failed ("), "{zypper:?}");
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}
