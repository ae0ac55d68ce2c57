//! The labels of the containers that `mkdocker` makes: whose they are, and how they were declared.

use serde_json::Value;

/// The node that a container is.
pub(crate) const NODE: &str = "slipway.node";
/// The whole declaration that it was made of, as JSON.
pub(crate) const DECLARATION: &str = "slipway.declaration";
/// The image as it was when the container was made: the repository with the digest that its tag meant.
pub(crate) const IMAGE: &str = "slipway.image";
/// On one that is to replace another: whether that one ran.
pub(crate) const REPLACES: &str = "slipway.replaces";

/// Says whether labels are those of a node's container.
pub(crate) fn is_of(labels: &Value, node: &str) -> bool {
    labels[NODE] == node
}

/// Reads the declaration that a container was made of.
pub(crate) fn declaration(labels: &Value) -> Option<Value> {
    serde_json::from_str(labels[DECLARATION].as_str()?).ok()
}
