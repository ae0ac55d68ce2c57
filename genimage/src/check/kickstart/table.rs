//! What each release's commands and sections take: facts, as data.
//!
//! `table.tsv` is written by `tests/check/kickstart-table.py`. A line has six fields: a command or section;
//! one of its options, or nothing; how many words a command takes (`1-1`, `2-*`) or what the option takes
//! (`flag`, `value`, `optional`, `int`, `bool`, or the values themselves, after a `~` in any case); more
//! about it, a word each; the majors of EL, then the releases of Fedora that say so.

use std::sync::LazyLock;

use definitions::Distro;

use crate::installer::DistroFamily;

static TABLE: LazyLock<CommandTable> =
    LazyLock::new(|| CommandTable::parse(include_str!("table.tsv")));

/// A release as far as kickstart tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KickstartRelease {
    family: DistroFamily,
    number: u16,
}

impl KickstartRelease {
    /// Tells the release; one newer than the table speaks as the newest in it, one older is not known.
    pub(super) fn of(distro: &Distro) -> Option<Self> {
        let family = DistroFamily::of(distro).ok()?;
        let (oldest, newest) = TABLE.span(family)?;
        let number = distro.major().parse().unwrap_or(u16::MAX); // rawhide
        (number >= oldest).then_some(Self {
            family,
            number: number.min(newest),
        })
    }

    fn with(self, number: u16) -> Self {
        Self { number, ..self }
    }
}

impl std::fmt::Display for KickstartRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.family {
            DistroFamily::Fedora => "Fedora",
            _ => "EL",
        };
        write!(f, "{name} {}", self.number)
    }
}

/// Every command and section, in order.
#[derive(Debug)]
struct CommandTable {
    commands: Vec<KickstartCommand>,
}

/// A command or a section of any release.
#[derive(Debug, Default)]
pub(super) struct KickstartCommand {
    pub(super) name: &'static str,
    syntaxes: Vec<CommandSyntax>,
    options: Vec<CommandOption>,
}

/// What some releases say of a command.
#[derive(Debug, Default)]
pub(super) struct CommandSyntax {
    releases: ReleaseRanges,
    /// How many words it takes that are no options.
    pub(super) words: (usize, usize),
    pub(super) constraints: Constraints,
}

/// What some releases say of an option.
#[derive(Debug)]
pub(super) struct CommandOption {
    pub(super) name: &'static str,
    pub(super) takes: OptionValue,
    pub(super) constraints: Constraints,
    releases: ReleaseRanges,
}

/// What an option takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OptionValue {
    Flag,
    Value,
    /// A value only after `=` or where the next word is no option.
    Optional,
    Int,
    Bool,
    OneOf {
        values: Vec<&'static str>,
        any_case: bool,
    },
}

/// More about a command or an option.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    /// It does nothing any more.
    pub(super) deprecated: bool,
    /// A second one replaces the first.
    pub(super) single: bool,
    /// The table does not describe what follows it.
    pub(super) opaque: bool,
    /// Commands that conflict with it.
    pub(super) conflicts: Vec<&'static str>,
    /// Options of which one is required where no word is given.
    pub(super) needs: Vec<&'static str>,
    /// Pairs of options that exclude each other.
    pub(super) exclusive: Vec<(&'static str, &'static str)>,
    /// The first name of the option, where it is required.
    pub(super) required: Option<&'static str>,
    /// Options of which one has to be given with it.
    pub(super) with: Vec<&'static str>,
}

/// The releases that a line of the table holds for.
#[derive(Debug, Default)]
struct ReleaseRanges {
    el: Vec<(u16, u16)>,
    fedora: Vec<(u16, u16)>,
}

impl ReleaseRanges {
    fn of(&self, family: DistroFamily) -> &[(u16, u16)] {
        match family {
            DistroFamily::Rh => &self.el,
            DistroFamily::Fedora => &self.fedora,
            _ => &[],
        }
    }

    fn contain(&self, release: KickstartRelease) -> bool {
        let mut ranges = self.of(release.family).iter();
        ranges.any(|(low, high)| (*low..=*high).contains(&release.number))
    }
}

/// Finds a command or a section, whichever releases know it.
pub(super) fn command(name: &str) -> Option<&'static KickstartCommand> {
    let commands = &TABLE.commands;
    let found = commands.binary_search_by_key(&name, |command| command.name);
    found.ok().map(|at| &commands[at])
}

/// Returns the commands of a release, or its sections.
pub(super) fn names(
    release: KickstartRelease,
    sections: bool,
) -> impl Iterator<Item = &'static str> {
    let all = TABLE.commands.iter();
    all.filter(move |command| command.name.starts_with('%') == sections)
        .filter(move |command| command.syntax(release).is_some())
        .map(|command| command.name)
}

impl KickstartCommand {
    /// Returns what a release says of it.
    pub(super) fn syntax(&self, release: KickstartRelease) -> Option<&CommandSyntax> {
        self.syntaxes
            .iter()
            .find(|syntax| syntax.releases.contain(release))
    }

    /// Returns the options of a release.
    pub(super) fn options(
        &self,
        release: KickstartRelease,
    ) -> impl Iterator<Item = &CommandOption> {
        let all = self.options.iter();
        all.filter(move |option| option.releases.contain(release))
    }

    /// Tells when a release knew it that this one is not: `EL 8 was the last that knew it`.
    pub(super) fn known_in(&self, release: KickstartRelease) -> Option<String> {
        known_in(self.syntaxes.iter().map(|syntax| &syntax.releases), release)
    }

