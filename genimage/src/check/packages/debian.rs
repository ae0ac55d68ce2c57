//! apt's index: `Packages`, in one pass over its bytes.
//!
//! Names, versions, provides and tasks go into what is gathered; every other field is passed over
//! unread. Form: Debian repository format; Debian Policy §5.1 (stanzas), §7.5 (virtual packages).

use std::io::BufRead;

use anyhow::{Context, Result};

use super::index::Gathered;
use super::lines::each_line;

/// The fields of one stanza that matter.
#[derive(Debug, Default)]
struct Stanza {
    package: String,
    version: String,
    provides: String,
    task: String,
}

/// Reads a whole index.
pub(super) fn parse(reader: impl BufRead, gathered: &mut Gathered) -> Result<()> {
    let mut stanza = Stanza::default();
    each_line(reader, |line| stanza.line(line, gathered))?;
    stanza.finish(gathered)
}

impl Stanza {
    fn line(&mut self, line: &[u8], gathered: &mut Gathered) -> Result<()> {
        // Most lines are told apart by their first letter.
        match line.first() {
            None => return self.finish(gathered),
            Some(b'P' | b'V' | b'T') => {}
            Some(b'\r') if line.len() == 1 => return self.finish(gathered),
            Some(_) => return Ok(()),
        }
        let fields: [(&[u8], &mut String); 4] = [
            (b"Package:", &mut self.package),
            (b"Version:", &mut self.version),
            (b"Provides:", &mut self.provides),
            (b"Task:", &mut self.task),
        ];
        for (name, field) in fields {
            if let Some(value) = line.strip_prefix(name) {
                let value = std::str::from_utf8(value.trim_ascii())
                    .context("a field that is no UTF-8 text")?;
                field.clear();
                field.push_str(value);
            }
        }
        Ok(())
    }

    fn finish(&mut self, gathered: &mut Gathered) -> Result<()> {
        if !self.package.is_empty() {
            gathered.packages.add(&self.package, &self.version)?;
            for provided in self.provides.split(',') {
                let end = provided.find(['(', ':']).unwrap_or(provided.len());
                let name = provided[..end].trim();
                if !name.is_empty() && name != self.package {
                    gathered.provides.add(name, &self.package)?;
                }
            }
            for task in self.task.split(',').map(str::trim) {
                if !task.is_empty() {
                    gathered.groups.add(task, "")?;
                }
            }
            // tasksel's tasks are packages today.
            if let Some(task) = self.package.strip_prefix("task-") {
                gathered.groups.add(task, "")?;
            }
        }
        for field in [
            &mut self.package,
            &mut self.version,
            &mut self.provides,
            &mut self.task,
        ] {
            field.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::super::index::Index;
    use super::*;

    /// Reads through a buffer of few bytes, so that its end cuts every kind of line.
    fn index(text: &[u8], buffer: usize) -> Result<Index> {
        let mut gathered = Gathered::default();
        parse(BufReader::with_capacity(buffer, text), &mut gathered)?;
        Ok(gathered.finish())
    }

    #[test]
    fn names_versions_provides_and_tasks_are_found_wherever_the_buffer_ends() {
        let text = b"Package: exim4-daemon-light\nProvides: mail-transport-agent, default-mta (= 1), x:any\n\
            Version: 4.96-15\nDescription: a\n Package: not-one\nTask: mail-server, laptop\n\r\n\n\
            Package: task-ssh-server\nVersion: 3.73\nProvided: no\n\nPackage: libc6\nVersion: 2.36";
        for buffer in 1..90 {
            let index = index(text, buffer).unwrap();
            let names: Vec<_> = index.packages.iter().collect();
            assert_eq!(names, ["exim4-daemon-light", "libc6", "task-ssh-server"]);
            assert_eq!(index.packages.values("libc6").collect::<Vec<_>>(), ["2.36"]);
            let provided: Vec<_> = index.provides.iter().collect();
            assert_eq!(provided, ["default-mta", "mail-transport-agent", "x"]);
            let groups: Vec<_> = index.groups.iter().collect();
            assert_eq!(groups, ["laptop", "mail-server", "ssh-server"]);
        }
    }

    #[test]
    fn what_is_no_index_is_refused() {
        let error = index(b"Package: \xff\n", 4096).unwrap_err();
        assert_eq!(error.to_string(), "a field that is no UTF-8 text");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in "((Package|Version|Provides|Task|x):? ?[0-9a-f ,(:é]{0,20}\r?\n|\n){0,12}", buffer in 1..64usize
        ) {
            let _ = index(text.as_bytes(), buffer);
        }
    }
}
