//! Definitions on disk: TOML files that a person can edit and keep in git.
//!
//! ```text
//! <config>/site.toml            the site's settings
//! <config>/networks.toml        [NAME]                     one table a network
//! <config>/osimages/NAME.toml   one file an osimage
//! <config>/nodes/*.toml         [node.NAME] [group.NAME]   any number a file
//! <config>/format               the form of all this, once a version has changed it
//! <config>/secrets.toml         [site.clustersite] [node.NAME] [group.NAME]   what is secret of them
//! ```
//!
//! `<config>` is `/etc/slipway` unless the user names another directory. A file comes in whole or not at all, since writers
//! replace files by renaming; what goes out keeps the comments and the order of the file it came from.
//! Secret attributes are in a file that only its owner can read; who cannot read it sees the rest. Where a person
//! wrote one into another file, it moves when its object is next changed.
//! Every key that is not known is an error with file, line and the nearest key that is.

mod direct;
mod edit;
mod file;
mod form;
mod names;
mod secrets;
mod text;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::{Definition, Error, Nodes, Object, ObjectKind, Site, in_parallel, read_text};

pub use edit::CatalogEdit;

/// No file of definitions is longer, in bytes: ten times those of 100,000 nodes.
const MAX_BYTES: u64 = 256 << 20;

/// A directory of definitions.
#[derive(Debug, Clone)]
pub struct Catalog(PathBuf);

/// An object and the file that it is in.
#[derive(Debug, Clone)]
struct StoredObject {
    object: Object,
    file: Arc<Path>,
    /// Whether a secret is there, and not in the file of secrets.
    misplaced: bool,
}

impl StoredObject {
    /// Describes an object whose secrets are where they belong.
    fn new(object: Object, file: Arc<Path>) -> Self {
        Self {
            object,
            file,
            misplaced: false,
        }
    }
}

/// Objects of one kind by name.
type ObjectsByName = BTreeMap<String, StoredObject>;

impl Catalog {
    /// Where definitions are unless the user says otherwise.
    pub const DEFAULT: &'static str = "/etc/slipway";

