//! Media that were just made, against the directory that they were made of.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use copycds::media::{
    BootImage, BootPlatform, DataLocation, Emulation, EntryKind, Extent, Medium, MediumEntry,
};
use tempfile::TempDir;

use crate::Case;
use crate::cases;
use crate::listing::{Detail, assert_same, list, open};
use crate::needs::Need::{Loop, Tool};
use crate::tools::{genisoimage, run, unpack, xorriso};

pub(crate) const CASES: &[Case] = cases! {
    &[Tool("genisoimage")] =>
        rock_ridge_by_genisoimage_is_the_tree_it_was_made_of
        a_second_session_is_refused
        joliet_alone_gives_whole_names_and_contents
        plain_iso_gives_names_as_linux_shows_them;
    &[Tool("xorriso")] =>
        rock_ridge_by_xorriso_is_the_tree_it_was_made_of
        boot_images_are_found_with_platform_and_place
        a_partition_table_before_the_volume_changes_nothing
        a_file_over_4_gib_is_one_file;
    &[Tool("xorriso"), Tool("bsdtar")] => other_readers_see_the_same_tree;
    &[Tool("genisoimage"), Tool("mkzftree")] => zisofs_is_inflated;
    &[Tool("xorriso"), Loop] => a_block_device_is_read_like_an_image;
};

