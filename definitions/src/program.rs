//! Where another program of ours is. A name comes in, a path goes out; nothing is run.

use std::env;
use std::path::PathBuf;

/// Finds a program of ours: beside this one, else by its name in the `PATH`.
#[must_use]
pub fn program_path(name: &str) -> PathBuf {
    let own = env::current_exe().ok();
    let beside = own.map(|own| own.with_file_name(name));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_beside_this_one_or_in_the_path() {
        let own = env::current_exe().unwrap();
        let name = own.file_name().unwrap().to_str().unwrap();
        assert_eq!(program_path(name), own);
        assert_eq!(
            program_path("no-such-program"),
            PathBuf::from("no-such-program")
        );
    }
}
