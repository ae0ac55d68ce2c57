//! Texts of others on their way to a terminal or into a document: media and nodes say what they like.
//!
//! A text comes in; the same text goes out, with every character that does something to a terminal, or to how a
//! line reads, in the escaped form that JSON has for it (RFC 8259 §7): a document stays the document that it is.
//! Controls of both sets (ISO/IEC 6429) move the cursor and set colours; marks of direction turn what follows them
//! around (Unicode Annex 9); the others have no width, and make two names look like one. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Says whether a character does something else than to be seen.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Makes a text that can be shown; `keep` is the one control that stays: the end of a line in texts of several
/// lines and in documents, a tab within a line.
pub fn escaped(text: &str, keep: char) -> Cow<'_, str> {
    let acts = |c: char| c != keep && acts(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !acts(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_passes_and_all_else_does() {
        for (text, keep, expected) in [
            ("plain\tand é 漢", '\t', "plain\tand é 漢"),
            ("a\tb", '\n', "a\\tb"),
            ("\x1b[2Jgone\x07", '\t', "\\u001b[2Jgone\\u0007"),
            ("n1\nn2: ok", '\t', "n1\\nn2: ok"),
            ("n1\nn2: ok", '\n', "n1\nn2: ok"),
            ("10%\r20%", '\n', "10%\\r20%"),
            ("\u{9b}2J\u{7f}", '\t', "\\u009b2J\\u007f"),
            (
                "\u{61c}\u{200b}\u{202e}ko :2n\u{2066}\u{2028}\u{feff}",
                '\t',
                "\\u061c\\u200b\\u202eko :2n\\u2066\\u2028\\ufeff",
            ),
        ] {
            assert_eq!(escaped(text, keep), expected);
        }
    }
}
