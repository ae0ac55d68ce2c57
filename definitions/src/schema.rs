//! The one table of attributes of every form of an object.
//!
//! A noun declares its attributes once, in [`definition!`]: name, type and what it means. From that come
//! the struct, its checks, its conversion to and from an [`Object`], and with it the TOML files, the
//! stanzas, `attr=value` on command lines and the descriptions in `lsdef --attributes`.

use std::net::IpAddr;

use crate::{Arch, AttributeValue, Distro, Error, Object, ObjectKind};

/// One attribute of a kind of object.
#[derive(Debug, Clone, Copy)]
pub struct AttributeSpec {
    /// Its name, which is xCAT's.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub about: &'static str,
    /// Whether it holds one text or several.
    pub shape: AttributeShape,
    /// Whether it is for its owner alone: stored apart, and masked in listings.
    pub secret: bool,
    /// Accepts and normalises a value, or says what is wrong with it.
    check: fn(AttributeValue) -> Result<AttributeValue, Error>,
}

/// How many texts an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeShape {
    /// One text.
    Text,
    /// A list: an array in TOML, joined by commas elsewhere.
    List,
}

impl AttributeSpec {
    /// Describes an attribute that a field of the type `F` holds.
    pub(crate) const fn of<F: TypedField>(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            shape: F::SHAPE,
            secret: F::SECRET,
            check: |value| {
                if F::VERBATIM {
                    return Ok(value);
                }
                let field = F::parse(Some(&value))?;
                Ok(field.value().unwrap_or(value))
            },
        }
    }

    /// Parses the text of a command line or a stanza; an empty text means that nothing is set.
    ///
    /// # Errors
    /// When the attribute does not accept the text.
    pub fn parse(&self, text: &str) -> Result<Option<AttributeValue>, Error> {
        match self.shape {
            AttributeShape::Text => self.accept(AttributeValue::Text(text.to_owned())),
            AttributeShape::List => self.accept(AttributeValue::List(
                text.split(',').map(str::to_owned).collect(),
            )),
        }
    }

    /// Accepts a value: trims its texts, drops the empty ones, and checks what is left.
    ///
    /// # Errors
    /// When the attribute does not accept the value, or a text would not survive a stanza.
    pub fn accept(&self, value: AttributeValue) -> Result<Option<AttributeValue>, Error> {
        let value = match value {
            AttributeValue::Text(text) => AttributeValue::Text(trimmed(text)),
            AttributeValue::List(entries) => {
                AttributeValue::List(entries.into_iter().map(trimmed).collect())
            }
        };
        let value = match value {
            AttributeValue::List(mut entries) => {
                entries.retain(|entry| !entry.is_empty());
                AttributeValue::List(entries)
            }
            text @ AttributeValue::Text(_) => text,
        };
        if value.entries().iter().all(String::is_empty) {
            return Ok(None);
        }
        for entry in value.entries() {
            self.check_entry(entry)?;
        }
        (self.check)(value).map(Some)
    }

    /// Reads a value from JSON: a text, or an array of texts where it is a list.
    ///
    /// # Errors
    /// When the value has another shape.
    pub(crate) fn read_json(&self, value: &serde_json::Value) -> Result<AttributeValue, Error> {
        let read = match self.shape {
            AttributeShape::Text => value
                .as_str()
                .map(|text| AttributeValue::Text(text.to_owned())),
            AttributeShape::List => value.as_array().and_then(|entries| {
                let entries = entries
                    .iter()
                    .map(|entry| entry.as_str().map(str::to_owned));
                entries.collect::<Option<_>>().map(AttributeValue::List)
            }),
        };
        read.ok_or_else(|| {
            let expected = match self.shape {
                AttributeShape::Text => "a string",
                AttributeShape::List => "an array of strings",
            };
            Error::invalid("written as its value must be", self.name, expected)
        })
    }

    /// Returns a value as a message may hold it.
    fn shown(&self, value: String) -> String {
        if self.secret {
            crate::MASK.to_owned()
        } else {
            value
        }
    }

    /// Refuses what could not be written as `attr=value` on one line and read back.
    fn check_entry(&self, entry: &str) -> Result<(), Error> {
        if entry.contains(|c: char| c.is_control() && c != '\t') {
            return Err(Error::invalid(
                "the value of an attribute",
                self.shown(entry.escape_debug().to_string()),
                "one line without control characters",
            ));
        }
        if self.shape == AttributeShape::List && entry.contains(',') {
            return Err(Error::invalid(
                "one entry of a list",
                entry,
                "a text without a comma, which parts the entries",
            ));
        }
        Ok(())
    }
}

