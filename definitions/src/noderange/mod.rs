//! Node ranges: the text that names several nodes.
//!
//! | form | names |
//! |---|---|
//! | `host01` | the node; or, where there is none, the members of the group of that name |
//! | `n[1-10]`, `r[1-2]n[01-04,7]` | one node for each number; the width of the first number is kept |
//! | `n1-n10`, `n1:n10`, `r1n01-r3n01` | the nodes from one to the other, which differ in one number |
//! | `rack[1-3]`, `rack1-rack3` | the members of these groups, where no nodes have the names |
//! | `1-10` | the same for `node1` to `node10` |
//! | `n10+3` | that node and the three after it |
//! | `/n\d+` | the nodes whose whole names match the regular expression |
//! | `os==debian12`, `!=`, `=~`, `!~` | the nodes whose attribute is, is not, matches, does not match |
//! | `a@b` | the nodes in both |
//! | `-a` | no node of `a`, wherever it is in the list |
//! | `(a,b)` | a list within a term |
//! | `all` | every node, in a group of that name or not |
//! | `^path` | what a file lists: ranges separated by commas, blanks or lines; `#` begins a comment |
//!
//! A text comes in; names come out, sorted and each once. A name that does not exist is handed back and
//! never dropped. Nothing here reads a disk: nodes, groups and files are a [`Universe`]'s. Bounded: no
//! range makes more than [`LIMIT`] names, parentheses nest at most 32 deep, files do not name files.
//! Reference: xCAT's `noderange(3)`.

mod parse;
mod selection;
mod span;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

pub use selection::Selection;
pub use span::LIMIT;

use crate::Error;

/// A node range, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Noderange {
    text: String,
    terms: Vec<Term>,
}

/// One term of the list.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    /// Whether its nodes are taken out.
    excluded: bool,
    /// What must name a node, all of them, for it to be meant.
    factors: Vec<Factor>,
}

/// One side of `@`.
#[derive(Debug, Clone, PartialEq)]
enum Factor {
    /// A name, or a span of names: which of the two depends on what exists.
    Word(String),
    /// A regular expression over names.
    Pattern(selection::TextPattern),
    /// An attribute and what it must be.
    Selection(Selection),
    /// A list in parentheses.
    List(Vec<Term>),
    /// A file that lists more.
    File(String),
}

/// What a node range chooses from.
pub trait Universe {
    /// Lists the nodes' names, sorted.
    fn nodes(&self) -> Vec<&str>;

    /// Lists the groups' names, each with its members, sorted.
    fn groups(&self) -> BTreeMap<&str, Vec<&str>>;

    /// Says whether an attribute of a node is what a selection asks for.
    fn selects(&self, node: &str, selection: &Selection) -> bool;

    /// Reads a file that lists nodes.
    ///
    /// # Errors
    /// When the file cannot be read, in words that name it.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// What a node range names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The nodes that exist, sorted.
    pub nodes: Vec<String>,
    /// The names of no node and no group, each once, in the order of the range: nodes to be made.
    pub unknown: Vec<String>,
    /// The groups that are named, in the order of the range.
    pub groups: Vec<String>,
}

/// Returns the two spans that a name may have been meant as: `n1-n3` and `m1-m3` of `n1-m3`, whose ends have different
/// words.
pub(crate) fn possible_spans(name: &str) -> Option<[String; 2]> {
    span::with_other_words(name)
}

impl FromStr for Noderange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Self {
            text: text.to_owned(),
            terms: parse::terms(text)?,
        })
    }
}

