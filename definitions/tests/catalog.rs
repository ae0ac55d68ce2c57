//! Definitions on disk, through the public face of the catalog.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use definitions::{Catalog, Error, Noderange, Object, ObjectKind, OsImage, ProvMethod, Site};

/// Makes a directory of definitions that holds these files.
fn catalog(files: &[(&str, &str)]) -> (tempfile::TempDir, Catalog) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let catalog = Catalog::new(directory.path());
    (directory, catalog)
}

/// The message of an error, with the directory taken out.
fn message<T>(directory: &Path, result: anyhow::Result<T>) -> String {
    let error = result.err().expect("an error");
    format!("{error:#}").replace(&format!("{}/", directory.display()), "")
}

fn dockerhost() -> OsImage {
    OsImage {
        name: "ubuntu24.04.3-x86_64-install-dockerhost".to_owned(),
        imagetype: Some("linux".to_owned()),
        osvers: Some("ubuntu24.04.3".parse().unwrap()),
        osarch: Some("amd64".parse().unwrap()),
        provmethod: Some(ProvMethod::Install),
        pkgdir: vec!["/install/ubuntu24.04.3/x86_64".to_owned()],
        ..OsImage::default()
    }
}

#[test]
fn what_is_saved_is_loaded_and_reads_well() {
    let (directory, catalog) = catalog(&[]);
    catalog.save(&dockerhost()).unwrap();
    let path = directory
        .path()
        .join("osimages/ubuntu24.04.3-x86_64-install-dockerhost.toml");
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        r#"imagetype = "linux"
osarch = "x86_64"
osvers = "ubuntu24.04.3"
pkgdir = ["/install/ubuntu24.04.3/x86_64"]
provmethod = "install"
"#
    );
    let loaded: OsImage = catalog.load(&dockerhost().name).unwrap();
    assert_eq!(loaded, dockerhost());
}

#[test]
fn a_directory_that_does_not_exist_holds_nothing() {
    let catalog = Catalog::new("/nonexistent/slipway");
    assert_eq!(catalog.objects(ObjectKind::OsImage).unwrap(), []);
    assert_eq!(
        catalog.site().unwrap().install_dir().path(),
        Path::new("/install")
    );
    let error = catalog.load::<OsImage>("rocky9").unwrap_err();
    assert!(matches!(
        error.downcast_ref::<Error>(),
        Some(Error::NotFound { .. })
    ));
    assert_eq!(
        error.to_string(),
        "Could not find an object named 'rocky9' of type 'osimage'."
    );
}

#[test]
fn edits_keep_comments_order_and_layout() {
    let before = r#"# The tree comes from the second server.
provmethod = "install" # never netboot here
pkgdir = [
    "/install/rocky9.4/x86_64", # the base
    "/srv/extra",
]
osarch = "x86_64"
template = "old"
"#;
    let after = r#"# The tree comes from the second server.
provmethod = "netboot" # never netboot here
pkgdir = [
    "/install/rocky9.4/x86_64", # the base
    "/srv/extra",
    "/srv/more",
]
osarch = "x86_64"
osvers = "rocky9.4"
"#;
    let (directory, catalog) = catalog(&[("osimages/r.toml", before)]);
    let mut image: OsImage = catalog.load("r").unwrap();
    image.provmethod = Some(ProvMethod::Netboot);
    image.pkgdir.push("/srv/more".to_owned());
    image.template = None;
    image.osvers = Some("rocky9.4".parse().unwrap());
    catalog.save(&image).unwrap();
    let written = fs::read_to_string(directory.path().join("osimages/r.toml")).unwrap();
    assert_eq!(written, after);
}

#[test]
fn saving_what_is_there_writes_nothing() {
    let (directory, catalog) = catalog(&[("osimages/r.toml", "osarch = 'amd64'\n")]);
    let image: OsImage = catalog.load("r").unwrap();
    catalog.save(&image).unwrap();
    let written = fs::read_to_string(directory.path().join("osimages/r.toml")).unwrap();
    assert_eq!(written, "osarch = 'amd64'\n");
}

#[test]
fn objects_of_one_file_come_and_go_without_touching_their_neighbours() {
    let before = "# ours\n[group.docker]\nusercomment = \"a\"\n\n[node.b] # second\nip = \"10.0.0.2\"\n\n[node.a]\nip = \"10.0.0.1\"\n";
    let (directory, catalog) = catalog(&[("nodes/rack1.toml", before)]);
    let mut edit = catalog.edit().unwrap();
    edit.remove(ObjectKind::Node, "a").unwrap();
    let mut node = Object::new(ObjectKind::Node, "c").unwrap();
    node.set("groups", "docker,all").unwrap();
    edit.put(&node).unwrap();
    edit.commit().unwrap();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(
        read("nodes/rack1.toml"),
        "# ours\n[group.docker]\nusercomment = \"a\"\n\n[node.b] # second\nip = \"10.0.0.2\"\n"
    );
    assert_eq!(
        read("nodes/nodes.toml"),
        "[node.c]\ngroups = [\"docker\", \"all\"]\n"
    );
}

