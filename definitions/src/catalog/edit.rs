//! One change to the catalog: under the writers' lock, with comments and order kept.
//!
//! Objects come in, files go out. Nothing is written before [`CatalogEdit::commit`]; each file is then replaced
//! by one rename. A change of several files is not one atom: killed between two renames, some files are
//! new and some old, each of them whole.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::names::Added;
use super::{Catalog, MAX_BYTES, ObjectsByName, StoredObject, file};
use crate::{AttributeValue, Error, Lock, Nodes, Object, ObjectKind, Site, read_text};

/// A change under way; dropping it changes nothing.
#[derive(Debug)]
pub struct CatalogEdit<'c> {
    catalog: &'c Catalog,
    by_kind: BTreeMap<ObjectKind, ObjectsByName>,
    documents: BTreeMap<PathBuf, EditedFile>,
    /// The names that the change brings.
    added: Added,
    /// Held until the change is written or dropped.
    _lock: Lock,
}

/// A file that the change touches.
#[derive(Debug)]
struct EditedFile {
    before: String,
    after: DocumentMut,
    removed: bool,
    /// Tables that are to go, of each section: all at once, since each of them moves all after it.
    doomed: BTreeMap<Option<&'static str>, HashSet<String>>,
}

impl EditedFile {
    /// Has the table of an object go.
    fn doom(&mut self, section: Option<&'static str>, name: &str) {
        self.doomed
            .entry(section)
            .or_default()
            .insert(name.to_owned());
    }

    /// Returns the text to be changed, without what has gone.
    fn text(&mut self) -> &mut DocumentMut {
        for (section, names) in std::mem::take(&mut self.doomed) {
            let table = match section {
                None => Some(self.after.as_item_mut()),
                Some(section) => self.after.get_mut(section),
            };
            match table {
                Some(Item::Table(table)) => table.retain(|name, _| !names.contains(name)),
                Some(Item::Value(toml_edit::Value::InlineTable(table))) => {
                    table.retain(|name, _| !names.contains(name));
                }
                _ => {}
            }
        }
        &mut self.after
    }
}

impl<'c> CatalogEdit<'c> {
    /// Takes the lock.
    pub(super) fn begin(catalog: &'c Catalog) -> Result<Self> {
        Ok(Self {
            _lock: file::lock(catalog.path())?,
            catalog,
            by_kind: BTreeMap::new(),
            documents: BTreeMap::new(),
            added: Added::default(),
        })
    }

