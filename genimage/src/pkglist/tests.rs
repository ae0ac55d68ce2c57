//! Lists as they are written, on texts alone.

use super::*;
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
            origin: Origin::Embedded(name),
            text: text.clone(),
            cleaned: false,
        })
    }

    fn parse(&self, names: &[&str], family: Family, role: Role) -> Result<PkgList, Vec<String>> {
        let variables = BTreeMap::from([("OSVER".to_owned(), "debian12".to_owned())]);
        let rules = Rules {
            family,
            role,
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

fn parse(text: &str, family: Family, role: Role) -> Result<PkgList, Vec<String>> {
    Files::of(&[("a", text)]).parse(&["a"], family, role)
}

fn error(text: &str, family: Family, role: Role) -> String {
    parse(text, family, role).unwrap_err().join("\n")
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
        Family::Rh,
        Role::Tree,
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
    let packages = serde_json::to_string(&PkgList::packages(&[&list, &list])).unwrap();
    assert_eq!(
        packages,
        r#"{"install":["chrony","openssh-server"],"groups":["core","^minimal-environment","Development Tools","nodejs:20/common"],"exclude":["nano","iwl*-firmware","@dial-up"]}"#
    );
}

#[test]
fn a_slash_is_a_release_for_apt_in_the_tree_and_a_directory_elsewhere() {
    let item = |text, family, role| {
        let list = parse(text, family, role).unwrap();
        let item = list.install().next().unwrap().clone();
        (item.directory, item.name, item.version)
    };
    let some = |text: &str| Some(text.to_owned());
    for (text, family, role, expected) in [
        (
            "a1/bookworm-backports",
            Family::Debian,
            Role::Tree,
            (None, "a1".to_owned(), some("/bookworm-backports")),
        ),
        (
            "g++=4:12.2.0-3~a",
            Family::Ubuntu,
            Role::Tree,
            (None, "g++".to_owned(), some("=4:12.2.0-3~a")),
        ),
        (
            "libc6:i386",
            Family::Debian,
            Role::Tree,
            (None, "libc6:i386".to_owned(), None),
        ),
        (
            "docker/stable/docker-ce=5:1.0",
            Family::Debian,
            Role::Others,
            (
                some("docker/stable"),
                "docker-ce".to_owned(),
                some("=5:1.0"),
            ),
        ),
        (
            "docker/docker-ce",
            Family::Suse,
            Role::Others,
            (some("docker"), "docker-ce".to_owned(), None),
        ),
        (
            "Kernel_x-1.2.x86_64",
            Family::Fedora,
            Role::Tree,
            (None, "Kernel_x-1.2.x86_64".to_owned(), None),
        ),
    ] {
        assert_eq!(item(text, family, role), expected, "{text}");
    }
}

#[test]
fn transactions_have_their_own_environment_and_removals() {
    let list = parse(
        "-docker\n\n#NEW_INSTALL_LIST#\n#ENV:A=1 B=/x#\n#ENV:C=#\nrepo/docker-ce\n--cache\n#NEW_INSTALL_LIST#\n\
         #NEW_INSTALL_LIST#\nlast\ndocker\n-docker\n",
        Family::Rh,
        Role::Others,
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
    let list = parse("a1\nb1\n-a1\n-b1\nb1\n@g\n-@g\n", Family::Rh, Role::Tree).unwrap();
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
        .parse(&["a", "b"], Family::Debian, Role::Tree)
        .unwrap();
    assert_eq!(shown(&list), "-one\nthree\ntwo\nfour\n");
    let places: Vec<_> = list.install().map(|item| item.place.to_string()).collect();
    assert_eq!(places, ["debian12.list:1", "sub:2", "b:3"]);
}

#[test]
fn every_problem_is_told_with_its_place() {
    let files = Files::of(&[
        (
            "a",
            "Chrony\n#INCLUDE:b#\n#INCLUDE:none#\n#INCLUDE:$HOME/x#\n#INCLUDE:broken#\n#INCLUDEBAD:x#\n",
        ),
        ("b", "ok1\na b\n#INCLUDE:c#\n"),
        ("c", "\n\n#INCLUDE:b#\n-@core\n"),
    ]);
    let problems = files.parse(&["a"], Family::Debian, Role::Tree).unwrap_err();
    assert_eq!(
        problems,
        [
            "a:1: 'Chrony' is no Debian package: small letters, digits, '+', '-' and '.' make a name, two at least",
            "b:2: 'a b' is more than one name: write one a line",
            "c:3: files include each other: b -> c -> b",
            "c:4: '-@core' would keep a task out, which apt cannot: name the packages",
            "a:3: 'none' is included, and there is no such file, neither beside this one nor in the library",
            "a:4: '$HOME' in '$HOME/x' is no variable: there are $OSVER",
            "a:5: 'broken' is included: broken: is a directory",
            "a:6: '#INCLUDEBAD' is no directive: there are #INCLUDE:path#, #NEW_INSTALL_LIST# and \
             #ENV:NAME=value#; a comment has a blank behind its '#'",
        ]
    );
}

#[test]
fn a_bad_name_is_an_error_that_says_what_to_write() {
    use Family::{Debian, Fedora, Rh, Suse};
    use Role::{Others, Tree};
    for (text, family, role, expected) in [
        (
            "a",
            Debian,
            Tree,
            "'a' is no Debian package: small letters, digits, '+', '-' and '.' make a name, two at least",
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
            "'na;no' is no package: letters, digits and . _ + - ~ ^ make a name",
        ),
        (
            "nano#editor",
            Rh,
            Tree,
            "'nano#editor' is no package: put a blank before the '#' of a comment behind 'nano'",
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
            "the line holds a control character: delete it",
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
            "'1 2' is no version: letters, digits and . + ~ : - make one",
        ),
        (
            "nano/a b",
            Debian,
            Tree,
            "'a b' is no release: letters, digits and . + _ - make one",
        ),
        (
            "../nano",
            Rh,
            Others,
            "'..' is no directory beneath otherpkgdir: write 'directory/name'",
        ),
        (
            "/nano",
            Rh,
            Others,
            "'' is no directory beneath otherpkgdir: write 'directory/name'",
        ),
        (
            "-nano=1",
            Debian,
            Tree,
            "'nano=1' says more than a name, and what is removed has only that: write '-nano'",
        ),
        (
            "-na*",
            Suse,
            Tree,
            "'na*' is no package: letters, digits and . _ + - ~ ^ make a name",
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
            "'@' is no group or '@^environment': letters, digits, blanks and . _ + - ( ) & : / make one",
        ),
        (
            "@^base",
            Suse,
            Tree,
            "'@^base' is no pattern: letters, digits, '.', '_', '+' and '-' make one",
        ),
        (
            "@ssh_server",
            Debian,
            Tree,
            "'@ssh_server' is no task: letters, digits and '-' make one",
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
            "#ENV# stands before no package: it is for those behind it, up to the next #NEW_INSTALL_LIST#",
        ),
        (
            "nano\n#ENV:A=1#",
            Rh,
            Others,
            "#ENV# stands behind a package: put it before the first one of its #NEW_INSTALL_LIST#",
        ),
        (
            "#ENV:A=1 A=2#\nnano",
            Rh,
            Others,
            "A is set twice: leave one",
        ),
    ] {
        let message = error(text, family, role);
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
    let problems = deep.parse(&["0"], Family::Rh, Role::Tree).unwrap_err();
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
    let problems = wide.parse(&["0"], Family::Rh, Role::Tree).unwrap_err();
    assert!(problems.iter().all(|problem| {
        problem.ends_with(": the list is made of more than 256 files: include less")
    }));

    let many = parse(&"A\n".repeat(1000), Family::Debian, Role::Tree).unwrap_err();
    assert_eq!(many.len(), 101);
    assert_eq!(
        many[100],
        "a:101: there are more problems: mend these first"
    );

    let long = Files::of(&[("a", &"#\n".repeat(3 << 20))]);
    assert_eq!(
        long.parse(&["a"], Family::Rh, Role::Tree).unwrap_err(),
        ["a: the list has more than 4194304 bytes: include less"]
    );
}

#[test]
fn a_profile_without_a_list_is_told_where_to_put_one() {
    let library = Library::new("/nonexistent");
    let distro = "rocky9.4".parse().unwrap();
    let target = Target {
        profile: "web",
        distro: &distro,
        arch: definitions::Arch::X86_64,
        installer: crate::installer::Installer::Kickstart,
    };
    let load = |role, names: &[String]| {
        PkgList::load(&library, role, names, &target, &BTreeMap::new())
            .map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        load(Role::Tree, &[]).unwrap_err(),
        [
            "no package list for the profile 'web' of rocky9.4: name one in the osimage's pkglist, or write \
             pkglists/rh/web.pkglist beneath the directory for your own files"
        ]
    );
    assert_eq!(load(Role::Others, &[]), Ok(PkgList::default()));
    assert_eq!(
        load(
            Role::Tree,
            &["a".to_owned(), "base.pkglist".to_owned(), "b".to_owned()]
        )
        .unwrap_err(),
        [
            "'a' is neither beneath /nonexistent nor built in: `genimage --list-assets` names what there is",
            "'b' is neither beneath /nonexistent nor built in: `genimage --list-assets` names what there is"
        ]
    );
    let directory = tempfile::tempdir().unwrap();
    let own = |name: &str| directory.path().join(name);
    std::fs::write(own("web-rocky9.4-x86_64"), "nginx").unwrap();
    std::fs::write(own("a"), "#INCLUDE:$PROFILE-${OSVER}-$ARCH#").unwrap();
    let name = own("a").display().to_string();
    assert_eq!(shown(&load(Role::Tree, &[name]).unwrap()), "nginx\n");
    let list = load(Role::Others, &["docker-ce.pkglist".to_owned()]).unwrap();
    assert_eq!(shown(&list), "docker-ce\ndocker-ce-cli\ncontainerd.io\n");
}
