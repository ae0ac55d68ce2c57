//! What may follow the words that a pattern reads. Media add an architecture, a number, a build
//! or the kind of the disc to their release; any other word makes it another product, so that a text
//! with one is not read at all.

use std::sync::LazyLock;

use regex::Regex;

use super::arch_words::arch_words;

/// The words that may follow.
#[derive(Debug, Clone)]
pub(super) struct TrailingWords {
    /// In small letters; the case of a text does not count.
    words: Vec<String>,
    /// A family's own words for architectures, which are only as they are.
    own_arches: Vec<String>,
}

/// How much of a text its field has held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelEnd {
    /// Where the text ends, or was cut.
    pub(super) end: usize,
    /// Whether more may have followed.
    pub(super) cut: bool,
}

impl TrailingWords {
    /// Takes plain words, in any case, and a family's own words for architectures, which are only as they are; digits
    /// may be glued to each. The words for architectures that all media have are known.
    pub(super) fn new<'a>(
        words: impl Iterator<Item = &'a String>,
        own_arches: impl Iterator<Item = &'a String>,
    ) -> Self {
        let words = words.map(|word| word.to_lowercase());
        Self {
            words: label_arches().map(str::to_owned).chain(words).collect(),
            own_arches: own_arches.cloned().collect(),
        }
    }

    /// Whether a text is of these words alone.
    pub(super) fn reads(&self, text: &str) -> bool {
        self.cover(text.as_bytes()) && !names_another_width(text)
    }

    /// Whether words, each with the digits that are glued to it, and separators fill a text. Some words have separators in
    /// them (`x86_64`), so that all ways are tried at once: each place where a word may begin, from the first to the last.
    fn cover(&self, text: &[u8]) -> bool {
        let mut begins = vec![false; text.len() + 1];
        begins[0] = true;
        for at in 0..text.len() {
            if !begins[at] {
                continue;
            }
            let rest = &text[at..];
            for word in self.lengths_at(rest).chain([0]) {
                let digits = rest[word..].iter().take_while(|byte| byte.is_ascii_digit());
                let end = word + digits.count();
                match rest.get(end) {
                    None => return true,
                    Some(byte) if !byte.is_ascii_alphanumeric() => begins[at + end + 1] = true,
                    Some(_) => {}
                }
            }
        }
        begins[text.len()]
    }

    /// The lengths of the words with which a text begins.
    fn lengths_at(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let begins = |word: &String, same: fn(&[u8], &[u8]) -> bool| {
            let start = text.get(..word.len());
            start.is_some_and(|start| same(start, word.as_bytes()))
        };
        let words = self
            .words
            .iter()
            .filter(move |word| begins(word, <[u8]>::eq_ignore_ascii_case));
        let own = self
            .own_arches
            .iter()
            .filter(move |word| begins(word, |start, word| start == word));
        words.chain(own).map(String::len)
    }

    /// Returns the pattern of any number of these words, each with what separates it from the next.
    pub(super) fn pattern(&self) -> String {
        let escaped = |words: &[String]| {
            let words: Vec<_> = words.iter().map(|word| regex::escape(word)).collect();
            words.join("|")
        };
        let mut any = format!("(?i:{})", escaped(&self.words));
        if !self.own_arches.is_empty() {
            any = format!("{any}|(?-i:{})", escaped(&self.own_arches));
        }
        format!("(?:(?:{any})[ _-]+)*")
    }

    /// Returns whether all that follows a pattern is known; the last word may have been cut.
    pub(super) fn know(&self, text: &str, from: usize, extent: LabelEnd) -> bool {
        let rest = text
            .get(from.min(extent.end)..extent.end)
            .unwrap_or_default();
        if self.reads(rest) {
            return true;
        }
        let before = rest.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        let last = rest[before.len()..].to_lowercase();
        let beginning = |word: &str| word.starts_with(&last);
        let mut known = self.words.iter().chain(&self.own_arches);
        extent.cut && self.reads(before) && known.any(|word| beginning(word))
    }
}

/// The words for architectures that may follow on the media of every family. `alpha` is not one of them: it is how far
/// a release has come, and DEC's machine only on media of a family that says so.
fn label_arches() -> impl Iterator<Item = &'static str> {
    arch_words().into_iter().filter(|word| *word != "alpha")
}

/// Whether a word is one for an architecture with a width glued to it that makes it another, such as `mips64`, `riscv32`
/// or `x8664`; other digits there are the number of a build.
fn names_another_width(text: &str) -> bool {
    let arches = arch_words();
    let has_no_width = |word: &str| word == "x86" || !word.contains(|c: char| c.is_ascii_digit());
    let is_another = |token: &str| {
        let token = token.to_ascii_lowercase();
        !arches.contains(&&*token)
            && arches.iter().any(|word| {
                let width = token.strip_prefix(word).filter(|_| has_no_width(word));
                matches!(width, Some("32" | "64" | "128"))
            })
    };
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_another)
}

