//! Which fields the context has, so that a wrong name is found before anything is rendered.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::TemplateContext;

/// What may follow a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextFields {
    /// Nothing.
    None,
    /// Any name: the administrator's own.
    Any,
    /// One of these.
    Of(BTreeMap<String, ContextFields>),
    /// `[]`, and then what each element has.
    Each(Box<ContextFields>),
}

impl ContextFields {
    /// Returns the fields of the context.
    pub fn of_context() -> &'static Self {
        static FIELDS: LazyLock<ContextFields> = LazyLock::new(|| {
            let example = serde_json::to_value(TemplateContext::example()).unwrap_or_default();
            let mut fields = ContextFields::of(&example);
            if let ContextFields::Of(names) = &mut fields {
                names.insert("environment".to_owned(), ContextFields::Any);
            }
            fields
        });
        &FIELDS
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Object(map) => Self::Of(
                map.iter()
                    .map(|(name, value)| (name.clone(), Self::of(value)))
                    .collect(),
            ),
            Value::Array(list) => Self::Each(Box::new(list.first().map_or(Self::None, Self::of))),
            _ => Self::None,
        }
    }

    /// Lists all fields as templates name them: `node.mac`, `extras[].uri`; a struct or a list
    /// is listed itself too.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk("", &mut paths);
        paths
    }

    /// Lists the fields that hold a value, as the documentation does.
    pub fn leaves(&self) -> Vec<String> {
        let all = self.paths();
        let inner = |path: &String| {
            all.iter().any(|other| {
                other.len() > path.len()
                    && other.starts_with(path.as_str())
                    && other[path.len()..].starts_with(['.', '['])
            })
        };
        all.iter().filter(|path| !inner(path)).cloned().collect()
    }

    fn walk(&self, path: &str, paths: &mut Vec<String>) {
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
        match self {
            Self::None | Self::Any => {}
            Self::Each(element) => element.walk(&format!("{path}[]"), paths),
            Self::Of(names) => {
                for (name, inner) in names {
                    let dot = if path.is_empty() { "" } else { "." };
                    inner.walk(&format!("{path}{dot}{name}"), paths);
                }
            }
        }
    }

    /// Tells whether a path names a field.
    pub fn has(&self, path: &str) -> bool {
        let (mut fields, mut rest) = (self, path);
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            match fields {
                Self::Any => return true,
                Self::None => return false,
                Self::Each(element) => {
                    let Some(after) = rest.strip_prefix("[]") else {
                        return false;
                    };
                    (fields, rest) = (element, after);
                }
                Self::Of(names) => {
                    let end = rest.find(['.', '[']).unwrap_or(rest.len());
                    let Some(inner) = names.get(&rest[..end]) else {
                        return false;
                    };
                    (fields, rest) = (inner, &rest[end..]);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_context() {
        let fields = ContextFields::of_context();
        for path in [
            "node",
            "node.mac",
            "extras[].uri",
            "ports[]",
            "environment.ANY",
            "firstboot.url",
        ] {
            assert!(fields.has(path), "{path}");
        }
        for path in [
            "",
            "nodes",
            "node.mak",
            "node.mac.x",
            "ports.x",
            "extras.uri",
            "ports[].x",
        ] {
            assert!(path.is_empty() || !fields.has(path), "{path}");
        }
        assert!(fields.paths().iter().all(|path| fields.has(path)));
        assert!(fields.paths().contains(&"disk.layout".to_owned()));
    }
}
