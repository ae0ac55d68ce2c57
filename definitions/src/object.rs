//! Objects as lists, files and command lines show them: a kind, a name, and attributes as text.
//!
//! Text comes in, checked attributes go out: an [`Object`] holds no attribute that its kind does not
//! have and no value that its attribute does not accept. The typed nouns ([`crate::OsImage`],
//! [`crate::Node`] …) convert from and to it; their one table of attributes is [`crate::schema`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
#[cfg(feature = "catalog")]
use std::sync::LazyLock;

use crate::nearest::best_match;
use crate::schema::{AttributeSpec, Definition};
use crate::{Error, GroupName, NodeName, Site};

/// The kinds of objects, as `-t` and `objtype` name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A group of nodes whose attributes its members inherit.
    Group,
    /// A network of the site.
    Network,
    /// A machine or a container.
    Node,
    /// What a node gets installed.
    OsImage,
    /// The site's own settings; there is one object, `clustersite`.
    Site,
}

impl ObjectKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::Group,
        Self::Network,
        Self::Node,
        Self::OsImage,
        Self::Site,
    ];

    /// Returns the name: `osimage`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Network => "network",
            Self::Node => "node",
            Self::OsImage => "osimage",
            Self::Site => "site",
        }
    }

    /// Returns what objects of this kind can say, sorted by name.
    pub fn attributes(self) -> &'static [AttributeSpec] {
        match self {
            Self::Group => crate::Group::ATTRIBUTES,
            Self::Network => crate::Network::ATTRIBUTES,
            Self::Node => crate::Node::ATTRIBUTES,
            Self::OsImage => crate::OsImage::ATTRIBUTES,
            Self::Site => Site::ATTRIBUTES,
        }
    }

    /// Returns which of them are secret.
    #[cfg(feature = "catalog")]
    pub(crate) fn secrets(self) -> &'static [&'static str] {
        static SECRETS: LazyLock<[Vec<&str>; ObjectKind::ALL.len()]> = LazyLock::new(|| {
            ObjectKind::ALL.map(|kind| {
                let secret = kind.attributes().iter().filter(|known| known.secret);
                secret.map(|known| known.name).collect()
            })
        });
        &SECRETS[self as usize]
    }

    /// Finds an attribute by its name.
    ///
    /// # Errors
    /// [`Error::UnknownAttribute`], with the nearest name that exists.
    pub fn attribute(self, name: &str) -> Result<&'static AttributeSpec, Error> {
        let attributes = self.attributes();
        attributes
            .binary_search_by(|attribute| attribute.name.cmp(name))
            .map(|at| &attributes[at])
            .map_err(|_| Error::UnknownAttribute {
                kind: self,
                name: name.to_owned(),
                nearest: best_match(name, attributes.iter().map(|known| known.name))
                    .map(str::to_owned),
            })
    }

    /// Checks the name of an object: it is on command lines, in node ranges and in file names.
    fn check_name(self, name: &str) -> Result<(), Error> {
        if self == Self::Site && name != Site::NAME {
            return Err(Error::invalid("the name of the site", name, Site::NAME));
        }
        match self {
            Self::Node => return name.parse::<NodeName>().map(drop),
            Self::Group => return name.parse::<GroupName>().map(drop),
            Self::Network | Self::OsImage | Self::Site => {}
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_+:".contains(c);
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if begins && name.len() <= 200 && name.chars().all(allowed) {
            return Ok(());
        }
        Err(Error::invalid(
            "the name of an object",
            name,
            "at most 200 letters, digits and '.' '_' '-' '+' ':', a letter or digit first",
        ))
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ObjectKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                Error::invalid("a type of object", text, one_of(Self::ALL.map(Self::name)))
            })
    }
}

/// The value of an attribute; never empty, since an empty value means that the attribute is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// One text.
    Text(String),
    /// Several texts in order; none of them is empty or holds a comma.
    List(Vec<String>),
}

impl AttributeValue {
    /// Returns the entries: the parts of a list, or the one text.
    pub fn entries(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(entries) => entries,
        }
    }

    /// Writes the value for programs: a list is an array.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::List(entries) => entries.as_slice().into(),
        }
    }
}