impl LabelEnd {
    /// Tells where a text in a field of this many bytes ends. One that fills its field may have been
    /// cut; where SUSE's mastering puts a part number (`.001`) in the last four bytes, before that.
    pub(super) fn of(text: &str, width: Option<usize>) -> Self {
        let Some(width) = width.filter(|width| text.len() >= *width) else {
            return Self {
                end: text.len(),
                cut: false,
            };
        };
        let part = text.len().min(width).saturating_sub(4);
        let numbered = text.get(part..).is_some_and(|tail| {
            tail.strip_prefix('.')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        });
        Self {
            end: if numbered { part } else { text.len() },
            cut: true,
        }
    }
}

/// Returns whether a label reads like the name of a product: words with a version or an architecture among
/// them. `MYLAB` and `KS-2024` do not, `Acme Linux 7` and `ACME-7.1-x86_64` do.
pub(super) fn names_a_product(text: &str) -> bool {
    static VERSIONED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let arches = arch_words().join("|");
        Regex::new(&format!(
            "(?i)(?:^|[^A-Za-z0-9])(?:{arches})(?:[^A-Za-z]|$)\
             |[a-z]{{2}}[^0-9]*[ ._-]v?[1-9][0-9]?(?:[ ._-]|$)\
             |[a-z]{{2}}[^0-9]*[0-9]{{1,2}}[.][0-9]"
        ))
        .ok()
    });
    VERSIONED.as_ref().is_none_or(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(rest: &str, width: Option<usize>) -> bool {
        let words = ["dvd", "media", "build", "netinst"].map(str::to_owned);
        let own_arches = ["a64".to_owned()];
        let words = TrailingWords::new(words.iter(), own_arches.iter());
        words.know(rest, 0, LabelEnd::of(rest, width))
    }

    #[test]
    fn known_words_numbers_and_architectures_may_follow() {
        for (rest, expected) in [
            ("", true),
            ("-x86_64-dvd1", true),
            ("-DVD-x86_64-Build0447-Media1", true),
            (" x86_6412211", true),
            (" (20240827.1)", true),
            ("-x86_64_v2-dvd", false),
            (" Remix", false),
            ("-dvdx", false),
            ("dvd-Media", true),
            ("-mips", true),
            ("-mips64", false),
            ("-riscv32-dvd", false),
            ("-x8664", false),
            ("-aarch6464.1", true),
            ("-s390x64.1", true),
            ("-ppc64le128", true),
            ("-alpha", false),
            ("-Alpha-x86_64", false),
            ("-a64-DVD", true),
            ("-A64", false),
        ] {
            assert_eq!(known(rest, None), expected, "{rest}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_filled_as_an_expression_has_it(text in "([-_ .(é]|dvd|DVD|x86|x86_64|64|a64|A64|[a-z0-9]){0,6}") {
            let words = ["dvd", "d-v"].map(str::to_owned);
            let own_arches = ["a64".to_owned()];
            let known = TrailingWords::new(words.iter(), own_arches.iter());
            let word = known.pattern().replace("[ _-]+)*", "?[0-9]*)");
            let filled = Regex::new(&format!("^{word}(?:[^A-Za-z0-9]+{word})*$")).unwrap();
            proptest::prop_assert_eq!(known.cover(text.as_bytes()), filled.is_match(&text), "{}", text);
        }
    }

    #[test]
    fn only_the_last_word_of_a_full_field_may_be_cut() {
        for (rest, width, expected) in [
            ("-DVD-x86_6", Some(10), true),
            ("-DVD-net", Some(8), true),
            ("-DVD-net", Some(32), false),
            ("-DVD-nex", Some(8), false),
            ("-DVX-net", Some(8), false),
            ("-DVD-x86.001", Some(12), true),
        ] {
            assert_eq!(known(rest, width), expected, "{rest}");
        }
    }

    #[test]
    fn a_label_with_a_version_or_an_architecture_names_a_product() {
        for (text, expected) in [
            ("Acme Linux 7", true),
            ("ACME-Manager-4.1", true),
            ("ACME9.4", true),
            ("BACKUP_x86_64", true),
            ("ACME-Host-10-2", true),
            ("MYLAB", false),
            ("CDROM", false),
            ("KS-2024", false),
            ("20240101", false),
            ("ROCKY9KS", false),
        ] {
            assert_eq!(names_a_product(text), expected, "{text}");
        }
    }
}
