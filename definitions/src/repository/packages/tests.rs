use proptest::prelude::*;

use super::PackageOrigin::{Others, Tree};
use super::*;

#[test]
fn an_architecture_after_a_name_is_foreign_where_it_is_not_the_nodes_own() {
    for (name, arch) in [
        ("libc6:i386", Some("i386")),
        ("libc6:i386=2.36-9", Some("i386")),
        ("libc6:i386/bookworm", Some("i386")),
        ("libc6:amd64", None),
        ("libc6:any", None),
        ("libc6:all", None),
        ("libc6", None),
    ] {
        assert_eq!(foreign_architecture(name, "amd64"), arch, "{name}");
    }
}

fn read(
    origin: PackageOrigin,
    variables: &[(String, String)],
) -> Result<Vec<PackageChanges>, String> {
    PackageChanges::from_variables(origin, &|name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

fn package(directory: Option<&str>, name: &str, version: Option<&str>) -> RequestedPackage {
    RequestedPackage {
        directory: directory.map(str::to_owned),
        name: name.to_owned(),
        version: version.map(str::to_owned),
    }
}

#[test]
fn lists_are_removed_before_installed_and_removed_after() {
    let given = variables(&[
        ("OTHERPKGS_INDEX", "3"),
        (
            "OTHERPKGS1",
            "-docker.io, docker-ce=5:27.1-1~x,tools/mine,mine,mine,--git,@Development Tools,-@games",
        ),
        ("ENVLIST1", "LANG=de ACCEPT=yes= x =y"),
        ("OTHERPKGS2", " , "),
        ("OTHERPKGS3", "last"),
        ("OTHERPKGS4", "never"),
    ]);
    let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
    let first = PackageChanges {
        environment: variables(&[("LANG", "de"), ("ACCEPT", "yes=")]),
        remove_before: words(&["docker.io"]),
        exclude_groups: words(&["games"]),
        groups: words(&["Development Tools"]),
        install: vec![
            package(None, "docker-ce", Some("=5:27.1-1~x")),
            package(Some("tools"), "mine", None),
            package(None, "mine", None),
        ],
        remove_after: words(&["git"]),
    };
    let last = PackageChanges {
        install: vec![package(None, "last", None)],
        ..PackageChanges::default()
    };
    assert_eq!(read(Others, &given).unwrap(), [first, last]);
    assert_eq!(read(Others, &[]).unwrap(), []);
}

#[test]
fn what_follows_a_slash_is_a_release_of_the_trees_packages_and_a_package_of_others() {
    let text = "vim/bookworm-backports";
    let of = |origin| PackageChanges::parse(text, origin).unwrap().install;
    assert_eq!(
        of(Tree),
        [package(None, "vim", Some("/bookworm-backports"))]
    );
    assert_eq!(
        of(Others),
        [package(Some("vim"), "bookworm-backports", None)]
    );
}

#[test]
fn the_lists_of_the_tree_are_one() {
    let list = |name: &str| PackageChanges {
        environment: variables(&[(name, "1")]),
        install: vec![package(None, name, None)],
        ..PackageChanges::default()
    };
    assert_eq!(
        PackageChanges::to_variables(&[list("a"), list("b")], Tree),
        variables(&[("OSPKGS", "a,b"), ("ENVLIST", "a=1 b=1")])
    );
    assert_eq!(PackageChanges::to_variables(&[], Tree), variables(&[]));
}

#[test]
fn what_a_package_manager_could_take_for_something_else_is_refused() {
    for (list, message) in [
        ("a;b", "'a;b' is no package: write NAME or NAME=VERSION"),
        ("foo-", "'foo-' is no package: write NAME or NAME=VERSION"),
        (
            "---force",
            "'-force' is no package: write NAME or NAME=VERSION",
        ),
        ("*", "'*' is no package: write NAME or NAME=VERSION"),
        ("a=", "'a=' is no package: write NAME or NAME=VERSION"),
        ("a=1=2", "'a=1=2' is no package: write NAME or NAME=VERSION"),
        ("a\nb", "'a\\nb' is no package: write NAME or NAME=VERSION"),
        ("../a", "'..' of '../a' is no directory below OTHERPKGDIR"),
        ("@", "'@' is no group"),
        ("-@a;b", "'@a;b' is no group"),
    ] {
        let given = variables(&[("OTHERPKGS_INDEX", "1"), ("OTHERPKGS1", list)]);
        assert_eq!(
            read(Others, &given).unwrap_err(),
            format!("reading OTHERPKGS1: {message}")
        );
    }
    let given = variables(&[("OTHERPKGS_INDEX", "many")]);
    assert_eq!(
        read(Others, &given).unwrap_err(),
        "OTHERPKGS_INDEX is 'many' and not a number of lists up to 1000"
    );
}

fn lists(origin: PackageOrigin) -> impl Strategy<Value = PackageChanges> {
    let name = || "[a-z0-9][a-z0-9.+]{0,5}";
    let names = move || {
        prop::collection::btree_set(name(), 0..3)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    let groups = || {
        prop::collection::btree_set("\\^?[a-z]([a-z &]{0,5}[a-z])?", 0..3)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    let version = match origin {
        Tree => "[=/][a-z0-9.:~-]{1,6}",
        Others => "=[a-z0-9.:~-]{1,6}",
    };
    let directory = prop::option::of("[a-z]{1,3}(/[a-z]{1,3})?");
    let install = (directory, name(), prop::option::of(version)).prop_map(
        move |(directory, name, version)| RequestedPackage {
            directory: directory.filter(|_| origin == Others),
            name,
            version,
        },
    );
    let environment = prop::collection::vec(("[A-Z]{1,4}", "[a-z=/]{0,5}"), 0..3);
    (
        environment,
        names(),
        groups(),
        groups(),
        prop::collection::vec(install, 1..4),
        names(),
    )
        .prop_map(
            |(environment, remove_before, exclude_groups, groups, mut install, remove_after)| {
                install.sort_by_key(RequestedPackage::to_string);
                install.dedup();
                PackageChanges {
                    environment,
                    remove_before,
                    exclude_groups,
                    groups,
                    install,
                    remove_after,
                }
            },
        )
}

proptest! {
    #[test]
    fn variables_read_back_as_the_lists_that_made_them(others in prop::collection::vec(lists(Others), 0..4), tree in lists(Tree)) {
        prop_assert_eq!(read(Others, &PackageChanges::to_variables(&others, Others)).unwrap(), others);
        let tree = [tree];
        prop_assert_eq!(read(Tree, &PackageChanges::to_variables(&tree, Tree)).unwrap(), tree);
    }

    #[test]
    fn no_text_makes_it_panic_and_what_parses_prints_the_same(text in "[-@^a-z,=/. ]{0,20}") {
        for origin in [Tree, Others] {
            if let Ok(list) = PackageChanges::parse(&text, origin) {
                prop_assert_eq!(PackageChanges::parse(&list.to_string(), origin).unwrap(), list);
            }
        }
    }
}
