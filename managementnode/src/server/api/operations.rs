//! What can be asked: one table, by which requests are answered and the API is described.

use definitions::ObjectKind;
use hyper::Method;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The description of the API.
    Describe,
    List(ObjectKind),
    Read(ObjectKind),
    /// A node with what it has from its groups.
    Effective,
    Put(ObjectKind),
    Delete(ObjectKind),
    States,
    State,
    Trust,
}

/// An operation, with the path below `/v1` that it has.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// `{name}` is the name of an object.
    pub(super) path: String,
    pub(super) action: Action,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FoundOperation {
    /// The operation, and the name in its path.
    Operation(Action, String),
    /// The path has operations with these methods alone.
    OtherMethods(String),
    Nothing,
}

/// Returns the word for objects of a kind in a path.
pub(super) fn collection(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Group => "groups",
        ObjectKind::Network => "networks",
        ObjectKind::Node => "nodes",
        ObjectKind::OsImage => "osimages",
        ObjectKind::Site => "site",
    }
}

/// Lists all operations.
pub(super) fn all() -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut add = |method: Method, path: String, action| {
        operations.push(Operation {
            method,
            path,
            action,
        });
    };
    add(Method::GET, "openapi.json".to_owned(), Action::Describe);
    for kind in ObjectKind::ALL {
        let all = collection(kind);
        let one = if kind == ObjectKind::Site {
            all.to_owned()
        } else {
            add(Method::GET, all.to_owned(), Action::List(kind));
            format!("{all}/{{name}}")
        };
        add(Method::GET, one.clone(), Action::Read(kind));
        if kind == ObjectKind::Node {
            add(Method::GET, format!("{one}/effective"), Action::Effective);
        }
        // Groups are made and lose their members by nodes, too: chdef and rmdef change them.
        if kind != ObjectKind::Group {
            add(Method::PUT, one.clone(), Action::Put(kind));
        }
        if !matches!(kind, ObjectKind::Group | ObjectKind::Site) {
            add(Method::DELETE, one, Action::Delete(kind));
        }
    }
    add(Method::GET, "states".to_owned(), Action::States);
    add(Method::GET, "states/{name}".to_owned(), Action::State);
    add(Method::GET, "trust".to_owned(), Action::Trust);
    operations
}

/// Finds the operation of a request; `path` is what follows `/v1/`, in its parts.
pub(super) fn find(method: &Method, path: &[String]) -> FoundOperation {
    let mut others = Vec::new();
    for operation in all() {
        let Some(name) = operation.named(path) else {
            continue;
        };
        if operation.method == *method {
            return FoundOperation::Operation(operation.action, name);
        }
        others.push(operation.method.to_string());
    }
    if others.is_empty() {
        FoundOperation::Nothing
    } else {
        FoundOperation::OtherMethods(others.join(", "))
    }
}

impl Operation {
    /// Returns the name in a path that is this operation's; the site is the one object that has none there.
    fn named(&self, path: &[String]) -> Option<String> {
        let parts: Vec<_> = self.path.split('/').collect();
        let mut name = definitions::Site::NAME.to_owned();
        for (part, given) in parts.iter().zip(path) {
            match *part {
                "{name}" => name.clone_from(given),
                part if part == given => {}
                _ => return None,
            }
        }
        (parts.len() == path.len()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_operation_or_none() {
        for (method, path, expected) in [
            (
                Method::GET,
                "nodes",
                FoundOperation::Operation(Action::List(ObjectKind::Node), "clustersite".to_owned()),
            ),
            (
                Method::PUT,
                "nodes/n1",
                FoundOperation::Operation(Action::Put(ObjectKind::Node), "n1".to_owned()),
            ),
            (
                Method::GET,
                "nodes/n1/effective",
                FoundOperation::Operation(Action::Effective, "n1".to_owned()),
            ),
            (
                Method::PUT,
                "site",
                FoundOperation::Operation(Action::Put(ObjectKind::Site), "clustersite".to_owned()),
            ),
            (
                Method::DELETE,
                "site",
                FoundOperation::OtherMethods("GET, PUT".to_owned()),
            ),
            (
                Method::PUT,
                "groups/g",
                FoundOperation::OtherMethods("GET".to_owned()),
            ),
            (Method::GET, "nodes/n1/more", FoundOperation::Nothing),
            (Method::GET, "", FoundOperation::Nothing),
        ] {
            let parts: Vec<_> = path.split('/').map(str::to_owned).collect();
            assert_eq!(find(&method, &parts), expected, "{method} {path}");
        }
    }
}
