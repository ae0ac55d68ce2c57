//! The repositories of a tree, as `copycds` publishes one: read off the disk.
//!
//! Of Debian and Ubuntu, every suite below `dists/` that has packages of the architecture; of rpm media,
//! every directory with `repodata`: the root, or `BaseOS`, `AppStream`, `Module-…`; of SLE 15, which brings
//! several products on one medium, `Product-SLES` and what may be had with it; of SLE 12, whose index is
//! YaST's own, the root.
//!
//! A Debian disc carries no signature on its index, or that of a key which nodes do not have. However well `copycds` has
//! verified it, a node that fetches it over the network could not tell its packages from somebody else's, while it is
//! installed and ever after. So the site signs it ([`InstallDir::SIGNED`]), and nodes get the site's key. A tree that it
//! has not signed has to be declared `trusted=yes`. Until it is, its nodes ask for signatures and get none, which
//! [`unsigned`] says; a tree that `copycds` did not import is refused at once. The media of Ubuntu and SUSE are signed by
//! keys that their installers have; only one that is not signed gets the site's signature.

use std::path::{Path, PathBuf};

use definitions::{InstallDir, RepositoryFormat};

use super::local::is_key_of;
use super::validity::{ended, load_release};
use super::{DISC, Repository, Served, TREE, directories, format_of, has_index, is_file, key};
use crate::installer::DistroFamily;
use crate::problem::Problem;

/// What `copycds` leaves in a tree that it has imported.
pub(crate) const RECORD: &str = ".slipway/tree.toml";

/// What signs the index of an rpm-md repository.
const SIGNATURE: &str = "repodata/repomd.xml.asc";

/// Where `copycds` keeps the further discs of a set, a directory each.
const DISCS: &str = ".slipway/discs";

/// Finds the repositories of a tree, the one to install from first; a medium may have none. `trusted` says
/// that the definition calls it so.
///
/// # Errors
/// A tree that cannot be read or is not served, or that nodes would refuse.
pub fn of_tree(
    tree: &Path,
    served: &Served<'_>,
    trusted: bool,
) -> Result<Vec<Repository>, Problem> {
    let family = DistroFamily::of(served.distro)?;
    served.url(tree).map_err(Problem::new)?;
    let mut discs = vec![tree.to_path_buf()];
    discs.extend(further_discs(tree)?);
    if matches!(family, DistroFamily::Debian | DistroFamily::Ubuntu) {
        // the disc that boots has what the base system is made of, whichever was imported first
        discs.sort_by_key(|disc| !has_installer(disc, served));
    }
    let mut found = Vec::new();
    for (at, disc) in discs.iter().enumerate() {
        let stem = match at {
            0 => TREE.to_owned(),
            further => format!("{DISC}{}", further + 1),
        };
        let part = DiscTree {
            tree,
            directory: disc,
            stem: &stem,
        };
        found.extend(match family {
            DistroFamily::Debian | DistroFamily::Ubuntu => part.suites(served, family, trusted)?,
            DistroFamily::Rh | DistroFamily::Fedora | DistroFamily::Suse => {
                part.metadata(served, family, trusted)?
            }
        });
    }
    Ok(found)
}

/// Lists the discs of a set that were imported after the first: each is complete below the tree's record, with
/// its own index.
fn further_discs(tree: &Path) -> Result<Vec<PathBuf>, Problem> {
    let discs = tree.join(DISCS);
    if discs.is_dir() {
        directories(&discs)
    } else {
        Ok(Vec::new())
    }
}

/// Whether a disc of Debian's has the parts of the installer that it loads while it runs.
fn has_installer(disc: &Path, served: &Served<'_>) -> bool {
    let arch = served.arch.debian_name();
    let suites = directories(&disc.join("dists")).unwrap_or_default();
    suites.iter().any(|suite| {
        suite
            .join(format!("main/debian-installer/binary-{arch}"))
            .is_dir()
    })
}

/// A disc of a tree: where its index lies, and what its repositories are called.
struct DiscTree<'a> {
    tree: &'a Path,
    directory: &'a Path,
    stem: &'a str,
}

impl DiscTree<'_> {
    /// Names a repository: the stem alone for the first, else with a part of its own.
    fn name(&self, part: Option<&str>) -> String {
        part.map_or_else(
            || self.stem.to_owned(),
            |part| format!("{}-{part}", self.stem),
        )
    }
}