/// A tree with what makes media difficult.
pub(crate) fn odd_tree(place: &TempDir, link_len: usize) -> PathBuf {
    let tree = place.path().join("tree");
    let deep: PathBuf = (1..=12).map(|depth| format!("level{depth}")).collect();
    for directory in [deep.as_path(), Path::new("empty"), Path::new("many")] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    let write = |name: &str, content: &[u8], mode: u32| {
        fs::write(tree.join(name), content).unwrap();
        fs::set_permissions(tree.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    write("hello.txt", b"hello\n", 0o644);
    write("Grüße an Köln", b"", 0o600);
    write("run.sh", &[b'#'; 2048], 0o755);
    write("two sectors", &[7; 2049], 0o400);
    write(&"long".repeat(60), b"a name of 240 bytes", 0o644);
    write(deep.join("bottom").to_str().unwrap(), b"deep", 0o644);
    for number in 0..300 {
        write(
            &format!("many/package-{number}_1.0-1_all.deb"),
            &[1; 99],
            0o644,
        );
    }
    let latin = tree.join(OsStr::from_bytes(b"caf\xe9"));
    fs::write(latin, "not UTF-8").unwrap();
    let long = "../somewhere/".repeat(link_len / 13);
    for (name, target) in [
        ("link", "hello.txt"),
        ("absolute", "/usr/share/doc"),
        ("dots", "./.././many/../.."),
        ("long link", &long),
        ("level1/dangling", "nowhere"),
    ] {
        symlink(target.trim_end_matches('/'), tree.join(name)).unwrap();
    }
    // Older than any clock that is wrong, and different for each.
    for (number, name) in ["hello.txt", "run.sh", "empty"].iter().enumerate() {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + number as u64);
        File::open(tree.join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    tree
}

pub(crate) fn place() -> TempDir {
    TempDir::new().unwrap()
}

fn rock_ridge_by_genisoimage_is_the_tree_it_was_made_of() {
    let place = place();
    // genisoimage itself writes links of more than about 200 bytes wrongly.
    let tree = odd_tree(&place, 150);
    let image = genisoimage(&tree, "-R -V ODD -input-charset utf-8");
    assert_same(&tree, &image, Detail::All);
    let medium = open(&image);
    assert_eq!(medium.ids().volume, "ODD");
    assert_eq!(medium.ids().system, "LINUX");
    assert_eq!(
        medium.ids().blocks * 2048,
        fs::metadata(&image).unwrap().len()
    );
}

fn rock_ridge_by_xorriso_is_the_tree_it_was_made_of() {
    let place = place();
    let tree = odd_tree(&place, 900);
    for options in [
        "-R",
        "-R -J -joliet-long -D",
        "-R -iso-level 3 -rr_reloc_dir /elsewhere",
    ] {
        let image = xorriso(&tree, options);
        assert_same(&tree, &image, Detail::All);
    }
}

fn other_readers_see_the_same_tree() {
    let place = place();
    // bsdtar 3.6 reads links of several fields wrongly.
    let tree = odd_tree(&place, 150);
    let image = xorriso(&tree, "-R");
    for reader in ["xorriso", "bsdtar"] {
        let unpacked = unpack(reader, &image, place.path());
        assert_same(&image, &unpacked, Detail::All);
    }
}

/// A tree whose names fit Joliet, and after them what plain ISO 9660 makes of them.
fn named_tree(place: &TempDir) -> PathBuf {
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("Some Directory")).unwrap();
    fs::write(
        tree.join("Some Directory/Überlänge and more.text"),
        "umlauts",
    )
    .unwrap();
    fs::write(tree.join("README"), "read me").unwrap();
    fs::write(tree.join("kernel.img"), "kernel").unwrap();
    tree
}

fn joliet_alone_gives_whole_names_and_contents() {
    let place = place();
    let tree = named_tree(&place);
    let image = genisoimage(&tree, "-J -input-charset utf-8");
    assert_same(&tree, &image, Detail::Content);
    let medium = open(&image);
    assert_eq!(medium.find("README").unwrap().mode, 0o644);
    assert_eq!(medium.find("Some Directory").unwrap().mode, 0o755);
}

fn plain_iso_gives_names_as_linux_shows_them() {
    let place = place();
    let tree = named_tree(&place);
    fs::rename(tree.join("Some Directory"), tree.join("SOME")).unwrap();
    let umlauts = tree.join("SOME/Überlänge and more.text");
    fs::rename(umlauts, tree.join("SOME/plain")).unwrap();
    let medium = open(&genisoimage(&tree, ""));
    let names: Vec<_> = medium
        .entries()
        .iter()
        .map(|entry| entry.path.to_string())
        .collect();
    assert_eq!(names, ["kernel.img", "readme", "some", "some/plain"]);
    let kernel = medium.find("kernel.img").unwrap();
    assert_eq!(medium.read(kernel, 6).unwrap(), b"kernel");
    assert_eq!(
        format!("{:#}", medium.read(kernel, 5).unwrap_err()),
        "reading kernel.img: it has 6 bytes, more than 5"
    );
}

fn extents(entry: &MediumEntry) -> &[Extent] {
    match &entry.kind {
        EntryKind::File {
            content: DataLocation::Extents(extents),
            ..
        } => extents,
        other => panic!("{other:?}"),
    }
}

fn boot_images_are_found_with_platform_and_place() {
    let place = place();
    let tree = named_tree(&place);
    fs::write(tree.join("bios.bin"), [1; 5000]).unwrap();
    fs::write(tree.join("efi.img"), [2; 10_240]).unwrap();
    let options = "-R -c boot.cat -b bios.bin -no-emul-boot -boot-load-size 4 \
                   -eltorito-alt-boot -e efi.img -no-emul-boot";
    let medium = open(&xorriso(&tree, options));
    let at = |name: &str, len: u64| Extent {
        offset: extents(medium.find(name).unwrap())[0].offset,
        len,
    };
    let image = |platform, extent| BootImage {
        platform,
        bootable: true,
        emulation: Emulation::None,
        extent,
    };
    assert_eq!(
        medium.boot(),
        [
            image(BootPlatform::Bios, at("bios.bin", 4 * 512)),
            image(BootPlatform::Efi, at("efi.img", 20 * 512)),
        ]
    );
}

fn a_partition_table_before_the_volume_changes_nothing() {
    let place = place();
    let tree = named_tree(&place);
    let plain = list(&open(&xorriso(&tree, "-R")), Detail::All);
    let partition = place.path().join("efi.part");
    fs::write(&partition, vec![3; 1 << 20]).unwrap();
    let options = format!("-R -append_partition 2 0xef {}", partition.display());
    let hybrid = xorriso(&tree, &options);
    let start = fs::read(&hybrid).unwrap();
    assert_eq!(start[510..512], [0x55, 0xAA], "there is a partition table");
    assert_eq!(list(&open(&hybrid), Detail::All), plain);
}

fn a_file_over_4_gib_is_one_file() {
    const SIZE: u64 = (4 << 30) + (600 << 20) + 5;
    let place = place();
    let tree = place.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let marks = [0, (4 << 30) - 2048, (4 << 30) - 3, SIZE - 4];
    let big = File::create(tree.join("install.img")).unwrap();
    big.set_len(SIZE).unwrap();
    for (number, &at) in (1_u32..).zip(&marks) {
        big.write_all_at(&number.to_be_bytes(), at).unwrap();
    }
    fs::write(tree.join("after"), "after").unwrap();
    // Through a pipe into a sparse file: almost all of it is zeros.
    let line = "xorriso -as mkisofs -quiet -R -iso-level 3 tree | dd of=big.iso bs=1M \
                iflag=fullblock conv=sparse status=none";
    run(place.path(), "sh", ["-c", line]);
    let medium = open(&place.path().join("big.iso"));
    let entry = medium.find("install.img").unwrap();
    assert!(
        matches!(entry.kind, EntryKind::File { size: SIZE, .. }),
        "{entry:?}"
    );
    for (number, &mark) in (1_u32..).zip(&marks) {
        let found = bytes_at(&medium, extents(entry), mark);
        assert_eq!(u32::from_be_bytes(found), number, "at {mark}");
    }
    let after = medium.find("after").unwrap();
    assert_eq!(medium.read(after, 5).unwrap(), b"after");
}

/// Reads four bytes of a file in an image through its extents.
fn bytes_at(medium: &Medium, extents: &[Extent], position: u64) -> [u8; 4] {
    let mut bytes = [0; 4];
    for (index, byte) in (position..).zip(&mut bytes) {
        let mut before = 0;
        let extent = extents.iter().find(|extent| {
            before += extent.len;
            index < before
        });
        let extent = extent.unwrap();
        let at = extent.offset + index - (before - extent.len);
        let image = medium.image().unwrap();
        image.read_exact_at(std::slice::from_mut(byte), at).unwrap();
    }
    bytes
}

/// Makes a tree, its compressed form and an image of that.
pub(crate) fn zisofs(place: &TempDir) -> (PathBuf, PathBuf) {
    let tree = place.path().join("plain");
    fs::create_dir(&tree).unwrap();
    let text: Vec<u8> = (0..40_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::write(tree.join("numbers"), text).unwrap();
    fs::write(tree.join("zeros"), vec![0; 100_000]).unwrap();
    fs::write(tree.join("one block"), vec![b'x'; 32 << 10]).unwrap();
    fs::write(tree.join("small"), "stays as it is").unwrap();
    run(place.path(), "mkzftree", ["plain", "tree"]);
    let image = genisoimage(&place.path().join("tree"), "-R -z");
    (tree, image)
}

fn zisofs_is_inflated() {
    let place = place();
    let (tree, image) = zisofs(&place);
    let medium = open(&image);
    for name in ["numbers", "one block", "zeros"] {
        let EntryKind::File { content, .. } = &medium.find(name).unwrap().kind else {
            panic!("{name}");
        };
        assert!(
            matches!(content, DataLocation::Zisofs(_)),
            "{name}: {content:?}"
        );
    }
    assert_same(&tree, &image, Detail::All);
}

fn a_block_device_is_read_like_an_image() {
    let place = place();
    let image = xorriso(&named_tree(&place), "-R");
    let out = Command::new("losetup")
        .args(["--find", "--show", "--read-only"])
        .arg(&image)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let device = String::from_utf8(out.stdout).unwrap();
    let device = Path::new(device.trim());
    let listed = std::panic::catch_unwind(|| list(&open(device), Detail::All));
    run(place.path(), "losetup", ["-d".as_ref(), device.as_os_str()]);
    assert_eq!(listed.unwrap(), list(&open(&image), Detail::All));
}

fn a_second_session_is_refused() {
    let place = place();
    let tree = place.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("first"), "first").unwrap();
    let image = genisoimage(&tree, "-R");
    let mut bytes = fs::read(&image).unwrap();
    // An image within the image, after its end, is no session.
    let within = bytes.clone();
    fs::write(&image, [&bytes[..], &within].concat()).unwrap();
    assert_eq!(open(&image).entries().len(), 1);
    fs::write(&image, &bytes).unwrap();
    let start = bytes.len() / 2048;
    fs::write(tree.join("second"), "second").unwrap();
    let options = format!(
        "-quiet -R -C 0,{start} -M {} -o second.iso tree",
        image.display()
    );
    run(place.path(), "genisoimage", options.split(' '));
    bytes.extend(fs::read(place.path().join("second.iso")).unwrap());
    fs::write(&image, &bytes).unwrap();
    let error = format!("{:#}", Medium::open(&image).unwrap_err());
    let expected = format!(
        "it has a second session, which begins in sector {start}, and only the first could be read: mount the second \
         (mount -o ro,loop,sbsector={start}) and give the directory"
    );
    assert!(error.ends_with(&expected), "{error}");
}
