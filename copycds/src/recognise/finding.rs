//! What one piece of evidence says, and how versions compare.

use std::fmt;

use definitions::Arch;
use serde::{Deserialize, Serialize};

use super::source::FindingSource;

/// What one source on the medium says about it: one line of the evidence that a user is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseFinding {
    /// Where it is: `.treeinfo`, `volume id`.
    pub source: FindingSource,
    /// The words as the medium has them, cleaned of control characters and cut at 200.
    pub says: String,
    /// How much it counts against another finding.
    pub weight: Weight,
    /// The family it names, in xCAT's name: `rocky`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The version it gives, as precise as it gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The architectures it names; several on a multi-architecture disc.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arches: Vec<Arch>,
    /// An architecture that it names in a place of its own and that has no [`Arch`]: `x86_64_v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_arch: Option<String>,
    /// The release's codename in lower case: `bookworm`, `noble`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// The product or edition: `Ubuntu-Server`, `Workstation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Which disc of a set it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disc: Option<DiscNumber>,
}

/// How much a finding counts.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Counts only where nothing firm does: a directory's name, a package that clones carry too.
    #[default]
    Hint,
    /// Must agree with every other firm finding.
    Firm,
    /// The medium's own statement of its product, in words that no rule reads: it counts against
    /// every family.
    Foreign,
}

/// The place of a disc in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiscNumber {
    /// Counted from one.
    pub number: u32,
    /// How many there are, where the medium says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
}

/// A release number as far as a finding knows it: `9`, `9.3`, `20.04.2.0`, `6.0.1a`; or the word of a
/// release that has none yet: `testing`, `rawhide`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// Takes a version as a medium writes it: `9-3` and `9_3` are `9.3`, `SP4` after it is a part.
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().replace(['-', '_'], "."))
    }

    /// Returns it as names carry it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its first part: `9`.
    pub fn major(&self) -> &str {
        self.parts().next().unwrap_or_default()
    }

    /// Returns whether one of the two only knows less than the other: `9` and `9.3` do, `9.2` and `9.3`
    /// do not; the letter of a rebuilt disc (`6.0.1a`) may be missing in the other.
    pub fn agrees(&self, other: &Self) -> bool {
        let number = |part: &'_ str| {
            let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            if digits.is_empty() { part } else { digits }.to_owned()
        };
        self.parts()
            .map(number)
            .zip(other.parts().map(number))
            .all(|(a, b)| a == b)
    }

    /// Returns whether this one knows more than the other, given that they agree.
    pub fn refines(&self, other: &Self) -> bool {
        (self.parts().count(), self.0.len()) > (other.parts().count(), other.0.len())
    }

    /// Returns what two versions have in common, part by part.
    pub fn common(&self, other: &Self) -> Option<Self> {
        let same: Vec<_> = self
            .parts()
            .zip(other.parts())
            .take_while(|(a, b)| a == b)
            .map(|(part, _)| part)
            .collect();
        (!same.is_empty()).then(|| Self(same.join(".")))
    }

    /// Returns it as far as it holds where a field ended after its last digit: a last number of one
    /// digit may have had a second one, and does not count; no number has three.
    pub fn cut(self) -> Option<Self> {
        let last = self.parts().next_back().unwrap_or_default();
        if last.len() > 1 {
            return Some(self);
        }
        let (rest, _) = self.0.rsplit_once('.')?;
        Some(Self(rest.to_owned()))
    }

    /// Returns it with a further part that makes it another release: `40` and `ostree` are `40.ostree`.
    pub fn marked(&self, mark: &str) -> Self {
        Self(format!("{}.{mark}", self.0))
    }

    /// Returns whether one of its parts is this word.
    pub fn has_part(&self, word: &str) -> bool {
        self.parts().any(|part| part == word)
    }

    /// Returns whether it begins with a number.
    pub fn is_numbered(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_digit())
    }

    fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }
}

/// Takes a medium's words as they may be shown: no control characters, none that turn the direction of
/// a line or hide in it, and no more than 200.
pub(super) fn clean(text: &str) -> String {
    let shown = |c: char| {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden { ' ' } else { c }
    };
    let text: String = text.chars().take(200).map(shown).collect();
    text.trim().to_owned()
}

impl ReleaseFinding {
    /// Begins a finding that says nothing yet beyond its words.
    pub fn new(source: FindingSource, says: &str, weight: Weight) -> Self {
        Self {
            source,
            says: clean(says),
            weight,
            ..Self::default()
        }
    }

    /// Returns whether it says anything of use.
    pub fn is_empty(&self) -> bool {
        self.weight != Weight::Foreign
            && self.family.is_none()
            && self.version.is_none()
            && self.arches.is_empty()
            && self.other_arch.is_none()
            && self.codename.is_none()
            && self.disc.is_none()
    }
}

impl fmt::Display for ReleaseFinding {
    /// One line: `.treeinfo says 'Rocky Linux 9.3': rocky 9.3 x86_64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} says '{}'", self.source, self.says)?;
        let arches: Vec<_> = self.arches.iter().map(|arch| arch.name()).collect();
        let words: Vec<_> = [
            self.family.clone(),
            self.version.as_ref().map(|version| version.0.clone()),
            self.codename.as_ref().map(|name| format!("\"{name}\"")),
            (!arches.is_empty()).then(|| arches.join("/")),
            self.other_arch.clone(),
            self.disc.map(|disc| disc.to_string()),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (self.weight, words.is_empty()) {
            (Weight::Foreign, _) => f.write_str(": not a release that a rule knows"),
            (_, true) => Ok(()),
            (Weight::Firm, false) => write!(f, ": {}", words.join(" ")),
            (Weight::Hint, false) => write!(f, ": a hint of {}", words.join(" ")),
        }
    }
}

impl fmt::Display for DiscNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Some(of) => write!(f, "disc {} of {of}", self.number),
            None => write!(f, "disc {}", self.number),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_agree_when_one_only_knows_less() {
        for (a, b, agree) in [
            ("9", "9.3", true),
            ("9-3", "9.3", true),
            ("9.2", "9.3", false),
            ("8.1", "8.10", false),
            ("20.04.2", "20.04.2.0", true),
            ("6.0.1", "6.0.1a", true),
            ("12", "testing", false),
        ] {
            assert_eq!(Version::new(a).agrees(&Version::new(b)), agree, "{a} {b}");
        }
        assert!(Version::new("9.3").refines(&Version::new("9")));
        assert!(Version::new("6.0.1a").refines(&Version::new("6.0.1")));
    }

    #[test]
    fn a_finding_prints_as_one_clean_line() {
        let finding = ReleaseFinding {
            family: Some("rocky".into()),
            version: Some(Version::new("9-3")),
            arches: vec![Arch::X86_64],
            disc: Some(DiscNumber {
                number: 1,
                of: None,
            }),
            ..ReleaseFinding::new(
                FindingSource::VolumeId,
                "Rocky-9-3\u{1b}[31m-x86_64-\u{202e}dvd\n",
                Weight::Firm,
            )
        };
        assert_eq!(
            finding.to_string(),
            "volume id says 'Rocky-9-3 [31m-x86_64- dvd': rocky 9.3 x86_64 disc 1"
        );
    }
}
