//! What a run needs whichever nodes it is about: the site, its networks, its programs, and osimages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use definitions::{
    Arch, BootLevel, Catalog, Definition, InstallDir, Network, Nodes, ObjectKind, OsImage, Site,
};

use nix::unistd::{Gid, getegid};

use crate::address_book::AddressBook;
use crate::arming::{self, TrustProgram};
use crate::assets::AssetsDir;
use crate::check;
use crate::context::{BootSigners, RootAccess};
use crate::environment;
use crate::image::{self, ResolvedImage};
use crate::library::Library;
use crate::node_context::{NodeRenderer, SiteEnrolment};
use crate::pkglist::PkgList;
use crate::problem::Problem;
use crate::report::OsimageReport;
use crate::repository;
use crate::repository::Repository;
use crate::root_access;
use crate::rootimg::container::ContainerSource;
use crate::rootimg::spec::{RootSpec, SiteParts};
use crate::scripts::Programs;
use crate::secrets;
use crate::shipped;
use crate::site_values;
use crate::timezone;
use crate::vouch::SiteKey;

/// The site and all that is read of it once.
#[derive(Debug)]
pub(crate) struct SiteContext {
    site: Site,
    installdir: InstallDir,
    addresses: AddressBook,
    programs: Programs,
    library: Library,
    root: RootAccess,
    /// The group that files with a secret are given to, unless the site accepts that everybody reads them.
    secrets: Option<Gid>,
    /// The web server's group.
    web_server: Option<Gid>,
    /// The certificate of the site's root, PEM, where the site has one.
    authority: Option<String>,
    /// Whether nodes boot the site's own iPXE, which boots nothing that is not signed.
    pub(crate) signs: bool,
    /// The key that the site signs trees and root images with, where it has one.
    site_key: Option<SiteKey>,
    indices: check::packages::IndexCache,
    /// What is wrong with the site: its osimages and nodes are checked all the same, and nothing is published.
    pub(crate) problems: Vec<Problem>,
    /// What a person should know of the site.
    notes: Vec<Problem>,
}

/// An osimage that was checked for its nodes.
#[derive(Debug)]
pub(crate) struct CheckedImage {
    pub(crate) image: ResolvedImage,
    /// What the environment of scripts says of the osimage and the site.
    pub(crate) environment: BTreeMap<String, String>,
    /// The signatures of its kernel and initrd, where nodes check them, by the names of their files.
    pub(crate) signatures: Vec<(String, Vec<u8>)>,
}

impl CheckedImage {
    /// Has the kernel and the initrd signed, as what nodes of this osimage boot.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub(crate) fn sign(&mut self, trust: &TrustProgram, installdir: &InstallDir) -> Result<()> {
        let image = &self.image;
        let signer = BootSigners::new(&image.definition.name, "").osimage;
        let tree = installdir.path().join(&image.tree);
        let files = [&image.boot.kernel, &image.boot.initrd];
        let files = files.map(|file| (signer.clone(), tree.join(file)));
        let scratch = tempfile::tempdir().context("making a directory for signatures")?;
        trust.sign(&files, Some(scratch.path()))?;
        for (_, file) in &files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{name}.sig");
            let path = scratch.path().join(&name);
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            self.signatures.push((name, bytes));
        }
        Ok(())
    }
}

impl SiteContext {
    /// Reads the site.
    ///
    /// # Errors
    /// When the definitions cannot be read, or no address of a node can be told from them; then with everything that is
    /// wrong with the site.
    pub(crate) fn open(catalog: &Catalog, nodes: &Nodes) -> Result<Self> {
        let site = catalog.site()?;
        let networks = catalog.objects(ObjectKind::Network)?;
        let networks = networks
            .iter()
            .map(Network::from_object)
            .collect::<Result<Vec<_>, _>>()?;
        let installdir = site.install_dir();
        let web_server = secrets::web_server().context("looking for the web server's group")?;
        let authority = arming::root_certificate(catalog)?;
        let signs = arming::has_ipxe(catalog)?;
        let site_key = SiteKey::of(catalog)?;
        let zone = site.timezone.as_deref();
        let zone = zone.map(|zone| timezone::check(Path::new(timezone::DATABASE), zone));
        let mut problems = site_values::of_site(&site);
        problems.extend(networks.iter().flat_map(site_values::of_network));
        if site.bootlevel == Some(BootLevel::Signed) && !signs {
            problems.push(Problem::new(
                "the site's bootlevel is 2, and its nodes boot an iPXE that checks nothing: run slipway-trust ipxe, then \
                 makedhcp -n; or chdef -t site clustersite bootlevel=1",
            ));
        }
        let note = zone.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let root = root_access::load(&site, web_server).unwrap_or_else(|found| {
            problems.extend(found);
            RootAccess::default()
        });
        let addresses = match AddressBook::new(nodes, networks) {
            Ok(addresses) => addresses,
            Err(found) => {
                problems.extend(found);
                return Err(join_problems(&problems));
            }
        };
        Ok(Self {
            notes: note.flatten().into_iter().collect(),
            addresses,
            programs: Programs::new(installdir.postscripts(), shipped::home()),
            library: Library::new(installdir.custom()),
            root,
            problems,
            secrets: web_server.filter(|_| !secrets::accepts_secrets(&site)),
            web_server,
            authority,
            signs,
            site_key,
            indices: check::packages::IndexCache::of_user(),
            installdir,
            site,
        })
    }

