//! What holds of recognition whatever the medium says: it never panics, never names a release without
//! having read one, and the order in which things are found does not matter. And of rules that a user
//! adds: they work without code, and a mistake is an error with file and line.

use std::fs;
use std::sync::LazyLock;

use copycds::media::VolumeIds;
use copycds::recognise::{Evidence, RecognitionRules, RequestedRelease, identify};
use proptest::prelude::*;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

const FILES: &[&str] = &[
    ".disk/info",
    "README.diskdefines",
    ".treeinfo",
    ".discinfo",
    "media.repo",
    "media.1/media",
    "media.1/products",
    "content",
    "dists/stable/Release",
    "install/.treeinfo",
];

/// Words that real files hold, so that a random text reaches past the first test.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "[general]",
        "family =",
        "version =",
        "arch =",
        "Rocky Linux",
        "Debian GNU/Linux",
        "12.9.0",
        "\"Bookworm\"",
        " - Official",
        "amd64",
        "x86_64",
        "Ubuntu",
        "24.04.1",
        "LTS",
        "\"Noble Numbat\"",
        "- Release",
        "9.3",
        "SLE-15-SP5",
        "Origin: Debian",
        "Version: 12.9",
        "Codename: bookworm",
        "1699827798.67",
        "#define DISKNUM",
        "1",
        "\n",
        "\0",
        "é",
        "/ SLES 16.0-0",
        "VERSION",
        "PRODUCT",
    ]);
    prop::collection::vec(
        prop_oneof![word.prop_map(str::to_owned), "\\PC{0,8}"],
        0..24,
    )
    .prop_map(|words| words.join(" ").replace(" \n ", "\n"))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let bytes = prop_oneof![
        words().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let files = prop::collection::btree_map(
        prop::sample::select(FILES).prop_map(str::to_owned),
        bytes,
        0..5,
    );
    let names = prop::collection::vec(
        prop_oneof![
            "\\PC{0,20}",
            prop::sample::select(vec![
                "Packages/rocky-release-9.3-1.noarch.rpm",
                "BaseOS/almalinux-release-9.3-1.x86_64.rpm",
                "pool/main/b/base-files/base-files_12.4+deb12u9_amd64.deb",
                "dists/jammy/Release",
                "install.amd/vmlinuz",
                "EFI/BOOT/BOOTX64.EFI",
            ])
            .prop_map(str::to_owned),
        ],
        0..8,
    );
    (files, names, words(), words()).prop_map(|(files, names, volume, application)| Evidence {
        ids: VolumeIds {
            volume,
            application,
            ..VolumeIds::default()
        },
        names,
        files,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_medium_makes_it_panic_and_no_text_of_it_reaches_a_terminal_raw(evidence in evidence()) {
        let text = match identify(&evidence, &RULES, &RequestedRelease::default()) {
            Ok(verdict) => {
                prop_assert!(!verdict.evidence.is_empty());
                verdict.render("medium.iso".as_ref())
            }
            Err(refusal) => refusal.to_string(),
        };
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn the_order_of_names_does_not_matter(evidence in evidence()) {
        let told = |evidence: &Evidence| {
            identify(evidence, &RULES, &RequestedRelease::default())
                .map(|verdict| (verdict.distro, verdict.arch, verdict.disc))
                .map_err(|refusal| refusal.kind())
        };
        let mut turned = evidence.clone();
        turned.names.reverse();
        prop_assert_eq!(told(&evidence), told(&turned));
    }

    #[test]
    fn a_name_that_is_given_is_the_name(evidence in evidence()) {
        let wanted = RequestedRelease { name: Some("rocky9.4".parse().unwrap()), arch: None };
        if let Ok(verdict) = identify(&evidence, &RULES, &wanted) {
            prop_assert_eq!(verdict.distro.as_str(), "rocky9.4");
        }
    }
}

#[test]
fn a_table_of_the_user_adds_a_distribution_and_changes_one() {
    let dir = tempfile::tempdir().unwrap();
    let table = r#"
        [[family]]
        name = "ourlinux"
        product = "Our Linux"
        says = ['^OUR-{version}-{arch}$']
        [[family]]
        name = "rocky"
        product = "Rocky Linux, our way"
        says = ['^Stony-{version}{end}']
        [[other]]
        name = "Their Linux"
        says = ['^THEIRS']
    "#;
    fs::write(dir.path().join("ours.toml"), table).unwrap();
    fs::write(dir.path().join("notes.txt"), "not a table").unwrap();
    let rules = RecognitionRules::load(dir.path()).unwrap();
    let told = |volume: &str| {
        let ids = VolumeIds {
            volume: volume.into(),
            ..VolumeIds::default()
        };
        identify(
            &Evidence::of_volume(ids),
            &rules,
            &RequestedRelease::default(),
        )
        .map(|verdict| format!("{} {}", verdict.distro, verdict.product))
        .map_err(|refusal| refusal.kind())
    };
    assert_eq!(
        told("OUR-3-1-riscv64"),
        Ok("ourlinux3.1 Our Linux".to_owned())
    );
    assert_eq!(
        told("Stony-9-4-x86_64"),
        Ok("rocky9.4 Rocky Linux, our way".to_owned())
    );
    assert_eq!(told("Rocky-9-4-x86_64-dvd"), Err("unknown"));
    assert_eq!(
        told("AlmaLinux-9-4-x86_64-dvd"),
        Ok("alma9.4 AlmaLinux".to_owned())
    );
    assert_eq!(told("THEIRS-1"), Err("other-system"));
}

#[test]
fn no_directory_of_tables_means_only_the_embedded_ones() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RecognitionRules::load(&dir.path().join("media.d")).is_ok());
}

#[test]
fn a_pipe_among_the_tables_is_an_error_and_no_wait() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe.toml");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let message = format!("{:#}", RecognitionRules::load(dir.path()).unwrap_err());
    assert_eq!(
        message,
        format!("reading {}: it is not a regular file", pipe.display())
    );
}

#[test]
fn a_mistake_in_a_table_is_said_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    let rows = [
        (
            "[[family]]\nname = \"a\"\nproduct = \"A\"\nsays = [\n  '^fine$',\n  '^(open$',\n]\n",
            ":6: '^(open$': unclosed group",
        ),
        (
            "[[family]]\nname = \"a\"\nproduct = \"A\"\nsaid = []\n",
            ":4: unknown field `said`, expected one of `name`, `product`, `says`, `disk-info`, `release`, \
             `packages`, `also`, `names`, `codenames`, `arches`, `carries`, `words`",
        ),
        (
            "[[family]]\nname = \"a9\"\nproduct = \"A\"\n",
            ": the family 'a9' is to be named with letters and '-' only",
        ),
        ("[[family]\n", ":1: "),
    ];
    for (text, expected) in rows {
        fs::write(&path, text).unwrap();
        let message = format!("{:#}", RecognitionRules::load(dir.path()).unwrap_err());
        let found = message.strip_prefix(&path.display().to_string()).unwrap();
        assert!(found.starts_with(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
