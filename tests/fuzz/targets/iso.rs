//! Any bytes as a medium: refused in words, or read with all that a medium promises.
//!
//! The input stands at sector 16, where the descriptors of ISO 9660 and UDF begin; what is before that
//! is never read.

#![no_main]

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use copycds::media::{DataLocation, EntryKind, Medium};
use libfuzzer_sys::fuzz_target;
use nix::sys::memfd::{MFdFlags, memfd_create};

const START: u64 = 16 * 2048;

thread_local! {
    static IMAGE: OnceCell<File> = const { OnceCell::new() };
}

fn image(data: &[u8]) -> File {
    IMAGE.with(|image| {
        let new = || File::from(memfd_create(c"image", MFdFlags::empty()).expect("a memfd"));
        let image = image.get_or_init(new);
        image.set_len(START + data.len() as u64).expect("room");
        image.write_all_at(data, START).expect("room");
        image.try_clone().expect("a descriptor")
    })
}

fuzz_target!(|data: &[u8]| {
    let len = START + data.len() as u64;
    let Ok(medium) = Medium::from_file(Path::new("image"), image(data)) else {
        return;
    };
    assert!(medium.entries().is_sorted_by(|a, b| a.path < b.path));
    for entry in medium.entries() {
        let path = entry.path.as_bytes();
        let bad = |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.contains(&0);
        assert!(
            !path.split(|&byte| byte == b'/').any(bad),
            "{:?}",
            entry.path
        );
        let EntryKind::File { size, content } = &entry.kind else {
            continue;
        };
        let extents = match content {
            DataLocation::Extents(extents) => {
                assert_eq!(extents.iter().map(|extent| extent.len).sum::<u64>(), *size);
                extents
            }
            DataLocation::Zisofs(extents) => extents,
            DataLocation::InPlace => panic!("{:?} lies in an image", entry.path),
        };
        assert!(
            extents
                .iter()
                .all(|extent| extent.offset + extent.len <= len)
        );
    }
    // A few files are read through; a stream is as long as it is said to be, or ends in an error.
    let files = medium
        .entries()
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    for entry in files.take(8) {
        let mut bytes = Vec::new();
        if let Ok(reader) = medium.reader(entry) {
            let read = reader.take(1 << 20).read_to_end(&mut bytes);
            if let (Ok(read), EntryKind::File { size, .. }) = (read, &entry.kind) {
                assert_eq!(read as u64, (*size).min(1 << 20), "{:?}", entry.path);
            }
        }
    }
});