/// Tells the codename of a Debian or Ubuntu tree: that of its main suite.
pub fn codename(tree: &Path) -> Option<String> {
    let suites = directories(&tree.join("dists")).ok()?;
    let main = suites.iter().find(|suite| {
        let name = suite.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| !name.contains('-')) && is_file(suite, "Release")
    })?;
    let own = main.file_name()?.to_string_lossy().into_owned();
    let good = |name: &String| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !name.is_empty() && name.chars().all(allowed)
    };
    let codename = load_release(&main.join("Release")).and_then(|release| release.codename);
    Some(codename.filter(good).unwrap_or(own))
}

impl DiscTree<'_> {
    fn suites(
        &self,
        served: &Served<'_>,
        family: DistroFamily,
        trusted: bool,
    ) -> Result<Vec<Repository>, Problem> {
        let mut found = Vec::new();
        let dists = self.directory.join("dists");
        if !dists.is_dir() {
            return Ok(found);
        }
        for suite in directories(&dists)? {
            let Some(name) = suite.file_name().map(|name| name.to_string_lossy()) else {
                continue;
            };
            let mut components = Vec::new();
            for component in directories(&suite)? {
                let index = component.join(format!("binary-{}", served.arch.debian_name()));
                if let Some(name) = component.file_name()
                    && has_index(&index, "Packages")
                {
                    components.push(name.to_string_lossy().into_owned());
                }
            }
            if components.is_empty() || !is_file(&suite, "Release") {
                continue;
            }
            let keeps_own = trusted || family == DistroFamily::Ubuntu && is_signed(&suite);
            let signature = Path::new("dists").join(&*name).join("InRelease");
            let signed = served
                .tree_key
                .filter(|_| !keeps_own)
                .and_then(|key| self.signed_by_site(&signature, key));
            if !trusted && !is_signed(&suite) && !is_file(self.tree, RECORD) {
                return Err(Problem::new(format!(
                    "{} has no InRelease and no Release.gpg, and nodes would refuse it: import the medium with \
                 copycds, which verifies it, or put '[trusted=yes]' in front of it in pkgdir",
                    suite.display()
                )));
            }
            // main first, as everybody writes it
            components.sort_by_key(|name| (name != "main", name.clone()));
            let (directory, key) = signed.unzip();
            let directory = directory.unwrap_or_else(|| self.directory.to_owned());
            found.push(Repository {
                name: self.name((!found.is_empty()).then_some(&*name)),
                form: RepositoryFormat::Apt,
                uri: served.url(&directory).map_err(Problem::new)?,
                directory: Some(directory.display().to_string()),
                key,
                suite: Some(name.into_owned()),
                components,
                trusted,
                ..Repository::default()
            });
        }
        Ok(found)
    }
}

impl DiscTree<'_> {
    /// Returns where the disc is with the site's signatures, if one of them is by this key, and the key.
    fn signed_by_site(&self, signature: &Path, armoured: &str) -> Option<(PathBuf, String)> {
        let below = self.directory.strip_prefix(self.tree).ok()?;
        let directory = self.tree.join(InstallDir::SIGNED).join(below);
        let directory: PathBuf = directory.components().collect(); // without a slash at its end
        is_key_of(&directory.join(signature), armoured).ok()?;
        Some((directory, key::armoured(armoured.as_bytes()).ok()?))
    }
}

fn is_signed(suite: &Path) -> bool {
    is_file(suite, "InRelease") || is_file(suite, "Release.gpg")
}

/// Says of a part of an imported tree that its nodes will refuse it, when they will.
pub fn unsigned(part: &Repository) -> Option<Problem> {
    let (directory, suite) = part.directory.as_ref().zip(part.suite.as_ref())?;
    let suite = Path::new(directory).join("dists").join(suite);
    let of_medium = part.is_tree() || part.name.starts_with(DISC);
    let refused = of_medium && !part.trusted && !is_signed(&suite);
    refused.then(|| {
        Problem::new(format!(
            "{} has no InRelease and no Release.gpg, so that nodes cannot tell its packages from anybody else's on \
             their network, and their installer will refuse them: have the site sign it (slipway-trust init, then \
             slipway-trust sign-tree), or put '[trusted=yes]' in front of the tree in pkgdir to have nodes take them \
             without a signature, now and later",
            suite.display()
        ))
    })
}

