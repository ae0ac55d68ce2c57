//! What marks enclose, and where: enough of tera's syntax to cut a template in pieces, no more.

/// The marks of what does something.
pub(super) const STATEMENT: (&str, &str) = ("<%", "%>");
/// The marks of what writes a value.
pub(super) const VALUE: (&str, &str) = ("<@", "@>");
/// The marks of a comment.
pub(super) const COMMENT: (&str, &str) = ("<#", "#>");

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentKind {
    /// Written unchanged.
    Text,
    /// Does something.
    Statement,
    /// Writes a value.
    Value,
    /// Nothing.
    Comment,
}

/// A piece of a template, with its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// What it is.
    pub(super) kind: SegmentKind,
    /// All of it.
    pub(super) text: &'a str,
    /// The line that it begins on, from 1.
    pub(super) line: usize,
}

impl<'a> Segment<'a> {
    /// Returns the text between the marks.
    pub(super) fn inner(&self) -> &'a str {
        if self.kind == SegmentKind::Text {
            return self.text;
        }
        let inner = self.text.get(2..).unwrap_or_default();
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let inner = inner
            .get(..inner.len().saturating_sub(2))
            .unwrap_or_default();
        inner.strip_suffix('-').unwrap_or(inner)
    }

    #[cfg(test)]
    fn is_closed(&self) -> bool {
        let (start, end) = match self.kind {
            SegmentKind::Text => return true,
            SegmentKind::Statement => STATEMENT,
            SegmentKind::Value => VALUE,
            SegmentKind::Comment => COMMENT,
        };
        self.text.len() >= start.len() + end.len() && self.text.ends_with(end)
    }

    fn is_mark(&self) -> bool {
        matches!(self.kind, SegmentKind::Statement | SegmentKind::Comment)
    }
}

/// Cuts a template in pieces; text is cut after each newline too. A mark that is not closed reaches to
/// the end, which tera refuses.
pub(super) fn segments(template: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let (mut rest, mut line) = (template, 1);
    while !rest.is_empty() {
        let (kind, length) = match opened(rest) {
            Some((kind, end)) => (kind, closed(rest, kind, end)),
            None => (SegmentKind::Text, text_length(rest)),
        };
        let (text, rest_after) = rest.split_at(length);
        segments.push(Segment { kind, text, line });
        line += text.matches('\n').count();
        rest = rest_after;
    }
    segments
}

fn opened(rest: &str) -> Option<(SegmentKind, &'static str)> {
    [
        (SegmentKind::Statement, STATEMENT),
        (SegmentKind::Value, VALUE),
        (SegmentKind::Comment, COMMENT),
    ]
    .into_iter()
    .find_map(|(kind, (start, end))| rest.starts_with(start).then_some((kind, end)))
}

/// Finds the length of what a mark encloses; quotes hide the end from all but comments.
fn closed(rest: &str, kind: SegmentKind, end: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(2) {
        if let Some(open) = quote {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if character == open => quote = None,
                _ => {}
            }
        } else if rest[at..].starts_with(end) {
            return at + end.len();
        } else if kind != SegmentKind::Comment && matches!(character, '"' | '\'' | '`') {
            quote = Some(character);
        }
    }
    rest.len()
}

fn text_length(rest: &str) -> usize {
    rest.char_indices()
        .find_map(|(at, character)| match character {
            '\n' => Some(at + 1),
            '<' if opened(&rest[at..]).is_some() => Some(at),
            _ => None,
        })
        .unwrap_or(rest.len())
}

/// Moves the end of a line that holds nothing but marks into the last of them, where it is not written:
/// statements are on lines of their own and leave no empty ones, and lines keep their numbers.
pub(super) fn without_marker_lines(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let segments = segments(template);
    for line in segments.split_inclusive(|segment| {
        segment.kind == SegmentKind::Text && segment.text.ends_with('\n')
    }) {
        let marks = line.iter().filter(|segment| segment.is_mark());
        let bare = line.iter().all(|segment| {
            segment.is_mark()
                || (segment.kind == SegmentKind::Text && segment.text.trim().is_empty())
        });
        match marks.clone().count() {
            count if count > 0 && bare => {
                let ended = line
                    .last()
                    .is_some_and(|segment| segment.text.ends_with('\n'));
                for (at, mark) in marks.enumerate() {
                    let last = ended && at + 1 == count;
                    out.push_str(&if last {
                        with_newline(mark.text)
                    } else {
                        mark.text.to_owned()
                    });
                }
            }
            _ => line.iter().for_each(|segment| out.push_str(segment.text)),
        }
    }
    out
}

/// Puts a newline before the closing mark, if there is one.
fn with_newline(mark: &str) -> String {
    let ends = [STATEMENT.1, COMMENT.1];
    let Some(end) = ends.into_iter().find(|end| mark.ends_with(end)) else {
        return mark.to_owned();
    };
    let inner = &mark[..mark.len() - end.len()];
    let (inner, dash) = match inner.strip_suffix('-') {
        Some(inner) => (inner, "-"),
        None => (inner, ""),
    };
    format!("{inner}\n{dash}{end}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_nothing_but_marks_leaves_no_line() {
        let cases = [
            (
                "a\n<% if x %>\nb\n<% endif %>\n",
                "a\n<% if x \n%>b\n<% endif \n%>",
            ),
            ("  <% if x %> <# why #>\n", "<% if x %><# why \n#>"),
            ("<% if x -%>\nb", "<% if x \n-%>b"),
            ("<# one\ntwo #>\nb", "<# one\ntwo \n#>b"),
            ("a <% if x %>\n", "a <% if x %>\n"),
            ("<@ x @>\n", "<@ x @>\n"),
            ("<% include 'a %> b' %>\n", "<% include 'a %> b' \n%>"),
            ("read x <file\n", "read x <file\n"),
            ("<% endif %>", "<% endif %>"),
        ];
        for (template, expected) in cases {
            assert_eq!(without_marker_lines(template), expected);
        }
    }

    #[test]
    fn pieces_know_their_lines() {
        let segments = segments("a\nb <@ x @>\n<# c\nd #>\n<% e");
        let seen: Vec<_> = segments.iter().map(|p| (p.kind, p.text, p.line)).collect();
        let expected = [
            (SegmentKind::Text, "a\n", 1),
            (SegmentKind::Text, "b ", 2),
            (SegmentKind::Value, "<@ x @>", 2),
            (SegmentKind::Text, "\n", 2),
            (SegmentKind::Comment, "<# c\nd #>", 3),
            (SegmentKind::Text, "\n", 4),
            (SegmentKind::Statement, "<% e", 5),
        ];
        assert_eq!(seen, expected);
    }

    proptest! {
        #[test]
        fn pieces_are_the_template_and_lines_keep_their_numbers(text in "(<%|%>|<@|@>|<#|#>|'|\"|-|é| |x|\n){0,24}") {
            let all: String = segments(&text).iter().map(|segment| segment.text).collect();
            prop_assert_eq!(&all, &text);
            let lines = |text: &str| text.matches('\n').count();
            // Of a mark that is not closed nothing is promised but that it is refused.
            let closed = segments(&text).iter().all(|segment| segment.is_closed());
            prop_assert!(!closed || lines(&without_marker_lines(&text)) == lines(&text));
        }
    }
}
