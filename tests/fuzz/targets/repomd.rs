//! Any bytes as rpm-md's `repomd.xml`: never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{Input, Repomd};

fuzz_target!(|bytes: &[u8]| {
    let input = Input::plain("repomd.xml", bytes).expect("bytes as they are");
    if let Ok(repomd) = Repomd::read(input) {
        assert!(repomd.listed().count() <= repomd.files.len());
    }
});