    /// Tells when a release knew an option that this one does not know.
    pub(super) fn option_known_in(
        &self,
        option: &str,
        release: KickstartRelease,
    ) -> Option<String> {
        let same = self.options.iter().filter(|known| known.name == option);
        known_in(same.map(|option| &option.releases), release)
    }
}

fn known_in<'a>(
    releases: impl Iterator<Item = &'a ReleaseRanges>,
    release: KickstartRelease,
) -> Option<String> {
    let ranges: Vec<_> = releases.flat_map(|all| all.of(release.family)).collect();
    let before = ranges.iter().filter(|range| range.1 < release.number);
    let after = ranges.iter().filter(|range| range.0 > release.number);
    let last = before.map(|range| range.1).max();
    let first = after.map(|range| range.0).min();
    let last = last.map(|last| format!("{} was the last that had it", release.with(last)));
    last.or_else(|| Some(format!("{} is the first that has it", release.with(first?))))
}

impl CommandTable {
    fn parse(text: &'static str) -> Self {
        let mut commands: Vec<KickstartCommand> = Vec::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let mut field = || fields.next().unwrap_or_default();
            let (name, option, takes, constraints) =
                (field(), field(), field(), Constraints::parse(field()));
            let releases = ReleaseRanges {
                el: ranges(field()),
                fedora: ranges(field()),
            };
            if commands.last().is_none_or(|last| last.name != name) {
                commands.push(KickstartCommand {
                    name,
                    ..KickstartCommand::default()
                });
            }
            let Some(command) = commands.last_mut() else {
                continue;
            };
            match option {
                "" => command.syntaxes.push(CommandSyntax {
                    releases,
                    words: count(takes),
                    constraints,
                }),
                name => command.options.push(CommandOption {
                    name,
                    takes: OptionValue::parse(takes),
                    constraints,
                    releases,
                }),
            }
        }
        Self { commands }
    }

    /// The oldest and the newest release of a family that the table knows.
    fn span(&self, family: DistroFamily) -> Option<(u16, u16)> {
        let syntaxes = self.commands.iter().flat_map(|command| &command.syntaxes);
        let all: Vec<_> = syntaxes
            .flat_map(|syntax| syntax.releases.of(family))
            .collect();
        let oldest = all.iter().map(|range| range.0).min()?;
        Some((oldest, all.iter().map(|range| range.1).max()?))
    }
}

impl OptionValue {
    fn parse(text: &'static str) -> Self {
        match text {
            "flag" => Self::Flag,
            "value" => Self::Value,
            "optional" => Self::Optional,
            "int" => Self::Int,
            "bool" => Self::Bool,
            other => Self::OneOf {
                values: other.trim_start_matches('~').split('|').collect(),
                any_case: other.starts_with('~'),
            },
        }
    }
}

impl Constraints {
    fn parse(text: &'static str) -> Self {
        let mut constraints = Self::default();
        for word in text.split(' ') {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let values = || value.split('|').collect();
            match name {
                "deprecated" => constraints.deprecated = true,
                "single" => constraints.single = true,
                "opaque" => constraints.opaque = true,
                "conflicts" => constraints.conflicts = values(),
                "needs" => constraints.needs = values(),
                "with" => constraints.with = values(),
                "required" => constraints.required = Some(value),
                "apart" => {
                    let pairs = value.split('|').filter_map(|pair| pair.split_once('+'));
                    constraints.exclusive = pairs.collect();
                }
                _ => {}
            }
        }
        constraints
    }
}

/// Reads `1-2` and `2-*`.
fn count(text: &str) -> (usize, usize) {
    let (least, most) = text.split_once('-').unwrap_or((text, "*"));
    let number = |text: &str, otherwise| text.parse().unwrap_or(otherwise);
    (number(least, 0), number(most, usize::MAX))
}

/// Reads `7-9,11`.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let pair = |range: &str| {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        Some((low.parse().ok()?, high.parse().ok()?))
    };
    text.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Option<KickstartRelease> {
        KickstartRelease::of(&name.parse().unwrap())
    }

    #[test]
    fn the_table_is_in_order_and_every_line_of_it_is_understood() {
        assert!(TABLE.commands.is_sorted_by_key(|command| command.name));
        assert!(TABLE.commands.len() > 80);
        for line in include_str!("table.tsv").lines() {
            let fields: Vec<_> = line.split('\t').collect();
            assert_eq!(fields.len(), 6, "{line}");
            let known = fields[3].split(' ').all(|word| {
                let names = [
                    "",
                    "deprecated",
                    "single",
                    "opaque",
                    "conflicts",
                    "needs",
                    "with",
                    "required",
                    "apart",
                ];
                names.contains(&word.split('=').next().unwrap_or_default())
            });
            assert!(known, "{line}");
            let releases = ranges(fields[4]).len() + ranges(fields[5]).len();
            assert!(releases > 0, "{line}");
        }
    }

    #[test]
    fn a_release_is_known_by_family_and_number() {
        for (name, expected) in [
            ("rocky9.4", "EL 9"),
            ("centos-stream10", "EL 10"),
            ("ol7.9", "EL 7"),
            ("fedora42", "Fedora 42"),
        ] {
            assert_eq!(release(name).unwrap().to_string(), expected);
        }
        let newest = release("fedorarawhide").unwrap();
        assert!(newest.number >= 42 && newest == release("fedora900").unwrap());
        assert_eq!((release("centos6.9"), release("debian12.1")), (None, None));
    }

    #[test]
    fn what_another_release_knew_is_reported() {
        let nine = release("rocky9.4").unwrap();
        let message = |name: &str| command(name).unwrap().known_in(nine);
        assert_eq!(message("install").unwrap(), "EL 8 was the last that had it");
        assert_eq!(message("bootc").unwrap(), "EL 10 is the first that has it");
    }
}
