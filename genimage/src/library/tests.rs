//! The search over both places, on a directory of its own.

use std::fs;
use std::path::Path;

use super::*;

/// A custom directory that holds these files.
fn custom(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let library = Library::new(directory.path());
    (directory, library)
}

fn target(distro: &Distro) -> SearchTarget<'_> {
    SearchTarget {
        profile: "dockerhost",
        distro,
        arch: Arch::X86_64,
        installer: match DistroFamily::of(distro).unwrap() {
            DistroFamily::Debian | DistroFamily::Ubuntu => InstallerKind::Preseed,
            DistroFamily::Rh | DistroFamily::Fedora => InstallerKind::Kickstart,
            DistroFamily::Suse => InstallerKind::Autoyast,
        },
    }
}

/// Every file that fits, without the directory.
fn found(library: &Library, directory: &Path, distro: &str) -> Vec<String> {
    let distro = distro.parse().unwrap();
    let found = library.found(AssetKind::PkgList, &target(&distro)).unwrap();
    let prefix = format!("{}/", directory.display());
    let line =
        |found: Candidate| format!("{} {}", found.origin, found.name_found).replace(&prefix, "");
    found.into_iter().map(line).collect()
}

#[test]
fn what_is_built_in_is_found_where_nothing_else_is() {
    let (directory, library) = custom(&[]);
    assert_eq!(
        found(&library, directory.path(), "debian12.9.0"),
        ["pkglists/debian/dockerhost.pkglist (built in) for every release on every architecture"]
    );
    let distro = "rocky7.9".parse().unwrap();
    let asset = library.find(AssetKind::PkgList, &target(&distro)).unwrap();
    assert_eq!(
        asset.unwrap().origin,
        AssetOrigin::Embedded("pkglists/rh/dockerhost.el7.pkglist")
    );
}

#[test]
fn an_own_file_goes_before_a_more_particular_one_that_is_built_in() {
    let (directory, library) = custom(&[
        ("pkglists/rh/dockerhost.pkglist", "a"),
        ("install/rh/dockerhost.rocky7.pkglist", "b"),
        ("install/rocky/dockerhost.x86_64.pkglist", "c"),
        ("install/rocky/dockerhost.rocky8.pkglist", "no"),
        ("install/alma/dockerhost.pkglist", "no"),
    ]);
    assert_eq!(
        found(&library, directory.path(), "rocky7.9"),
        [
            "pkglists/rh/dockerhost.pkglist for every release on every architecture",
            "install/rocky/dockerhost.x86_64.pkglist for every release on this architecture",
            "install/rh/dockerhost.rocky7.pkglist for rocky7 on every architecture",
            "pkglists/rh/dockerhost.el7.pkglist (built in) for el7 on every architecture",
            "pkglists/rh/dockerhost.pkglist (built in) for every release on every architecture",
        ]
    );
}

#[test]
fn suse_is_found_under_both_names_of_its_directory() {
    let (directory, library) = custom(&[
        ("install/suse/dockerhost.pkglist", "a"),
        ("install/sles/dockerhost.sle15.pkglist", "b"),
    ]);
    assert_eq!(
        found(&library, directory.path(), "leap15.6"),
        [
            "install/sles/dockerhost.sle15.pkglist for sle15 on every architecture",
            "install/suse/dockerhost.pkglist for every release on every architecture",
            "pkglists/suse/dockerhost.pkglist (built in) for every release on every architecture",
        ]
    );
}

#[test]
fn a_name_is_looked_up_below_the_own_directory_then_among_what_is_built_in() {
    let (directory, library) = custom(&[
        ("ubuntu1404/mine.pkglist", "mine"),
        ("pkglists/debian/base.pkglist", "own base"),
    ]);
    let own = |name: &str| AssetOrigin::Custom(directory.path().join(name));
    let absolute = directory.path().join("ubuntu1404/mine.pkglist");
    for (name, expected) in [
        ("ubuntu1404/mine.pkglist", own("ubuntu1404/mine.pkglist")),
        (absolute.to_str().unwrap(), own("ubuntu1404/mine.pkglist")),
        (
            "pkglists/debian/base.pkglist",
            own("pkglists/debian/base.pkglist"),
        ),
        ("debian/base.pkglist", own("pkglists/debian/base.pkglist")),
        ("base.pkglist", own("pkglists/debian/base.pkglist")),
        (
            "builtin/base.pkglist",
            AssetOrigin::Embedded("pkglists/debian/base.pkglist"),
        ),
        (
            "docker-ce.pkglist",
            AssetOrigin::Embedded("pkglists/debian/docker-ce.pkglist"),
        ),
        (
            "ubuntu/base.pkglist",
            AssetOrigin::Embedded("pkglists/ubuntu/base.pkglist"),
        ),
    ] {
        let asset = library.named(AssetKind::PkgList, DistroFamily::Debian, name);
        assert_eq!(asset.map(|asset| asset.origin), Ok(expected), "{name}");
    }
}

