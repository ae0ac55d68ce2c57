//! Until when an index of apt's counts: `Valid-Until`, after which apt refuses it.
//!
//! A directory with a `Release` comes in; when it ended goes out, if it has. It is for mirrors, which are brought up to
//! date: somebody who answers in a mirror's place with an old state of it keeps nodes from updates for so long at most. A
//! medium stays as it is, and what the site signs of it has no end.

use std::fs::File;
use std::path::Path;

use repodata::{AptRelease, Input};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Reads the `Release` of a suite; one that is damaged says nothing.
pub(super) fn load_release(path: &Path) -> Option<AptRelease> {
    let input = Input::plain(&path.display().to_string(), File::open(path).ok()?);
    input.and_then(AptRelease::read).ok()
}

/// Returns until when the index in a directory counted, if apt refuses it now.
pub(super) fn ended(directory: &Path) -> Option<String> {
    let release = ["InRelease", "Release"]
        .iter()
        .find_map(|name| load_release(&directory.join(name)))?;
    let text = release.valid_until?;
    is_before(&text, OffsetDateTime::now_utc()).then_some(text)
}

/// Whether a date of apt's is over; one that cannot be read is apt's to refuse.
fn is_before(date: &str, now: OffsetDateTime) -> bool {
    let date = date.replace("UTC", "+0000");
    OffsetDateTime::parse(&date, &Rfc2822).is_ok_and(|end| end < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_ends_when_it_says() {
        let now = OffsetDateTime::from_unix_timestamp(1_757_000_000).unwrap(); // 4 September 2025
        for (date, expected) in [
            ("Thu, 04 Sep 2025 00:00:00 UTC", true),
            ("Thu, 04 Sep 2025 00:00:00 GMT", true),
            ("Thu, 04 Sep 2025 00:00:00 +0000", true),
            ("Thu, 4 Sep 2025 00:00:00 UTC", true),
            ("Fri, 05 Sep 2025 00:00:00 UTC", false),
            ("soon", false),
        ] {
            assert_eq!(is_before(date, now), expected, "{date}");
        }
    }
}
