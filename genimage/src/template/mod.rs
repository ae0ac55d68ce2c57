//! Templates, rendered strictly. The only module that knows tera.
//!
//! In come templates by name, and per node a [`TemplateContext`]; out comes the text that an installer reads, or
//! what is wrong, with file and line. Nothing is read from disk, and what was compiled is never changed:
//! threads render from it together.
//!
//! Three pairs of characters mark what is ours: `<% … %>` does something, `<@ … @>` writes a value,
//! `<# … #>` is a comment. All begin with `<` and a character that cannot follow it: in XML it is not
//! well-formed, in shell it would read a file named `%`, in Python, JSON, YAML, kickstart and preseed
//! it means nothing. Tera's own `{{` and `{#` are shell (`${#list[@]}`), and so is `[[`.
//!
//! Stricter than tera: a name that is no field is an error also where tera would take it for false, an
//! absent field is an error where it is written, and a line that holds nothing but marks leaves no line.
//!
//! Reference: tera 2, `docs/templates.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tera::{Delimiters, Tera};

use crate::context::TemplateContext;
use crate::problem::Problem;

mod errors;
mod filters;
mod names;
mod scan;
mod syntax;
mod tokens;
mod xcat_marks;

/// The prefix by which a template names one that is built in: `<% extends "builtin/debian/base.preseed" %>`.
pub const BUILT_IN: &str = "builtin/";

/// A template before it is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSource {
    /// The name by which others extend or include it: `debian/compute.preseed`.
    pub name: String,
    /// The file, as problems name it.
    pub file: Arc<str>,
    /// What it says.
    pub text: String,
}

impl TemplateSource {
    /// A template that is built in, by its path below `templates/`.
    pub fn built_in(path: &str, text: impl Into<String>) -> Self {
        Self {
            name: format!("{BUILT_IN}{path}"),
            file: format!("templates/{path}").into(),
            text: text.into(),
        }
    }
}

/// Templates, compiled.
#[derive(Debug)]
pub struct Templates {
    tera: Tera,
    sources: HashMap<String, TemplateSource>,
}

impl Templates {
    /// Compiles the wanted templates and what they extend and include.
    ///
    /// A name without [`BUILT_IN`] means the site's own template, and where it has none the built-in one.
    ///
    /// # Errors
    /// All that is wrong in them: syntax, names that are no fields, templates, blocks and filters that do not exist.
    pub fn compile(
        sources: impl IntoIterator<Item = TemplateSource>,
        wanted: &[&str],
    ) -> Result<Self, Vec<Problem>> {
        let all = sources
            .into_iter()
            .map(|source| (source.name.clone(), source))
            .collect();
        let sources = names::reachable(&all, wanted)?;
        let mut templates = Self {
            tera: engine(),
            sources,
        };
        templates.add()?;
        let mut problems = names::unknown(&templates.sources);
        problems.extend(xcat_marks::problems(&templates.sources));
        if problems.is_empty() {
            Ok(templates)
        } else {
            Err(problems)
        }
    }

    fn add(&mut self) -> Result<(), Vec<Problem>> {
        // One that does not parse hides what is wrong with the others, so each is parsed alone first.
        let prepared: BTreeMap<&str, String> = self
            .sources
            .values()
            .map(|source| {
                (
                    source.name.as_str(),
                    syntax::without_marker_lines(&source.text),
                )
            })
            .collect();
        let mut problems: Vec<_> = prepared
            .iter()
            .filter_map(|(name, text)| engine().add_raw_template(name, text).err())
            .filter(errors::is_syntax)
            .flat_map(|error| errors::problems(&error, &self.sources))
            .collect();
        if problems.is_empty() {
            match self.tera.add_raw_templates(&prepared) {
                Ok(()) => return Ok(()),
                Err(error) => problems = errors::problems(&error, &self.sources),
            }
        }
        Err(problems)
    }

    /// Renders a template.
    ///
    /// # Errors
    /// A field that is absent, or a value that its place cannot hold.
    pub fn render(&self, name: &str, values: &RenderValues) -> Result<String, Problem> {
        self.tera.render(name, &values.0).map_err(|error| {
            let mut problems = errors::problems(&error, &self.sources);
            problems.remove(0)
        })
    }

    /// Lists the fields that a template and all that it extends and includes ask for: `node.mac`, `extras[].uri`.
    pub fn variables(&self, name: &str) -> BTreeSet<String> {
        names::used(&self.sources, name)
    }
}

/// What a template may say, in the form that it is rendered from; made once for a node.
#[derive(Debug, Clone)]
pub struct RenderValues(tera::Context);

impl RenderValues {
    /// Takes a context.
    ///
    /// # Errors
    /// None that a context of ours can cause.
    pub fn of(context: &TemplateContext) -> Result<Self, Problem> {
        let problem = |error| Problem::new(format!("handing the context over: {error}"));
        let whole = tera::Value::try_from_serializable(context).map_err(problem)?;
        let mut values = tera::Context::new();
        for (name, value) in whole.into_map().unwrap_or_default() {
            if let Some(name) = name.as_str() {
                values.insert_value(name.to_owned(), value);
            }
        }
        Ok(Self(values))
    }
}

/// Tera, with our marks and filters, and without those of its own that suit web pages only.
fn engine() -> Tera {
    let mut tera = Tera::new();
    let marks = Delimiters {
        block_start: syntax::STATEMENT.0.into(),
        block_end: syntax::STATEMENT.1.into(),
        variable_start: syntax::VALUE.0.into(),
        variable_end: syntax::VALUE.1.into(),
        comment_start: syntax::COMMENT.0.into(),
        comment_end: syntax::COMMENT.1.into(),
    };
    tera.set_delimiters(marks)
        .expect("six pairs of two bytes, set before any template");
    tera.set_fallback_prefixes([BUILT_IN])
        .expect("set before any template");
    tera.autoescape_on(Vec::<&str>::new()); // none is HTML, and `.xml` would be taken for it
    filters::register(&mut tera);
    tera
}

#[cfg(test)]
mod tests;
