//! Files of shell assignments (`KEY=value`, `KEY="value"`), as the ifcfg backends read them.
//!
//! In: the text. Out: its lines with the values unquoted, so that assignments move with their
//! comments. Nothing is expanded and nothing is run.

/// A file as lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShellVars {
    pub(super) lines: Vec<String>,
}

impl ShellVars {
    pub(super) fn parse(text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    pub(super) fn render(&self) -> String {
        self.lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect()
    }

    /// Every assignment in order, unquoted.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| pair(line))
    }

    /// The last value of a key; an empty one counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.pairs()
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .last()
            .filter(|value| !value.is_empty())
    }

    /// Gives a key a value: in place where it has one, else at the end.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key}={value}");
        match self
            .lines
            .iter()
            .rposition(|line| pair(line).is_some_and(|(name, _)| name == key))
        {
            Some(at) => self.lines[at] = line,
            None => self.lines.push(line),
        }
    }

    /// Takes out the assignments whose key `wanted` accepts, with the comments right above them.
    pub(super) fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let (mut kept, mut taken, mut comments) = (Vec::new(), Vec::new(), Vec::new());
        for line in self.lines.drain(..) {
            match pair(&line).map(|(key, _)| wanted(key)) {
                Some(true) => {
                    taken.append(&mut comments);
                    taken.push(line);
                }
                None if line.trim_start().starts_with('#') => comments.push(line),
                _ => {
                    kept.append(&mut comments);
                    kept.push(line);
                }
            }
        }
        kept.append(&mut comments);
        self.lines = kept;
        taken
    }
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| (key, unquote(value)))
}

/// The first word of a value without its quotes; what follows it is a comment.
fn unquote(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or(rest);
        }
    }
    value.split_whitespace().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_a_shell_reads_them() {
        let vars = ShellVars::parse(
            "# c\nA=1\nB=\"two words\" # why\nexport C='x'\nD=\nA=2\nnot an assignment\n",
        );
        let cases = [
            ("A", Some("2")),
            ("B", Some("two words")),
            ("C", Some("x")),
            ("D", None),
            ("E", None),
        ];
        for (key, value) in cases {
            assert_eq!(vars.value(key), value, "{key}");
        }
        assert_eq!(vars.render().lines().count(), 7);
    }
}
