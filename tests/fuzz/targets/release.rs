//! Any bytes as apt's `Release` or `InRelease`: never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{AptRelease, Input, is_clear_signed, signed_text};

fuzz_target!(|bytes: &[u8]| {
    let _ = AptRelease::read(Input::plain("Release", bytes).expect("bytes as they are"));
    if is_clear_signed(bytes) {
        signed_text(bytes.to_vec());
    }
});
