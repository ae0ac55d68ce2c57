//! What dm-verity needs beside an image: veritysetup(8) of cryptsetup makes the same, and takes ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::scene::Scene;

/// Says what this machine lacks to judge.
pub(crate) fn lacking() -> Option<String> {
    let found = Command::new("veritysetup").arg("--version").output();
    found.is_err().then(|| "no veritysetup".to_owned())
}

/// Whether veritysetup(8) finds every block of an image as its hash tree says.
fn verifies(image: &Path, tree: &Path, root_hash: &str) -> bool {
    let mut command = Command::new("veritysetup");
    command.arg("verify").args([image, tree]).arg(root_hash);
    command.output().unwrap().status.success()
}

pub(crate) fn judged() {
    let scene = Scene::new("verity", "owners\n");
    scene.ok("genimage image");
    scene.ok("packimage image");
    let record = || {
        let text = fs::read_to_string(scene.images().join("rootimg.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let verity = record()["verity"].clone();
    let text = |name: &str| verity[name].as_str().unwrap().to_owned();
    let image = scene.one("rootimg.", ".squashfs");
    let tree = scene.one("rootimg.", ".verity");
    let root_hash = text("root_hash");
    assert!(verifies(&image, &tree, &root_hash));

    // The same bytes for the same salt and UUID.
    let ours = fs::read(&tree).unwrap();
    let digits: String = ours[16..32]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let uuid = groups.map(|(begin, end)| &digits[begin..end]).join("-");
    let other = scene.path("tree");
    let mut command = Command::new("veritysetup");
    command.args(["format", "--salt", &text("salt"), "--uuid", &uuid]);
    let made = command.args([&image, &other]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    assert_eq!(fs::read(&other).unwrap(), ours);
    let blocks = fs::metadata(&image).unwrap().len() / 4096;
    assert_eq!(verity["data_blocks"], blocks);

    // One bit of the image, and it is another.
    let mut bytes = fs::read(&image).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let changed = scene.path("changed");
    fs::write(&changed, bytes).unwrap();
    assert!(!verifies(&changed, &tree, &root_hash));

    // An image of an older release has none: it is packed again. What is no file system has none.
    let mut old = record();
    old.as_object_mut().unwrap().remove("verity");
    fs::write(scene.images().join("rootimg.json"), old.to_string()).unwrap();
    let again = scene.ok("packimage image");
    assert!(
        again.out.starts_with("image: packed: rootimg."),
        "{again:?}"
    );
    assert_eq!(record()["verity"], verity);
    scene.ok("packimage -m tar image");
    assert_eq!(record()["verity"], serde_json::Value::Null);
    assert!(!tree.exists(), "what nothing names is removed");
}
