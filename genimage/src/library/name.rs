//! Names of files in the library: what they may hold, and how one is named relative to another. Pure.

use std::path::{Component, Path, PathBuf};

use crate::problem::Problem;

/// Asks for what is built in, whatever the administrator has.
pub(super) const BUILTIN: &str = "builtin/";

/// Refuses a profile that could not be the beginning of a file's name.
pub(super) fn check_profile(profile: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let begins = profile.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && profile.chars().all(allowed) {
        return Ok(());
    }
    Err(Problem::new(format!(
        "'{}' is not a valid profile: use letters, digits, '.', '_', '+' and '-', a letter or digit first",
        profile.escape_debug()
    )))
}

/// Refuses a relative name that leaves the library.
pub(super) fn check_inside(name: &str) -> Result<(), Problem> {
    let normal = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !name.is_empty() && Path::new(name).components().all(normal) {
        return Ok(());
    }
    Err(Problem::new(format!(
        "'{}' names no file of the library: give an absolute path, or a name without '..'",
        name.escape_debug()
    )))
}

/// Joins a name to the directory of the file that says it, and takes `.` and `..` out.
pub(super) fn join(directory: &Path, name: &str) -> PathBuf {
    let mut path = directory.to_path_buf();
    for part in Path::new(name).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// Names a file next to a built-in one; nothing, where that would leave the library.
pub(super) fn beside(own: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = own.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_the_beginning_of_a_file_name() {
        for profile in ["compute", "dockerhost", "web-2", "a.b", "gcc+"] {
            assert_eq!(check_profile(profile), Ok(()), "{profile}");
        }
        for profile in ["", "../compute", "a/b", ".hidden", "a b", "-a"] {
            assert!(check_profile(profile).is_err(), "{profile}");
        }
        assert_eq!(
            check_profile("a\nb").unwrap_err().to_string(),
            "'a\\nb' is not a valid profile: use letters, digits, '.', '_', '+' and '-', a letter or digit first"
        );
    }

    #[test]
    fn an_included_name_is_next_to_the_including_file() {
        let own = "pkglists/debian/dockerhost.pkglist";
        for (name, expected) in [
            ("base.pkglist", Some("pkglists/debian/base.pkglist")),
            ("./base.pkglist", Some("pkglists/debian/base.pkglist")),
            (
                "../ubuntu/base.pkglist",
                Some("pkglists/ubuntu/base.pkglist"),
            ),
            ("../../../etc/passwd", None),
        ] {
            assert_eq!(beside(own, name).as_deref(), expected);
        }
        assert_eq!(
            join(Path::new("/c/debian"), "../ubuntu/./a"),
            Path::new("/c/ubuntu/a")
        );
    }
}
