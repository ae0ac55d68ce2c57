//! Any archives as layers of a container image: refused in words, or a tree whose paths lead nowhere else.
//!
//! A header is made of each entry, with a sum that is right: what is not would be refused before anything of it is read. The
//! last bytes of a layer are as they come.

#![no_main]

use std::fs::File;
use std::io::Write;

use genimage::rootimg::layer_paths;
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Its kind, its path, and its content or its target.
type Entry = (u8, Vec<u8>, Vec<u8>);

/// Kinds of entries: files, links, devices, directories, pipes, and what pax and GNU write before others.
const KINDS: &[u8] = b"0123456xgLK";

fn append(layer: &mut Vec<u8>, (kind, path, rest): &Entry) {
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let has_content = matches!(kind, b'0' | b'x' | b'g' | b'L' | b'K');
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8], most: usize| {
        let length = bytes.len().min(most);
        header[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, path, 100);
    for (at, digits) in [
        (100, "0000755"),
        (108, "0000000"),
        (116, "0000000"),
        (136, "00000000000"),
    ] {
        put(at, digits.as_bytes(), 12);
    }
    let size = if has_content { rest.len() } else { 0 };
    put(124, format!("{size:011o}").as_bytes(), 12);
    put(148, b"        ", 8);
    put(156, &[kind], 1);
    put(157, rest, 100);
    put(257, b"ustar\x0000", 8);
    put(329, b"0000001\x000000003", 16);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    layer.extend(header);
    if has_content {
        layer.extend(rest);
        layer.resize(layer.len().next_multiple_of(512), 0);
    }
}

fn file(bytes: &[u8]) -> File {
    let mut file = File::from(memfd_create(c"layer", MFdFlags::empty()).expect("a memfd"));
    file.write_all(bytes).expect("room");
    file
}

fuzz_target!(|layers: Vec<(Vec<Entry>, Vec<u8>)>| {
    let layers = layers.iter().take(4).map(|(entries, rest)| {
        let mut layer = Vec::new();
        entries.iter().for_each(|entry| append(&mut layer, entry));
        layer.extend(rest);
        file(&layer)
    });
    let Ok(paths) = layer_paths(layers.collect()) else {
        return;
    };
    assert!(paths.is_sorted());
    for path in paths {
        let bad = |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.contains(&0);
        assert!(
            path.is_empty() || !path.split(|byte| *byte == b'/').any(bad),
            "{path:?}"
        );
    }
});
