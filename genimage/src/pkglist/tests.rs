//! Lists as they are written, on texts alone.

use super::*;
use crate::context::TemplateContext;
use definitions::PackageOrigin;

/// Files by name, as a library would have them.
#[derive(Default)]
struct Files(BTreeMap<&'static str, String>);

impl Files {
    fn of(files: &[(&'static str, &str)]) -> Self {
        let owned = |(name, text): &(&'static str, &str)| (*name, (*text).to_owned());
        Self(files.iter().map(owned).collect())
    }

    fn asset(&self, name: &str) -> Option<Asset> {
        let (name, text) = self.0.get_key_value(name)?;
        Some(Asset {
            origin: AssetOrigin::Embedded(name),
            text: text.clone(),
            note: None,
        })
    }

    fn parse(
        &self,
        names: &[&str],
        family: DistroFamily,
        origin: PackageOrigin,
    ) -> Result<PkgList, Vec<String>> {
        let variables = BTreeMap::from([("OSVER".to_owned(), "debian12".to_owned())]);
        let rules = ListRules {
            family,
            origin,
            variables: &variables,
        };
        let files: Vec<_> = names.iter().filter_map(|name| self.asset(name)).collect();
        let list = PkgList::parse(&files, &rules, &|_, name| match name {
            "broken" => Err(Problem::new("broken: is a directory")),
            name => Ok(self.asset(name)),
        });
        list.map_err(|problems| problems.iter().map(Problem::to_string).collect())
    }
}

fn parse(text: &str, family: DistroFamily, origin: PackageOrigin) -> Result<PkgList, Vec<String>> {
    Files::of(&[("a", text)]).parse(&["a"], family, origin)
}

fn error(text: &str, family: DistroFamily, origin: PackageOrigin) -> String {
    parse(text, family, origin).unwrap_err().join("\n")
}

/// What a list says, without places.
fn shown(list: &PkgList) -> String {
    list.to_string()
}

#[test]
fn a_list_is_names_with_comments_and_signs() {
    let list = parse(
        "# a comment\n\nchrony   # why\n  openssh-server\t#x\n-nano\n@core\n@^ minimal-environment\r\n\
         @ Development Tools # blanks\n-@ dial-up\n-iwl*-firmware\n@nodejs:20/common\nchrony\n",
        DistroFamily::Rh,
        PackageOrigin::Tree,
    )
    .unwrap();
    assert_eq!(
        shown(&list),
        "-nano\n-iwl*-firmware\n-@dial-up\n@core\n@^minimal-environment\n@Development Tools\n\
         @nodejs:20/common\nchrony\nopenssh-server\n"
    );
    let place = &list.transactions[0].install[1].place;
    assert_eq!(place.to_string(), "a:4");
    // Of two lists that say the same, each name counts once.
    let facts = TemplateContext::example().image;
    let packages = serde_json::to_string(&PkgList::packages(&[&list, &list], &facts)).unwrap();
    assert_eq!(
        packages,
        r#"{"install":["chrony","openssh-server"],"groups":["core","^minimal-environment","Development Tools","nodejs:20/common"],"exclude":["nano","iwl*-firmware","@dial-up"],"foreign":[],"architectures":[]}"#
    );
}

#[test]
fn a_slash_is_a_release_for_apt_in_the_tree_and_a_directory_elsewhere() {
    let item = |text, family, origin| {
        let list = parse(text, family, origin).unwrap();
        let item = list.install().next().unwrap().clone();
        (
            item.directory,
            item.name,
            item.version.map(|pin| pin.to_string()),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    for (text, family, origin, expected) in [
        (
            "a1/bookworm-backports",
            DistroFamily::Debian,
            PackageOrigin::Tree,
            (None, "a1".to_owned(), some("/bookworm-backports")),
        ),
        (
            "g++=4:12.2.0-3~a",
            DistroFamily::Ubuntu,
            PackageOrigin::Tree,
            (None, "g++".to_owned(), some("=4:12.2.0-3~a")),
        ),
        (
            "libc6:i386",
            DistroFamily::Debian,
            PackageOrigin::Tree,
            (None, "libc6:i386".to_owned(), None),
        ),
        (
            "docker/stable/docker-ce=5:1.0",
            DistroFamily::Debian,
            PackageOrigin::Others,
            (
                some("docker/stable"),
                "docker-ce".to_owned(),
                some("=5:1.0"),
            ),
        ),
        (
            "docker/docker-ce",
            DistroFamily::Suse,
            PackageOrigin::Others,
            (some("docker"), "docker-ce".to_owned(), None),
        ),
        (
            "Kernel_x-1.2.x86_64",
            DistroFamily::Fedora,
            PackageOrigin::Tree,
            (None, "Kernel_x-1.2.x86_64".to_owned(), None),
        ),
    ] {
        assert_eq!(item(text, family, origin), expected, "{text}");
    }
}

#[test]
fn transactions_have_their_own_environment_and_removals() {
    let list = parse(
        "-docker\n\n#NEW_INSTALL_LIST#\n#ENV:A=1 B=/x#\n#ENV:C=#\nrepo/docker-ce\n--cache\n#NEW_INSTALL_LIST#\n\
         #NEW_INSTALL_LIST#\nlast\ndocker\n-docker\n",
        DistroFamily::Rh,
        PackageOrigin::Others,
    )
    .unwrap();
    assert_eq!(
        shown(&list),
        "-docker\n#NEW_INSTALL_LIST#\n#ENV:A=1#\n#ENV:B=/x#\n#ENV:C=#\nrepo/docker-ce\n--cache\n\
         #NEW_INSTALL_LIST#\n-docker\nlast\ndocker\n"
    );
    let variables: Vec<_> = list
        .variables(PackageOrigin::Others)
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        variables,
        [
            "OTHERPKGS1=-docker",
            "OTHERPKGS2=repo/docker-ce,--cache",
            "ENVLIST2=A=1 B=/x C=",
            "OTHERPKGS3=-docker,last,docker",
            "OTHERPKGS_INDEX=3",
        ]
    );
    assert_eq!(
        list.variables(PackageOrigin::Tree),
        [
            (
                "OSPKGS".to_owned(),
                "-docker,repo/docker-ce,--cache,-docker,last,docker".to_owned()
            ),
            ("ENVLIST".to_owned(), "A=1 B=/x C=".to_owned()),
        ]
    );
    assert_eq!(PkgList::default().variables(PackageOrigin::Others), []);
}

#[test]
fn of_two_lines_about_one_name_the_later_counts() {
    let list = parse(
        "a1\nb1\n-a1\n-b1\nb1\n@g\n-@g\n",
        DistroFamily::Rh,
        PackageOrigin::Tree,
    )
    .unwrap();
    assert_eq!(shown(&list), "-a1\n-@g\nb1\n");
}

#[test]
fn several_files_and_what_they_include_are_one_list() {
    let files = Files::of(&[
        ("a", "one\n#INCLUDE:sub#\n"),
        ("sub", "#INCLUDE:$OSVER.list#\ntwo\n"),
        ("debian12.list", "three"),
        ("b", "#INCLUDE:sub#\n-one\nfour\n"),
    ]);
    let list = files
        .parse(&["a", "b"], DistroFamily::Debian, PackageOrigin::Tree)
        .unwrap();
    assert_eq!(shown(&list), "-one\nthree\ntwo\nfour\n");
    let places: Vec<_> = list.install().map(|item| item.place.to_string()).collect();
    assert_eq!(places, ["debian12.list:1", "sub:2", "b:3"]);
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let files = Files::of(&[
        (
            "a",
            "Chrony\n#INCLUDE:b#\n#INCLUDE:none#\n#INCLUDE:$HOME/x#\n#INCLUDE:broken#\n#INCLUDEBAD:x#\n",
        ),
        ("b", "ok1\na b\n#INCLUDE:c#\n"),
        ("c", "\n\n#INCLUDE:b#\n-@core\n"),
    ]);
    let problems = files
        .parse(&["a"], DistroFamily::Debian, PackageOrigin::Tree)
        .unwrap_err();
    assert_eq!(
        problems,
        [
            "a:1: 'Chrony' is not a Debian package name: use lower-case letters, digits, '+', '-' and '.', two characters at least",
            "b:2: 'a b' is more than one name: write one a line",
            "c:3: files include each other: b -> c -> b",
            "c:4: '-@core' would keep a task out, which apt cannot: name the packages",
            "a:3: 'none' is included, and there is no such file, neither next to this one nor in the library",
            "a:4: '$HOME' in '$HOME/x' is not a variable: there are $OSVER",
            "a:5: 'broken' is included: broken: is a directory",
            "a:6: '#INCLUDEBAD' is not a directive: there are #INCLUDE:path#, #NEW_INSTALL_LIST# and \
             #ENV:NAME=value#; a comment has a space after its '#'",
        ]
    );
}

#[test]
fn a_bad_name_is_an_error_that_says_what_to_write() {
    use DistroFamily::{Debian, Fedora, Rh, Suse};
    use PackageOrigin::{Others, Tree};
    for (text, family, origin, expected) in [
        (
            "a",
            Debian,
            Tree,
            "'a' is not a Debian package name: use lower-case letters, digits, '+', '-' and '.', two characters at least",
        ),
        (
            "nano-",
            Debian,
            Tree,
            "'nano-' would have apt remove a package: write '-nano'",
        ),
        (
            "na;no",
            Rh,
            Tree,
            "'na;no' is not a package name: use letters, digits and . _ + - ~ ^",
        ),
        (
            "nano#editor",
            Rh,
            Tree,
            "'nano#editor' is not a package: put a space before the '#' of a comment after 'nano'",
        ),
        (
            "nano,vim",
            Suse,
            Tree,
            "'nano,vim' is more than one name: write one a line",
        ),
        (
            "a\u{7}b",
            Rh,
            Tree,
            "the line contains a control character: delete it",
        ),
        (
            "-",
            Rh,
            Tree,
            "a package has no name: write it, or delete the line",
        ),
        ("nano=1", Rh, Tree, "'nano=1' is apt's way: write 'nano-1'"),
        (
            "nano=1",
            Suse,
            Tree,
            "'nano=1' demands a version, which YaST and Agama cannot: write 'nano'",
        ),
        (
            "sub/nano",
            Fedora,
            Tree,
            "'sub/nano' is a path: directories of otherpkgdir belong into an otherpkglist",
        ),
        (
            "nano=1 2",
            Debian,
            Tree,
            "'1 2' is not a version: use letters, digits and . + ~ : -",
        ),
        (
            "nano/a b",
            Debian,
            Tree,
            "'a b' is not a release: use letters, digits and . + _ -",
        ),
        (
            "../nano",
            Rh,
            Others,
            "'..' is not a directory of otherpkgdir: write 'directory/name'",
        ),
        (
            "/nano",
            Rh,
            Others,
            "'' is not a directory of otherpkgdir: write 'directory/name'",
        ),
        (
            "-nano=1",
            Debian,
            Tree,
            "'nano=1' has more than a name, which a removal cannot: write '-nano'",
        ),
        (
            "-na*",
            Suse,
            Tree,
            "'na*' is not a package name: use letters, digits and . _ + - ~ ^",
        ),
        (
            "--nano",
            Rh,
            Tree,
            "'--nano' removes a package after the installation, which an otherpkglist can: write '-nano'",
        ),
        (
            "@core --nodefaults",
            Rh,
            Tree,
            "'--nodefaults' is an option of a group, which a list cannot give: leave it out",
        ),
        (
            "@",
            Rh,
            Tree,
            "'@' is not a group or '@^environment': use letters, digits, spaces and . _ + - ( ) & : /",
        ),
        (
            "@^base",
            Suse,
            Tree,
            "'@^base' is not a pattern: use letters, digits, '.', '_', '+' and '-'",
        ),
        (
            "@ssh_server",
            Debian,
            Tree,
            "'@ssh_server' is not a task: use letters, digits and '-'",
        ),
        (
            "https://a/b.rpm",
            Rh,
            Tree,
            "'https:' is an address, and a list names packages: put the package into a repository and name that in \
             otherpkgdir",
        ),
        (
            "a1\na1=2",
            Debian,
            Tree,
            "'a1=2' is 'a1' at a:1: leave one of them",
        ),
        (
            "iwlax\n-iwl*",
            Rh,
            Tree,
            "'-iwl*' keeps out 'iwlax', which a:1 installs: keep out less, or leave that out",
        ),
        (
            "#ENV:A=1#",
            Rh,
            Others,
            "#ENV# comes before no package: it applies to those after it, up to the next #NEW_INSTALL_LIST#",
        ),
        (
            "nano\n#ENV:A=1#",
            Rh,
            Others,
            "#ENV# comes after a package: put it before the first one of its #NEW_INSTALL_LIST#",
        ),
        (
            "#ENV:A=1 A=2#\nnano",
            Rh,
            Others,
            "A is set twice: leave one",
        ),
    ] {
        let message = error(text, family, origin);
        let line = text.lines().count();
        let line = if message.starts_with("a:1: A is set") {
            1
        } else {
            line
        };
        assert_eq!(message, format!("a:{line}: {expected}"), "{text}");
    }
}

#[test]
fn what_a_list_can_grow_to_has_a_bound() {
    const NAMES: [&str; 20] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19",
    ];
    let mut deep = Files::default();
    for pair in NAMES.windows(2) {
        deep.0.insert(pair[0], format!("#INCLUDE:{}#\n", pair[1]));
    }
    deep.0.insert("19", "nano".to_owned());
    let problems = deep
        .parse(&["0"], DistroFamily::Rh, PackageOrigin::Tree)
        .unwrap_err();
    assert_eq!(
        problems,
        ["15:1: includes go deeper than 16 files: include less"]
    );

    let mut wide = Files::default();
    for pair in NAMES[..12].windows(2) {
        wide.0
            .insert(pair[0], format!("#INCLUDE:{0}#\n#INCLUDE:{0}#\n", pair[1]));
    }
    wide.0.insert("11", "nano".to_owned());
    let problems = wide
        .parse(&["0"], DistroFamily::Rh, PackageOrigin::Tree)
        .unwrap_err();
    assert!(problems.iter().all(|problem| {
        problem.ends_with(": the list is made of more than 256 files: include less")
    }));

    let many = parse(
        &"A\n".repeat(1000),
        DistroFamily::Debian,
        PackageOrigin::Tree,
    )
    .unwrap_err();
    assert_eq!(many.len(), 101);
    assert_eq!(many[100], "a:101: there are more problems: fix these first");

    let long = Files::of(&[("a", &"#\n".repeat(3 << 20))]);
    assert_eq!(
        long.parse(&["a"], DistroFamily::Rh, PackageOrigin::Tree)
            .unwrap_err(),
        ["a: the list has more than 4194304 bytes: include less"]
    );
}

#[test]
fn a_profile_without_a_list_is_an_error_that_says_where_to_put_one() {
    let library = Library::new("/nonexistent");
    let distro = "rocky9.4".parse().unwrap();
    let target = SearchTarget {
        profile: "web",
        distro: &distro,
        arch: definitions::Arch::X86_64,
        installer: crate::installer::InstallerKind::Kickstart,
    };
    let load = |origin, names: &[String]| {
        PkgList::load(&library, origin, names, &target, &BTreeMap::new())
            .map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        load(PackageOrigin::Tree, &[]).unwrap_err(),
        [
            "no package list for the profile 'web' of rocky9.4: name one in the osimage's pkglist, or write \
             pkglists/rh/web.pkglist in the directory of your own files"
        ]
    );
    assert_eq!(load(PackageOrigin::Others, &[]), Ok(PkgList::default()));
    assert_eq!(
        load(
            PackageOrigin::Tree,
            &["a".to_owned(), "base.pkglist".to_owned(), "b".to_owned()]
        )
        .unwrap_err(),
        [
            "'a' is neither in /nonexistent nor built in: `genimage --list-assets` names what there is",
            "'b' is neither in /nonexistent nor built in: `genimage --list-assets` names what there is"
        ]
    );
    let directory = tempfile::tempdir().unwrap();
    let own = |name: &str| directory.path().join(name);
    std::fs::write(own("web-rocky9.4-x86_64"), "nginx").unwrap();
    std::fs::write(own("a"), "#INCLUDE:$PROFILE-${OSVER}-$ARCH#").unwrap();
    let name = own("a").display().to_string();
    assert_eq!(
        shown(&load(PackageOrigin::Tree, &[name]).unwrap()),
        "nginx\n"
    );
    let list = load(PackageOrigin::Others, &["docker-ce.pkglist".to_owned()]).unwrap();
    assert_eq!(shown(&list), "docker-ce\ndocker-ce-cli\ncontainerd.io\n");
}
