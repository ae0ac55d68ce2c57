//! What the boot archive of a diskless node holds.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What is fetched into a diskless node's root before it runs; the archive's list of it, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchList {
    /// Each file.
    pub fetch: Vec<FetchedFile>,
}

/// A file that is too large for each node to have one of its own in its archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchedFile {
    /// Where it is: `http://10.1.0.1/install/postscripts/firstboot`.
    pub url: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Where it goes on the node: `/opt/slipway/bin/firstboot`.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
}

impl FetchList {
    /// The directory of the archive whose files are copied into the root, each with its permissions.
    pub const ROOT: &'static str = "slipway/root";
    /// The list of what is fetched, in the archive.
    pub const LIST: &'static str = "slipway/files.json";

    /// Parses a list.
    ///
    /// # Errors
    /// When it is not one, or a path of it leads out of the root.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |error: serde_json::Error| {
            Error::invalid("a list of files", "files.json", format!("JSON: {error}"))
        };
        let files: Self = serde_json::from_str(text).map_err(malformed)?;
        for file in &files.fetch {
            let below = file.path.strip_prefix('/');
            let is_plain = |below: &str| {
                below
                    .split('/')
                    .all(|part| !["", ".", ".."].contains(&part))
            };
            if !below.is_some_and(is_plain) {
                let expected = "an absolute path without '.' and '..'";
                return Err(Error::invalid("the path of a file", &file.path, expected));
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_files_below_the_root() {
        let file = |path: &str| FetchedFile {
            url: "http://10.1.0.1/a".to_owned(),
            bytes: 1,
            sha256: "0".repeat(64),
            path: path.to_owned(),
            mode: 0o755,
        };
        let list = |path: &str| FetchList {
            fetch: vec![file(path)],
        };
        let parse = |list: &FetchList| FetchList::parse(&serde_json::to_string(list).unwrap());
        let good = list("/opt/slipway/bin/firstboot");
        assert_eq!(parse(&good).unwrap(), good);
        for path in ["opt/a", "/opt/../a", "/", "/opt//a", "/./a"] {
            assert_eq!(
                parse(&list(path)).unwrap_err().to_string(),
                format!(
                    "'{path}' is not the path of a file: expected an absolute path without '.' and '..'"
                )
            );
        }
        assert!(FetchList::parse("{").is_err());
    }
}
