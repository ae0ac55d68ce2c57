//! Any bytes as rpm-md's `comps.xml`: never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{Input, ReadError, read_comps};

fuzz_target!(|bytes: &[u8]| {
    let input = Input::plain("comps.xml", bytes).expect("bytes as they are");
    let _ = read_comps(input, |group| {
        assert_eq!(group.id.trim(), group.id);
        Ok::<_, ReadError>(())
    });
});
