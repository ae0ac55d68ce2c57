//! From evidence to statements: what each file says in its own format, before any rule reads it.
//!
//! The formats are those of `.disk/info` (debian-cd, ubuntu-cdimage), `.treeinfo` (productmd), the
//! four lines of `.discinfo` (anaconda), `media.N/` and `content` (SUSE), `dists/*/Release` (apt).
//! Nothing here knows a distribution.

use definitions::Arch;

use super::arch_words::arch_of;
use super::evidence::Evidence;
use super::finding::{DiscNumber, clean};
use super::release_files::ReleaseFile;
use super::source::FindingSource;
use super::treeinfo;

/// One text about the product, with what its file says beside it in fixed places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ReleaseStatement {
    pub(super) source: FindingSource,
    pub(super) text: String,
    pub(super) kind: StatementKind,
    /// Architectures that the format names in a place of their own.
    pub(super) arches: Vec<Arch>,
    /// A word in that place that has no [`Arch`].
    pub(super) other_arch: Option<String>,
    pub(super) codename: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) disc: Option<DiscNumber>,
    /// Texts of which one is enough to read the statement, where it lists the variants of a tree.
    pub(super) alternatives: Vec<String>,
}

/// Which patterns read a statement, and what it means when none does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum StatementKind {
    /// A volume descriptor's field of this many bytes, in which a text may be cut: unread, it counts
    /// against every family if it names a version or an architecture.
    Field(usize),
    /// A field that only distinguishes other systems.
    Ids,
    /// A product that names itself: unread, it counts against every family.
    #[default]
    Product,
    /// The line of `.disk/info`; likewise.
    DiskInfo,
    /// Origin and version of a package archive; likewise.
    Release,
}

impl StatementKind {
    /// Returns how many bytes its field has, where it is one.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::Field(width) => Some(width),
            _ => None,
        }
    }
}

/// Collects every statement of a medium, the most telling first.
pub(super) fn statements(evidence: &Evidence) -> Vec<ReleaseStatement> {
    let mut all = Vec::new();
    for path in evidence.files.keys() {
        let Some(text) = evidence.text(path) else {
            continue;
        };
        let Some(file) = ReleaseFile::at(path) else {
            continue;
        };
        // no format has a NUL: what is beside one would be read as something else
        if text.contains('\0') {
            all.push(with_nuls(path, &text));
            continue;
        }
        let found = match file {
            ReleaseFile::DiskInfo => disk_info(path, &text),
            ReleaseFile::DiskDefines => diskdefines(path, &text),
            ReleaseFile::Treeinfo => treeinfo::statements(path, &text),
            ReleaseFile::Discinfo => discinfo(path, &text),
            ReleaseFile::MediaRepo => media_repo(path, &text),
            ReleaseFile::SuseContent => content(path, &text),
            ReleaseFile::SuseMedia { disc } => media(path, &text, disc),
            ReleaseFile::SuseBuild => build(path, &text),
            ReleaseFile::AptRelease => release(path, &text),
        };
        let names_product = found.iter().any(|statement| !statement.text.is_empty());
        all.extend(found);
        // an archive of a live medium has a suite alone
        if !names_product && file != ReleaseFile::AptRelease {
            all.extend(unread(path, &text));
        }
    }
    all.extend(fields(evidence));
    all.retain(|statement| {
        !statement.text.is_empty()
            || statement.disc.is_some()
            || !statement.arches.is_empty()
            || statement.other_arch.is_some()
    });
    all
}

/// What a file says in which its format has no product: a text that no rule reads, so that it counts like one.
fn unread(path: &str, text: &str) -> Option<ReleaseStatement> {
    let is_number = |line: &str| line.chars().all(|c| c.is_ascii_digit() || c == '.');
    let says_nothing = |line: &&str| line.starts_with('[') || is_number(line);
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    let line = lines.find(|line| !says_nothing(line))?;
    Some(ReleaseStatement::in_file(
        path,
        line,
        StatementKind::Product,
    ))
}

/// What a file says that is no text: something that no rule reads, whatever its words.
fn with_nuls(path: &str, text: &str) -> ReleaseStatement {
    let shown = text.replace('\0', "");
    let first = shown.lines().next().unwrap_or_default();
    let text = format!("a text with NUL characters, {first}");
    ReleaseStatement::in_file(path, &text, StatementKind::Product)
}

