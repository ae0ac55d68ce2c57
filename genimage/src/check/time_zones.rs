//! The time zones that an installer's file names.
//!
//! The text of a file comes in; each zone goes out with its line. Whether a zone exists is not known here. What is not
//! well-formed is reported by the file's own check, and nothing comes out of it here. References: debian-installer's
//! tzsetup; kickstart's `timezone`; AutoYaST guide; Agama's profile schema; autoinstall reference manual; cloud-init's
//! module timezone.

use super::findings::FindingsBuilder;
use super::kickstart::words::split;
use super::preseed::{AnswerType, LogicalLines, PreseedAnswer};
use super::value::{SpannedValue, ValueKind};
use super::{json, xml, yaml};
use crate::installer::InstallerKind;

/// The keys of the maps in which `timezone` is a zone; the outermost map has none.
const MAPS: [&str; 6] = [
    "",
    "autoinstall",
    "user-data",
    "timezone",
    "localization",
    "l10n",
];
/// What Ubuntu's installer takes besides: the zone of the node's address, or of the live system.
const CHOSEN_ON_NODE: [&str; 2] = ["geoip", ""];

/// Lists the zones of a file, each with its line.
pub(crate) fn time_zones(installer: InstallerKind, text: &str) -> Vec<(usize, String)> {
    let mut zones = Vec::new();
    let mut ignored = FindingsBuilder::of("");
    match installer {
        InstallerKind::Preseed => preseed(text, &mut zones),
        InstallerKind::Kickstart => kickstart(text, &mut zones),
        InstallerKind::Autoyast => {
            if let Some(root) = xml::parse(text, &mut ignored) {
                walk(&root.value, "", &mut zones);
            }
        }
        InstallerKind::Agama => {
            if let Ok(value) = json::parse(text) {
                walk(&value, "", &mut zones);
            }
        }
        InstallerKind::Autoinstall => {
            if let Ok(Some(value)) = yaml::parse(text) {
                walk(&value, "", &mut zones);
            }
            zones.retain(|(_, zone)| !CHOSEN_ON_NODE.contains(&zone.as_str()));
        }
        InstallerKind::Netboot => {}
    }
    zones
}

fn preseed(text: &str, zones: &mut Vec<(usize, String)>) {
    let mut lines = LogicalLines::new(text);
    let mut ignored = FindingsBuilder::of("");
    while let Some(line) = lines.next(&mut ignored) {
        let answer = PreseedAnswer::split(&line.text);
        let answer = answer
            .filter(|answer| answer.template == "time/zone" && answer.kind != AnswerType::Seen);
        zones.extend(answer.map(|answer| (line.number, answer.value.trim().to_owned())));
    }
}

fn kickstart(text: &str, zones: &mut Vec<(usize, String)>) {
    let mut in_section = false;
    for (number, line) in (1..).zip(text.lines()) {
        let begin = line.trim_start();
        if begin.starts_with("%end") {
            in_section = false;
        } else if begin.starts_with('%') && !begin.starts_with("%include") {
            in_section = true;
        } else if !in_section && begin.starts_with("timezone") {
            let words = split(line).unwrap_or_default();
            let mut words = words.iter().skip(1);
            let zone = words.find(|word| !word.starts_with("--"));
            zones.extend(zone.map(|zone| (number, zone.to_string())));
        }
    }
}

/// Finds the zones in a value, whose key is `of`.
fn walk(value: &SpannedValue<'_>, of: &str, zones: &mut Vec<(usize, String)>) {
    for entry in value.entries() {
        match &entry.value.kind {
            ValueKind::String(zone) if entry.key == "timezone" && MAPS.contains(&of) => {
                zones.push((entry.line, zone.trim().to_owned()));
            }
            _ if MAPS.contains(&entry.key.as_ref()) => walk(&entry.value, &entry.key, zones),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_installer_s_zones_are_found_with_their_lines() {
        for (installer, text, expected) in [
            (
                InstallerKind::Preseed,
                "# d-i time/zone string Mars/A\nd-i time/zone string Mars/B\nd-i time/zone \\\n string Mars/C\n\
                 d-i time/zone seen true\n",
                &[(2, "Mars/B"), (3, "Mars/C")][..],
            ),
            (
                InstallerKind::Kickstart,
                "timezone --utc 'Mars/A' --ntpservers=a\n%pre\ntimezone Mars/B\n%end\n  timezone Mars/C # x\n",
                &[(1, "Mars/A"), (5, "Mars/C")],
            ),
            (
                InstallerKind::Autoyast,
                "<profile>\n<timezone><hwclock>UTC</hwclock>\n<timezone>Mars/A</timezone></timezone>\n\
                 <files><file><timezone>no zone</timezone></file></files></profile>",
                &[(3, "Mars/A")],
            ),
            (
                InstallerKind::Agama,
                "{\"l10n\": {\"timezone\": \"Mars/A\"},\n\"localization\": {\"timezone\": \"Mars/B\"},\n\
                 \"scripts\": {\"timezone\": \"x\"}}",
                &[(1, "Mars/A"), (2, "Mars/B")],
            ),
            (
                InstallerKind::Autoinstall,
                "autoinstall:\n  timezone: Mars/A\n  user-data:\n    timezone: Mars/B\n    ntp: {timezone: x}\n\
                 timezone: geoip\n",
                &[(2, "Mars/A"), (4, "Mars/B")],
            ),
            (InstallerKind::Autoinstall, "a: [\n", &[]),
        ] {
            let found = time_zones(installer, text);
            let expected: Vec<_> = expected
                .iter()
                .map(|(line, zone)| (*line, (*zone).to_owned()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
