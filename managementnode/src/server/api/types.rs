//! What answers hold; their schemas are made from these types.

use std::collections::BTreeMap;
use std::fmt;

use definitions::states::StateReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trust::stamp;

/// What is wrong with a request (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProblemDetails {
    /// The reason phrase of the status.
    pub(super) title: String,
    /// The status.
    pub(super) status: u16,
    /// What is wrong, and what to do.
    pub(super) detail: String,
}

/// How a node is, by what it reported last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct ApiNodeState {
    /// The node.
    node: String,
    /// `installing`, `booting`, `postbooting`, `booted` or `failed`; null when it has reported nothing.
    state: Option<String>,
    /// Since when, by RFC 3339.
    since: Option<String>,
    /// How it is known: `certificate`, or `address`, which others on the node's network can forge.
    by: Option<String>,
    /// The last lines of what failed.
    lines: Vec<String>,
}

impl ApiNodeState {
    /// Describes a node.
    pub(super) fn new(node: &str, report: Option<&StateReport>) -> Self {
        Self {
            node: node.to_owned(),
            state: report.map(|report| report.state.to_string()),
            since: report.map(|report| stamp(report.time)),
            by: report.map(|report| report.by.name().to_owned()),
            lines: report
                .map(|report| report.lines.clone())
                .unwrap_or_default(),
        }
    }
}

/// How nodes are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StateList {
    /// Each node, sorted by name.
    pub(super) states: Vec<ApiNodeState>,
}

/// The site's authorities, as `slipway-trust status --json` prints them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(in crate::server) struct TrustStatus {
    /// The certificates and their keys.
    authorities: Vec<AuthorityStatus>,
    /// What is valid and what is revoked, by purpose.
    issued: BTreeMap<String, IssuedCount>,
    /// The nodes that may enrol.
    armed: Vec<ArmedNode>,
    /// What was refused.
    pub(in crate::server) alarms: Vec<AlarmStatus>,
    /// What is wrong.
    pub(in crate::server) problems: Vec<String>,
}

/// A certificate of the site.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct AuthorityStatus {
    name: String,
    /// When it ends, by RFC 3339.
    until: String,
    /// `here`, `away`, or `hidden` from whoever looked.
    key: String,
    /// Whether it is to be renewed.
    renew: bool,
}

/// How many certificates there are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct IssuedCount {
    valid: u64,
    revoked: u64,
}

/// A node that may enrol.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ArmedNode {
    node: String,
    /// By RFC 3339.
    until: String,
}

/// An enrolment that was refused.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(in crate::server) struct AlarmStatus {
    node: String,
    /// The address that it came from.
    from: String,
    /// What is wrong with it.
    what: String,
    /// When it came last, by RFC 3339.
    time: String,
    /// How often.
    count: u64,
}

impl fmt::Display for AlarmStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} from {}: {}",
            self.time, self.node, self.from, self.what
        )
    }
}
