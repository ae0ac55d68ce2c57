//! Repositories in the words of apt, dnf and zypper. Pure.
//!
//! References: sources.list(5) (deb822, `Signed-By`), dnf.conf(5), zypper(8).

use std::fmt::Write as _;

use super::{Repository, RepositoryFormat};

impl Repository {
    /// Returns the name of the file that tells a node of it: `extra1.sources`, `extra1.repo`.
    pub fn file_name(&self) -> String {
        match self.form {
            RepositoryFormat::Apt => format!("{}.sources", self.name),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => format!("{}.repo", self.name),
        }
    }

    /// Returns the text of that file: deb822 with the key in it for apt, which reads such since 2.3.10; a
    /// section that checks signatures for dnf and zypper.
    pub fn file(&self) -> String {
        match self.form {
            RepositoryFormat::Apt => self.deb822(self.key.as_deref().map(indented)),
            RepositoryFormat::Dnf | RepositoryFormat::Zypper => self.section(),
        }
    }

    /// Returns the same for an older apt, with the key in a file of the node's.
    pub fn file_with_key(&self, path: &str) -> String {
        self.deb822(self.key.is_some().then(|| format!(" {path}\n")))
    }

    /// Returns the one line of a `.list`, for an apt that knows no deb822 (before 1.1), or for what takes
    /// such a line; `key` is where the key lies on the node, if it has one.
    pub fn line(&self, key: Option<&str>) -> String {
        let mut options = Vec::new();
        if !self.architectures.is_empty() {
            options.push(format!("arch={}", self.architectures.join(",")));
        }
        match key {
            _ if self.trusted => options.push("trusted=yes".to_owned()),
            Some(path) => options.push(format!("signed-by={path}")),
            None => {}
        }
        let mut words = vec!["deb".to_owned()];
        if !options.is_empty() {
            words.push(format!("[{}]", options.join(" ")));
        }
        words.push(self.uri.clone());
        words.extend(self.suite.clone());
        words.extend(self.components.iter().cloned());
        words.join(" ")
    }

    fn deb822(&self, signed_by: Option<String>) -> String {
        let mut text = format!("Types: deb\nURIs: {}\n", self.uri);
        let mut field = |name: &str, words: &[String]| {
            if !words.is_empty() {
                let _ = writeln!(text, "{name}: {}", words.join(" "));
            }
        };
        field("Suites", self.suite.as_slice());
        field("Components", &self.components);
        field("Architectures", &self.architectures);
        match signed_by {
            _ if self.trusted => text.push_str("Trusted: yes\n"),
            Some(key) => {
                text.push_str("Signed-By:");
                text.push_str(&key);
            }
            None => {}
        }
        text
    }

    fn section(&self) -> String {
        let name = &self.name;
        let mut text = format!("[{name}]\nname={name}\nbaseurl={}\nenabled=1\n", self.uri);
        if self.form == RepositoryFormat::Zypper {
            text.push_str("autorefresh=1\n");
        }
        if self.trusted {
            text.push_str("gpgcheck=0\n");
            if self.form == RepositoryFormat::Zypper {
                text.push_str("repo_gpgcheck=0\npkg_gpgcheck=0\n");
            }
        } else {
            text.push_str("gpgcheck=1\n");
            if let Some(url) = &self.key_url {
                let _ = writeln!(text, "gpgkey={url}");
            }
        }
        text
    }
}

/// A text as the value of a deb822 field: each line after a space, an empty one as a dot.
fn indented(text: &str) -> String {
    let line = |line: &str| match line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    };
    std::iter::once("\n".to_owned())
        .chain(text.lines().map(line))
        .collect()
}
