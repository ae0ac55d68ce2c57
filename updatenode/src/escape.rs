//! The one place through which what a node says goes on its way to a terminal or a document.
//!
//! A text comes in; the same text goes out, with every character that would do something to a terminal in its
//! escaped form: controls of both sets (ISO/IEC 6429), which move the cursor, and those that turn the direction of
//! what is read (Unicode Annex 9). Nothing else is changed.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Says whether a character does something else than to be seen.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\t')
}

/// Makes a line that can be shown of what a node says.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, acts, |escaped, c| {
        let _ = write!(escaped, "{}", c.escape_default());
    })
}

/// Makes a document that can be shown of JSON: such characters stand in its strings alone, where they may be escaped.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let acts = |c: char| acts(c) && c != '\n';
    escaped(text, acts, |escaped, c| {
        let _ = write!(escaped, "\\u{:04x}", u32::from(c));
    })
}

fn escaped(
    text: &str,
    acts: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match acts(c) {
            true => escape(&mut escaped, c),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_passes_and_all_else_does() {
        for (text, expected) in [
            ("plain\tand é 漢", "plain\tand é 漢"),
            ("\x1b[2Jgone\x07", "\\u{1b}[2Jgone\\u{7}"),
            ("n1\nn2: ok", "n1\\nn2: ok"),
            ("10%\r20%", "10%\\r20%"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            (
                "\u{202e}ko :2n\u{2066}\u{2028}",
                "\\u{202e}ko :2n\\u{2066}\\u{2028}",
            ),
        ] {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn a_document_says_the_same_when_it_is_escaped() {
        let value =
            serde_json::json!({ "output": ["\u{1b}[1m\u{9b}\u{7f}\u{202e}\n\tx"], "code": 1 });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&text);
        assert!(!shown.contains(|c| acts(c) && c != '\n'), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
