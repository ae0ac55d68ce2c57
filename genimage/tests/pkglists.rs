//! The lists that are built in: every release of ours gets one that can be read, `golden/pkglists.txt` shows
//! it (`UPDATE=1` writes it anew), and every name in it exists: on the real media whose file listings lie in
//! the corpus, and in this machine's own archive.
//!
//! The corpus lies beside the repository (`../shared/corpus`, or `SLIPWAY_CORPUS`). What a machine lacks
//! makes a case ignored, and its kind says why.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use definitions::{Arch, Distro, PackageOrigin};
use libtest_mimic::{Arguments, Failed, Trial};

use genimage::installer::{DistroFamily, InstallerKind};
use genimage::library::{AssetKind, Library, SearchTarget};
use genimage::pkglist::PkgList;

const PROFILES: [&str; 2] = ["compute", "dockerhost"];

/// Releases that have lists, the oldest and the newest of each form.
const RELEASES: [&str; 31] = [
    "debian10.13.0",
    "debian11.11.0",
    "debian12.9.0",
    "debian13.1.0",
    "debiantesting",
    "ubuntu14.04.3",
    "ubuntu16.04.7",
    "ubuntu18.04.6",
    "ubuntu20.04.6",
    "ubuntu22.04.3",
    "ubuntu24.04.1",
    "ubuntu25.10",
    "rhels7.9",
    "centos7.9.2009",
    "cloudlinux7.9",
    "rhels8.6.0",
    "rocky8.9",
    "alma9.4",
    "centos-stream9",
    "ol9.3",
    "rhels10.0",
    "fedora40",
    "fedora44",
    "fedorarawhide",
    "sles12.5",
    "sle15.7",
    "leap15.0",
    "leap15.6",
    "sle16.0",
    "leap16.0",
    "opensusetumbleweed",
];

/// Real media, by the beginning of their listing's name; which profiles a node can be installed with from
/// it alone, and whether the engine is on it too.
const MEDIA: [(&str, &str, &[&str], bool); 21] = [
    ("trusty__", "ubuntu14.04.6", &PROFILES, false),
    ("cloudlinux7__", "cloudlinux7.9", &["compute"], false),
    ("cloudlinux8__", "cloudlinux8.7", &PROFILES, false),
    ("rhel8__AlmaLinux-8.9", "alma8.9", &["compute"], false),
    ("rhel8__Rocky-8.3", "rocky8.3", &PROFILES, false),
    ("rhel8__Rocky-8.5", "rocky8.5", &PROFILES, false),
    ("rhel8__Rocky-8.9", "rocky8.9", &["compute"], false),
    ("rhel10__", "alma10.0", &["compute"], false),
    ("fedora40__", "fedora40", &PROFILES, false),
    ("fedora41__", "fedora41", &PROFILES, false),
    ("fedora42__", "fedora42", &PROFILES, false),
    ("fedora43__", "fedora43", &PROFILES, false),
    ("fedora44__", "fedora44", &PROFILES, false),
    ("opensuse15.0__", "leap15.0", &PROFILES, false),
    ("opensuse15.2__", "leap15.2", &PROFILES, false),
    ("opensuse15.5__", "leap15.5", &PROFILES, false),
    ("sles15sp2__", "sle15.2", &PROFILES, true),
    ("sles15sp5__", "sle15.5", &PROFILES, true),
    ("sles15sp6__", "sle15.6", &PROFILES, true),
    ("sles15sp7__", "sle15.7", &PROFILES, true),
    ("sles16.0__", "sle16.0", &PROFILES, true),
];