    /// Names the directory; one that does not exist yet holds nothing.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Loads one definition; `None` where there is none of that name.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn find<D: Definition>(&self, name: &str) -> Result<Option<D>> {
        // An osimage has a file of its own: no need to read the others.
        let files = match D::KIND {
            ObjectKind::OsImage => {
                Object::new(D::KIND, name)?; // no name leads out of the directory
                vec![self.home(D::KIND, name)]
            }
            kind => self.files(kind)?,
        };
        let by_kind = self.read(&files)?;
        let stored = by_kind.get(&D::KIND).and_then(|by_name| by_name.get(name));
        stored
            .map(|stored| Ok(D::from_object(&stored.object)?))
            .transpose()
    }

    /// Loads one definition.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none of that name; otherwise as [`Self::find`].
    pub fn load<D: Definition>(&self, name: &str) -> Result<D> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        let by_name = self.by_name(D::KIND)?;
        let known = by_name.keys().map(String::as_str);
        Err(Error::not_found(D::KIND, name, known).into())
    }

    /// Loads nodes and groups, to see what nodes have in the end.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn nodes(&self) -> Result<Nodes> {
        let mut by_kind = self.read(&self.files(ObjectKind::Node)?)?;
        let mut by_name = |kind| {
            let stored = by_kind.remove(&kind).unwrap_or_default().into_iter();
            stored.map(|(name, stored)| (name, stored.object)).collect()
        };
        let nodes = by_name(ObjectKind::Node);
        Ok(Nodes::by_name(nodes, by_name(ObjectKind::Group)))
    }

    /// Loads the site's settings; a site that says nothing has the defaults.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn site(&self) -> Result<Site> {
        Ok(self.find(Site::NAME)?.unwrap_or_else(|| Site {
            name: Site::NAME.to_owned(),
            ..Site::default()
        }))
    }

    /// Loads every object of a kind, sorted by name, each with the attributes that are its own.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn objects(&self, kind: ObjectKind) -> Result<Vec<Object>> {
        let by_name = self.by_name(kind)?;
        Ok(by_name.into_values().map(|stored| stored.object).collect())
    }

    /// Saves a definition: adds it, or changes what differs from what is stored under its name.
    ///
    /// # Errors
    /// When the name or a value cannot be stored, or a file cannot be read or written.
    pub fn save(&self, definition: &impl Definition) -> Result<()> {
        let object = definition.to_object()?;
        let mut edit = self.edit()?;
        edit.put(&object)?;
        edit.commit()
    }

    /// Refuses a directory that a newer version has changed the form of.
    ///
    /// # Errors
    /// When it has.
    pub fn check_form(&self) -> Result<()> {
        form::check(&self.0)
    }

    /// Begins a change: waits until no other writer is at work, and keeps others waiting until it ends.
    ///
    /// # Errors
    /// When the directory cannot be made or locked.
    pub fn edit(&self) -> Result<CatalogEdit<'_>> {
        CatalogEdit::begin(self)
    }

    /// Reads the objects of one kind.
    fn by_name(&self, kind: ObjectKind) -> Result<ObjectsByName> {
        let mut by_kind = self.read(&self.files(kind)?)?;
        Ok(by_kind.remove(&kind).unwrap_or_default())
    }

    /// Reads files into one map a kind; a file that does not exist holds nothing.
    fn read(&self, files: &[PathBuf]) -> Result<BTreeMap<ObjectKind, ObjectsByName>> {
        self.check_form()?;
        let mut by_kind = BTreeMap::<ObjectKind, ObjectsByName>::new();
        let parsed = in_parallel(files, |file| self.parse(file));
        for (file, objects) in files.iter().zip(parsed) {
            let path: Arc<Path> = Arc::from(file.as_path());
            for object in objects? {
                let by_name = by_kind.entry(object.kind()).or_default();
                let misplaced = object.has_secrets();
                let file = Arc::clone(&path);
                match by_name.entry(object.name().to_owned()) {
                    Entry::Vacant(place) => place.insert(StoredObject {
                        object,
                        file,
                        misplaced,
                    }),
                    Entry::Occupied(other) => bail!(
                        "the {} '{}' is defined twice, in {} and in {}: remove one",
                        object.kind(),
                        object.name(),
                        other.get().file.display(),
                        file.display()
                    ),
                };
            }
        }
        self.read_secrets(&mut by_kind)?;
        Ok(by_kind)
    }

    /// Reads one file.
    fn parse(&self, file: &Path) -> Result<Vec<Object>> {
        match read_text(file, MAX_BYTES) {
            Ok(text) => text::parse(&self.layout(file), file, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Lists the files that may hold objects of a kind, sorted.
    fn files(&self, kind: ObjectKind) -> Result<Vec<PathBuf>> {
        let directory = match kind {
            ObjectKind::Site | ObjectKind::Network => return Ok(vec![self.home(kind, "")]),
            ObjectKind::OsImage => self.0.join("osimages"),
            ObjectKind::Node | ObjectKind::Group => self.0.join("nodes"),
        };
        let listing = || format!("listing {}", directory.display());
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(listing),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.with_context(listing)?.path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden
                && path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
            {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Names the file that a new object goes to.
    fn home(&self, kind: ObjectKind, name: &str) -> PathBuf {
        match kind {
            ObjectKind::Site => self.0.join("site.toml"),
            ObjectKind::Network => self.0.join("networks.toml"),
            ObjectKind::OsImage => self.0.join("osimages").join(format!("{name}.toml")),
            ObjectKind::Node => self.0.join("nodes/nodes.toml"),
            ObjectKind::Group => self.0.join("nodes/groups.toml"),
        }
    }

    /// Says how a file of the catalog holds its objects.
    fn layout(&self, file: &Path) -> Layout {
        let parent = file.parent().and_then(Path::file_name);
        if file == self.home(ObjectKind::Site, "") {
            Layout::Whole(ObjectKind::Site, Site::NAME.to_owned())
        } else if file == self.home(ObjectKind::Network, "") {
            Layout::Tables(ObjectKind::Network)
        } else if file == self.secrets() {
            Layout::Secrets
        } else if parent.is_some_and(|parent| parent == "osimages") {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            Layout::Whole(ObjectKind::OsImage, name.into_owned())
        } else {
            Layout::Sections
        }
    }
}

/// How a file holds its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// The whole file is one object.
    Whole(ObjectKind, String),
    /// A table for each object: `[name]`.
    Tables(ObjectKind),
    /// A table for each object of several kinds: `[node.name]`, `[group.name]`.
    Sections,
    /// The same of every kind, for what is secret of its objects.
    Secrets,
}

impl Layout {
    /// Lists the kinds that begin the name of a table.
    fn sections(&self) -> &'static [ObjectKind] {
        match self {
            Self::Whole(..) | Self::Tables(_) => &[],
            Self::Sections => &[ObjectKind::Node, ObjectKind::Group],
            Self::Secrets => &[ObjectKind::Node, ObjectKind::Group, ObjectKind::Site],
        }
    }

    /// Names the tables that lead to an object.
    fn keys<'a>(&self, kind: ObjectKind, name: &'a str) -> Vec<&'a str> {
        match self {
            Self::Whole(..) => vec![],
            Self::Tables(_) => vec![name],
            Self::Sections | Self::Secrets => vec![kind.name(), name],
        }
    }
}
