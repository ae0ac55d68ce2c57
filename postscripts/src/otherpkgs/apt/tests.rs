use super::*;

#[test]
fn what_apt_changes_only_when_asked_to_is_named() {
    for (heading, error, expected) in [
        (
            "The following held packages will be changed:",
            "Held packages were changed and -y was used without --allow-change-held-packages.",
            "packages on hold would be changed (a, b, c): release them ('apt-mark unhold'), or take them off the list",
        ),
        (
            "The following packages will be DOWNGRADED:",
            "Packages were downgraded and -y was used without --allow-downgrades.",
            "packages would be downgraded (a, b, c): name no older version in the list, or remove them before, with a \
                 '-' in front",
        ),
        (
            "",
            "Unable to locate package x",
            "Unable to locate package x",
        ),
    ] {
        let text = format!(
            "Reading package lists...\n{heading}\n  a b\n  c\nThe following packages will be upgraded:\n  a\nE: {error}\n"
        );
        assert_eq!(errors(&text), expected);
    }
}

#[test]
fn an_index_that_was_not_read_is_no_success() {
    let text = "Get:1 http://a/deb stable InRelease [3 kB]
Err:1 http://a/deb stable InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 1
Err:2 http://b/deb stable InRelease
  Could not connect to b:80 (10.1.0.2). - connect (111: Connection refused)
Reading package lists...
";
    let output = CommandOutput {
        code: Some(0),
        text: text.to_owned(),
    };
    let source = |uri: &str, trusted| PackageSource {
        uri: uri.to_owned(),
        trusted,
        ..PackageSource::default()
    };
    let b =
        "http://b/deb: Could not connect to b:80 (10.1.0.2). - connect (111: Connection refused)";
    let both = format!(
        "http://a/deb: The following signatures couldn't be verified because the public key is not \
             available: NO_PUBKEY 1; {b}"
    );
    let sources = [source("http://a/deb", true), source("http://b/deb", true)];
    assert_eq!(refresh_problem(&output, &sources).as_deref(), Some(b));
    assert_eq!(
        refresh_problem(&output, &[source("http://a/deb", false)]),
        Some(both)
    );
    let fine = CommandOutput {
        code: Some(0),
        text: "Hit:1 http://a/deb stable InRelease\n".to_owned(),
    };
    assert_eq!(refresh_problem(&fine, &sources), None);
}

#[test]
fn a_simulation_is_understood() {
    let gone = vec!["docker.io".to_owned()];
    for (code, text, expected) in [
            (0, "Reading package lists...\n0 upgraded, 0 newly installed\n", Simulation::Nothing),
            (0, "Inst hello (2.10 Debian [amd64])\nConf hello (2.10)\n", Simulation::Changes),
            (0, "Remv docker.io [20.10]\nInst docker-ce (27 Docker [amd64])\n", Simulation::Changes),
            (
                0,
                "Remv docker.io [20.10]\nRemv compose [1]\nInst docker-ce (27 Docker [amd64])\n",
                Simulation::Problem(
                    "it would remove compose: if that is meant, put them into the list with a '-' in front"
                        .to_owned(),
                ),
            ),
            (
                100,
                "Reading...\nE: Unable to locate package helo\nE: Unable to locate package x\n",
                Simulation::Problem("Unable to locate package helo; Unable to locate package x".to_owned()),
            ),
            (
                100,
                "The following packages have unmet dependencies:\n a : Depends: b but it is not installable\n\
                 E: Unable to correct problems, you have held broken packages.\n",
                Simulation::Problem(
                    "a : Depends: b but it is not installable; Unable to correct problems, you have held \
                     broken packages."
                        .to_owned(),
                ),
            ),
        ] {
            let output = CommandOutput { code: Some(code), text: text.to_owned() };
            assert_eq!(parse_simulation(&output, &gone), expected, "{text}");
        }
}

#[test]
fn what_would_be_removed_too_is_named() {
    let text = "Remv compose [1]\nRemv docker.io [20.10]\n";
    let output = CommandOutput {
        code: Some(0),
        text: text.to_owned(),
    };
    let names = ["docker.io".to_owned()];
    let message =
        "it would remove compose: if that is meant, put them into the list with a '-' in front";
    assert_eq!(Apt.would_remove(&output, &names).as_deref(), Some(message));
    let names = ["docker.io".to_owned(), "compose".to_owned()];
    assert_eq!(Apt.would_remove(&output, &names), None);
}

#[test]
fn an_interrupted_run_is_known_by_states_and_by_files() {
    let half = Inventory::parse("iU \tlib\t1\tall\n");
    let whole = Inventory::default();
    let dpkg = "an interrupted run, which left files in /var/lib/dpkg/updates";
    for (packages, names, expected) in [
        (&half, &[][..], Some("lib (unpacked)")),
        (&whole, &["0007"], Some(dpkg)),
        (&whole, &["tmp.i"], None),
    ] {
        let list_directory = |_: &str| names.iter().map(|&name| name.to_owned()).collect();
        let left = Apt.unfinished_run(packages, &list_directory);
        assert_eq!(left.as_deref(), expected, "{names:?}");
    }
}

#[test]
fn a_repository_is_known_again_in_every_form() {
    let source = PackageSource {
        uri: "https://h/debian".to_owned(),
        suite: Some("bookworm".to_owned()),
        ..PackageSource::default()
    };
    for (text, expected) in [
        (
            "deb [signed-by=/k] https://h/debian bookworm stable\n",
            true,
        ),
        ("deb https://h/debian/ bookworm stable\n", true),
        ("# deb https://h/debian bookworm stable\n", false),
        ("deb https://h/debian trixie stable\n", false),
        ("deb https://h/debian2 bookworm stable\n", false),
        (
            "Types: deb\nURIs: https://h/debian\nSuites: trixie bookworm\nSigned-By:\n -----\n",
            true,
        ),
        (
            "Types: deb\nURIs: https://h/debian\nSuites: trixie\n\nTypes: deb\nURIs: https://x\nSuites: bookworm\n",
            false,
        ),
    ] {
        assert_eq!(Apt.names_source(text, &source), expected, "{text}");
    }
    let flat = PackageSource {
        suite: None,
        ..source.clone()
    };
    assert!(Apt.names_source("deb https://h/debian ./\n", &flat));
}
