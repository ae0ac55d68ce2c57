//! What a node runs, in order, with what environment, and which programs that takes.
//!
//! The site's, the osimage's and the node's lists and the programs below `<installdir>/postscripts` come
//! in; a [`Runlist`] goes out. Only the programs are read, once for all nodes, to name their digests.
//! The environment is what xCAT's `mypostscript` exports, so that scripts written for it run as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::{fs, io};

use definitions::{
    AttributeValue, Group, Nodes, OsImage, ProgramDigest, Runlist, RunlistEntry, ScriptFiles,
    ScriptLine, ScriptOrigin, hex,
};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The programs that nodes may fetch.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Where nodes fetch them.
    directory: PathBuf,
    /// What ships with Slipway, and is copied there when a run that is not dry begins.
    shipped: Option<PathBuf>,
    known: std::sync::Mutex<BTreeMap<String, Result<ProgramDigest, String>>>,
    /// The files there, once a line was looked at.
    files: OnceLock<ScriptFiles>,
    /// What each line needs.
    needs: std::sync::Mutex<BTreeMap<ScriptLine, BTreeSet<String>>>,
}

impl Programs {
    /// Names the directory that is served, and the one that it is filled from.
    pub(crate) fn new(directory: impl Into<PathBuf>, shipped: Option<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            shipped,
            known: std::sync::Mutex::default(),
            files: OnceLock::new(),
            needs: std::sync::Mutex::default(),
        }
    }

    /// Returns the files that a line needs on the node, see [`Runlist::needs`].
    fn needs(&self, line: &ScriptLine) -> BTreeSet<String> {
        let mut needs = self
            .needs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = needs.get(line) {
            return known.clone();
        }
        let files = self
            .files
            .get_or_init(|| ScriptFiles::find(&self.directory));
        let found = files.needs(line);
        needs.insert(line.clone(), found.clone());
        found
    }

    /// Says what a program must be.
    ///
    /// # Errors
    /// When there is none of that name, in a sentence that names the directory.
    pub(crate) fn program(&self, name: &str) -> Result<ProgramDigest, String> {
        let mut known = self
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(program) = known.get(name) {
            return program.clone();
        }
        let shipped = self
            .shipped
            .as_ref()
            .filter(|shipped| shipped.join(name).is_file());
        let program = read(shipped.unwrap_or(&self.directory), name).map_err(|error| {
            let path = self.directory.join(name);
            match error.kind() {
                io::ErrorKind::NotFound => format!("there is no {}", path.display()),
                _ => format!("reading {}: {error}", path.display()),
            }
        });
        known.insert(name.to_owned(), program.clone());
        program
    }
}

/// Hashes a program; links lead nowhere but to other programs of the directory.
fn read(directory: &Path, name: &str) -> io::Result<ProgramDigest> {
    let bytes = fs::read(locate(directory, name)?)?;
    if let Some(why) = foreign_text(&bytes) {
        return Err(io::Error::other(why));
    }
    Ok(ProgramDigest {
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
    })
}

/// Says what keeps a script from being run as it was saved: the kernel takes a carriage return for a part of the
/// interpreter's name, and a byte order mark for the beginning of no script at all.
pub(crate) fn foreign_text(bytes: &[u8]) -> Option<String> {
    let body = bytes.strip_prefix("\u{feff}".as_bytes());
    if !body.unwrap_or(bytes).starts_with(b"#!") {
        return None;
    }
    if body.is_some() {
        return Some(
            "its line 1 begins with a byte order mark: save it as UTF-8 without one".to_owned(),
        );
    }
    let lines = bytes.split(|&byte| byte == b'\n');
    // within the first line, which names the interpreter, it is a part of that wherever it is
    let is_foreign = |(number, line): &(usize, &[u8])| {
        line.ends_with(b"\r") || *number == 1 && line.contains(&b'\r')
    };
    let line = (1..).zip(lines).find(is_foreign)?.0;
    Some(format!(
        "its line {line} ends in a carriage return: save it with line ends of Unix, as by dos2unix"
    ))
}

/// Returns the file that a name of the directory leads to.
fn locate(directory: &Path, name: &str) -> io::Result<PathBuf> {
    let path = directory.join(name).canonicalize()?;
    let within = path.strip_prefix(directory.canonicalize()?);
    let plain = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    if !within.is_ok_and(plain) {
        let message = format!("it is a link to {}, which is not served", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a file",
        ));
    }
    Ok(path)
}

/// Returns the SHA-256 of bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    hex(&digest)
}

