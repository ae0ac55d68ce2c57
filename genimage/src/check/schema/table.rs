//! A table of shapes, read.
//!
//! A line has four fields: a path of keys joined by `/` (`*`: any key, `[]`: each item of a list); the
//! types that are allowed there, joined by `|`; more about it (`required`; `closed`, for a map that takes
//! no other key; `deprecated`; `one=a|b`, of which keys one is needed); and the values that a text or a
//! whole number may have. The tables are written by `tests/check/shapes.py` and `autoyast-shapes.py` out
//! of the schemas of the programs that read such files; no word of theirs but keys and values is taken.

/// A table, read.
#[derive(Debug)]
pub(in crate::check) struct Schema {
    pub(super) nodes: Vec<SchemaNode>,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    List,
    Map,
}

impl ValueType {
    /// Reads the name that tables have; `any` is no limit.
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::Text,
            "list" => Self::List,
            "map" => Self::Map,
            _ => return None,
        })
    }

    /// Returns what a message calls it.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    /// Returns the value of AutoYaST's attribute `config:type`.
    pub(super) fn config_type(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer | Self::Number => "integer",
            Self::Null | Self::Text => "string",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// What one place may hold.
#[derive(Debug, Default)]
pub(super) struct SchemaNode {
    /// Empty: anything.
    pub(super) types: Vec<ValueType>,
    pub(super) closed: bool,
    pub(super) deprecated: bool,
    pub(super) required: Vec<&'static str>,
    pub(super) one: Vec<&'static str>,
    pub(super) values: Vec<&'static str>,
    /// In order of their names.
    pub(super) keys: Vec<(&'static str, usize)>,
    pub(super) any: Option<usize>,
    pub(super) item: Option<usize>,
}

impl Schema {
    /// Reads tables; a line of a later one replaces an earlier one's.
    pub(in crate::check) fn parse(tables: &[&'static str]) -> Self {
        let mut schema = Self {
            nodes: vec![SchemaNode::default()],
        };
        for line in tables.iter().flat_map(|table| table.lines()) {
            let mut fields = line.split('\t');
            let mut field = || fields.next().unwrap_or_default();
            let (path, types, about, values) = (field(), field(), field(), field());
            let at = schema.make(path);
            let words = |text: &'static str, mark| -> Vec<_> {
                text.split(mark).filter(|word| !word.is_empty()).collect()
            };
            let node = &mut schema.nodes[at];
            node.types = words(types, '|')
                .into_iter()
                .filter_map(ValueType::parse)
                .collect();
            node.values = words(values, '|');
            let about = words(about, ' ');
            node.closed = about.contains(&"closed");
            node.deprecated = about.contains(&"deprecated");
            let one = about.iter().find_map(|word| word.strip_prefix("one="));
            node.one = words(one.unwrap_or_default(), '|');
            if about.contains(&"required")
                && let Some((parent, key)) = path.rsplit_once('/').or(Some(("", path)))
            {
                let parent = schema.make(parent);
                schema.nodes[parent].required.push(key);
            }
        }
        schema
    }

    /// Returns the place of a path, made if it is new.
    fn make(&mut self, path: &'static str) -> usize {
        let mut at = 0;
        for step in path.split('/').filter(|step| !step.is_empty()) {
            let new = self.nodes.len();
            let node = &mut self.nodes[at];
            let next = match step {
                "*" => *node.any.get_or_insert(new),
                "[]" => *node.item.get_or_insert(new),
                key => match node.keys.binary_search_by_key(&key, |(name, _)| name) {
                    Ok(place) => node.keys[place].1,
                    Err(place) => {
                        node.keys.insert(place, (key, new));
                        new
                    }
                },
            };
            if next == new {
                self.nodes.push(SchemaNode::default());
            }
            at = next;
        }
        at
    }
}