#[test]
fn a_dropped_edit_changes_nothing() {
    let (directory, catalog) = catalog(&[]);
    let mut edit = catalog.edit().unwrap();
    edit.put(&Object::new(ObjectKind::Node, "a").unwrap())
        .unwrap();
    drop(edit);
    assert!(!directory.path().join("nodes").exists());
}

#[test]
fn errors_name_file_line_and_the_nearest_key() {
    for (file, text, expected) in [
        (
            "osimages/r.toml",
            "osarch = 'x86_64'\n\npkglst = []\n",
            "osimages/r.toml:3: 'pkglst' is not a valid attribute name for an object type of 'osimage'; did you mean 'pkglist'?",
        ),
        (
            "osimages/r.toml",
            "zzzzzzzz = 1",
            "osimages/r.toml:1: 'zzzzzzzz' is not a valid attribute name for an object type of 'osimage'",
        ),
        (
            "osimages/r.toml",
            "pkglist = 'a'",
            "osimages/r.toml:1: 'pkglist' is not written as its value must be: expected an array of texts in quotes, such as [\"one\", \"two\"]",
        ),
        (
            "osimages/r.toml",
            "pkglist = ['a,b']",
            "osimages/r.toml:1: 'a,b' is not one entry of a list: expected a text without a comma, which parts the entries",
        ),
        (
            "osimages/r.toml",
            "provmethod = 'instal'",
            "osimages/r.toml:1: 'instal' is not a provisioning method: expected one of install, netboot, statelite, sysclone, boottarget, dualboot",
        ),
    ] {
        let (directory, catalog) = catalog(&[(file, text)]);
        let result = catalog.objects(ObjectKind::OsImage);
        assert_eq!(message(directory.path(), result), expected);
    }
    for (text, expected) in [
        (
            "[nodes.a]\n",
            "nodes/x.toml:1: 'nodes' is neither 'node' nor 'group', which begin the name of a table here; did you mean 'node'?",
        ),
        (
            "[node.a]\ngroups = ['x', 'rack#1']\n",
            "nodes/x.toml:2: 'rack#1' is not the name of a group: expected at most 200 letters, digits, '.', '_' and '-', a letter, a digit or '_' first",
        ),
        (
            "[node]\na = 1\n",
            "nodes/x.toml:2: 'a' must be a table with the attributes of an object",
        ),
        (
            "[node.a]\n[node.'b/c']\n",
            "nodes/x.toml:2: 'b/c' is not the name of a node: expected a host name: labels of at most 63 letters, digits, '-' and '_' that neither begin nor end with '-', with a '.' between them",
        ),
    ] {
        let (directory, catalog) = catalog(&[("nodes/x.toml", text)]);
        let result = catalog.objects(ObjectKind::Node);
        assert_eq!(message(directory.path(), result), expected);
    }
}

#[test]
fn a_broken_file_names_the_line() {
    let (directory, catalog) = catalog(&[("osimages/r.toml", "osarch = 'x86_64'\nosname = [\n")]);
    let result = catalog.objects(ObjectKind::OsImage);
    assert_eq!(
        message(directory.path(), result),
        "osimages/r.toml:2: unclosed array, expected `]`"
    );
}

#[test]
fn a_node_in_two_files_is_an_error_that_names_both() {
    let (directory, catalog) = catalog(&[
        ("nodes/a.toml", "[node.n1]\n"),
        ("nodes/b.toml", "[node.n1]\n"),
    ]);
    let result = catalog.objects(ObjectKind::Node);
    assert_eq!(
        message(directory.path(), result),
        "the node 'n1' is defined twice, in nodes/a.toml and in nodes/b.toml: remove one"
    );
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let (directory, catalog) = catalog(&[]);
    let result = catalog.find::<OsImage>("../../etc/passwd");
    assert_eq!(
        message(directory.path(), result.map(drop)),
        "'../../etc/passwd' is not the name of an object: expected at most 200 letters, digits and '.' '_' '-' '+' ':', a letter or digit first"
    );
}

