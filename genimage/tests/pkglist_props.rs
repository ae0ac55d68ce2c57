//! What holds of package lists whatever they say: printing and parsing are inverse, every name knows its
//! line, and no text makes the parser panic or lose the place of a problem.

use std::collections::BTreeMap;

use proptest::prelude::*;

use definitions::PackageOrigin;
use genimage::installer::DistroFamily;
use genimage::library::{Asset, AssetOrigin};
use genimage::pkglist::{ListItem, ListRules, PkgList};
use genimage::problem::{FileLine, Problem};

fn parse(text: &str, family: DistroFamily, origin: PackageOrigin) -> Result<PkgList, Vec<Problem>> {
    let variables = BTreeMap::new();
    let rules = ListRules {
        family,
        origin,
        variables: &variables,
    };
    let file = Asset {
        origin: AssetOrigin::Embedded("a"),
        text: text.to_owned(),
        note: None,
    };
    PkgList::parse(&[file], &rules, &|_, _| Ok(None))
}

/// Names that the family and the origin allow.
fn items(family: DistroFamily, origin: PackageOrigin) -> BoxedStrategy<String> {
    let name = match family {
        DistroFamily::Debian | DistroFamily::Ubuntu => "[a-z0-9][a-z0-9.+]{1,8}(:amd64)?",
        _ => "[A-Za-z0-9_][A-Za-z0-9._+~^-]{0,8}",
    };
    let directory = match origin {
        PackageOrigin::Others => "([A-Za-z0-9_][a-z0-9.-]{0,4}/){0,2}",
        PackageOrigin::Tree => "",
    };
    let version = match family {
        DistroFamily::Debian | DistroFamily::Ubuntu => "(=[0-9][0-9A-Za-z.+~:-]{0,6})?",
        _ => "",
    };
    (directory, name, version)
        .prop_map(|(directory, name, version)| format!("{directory}{name}{version}"))
        .boxed()
}

fn cases() -> impl Strategy<Value = (DistroFamily, PackageOrigin, Vec<String>)> {
    let families = prop::sample::select(DistroFamily::ALL.to_vec());
    let roles = prop::sample::select(vec![PackageOrigin::Tree, PackageOrigin::Others]);
    (families, roles).prop_flat_map(|(family, origin)| {
        let plain = items(family, PackageOrigin::Tree).prop_map(|name| {
            let end = name.find(['=', '/']).unwrap_or(name.len());
            format!("-{}", &name[..end])
        });
        let after = plain.clone().prop_map(move |name| match origin {
            PackageOrigin::Others => format!("-{name}"),
            PackageOrigin::Tree => name,
        });
        let group = match family {
            DistroFamily::Debian | DistroFamily::Ubuntu => "@[a-z]([a-z]-?){0,6}".boxed(),
            _ => "-?@[a-z]([a-z._+]-?){0,6}".boxed(),
        };
        let line = prop_oneof![
            6 => items(family, origin),
            1 => plain,
            1 => after,
            1 => group,
            1 => Just("#NEW_INSTALL_LIST#".to_owned()),
            1 => Just("# a comment".to_owned()),
            1 => Just(String::new()),
        ];
        (
            Just(family),
            Just(origin),
            prop::collection::vec(line, 0..24),
        )
    })
}

/// A list without places, which printing changes.
fn placeless(mut list: PkgList) -> PkgList {
    let nowhere = FileLine {
        file: "".into(),
        line: 0,
    };
    for list in &mut list.transactions {
        for items in [
            &mut list.install,
            &mut list.groups,
            &mut list.exclude,
            &mut list.exclude_groups,
            &mut list.remove_after,
        ] {
            items
                .iter_mut()
                .for_each(|item| item.place = nowhere.clone());
        }
    }
    list
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same((family, origin, lines) in cases()) {
        // The same name in two versions is refused; everything else that is generated is good.
        if let Ok(list) = parse(&lines.join("\n"), family, origin) {
            let again = parse(&list.to_string(), family, origin);
            prop_assert_eq!(again.map(placeless), Ok(placeless(list)));
        }
    }

    #[test]
    fn every_name_has_its_line((family, origin, lines) in cases()) {
        if let Ok(list) = parse(&lines.join("\n"), family, origin) {
            for item in list.install() {
                prop_assert_eq!(&item.to_string(), &lines[item.place.line - 1]);
            }
        }
    }

    #[test]
    fn good_names_are_taken((family, origin, name) in (
        prop::sample::select(DistroFamily::ALL.to_vec()),
        prop::sample::select(vec![PackageOrigin::Tree, PackageOrigin::Others]),
    ).prop_flat_map(|(family, origin)| (Just(family), Just(origin), items(family, origin)))) {
        let list = parse(&name, family, origin).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
        prop_assert_eq!(list.install().map(ListItem::to_string).collect::<Vec<_>>(), vec![name]);
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "(?s)((#INCLUDE:|#ENV:|#NEW_INSTALL_LIST#|--?|@|\\^|[a-z]{1,3}|.|#|=|/|\n){0,40})",
        family in prop::sample::select(DistroFamily::ALL.to_vec()),
    ) {
        let lines = text.lines().count();
        for origin in [PackageOrigin::Tree, PackageOrigin::Others] {
            if let Err(problems) = parse(&text, family, origin) {
                for problem in problems {
                    let place = problem.place.map(|place| place.line);
                    prop_assert!(place.is_some_and(|line| (1..=lines).contains(&line)));
                    prop_assert!(!problem.message.contains(char::is_control));
                }
            }
        }
    }
}
