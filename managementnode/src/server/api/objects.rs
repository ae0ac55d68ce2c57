//! Definitions, read.

use definitions::{Catalog, Error, Noderange, Nodes, Object, ObjectKind, Site, Universe};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::operations::collection;
use super::{Refused, unavailable};
use crate::editor::{document, tag};
use crate::server::files::percent_decoded;

/// Nodes to choose from for whoever asks by network: no file of this machine is read for them.
struct WithoutFiles<'a>(&'a Nodes);

impl Universe for WithoutFiles<'_> {
    fn nodes(&self) -> Vec<&str> {
        Universe::nodes(self.0)
    }

    fn groups(&self) -> std::collections::BTreeMap<&str, Vec<&str>> {
        Universe::groups(self.0)
    }

    fn selects(&self, node: &str, selection: &definitions::Selection) -> bool {
        self.0.selects(node, selection)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not read for clients"))
    }
}

/// Reads the text of the node range of a query, `noderange=…`; empty where there is none.
///
/// # Errors
/// When the query is something else.
pub(super) fn range_of(query: Option<&str>) -> Result<String, Refused> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(String::new());
    };
    query
        .strip_prefix("noderange=")
        .filter(|text| !text.contains('&'))
        .and_then(|text| percent_decoded(&text.replace('+', " ")))
        .ok_or_else(|| {
            let detail = "the query is to be noderange=…, with escapes as in a URL";
            (StatusCode::BAD_REQUEST, detail.to_owned())
        })
}

/// Reads the node range of a query.
///
/// # Errors
/// When there is something else, or no node range.
pub(super) fn noderange(query: Option<&str>) -> Result<Option<Noderange>, Refused> {
    if query.is_none_or(str::is_empty) {
        return Ok(None);
    }
    let range = range_of(query)?.parse();
    range
        .map(Some)
        .map_err(|error: Error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// Reads the definitions of nodes and groups.
///
/// # Errors
/// When they cannot be read.
pub(super) fn nodes(catalog: &Catalog) -> Result<Nodes, Refused> {
    catalog.nodes().map_err(|error| unavailable(&error))
}

/// Chooses nodes: all without a range.
///
/// # Errors
/// When the range names what is not there.
pub(crate) fn chosen(nodes: &Nodes, range: Option<&Noderange>) -> Result<Vec<String>, Refused> {
    let Some(range) = range else {
        return Ok(nodes.names().map(str::to_owned).collect());
    };
    let chosen = range.select(&WithoutFiles(nodes));
    chosen.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// Lists objects with what they say themselves.
///
/// # Errors
/// As [`nodes`] and [`chosen`].
pub(super) fn list(
    catalog: &Catalog,
    kind: ObjectKind,
    range: Option<&Noderange>,
) -> Result<Value, Refused> {
    let objects: Vec<_> = if kind == ObjectKind::Node {
        let nodes = nodes(catalog)?;
        let names = chosen(&nodes, range)?;
        names
            .iter()
            .filter_map(|name| nodes.own(name))
            .map(document)
            .collect()
    } else {
        if range.is_some() {
            let detail = "a node range chooses nodes and states alone".to_owned();
            return Err((StatusCode::BAD_REQUEST, detail));
        }
        let objects = catalog.objects(kind).map_err(|error| unavailable(&error))?;
        objects.iter().map(document).collect()
    };
    Ok(json!({ collection(kind): objects }))
}

/// Reads one object, and names its version.
///
/// # Errors
/// When there is none of that name.
pub(super) fn read(
    catalog: &Catalog,
    kind: ObjectKind,
    name: &str,
) -> Result<(String, Value), Refused> {
    let objects = catalog.objects(kind).map_err(|error| unavailable(&error))?;
    if let Some(object) = objects.iter().find(|object| object.name() == name) {
        return Ok((tag(object), document(object)));
    }
    match Object::new(kind, name) {
        Ok(site) if kind == ObjectKind::Site && name == Site::NAME => {
            Ok((tag(&site), document(&site)))
        }
        _ => Err(missing(kind, name, objects.iter().map(Object::name))),
    }
}

/// Reads a node with what it has from its groups.
///
/// # Errors
/// When there is none of that name.
pub(super) fn effective(catalog: &Catalog, name: &str) -> Result<Value, Refused> {
    let nodes = nodes(catalog)?;
    match nodes.effective(name) {
        Some(node) => Ok(document(&node)),
        None => Err(missing(ObjectKind::Node, name, nodes.names())),
    }
}

/// Says that there is none of a name, in xCAT's words.
pub(super) fn missing<'a>(
    kind: ObjectKind,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Refused {
    let error = Error::not_found(kind, name, known);
    (StatusCode::NOT_FOUND, error.to_string())
}