/// The fields of the volume descriptor (ECMA-119 §8.4): 32 bytes for the volume, 128 for the others.
fn fields(evidence: &Evidence) -> Vec<ReleaseStatement> {
    let ids = &evidence.ids;
    [
        (
            FindingSource::ApplicationId,
            &ids.application,
            StatementKind::Field(128),
        ),
        (
            FindingSource::VolumeId,
            &ids.volume,
            StatementKind::Field(32),
        ),
        (
            FindingSource::PublisherId,
            &ids.publisher,
            StatementKind::Ids,
        ),
        (FindingSource::SystemId, &ids.system, StatementKind::Ids),
    ]
    .into_iter()
    .map(|(source, text, kind)| ReleaseStatement {
        disc: label_disc(text),
        ..ReleaseStatement::new(source, text, kind)
    })
    .collect()
}

/// `<product> <version> "<codename>" - <status> <architectures> <kind> …`, the rest in any order; one line, and every
/// other one counts as well.
fn disk_info(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| disk_info_line(path, line)).collect()
}

fn disk_info_line(path: &str, line: &str) -> ReleaseStatement {
    let tail = line.split_once(" - ").map_or("", |(_, tail)| tail);
    let words = || tail.split(|c: char| c.is_whitespace() || c == '/');
    let numbered = |word: &str| {
        let number = word
            .strip_prefix("Binary-")
            .or_else(|| word.strip_prefix('#'))?;
        Some(DiscNumber {
            number: number.parse().ok()?,
            of: None,
        })
    };
    let kind = |word: &&str| {
        let last = word.rsplit('-').next().unwrap_or_default();
        matches!(
            last,
            "NETINST" | "CD" | "DVD" | "BD" | "DLBD" | "LIVE" | "BC"
        )
    };
    ReleaseStatement {
        arches: words().filter_map(arch_of).collect(),
        disc: words().find_map(numbered),
        variant: words().find(kind).map(clean),
        ..ReleaseStatement::in_file(path, line, StatementKind::DiskInfo)
    }
}

/// `#define DISKNAME  …`, which is `.disk/info` again, `#define ARCH  …`, and `#define DISKNUM  1`: which disc of a set.
fn diskdefines(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("#define")?.trim_start();
            let (found, value) = rest.split_once(char::is_whitespace)?;
            (found == key).then(|| value.trim())
        })
    };
    let number = value("DISKNUM").and_then(|text| text.parse().ok());
    let of = value("TOTALNUM").and_then(|text| text.parse().ok());
    let disc = number.map(|number| DiscNumber {
        number,
        of: of.filter(|of| *of >= number),
    });
    let name = value("DISKNAME").unwrap_or_default();
    // amd64+mac is for machines of one vendor
    let arch = value("ARCH").and_then(|arch| arch.split('+').next());
    let (arches, other_arch) = arch_word_of(arch);
    vec![ReleaseStatement {
        disc,
        arches,
        other_arch,
        ..ReleaseStatement::in_file(path, name, StatementKind::DiskInfo)
    }]
}

/// Reads the word in the place of the architecture: one of ours, or none.
pub(super) fn arch_word_of(word: Option<&str>) -> (Vec<Arch>, Option<String>) {
    match word.filter(|word| !word.is_empty()) {
        Some(word) => match arch_of(word) {
            Some(arch) => (vec![arch], None),
            None => (Vec::new(), Some(clean(word))),
        },
        None => (Vec::new(), None),
    }
}

/// Time stamp, description, architecture, disc numbers (`ALL`, `1`, `1,2,3`; may be missing).
fn discinfo(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let mut lines = text.lines().map(str::trim).skip(1);
    let description = lines.next().unwrap_or_default().trim_matches('"');
    let (arches, other_arch) = arch_word_of(lines.next());
    let disc = lines.next().and_then(|line| line.parse().ok());
    vec![ReleaseStatement {
        arches,
        other_arch,
        disc: disc.map(|number| DiscNumber { number, of: None }),
        ..ReleaseStatement::in_file(path, description, StatementKind::Product)
    }]
}

fn media_repo(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let keys = text.lines().filter_map(|line| line.split_once(['=', ':']));
    let keys = keys.map(|(key, value)| (key.trim(), value.trim()));
    let names = keys.filter(|(key, _)| key.eq_ignore_ascii_case("name"));
    names
        .map(|(_, name)| ReleaseStatement::in_file(path, name, StatementKind::Product))
        .collect()
}

