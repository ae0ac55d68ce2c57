//! Any bytes as SUSE's `content` and `packages`: never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{Input, ReadError, SuseContent, read_susetags};

fuzz_target!(|bytes: &[u8]| {
    let _ = SuseContent::parse("content", &String::from_utf8_lossy(bytes));
    let input = Input::plain("packages", bytes).expect("bytes as they are");
    let _ = read_susetags(input, |_| Ok::<_, ReadError>(()));
});
