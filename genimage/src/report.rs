//! What became of each node, in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use definitions::EnrolmentToken;
use serde::{Serialize, Serializer};
use similar::TextDiff;

use crate::assets::{AssetChange, Assets, FileDifference};
use crate::node_archive::NodeArchive;
use crate::problem::Problem;

/// What a run did, or would do.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Programs that nodes fetch which were brought up to date.
    pub(crate) programs: Vec<String>,
    /// What is wrong with the site: no node gets anything.
    #[serde(serialize_with = "lines")]
    pub(crate) problems: Vec<Problem>,
    /// What a person should know of the site besides.
    #[serde(serialize_with = "lines")]
    pub(crate) notes: Vec<Problem>,
    /// The osimages, by name.
    pub(crate) osimages: BTreeMap<String, OsimageReport>,
    /// The nodes, sorted.
    pub(crate) nodes: Vec<NodeReport>,
}

/// What was found out about an osimage.
#[derive(Debug, Default, Serialize)]
pub(crate) struct OsimageReport {
    /// What is wrong with it: none of its nodes gets anything.
    #[serde(serialize_with = "lines")]
    pub(crate) problems: Vec<Problem>,
    /// What a person should know besides.
    #[serde(serialize_with = "lines")]
    pub(crate) notes: Vec<Problem>,
}

/// What became of a node.
#[derive(Debug, Serialize)]
pub(crate) struct NodeReport {
    pub(crate) node: String,
    pub(crate) osimage: String,
    pub(crate) state: NodeState,
    /// How its files differ from the published ones.
    pub(crate) files: Vec<FileDifference>,
    #[serde(serialize_with = "lines")]
    pub(crate) problems: Vec<Problem>,
    /// What a person should know besides.
    #[serde(serialize_with = "lines")]
    pub(crate) notes: Vec<Problem>,
    /// Until when it may enrol, where it was armed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) armed_until: Option<String>,
    /// What changes in its files, line by line, where that is asked for.
    #[serde(skip)]
    pub(crate) diff: String,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NodeState {
    /// Its assets were written.
    Written,
    /// They would be.
    WouldWrite,
    /// They are published already.
    Unchanged,
    /// Something is wrong, and the published ones stay.
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
        !self.problems.is_empty() || images || self.count(NodeState::Failed) > 0
    }

    /// Names the nodes that have their files, or are about to.
    pub(crate) fn sound(&self) -> Vec<&str> {
        let sound = self
            .nodes
            .iter()
            .filter(|node| node.state != NodeState::Failed);
        sound.map(|node| node.node.as_str()).collect()
    }

    /// Names the nodes whose files are written.
    pub(crate) fn written(&self) -> Vec<&str> {
        let written = self
            .nodes
            .iter()
            .filter(|node| node.state == NodeState::Written);
        written.map(|node| node.node.as_str()).collect()
    }

    fn count(&self, state: NodeState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }

    /// Says what was done, a line for each node that changed.
    pub(crate) fn results(&self) -> String {
        let mut text = String::new();
        for node in self
            .nodes
            .iter()
            .filter(|node| !node.files.is_empty() && node.state != NodeState::Failed)
        {
            let would = if node.state == NodeState::WouldWrite {
                "would write "
            } else {
                ""
            };
            let files = node.files.iter().map(|difference| {
                let change = match difference.change {
                    AssetChange::New => "new",
                    AssetChange::Changed => "changed",
                    AssetChange::Removed => "removed",
                };
                format!("{} {change}", difference.file)
            });
            let files = files.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "{}: {would}{files}", node.node);
            text += &node.diff;
        }
        let counts = [
            (NodeState::Written, "written"),
            (NodeState::WouldWrite, "to be written"),
            (NodeState::Unchanged, "unchanged"),
            (NodeState::Failed, "failed"),
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
        let armed = self.nodes.iter().find_map(|node| node.armed_until.as_ref());
        let armed = armed.map(|until| format!("; armed until {until}"));
        let _ = writeln!(
            text,
            "{nodes} {noun}: {counts}{}",
            armed.unwrap_or_default()
        );
        text
    }

    /// Says what is wrong and what a person should know, each once, a line each.
    pub(crate) fn complaints(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let _ = writeln!(text, "{problem}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        for (name, image) in &self.osimages {
            for note in &image.notes {
                let _ = writeln!(text, "{name}: note: {note}");
            }
            for problem in &image.problems {
                let _ = writeln!(text, "{name}: {problem}");
            }
        }
        self.write_grouped(&mut text, "note: ", |node| &node.notes);
        self.write_grouped(&mut text, "", |node| &node.problems);
        text
    }
}

impl Report {
    /// Says what nodes have alike once: one fault of a template is that of ten thousand of them.
    fn write_grouped(
        &self,
        text: &mut String,
        prefix: &str,
        of: impl Fn(&NodeReport) -> &Vec<Problem>,
    ) {
        let mut by_problem = BTreeMap::<&Problem, Vec<&str>>::new();
        for node in &self.nodes {
            for problem in of(node) {
                by_problem.entry(problem).or_default().push(&node.node);
            }
        }
        for (problem, nodes) in by_problem {
            let named = nodes
                .iter()
                .any(|node| problem.message.starts_with(&format!("{node}:")));
            let whom = match nodes.as_slice() {
                [] => String::new(),
                _ if named => String::new(),
                [node] => format!(" (for {node})"),
                [first, rest @ ..] => format!(" (for {first} and {} more)", rest.len()),
            };
            let _ = writeln!(text, "{prefix}{problem}{whom}");
        }
    }
}

impl NodeReport {
    /// Whether its files differ from the published ones, and nothing is wrong.
    pub(crate) fn differs(&self) -> bool {
        matches!(self.state, NodeState::Written | NodeState::WouldWrite)
    }

    /// Shows what changes in its files.
    pub(crate) fn diff_of(&self, assets: &Assets, published: impl Fn(&str) -> Vec<u8>) -> String {
        let mut text = String::new();
        for difference in &self.files {
            let archives = [NodeArchive::FILE, NodeArchive::OF_ROOT_IMAGE];
            if archives.contains(&difference.file.as_str()) {
                continue; // no text
            }
            // a terminal keeps what it shows, and a log too
            let shown = |bytes: &[u8]| EnrolmentToken::hide_in(&String::from_utf8_lossy(bytes));
            let old = shown(&published(&difference.file));
            let new = shown(assets.file(&difference.file).unwrap_or_default());
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
