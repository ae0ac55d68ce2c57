//! What a run of `bridgeprereq` reports in the end.

use serde::Serialize;

use super::net;

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The outcome, in one word.
    pub outcome: Outcome,
    /// The steps in words.
    pub steps: Vec<String>,
    /// What changes on disk for the next boot and what runs for the bridge from now on, in words.
    pub files: Vec<String>,
    /// What was left alone, and why; what somebody should know.
    pub notes: Vec<String>,
    /// Who was proven to answer.
    pub reached: Vec<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Whether something else made what was to be made, so that another run can succeed.
    #[serde(skip)]
    pub is_overtaken: bool,
    /// The steps themselves.
    pub plan: Vec<net::Step>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was as desired already.
    #[default]
    Unchanged,
    /// A dry run that found something to do.
    Planned,
    /// It was changed and proven.
    Changed,
    /// It was changed, failed, and is as it was.
    RolledBack,
}
