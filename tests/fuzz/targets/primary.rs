//! Any bytes as rpm-md's `primary.xml`: never a panic, and no package provides itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{Input, ReadError, read_primary};

fuzz_target!(|bytes: &[u8]| {
    let input = Input::plain("primary.xml", bytes).expect("bytes as they are");
    let _ = read_primary(input, |package| {
        assert!(package.provides().all(|(name, _)| name != package.name));
        package.file();
        Ok::<_, ReadError>(())
    });
});