    /// Refuses a site with which something is wrong.
    ///
    /// # Errors
    /// With everything that is.
    pub(crate) fn check(&self) -> Result<()> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(join_problems(&self.problems))
        }
    }

    /// Brings the programs that nodes fetch up to date, and names those that were not.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub(crate) fn programs(&self, dry_run: bool) -> Result<Vec<String>> {
        match shipped::home() {
            Some(home) => shipped::ensure(&home, &self.installdir.postscripts(), dry_run),
            None => Ok(Vec::new()),
        }
    }

    /// Works out an osimage, and checks what is the same for all of its nodes.
    ///
    /// # Errors
    /// When there is no such osimage, or definitions cannot be read.
    pub(crate) fn prepare(
        &self,
        catalog: &Catalog,
        name: &str,
    ) -> Result<(Option<CheckedImage>, OsimageReport)> {
        let definition: OsImage = catalog.load(name)?;
        let mut report = OsimageReport::default();
        let image = match ResolvedImage::load(
            definition,
            &self.installdir,
            &self.library,
            self.site_key.as_ref(),
        ) {
            Ok(image) => image,
            Err(problems) => {
                report.problems = problems;
                return Ok((None, report));
            }
        };
        report
            .notes
            .extend(self.notes.iter().chain(&image.notes).cloned());
        let environment = environment::shared(&image, &self.site, self.addresses.networks());
        let environment = environment.unwrap_or_else(|problems| {
            report.problems.extend(problems);
            BTreeMap::new()
        });
        // What is in a root image was looked up when it was built.
        if image.packed.is_none() {
            let lists = (&image.packages, &image.others);
            let repositories = (&*image.repositories, image.own);
            self.look_up(lists, repositories, &image.definition, &mut report);
        }
        if let Some(unchecked) = image.installer.unchecked()
            && self.authority.is_some()
        {
            if self.site.bootlevel == Some(BootLevel::Signed) {
                report.problems.push(Problem::new(format!(
                    "{unchecked}: that is level 1, and the site's bootlevel is 2"
                )));
            } else {
                report.notes.push(Problem::new(format!(
                    "{unchecked}: whoever answers in this machine's place then is root on its nodes, whatever their boot \
                     script was fetched by"
                )));
            }
        }
        if self.root.password.is_some() && self.secrets.is_some() {
            report.notes.push(secrets::password_note());
        }
        if self.problems.is_empty() && self.root.password.is_none() && self.root.keys.is_empty() {
            report.notes.push(Problem::new(
                "nobody can log in to its nodes: root's password is locked and no key lets it in; set the site's \
                 authorizedkeys (a file of public keys) or rootpassword (crypted)",
            ));
        }
        let checked = report.problems.is_empty().then_some(CheckedImage {
            image,
            environment,
            signatures: Vec::new(),
        });
        Ok((checked, report))
    }

    /// Keeps with an osimage's tree that its initrd was read through, so that the next run need not.
    pub(crate) fn keep_record(&self, image: &ResolvedImage) {
        if let Some(record) = &image.boot.record {
            record.keep_in(&self.installdir.path().join(&image.tree));
        }
    }

    /// Looks up what the lists of an osimage, the tree's and the others', name in its repositories, of which the first
    /// `own` are those of `pkgdir`.
    fn look_up(
        &self,
        (packages, others): (&PkgList, &PkgList),
        (repositories, own): (&[Repository], usize),
        definition: &OsImage,
        report: &mut OsimageReport,
    ) {
        let Some(distro) = &definition.osvers else {
            return; // which was a problem of its own
        };
        // A package of the other repositories may have what it needs in the tree; the tree's list may not
        // reach beyond it.
        let platform = check::packages::TargetPlatform {
            distro,
            arch: definition.osarch.unwrap_or(Arch::X86_64),
        };
        let tree = &repositories[..own];
        let mut found = check::packages::packages(packages, tree, platform, &self.indices);
        found.append(check::packages::packages(
            others,
            repositories,
            platform,
            &self.indices,
        ));
        report.problems.extend(found.problems);
        report.notes.extend(found.notes);
        report
            .notes
            .extend(tree.iter().filter_map(repository::unsigned));
        report
            .notes
            .extend(tree.iter().filter_map(repository::accepted_unsigned));
        report
            .notes
            .extend(tree.iter().filter_map(repository::expired));
    }

    /// Has the site sign the tree of an osimage, where it has an authority and `copycds` made the tree; says why not
    /// else.
    ///
    /// # Errors
    /// When there is no such osimage, or definitions cannot be read.
    pub(crate) fn sign_tree(&self, catalog: &Catalog, name: &str) -> Result<Option<Problem>> {
        let definition: OsImage = catalog.load(name)?;
        let tree = definition.pkgdir.first();
        let tree = tree.and_then(|entry| image::tree_of(name, entry).ok());
        let Some((tree, false)) = tree.filter(|_| self.authority.is_some()) else {
            return Ok(None);
        };
        if !tree.join(repository::RECORD).is_file() {
            return Ok(None);
        }
        let signed = TrustProgram::of(catalog).sign_tree(&tree);
        let not = |error| Problem::new(format!("the site does not sign its tree: {error:#}"));
        Ok(signed.err().map(not))
    }

    /// Works out an osimage of which a root image is built, and looks up its packages.
    ///
    /// # Errors
    /// When there is no such osimage, or definitions cannot be read.
    pub(crate) fn prepare_root(
        &self,
        catalog: &Catalog,
        name: &str,
        from: Option<&ContainerSource>,
    ) -> Result<(Option<RootSpec>, OsimageReport)> {
        let definition: OsImage = catalog.load(name)?;
        let mut report = OsimageReport {
            problems: self.problems.clone(),
            ..OsimageReport::default()
        };
        let site = SiteParts {
            installdir: &self.installdir,
            library: &self.library,
            master: self.site.master.as_deref(),
            keyrings: &catalog.path().join("keyrings"),
            tree_key: self.site_key.as_ref().map(SiteKey::armoured),
        };
        match RootSpec::load(definition, site, from) {
            Ok(spec) => {
                report.notes.extend(spec.notes.iter().cloned());
                let lists = (&spec.packages, &spec.others);
                let repositories = (&*spec.repositories, spec.own);
                self.look_up(lists, repositories, &spec.definition, &mut report);
                let right = report.problems.is_empty();
                Ok((right.then_some(spec), report))
            }
            Err(problems) => {
                report.problems.extend(problems);
                Ok((None, report))
            }
        }
    }

    /// Returns the renderer of nodes.
    pub(crate) fn renderer<'a>(&'a self, nodes: &'a Nodes) -> NodeRenderer<'a> {
        NodeRenderer {
            site: &self.site,
            installdir: &self.installdir,
            nodes,
            addresses: &self.addresses,
            programs: &self.programs,
            root: self.root.clone(),
            secrets: self.secrets,
            authority: self.authority.as_deref(),
            enrolment: None,
            signs: self.signs,
        }
    }

    /// Says how nodes enrol, where the site has an authority.
    ///
    /// # Errors
    /// When the site does not say by which address nodes reach this machine.
    pub(crate) fn enrolment(&self) -> Result<Option<SiteEnrolment>> {
        let Some(root) = self.authority.clone() else {
            return Ok(None);
        };
        let master = self.site.master.as_deref();
        let name = master.and_then(|master| master.parse().ok()).context(
            "the site does not say by which address nodes reach this machine, which they need to enrol: \
             chdef -t site clustersite master=10.1.0.1",
        )?;
        Ok(Some(SiteEnrolment {
            root,
            name,
            group: self.web_server.unwrap_or_else(getegid),
        }))
    }

    /// Returns the library of lists and templates.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// Returns the install directory.
    pub(crate) fn installdir(&self) -> &InstallDir {
        &self.installdir
    }

    /// Returns the directory of the nodes' assets.
    pub(crate) fn assets_dir(&self) -> AssetsDir {
        AssetsDir::new(self.installdir.autoinst())
    }
}

/// Joins problems to one error, a line each.
fn join_problems(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    anyhow!("{}", lines.join("\n"))
}
