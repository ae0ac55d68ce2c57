//! Lines into a list: includes, transactions, and which of two lines about one name counts. Pure.
//!
//! Bounded: how deep includes go, how many files and bytes are read, how many problems are reported.

use std::sync::Arc;

use definitions::glob;

use definitions::PackageOrigin;

use super::directive::{self, Directive};
use super::{IncludeLoader, ListItem, ListRules, PackageTransaction, PkgList, name};
use crate::library::{Asset, AssetOrigin};
use crate::problem::{FileLine, Problem};

/// How deep includes go.
const MAX_DEPTH: usize = 16;
/// How many files a list is made of, each as often as it is included.
const MAX_FILES: usize = 256;
/// How many bytes those have.
const MAX_BYTES: usize = 4 << 20;
/// How many problems are reported.
const MAX_PROBLEMS: usize = 100;

pub(super) fn parse(
    files: &[Asset],
    rules: &ListRules<'_>,
    load: &IncludeLoader<'_>,
) -> Result<PkgList, Vec<Problem>> {
    let mut parser = Parser {
        rules,
        load,
        list: vec![PackageTransaction::default()],
        problems: Vec::new(),
        notes: Vec::new(),
        including: Vec::new(),
        files: 0,
        bytes: 0,
        environment: None,
    };
    for file in files {
        parser.file(file, None);
    }
    parser.finish()
}

struct Parser<'a> {
    rules: &'a ListRules<'a>,
    load: &'a IncludeLoader<'a>,
    /// The transactions so far; never without one.
    list: Vec<PackageTransaction>,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
    /// The files that are open, the outermost first.
    including: Vec<AssetOrigin>,
    files: usize,
    bytes: usize,
    /// Where the environment of the transaction was set that has no package yet.
    environment: Option<FileLine>,
}

