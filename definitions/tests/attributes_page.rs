//! The page of attributes, docs/attributes.md, against the schema.

use std::collections::BTreeSet;

use definitions::ObjectKind;

const PAGE: &str = include_str!("../../docs/attributes.md");

/// Returns the rows of a section's tables: the attribute, and who reads it.
fn rows(section: &str) -> Vec<(&'static str, &'static str)> {
    let rest = PAGE.split(&format!("\n## {section}\n")).nth(1);
    let text = rest.and_then(|rest| rest.split("\n## ").next());
    let row = |line: &'static str| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        let readers = line.trim_end_matches(" |").rsplit("| ").next()?;
        Some((name, readers))
    };
    text.unwrap_or_default().lines().filter_map(row).collect()
}

#[test]
fn the_page_has_every_attribute_and_no_other() {
    for (section, kind) in [
        ("Nodes and groups", ObjectKind::Node),
        ("Osimages", ObjectKind::OsImage),
        ("Networks", ObjectKind::Network),
        ("The site", ObjectKind::Site),
    ] {
        let page: BTreeSet<_> = rows(section).into_iter().map(|(name, _)| name).collect();
        let schema: BTreeSet<_> = kind.attributes().iter().map(|known| known.name).collect();
        assert_eq!(page, schema, "{section}");
    }
}

#[test]
fn the_page_counts_right_what_nothing_reads() {
    let flat = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for (section, before, after) in [
        ("Nodes and groups", "", " attributes of nodes are such"),
        ("Osimages", "", " of osimages"),
        ("Networks", "", " of networks"),
        ("The site", "and ", " of the site."),
    ] {
        let rows = rows(section);
        let unread = rows.iter().filter(|(_, readers)| *readers == "—").count();
        let count = format!("{before}{unread} of {}{after}", rows.len());
        assert!(flat.contains(&count), "the page does not say '{count}'");
    }
}
