//! Container images as roots: images made here from nothing, of layers of a few files, and what genimage makes of them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::scene::Scene;

/// An entry of a layer: kind, path, target or text, mode, owner.
type LayerEntry<'a> = (EntryType, &'a str, &'a str, u32, u64);

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;

/// What a machine needs beside the packages of the tree, and what only containers have.
const SYSTEM: [LayerEntry<'_>; 12] = [
    (
        FILE,
        "etc/os-release",
        "ID=\"rocky\"\nVERSION_ID=\"9.4\"\n",
        0o644,
        0,
    ),
    (FILE, "usr/lib/systemd/systemd", "init", 0o755, 0),
    (FILE, "usr/lib/systemd/systemd-udevd", "udev", 0o755, 0),
    (
        FILE,
        "usr/lib/systemd/systemd-networkd",
        "network",
        0o755,
        0,
    ),
    (FILE, "usr/sbin/modprobe", "kmod", 0o755, 0),
    (LINK, "sbin/init", "../usr/lib/systemd/systemd", 0o777, 0),
    (FILE, ".dockerenv", "", 0o644, 0),
    (FILE, "etc/hosts", "172.17.0.2 0123456789ab\n", 0o644, 0),
    (FILE, "etc/resolv.conf", "nameserver 172.17.0.1\n", 0o644, 0),
    (
        LINK,
        "etc/systemd/system/systemd-udevd.service",
        "/dev/null",
        0o777,
        0,
    ),
    (FILE, "srv/gone", "of a lower layer", 0o644, 0),
    (EntryType::Char, "dev/kmsg", "1:11", 0o644, 0),
];

/// A layer over it.
const UPPER: [LayerEntry<'_>; 4] = [
    (FILE, "srv/.wh.gone", "", 0o644, 0),
    (FILE, "srv/mine", "kept", 0o4755, 1000),
    (
        EntryType::Link,
        "srv/twin-of-mine",
        "srv/mine",
        0o4755,
        1000,
    ),
    (FILE, "srv/able", "capable", 0o755, 0),
];