fn main() {
    let arguments = Arguments::from_args();
    let plain = |name: &str, run: fn() -> Result<(), Failed>| Trial::test(name, run);
    let mut trials = vec![
        plain("every_release_has_lists", every_release_has_lists),
        plain(
            "every_list_belongs_to_a_release",
            every_list_belongs_to_a_release,
        ),
        plain("nothing_needs_bridge_utils", nothing_needs_bridge_utils),
    ];
    let listings = corpus().join("listings");
    let lacking = (!listings.is_dir()).then_some("no corpus beside the repository");
    for (listing, distro, profiles, engine) in MEDIA {
        let listings = listings.clone();
        let name = format!("medium::{distro}_has_every_name");
        let run = move || medium(&listings, listing, distro, profiles, engine);
        trials.push(case(name, lacking, run));
    }
    let own = own_debian();
    let lacking = own.as_ref().err().copied();
    let distro = own.unwrap_or_default();
    trials.push(case(
        "archive::this_debian_has_every_name".to_owned(),
        lacking,
        move || archive(&distro),
    ));
    libtest_mimic::run(&arguments, trials).exit();
}

fn case(
    name: String,
    lacking: Option<&str>,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::test(name, run)
        .with_ignored_flag(lacking.is_some())
        .with_kind(lacking.unwrap_or_default())
}

fn corpus() -> PathBuf {
    std::env::var_os("SLIPWAY_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    )
}

/// What is built in for a profile of a release.
fn list(distro: &Distro, profile: &str, origin: PackageOrigin) -> Result<PkgList, Failed> {
    let target = SearchTarget {
        profile,
        distro,
        arch: Arch::X86_64,
        installer: InstallerKind::of(distro, Path::new("/nonexistent")).unwrap(),
    };
    let library = Library::new("/nonexistent");
    PkgList::load(&library, origin, &[], &target, &BTreeMap::new()).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n").into()
    })
}

fn names(list: &PkgList) -> Vec<&str> {
    list.install().map(|item| item.name.as_str()).collect()
}

fn groups(list: &PkgList) -> Vec<&str> {
    list.groups().map(|item| item.name.as_str()).collect()
}

