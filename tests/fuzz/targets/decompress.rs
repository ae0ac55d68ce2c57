//! Any bytes in any compression: never a panic, and never more than the bound.

#![no_main]

use std::io::{Read, copy, sink};

use libfuzzer_sys::fuzz_target;
use repodata::{Compression, Decompressor};

fuzz_target!(|data: (u8, &[u8])| {
    let (which, bytes) = data;
    let compression = Compression::ALL[usize::from(which) % Compression::ALL.len()];
    if let Ok(stream) = Decompressor::new(compression, bytes) {
        let _ = copy(&mut stream.take(64 << 20), &mut sink());
    }
});
