//! Any text as a stanza file: refused in words, or blocks of attributes.

#![no_main]

use definitions::stanza;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = stanza::parse(text) {
        assert!(!error.to_string().is_empty());
    }
});
