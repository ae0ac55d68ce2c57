//! `mkdef`: makes definitions.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};

use super::assignment::{Assignment, Mode};
use super::object_errors::ObjectErrors;
use super::request::{Operands, Request, RequestScope};
use super::{groups, report};
use crate::catalog::CatalogEdit;
use crate::command::Config;
use crate::{Arch, Definition, Distro, Error, Nodes, Object, ObjectKind, OsImage, ProvMethod};

const EXAMPLES: &str = "\
Examples:
  mkdef host01 groups=dockerhost,all ip=10.1.0.5
  mkdef 'n[01-10]' groups=compute,all             ten nodes
  mkdef -t group compute os=debian12 arch=x86_64  attributes that the members inherit
  mkdef -t osimage new --template old             a copy under another name
  mkdef 'web[001-100]' groups=web ip=10.1.2.1-10.1.2.100
                                              a hundred, each with the next address
  mkdef -t osimage debian12.9.0-x86_64-install-dockerhost -u profile=dockerhost provmethod=install
  lsdef -z host01 | sed s/host01/host02/ | mkdef -z";

/// Make definitions
#[derive(Debug, clap::Parser)]
#[command(name = "mkdef", version, after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    operands: Operands,
    /// Replace what exists
    #[arg(short, long)]
    force: bool,
    /// Begin with the attributes of another object of the type
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// For osimages: derive from profile, provmethod, osvers and osarch what an import would set
    #[arg(short = 'u')]
    derive: bool,
    /// Name each object
    #[arg(short, long)]
    verbose: bool,
}

/// Runs `mkdef`.
///
/// # Errors
/// When an object exists, an attribute does not, or a file cannot be read or written; then nothing is
/// changed.
pub fn run(args: Args) -> Result<ExitCode> {
    let asked = args.operands.asked()?;
    let catalog = args.config.catalog();
    let mut edit = catalog.edit()?;
    let requests = asked.requests(&mut edit, RequestScope::New)?;
    let mut errors = ObjectErrors::default();
    for request in &requests {
        let made = args.make(&mut edit, request, &mut errors);
        errors.check(request, made);
    }
    errors.finish()?;
    edit.commit()?;
    report::changed(&requests, args.verbose)
}

impl Args {
    /// Makes one object, unless one of its assignments is wrong.
    fn make(
        &self,
        edit: &mut CatalogEdit<'_>,
        request: &Request,
        errors: &mut ObjectErrors,
    ) -> Result<()> {
        let Request { kind, name, .. } = request;
        if edit.find(*kind, name)?.is_some() && !self.force {
            bail!("a definition for the {kind} '{name}' already exists: use -f to replace it");
        }
        let mut object = self.begin(edit, request)?;
        if self.operands.stanza {
            edit.keep_secrets(&mut object)?;
        }
        let mut is_wrong = false;
        for assignment in &request.assignments {
            if *kind == ObjectKind::Group && assignment.attribute == groups::MEMBERS {
                edit.put(&object)?;
                let changed = groups::change_members(edit, name, Mode::Set, &assignment.value);
                is_wrong |= errors.check(request, changed).is_none();
            } else {
                let applied = assignment.apply(&mut object, Mode::Set, &Nodes::default());
                is_wrong |= errors.check(request, applied).is_none();
            }
        }
        if is_wrong {
            // groups may name it as a member; nothing is committed
            return edit.put(&object);
        }
        object.check_new()?;
        edit.put(&object)
    }

    /// Begins with an empty object, another's attributes, or those that an import would set.
    fn begin(&self, edit: &mut CatalogEdit<'_>, request: &Request) -> Result<Object> {
        let Request { kind, name, .. } = request;
        let mut object = match &self.template {
            None => Object::new(*kind, name.as_str())?,
            Some(template) => {
                let known = edit.objects(*kind)?;
                let found = known.iter().find(|object| object.name() == template);
                let names = known.iter().map(Object::name);
                let missing = || Error::not_found(*kind, template, names);
                found.ok_or_else(missing)?.renamed(name)?
            }
        };
        if self.derive {
            let installdir = edit.site()?.install_dir();
            let Traits {
                distro,
                arch,
                method,
                profile,
            } = Traits::of(request)?;
            let derived = OsImage::of_tree(&distro, arch, method, profile, &installdir);
            for (attribute, value) in derived.to_object()?.attributes() {
                object.set(attribute, &value.to_string())?;
            }
        }
        Ok(object)
    }
}

/// What an osimage is derived from.
struct Traits<'a> {
    distro: Distro,
    arch: Arch,
    method: ProvMethod,
    profile: &'a str,
}

impl<'a> Traits<'a> {
    /// Takes them from the assignments; release and architecture also from `<osvers>-<arch>-…`.
    fn of(request: &'a Request) -> Result<Self> {
        if request.kind != ObjectKind::OsImage {
            bail!(
                "-u derives osimages and no {}: name the type with -t osimage",
                request.kind
            );
        }
        let said = |name: &str| {
            let mut assignments = request.assignments.iter();
            let said = assignments.find(|Assignment { attribute, .. }| attribute == name);
            said.map(|said| said.value.as_str())
        };
        let needed = |name: &str| anyhow!("-u needs {name}=… to derive '{}'", request.name);
        let by_name = OsImage::release_of(&request.name);
        let distro = match said("osvers") {
            Some(text) => Some(text.parse()?),
            None => by_name.as_ref().map(|(distro, _)| distro.clone()),
        };
        let arch = match said("osarch") {
            Some(text) => Some(text.parse()?),
            None => by_name.map(|(_, arch)| arch),
        };
        Ok(Self {
            profile: said("profile").ok_or_else(|| needed("profile"))?,
            method: said("provmethod")
                .ok_or_else(|| needed("provmethod"))?
                .parse()?,
            distro: distro.ok_or_else(|| needed("osvers"))?,
            arch: arch.ok_or_else(|| needed("osarch"))?,
        })
    }
}
