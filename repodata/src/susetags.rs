//! The metadata of SUSE media up to SLES 12: `content`, and the package list that it vouches for.
//!
//! `content` has lines such as `HASH SHA256 HEX  boot/x86_64/root` (paths from the root of the medium), `KEY …` (the
//! same) and `META …` (paths from `DESCRDIR`). The list `packages` below `DESCRDIR` has one stanza a package (`=Pkg:
//! name version release arch`, `=Cks:`, `=Loc:`, and `+Prv:` … `-Prv:` around one provide a line), whose files are
//! below `DATADIR`. Form: libzypp's susetags documentation.

use crate::error::{Location, ReadError};
use crate::{Digest, Input, ListedFile, MAX_ITEM};

/// What `content` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuseContent {
    /// Every file that it lists, from the root of the medium.
    pub files: Vec<ListedFile>,
    /// The directory of the packages.
    pub data_dir: String,
    /// The directory of the lists of packages.
    pub description_dir: String,
}

impl SuseContent {
    /// Parses `content`.
    ///
    /// # Errors
    /// A line of a digest that has none.
    pub fn parse(file: &str, text: &str) -> Result<Self, ReadError> {
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
            let found = values.find(|rest| rest.starts_with([' ', '\t']));
            found.map_or_else(String::new, |value| value.trim().to_owned())
        };
        let mut content = Self {
            files: Vec::new(),
            data_dir: value("DATADIR"),
            description_dir: value("DESCRDIR"),
        };
        for (number, line) in (1..).zip(text.lines()) {
            let (key, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let below = match key {
                "META" => content.description_dir.as_str(),
                "HASH" | "KEY" => "",
                _ => continue,
            };
            let listed = listed(below, rest);
            content.files.push(listed.map_err(|problem| ReadError {
                file: file.to_owned(),
                location: Location::Line(number),
                problem,
            })?);
        }
        Ok(content)
    }
}

/// Reads `SHA256 HEX  path`.
fn listed(below: &str, rest: &str) -> Result<ListedFile, String> {
    let expected = || "expected an algorithm, a digest and a path".to_owned();
    let (algorithm, rest) = rest.trim().split_once([' ', '\t']).ok_or_else(expected)?;
    let (hex, path) = rest.trim().split_once([' ', '\t']).ok_or_else(expected)?;
    Ok(ListedFile {
        path: [below, "/", path.trim()].concat().into_bytes(),
        digest: Digest::parse(algorithm.parse()?, hex)?,
        size: None,
    })
}

/// A package of a susetags list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SusetagsPackage {
    /// Its name.
    pub name: String,
    /// Its version as `version-release`.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// What it provides, as lines: `bash = 4.3`, `pattern() = base`.
    pub provides: Vec<String>,
    /// Its file below `DATADIR`, where the list gives it a digest and a location.
    pub file: Option<ListedFile>,
    digest: Option<Digest>,
    /// How many bytes its provides have.
    length: usize,
}

/// Lends every package of a list to `visit`.
///
/// # Errors
/// A digest that is none, a line that is no UTF-8 text, and what `visit` returns.
pub fn read_susetags<E: From<ReadError>>(
    input: Input<'_>,
    mut visit: impl FnMut(&SusetagsPackage) -> Result<(), E>,
) -> Result<(), E> {
    let mut package: Option<SusetagsPackage> = None;
    let mut in_provides = false;
    input.each_line(|file, number, line| {
        let error = |problem| ReadError {
            file: file.to_owned(),
            location: Location::Line(number),
            problem,
        };
        let text = || {
            let text = std::str::from_utf8(line.trim_ascii());
            text.map_err(|_| error("it is no UTF-8 text".to_owned()))
        };
        if line.starts_with(b"=Pkg:") {
            if let Some(package) = package.replace(SusetagsPackage::begin(text()?)) {
                visit(&package)?;
            }
            in_provides = false;
        } else if line.starts_with(b"+Prv:") {
            in_provides = true;
        } else if line.starts_with(b"-Prv:") {
            in_provides = false;
        } else if let Some(package) = &mut package
            && (in_provides || line.starts_with(b"=Cks:") || line.starts_with(b"=Loc:"))
        {
            let read = if in_provides {
                package.provide(text()?)
            } else {
                package.line(text()?)
            };
            read.map_err(error)?;
        }
        Ok::<_, E>(())
    })?;
    package.iter().try_for_each(visit)
}

impl SusetagsPackage {
    /// Reads `=Pkg: name version release arch`.
    fn begin(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace().skip(1);
        let mut word = || words.next().unwrap_or_default().to_owned();
        Self {
            name: word(),
            version: format!("{}-{}", word(), word()),
            arch: word(),
            ..Self::default()
        }
    }

    fn provide(&mut self, line: &str) -> Result<(), String> {
        self.length += line.len();
        if self.length > MAX_ITEM {
            return Err(format!(
                "a package provides more than {MAX_ITEM} bytes of names"
            ));
        }
        self.provides.push(line.to_owned());
        Ok(())
    }