/// Says of a part of an imported tree that apt refuses it by its age, when it does.
pub fn expired(part: &Repository) -> Option<Problem> {
    let (directory, suite) = part.directory.as_ref().zip(part.suite.as_ref())?;
    let suite = Path::new(directory).join("dists").join(suite);
    let end = ended(&suite)?;
    Some(Problem::new(format!(
        "{} counted until {end}, and nodes refuse it since: have the site sign the tree (slipway-trust init, then \
         slipway-trust sign-tree), whose signature has no end, or import a newer medium",
        suite.display()
    )))
}

/// Says what it means that the definition calls a tree trusted.
pub fn accepted_unsigned(part: &Repository) -> Option<Problem> {
    let means = part.name == TREE && part.trusted;
    means.then(|| {
        Problem::new(format!(
            "pkgdir has '[trusted=yes]' in front of its tree: its nodes take as packages of {} what anybody on their \
             network hands out, now and later; leave it out where the site signs the tree (slipway-trust sign-tree)",
            part.directory.as_deref().unwrap_or(&part.uri)
        ))
    })
}

impl DiscTree<'_> {
    fn metadata(
        &self,
        served: &Served<'_>,
        family: DistroFamily,
        trusted: bool,
    ) -> Result<Vec<Repository>, Problem> {
        let tree = self.directory;
        let mut parts = Vec::new();
        let yast = family == DistroFamily::Suse && is_file(tree, "content");
        if is_file(tree, "repodata/repomd.xml") || yast {
            parts.push(None);
        }
        for directory in directories(tree)? {
            if let Some(name) = directory.file_name().and_then(|name| name.to_str())
                && is_file(&directory, "repodata/repomd.xml")
                && !of_other_products(name)
            {
                parts.push(Some(name.to_owned()));
            }
        }
        let signature =
            |part: &Option<String>| Path::new(part.as_deref().unwrap_or_default()).join(SIGNATURE);
        let is_signed = |part: &Option<String>| tree.join(signature(part)).is_file();
        let keeps_own = trusted || family == DistroFamily::Suse && parts.iter().any(is_signed);
        let mut found = Vec::new();
        for part in &parts {
            let signed = served
                .tree_key
                .filter(|_| !keeps_own)
                .and_then(|key| self.signed_by_site(&signature(part), key));
            let (directory, index_key) = signed.unzip();
            let mut directory = directory.unwrap_or_else(|| tree.to_owned());
            directory.extend(part);
            found.push(Repository {
                name: self.name(part.as_deref()),
                form: format_of(family),
                uri: served.url(&directory).map_err(Problem::new)?,
                directory: Some(directory.display().to_string()),
                key_url: installed_key(served),
                index_key,
                trusted,
                ..Repository::default()
            });
        }
        found.sort_by_key(|repository| {
            let name = repository.name.as_str();
            let first = [
                "tree",
                "tree-BaseOS",
                "tree-Module-Basesystem",
                "tree-install",
            ];
            (!first.contains(&name), repository.name.clone())
        });
        Ok(found)
    }
}

/// Whether a directory of a SLE medium belongs to products beside the server.
fn of_other_products(name: &str) -> bool {
    let product = name.strip_prefix("Product-");
    let module = name.strip_prefix("Module-").unwrap_or_default();
    let others = ["SAP-", "SUSE-Manager-", "RT"];
    product.is_some_and(|product| product != "SLES")
        || others.iter().any(|other| module.starts_with(other))
}

/// Names the file in which a release brings the key of its packages to the node. What has none here has it in
/// rpm's own database.
pub(super) fn installed_key(served: &Served<'_>) -> Option<String> {
    let (family, major) = (served.distro.family(), served.distro.major());
    let name = match (family, major) {
        ("rhels", _) => "redhat-release".to_owned(),
        ("centos", "7") => "CentOS-7".to_owned(),
        ("centos", _) | ("centos-stream", "8" | "9") => "centosofficial".to_owned(),
        ("rocky", "8") => "rockyofficial".to_owned(),
        ("rocky", _) => format!("Rocky-{major}"),
        ("alma", "8") => "AlmaLinux".to_owned(),
        ("alma", _) => format!("AlmaLinux-{major}"),
        ("ol", _) => "oracle".to_owned(),
        ("fedora", _) => format!("fedora-{major}-{}", served.arch),
        _ => return None,
    };
    Some(format!("file:///etc/pki/rpm-gpg/RPM-GPG-KEY-{name}"))
}
