//! A real image with random damage: whatever happens, it is refused in words or read within bounds.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use copycds::media::Medium;
use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::{any, prop};
use proptest::test_runner::{Config, TestRunner};

use crate::Case;
use crate::built::{odd_tree, place, zisofs};
use crate::cases;
use crate::needs::Need::Tool;
use crate::tools::genisoimage;

pub(crate) const CASES: &[Case] = cases! {
    &[Tool("genisoimage")] =>
        damage_to_rock_ridge_never_panics
        damage_to_joliet_never_panics
        damage_to_udf_never_panics;
    &[Tool("genisoimage"), Tool("mkzftree")] => damage_to_zisofs_never_panics;
};

fn damage_to_rock_ridge_never_panics() {
    let place = place();
    let tree = odd_tree(&place, 150);
    damage(&genisoimage(&tree, "-R -input-charset utf-8"));
}

fn damage_to_joliet_never_panics() {
    let place = place();
    let tree = odd_tree(&place, 150);
    damage(&genisoimage(
        &tree,
        "-J -joliet-long -f -input-charset iso8859-1",
    ));
}

fn damage_to_udf_never_panics() {
    let place = place();
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), "file").unwrap();
    damage(&genisoimage(&tree, "-udf"));
}

fn damage_to_zisofs_never_panics() {
    let place = place();
    damage(&zisofs(&place).1);
}

/// Changes a few bytes at a time, most of them where they matter, and reads whatever is still read.
fn damage(image: &Path) {
    let good = fs::read(image).unwrap();
    // Structures are where there is anything but zeros; file contents are short in these images.
    let places: Vec<usize> = (0..good.len()).filter(|&at| good[at] != 0).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let mut runner = TestRunner::new(Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    });
    let file = File::from(memfd_create(c"image", MFdFlags::empty()).unwrap());
    file.write_all_at(&good, 0).unwrap();
    let result = runner.run(&changes, |changes| {
        let changes = changes
            .iter()
            .map(|(index, value)| (places[index.index(places.len())], *value));
        for (at, value) in changes.clone() {
            file.write_all_at(&[value], at as u64).unwrap();
        }
        let began = Instant::now();
        read_through(file.try_clone().unwrap());
        let took = began.elapsed();
        for (at, _) in changes {
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
        assert!(took < Duration::from_secs(60), "{took:?}");
        Ok(())
    });
    result.unwrap();
}

fn read_through(image: File) {
    let Ok(medium) = Medium::from_file(Path::new("image"), image) else {
        return;
    };
    for entry in medium.entries() {
        let Ok(reader) = medium.reader(entry) else {
            continue;
        };
        let mut sink = std::io::sink();
        // Both outcomes are right; a panic or a stream without end is not.
        let copied = std::io::copy(&mut reader.take(1 << 26), &mut sink);
        assert!(copied.is_err() || copied.unwrap() <= 1 << 26);
    }
}
