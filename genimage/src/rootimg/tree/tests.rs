//! Archives of other people's, and what is written of them.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::Context;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::write::manifest_line;
use super::*;

/// An archive as somebody else writes it: kind, name, target or content.
fn archive(entries: &[(EntryType, &str, &str)]) -> Arc<File> {
    let mut builder = Builder::new(tempfile::tempfile().unwrap());
    for (kind, name, text) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(1000);
        header.set_gid(7);
        header.set_mtime(1);
        let content = if *kind == EntryType::Regular {
            *text
        } else {
            ""
        };
        header.set_size(content.len() as u64);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    Arc::new(builder.into_inner().unwrap())
}

fn read(entries: &[(EntryType, &str, &str)]) -> Result<RootTree> {
    let mut tree = RootTree::default();
    tree.read(&archive(entries))?;
    Ok(tree)
}

fn paths(tree: &RootTree) -> Vec<String> {
    tree.entries().map(|(path, _)| shown(path)).collect()
}

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

#[test]
fn nothing_leads_out_of_the_root() {
    for (entries, expected) in [
        (
            &[(FILE, "../etc/shadow", "x")][..],
            "reading '../etc/shadow' of an archive: it leads out of its directory",
        ),
        (
            &[(FILE, "a/../../b", "x")],
            "reading 'a/../../b' of an archive: it leads out of its directory",
        ),
        (
            &[(HARD, "a", "/etc/passwd")],
            "reading 'a' of an archive: it is a hard link to 'etc/passwd', which is no file before it",
        ),
        (
            &[(DIR, "d", ""), (HARD, "a", "d")],
            "reading 'a' of an archive: it is a hard link to 'd', which is no file before it",
        ),
        (
            &[(LINK, "a", "b"), (LINK, "b", "a"), (FILE, "a/x", "")],
            "reading 'a/x' of an archive: its directories are a loop of links",
        ),
        (
            &[(EntryType::new(b'V'), "volume", "")],
            "reading 'volume' of an archive: it is of a kind ('V') that no root file system has",
        ),
    ] {
        let refused = read(entries).map(|tree| paths(&tree)).unwrap_err();
        assert_eq!(format!("{refused:#}"), expected);
    }
}

#[test]
fn a_link_in_a_path_is_followed_within_the_root() {
    let tree = read(&[
        (LINK, "lib", "usr/lib"),
        (LINK, "out", "../../../etc"),
        (LINK, "abs", "/var"),
        (FILE, "lib/a", "1"),
        (FILE, "out/b", "2"),
        (FILE, "/abs/c", "3"),
    ])
    .unwrap();
    let expected = [
        "abs",
        "etc",
        "etc/b",
        "lib",
        "out",
        "usr",
        "usr/lib",
        "usr/lib/a",
        "var",
        "var/c",
    ];
    assert_eq!(paths(&tree), expected);
    assert_eq!(tree.text("lib/a", 10).as_deref(), Some("1"));
    assert_eq!(tree.text("abs/c", 10).as_deref(), Some("3"));
    assert_eq!(tree.text("abs/c", 0), None);
}

#[test]
fn what_is_no_directory_takes_the_place_of_one() {
    let mut tree = read(&[(FILE, "a/b/c", ""), (FILE, "a-b", "")]).unwrap();
    tree.read(&archive(&[(FILE, "a", "now a file")])).unwrap();
    assert_eq!(paths(&tree), ["a", "a-b"]);
    tree.read(&archive(&[(FILE, "a/d", "")])).unwrap();
    assert_eq!(paths(&tree), ["a", "a-b", "a/d"]);
}

