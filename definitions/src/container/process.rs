//! What runs in a container, how its health is looked at, and attributes in the engine's own words.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::Error;
use crate::runlist::words;

/// A program and its arguments: words as a shell parts them, or a JSON array of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessArguments {
    text: String,
    words: Vec<String>,
}

impl ProcessArguments {
    /// Returns the program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl fmt::Display for ProcessArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for ProcessArguments {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |expected| Error::invalid("a command", text, expected);
        let words = if text.starts_with('[') {
            serde_json::from_str(text)
                .map_err(|_| wrong("a JSON array of texts, for it begins with '['"))?
        } else {
            words(text).map_err(wrong)?
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(wrong("the path of a program and its arguments"));
        }
        let text = text.to_owned();
        Ok(Self { text, words })
    }
}

/// How a container's health is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// Not at all, whatever the image says.
    None,
    /// By a line for the shell in the container.
    Shell(String),
    /// By a program in the container.
    Program(ProcessArguments),
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Shell(line) => f.pad(line),
            Self::Program(arguments) => arguments.fmt(f),
        }
    }
}

impl FromStr for HealthCheck {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "none" => Ok(Self::None),
            text if text.starts_with('[') => Ok(Self::Program(text.parse()?)),
            text => Ok(Self::Shell(text.to_owned())),
        }
    }
}

/// A JSON object in the engine's own words, as the body of a create request has them.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    text: String,
    object: Map<String, Value>,
}

impl EngineOptions {
    /// Returns the object.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }
}

impl Eq for EngineOptions {}

impl fmt::Display for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for EngineOptions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |expected: String| Error::invalid("options for the engine", text, expected);
        let form = "a JSON object such as {\"Tty\":true,\"HostConfig\":{\"ReadonlyRootfs\":true}}";
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => {
                let text = text.to_owned();
                Ok(Self { text, object })
            }
            Ok(_) => Err(wrong(form.to_owned())),
            Err(error) => Err(wrong(format!("{form} ({error})"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words_or_a_json_array() {
        for (text, expected) in [
            ("/bin/bash", &["/bin/bash"][..]),
            ("sh -c 'sleep 1; echo'", &["sh", "-c", "sleep 1; echo"]),
            (r#"["sh","-c","a b"]"#, &["sh", "-c", "a b"]),
        ] {
            let command: ProcessArguments = text.parse().unwrap();
            assert_eq!(command.words(), expected);
            assert_eq!(command.to_string(), text);
        }
        for text in ["", " ", "sh 'a", "[1]", "[]", "['sh']", "''"] {
            assert!(text.parse::<ProcessArguments>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_are_one_object() {
        let options: EngineOptions = r#"{"Tty":true}"#.parse().unwrap();
        assert_eq!(options.object()["Tty"], true);
        for text in ["", "[]", "true", "not json", "{\"a\":1} x", "{'a':1}"] {
            assert!(text.parse::<EngineOptions>().is_err(), "{text}");
        }
        assert!(matches!("none".parse(), Ok(HealthCheck::None)));
        assert!(matches!(
            "wget -q localhost".parse(),
            Ok(HealthCheck::Shell(_))
        ));
        assert!(matches!("[\"/ok\"]".parse(), Ok(HealthCheck::Program(_))));
        assert!("[1]".parse::<HealthCheck>().is_err());
    }
}
