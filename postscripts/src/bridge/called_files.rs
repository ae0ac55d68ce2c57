//! The files of the administrator's that a line of a script, a unit or a job runs or reads.
//!
//! No shell is understood: a path counts where it is written out.

use std::path::PathBuf;

/// What belongs to packages or to the kernel, but for what is below `/usr/local`.
const VENDORS: [&str; 8] = [
    "/bin", "/sbin", "/lib", "/lib64", "/usr", "/dev", "/proc", "/sys",
];

/// The administrator's files in a line.
pub(super) fn called_files(line: &str) -> Vec<PathBuf> {
    let parts =
        line.split(|letter: char| letter.is_whitespace() || "\"'<>=()`;|&{},".contains(letter));
    let paths = parts
        .map(|part| part.trim_start_matches(['-', '@', '+', '!', ':']))
        .filter(|part| part.starts_with('/') && !part.contains(['$', '*', '%']))
        .map(PathBuf::from);
    let is_own = |path: &PathBuf| {
        path.starts_with("/usr/local") || !VENDORS.iter().any(|dir| path.starts_with(dir))
    };
    paths.filter(is_own).collect()
}
