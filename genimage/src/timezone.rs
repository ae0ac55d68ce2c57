//! Whether time zones exist, the site's and those of its own templates: the management node's time zone database says so.
//!
//! Reference: tzfile(5). A zone is a file below the database's directory that begins with `TZif`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::check::{self, Findings};
use crate::installer::InstallerKind;
use crate::problem::{FileLine, Problem};

/// Where Debian, Ubuntu, the RHEL family and SUSE keep the database.
pub(crate) const DATABASE: &str = "/usr/share/zoneinfo";

/// Checks a site's time zone against the database; a note where there is none to ask.
///
/// # Errors
/// A zone that the database does not have.
pub(crate) fn check(database: &Path, zone: &str) -> Result<Option<Problem>, Problem> {
    if !database.is_dir() {
        return Ok(Some(Problem::new(format!(
            "the site's timezone={zone} is not looked up: {} is not here; the package tzdata brings it",
            database.display()
        ))));
    }
    if is_zone(database, zone) {
        Ok(None)
    } else {
        Err(Problem::new(format!(
            "the site's timezone={zone} does not exist: `timedatectl list-timezones` lists them; write it with its \
             capitals, as in Europe/Berlin"
        )))
    }
}

/// Checks the time zones that a site's own template writes into an installer's file; `checked` is the site's.
pub(crate) fn check_file(
    database: &Path,
    installer: InstallerKind,
    (name, text): (&str, &str),
    checked: &str,
) -> Findings {
    let mut findings = Findings::default();
    for (line, zone) in check::time_zones(installer, text) {
        if zone == checked || is_zone(database, &zone) {
            continue;
        }
        let place = FileLine {
            file: name.into(),
            line,
        };
        let zone = zone.escape_debug();
        if database.is_dir() {
            let message = format!(
                "the time zone '{zone}' does not exist: `timedatectl list-timezones` lists them"
            );
            findings.problems.push(Problem::at(place, message));
        } else {
            let message = format!(
                "the time zone '{zone}' is not looked up: {} is not here; the package tzdata brings it",
                database.display()
            );
            findings.notes.push(Problem::at(place, message));
        }
    }
    findings
}

fn is_zone(database: &Path, zone: &str) -> bool {
    let part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        !part.is_empty() && part.chars().all(allowed)
    };
    let mut magic = [0; 4];
    let mut read = || File::open(database.join(zone))?.read_exact(&mut magic);
    // zones with leap seconds, copies, and names that are no place; no node should have these
    let first = zone.split('/').next().unwrap_or_default();
    let is_place = !["posix", "right", "localtime", "posixrules", "Factory"].contains(&first);
    is_place && zone.split('/').all(part) && read().is_ok() && magic == *b"TZif"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_zone_is_one_of_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path();
        for (name, text) in [
            ("Europe/Berlin", "TZif2"),
            ("Etc/GMT+1", "TZif2"),
            ("zone.tab", "# x"),
            ("leapseconds", "no zone"),
            ("localtime", "TZif2"),
            ("right/UTC", "TZif2"),
        ] {
            let path = database.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (zone, expected) in [
            ("Europe/Berlin", true),
            ("Etc/GMT+1", true),
            ("Europe/Berln", false),
            ("europe/berlin", false),
            ("Europe", false),
            ("", false),
            ("leapseconds", false),
            ("localtime", false),
            ("right/UTC", false),
            ("zone.tab", false),
            ("Europe/../Europe/Berlin", false),
            ("/Europe/Berlin", false),
        ] {
            assert_eq!(is_zone(database, zone), expected, "{zone}");
        }
        let note = check(&database.join("none"), "Europe/Berln")
            .unwrap()
            .unwrap();
        assert!(note.to_string().contains("is not looked up"), "{note}");
        assert_eq!(
            check(database, "Europe/Berln").unwrap_err().to_string(),
            "the site's timezone=Europe/Berln does not exist: `timedatectl list-timezones` lists them; write it with \
             its capitals, as in Europe/Berlin"
        );
    }
    #[test]
    fn a_zone_in_a_file_is_reported_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("UTC"), "TZif2").unwrap();
        let text =
            "d-i time/zone string UTC\nd-i time/zone string Mars/A\nd-i time/zone string Site/X\n";
        let found = |database: &Path| {
            check_file(
                database,
                InstallerKind::Preseed,
                ("preseed.cfg", text),
                "Site/X",
            )
        };
        let shown =
            |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let Findings { problems, notes } = found(directory.path());
        assert_eq!(
            shown(problems),
            [
                "preseed.cfg:2: the time zone 'Mars/A' does not exist: `timedatectl list-timezones` lists them"
            ]
        );
        assert_eq!(notes, []);
        let Findings { problems, notes } = found(&directory.path().join("none"));
        assert_eq!((problems.len(), notes.len()), (0, 2), "{notes:?}");
    }
}
