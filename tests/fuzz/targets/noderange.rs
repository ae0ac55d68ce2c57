//! Any text as a node range: refused in words, or one of bounded size.

#![no_main]

use definitions::Noderange;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = text.parse::<Noderange>() {
        assert!(!error.to_string().is_empty());
    }
});