#[test]
fn hard_links_devices_long_names_and_attributes_are_written_as_they_were() {
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    let mut tree = read(&[(FILE, "z", "same"), (HARD, "y", "z"), (LINK, "l", "t")]).unwrap();
    let mut metadata = Metadata::of_root(0o4755, 9);
    metadata.uid = 3_000_000_000;
    metadata
        .xattrs
        .insert("security.capability".into(), vec![1, 0, 2]);
    tree.insert_file(long.as_bytes(), b"long".to_vec(), metadata.clone());
    let kind = Kind::Character(10, 200);
    let tun = Entry {
        metadata: Metadata::of_root(0o600, 1),
        kind: kind.clone(),
    };
    tree.insert(b"dev/tun".to_vec(), tun);
    let mut file = tempfile::tempfile().unwrap();
    let written = tree.write(&mut file).unwrap();
    assert_eq!(written.unpacked, 8);
    assert_eq!(written.manifest.lines().count(), 2);
    file.rewind().unwrap();
    let mut again = RootTree::default();
    again.read(&Arc::new(file)).unwrap();
    assert_eq!(again.entry(long.as_bytes()).unwrap().metadata, metadata);
    assert_eq!(again.entry(b"dev/tun").unwrap().kind, kind);
    // The first of them in order has the content.
    assert_eq!(
        again.entry(b"y").unwrap().kind,
        again.entry(b"z").unwrap().kind
    );
    assert_eq!(again.text("z", 10).as_deref(), Some("same"));
    let mut second = Vec::new();
    assert_eq!(again.write(&mut second).unwrap(), written);
}

#[test]
fn a_name_with_a_newline_is_escaped_as_sha256sum_does() {
    let mut manifest = String::new();
    manifest_line(&mut manifest, &[0xab], b"a\nb\\c");
    assert_eq!(manifest, "\\ab  a\\nb\\\\c\n");
}

#[test]
fn an_archive_that_is_cut_short_is_refused() {
    let whole = archive(&[(FILE, "a", &"x".repeat(2000))]);
    let mut bytes = vec![0; 1500];
    whole.read_exact_at(&mut bytes, 0).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let refused = RootTree::default().read(&Arc::new(file)).unwrap_err();
    assert_eq!(
        format!("{refused:#}"),
        "reading 'a' of an archive: the archive is cut short"
    );
}

#[test]
fn headers_without_end_are_not_read_into_memory() {
    for kind in [
        EntryType::XHeader,
        EntryType::XGlobalHeader,
        EntryType::GNULongName,
        EntryType::GNULongLink,
    ] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 30);
        header.set_cksum();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(header.as_bytes()).unwrap();
        file.set_len(1 << 30).unwrap(); // a hole, as of a layer that packs well
        let refused = RootTree::default().read(&Arc::new(file)).unwrap_err();
        let refused = format!("{refused:#}");
        assert!(
            refused.ends_with(": the headers of an entry are too long"),
            "{kind:?}: {refused}"
        );
    }
}

/// Layers over each other, the lowest first.
fn layers(layers: &[&[(EntryType, &str, &str)]]) -> Result<RootTree> {
    let mut tree = RootTree::default();
    for (number, layer) in layers.iter().enumerate() {
        tree.read_layer(&archive(layer))
            .with_context(|| format!("layer {number}"))?;
    }
    Ok(tree)
}