/// Prints a list joined by commas, as xCAT does.
impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.entries().iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(entry)?;
        }
        Ok(())
    }
}

/// Attributes by name; only those that are set.
pub type Attributes = BTreeMap<&'static str, AttributeValue>;

/// An object of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    kind: ObjectKind,
    name: String,
    attributes: Attributes,
}

impl Object {
    /// Names an object that says nothing yet.
    ///
    /// # Errors
    /// When no object of that kind can have the name.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        kind.check_name(&name)?;
        Ok(Self {
            kind,
            name,
            attributes: Attributes::new(),
        })
    }

    /// Returns the kind.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the attributes that are set.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Returns the attributes to be changed by what has checked its values.
    pub(crate) fn attributes_mut(&mut self) -> &mut Attributes {
        &mut self.attributes
    }

    /// Returns one attribute, if it is set.
    pub fn value(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.get(name)
    }

    /// Sets an attribute from the text of a command line or a stanza; an empty text removes it.
    ///
    /// # Errors
    /// When the kind has no such attribute or the attribute does not accept the text.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Error> {
        if let Some((packed, nic)) = name.split_once('.') {
            return self.set_nic(packed, nic, text);
        }
        let attribute = self.kind.attribute(name)?;
        self.put(attribute, attribute.parse(text)?);
        Ok(())
    }

    /// Sets what a list such as `nicips` says of one NIC: `nicips.eth0=10.0.0.5` makes `eth0!10.0.0.5`.
    fn set_nic(&mut self, packed: &str, nic: &str, text: &str) -> Result<(), Error> {
        let attribute = self.kind.attribute(packed)?;
        let named = format!("{nic}!");
        let entries = self.value(packed).map_or(&[][..], AttributeValue::entries);
        let mut entries = entries.to_vec();
        let said = (!text.trim().is_empty()).then(|| format!("{named}{}", text.trim()));
        match entries.iter().position(|entry| entry.starts_with(&named)) {
            Some(at) => drop(entries.splice(at..=at, said)),
            None => entries.extend(said),
        }
        self.put(attribute, attribute.accept(AttributeValue::List(entries))?);
        Ok(())
    }

    /// Sets an attribute from JSON, as [`Self::to_json`] writes it; an empty text or list removes it.
    ///
    /// # Errors
    /// As [`Self::set`], and when a list is no array of texts, or another attribute no text.
    pub fn set_json(&mut self, name: &str, value: &serde_json::Value) -> Result<(), Error> {
        let attribute = self.kind.attribute(name)?;
        let value = attribute.accept(attribute.read_json(value)?)?;
        self.put(attribute, value);
        Ok(())
    }

    /// Writes the attributes for programs: lists are arrays, and what is not set is left out.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let set = self.attributes.iter();
        set.map(|(name, value)| ((*name).to_owned(), value.to_json()))
            .collect()
    }

    /// Sets or removes an attribute; the value is one that the attribute accepted.
    pub(crate) fn put(&mut self, attribute: &'static AttributeSpec, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.attributes.insert(attribute.name, value),
            None => self.attributes.remove(attribute.name),
        };
    }

    /// Refuses an object to be made that lacks what objects of its kind need.
    ///
    /// # Errors
    /// [`Error::Missing`] names the attribute.
    pub fn check_new(&self) -> Result<(), Error> {
        if self.kind == ObjectKind::Node && self.value("groups").is_none() {
            return Err(Error::Missing {
                attribute: "groups",
                kind: self.kind,
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Returns the same attributes under another name.
    ///
    /// # Errors
    /// When no object of that kind can have the name.
    pub fn renamed(&self, name: &str) -> Result<Self, Error> {
        let mut renamed = Self::new(self.kind, name)?;
        renamed.attributes.clone_from(&self.attributes);
        Ok(renamed)
    }
}

/// Writes what would have been accepted: `one of a, b, c`.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    format!("one of {}", names.join(", "))
}
