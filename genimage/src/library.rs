//! Which file wins: the one search for lists and templates, on disk and built in.

use std::fmt;
use std::path::PathBuf;

/// Where an asset came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The administrator's own file.
    Custom(PathBuf),
    /// What is built into the program, by its name: `pkglists/debian/dockerhost.pkglist`.
    Embedded(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(path) => path.display().fmt(f),
            Self::Embedded(name) => write!(f, "{name} (built in)"),
        }
    }
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Where it came from.
    pub origin: Origin,
    /// What it says.
    pub text: String,
}

/// The administrator's own directory, and behind it what is built in.
#[derive(Debug, Clone)]
pub struct Library {
    custom: PathBuf,
}

impl Library {
    /// Takes `<installdir>/custom`, or another directory.
    pub fn new(custom: impl Into<PathBuf>) -> Self {
        Self {
            custom: custom.into(),
        }
    }
}