/// The two lists of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptLists {
    /// Inside the installer.
    pub(crate) postscripts: Vec<RunlistEntry>,
    /// After the first boot.
    pub(crate) postbootscripts: Vec<RunlistEntry>,
}

impl ScriptLists {
    /// Joins what the site, the osimage and the node ask for, in that order; an entry that is there
    /// already, word for word, is not run twice.
    ///
    /// # Errors
    /// Every entry that names no script.
    pub(crate) fn of(image: &OsImage, nodes: &Nodes, node: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut list = |attribute: &str, of_image: &[String]| {
            let everyone = nodes
                .group(Group::EVERYONE)
                .and_then(|group| group.value(attribute));
            let own = nodes.own(node).and_then(|own| nodes.value(own, attribute));
            let site = entries(everyone).map(|entry| (ScriptOrigin::Site, entry));
            let image = of_image.iter().map(|entry| (ScriptOrigin::Osimage, entry));
            let node_ = entries(own.as_ref()).map(|entry| (ScriptOrigin::Node, entry));
            let mut list = Vec::<RunlistEntry>::new();
            for (origin, text) in site.chain(image).chain(node_) {
                match text.parse::<ScriptLine>() {
                    Ok(line) if list.iter().any(|entry| entry.line == line) => {}
                    Ok(line) => list.push(RunlistEntry { origin, line }),
                    Err(error) => problems.push(Problem::new(format!(
                        "{node}: {attribute} of the {origin}: {error}"
                    ))),
                }
            }
            list
        };
        let lists = Self {
            postscripts: list("postscripts", &image.postscripts),
            postbootscripts: list("postbootscripts", &image.postbootscripts),
        };
        if problems.is_empty() {
            Ok(lists)
        } else {
            Err(problems)
        }
    }

    /// Returns every entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &RunlistEntry> {
        self.postscripts.iter().chain(&self.postbootscripts)
    }

    /// Finds the programs that the entries take.
    ///
    /// # Errors
    /// Every program that is not there.
    pub(crate) fn programs(
        &self,
        node: &str,
        programs: &Programs,
    ) -> Result<BTreeMap<String, ProgramDigest>, Vec<Problem>> {
        let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
        for entry in self.entries() {
            let needs = programs.needs(&entry.line);
            if needs.len() > Runlist::FILES {
                problems.push(Problem::new(format!(
                    "{node}: '{}' of the {} needs {} files, all of its directory and what they name: nodes fetch \
                     each of them, so move there what no script needs",
                    entry.line,
                    entry.origin,
                    needs.len()
                )));
                continue;
            }
            for name in &needs {
                if found.contains_key(name) {
                    continue;
                }
                match programs.program(name) {
                    Ok(program) => drop(found.insert(name.clone(), program)),
                    Err(reason) => problems.push(Problem::new(format!(
                        "{node}: '{}' of the {}: {reason}",
                        entry.line, entry.origin
                    ))),
                }
            }
        }
        if problems.is_empty() {
            Ok(found)
        } else {
            Err(problems)
        }
    }
}