    /// Returns an object as it is in this change.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn find(&mut self, kind: ObjectKind, name: &str) -> Result<Option<&Object>> {
        Ok(self.by_name(kind)?.get(name).map(|stored| &stored.object))
    }

    /// Returns nodes and groups as they are in this change.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn nodes(&mut self) -> Result<Nodes> {
        let nodes = self.objects(ObjectKind::Node)?;
        let groups = self.objects(ObjectKind::Group)?;
        Ok(Nodes::new(nodes.into_iter().chain(groups)))
    }

    /// Returns the site's settings, which no other writer changes meanwhile.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn site(&self) -> Result<Site> {
        self.catalog.site()
    }

    /// Returns every object of a kind as it is in this change, sorted by name.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn objects(&mut self, kind: ObjectKind) -> Result<Vec<Object>> {
        let stored = self.by_name(kind)?.values();
        Ok(stored.map(|stored| stored.object.clone()).collect())
    }

    /// Adds an object, or makes the one of that name say what this one says.
    ///
    /// # Errors
    /// When a file cannot be read, or cannot hold the object.
    pub fn put(&mut self, object: &Object) -> Result<()> {
        let (kind, name) = (object.kind(), object.name());
        let stored = self.by_name(kind)?.get(name).cloned();
        let before = stored.as_ref().map(|stored| &stored.object);
        if before == Some(object) && stored.as_ref().is_none_or(|stored| !stored.misplaced) {
            return Ok(());
        }
        self.added.note(before, object);
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
        let table = descend(document.text().as_table_mut(), &keys)
            .with_context(|| format!("changing {}", path.display()))?;
        write_attributes(table, before, &object.part(false));
        self.put_secrets(before, object)?;
        let stored = StoredObject::new(object.clone(), path.into());
        self.by_name(kind)?.insert(name.to_owned(), stored);
        Ok(())
    }

    /// Gives an object the secrets of the one that it replaces, where it has none of its own: what lists objects leaves
    /// secrets out, and to write back what was listed loses none.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn keep_secrets(&mut self, object: &mut Object) -> Result<()> {
        let stored = self.find(object.kind(), object.name())?;
        let secrets = stored.map(|stored| stored.part(true));
        for (name, value) in secrets.iter().flat_map(Object::attributes) {
            let attributes = object.attributes_mut();
            attributes.entry(name).or_insert_with(|| value.clone());
        }
        Ok(())
    }

    /// Writes the secrets of an object into their file, or takes them out.
    fn put_secrets(&mut self, before: Option<&Object>, object: &Object) -> Result<()> {
        if !object.has_secrets() {
            return before.map_or(Ok(()), |before| self.remove_secrets(before));
        }
        let path = self.catalog.secrets();
        let keys = [object.kind().name(), object.name()];
        let table = descend(self.document(&path)?.text().as_table_mut(), &keys)
            .with_context(|| format!("changing {}", path.display()))?;
        write_attributes(table, None, &object.part(true));
        Ok(())
    }

    /// Takes the secrets of an object out of their file.
    fn remove_secrets(&mut self, object: &Object) -> Result<()> {
        if !object.has_secrets() {
            return Ok(());
        }
        let path = self.catalog.secrets();
        self.document(&path)?
            .doom(Some(object.kind().name()), object.name());
        Ok(())
    }

    /// Removes an object.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none; otherwise when a file cannot be read.
    pub fn remove(&mut self, kind: ObjectKind, name: &str) -> Result<()> {
        let by_name = self.by_name(kind)?;
        let Some(stored) = by_name.remove(name) else {
            let known = by_name.keys().map(String::as_str);
            return Err(Error::not_found(kind, name, known).into());
        };
        self.remove_secrets(&stored.object)?;
        let layout = self.catalog.layout(&stored.file);
        let document = self.document(&stored.file)?;
        match layout.keys(kind, name).as_slice() {
            [] => document.removed = true,
            [name] => document.doom(None, name),
            [_, name, ..] => document.doom(Some(kind.name()), name),
        }
        Ok(())
    }

    /// Gives an object another name; its place and its comments stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or when the new name is taken or none that an object
    /// can have; otherwise when a file cannot be read.
    pub fn rename(&mut self, kind: ObjectKind, name: &str, new: &str) -> Result<()> {
        let by_name = self.by_name(kind)?;
        if by_name.contains_key(new) {
            bail!("a definition for the {kind} '{new}' already exists: remove it first");
        }
        let Some(StoredObject { object, file, .. }) = by_name.get(name).cloned() else {
            let known = by_name.keys().map(String::as_str);
            return Err(Error::not_found(kind, name, known).into());
        };
        let renamed = object.renamed(new)?;
        self.added.note(None, &renamed);
        self.remove_secrets(&object)?;
        self.put_secrets(None, &renamed)?;
        self.by_name(kind)?.remove(name);
        let layout = self.catalog.layout(&file);
        let file = match layout.keys(kind, name).split_last() {
            None => {
                let document = self.document(&file)?;
                let text = document.after.clone();
                document.removed = true;
                let file = self.catalog.home(kind, new);
                let document = self.document(&file)?;
                (document.after, document.removed) = (text, false);
                file.into()
            }
            Some((_, path)) => {
                let table = descend(self.document(&file)?.text().as_table_mut(), path)?;
                if let Some(item) = table.remove(name) {
                    table.insert(new, item);
                }
                file
            }
        };
        let stored = StoredObject::new(renamed, file);
        self.by_name(kind)?.insert(new.to_owned(), stored);
        Ok(())
    }

    /// Writes every file that the change touched, and ends it.
    ///
    /// # Errors
    /// When a new name is another object's already, or a file cannot be written; those before it are.
    pub fn commit(mut self) -> Result<()> {
        if !self.added.is_empty() {
            let nodes = self.nodes()?;
            self.added.check(&nodes)?;
        }
        let secrets = self.catalog.secrets();
        // What is secret is in its own file before it is taken out of another.
        let mut documents: Vec<_> = self.documents.iter_mut().collect();
        documents.sort_by_key(|(path, _)| **path != secrets);
        for (path, document) in documents {
            if document.removed {
                file::remove(path)?;
                continue;
            }
            let after = document.text().to_string();
            if after != document.before || !path.exists() {
                let readers = if *path == secrets {
                    file::Readers::Owner
                } else {
                    file::Readers::All
                };
                file::replace(path, &after, readers)?;
            }
        }
        Ok(())
    }

    /// Reads the objects of a kind, once.
    fn by_name(&mut self, kind: ObjectKind) -> Result<&mut ObjectsByName> {
        if !self.by_kind.contains_key(&kind) {
            self.by_kind.insert(kind, self.catalog.by_name(kind)?);
        }
        Ok(self.by_kind.entry(kind).or_default())
    }

    /// Reads a file to be edited, once; one that does not exist is empty.
    fn document(&mut self, path: &Path) -> Result<&mut EditedFile> {
        if !self.documents.contains_key(path) {
            let before = match read_text(path, MAX_BYTES) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                Err(error) => {
                    return Err(error).with_context(|| format!("reading {}", path.display()));
                }
            };
            let after = before
                .parse()
                .with_context(|| format!("reading {}", path.display()))?;
            let document = EditedFile {
                before,
                after,
                removed: false,
                doomed: BTreeMap::new(),
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
            None => bail!("'{key}' is not a table"),
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
fn fresh(value: &AttributeValue) -> Item {
    match value {
        AttributeValue::Text(text) => toml_edit::value(text.as_str()),
        AttributeValue::List(entries) => toml_edit::value(entries.iter().collect::<Array>()),
    }
}

/// Writes a value over another and keeps the comment after it; entries of a list that stay keep
/// theirs too.
fn rewrite(item: &mut Item, value: &AttributeValue) {
    if let (Some(array), AttributeValue::List(entries)) = (item.as_array_mut(), value) {
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
