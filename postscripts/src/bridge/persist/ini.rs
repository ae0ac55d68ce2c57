//! Files of `[Section]` and `Key=value` lines, as systemd and NetworkManager write them.
//!
//! In: the text. Out: its sections with every line unchanged, so that a section can be moved with
//! its comments. A section may occur several times. It never unescapes, reorders or prints values.
//! Reference: systemd.syntax(7), nm-settings-keyfile(5).

/// A file cut into sections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ini {
    /// The lines before the first header.
    pub(super) preamble: Vec<String>,
    pub(super) sections: Vec<IniSection>,
}

/// A section with its lines, comments and blank ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IniSection {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
}

impl Ini {
    pub(super) fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        for line in text.lines() {
            match (header(line), ini.sections.last_mut()) {
                (Some(name), _) => ini.sections.push(IniSection::new(name)),
                (None, Some(section)) => section.lines.push(line.to_owned()),
                (None, None) => ini.preamble.push(line.to_owned()),
            }
        }
        ini
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let mut push = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        self.preamble.iter().for_each(|line| push(line));
        for section in &self.sections {
            push(&format!("[{}]", section.name));
            section.lines.iter().for_each(|line| push(line));
        }
        text
    }

    /// All sections of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &IniSection> {
        self.sections
            .iter()
            .filter(move |section| section.name == name)
    }

    /// The last value of a key in any section of that name.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&str> {
        let sections = self.sections.iter().filter(|known| known.name == section);
        sections
            .filter_map(|section| section.value(key))
            .next_back()
    }

    /// The section of that name, made at the end where there is none.
    pub(super) fn section_mut(&mut self, name: &str) -> &mut IniSection {
        let at = self
            .sections
            .iter()
            .position(|section| section.name == name);
        let at = at.unwrap_or_else(|| {
            if let Some(last) = self.sections.last_mut() {
                last.end_with_blank();
            }
            self.sections.push(IniSection::new(name));
            self.sections.len() - 1
        });
        &mut self.sections[at]
    }
}

impl IniSection {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            lines: Vec::new(),
        }
    }

    /// Every `key=value` of the section in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| pair(line))
    }

    /// The last value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.pairs()
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .last()
    }

    /// Gives a key one value: in place where it has one, else at the end of the section.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key}={value}");
        let named = |line: &String| pair(line).is_some_and(|(name, _)| name == key);
        match self.lines.iter().position(named) {
            Some(at) => self.lines[at] = line,
            None => self.add(line),
        }
    }

    /// Adds a line below the last one that says something.
    pub(super) fn add(&mut self, line: String) {
        let blank = self
            .lines
            .iter()
            .rev()
            .take_while(|line| line.trim().is_empty())
            .count();
        self.lines.insert(self.lines.len() - blank, line);
    }

    /// Takes out the lines that assign a key `wanted` accepts, with the comments right above them
    /// and the lines that continue them.
    pub(super) fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let (mut kept, mut taken, mut comments) = (Vec::new(), Vec::new(), Vec::new());
        let mut continues: Option<bool> = None;
        for line in self.lines.drain(..) {
            let goes = continues.or_else(|| pair(&line).map(|(key, _)| wanted(key)));
            continues = goes.filter(|_| line.ends_with('\\'));
            match goes {
                Some(true) => {
                    taken.append(&mut comments);
                    taken.push(line);
                }
                None if line.trim_start().starts_with(['#', ';']) => comments.push(line),
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

    pub(super) fn end_with_blank(&mut self) {
        if self.lines.last().is_none_or(|line| !line.trim().is_empty()) {
            self.lines.push(String::new());
        }
    }
}

/// The name of the section that a line begins.
pub(super) fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// The key and the value of a line.
pub(super) fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_prints_as_it_was_read() {
        let text = "# top\n\n[Match]\nName=eth0\n\n[Network]\n; static\nDNS = 1.1.1.1\n[Network]\nDNS=9.9.9.9\n";
        let ini = Ini::parse(text);
        assert_eq!(ini.render(), text);
        assert_eq!(ini.value("Network", "DNS"), Some("9.9.9.9"));
    }

    #[test]
    fn keys_leave_with_their_comments() {
        let mut ini = Ini::parse("[a]\n# stays\nx=1\n# goes\ny=2\\\n 3\nz=4\n");
        assert_eq!(
            ini.sections[0].take(|key| key == "y"),
            ["# goes", "y=2\\", " 3"]
        );
        assert_eq!(ini.render(), "[a]\n# stays\nx=1\nz=4\n");
    }
}