impl Noderange {
    /// Chooses, and hands back the names that do not exist: what makes nodes wants them.
    ///
    /// # Errors
    /// When a span of names is too long or runs backwards, a file cannot be read, or a name beside `@`
    /// does not exist, which says nothing of what to make.
    pub fn choose(&self, universe: &impl Universe) -> Result<Chosen, Error> {
        let Evaluated {
            nodes,
            unknown,
            groups,
        } = self.evaluate(universe)?;
        let excluded = unknown
            .iter()
            .filter(|(place, _)| *place == NamePosition::Excluded);
        let mut left_out: HashSet<_> = excluded.map(|(_, name)| name.clone()).collect();
        let mut made = Vec::new();
        for (place, name) in unknown {
            match place {
                NamePosition::Joint => return Err(missing(&name, universe)),
                NamePosition::Named if left_out.insert(name.clone()) => made.push(name),
                NamePosition::Named | NamePosition::Excluded => {}
            }
        }
        Ok(Chosen {
            nodes,
            unknown: made,
            groups,
        })
    }

    /// Chooses among what exists.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a name that does not exist, with the nearest that does; otherwise as
    /// [`Self::choose`].
    pub fn select(&self, universe: &impl Universe) -> Result<Vec<String>, Error> {
        let Evaluated { nodes, unknown, .. } = self.evaluate(universe)?;
        match unknown.first() {
            None => Ok(nodes),
            Some((_, name)) => Err(match possible_spans(name) {
                Some([one, other]) => Error::Noderange {
                    range: self.text.clone(),
                    message: format!(
                        "there is no node '{name}', and the ends of a span have the same words: write {one} or {other}"
                    ),
                },
                None => missing(name, universe),
            }),
        }
    }

    /// Finds the nodes that exist and the names that do not.
    fn evaluate(&self, universe: &impl Universe) -> Result<Evaluated, Error> {
        let names = universe.nodes();
        let mut chooser = Chooser {
            range: &self.text,
            universe,
            names: &names,
            members: OnceCell::new(),
            place: NamePosition::Named,
            unknown: Vec::new(),
            groups: Vec::new(),
            made: 0,
        };
        let chosen = chooser.list(&self.terms, 0)?;
        let marked = names.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        Ok(Evaluated {
            nodes: marked.map(|(name, _)| (*name).to_owned()).collect(),
            unknown: chooser.unknown,
            groups: chooser.groups,
        })
    }
}

/// What a range names, before it is known what that is for.
struct Evaluated {
    nodes: Vec<String>,
    unknown: Vec<Unknown>,
    groups: Vec<String>,
}

/// Makes the error for a name that does not exist.
fn missing(name: &str, universe: &impl Universe) -> Error {
    let groups = universe.groups();
    let known = universe.nodes().into_iter().chain(groups.into_keys());
    Error::not_found(crate::ObjectKind::Node, name, known)
}

/// Where in a range a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamePosition {
    /// It is asked for.
    Named,
    /// It is asked for where something else is, too.
    Joint,
    /// It is taken out.
    Excluded,
}

/// A name that does not exist.
type Unknown = (NamePosition, String);

/// A choice under way: one mark for each node.
struct Chooser<'a, U> {
    range: &'a str,
    universe: &'a U,
    names: &'a [&'a str],
    /// The groups and their members, once a name is no node's.
    members: OnceCell<BTreeMap<&'a str, Vec<&'a str>>>,
    place: NamePosition,
    unknown: Vec<Unknown>,
    groups: Vec<String>,
    /// Names made from spans so far.
    made: usize,
}

type NodeMarks = Vec<bool>;