fn every_release_has_lists() -> Result<(), Failed> {
    let mut shown = String::new();
    for release in RELEASES {
        let distro = release.parse()?;
        writeln!(shown, "{distro}")?;
        for profile in PROFILES {
            let tree = list(&distro, profile, PackageOrigin::Tree)?;
            let others = list(&distro, profile, PackageOrigin::Others)?;
            let words = [groups(&tree), names(&tree)].concat();
            writeln!(shown, "  {profile}: {}", words.join(" "))?;
            if !others.transactions.is_empty() {
                writeln!(shown, "    others: {}", names(&others).join(" "))?;
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pkglists.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &shown)?;
    }
    if fs::read_to_string(&path)? != shown {
        return Err(format!(
            "{} says something else: read the difference after UPDATE=1",
            path.display()
        )
        .into());
    }
    Ok(())
}

fn every_list_belongs_to_a_release() -> Result<(), Failed> {
    let library = Library::new("/nonexistent");
    let mut used: BTreeSet<String> = BTreeSet::new();
    for release in RELEASES {
        let distro: Distro = release.parse()?;
        let family = DistroFamily::of(&distro).unwrap().name();
        // Chosen by its name, in an osimage's otherpkglist.
        used.insert(format!("pkglists/{family}/docker-ce.pkglist"));
        // What every root image has, of each architecture.
        for arch in [Arch::X86_64, Arch::Aarch64, Arch::Ppc64le] {
            let target = SearchTarget {
                profile: "netboot",
                distro: &distro,
                arch,
                installer: InstallerKind::Preseed,
            };
            let found = library.found(AssetKind::PkgList, &target).unwrap();
            used.extend(found.iter().map(|found| found.origin.name()));
        }
        for profile in PROFILES {
            for (origin, kind) in [
                (PackageOrigin::Tree, AssetKind::PkgList),
                (PackageOrigin::Others, AssetKind::OtherPkgList),
            ] {
                let list = list(&distro, profile, origin)?;
                let items = list
                    .transactions
                    .iter()
                    .flat_map(|list| list.install.iter().chain(&list.groups));
                used.extend(items.map(|item| item.place.file.to_string()));
                let target = SearchTarget {
                    profile,
                    distro: &distro,
                    arch: Arch::X86_64,
                    installer: InstallerKind::Preseed,
                };
                let found = library.find(kind, &target).unwrap();
                used.extend(found.map(|asset| asset.origin.name()));
            }
        }
    }
    let unused: Vec<_> = library
        .embedded(AssetKind::PkgList)
        .map(|(name, _)| name)
        .filter(|name| !used.contains(*name))
        .collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(format!("no release of the table has {}", unused.join(", ")).into())
}

fn nothing_needs_bridge_utils() -> Result<(), Failed> {
    for release in RELEASES {
        let distro = release.parse()?;
        for origin in [PackageOrigin::Tree, PackageOrigin::Others] {
            let list = list(&distro, "dockerhost", origin)?;
            if names(&list).contains(&"bridge-utils") {
                return Err(format!("{release} has it").into());
            }
        }
    }
    Ok(())
}

/// Looks every name up among the packages of a real medium.
fn medium(
    listings: &Path,
    beginning: &str,
    distro: &str,
    profiles: &[&str],
    engine: bool,
) -> Result<(), Failed> {
    let mut listing = None;
    for entry in fs::read_dir(listings)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(beginning) && name.ends_with(".txt.gz") {
            listing = Some(listings.join(name));
        }
    }
    let listing = listing.ok_or_else(|| format!("no listing begins with {beginning}"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(listing)?).read_to_string(&mut text)?;
    let packages: BTreeSet<_> = text.lines().filter_map(package_of).collect();
    if packages.len() < 100 {
        return Err("the listing has hardly a package".into());
    }
    let distro: Distro = distro.parse()?;
    let suse = DistroFamily::of(&distro).unwrap() == DistroFamily::Suse;
    let comps = text
        .lines()
        .any(|path| path.contains("repodata/") && path.contains("comps"));
    let mut missing = Vec::new();
    for profile in profiles {
        let tree = list(&distro, profile, PackageOrigin::Tree)?;
        let others = list(&distro, profile, PackageOrigin::Others)?;
        let others = if engine { names(&others) } else { Vec::new() };
        let names = names(&tree).into_iter().chain(others);
        missing.extend(
            names
                .filter(|name| !packages.contains(name))
                .map(str::to_owned),
        );
        for group in groups(&tree) {
            let pattern = format!("patterns-base-{group}");
            let there = if suse {
                packages.contains(pattern.as_str())
            } else {
                comps && group == "core" // which every comps of anaconda's has
            };
            if !there {
                missing.push(format!("@{group}"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{distro} lacks {}", missing.join(", ")).into())
}

/// Returns the name of the package that a file is: `name-version-release.arch.rpm`, `name_version_arch.deb`.
fn package_of(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next()?;
    if file.ends_with(".deb") {
        return file.split('_').next();
    }
    let file = file.strip_suffix(".rpm")?;
    let mut parts = file.rsplitn(3, '-');
    parts.next()?;
    parts.next()?;
    parts.next()
}

/// The Debian release that this machine runs, if apt knows its packages.
fn own_debian() -> Result<String, &'static str> {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    match (value("ID="), value("VERSION_ID=")) {
        (Some(id), Some(version)) if id == "debian" => {
            if exists(&["chrony"]).contains("chrony") {
                Ok(format!("{id}{version}"))
            } else {
                Err("needs apt's lists of packages (apt-get update)")
            }
        }
        _ => Err("this machine runs no release of Debian"),
    }
}

/// Returns those of the names that are packages of the archive.
fn exists(names: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new("apt-cache");
    let output = command
        .args(["show", "--no-all-versions"])
        .args(names)
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "));
    names.map(str::to_owned).collect()
}

fn archive(distro: &str) -> Result<(), Failed> {
    let distro = distro.parse()?;
    let mut missing = Vec::new();
    for profile in PROFILES {
        for origin in [PackageOrigin::Tree, PackageOrigin::Others] {
            let list = list(&distro, profile, origin)?;
            let names = names(&list);
            if names.is_empty() {
                continue;
            }
            let there = exists(&names);
            let lacking = names.iter().filter(|name| !there.contains(**name));
            missing.extend(lacking.map(|name| (*name).to_owned()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{distro} lacks {}", missing.join(", ")).into())
}
