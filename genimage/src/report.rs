//! What became of each node, in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use similar::TextDiff;

use crate::assets::{Assets, Change, Difference};
use crate::problem::Problem;

/// What a run did, or would do.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Programs that nodes fetch which were brought up to date.
    pub(crate) programs: Vec<String>,
    /// The osimages, by name.
    pub(crate) osimages: BTreeMap<String, OfImage>,
    /// The nodes, sorted.
    pub(crate) nodes: Vec<OfNode>,
}

/// What was found out about an osimage.
#[derive(Debug, Default, Serialize)]
pub(crate) struct OfImage {
    /// What is wrong with it: none of its nodes gets anything.
    #[serde(serialize_with = "lines")]
    pub(crate) problems: Vec<Problem>,
    /// What a person should know besides.
    #[serde(serialize_with = "lines")]
    pub(crate) notes: Vec<Problem>,
}

/// What became of a node.
#[derive(Debug, Serialize)]
pub(crate) struct OfNode {
    pub(crate) node: String,
    pub(crate) osimage: String,
    pub(crate) state: State,
    /// How its files differ from those that stood.
    pub(crate) files: Vec<Difference>,
    #[serde(serialize_with = "lines")]
    pub(crate) problems: Vec<Problem>,
    /// What was rendered.
    #[serde(skip)]
    pub(crate) assets: Assets,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Its assets were written.
    Written,
    /// They would be.
    WouldWrite,
    /// They stand as they are to be.
    Unchanged,
    /// Something is wrong, and what stood stands.
    Failed,
}

fn lines<S: Serializer>(problems: &[Problem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(ToString::to_string))
}

impl Report {
    /// Whether something went wrong.
    pub(crate) fn failed(&self) -> bool {
        let images = self
            .osimages
            .values()
            .any(|image| !image.problems.is_empty());
        images || self.count(State::Failed) > 0
    }

    fn count(&self, state: State) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }

    /// Says what was done, a line for each node that changed.
    pub(crate) fn results(&self, diff: bool) -> String {
        let mut text = String::new();
        for node in self
            .nodes
            .iter()
            .filter(|node| !node.files.is_empty() && node.state != State::Failed)
        {
            let would = if node.state == State::WouldWrite {
                "would write "
            } else {
                ""
            };
            let files = node.files.iter().map(|difference| {
                let change = match difference.change {
                    Change::New => "new",
                    Change::Changed => "changed",
                    Change::Removed => "removed",
                };
                format!("{} {change}", difference.file)
            });
            let files = files.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "{}: {would}{files}", node.node);
            if diff {
                text += &node.diff();
            }
        }
        let counts = [
            (State::Written, "written"),
            (State::WouldWrite, "to be written"),
            (State::Unchanged, "unchanged"),
            (State::Failed, "failed"),
        ];
        let counts = counts
            .into_iter()
            .filter_map(|(state, word)| match self.count(state) {
                0 => None,
                count => Some(format!("{count} {word}")),
            });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let nodes = self.nodes.len();
        let noun = if nodes == 1 { "node" } else { "nodes" };
        let _ = writeln!(text, "{nodes} {noun}: {counts}");
        text
    }

    /// Says what is wrong and what a person should know, each once, a line each.
    pub(crate) fn complaints(&self) -> String {
        let mut text = String::new();
        for (name, image) in &self.osimages {
            for note in &image.notes {
                let _ = writeln!(text, "{name}: note: {note}");
            }
            for problem in &image.problems {
                let _ = writeln!(text, "{name}: {problem}");
            }
        }
        // One fault of a template is the same for each of ten thousand nodes.
        let mut problems = BTreeMap::<&Problem, Vec<&str>>::new();
        for node in &self.nodes {
            for problem in &node.problems {
                problems.entry(problem).or_default().push(&node.node);
            }
        }
        for (problem, nodes) in problems {
            let named = nodes
                .iter()
                .any(|node| problem.message.starts_with(&format!("{node}:")));
            match (named, nodes.as_slice()) {
                (true, _) | (false, []) => drop(writeln!(text, "{problem}")),
                (false, [node]) => drop(writeln!(text, "{problem} (for {node})")),
                (false, [first, rest @ ..]) => {
                    let _ = writeln!(text, "{problem} (for {first} and {} more)", rest.len());
                }
            }
        }
        text
    }
}

impl OfNode {
    /// Shows what changes in its files.
    fn diff(&self) -> String {
        let new: BTreeMap<_, _> = self.assets.files().collect();
        let mut text = String::new();
        for difference in &self.files {
            let old = String::from_utf8_lossy(&difference.standing);
            let new =
                String::from_utf8_lossy(new.get(difference.file.as_str()).unwrap_or(&&[][..]));
            let path = format!("{}/{}", self.node, difference.file);
            let diff = TextDiff::from_lines(&old, &new);
            text += &diff
                .unified_diff()
                .header(&format!("a/{path}"), &format!("b/{path}"))
                .to_string();
        }
        text
    }
}
