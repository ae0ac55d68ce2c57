//! Any bytes as what a docker engine sends: never a panic, and it never matters where a stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| containers::foreign::read(bytes));
