//! Any bytes as apt's `Packages` or `Sources`: never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use repodata::{Input, ReadError, read_stanzas};

fuzz_target!(|bytes: &[u8]| {
    let input = Input::plain("Packages", bytes).expect("bytes as they are");
    let _ = read_stanzas(input, |stanza| {
        let _ = stanza.text("Package");
        let _ = stanza.provides().map(|names| names.for_each(drop));
        let _ = stanza.binary_file();
        let _ = stanza.source_files();
        Ok::<_, ReadError>(())
    });
});
