//! What is built into the program: `templates/` and `pkglists/`, as `build.rs` found them.

/// Names and texts, sorted by name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Returns everything, in the order of the names.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied()
}

/// Returns what lies below a top directory.
pub(super) fn section(section: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    all().filter(move |(name, _)| name.split('/').next() == Some(section))
}

/// Finds a file by its whole name.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    FILES
        .binary_search_by(|(own, _)| (*own).cmp(name))
        .ok()
        .map(|at| FILES[at])
}