#[test]
fn a_symbolic_link_is_not_replaced() {
    let (directory, catalog) = catalog(&[("elsewhere.toml", "installdir = '/srv'\n")]);
    let link = directory.path().join("site.toml");
    std::os::unix::fs::symlink("elsewhere.toml", &link).unwrap();
    let mut site: Site = catalog.site().unwrap();
    site.domain = Some("example.org".to_owned());
    let result = catalog.save(&site);
    assert_eq!(
        message(directory.path(), result),
        "writing site.toml: it is a symbolic link, which would be lost; change the file that it names"
    );
    assert!(link.is_symlink());
}

/// Any objects of a kind, with texts that their attributes accept.
fn objects() -> impl Strategy<Value = Vec<Object>> {
    let text = prop_oneof![
        "\\PC{1,20}",
        "[a-z]{1,8}",
        "[0-9.]{1,9}",
        "['\"\\\\#=]{1,6}"
    ];
    let texts = proptest::collection::vec((any::<Index>(), text), 0..8);
    let object = ("[a-z_][a-zA-Z0-9_-]{0,8}x", texts);
    let kinds = vec![
        ObjectKind::Node,
        ObjectKind::Group,
        ObjectKind::Network,
        ObjectKind::OsImage,
    ];
    let objects = proptest::collection::vec(object, 1..6);
    (proptest::sample::select(kinds), objects).prop_map(|(kind, objects)| {
        let object = |(name, texts): (String, Vec<(Index, String)>)| {
            let mut object = Object::new(kind, name).unwrap();
            for (index, text) in texts {
                let attribute = &kind.attributes()[index.index(kind.attributes().len())];
                // Some attributes take no such text; they stay unset.
                let _ = object.set(attribute.name, &text);
            }
            object
        };
        objects.into_iter().map(object).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_stored_is_loaded_again_after_every_change(before in objects(), after in objects()) {
        // A name is a node's or a group's, and the catalog refuses what would be both.
        let shared = before.iter().any(|one| after.iter().any(|other| one.name() == other.name()));
        prop_assume!(!shared || before[0].kind() == after[0].kind());
        let (_directory, catalog) = catalog(&[]);
        for objects in [before, after] {
            let mut edit = catalog.edit().unwrap();
            for object in &objects {
                edit.put(object).unwrap();
            }
            edit.commit().unwrap();
            let loaded = catalog.objects(objects[0].kind()).unwrap();
            for (at, object) in objects.iter().enumerate() {
                // Of several objects of one name the last one counts.
                if !objects[at + 1..].iter().any(|later| later.name() == object.name()) {
                    prop_assert!(loaded.contains(object), "{:?} is not in {:?}", object, loaded);
                }
            }
        }
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in "[a-z.=\"'#\\[\\]\n -]{0,60}|\\PC{0,60}") {
        let (_directory, catalog) = catalog(&[("nodes/x.toml", text.as_str()), ("site.toml", text.as_str())]);
        let _ = catalog.objects(ObjectKind::Node);
        let _ = catalog.site();
    }
}

#[test]
fn what_is_no_file_is_refused_by_name_and_not_waited_for() {
    let mode = nix::sys::stat::Mode::S_IRWXU;
    for name in [
        "site.toml",
        "networks.toml",
        "nodes/rack1.toml",
        "osimages/mine.toml",
        "secrets.toml",
        "format",
    ] {
        let (directory, catalog) = catalog(&[("nodes/nodes.toml", "[node.n1]\n")]);
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let expected = format!("reading {name}: it is not a regular file");
        nix::unistd::mkfifo(&path, mode).unwrap();
        let read = || {
            let mut all = ObjectKind::ALL.into_iter();
            all.try_for_each(|kind| catalog.objects(kind).map(drop))
        };
        let said = || message::<()>(directory.path(), read());
        assert_eq!(said(), expected);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(said(), expected);
    }
}

#[test]
fn a_file_of_a_node_range_that_is_none_is_refused_and_not_waited_for() {
    let (directory, catalog) = catalog(&[("nodes/nodes.toml", "[node.n1]\n")]);
    let nodes = catalog.nodes().unwrap();
    let path = |name: &str| directory.path().join(name);
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
    fs::write(path("long"), "n1\n".repeat(400_000)).unwrap();
    fs::write(path("list"), "n1\n").unwrap();
    for (name, expected) in [
        ("pipe", "it is not a regular file"),
        ("device", "it is not a regular file"),
        ("long", "it has more than 1048576 bytes"),
    ] {
        let range: Noderange = format!("^{}", path(name).display()).parse().unwrap();
        let error = range.choose(&nodes).unwrap_err().to_string();
        assert!(error.ends_with(&format!("/{name}: {expected}")), "{error}");
    }
    let range: Noderange = format!("^{}", path("list").display()).parse().unwrap();
    assert_eq!(range.choose(&nodes).unwrap().nodes, ["n1"]);
}