/// `media.N/media` (vendor, build, number of media) and `media.N/products` (`/ <product> <version>`, and
/// the products of directories below).
fn media(path: &str, text: &str, disc: u8) -> Vec<ReleaseStatement> {
    let disc = DiscNumber {
        number: disc.into(),
        of: None,
    };
    let of_directory = |line: &str| line.starts_with('/') && !line.starts_with("/ ");
    let is_count = |line: &str| line.bytes().all(|byte| byte.is_ascii_digit());
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !of_directory(line) && !is_count(line))
        .map(|line| ReleaseStatement {
            disc: label_disc(line).or(Some(disc)),
            ..ReleaseStatement::in_file(
                path,
                line.strip_prefix("/ ").unwrap_or(line),
                StatementKind::Product,
            )
        })
        .collect()
}

/// `media.N/build`: the label of the build, and nothing else.
fn build(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| ReleaseStatement::in_file(path, line, StatementKind::Product))
        .collect()
}

/// SUSE's `content`: lines of a key and a value.
fn content(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let values = |key: &'static str| {
        text.lines().filter_map(move |line| {
            let (found, value) = line.trim().split_once(char::is_whitespace)?;
            (found == key).then(|| value.trim())
        })
    };
    let value = |key: &'static str| values(key).next();
    let first = |keys: &[&'static str]| keys.iter().find_map(|key| value(key));
    let product = first(&["PRODUCT", "DISTPRODUCT", "NAME"])
        .zip(first(&["VERSION", "DISTVERSION"]))
        .map(|(product, version)| format!("{product} {version}"));
    let base: Vec<Arch> = first(&["DEFAULTBASE", "BASEARCHS"])
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(arch_of)
        .collect();
    let distros = values("DISTRO").filter_map(|distro| distro.split(',').next());
    product
        .as_deref()
        .into_iter()
        .chain(values("LABEL"))
        .chain(distros)
        .map(|text| ReleaseStatement {
            arches: base.clone(),
            ..ReleaseStatement::in_file(path, text, StatementKind::Product)
        })
        .collect()
}

/// apt's `Release`. Its architectures are those of the archive, not of the disc.
fn release(path: &str, text: &str) -> Vec<ReleaseStatement> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(key).then(|| value.trim())
        })
    };
    let label = value("Label");
    let Some(origin) = value("Origin").or(label) else {
        return Vec::new();
    };
    let version = value("Version").or_else(|| value("Suite")).unwrap_or("");
    let of = |name: &str| ReleaseStatement {
        codename: value("Codename").map(str::to_lowercase),
        ..ReleaseStatement::in_file(
            path,
            format!("{name} {version}").trim(),
            StatementKind::Release,
        )
    };
    let label = label.filter(|label| !label.is_empty() && !is_part_of(label, origin));
    [Some(origin), label]
        .into_iter()
        .flatten()
        .map(of)
        .collect()
}

/// Whether a label is that of an origin or of a part of its archive: `Debian`, `Debian-Security`, and not `AcmeOS`.
fn is_part_of(label: &str, origin: &str) -> bool {
    const PARTS: [&str; 5] = ["", "security", "backports", "updates", "lts"];
    let label = label.to_lowercase();
    let part = label.strip_prefix(&origin.to_lowercase());
    part.is_some_and(|part| PARTS.contains(&part.trim_start_matches(['-', ' '])))
}

/// `DiscNumber 2`, `Media2`: the one number that labels of every vendor carry in words.
fn label_disc(text: &str) -> Option<DiscNumber> {
    let after = ["Disc ", "disc ", "Media"].iter().find_map(|word| {
        let (_, after) = text.split_once(word)?;
        after
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(after)
    })?;
    let end = after.find(|c: char| !c.is_ascii_digit());
    let number = after[..end.unwrap_or(after.len())].parse().ok()?;
    Some(DiscNumber { number, of: None })
}

impl ReleaseStatement {
    fn new(source: FindingSource, text: &str, kind: StatementKind) -> Self {
        Self {
            source,
            text: text.to_owned(),
            kind,
            ..Self::default()
        }
    }

    pub(super) fn in_file(path: &str, text: &str, kind: StatementKind) -> Self {
        Self::new(FindingSource::File(path.to_owned()), text, kind)
    }
}
