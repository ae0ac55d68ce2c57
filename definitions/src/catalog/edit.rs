//! One change to the catalog: under the writers' lock, with comments and order kept.
//!
//! Objects come in, files go out. Nothing is written before [`Edit::commit`]; each file is then replaced
//! by one rename. A change of several files is not one atom: killed between two renames, some files are
//! new and some old, each of them whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::{Catalog, Shelf, Stored, file};
use crate::{Error, Kind, Lock, Nodes, Object, Site, Value};

/// A change under way; dropping it changes nothing.
#[derive(Debug)]
pub struct Edit<'c> {
    catalog: &'c Catalog,
    shelves: BTreeMap<Kind, Shelf>,
    documents: BTreeMap<PathBuf, Document>,
    /// Held until the change is written or dropped.
    _lock: Lock,
}

/// A file that the change touches.
#[derive(Debug)]
struct Document {
    before: String,
    after: DocumentMut,
    removed: bool,
}

impl<'c> Edit<'c> {
    /// Takes the lock.
    pub(super) fn begin(catalog: &'c Catalog) -> Result<Self> {
        Ok(Self {
            _lock: file::lock(catalog.path())?,
            catalog,
            shelves: BTreeMap::new(),
            documents: BTreeMap::new(),
        })
    }

    /// Returns an object as it stands in this change.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn find(&mut self, kind: Kind, name: &str) -> Result<Option<&Object>> {
        Ok(self.shelf(kind)?.get(name).map(|stored| &stored.object))
    }

    /// Returns nodes and groups as they stand in this change.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn nodes(&mut self) -> Result<Nodes> {
        let nodes = self.objects(Kind::Node)?;
        let groups = self.objects(Kind::Group)?;
        Ok(Nodes::new(nodes.into_iter().chain(groups)))
    }

    /// Returns the site's settings, which no other writer changes meanwhile.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn site(&self) -> Result<Site> {
        self.catalog.site()
    }

    /// Returns every object of a kind as it stands in this change, sorted by name.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn objects(&mut self, kind: Kind) -> Result<Vec<Object>> {
        let stored = self.shelf(kind)?.values();
        Ok(stored.map(|stored| stored.object.clone()).collect())
    }

    /// Adds an object, or makes the one of that name say what this one says.
    ///
    /// # Errors
    /// When a file cannot be read, or cannot hold the object.
    pub fn put(&mut self, object: &Object) -> Result<()> {
        let (kind, name) = (object.kind(), object.name());
        let stored = self.shelf(kind)?.get(name).cloned();
        if stored
            .as_ref()
            .is_some_and(|stored| stored.object == *object)
        {
            return Ok(());
        }
        let path = match &stored {
            Some(stored) => stored.file.to_path_buf(),
            None => self.catalog.home(kind, name),
        };
        let layout = self.catalog.layout(&path);
        let document = self.document(&path)?;
        if document.removed {
            (document.after, document.removed) = (DocumentMut::new(), false);
        }
        let keys = layout.keys(kind, name);
        let table = descend(document.after.as_table_mut(), &keys)
            .with_context(|| format!("changing {}", path.display()))?;
        let before = stored.as_ref().map(|stored| &stored.object);
        write_attributes(table, before, object);
        let file = path.into();
        let object = object.clone();
        self.shelf(kind)?
            .insert(name.to_owned(), Stored { object, file });
        Ok(())
    }

    /// Removes an object.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none; otherwise when a file cannot be read.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Result<()> {
        let shelf = self.shelf(kind)?;
        let Some(stored) = shelf.remove(name) else {
            let known = shelf.keys().map(String::as_str);
            return Err(Error::not_found(kind, name, known).into());
        };
        let layout = self.catalog.layout(&stored.file);
        let document = self.document(&stored.file)?;
        match layout.keys(kind, name).as_slice() {
            [] => document.removed = true,
            [name] => drop(document.after.remove(name)),
            [section, name, ..] => {
                if let Some(section) = document.after.get_mut(section)
                    && let Some(section) = section.as_table_like_mut()
                {
                    section.remove(name);
                }
            }
        }
        Ok(())
    }

    /// Gives an object another name; its place and its comments stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or when the new name is taken or none that an object
    /// can have; otherwise when a file cannot be read.
    pub fn rename(&mut self, kind: Kind, name: &str, new: &str) -> Result<()> {
        let shelf = self.shelf(kind)?;
        if shelf.contains_key(new) {
            bail!("a definition for the {kind} '{new}' exists already: remove it first");
        }
        let Some(Stored { object, file }) = shelf.get(name).cloned() else {
            let known = shelf.keys().map(String::as_str);
            return Err(Error::not_found(kind, name, known).into());
        };
        let object = object.renamed(new)?;
        shelf.remove(name);
        let layout = self.catalog.layout(&file);
        let keys = layout.keys(kind, name);
        let Some((_, path)) = keys.split_last() else {
            let document = self.document(&file)?;
            let text = document.after.clone();
            document.removed = true;
            let file = self.catalog.home(kind, new);
            let document = self.document(&file)?;
            (document.after, document.removed) = (text, false);
            let file = file.into();
            let stored = Stored { object, file };
            self.shelf(kind)?.insert(new.to_owned(), stored);
            return Ok(());
        };
        let table = descend(self.document(&file)?.after.as_table_mut(), path)?;
        if let Some(item) = table.remove(name) {
            table.insert(new, item);
        }
        let stored = Stored { object, file };
        self.shelf(kind)?.insert(new.to_owned(), stored);
        Ok(())
    }

    /// Writes every file that the change touched, and ends it.
    ///
    /// # Errors
    /// When a file cannot be written; those before it are.
    pub fn commit(self) -> Result<()> {
        for (path, document) in &self.documents {
            if document.removed {
                file::remove(path)?;
                continue;
            }
            let after = document.after.to_string();
            if after != document.before || !path.exists() {
                file::replace(path, &after)?;
            }
        }
        Ok(())
    }

    /// Reads the objects of a kind, once.
    fn shelf(&mut self, kind: Kind) -> Result<&mut Shelf> {
        if !self.shelves.contains_key(&kind) {
            self.shelves.insert(kind, self.catalog.shelf(kind)?);
        }
        Ok(self.shelves.entry(kind).or_default())
    }

    /// Reads a file to be edited, once; one that does not exist is empty.
    fn document(&mut self, path: &Path) -> Result<&mut Document> {
        if !self.documents.contains_key(path) {
            let before = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                Err(error) => {
                    return Err(error).with_context(|| format!("reading {}", path.display()));
                }
            };
            let after = before
                .parse()
                .with_context(|| format!("reading {}", path.display()))?;
            let document = Document {
                before,
                after,
                removed: false,
            };
            self.documents.insert(path.to_owned(), document);
        }
        match self.documents.get_mut(path) {
            Some(document) => Ok(document),
            None => bail!("reading {}", path.display()),
        }
    }
}

