//! Any bytes in any of the files that recognition reads: never a panic, and nothing of a medium reaches
//! a terminal raw.
//!
//! The input is cut at 0xff: the volume id, then the files in the order below, then names of files.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use copycds::recognise::{Evidence, RecognitionRules, RequestedRelease, identify};
use libfuzzer_sys::fuzz_target;

const FILES: &[&str] = &[
    ".disk/info",
    "README.diskdefines",
    ".treeinfo",
    ".discinfo",
    "media.repo",
    "media.1/media",
    "media.1/products",
    "content",
    "dists/stable/Release",
    "install/.treeinfo",
];

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

fuzz_target!(|data: &[u8]| {
    let mut pieces = data.split(|byte| *byte == 0xff);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut evidence = Evidence::default();
    evidence.ids.volume = text(pieces.next().unwrap_or_default());
    for (path, piece) in FILES.iter().zip(&mut pieces) {
        if !piece.is_empty() {
            evidence.files.insert((*path).to_owned(), piece.to_vec());
        }
    }
    evidence.names = pieces.map(text).collect();
    let shown = match identify(&evidence, &RULES, &RequestedRelease::default()) {
        Ok(verdict) => verdict.render(Path::new("medium")),
        Err(refusal) => refusal.to_string(),
    };
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "{shown:?}"
    );
});