#[test]
fn a_layer_removes_what_lower_ones_have_and_nothing_of_its_own() {
    let lower: &[_] = &[
        (FILE, "etc/a", "1"),
        (FILE, "etc/b", "1"),
        (FILE, "usr/lib/x/y", "1"),
        (LINK, "lib", "usr/lib"),
    ];
    for (upper, expected) in [
        (
            &[(FILE, "etc/.wh.a", "")][..],
            "etc etc/b lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
        // Before or after what the layer itself has at the path.
        (
            &[(FILE, "etc/a", "2"), (FILE, "etc/.wh.a", "")],
            "etc etc/a etc/b lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
        (
            &[(FILE, "etc/c", "2"), (FILE, "etc/.wh..wh..opq", "")],
            "etc etc/c lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
        (
            &[(FILE, "usr/lib/.wh.x", "")],
            "etc etc/a etc/b lib usr usr/lib",
        ),
        // However the path is written.
        (
            &[(FILE, "./etc//.wh.a/.", "")],
            "etc etc/b lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
        // Through a link of a lower layer.
        (
            &[(FILE, "lib/.wh.x", "")],
            "etc etc/a etc/b lib usr usr/lib",
        ),
        (
            &[(FILE, "lib/.wh..wh..opq", "")],
            "etc etc/a etc/b lib usr usr/lib",
        ),
        (&[(FILE, ".wh..wh..opq", ""), (FILE, "new", "")], "new"),
        (
            &[(FILE, ".wh.absent", "")],
            "etc etc/a etc/b lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
        (
            &[(DIR, ".wh..wh.plnk", ""), (FILE, ".wh..wh.aufs", "")],
            "etc etc/a etc/b lib usr usr/lib usr/lib/x usr/lib/x/y",
        ),
    ] {
        let tree = layers(&[lower, upper]).unwrap();
        assert_eq!(paths(&tree).join(" "), expected, "{upper:?}");
    }
    let tree = layers(&[lower, &[(HARD, "twin", "etc/a"), (FILE, "etc/.wh.b", "")]]).unwrap();
    assert_eq!(tree.entry(b"twin"), tree.entry(b"etc/a"));
}

#[test]
fn a_layer_that_reaches_out_of_the_root_is_refused() {
    for (upper, expected) in [
        (
            &[(FILE, ".wh.", "")][..],
            "layer 0: reading '.wh.' of an archive: it removes what is no file of the image",
        ),
        (
            &[(FILE, "etc/.wh...", "")],
            "layer 0: reading 'etc/.wh...' of an archive: it removes what is no file of the image",
        ),
        (
            &[(FILE, "../.wh.etc", "")],
            "layer 0: reading '../.wh.etc' of an archive: it leads out of its directory",
        ),
        (
            &[(EntryType::Block, "srv/disk", "")],
            "layer 0: reading 'srv/disk' of an archive: it is a device outside of /dev, which whoever may read it could \
             use on the node",
        ),
        (
            &[(LINK, "dev", "srv"), (EntryType::Char, "dev/mem", "")],
            "layer 0: reading 'dev/mem' of an archive: it is a device outside of /dev, which whoever may read it could \
             use on the node",
        ),
    ] {
        let refused = layers(&[upper]).map(|tree| paths(&tree)).unwrap_err();
        assert_eq!(format!("{refused:#}"), expected);
    }
    for (target, path, expected) in [
        ("/tmp", "l", Some("/l of it leads to /tmp, out of the root")),
        ("../tmp", "l/x", Some("/l/x of it leads out of the root")),
        ("l", "l", Some("/l of it leads to l, out of the root")),
        ("usr/../etc", "l/x", None),
        ("usr", "none", None),
    ] {
        let tree = layers(&[&[(LINK, "l", target)]]).unwrap();
        let checked = tree.check_inside(path).map_err(|error| error.to_string());
        assert_eq!(checked.err().as_deref(), expected, "{target}");
    }
    let outside = layers(&[&[(FILE, "a", "")]])
        .unwrap()
        .check_owners(1000)
        .unwrap_err();
    assert_eq!(
        outside.to_string(),
        "/a is owned by 1000:7, and a root image is built with the ids 0 to 999"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), valid: bool) {
        if valid && bytes.len() >= 512 {
            let mut header = Header::new_gnu();
            header.as_mut_bytes().copy_from_slice(&bytes[..512]);
            header.set_cksum();
            bytes[..512].copy_from_slice(header.as_bytes());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let _ = RootTree::default().read(&file);
        let _ = RootTree::default().read_layer(&file);
    }

    #[test]
    fn every_path_stays_in_the_root(parts in proptest::collection::vec("(\\.|\\.\\.|a|b|l)", 1..6)) {
        let tree = read(&[(LINK, "l", "../a"), (DIR, "a", ""), (LINK, "a/b", "/../..")]).unwrap();
        if let Ok(path) = tree.resolve(parts.join("/").as_bytes()) {
            prop_assert!(!path.split(|byte| *byte == b'/').any(|part| part == b".."));
        }
    }
}