/// Trims a text, and leaves it where it is when there is nothing to trim.
fn trimmed(text: String) -> String {
    match text.trim() {
        same if same.len() == text.len() => text,
        shorter => shorter.to_owned(),
    }
}

/// Sorts the attributes of a declaration by name, so that they can be found by bisection.
pub(crate) const fn sorted<const N: usize>(
    mut attributes: [AttributeSpec; N],
) -> [AttributeSpec; N] {
    let mut end = 1;
    while end < N {
        let mut at = end;
        while at > 0 && precedes(attributes[at].name, attributes[at - 1].name) {
            attributes.swap(at, at - 1);
            at -= 1;
        }
        end += 1;
    }
    attributes
}

/// Compares two names byte by byte, at compile time.
const fn precedes(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    one.len() < other.len()
}

/// A noun that has a name and attributes, and so can be listed, edited and stored.
pub trait Definition: Sized {
    /// Its kind.
    const KIND: ObjectKind;
    /// What it can say, sorted by name.
    const ATTRIBUTES: &'static [AttributeSpec];

    /// Reads the typed form.
    ///
    /// # Errors
    /// When the object is of another kind.
    fn from_object(object: &Object) -> Result<Self, Error>;

    /// Writes the form that is listed and stored.
    ///
    /// # Errors
    /// When the name or a text is one that no object can have.
    fn to_object(&self) -> Result<Object, Error>;
}

/// The type of a field of a noun.
pub(crate) trait TypedField: Sized {
    const SHAPE: AttributeShape;
    const SECRET: bool;
    /// Whether every value is accepted as it is.
    const VERBATIM: bool;
    fn parse(value: Option<&AttributeValue>) -> Result<Self, Error>;
    fn value(&self) -> Option<AttributeValue>;
}

/// A type that one text makes.
pub(crate) trait TextField: Sized {
    const SECRET: bool = false;
    const VERBATIM: bool = false;
    fn from_text(text: &str) -> Result<Self, Error>;
    fn to_text(&self) -> String;
}

impl<W: TextField> TypedField for Option<W> {
    const SHAPE: AttributeShape = AttributeShape::Text;
    const SECRET: bool = W::SECRET;
    const VERBATIM: bool = W::VERBATIM;

    fn parse(value: Option<&AttributeValue>) -> Result<Self, Error> {
        let parsed = value.map(|value| match value {
            AttributeValue::Text(text) => W::from_text(text),
            list @ AttributeValue::List(_) => W::from_text(&list.to_string()),
        });
        parsed.transpose()
    }

    fn value(&self) -> Option<AttributeValue> {
        self.as_ref()
            .map(|word| AttributeValue::Text(word.to_text()))
    }
}

impl<W: TextField> TypedField for Vec<W> {
    const SHAPE: AttributeShape = AttributeShape::List;
    const SECRET: bool = W::SECRET;
    const VERBATIM: bool = W::VERBATIM;

    fn parse(value: Option<&AttributeValue>) -> Result<Self, Error> {
        let entries = value.map_or(&[][..], AttributeValue::entries);
        entries.iter().map(|entry| W::from_text(entry)).collect()
    }

    fn value(&self) -> Option<AttributeValue> {
        (!self.is_empty())
            .then(|| AttributeValue::List(self.iter().map(TextField::to_text).collect()))
    }
}