impl<U: Universe> Chooser<'_, U> {
    /// Chooses what a list names, less what it excludes.
    fn list(&mut self, terms: &[Term], files: usize) -> Result<NodeMarks, Error> {
        let mut chosen = self.none();
        let mut excluded = self.none();
        for term in terms {
            let marks = self.term(term, files)?;
            let side = if term.excluded {
                &mut excluded
            } else {
                &mut chosen
            };
            for (mark, named) in side.iter_mut().zip(marks) {
                *mark |= named;
            }
        }
        for (mark, excluded) in chosen.iter_mut().zip(excluded) {
            *mark &= !excluded;
        }
        Ok(chosen)
    }

    /// Chooses what all factors of a term name.
    fn term(&mut self, term: &Term, files: usize) -> Result<NodeMarks, Error> {
        let mut chosen = vec![true; self.names.len()];
        let outside = self.place;
        self.place = match outside {
            NamePosition::Excluded => outside,
            _ if term.excluded => NamePosition::Excluded,
            _ if term.factors.len() > 1 => NamePosition::Joint,
            _ => outside,
        };
        for factor in &term.factors {
            let marks = self.factor(factor, files)?;
            for (mark, named) in chosen.iter_mut().zip(marks) {
                *mark &= named;
            }
        }
        self.place = outside;
        Ok(chosen)
    }

    /// Chooses what one factor names.
    fn factor(&mut self, factor: &Factor, files: usize) -> Result<NodeMarks, Error> {
        match factor {
            Factor::Word(word) => self.word(word),
            Factor::Pattern(pattern) => Ok(self.each(|name| pattern.matches(name))),
            Factor::Selection(selection) => {
                let universe = self.universe;
                Ok(self.each(|name| universe.selects(name, selection)))
            }
            Factor::List(terms) => self.list(terms, files),
            Factor::File(path) if files == 0 => {
                let text = self
                    .universe
                    .file(path)
                    .map_err(|error| self.wrong(error))?;
                let terms =
                    parse::file(&text).map_err(|error| self.wrong(format!("{path}: {error}")))?;
                self.list(&terms, files + 1)
            }
            Factor::File(path) => {
                let message =
                    format!("the file '{path}' is named by a file: only the range itself may");
                Err(self.wrong(message))
            }
        }
    }

    /// Chooses what a name means: a node, a group, or a span of such names.
    fn word(&mut self, word: &str) -> Result<NodeMarks, Error> {
        let mut marks = self.none();
        if self.mark(word, &mut marks) {
            return match self.span_of_others(word) {
                Some(other) => Err(self.wrong(format!(
                    "'{word}' is one name and a span of others, such as '{other}': write the span with brackets, or \
                     give the one another name with chdef -o"
                ))),
                None => Ok(marks),
            };
        }
        let names = span::names(word, LIMIT - self.made).map_err(|error| self.wrong(error))?;
        self.made += names.len();
        for name in names {
            if !self.mark(&name, &mut marks) {
                self.unknown.push((self.place, name));
            }
        }
        Ok(marks)
    }

    /// Returns one of the names that exist and that a word means as a span, where the word is a name itself.
    fn span_of_others(&self, word: &str) -> Option<String> {
        let names = span::names(word, LIMIT)
            .ok()
            .filter(|names| names.len() > 1)?;
        let universe = self.universe;
        let groups = self.members.get_or_init(|| universe.groups());
        let exists = |name: &String| {
            self.names.binary_search(&name.as_str()).is_ok() || groups.contains_key(name.as_str())
        };
        names.into_iter().filter(|name| name != word).find(exists)
    }

    /// Marks the node of a name or, where there is none, the members of the group; says whether there is
    /// either.
    fn mark(&mut self, name: &str, marks: &mut NodeMarks) -> bool {
        if let Ok(at) = self.names.binary_search(&name) {
            marks[at] = true;
            return true;
        }
        let universe = self.universe;
        let members = self.members.get_or_init(|| universe.groups());
        let Some(members) = members.get(name) else {
            return false;
        };
        let found = members
            .iter()
            .filter_map(|name| self.names.binary_search(name).ok());
        found.for_each(|at| marks[at] = true);
        if self.place == NamePosition::Named {
            self.groups.push(name.to_owned());
        }
        true
    }

    fn none(&self) -> NodeMarks {
        vec![false; self.names.len()]
    }

    fn each(&self, named: impl Fn(&str) -> bool) -> NodeMarks {
        self.names.iter().map(|name| named(name)).collect()
    }

    /// Makes an error that names the whole range.
    fn wrong(&self, message: impl Into<String>) -> Error {
        Error::Noderange {
            range: self.range.to_owned(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests;