#[test]
fn a_name_that_is_nowhere_is_an_error_that_says_where_it_was_looked_for() {
    let (directory, library) = custom(&[]);
    let error = |name: &str| {
        let error = library.named(AssetKind::PkgList, DistroFamily::Debian, name);
        let own = directory.path().display().to_string();
        error.unwrap_err().to_string().replace(&own, "DIR")
    };
    assert_eq!(
        error("nothing.pkglist"),
        "'nothing.pkglist' is neither in DIR nor built in: `genimage --list-assets` names what there is"
    );
    assert_eq!(
        error("/nonexistent/a.pkglist"),
        "/nonexistent/a.pkglist: there is no such file: write it, or name another one"
    );
    assert_eq!(
        error("../secret"),
        "'../secret' names no file of the library: give an absolute path, or a name without '..'"
    );
    let distro = "debian12".parse().unwrap();
    let bad = SearchTarget {
        profile: "../x",
        ..target(&distro)
    };
    assert_eq!(
        library
            .find(AssetKind::PkgList, &bad)
            .unwrap_err()
            .to_string(),
        "'../x' is not a valid profile: use letters, digits, '.', '_', '+' and '-', a letter or digit first"
    );
}

#[test]
fn a_file_that_is_no_text_is_an_error_with_its_line() {
    let (directory, library) = custom(&[("big.pkglist", &"a\n".repeat(600_000))]);
    let error = |name: &str| {
        let error = library.named(AssetKind::PkgList, DistroFamily::Debian, name);
        let own = format!("{}/", directory.path().display());
        error.unwrap_err().to_string().replace(&own, "")
    };
    fs::write(directory.path().join("latin.pkglist"), b"a\nb\xe9\n").unwrap();
    assert_eq!(
        error("latin.pkglist"),
        "latin.pkglist:2: is not UTF-8 text: save it as UTF-8"
    );
    assert_eq!(
        error("big.pkglist"),
        "big.pkglist: cannot be read: it has more than 1048576 bytes"
    );
}

#[test]
fn an_own_base_counts_for_what_is_built_in() {
    let (directory, library) = custom(&[("pkglists/debian/base.pkglist", "own base")]);
    let from = AssetOrigin::Embedded("pkglists/debian/dockerhost.pkglist");
    let include = |from: &AssetOrigin, name: &str| {
        let asset = library.include(AssetKind::PkgList, DistroFamily::Debian, from, name);
        asset.unwrap().map(|asset| asset.origin)
    };
    let own = AssetOrigin::Custom(directory.path().join("pkglists/debian/base.pkglist"));
    assert_eq!(include(&from, "base.pkglist"), Some(own.clone()));
    let builtin = AssetOrigin::Embedded("pkglists/debian/base.pkglist");
    assert_eq!(include(&own, "builtin/base.pkglist"), Some(builtin));
    let compute = AssetOrigin::Embedded("pkglists/debian/compute.pkglist");
    assert_eq!(include(&own, "compute.pkglist"), Some(compute));
    assert_eq!(include(&own, "nothing.pkglist"), None);
}

#[test]
fn own_files_are_listed_under_the_names_of_what_they_replace() {
    let (_directory, library) = custom(&[
        ("templates/debian/base.preseed", "a"),
        ("templates/debian/part.inc", "b"),
        ("templates/.git/x", "no"),
        ("install/debian/compute.preseed", "c"),
        ("install/debian/compute.tmpl", "no"),
        ("install/debian/compute.pkglist", "no"),
        ("pkglists/debian/x.pkglist", "no"),
    ]);
    let names = library.custom(AssetKind::Template).unwrap();
    let names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "install/debian/compute.preseed",
            "templates/debian/base.preseed",
            "templates/debian/part.inc"
        ]
    );
}

#[test]
fn an_export_writes_what_is_built_in_and_keeps_what_was_edited() {
    let (_directory, library) = custom(&[]);
    let target = tempfile::tempdir().unwrap();
    let own = target.path().join("pkglists/debian/base.pkglist");
    let first = library.export(target.path()).unwrap();
    assert!(
        first
            .iter()
            .all(|exported| matches!(exported, Exported::Written(_)))
    );
    assert!(first.contains(&Exported::Written(own.clone())));
    for (name, text) in library.embedded(AssetKind::PkgList) {
        assert_eq!(fs::read_to_string(target.path().join(name)).unwrap(), text);
    }
    fs::write(&own, "edited").unwrap();
    let second = library.export(target.path()).unwrap();
    let kept: Vec<_> = second
        .iter()
        .filter(|exported| !matches!(exported, Exported::Same(_)))
        .collect();
    assert_eq!(kept, [&Exported::Kept(own.clone())]);
    assert_eq!(fs::read_to_string(own).unwrap(), "edited");
    let left = fs::read_dir(target.path().join("pkglists/debian")).unwrap();
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert_eq!(left.filter_map(Result::ok).filter(hidden).count(), 0);
}