/// Finds the table that holds an object, and makes what is missing on the way.
fn descend<'t>(mut table: &'t mut dyn TableLike, keys: &[&str]) -> Result<&'t mut dyn TableLike> {
    for (depth, key) in keys.iter().enumerate() {
        let last = depth + 1 == keys.len();
        let inner = table.entry(key).or_insert_with(|| {
            let mut made = Table::new();
            made.set_implicit(!last);
            Item::Table(made)
        });
        table = match inner.as_table_like_mut() {
            Some(inner) => inner,
            None => bail!("'{key}' is no table"),
        };
    }
    Ok(table)
}

/// Makes a table say what an object says, and touches only what differs.
fn write_attributes(table: &mut dyn TableLike, before: Option<&Object>, after: &Object) {
    let unset: Vec<_> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| after.value(key).is_none())
        .collect();
    for key in unset {
        table.remove(&key);
    }
    for (name, value) in after.attributes() {
        if before.is_some_and(|before| before.value(name) == Some(value)) {
            continue;
        }
        match table.get_mut(name) {
            Some(item) => rewrite(item, value),
            None => drop(table.insert(name, fresh(value))),
        }
    }
}

/// Writes a value where none was.
fn fresh(value: &Value) -> Item {
    match value {
        Value::Text(text) => toml_edit::value(text.as_str()),
        Value::List(entries) => toml_edit::value(entries.iter().collect::<Array>()),
    }
}

/// Writes a value over another and keeps the comment behind it; entries of a list that stay keep
/// theirs too.
fn rewrite(item: &mut Item, value: &Value) {
    if let (Some(array), Value::List(entries)) = (item.as_array_mut(), value) {
        array.retain(|entry| {
            entry
                .as_str()
                .is_some_and(|entry| entries.iter().any(|kept| kept == entry))
        });
        let kept = array.len();
        let prefix = entries.get(..kept);
        if prefix.is_some_and(|prefix| {
            array
                .iter()
                .map(toml_edit::Value::as_str)
                .eq(prefix.iter().map(|entry| Some(entry.as_str())))
        }) {
            append(array, &entries[kept..]);
            return;
        }
    }
    let decor = item.as_value().map(|old| old.decor().clone());
    *item = fresh(value);
    if let (Some(new), Some(decor)) = (item.as_value_mut(), decor) {
        *new.decor_mut() = decor;
    }
}

/// Adds entries to an array, each on a line of its own where the others are.
fn append(array: &mut Array, entries: &[String]) {
    let before = array
        .get(0)
        .and_then(|first| first.decor().prefix()?.as_str());
    let own_lines = before.filter(|before| before.contains('\n')).map(|before| {
        let indent = before.rsplit('\n').next().unwrap_or_default();
        format!("\n{indent}")
    });
    for entry in entries {
        match &own_lines {
            Some(line) => {
                let value = toml_edit::Value::from(entry.as_str());
                array.push_formatted(value.decorated(line.as_str(), ""));
            }
            None => array.push(entry.as_str()),
        }
    }
}