/// `security.capability` of CAP_NET_RAW, permitted and effective: capabilities(7), version 2.
const NET_RAW: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn layer(entries: &[LayerEntry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, text, mode, owner) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner);
        header.set_mtime(1);
        let mut content = "";
        match *kind {
            EntryType::Symlink | EntryType::Link => {
                header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            }
            EntryType::Char => {
                let (major, minor) = text.split_once(':').unwrap();
                header.set_device_major(major.parse().unwrap()).unwrap();
                header.set_device_minor(minor.parse().unwrap()).unwrap();
            }
            _ => content = text,
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        if *path == "srv/able" {
            let capability = ("SCHILY.xattr.security.capability", &NET_RAW[..]);
            builder.append_pax_extensions([capability]).unwrap();
        }
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn digits(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An image in the OCI layout, in a directory.
pub(crate) struct LayoutImage(pub(crate) PathBuf);

impl LayoutImage {
    /// Makes one of packed layers: how each is packed is the text before it.
    pub(crate) fn new(path: PathBuf, layers: &[(&str, Vec<u8>)], labels: Value) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        let layout = Self(path);
        let mut packed = Vec::new();
        for (packing, bytes) in layers {
            let bytes = match *packing {
                "gzip" => piped("gzip", bytes),
                "zstd" => zstd::encode_all(bytes.as_slice(), 1).unwrap(),
                _ => bytes.clone(),
            };
            packed.push(layout.blob(&bytes));
        }
        let diff_ids: Vec<_> = layers
            .iter()
            .map(|(_, bytes)| format!("sha256:{}", digits(bytes)))
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = layout.blob(config.to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": packed });
        let mut manifest = layout.blob(manifest.to_string().as_bytes());
        manifest["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let mut arm = manifest.clone();
        arm["platform"]["architecture"] = json!("arm64");
        layout.write_index(&json!({ "schemaVersion": 2, "manifests": [arm, manifest] }));
        layout
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digits = digits(bytes);
        fs::write(self.0.join("blobs/sha256").join(&digits), bytes).unwrap();
        json!({ "digest": format!("sha256:{digits}"), "size": bytes.len() })
    }

    fn write_index(&self, index: &Value) {
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }

    /// Returns the digest of its index.
    pub(crate) fn digest(&self) -> String {
        let index = fs::read(self.0.join("index.json")).unwrap();
        let blob = self.blob(&index);
        blob["digest"].as_str().unwrap().to_owned()
    }

    /// Returns a blob of the manifest, as a path.
    fn path_of(&self, what: &str) -> PathBuf {
        let read =
            |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
        let blob = |digest: &Value| {
            let digits = digest
                .as_str()
                .unwrap()
                .trim_start_matches("sha256:")
                .to_owned();
            self.0.join("blobs/sha256").join(digits)
        };
        let index = read(&self.0.join("index.json"));
        let manifest = blob(&index["manifests"][1]["digest"]);
        match what {
            "manifest" => manifest,
            "config" => blob(&read(&manifest)["config"]["digest"]),
            _ => blob(&read(&manifest)["layers"][0]["digest"]),
        }
    }
}

fn piped(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let feeding = std::thread::spawn(move || input.write_all(&bytes));
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    feeding.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    out
}

pub(crate) fn image_of(scene: &Scene, labels: Value) -> LayoutImage {
    let layers = [("gzip", layer(&SYSTEM)), ("zstd", layer(&UPPER))];
    LayoutImage::new(scene.path("layout"), &layers, labels)
}

pub(crate) fn becomes_a_root() {
    let scene = Scene::new("container", "system\nowners\n");
    let image = image_of(&scene, json!({ "containers.bootc": "1" }));
    let line = format!("genimage image --from oci:{}", image.0.display());
    let ran = scene.ok(&line);
    assert!(ran.out.starts_with("image: built, "), "{ran:?}");
    for note in [
        "it is a bootc image: it boots here as any other root, and is updated by another build, not by bootc upgrade",
        "of the container image were removed: /.dockerenv",
        "units that the container image masks are not masked any more: systemd-udevd.service",
        "nothing in the image starts a network service: systemd-networkd does, as \
         /etc/systemd/network/80-slipway.network says",
    ] {
        assert!(
            ran.err.contains(&format!("genimage: note: {note}\n")),
            "{ran:?}"
        );
    }
    let listing = scene.lists(&[
        ("-rwsr-xr-x 1000/1000 ", "./srv/mine"),
        (
            "hrwsr-xr-x 1000/1000 ",
            "./srv/twin-of-mine link to ./srv/mine",
        ),
        ("crw-r--r-- 0/0 ", "./dev/kmsg"),
        // Of packages that were installed into it.
        ("-rwsr-xr-x 0/0 ", "./srv/setuid"),
        ("-rw-r----- 1000/1001 ", "./srv/other"),
    ]);
    assert!(listing.contains(" 1,11 "), "{listing}");
    for name in ["srv/gone", ".dockerenv", "etc/resolv.conf", ".wh."] {
        assert!(!listing.contains(&format!("./{name}")), "{name}: {listing}");
    }
    let hosts = scene.read("etc/hosts").unwrap();
    assert!(hosts.starts_with("127.0.0.1 localhost\n"), "{hosts}");
    let tar = fs::read(scene.one("root.", ".tar")).unwrap();
    let key = b"SCHILY.xattr.security.capability=";
    let capabilities = tar.windows(key.len()).filter(|part| part == key).count();
    assert_eq!(capabilities, 2, "of the image's file and of a package's");
    assert!(scene.ok(&line).out.starts_with("image: is up to date: "));
    let ran = scene.ok("genimage image --diff");
    assert_eq!(
        ran.out,
        "image: container image is no part of it any more\n"
    );
    scene.ok("packimage image");
    let checked = scene.ok("genimage image --check");
    assert!(
        checked
            .out
            .starts_with("image: has an init: /usr/lib/systemd/systemd\nimage: has udev: "),
        "{checked:?}"
    );
    assert!(
        checked
            .out
            .contains("image: lacks an ssh server: openssh-server in pkglist brings it\n"),
        "{checked:?}"
    );
}

/// What is in the image and what the osimage adds are one database of packages.
pub(crate) fn conflicts() {
    let base = Scene::new("container-base", "system\nowners\nfakesystemd\n");
    base.ok("genimage image");
    let root = fs::read(base.one("root.", ".tar")).unwrap();
    let kernel = [(FILE, "boot/vmlinuz-6.1.0-test", "kernel", 0o644, 0)];
    let layers = [("", root), ("", layer(&SYSTEM)), ("", layer(&kernel))];
    let image = LayoutImage::new(base.path("layout"), &layers, Value::Null);
    let line = format!("genimage image --from oci:{}", image.0.display());

    let scene = Scene::new("container-clash", "clash\n");
    let ran = scene.run(&line);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains(
            "package clash-1-1.x86_64 conflicts with owners provided by owners-1-1.x86_64"
        ),
        "{ran:?}"
    );
    assert!(scene.names().is_empty(), "{:?}", scene.names());

    let scene = Scene::new("container-real", "realsystemd\n");
    let ran = scene.ok(&line);
    let note = "genimage: note: the package fakesystemd, which only containers have, was removed\n";
    assert!(ran.err.contains(note), "{ran:?}");
    assert_eq!(scene.read("srv/systemd").as_deref(), Some("real\n"));
    assert_eq!(scene.read("srv/fake"), None);
    assert_eq!(scene.read("srv/plain").as_deref(), Some("plain\n"));
}

pub(crate) fn checked() {
    let scene = Scene::new("container-check", "system\n");
    let image = image_of(&scene, Value::Null);
    // The same as an archive of the layout, and as `docker save` writes it.
    let archive = scene.path("layout.tar");
    tar(&image.0, &archive, &["index.json", "blobs"]);
    let saved = scene.path("saved");
    fs::create_dir(&saved).unwrap();
    let config = image.path_of("config");
    let name = format!("{}.json", config.file_name().unwrap().to_str().unwrap());
    fs::copy(&config, saved.join(&name)).unwrap();
    for (at, entries) in [&SYSTEM[..], &UPPER[..]].into_iter().enumerate() {
        fs::write(saved.join(format!("{at}.tar")), layer(entries)).unwrap();
    }
    let list = json!([{ "Config": name, "RepoTags": ["base:1"], "Layers": ["0.tar", "1.tar"] }]);
    fs::write(saved.join("manifest.json"), list.to_string()).unwrap();
    let save = scene.path("saved.tar.gz");
    tar(&saved, &scene.path("saved.tar"), &["."]);
    fs::write(
        &save,
        piped("gzip", &fs::read(scene.path("saved.tar")).unwrap()),
    )
    .unwrap();
    for from in [
        format!("oci:{}", image.0.display()),
        format!("docker-archive:{}", archive.display()),
        format!("docker-archive:{}", save.display()),
    ] {
        let ran = scene.run(&format!("genimage image --check --from {from}"));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(
            ran.out,
            "image: lacks a kernel with its modules: kernel in pkglist brings it\n\
             image: has an init: /usr/lib/systemd/systemd\n\
             image: has udev: /usr/lib/systemd/systemd-udevd\n\
             image: has a program that loads modules: /usr/sbin/modprobe\n\
             image: lacks a network service that is enabled: NetworkManager in pkglist brings it\n\
             image: lacks an ssh server: openssh-server in pkglist brings it\n\
             image: lacks an engine: docker-ce in pkglist brings it\n"
        );
        let said: Vec<_> = ran.err.lines().collect();
        let [note, end] = said[..] else {
            panic!("{ran:?}")
        };
        assert!(
            note.starts_with("genimage: note: pkgdir has '[trusted=yes]'"),
            "{note}"
        );
        assert_eq!(
            end,
            "genimage: the container image cannot boot as it is: the osimage's packages have to bring what it lacks"
        );
    }
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}

fn tar(directory: &Path, to: &Path, names: &[&str]) {
    let mut command = Command::new("tar");
    command
        .arg("-C")
        .arg(directory)
        .arg("-cf")
        .arg(to)
        .args(names);
    assert!(command.status().unwrap().success());
}

/// What is not the image that it should be is refused before anything is built of it.
pub(crate) fn hostile() {
    let scene = Scene::new("container-hostile", "system\n");
    let refused = |image: &LayoutImage, expected: &str| {
        let from = format!("oci:{}", image.0.display());
        let ran = scene.run(&format!("genimage image --from {from}"));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.err.ends_with(&format!("{expected}\n")),
            "{ran:?}: {expected}"
        );
        assert!(scene.names().is_empty(), "{:?}", scene.names());
        fs::remove_dir_all(&image.0).unwrap();
    };
    for what in ["manifest", "config", "layer"] {
        let image = image_of(&scene, Value::Null);
        let path = image.path_of(what);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let expected = format!(
            "it is another file: its digest is sha256:{}, and should be sha256:{name}",
            digits(&bytes)
        );
        refused(&image, &expected);
    }
    for (entry, expected) in [
        (
            (FILE, "../../etc/cron.d/evil", "x", 0o644, 0),
            "it leads out of its directory",
        ),
        (
            (FILE, "usr/.wh.", "", 0o644, 0),
            "it removes what is no file of the image",
        ),
        (
            (EntryType::Char, "srv/mem", "1:1", 0o666, 0),
            "it is a device outside of /dev, which whoever may read it could use on the node",
        ),
        (
            (EntryType::Link, "srv/shadow", "/etc/shadow", 0o644, 0),
            "it is a hard link to 'etc/shadow', which is no file before it",
        ),
        (
            (FILE, "srv/far", "", 0o644, 70_000),
            "/srv/far is owned by 70000:70000, and a root image is built with the ids 0 to 65535",
        ),
        (
            (LINK, "dev", "/tmp", 0o777, 0),
            "/dev of it leads to /tmp, out of the root",
        ),
        // A link that leads out leads to a directory of the root: it has no such release.
        (
            (FILE, ".wh..wh..opq", "", 0o644, 0),
            "it has no /etc/os-release, and no package of rocky9.4 could be installed into it",
        ),
    ] {
        let layers = [("gzip", layer(&SYSTEM)), ("gzip", layer(&[entry]))];
        refused(
            &LayoutImage::new(scene.path("layout"), &layers, Value::Null),
            expected,
        );
    }
    let ran = scene.run("genimage image --from docker://registry.example.invalid/base:9");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("it names no digest"), "{ran:?}");
}