impl TextField for String {
    const VERBATIM: bool = true;

    fn from_text(text: &str) -> Result<Self, Error> {
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

/// Lets types that parse and print be the type of a field.
macro_rules! words {
    ($($word:ty: $what:literal, $expected:literal;)+) => {$(
        impl TextField for $word {
            fn from_text(text: &str) -> Result<Self, Error> {
                text.parse().map_err(|_| Error::invalid($what, text, $expected))
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

words! {
    IpAddr: "an IP address", "an address such as '10.1.0.5' or 'fd00::5'";
    std::net::Ipv6Addr: "an IPv6 address", "an address such as 'fd00::5'";
    ipnetwork::IpNetwork: "a network", "an address and the length of its prefix, such as '10.1.0.0/16'";
    u32: "a number", "digits";
}

/// Lets our own types, whose errors explain themselves, be the type of a field.
macro_rules! own_words {
    ($secret:literal: $($word:ty),+) => {$(
        impl TextField for $word {
            const SECRET: bool = $secret;

            fn from_text(text: &str) -> Result<Self, Error> {
                text.parse()
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

own_words!(false: Arch, Distro, crate::GroupName, crate::GroupType, crate::MacAddresses, crate::ProvMethod);
own_words!(false: crate::BootLevel, crate::StateDisk, crate::StateFallback, crate::StateFsType);
own_words!(false: crate::MemoryBound, crate::OverlayDevice, crate::StateLabel, crate::StatePaths);
// Containers.
own_words!(false: crate::CapabilityChange, crate::ContainerLink, crate::ContainerUser, crate::CpuLimit);
own_words!(false: crate::DeviceMapping, crate::DockerHost, crate::DockerName, crate::EngineOptions);
own_words!(false: crate::HealthCheck, crate::ImageReference, crate::MemorySize, crate::NamedValue);
own_words!(false: crate::ProcessArguments, crate::PublishedPort, crate::RestartPolicy, crate::Switch);
own_words!(false: crate::VolumeMount);
own_words!(true: crate::CryptedPassword, crate::Secret);

/// Declares a noun: the struct, its table of attributes and its conversions, all from one list.
macro_rules! definition {
    (
        $(#[$meta:meta])*
        pub struct $noun:ident: $kind:ident {
            $($(#[doc = $about:literal])+ $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $noun {
            /// The object's name.
            pub name: String,
            $($(#[doc = $about])+ pub $field: $type,)+
        }

        impl $crate::schema::Definition for $noun {
            const KIND: $crate::ObjectKind = $crate::ObjectKind::$kind;
            const ATTRIBUTES: &'static [$crate::schema::AttributeSpec] =
                &$crate::schema::sorted([$(
                    $crate::schema::AttributeSpec::of::<$type>(
                        stringify!($field),
                        concat!($($about),+),
                    ),
                )+]);

            fn from_object(object: &$crate::Object) -> Result<Self, $crate::Error> {
                $crate::schema::expect_kind(object, Self::KIND)?;
                Ok(Self {
                    name: object.name().to_owned(),
                    $($field: $crate::schema::TypedField::parse(
                        object.value(stringify!($field)),
                    )?,)+
                })
            }

            fn to_object(&self) -> Result<$crate::Object, $crate::Error> {
                let mut object = $crate::Object::new(Self::KIND, self.name.as_str())?;
                $(
                    let attribute = Self::KIND.attribute(stringify!($field))?;
                    if let Some(value) = $crate::schema::TypedField::value(&self.$field) {
                        object.put(attribute, attribute.accept(value)?);
                    }
                )+
                Ok(object)
            }
        }
    };
}
pub(crate) use definition;

/// Refuses to read one noun from another's object.
pub(crate) fn expect_kind(object: &Object, kind: ObjectKind) -> Result<(), Error> {
    if object.kind() == kind {
        return Ok(());
    }
    Err(Error::not_found(kind, object.name(), []))
}