    /// Reads `=Cks: SHA256 HEX` or `=Loc: 1 name.rpm [directory]`.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("=Cks:") {
            let (algorithm, hex) = words.next().zip(words.next()).unwrap_or_default();
            self.digest = Some(Digest::parse(algorithm.parse()?, hex)?);
            return Ok(());
        }
        let name = words.nth(1).ok_or_else(|| "expected a name".to_owned())?;
        let directory = words.next().unwrap_or(&self.arch);
        let path = [directory, "/", name].concat().into_bytes();
        self.file = self.digest.map(|digest| ListedFile {
            path,
            digest,
            size: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn each_keyword_lists_below_its_own_directory() {
        let hex = Digest::of(Algorithm::Sha1, b"");
        let text = format!(
            "VERSION 11.4-0\nDATADIR suse\nDESCRDIR suse/setup/descr\nMETA SHA1 {hex}  packages.gz\n\
             HASH SHA1 {hex}  boot/x86_64/root\nKEY SHA1 {hex}  gpg-pubkey-1.asc\nKEYWORDS x\n"
        );
        let content = SuseContent::parse("content", &text).unwrap();
        let paths: Vec<_> = content
            .files
            .iter()
            .map(|file| String::from_utf8_lossy(&file.path))
            .collect();
        assert_eq!(
            paths,
            [
                "suse/setup/descr/packages.gz",
                "/boot/x86_64/root",
                "/gpg-pubkey-1.asc"
            ]
        );
        assert_eq!(
            (content.data_dir.as_str(), content.description_dir.as_str()),
            ("suse", "suse/setup/descr")
        );
        assert_eq!(
            SuseContent::parse("content", "HASH MD5 12")
                .unwrap_err()
                .to_string(),
            "line 1: expected an algorithm, a digest and a path"
        );
    }

    fn read(text: &str) -> Result<Vec<SusetagsPackage>, ReadError> {
        let mut packages = Vec::new();
        read_susetags(Input::plain("packages", text.as_bytes())?, |package| {
            packages.push(package.clone());
            Ok::<_, ReadError>(())
        })?;
        Ok(packages)
    }

    #[test]
    fn a_package_is_in_the_directory_of_its_architecture_or_in_the_one_it_names() {
        let hex = Digest::of(Algorithm::Sha256, b"");
        let text = format!(
            "=Ver: 2.0\n=Pkg: a 1 2 x86_64\n=Cks: SHA256 {hex}\n=Loc: 1 a-1-2.x86_64.rpm\n\
             =Pkg: b 1 2 i586\n=Cks: SHA256 {hex}\n=Loc: 2 b-1-2.i586.rpm x86_64\n=Pkg: c 1 2 noarch\n\
             =Loc: 1 c.rpm\n"
        );
        let packages = read(&text).unwrap();
        let paths: Vec<_> = packages
            .iter()
            .map(|package| package.file.as_ref())
            .map(|file| file.map(|file| String::from_utf8_lossy(&file.path).into_owned()))
            .collect();
        let some = |path: &str| Some(path.to_owned());
        assert_eq!(
            paths,
            [
                some("x86_64/a-1-2.x86_64.rpm"),
                some("x86_64/b-1-2.i586.rpm"),
                None
            ]
        );
    }

    #[test]
    fn provides_are_the_lines_between_their_tags() {
        let text = "=Ver: 2.0\n##----\n=Pkg: bash 4.3 83.3 x86_64\n+Req:\nglibc\n-Req:\n+Prv:\nbash = 4.3-83.3\n\
                    /bin/sh\n-Prv:\n=Grp: System/Shells\n=Pkg: patterns-sles-base 12 77.1 x86_64\n\
                    +Prv:\npattern() = base\n-Prv:\n";
        let packages = read(text).unwrap();
        let [bash, base] = packages.as_slice() else {
            panic!("{packages:?}");
        };
        assert_eq!(
            (bash.version.as_str(), bash.arch.as_str()),
            ("4.3-83.3", "x86_64")
        );
        assert_eq!(bash.provides, ["bash = 4.3-83.3", "/bin/sh"]);
        assert_eq!(base.provides, ["pattern() = base"]);
    }

    #[test]
    fn a_damaged_line_is_an_error_with_its_number() {
        let error = read("=Pkg: a 1 2 x\n=Cks: crc 12\n").unwrap_err();
        assert_eq!(
            (error.file.as_str(), error.location),
            ("packages", Location::Line(2))
        );
        assert_eq!(error.problem, "'crc' is no hash algorithm known here");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((META|HASH|=Pkg:|=Cks:|=Loc:|\\+Prv:|-Prv:|DATADIR)?[ a-f0-9A-F]{0,40}\n){0,8}") {
            let _ = SuseContent::parse("content", &text);
            let _ = read(&text);
        }
    }
}