fn entries(value: Option<&AttributeValue>) -> impl Iterator<Item = &String> {
    value.map_or(&[][..], AttributeValue::entries).iter()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use definitions::{Object, ObjectKind};

    use super::*;

    #[test]
    fn a_script_that_was_saved_elsewhere_is_refused_with_its_line() {
        for (text, expected) in [
            ("#!/bin/sh\necho 'a\rb'\n", None),
            ("\u{7f}ELF\r\n", None),
            ("text\r\n", None),
            (
                "#!/bin/sh\r\necho\r\n",
                Some(
                    "its line 1 ends in a carriage return: save it with line ends of Unix, as by dos2unix",
                ),
            ),
            (
                "#!/bin/sh\recho\recho",
                Some(
                    "its line 1 ends in a carriage return: save it with line ends of Unix, as by dos2unix",
                ),
            ),
            (
                "#!/bin/sh\necho\r\n",
                Some(
                    "its line 2 ends in a carriage return: save it with line ends of Unix, as by dos2unix",
                ),
            ),
            (
                "\u{feff}#!/bin/sh\n",
                Some("its line 1 begins with a byte order mark: save it as UTF-8 without one"),
            ),
        ] {
            assert_eq!(
                foreign_text(text.as_bytes()).as_deref(),
                expected,
                "{text:?}"
            );
        }
    }

    fn nodes(definitions: &[(ObjectKind, &str, &str)]) -> Nodes {
        Nodes::new(definitions.iter().map(|(kind, name, scripts)| {
            let mut object = Object::new(*kind, *name).unwrap();
            object.set("postbootscripts", scripts).unwrap();
            if *kind == ObjectKind::Node {
                object.set("groups", "rack,all").unwrap();
            }
            object
        }))
    }

    fn image(postbootscripts: &[&str]) -> OsImage {
        OsImage {
            postbootscripts: postbootscripts
                .iter()
                .map(|line| (*line).to_owned())
                .collect(),
            ..OsImage::default()
        }
    }

    fn listed(lists: &ScriptLists) -> Vec<String> {
        let entries = lists.postbootscripts.iter();
        entries
            .map(|entry| format!("{}: {}", entry.origin, entry.line))
            .collect()
    }

    #[test]
    fn the_site_comes_first_then_the_osimage_then_the_node_and_nothing_twice() {
        let nodes = nodes(&[
            (ObjectKind::Group, Group::EVERYONE, "otherpkgs"),
            (ObjectKind::Group, "rack", "a rack,setupdockerhost"),
            (ObjectKind::Node, "n1", "a node,a rack"),
        ]);
        let image = image(&[
            "xHRM bridgeprereq eth0:mydocker0",
            "setupdockerhost",
            "otherpkgs",
        ]);
        assert_eq!(
            listed(&ScriptLists::of(&image, &nodes, "n1").unwrap()),
            [
                "site: otherpkgs",
                "osimage: xHRM bridgeprereq eth0:mydocker0",
                "osimage: setupdockerhost",
                "node: a rack",
                "node: a node",
            ]
        );
    }

    #[test]
    fn an_entry_that_names_no_script_is_reported_with_its_origin() {
        let nodes = nodes(&[(ObjectKind::Node, "n1", "../mine")]);
        let problems = ScriptLists::of(&image(&["'open"]), &nodes, "n1").unwrap_err();
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "n1: postbootscripts of the osimage: ''open' is not a script and its arguments: expected a quote that is closed",
                "n1: postbootscripts of the node: '../mine' is not a script and its arguments: expected the name of a script in the postscripts directory, of letters, digits, '.', '_', '+' and '-'",
            ]
        );
    }

    #[test]
    fn programs_are_named_by_what_they_are_with_those_they_need() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        for (name, text) in [
            ("bridgeprereq", "abc"),
            ("setupdockerhost", ""),
            ("dockerauthz", ""),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        symlink("bridgeprereq", dir.path().join("xHRM")).unwrap();
        symlink(outside.path(), dir.path().join("away")).unwrap();
        let programs = Programs::new(dir.path(), None);
        let lists = |lines: &str| {
            ScriptLists::of(
                &image(&[]),
                &nodes(&[(ObjectKind::Node, "n1", lines)]),
                "n1",
            )
            .unwrap()
        };

        let found = lists("xHRM a,setupdockerhost")
            .programs("n1", &programs)
            .unwrap();
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["bridgeprereq", "dockerauthz", "setupdockerhost", "xHRM"]
        );
        let abc = ProgramDigest {
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
            size: 3,
        };
        assert_eq!((&found["xHRM"], &found["bridgeprereq"]), (&abc, &abc));

        // A script brings what it names, and one in a directory of its own what lies there.
        fs::create_dir_all(dir.path().join("site/lib")).unwrap();
        for (name, text) in [
            ("uses", ". ./functions"),
            ("functions", "# and away, which is not served"),
            ("site/mine", "#!/bin/sh\n"),
            ("site/lib/data", "\0"),
            ("site/not named", ""),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let programs = Programs::new(dir.path(), None);
        let found = lists("uses,site/mine").programs("n1", &programs).unwrap();
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["functions", "site/lib/data", "site/mine", "uses"]);
        for number in 0..Runlist::FILES {
            fs::write(dir.path().join(format!("site/{number}")), "").unwrap();
        }
        let programs = Programs::new(dir.path(), None);
        let problems = lists("site/mine").programs("n1", &programs).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "n1: 'site/mine' of the node needs 1002 files, all of its directory and what they name: nodes fetch \
             each of them, so move there what no script needs"
        );

        let problems = lists("nowhere -x,away")
            .programs("n1", &programs)
            .unwrap_err();
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let dir = dir.path().display();
        assert_eq!(
            problems,
            [
                format!("n1: 'nowhere -x' of the node: there is no {dir}/nowhere"),
                format!(
                    "n1: 'away' of the node: reading {dir}/away: it is a link to {}, which is not served",
                    outside.path().display()
                ),
            ]
        );
    }
}
