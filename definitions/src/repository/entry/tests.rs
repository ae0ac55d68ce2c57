use proptest::prelude::*;

use super::RepositoryFormat::{Apt, Dnf, Zypper};
use super::*;

#[test]
fn a_list_is_split_at_commas_outside_of_brackets() {
    let text = ", deb [arch=amd64,arm64 trusted=yes] https://h/a noble main ,, /install/b/";
    let [first, second] = RepositoryEntry::parse_list(text, Apt)
        .unwrap()
        .try_into()
        .unwrap();
    let amd64: Arch = "amd64".parse().unwrap();
    assert_eq!(first.architectures, [amd64, "arm64".parse().unwrap()]);
    assert_eq!(first.trust, RepositoryTrust::Explicit);
    assert_eq!(
        first.location,
        RepositoryLocation::Uri("https://h/a".to_owned())
    );
    assert_eq!(
        (first.suite.as_deref(), first.components),
        (Some("noble"), vec!["main".to_owned()])
    );
    assert_eq!(
        second.location,
        RepositoryLocation::Directory("/install/b".into())
    );
    assert_eq!(second.to_string(), "/install/b");
    assert_eq!(RepositoryEntry::parse_list(" , ", Apt), Ok(Vec::new()));
    assert_eq!(
        RepositoryEntry::parse_list("/a, ftp://h", Dnf).unwrap_err(),
        "'ftp://h' has 'ftp://h', which is neither an absolute directory nor an http or https URI"
    );
}

#[test]
fn an_entry_prints_as_it_is_usually_written() {
    for (format, text) in [
        (
            Apt,
            "[name=docker arch=amd64 signed-by=/k/d.asc] https://h/ubuntu noble stable",
        ),
        (Apt, "[trusted=yes] /install/mirror noble main universe"),
        (Apt, "[signed-by=distribution] https://[fd00::1]:8080/a ./"),
        (
            Dnf,
            "[gpgkey=https://h/gpg] https://h/$releasever/$basearch/stable",
        ),
        (Zypper, "https://h/repo"),
    ] {
        let entry = RepositoryEntry::parse(text, format).unwrap();
        assert_eq!(entry.to_string(), text);
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9~+-]{0,6}"
}

fn entries() -> impl Strategy<Value = RepositoryEntry> {
    let location = prop_oneof![
        "(/[a-zA-Z0-9._ -]?[a-z0-9-]{1,6}){1,4}"
            .prop_map(|path| path.replace([' ', '.'], "x"))
            .prop_map(|path| RepositoryLocation::Directory(path.into())),
        "https?://[a-z]{1,6}(:[0-9]{2})?(/[a-z0-9%@=~]{1,5}){0,3}"
            .prop_map(RepositoryLocation::Uri),
    ];
    let trust = prop_oneof![
        "(/[a-z0-9.]{1,5}){1,3}".prop_map(|path| RepositoryTrust::Key(path.into())),
        Just(RepositoryTrust::Distribution),
        Just(RepositoryTrust::Explicit),
        Just(RepositoryTrust::Unspecified),
    ];
    let suite = prop_oneof![
        word().prop_map(|path| (format!("{path}/"), Vec::new())),
        (word(), prop::collection::vec(word(), 1..4)),
    ];
    let architectures = prop::sample::subsequence(Arch::all().collect::<Vec<_>>(), 0..3);
    let name = prop::option::of("[a-s][a-z0-9_-]{0,8}");
    let format = prop::sample::select(vec![Apt, Dnf, Zypper]);
    (format, name, location, suite, architectures, trust).prop_map(
        |(format, name, location, (suite, components), architectures, trust)| {
            let apt = format == Apt;
            RepositoryEntry {
                format,
                name,
                location,
                suite: apt.then_some(suite),
                components: if apt { components } else { Vec::new() },
                architectures: if apt { architectures } else { Vec::new() },
                trust,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_entries(entries in prop::collection::vec(entries(), 0..4)) {
        for entry in &entries {
            prop_assert_eq!(&RepositoryEntry::parse(&entry.to_string(), entry.format).unwrap(), entry);
        }
        let apt: Vec<_> = entries.into_iter().filter(|entry| entry.format == Apt).collect();
        let list: Vec<_> = apt.iter().map(RepositoryEntry::to_string).collect();
        prop_assert_eq!(RepositoryEntry::parse_list(&list.join(","), Apt).unwrap(), apt);
    }

    #[test]
    fn what_parses_prints_what_parses_to_the_same(
        text in "(deb |\\[|\\]|trusted=yes|signed-by=|gpgkey=|/k|name=a|arch=amd64|,|https://h|/r|\\./| |noble|main|[ -~]){0,12}",
        format in prop::sample::select(vec![Apt, Dnf, Zypper]),
    ) {
        if let Ok(entry) = RepositoryEntry::parse(&text, format) {
            prop_assert_eq!(RepositoryEntry::parse(&entry.to_string(), format).unwrap(), entry.clone());
            for word in entry.suite.iter().chain(&entry.components) {
                prop_assert!(word.chars().all(is_url_character));
            }
        }
    }
}
