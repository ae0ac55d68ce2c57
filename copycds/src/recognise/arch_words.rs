//! The words that media use for architectures.

use anyhow::Context;
use definitions::Arch;
use regex::Regex;

/// Words that media use besides the names an [`Arch`] goes by.
const ARCH_WORDS: &[(&str, Arch)] = &[
    ("x86-64", Arch::X86_64),
    ("p64el", Arch::Ppc64le),
    ("riscv", Arch::Riscv64),
];

/// Reads one word as an architecture.
pub(super) fn arch_of(word: &str) -> Option<Arch> {
    word.parse().ok().or_else(|| {
        ARCH_WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, arch)| *arch)
    })
}

/// Every word for an architecture, the longest first, so that `ppc64le` is not taken for `ppc64`.
pub(super) fn arch_words() -> Vec<&'static str> {
    let mut words: Vec<_> = Arch::all()
        .flat_map(|arch| arch.names().iter().copied())
        .chain(ARCH_WORDS.iter().map(|(word, _)| *word))
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

pub(super) fn arch_word() -> anyhow::Result<Regex> {
    let words = arch_words().join("|");
    Regex::new(&format!("(?:^|[^A-Za-z0-9])({words})(?:[^A-Za-z]|$)"))
        .context("compiling the pattern for architectures")
}
