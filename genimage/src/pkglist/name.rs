//! What a name in a list may be, family by family. Pure.
//!
//! References: Debian Policy §5.6.1 (names), §5.6.12 (versions); apt-get(8) (`name=version`,
//! `name/release`); rpm's `Name` tag; pykickstart's `%packages`.

use definitions::PackageOrigin;

use super::{ListRules, VersionPin};
use crate::installer::DistroFamily;

/// No name is longer, in bytes.
const MAX_LENGTH: usize = 200;

/// A package that is to be installed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PackageSpec<'a> {
    pub(super) name: &'a str,
    pub(super) directory: Option<&'a str>,
    pub(super) version: Option<VersionPin>,
}

/// Reads `name`, `name=version`, `name/release` (apt, packages of the tree) and `dir/name` (other packages).
pub(super) fn package<'a>(text: &'a str, rules: &ListRules<'_>) -> Result<PackageSpec<'a>, String> {
    let (directory, text) = match rules.origin {
        PackageOrigin::Others => split_directory(text)?,
        PackageOrigin::Tree => (None, text),
    };
    let end = text.find(['=', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    check(name, rules.family)?;
    let exact = rest
        .strip_prefix('=')
        .map(|version| VersionPin::Exact(version.to_owned()));
    let suite = rest
        .strip_prefix('/')
        .map(|suite| VersionPin::Suite(suite.to_owned()));
    let version = exact.or(suite);
    if let Some(pin) = &version {
        check_version(name, pin, rules.family)?;
    }
    Ok(PackageSpec {
        name,
        directory,
        version,
    })
}

/// Splits `dir/name`; in lists of other packages a `/` means nothing else.
fn split_directory(text: &str) -> Result<(Option<&str>, &str), String> {
    let Some((directory, name)) = text.rsplit_once('/') else {
        return Ok((None, text));
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let good = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed);
    if directory.split('/').all(good) {
        return Ok((Some(directory), name));
    }
    Err(format!(
        "'{}' is not a directory of otherpkgdir: write 'directory/name'",
        directory.escape_debug()
    ))
}

/// Reads a name that is removed or kept out: nothing but the name. Anaconda takes patterns there.
pub(super) fn removed<'a>(text: &'a str, rules: &ListRules<'_>) -> Result<&'a str, String> {
    if let Some(at) = text.find(['=', '/']) {
        return Err(format!(
            "'{}' has more than a name, which a removal cannot: write '-{}'",
            text.escape_debug(),
            text[..at].escape_debug()
        ));
    }
    let patterns = matches!(rules.family, DistroFamily::Rh | DistroFamily::Fedora)
        && rules.origin == PackageOrigin::Tree;
    if patterns && text.contains(['*', '?']) {
        let plain = text.replace(['*', '?'], "x");
        return check(&plain, rules.family).map(|()| text);
    }
    check(text, rules.family).map(|()| text)
}

/// Reads what follows an `@`: a group, an environment (`^name`) or a module (`name:stream/profile`) of
/// dnf's, a pattern of SUSE's, a task of Debian's.
///
/// xCAT's own lists write spaces between the `@` or `^` and the name (`@ Network Servers`): they are not part of it.
pub(super) fn group(text: &str, rules: &ListRules<'_>) -> Result<String, String> {
    let text = match text.trim_start().strip_prefix('^') {
        Some(name) => format!("^{}", name.trim_start()),
        None => text.trim_start().to_owned(),
    };
    let (more, what) = match rules.family {
        DistroFamily::Rh | DistroFamily::Fedora => (
            " ._+-()&:/",
            "group or '@^environment': use letters, digits, spaces and . _ + - ( ) & : /",
        ),
        DistroFamily::Suse => (
            "._+-",
            "pattern: use letters, digits, '.', '_', '+' and '-'",
        ),
        DistroFamily::Debian | DistroFamily::Ubuntu => ("-", "task: use letters, digits and '-'"),
    };
    if let Some(option) = text.split(' ').find(|word| word.starts_with("--")) {
        return Err(format!(
            "'{}' is an option of a group, which a list cannot give: leave it out",
            option.escape_debug()
        ));
    }
    let name = match text.strip_prefix('^') {
        Some(name) if more.contains(' ') => name,
        _ => text.as_str(),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= MAX_LENGTH && name.chars().all(allowed) {
        return Ok(text);
    }
    Err(format!("'@{}' is not a {what}", text.escape_debug()))
}

/// Reads a group that is kept out; apt cannot keep a task out.
pub(super) fn removed_group(text: &str, rules: &ListRules<'_>) -> Result<String, String> {
    if matches!(rules.family, DistroFamily::Debian | DistroFamily::Ubuntu) {
        return Err(format!(
            "'-@{}' would keep a task out, which apt cannot: name the packages",
            text.escape_debug()
        ));
    }
    group(text, rules)
}

/// Checks the name of a package.
fn check(name: &str, family: DistroFamily) -> Result<(), String> {
    let deb = matches!(family, DistroFamily::Debian | DistroFamily::Ubuntu);
    let shown = name.escape_debug();
    if name.is_empty() {
        return Err("a package has no name: write it, or delete the line".to_owned());
    }
    if name.contains(|c: char| c.is_whitespace() || c == ',') {
        return Err(format!("'{shown}' is more than one name: write one a line"));
    }
    if let Some((before, _)) = name.split_once('#') {
        return Err(format!(
            "'{shown}' is not a package: put a space before the '#' of a comment after '{}'",
            before.escape_debug()
        ));
    }
    if name.starts_with("http:") || name.starts_with("https:") || name.starts_with("file:") {
        return Err(format!(
            "'{shown}' is an address, and a list names packages: put the package into a repository and \
             name that in otherpkgdir"
        ));
    }
    if deb && name.ends_with('-') {
        return Err(format!(
            "'{shown}' would have apt remove a package: write '-{}'",
            name.trim_end_matches('-').escape_debug()
        ));
    }
    if name.len() <= MAX_LENGTH && if deb { is_deb(name) } else { is_rpm(name) } {
        return Ok(());
    }
    Err(if deb {
        format!(
            "'{shown}' is not a Debian package name: use lower-case letters, digits, '+', '-' and '.', two characters at least"
        )
    } else {
        format!("'{shown}' is not a package name: use letters, digits and . _ + - ~ ^")
    })
}

fn is_deb(name: &str) -> bool {
    let (name, arch) = name.split_once(':').unwrap_or((name, "any"));
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let arch = arch.len() > 1
        && arch
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    begins && arch && name.len() > 1 && name.chars().all(allowed)
}

fn is_rpm(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    begins
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-~^".contains(c))
}

/// Checks `=version` or `/release`.
fn check_version(name: &str, pin: &VersionPin, family: DistroFamily) -> Result<(), String> {
    let (VersionPin::Exact(version) | VersionPin::Suite(version)) = pin;
    let exact = matches!(pin, VersionPin::Exact(_));
    let shown = version.escape_debug();
    match family {
        DistroFamily::Debian | DistroFamily::Ubuntu => {}
        DistroFamily::Rh | DistroFamily::Fedora if exact => {
            return Err(format!(
                "'{name}={shown}' is apt's way: write '{name}-{shown}'"
            ));
        }
        _ if exact => {
            return Err(format!(
                "'{name}={shown}' demands a version, which YaST and Agama cannot: write '{name}'"
            ));
        }
        _ => {
            return Err(format!(
                "'{name}/{shown}' is a path: directories of otherpkgdir belong into an otherpkglist"
            ));
        }
    }
    let more = if exact { ".+~:-" } else { ".+_-" };
    let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    let begins = version.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && version.len() <= MAX_LENGTH && version.chars().all(allowed) {
        return Ok(());
    }
    Err(if exact {
        format!("'{shown}' is not a version: use letters, digits and . + ~ : -")
    } else {
        format!("'{shown}' is not a release: use letters, digits and . + _ -")
    })
}