impl Parser<'_> {
    fn problem(&mut self, place: &FileLine, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem::at(place.clone(), message));
        } else if self.problems.len() == MAX_PROBLEMS {
            let message = "there are more problems: fix these first";
            self.problems.push(Problem::at(place.clone(), message));
        }
    }

    /// The transaction that lines add to.
    fn current(&mut self) -> &mut PackageTransaction {
        if self.list.is_empty() {
            self.list.push(PackageTransaction::default());
        }
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Reads a file that `asked` includes.
    fn file(&mut self, file: &Asset, asked: Option<&FileLine>) {
        let whole: Arc<str> = file.origin.name().into();
        let place = FileLine {
            file: Arc::clone(&whole),
            line: 0,
        };
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.text.len());
        let too_much = if self.including.len() >= MAX_DEPTH {
            Some(format!("includes go deeper than {MAX_DEPTH} files"))
        } else if self.files > MAX_FILES {
            Some(format!("the list is made of more than {MAX_FILES} files"))
        } else if self.bytes > MAX_BYTES {
            Some(format!("the list has more than {MAX_BYTES} bytes"))
        } else {
            None
        };
        if let Some(message) = too_much {
            return self.problem(asked.unwrap_or(&place), format!("{message}: include less"));
        }
        self.including.push(file.origin.clone());
        self.notes.extend(file.note.clone());
        for (at, line) in file.text.lines().enumerate() {
            let place = FileLine {
                file: Arc::clone(&whole),
                line: at + 1,
            };
            self.line(line.trim(), &place);
        }
        self.including.pop();
    }

    fn line(&mut self, line: &str, place: &FileLine) {
        if line.is_empty() {
            return;
        }
        let line = line.replace('\t', " ");
        let read = if line.contains(char::is_control) {
            Err("the line contains a control character: delete it".to_owned())
        } else if line.starts_with('#') {
            self.directive(&line, place)
        } else if let Some(word) = directive_after(&line) {
            Err(format!(
                "'#{word}' comes after a name, where it would be a comment: put it on a line of its own"
            ))
        } else {
            self.entry(uncommented(&line), place)
        };
        if let Err(message) = read {
            self.problem(place, message);
        }
    }

    fn directive(&mut self, line: &str, place: &FileLine) -> Result<(), String> {
        match directive::parse(line)? {
            Directive::Comment => Ok(()),
            Directive::NewList => {
                self.end_transaction();
                self.list.push(PackageTransaction::default());
                Ok(())
            }
            Directive::Environment(pairs) => self.set(&pairs, place),
            Directive::Include(path) => self.include(path, place),
        }
    }

    /// Notes an environment that belongs to no package.
    fn end_transaction(&mut self) {
        if let Some(place) = self.environment.take() {
            self.problem(
                &place,
                "#ENV# comes before no package: it applies to those after it, up to the next #NEW_INSTALL_LIST#",
            );
        }
    }

    fn set(&mut self, pairs: &[(&str, &str)], place: &FileLine) -> Result<(), String> {
        let transaction = self.current();
        if !transaction.is_empty() {
            return Err(
                "#ENV# comes after a package: put it before the first one of its #NEW_INSTALL_LIST#"
                    .to_owned(),
            );
        }
        for (name, value) in pairs {
            if transaction.environment.iter().any(|(own, _)| own == name) {
                return Err(format!("{name} is set twice: leave one"));
            }
            let pair = ((*name).to_owned(), (*value).to_owned());
            transaction.environment.push(pair);
        }
        self.environment.get_or_insert_with(|| place.clone());
        Ok(())
    }

    fn include(&mut self, path: &str, place: &FileLine) -> Result<(), String> {
        let path = directive::expand(path, self.rules.variables)?;
        let Some(from) = self.including.last() else {
            return Ok(());
        };
        let file = match (self.load)(from, &path) {
            Ok(Some(file)) => file,
            Ok(None) => {
                return Err(format!(
                    "'{path}' is included, and there is no such file, neither next to this one nor in the library"
                ));
            }
            Err(problem) => return Err(format!("'{path}' is included: {problem}")),
        };
        if let Some(at) = self.including.iter().position(|open| *open == file.origin) {
            let cycle = self.including[at..].iter().chain([&file.origin]);
            let cycle: Vec<_> = cycle.map(AssetOrigin::name).collect();
            return Err(format!("files include each other: {}", cycle.join(" -> ")));
        }
        self.file(&file, Some(place));
        Ok(())
    }

    fn entry(&mut self, text: &str, place: &FileLine) -> Result<(), String> {
        let item = |name: &str| ListItem {
            name: name.to_owned(),
            directory: None,
            version: None,
            place: place.clone(),
        };
        let rules = self.rules;
        self.environment = None;
        if let Some(text) = text.strip_prefix("--") {
            if rules.origin == PackageOrigin::Tree {
                return Err(format!(
                    "'--{}' removes a package after the installation, which an otherpkglist can: write '-{}'",
                    text.escape_debug(),
                    text.escape_debug()
                ));
            }
            let item = item(name::removed(text, rules)?);
            push(&mut self.current().remove_after, item);
        } else if let Some(text) = text.strip_prefix("-@") {
            let item = item(&name::removed_group(text, rules)?);
            self.contradict(&item, |list| &mut list.groups);
            push(&mut self.current().exclude_groups, item);
        } else if let Some(text) = text.strip_prefix('-') {
            let item = item(name::removed(text, rules)?);
            self.contradict(&item, |list| &mut list.install);
            push(&mut self.current().exclude, item);
        } else if let Some(text) = text.strip_prefix('@') {
            let item = item(&name::group(text, rules)?);
            self.contradict(&item, |list| &mut list.exclude_groups);
            push(&mut self.current().groups, item);
        } else {
            let package = name::package(text, rules)?;
            let item = ListItem {
                directory: package.directory.map(str::to_owned),
                version: package.version,
                ..item(package.name)
            };
            self.install(item)?;
        }
        Ok(())
    }

    /// Takes a name out of the lists that say the opposite: the later line counts. Of other packages, one
    /// may well be removed first and installed then.
    fn contradict(
        &mut self,
        item: &ListItem,
        opposite: fn(&mut PackageTransaction) -> &mut Vec<ListItem>,
    ) {
        if self.rules.origin == PackageOrigin::Tree {
            for list in &mut self.list {
                opposite(list).retain(|own| own.name != item.name);
            }
        }
    }

    fn install(&mut self, item: ListItem) -> Result<(), String> {
        self.contradict(&item, |list| &mut list.exclude);
        let install = &mut self.current().install;
        match install.iter().find(|own| own.name == item.name) {
            None => install.push(item),
            Some(own) if own.version == item.version && own.directory == item.directory => {}
            Some(own) => {
                return Err(format!(
                    "'{item}' is '{own}' at {}: leave one of them",
                    own.place
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<PkgList, Vec<Problem>> {
        self.end_transaction();
        self.patterns();
        self.list.retain(|list| !list.is_empty());
        if self.problems.is_empty() {
            self.notes.sort();
            self.notes.dedup();
            Ok(PkgList {
                transactions: self.list,
                notes: self.notes,
            })
        } else {
            Err(self.problems)
        }
    }

    /// Notes what a pattern keeps out although another line installs it: the installer would stop there.
    fn patterns(&mut self) {
        let mut clashes = Vec::new();
        for pattern in self.list.iter().flat_map(|list| &list.exclude) {
            for item in self.list.iter().flat_map(|list| &list.install) {
                if glob::is_pattern(&pattern.name) && glob::matches(&pattern.name, &item.name) {
                    let message = format!(
                        "'-{}' keeps out '{}', which {} installs: keep out less, or leave that out",
                        pattern.name, item.name, item.place
                    );
                    clashes.push((pattern.place.clone(), message));
                }
            }
        }
        for (place, message) in clashes {
            self.problem(&place, message);
        }
    }
}

/// Adds an item, once.
fn push(items: &mut Vec<ListItem>, item: ListItem) {
    if !items.iter().any(|own| own.name == item.name) {
        items.push(item);
    }
}

/// Cuts a comment off: a `#` after a space.
fn uncommented(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    comment.map_or(line, |(at, _)| line[..at].trim_end())
}

/// Names the directive that a comment after a name looks like.
fn directive_after(line: &str) -> Option<&'static str> {
    let comment = &line[uncommented(line).len()..];
    let comment = comment.trim_start().strip_prefix('#')?;
    directive::KNOWN.into_iter().find(|word| {
        let rest = comment.strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with([':', '#']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_after_a_name_is_no_comment() {
        for (line, expected) in [
            ("chrony #INCLUDE:a#", Some("INCLUDE")),
            ("chrony #NEW_INSTALL_LIST#", Some("NEW_INSTALL_LIST")),
            ("chrony # INCLUDE it", None),
            ("chrony #INCLUDES more", None),
            ("chrony", None),
        ] {
            assert_eq!(directive_after(line), expected, "{line}");
        }
    }
}
