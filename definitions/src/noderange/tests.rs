use proptest::prelude::*;

use super::*;
use crate::{Nodes, Object, ObjectKind};

/// Nodes n1 … n12, n01 … n03, rack-a-n1; groups compute (n1 n2 n3), docker (n3 n4), and those whose names
/// have numbers: rack1 (n5 n6), rack2 (n7), 1738 (n9), r1b5 … r3b5 (n5 is in the last), r01u34 … r03u34
/// (n6 n7), q00.b1 … q02.b1 (n8).
fn universe() -> Nodes {
    let mut objects = Vec::new();
    let plain = (1..=12).map(|n| format!("n{n}"));
    let padded = (1..=3).map(|n| format!("n0{n}"));
    for name in plain.chain(padded).chain(["rack-a-n1".to_owned()]) {
        let mut node = Object::new(ObjectKind::Node, name.as_str()).unwrap();
        let groups = match name.as_str() {
            "n1" | "n2" => "compute",
            "n3" => "compute,docker",
            "n4" => "docker",
            "n5" => "rack1,r3b5",
            "n6" => "rack1,r01u34",
            "n7" => "rack2,r03u34",
            "n8" => "q01.b1",
            "n9" => "1738",
            _ => "",
        };
        node.set("groups", groups).unwrap();
        if name == "n1" {
            node.set("mac", "52:54:00:00:00:01").unwrap();
            node.set("ip", "fd00::1").unwrap();
        }
        objects.push(node);
    }
    let empty = ["r1b5", "r2b5", "r02u34", "q00.b1", "q02.b1"];
    objects.extend(empty.map(|name| Object::new(ObjectKind::Group, name).unwrap()));
    let mut docker = Object::new(ObjectKind::Group, "docker").unwrap();
    docker.set("os", "debian12").unwrap();
    objects.push(docker);
    Nodes::new(objects)
}

fn select(range: &str) -> Result<Vec<String>, String> {
    let range: Noderange = range.parse().map_err(|error: Error| error.to_string())?;
    range.select(&universe()).map_err(|error| error.to_string())
}

#[test]
fn every_form_names_what_the_table_says() {
    for (range, expected) in [
        ("", ""),
        ("n1", "n1"),
        ("n2,n1,n2", "n1 n2"),
        (" n1 , n2 ", "n1 n2"),
        ("compute", "n1 n2 n3"),
        ("n[1-3]", "n1 n2 n3"),
        ("n[01-03]", "n01 n02 n03"),
        ("n[1-2,4,11-12]", "n1 n11 n12 n2 n4"),
        ("n[0-0][1-3]", "n01 n02 n03"),
        ("rack-[1-1]", "!rack-1"),
        ("n1-n3", "n1 n2 n3"),
        ("n1:n3", "n1 n2 n3"),
        ("n01-n03", "n01 n02 n03"),
        ("n9-n12", "n10 n11 n12 n9"),
        ("rack-a-n1", "rack-a-n1"),
        ("n10+2", "n10 n11 n12"),
        ("n01+2", "n01 n02 n03"),
        ("/n0.", "n01 n02 n03"),
        ("/n1", "n1"),
        ("/1", ""),
        ("/n1|n2", "n1 n2"),
        ("/n(1|2),n4", "n1 n2 n4"),
        ("/(?i)N1[0-2]?", "n1 n10 n11 n12"),
        (r"/^n\d{1,1}$@docker", "n3 n4"),
        ("/[,(]", ""),
        ("compute,-n2", "n1 n3"),
        ("-n2,compute", "n1 n3"),
        ("-compute,compute", ""),
        ("compute@docker", "n3"),
        ("compute@docker@n4", ""),
        ("(compute,docker)@(n1,n4)", "n1 n4"),
        ("compute,-(n1,n2)", "n3"),
        ("(n1,-n1),n2", "n2"),
        ("os==debian12", "n3 n4"),
        ("nodetype.os==debian12,-n4", "n3"),
        ("os!=debian12@compute", "n1 n2"),
        ("groups=~docker", "n3 n4"),
        ("groups=~/dock/", "n3 n4"),
        ("groups!~.@/n1.*", "n10 n11 n12"),
        ("n1-n1", "n1"),
        ("n001-n003", "!n001"),
        ("r1b5-r3b5", "n5"),
        ("r1b5:r2b5", ""),
        ("r01u34-r03u34", "n6 n7"),
        ("q00.b1-q02.b1", "n8"),
        ("rack[1-2]", "n5 n6 n7"),
        ("rack1-rack2", "n5 n6 n7"),
        ("rack1:rack2", "n5 n6 n7"),
        ("rack1+1", "n5 n6 n7"),
        ("all,-rack1-rack2,-/n.*", "rack-a-n1"),
        ("1738", "n9"),
        ("1738,-n9", ""),
        ("xcatdefaults@rack2", "n7"),
        ("mac==5254.0000.0001", "n1"),
        ("compute@mac!=52-54-00-00-00-01", "n2 n3"),
        ("ip==FD00:0::1", "n1"),
        ("mac==none", ""),
        (",,", ""),
        ("n1,,n2", "n1 n2"),
        ("n1\n", "n1"),
        ("all@rack1", "n5 n6"),
        ("rack1@all", "n5 n6"),
        ("all,-all", ""),
        ("/^n1$", "n1"),
        ("/rack", ""),
        ("n1..n3", "!n1..n3"),
        ("n1-", "!n1-"),
        ("N1", "!N1"),
        ("ALL", "!ALL"),
        ("all[1-3]", "!all1"),
        ("compute-rack1", "!compute-rack1"),
        ("n1-n100000", "!n13"),
    ] {
        let names = select(range).unwrap_or_else(|error| {
            let missing = error.split('\'').nth(1).unwrap_or_default();
            vec![format!("!{missing}")]
        });
        assert_eq!(names.join(" "), expected, "{range}");
    }
}

#[test]
fn what_no_node_range_is_names_nothing() {
    for (range, expected) in [
        ("@all", "lacks a name beside '-' or '@'"),
        ("n1@", "lacks a name beside '-' or '@'"),
        ("n1%n2", "has '%' in 'n1%n2'"),
        ("n1;n2", "has ';' in 'n1;n2'"),
        ("n1\tn2", "which no name has"),
        ("n1\0", "which no name has"),
        ("~n1", "has '~' in '~n1'"),
        ("n\u{661}", "which no name has"),
        ("n[\u{ff11}]", "which no name has"),
        ("n[1-2", "has a '[' that nothing closes"),
        ("/(", "has a '(' that nothing closes"),
        ("n10-n1", "runs backwards"),
        ("n[2-1]", "runs backwards"),
        ("n[001-2]", "are padded differently"),
        ("n[1-2]-n[3-3]", "counts in two ways"),
        ("q00.b1-q02.b2", "counts in more than one number"),
        ("n1-n2-n3", "the ends of a span have the same words"),
        ("n1+999999999", "makes more than 100000 names"),
        ("n[1-100000000]", "makes more than 100000 names"),
        (
            "n[99999999999999999999-99999999999999999999]",
            "which are no numbers",
        ),
    ] {
        let error = select(range).unwrap_err();
        assert!(error.contains(expected), "{range}: {error}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (range, expected) in [
        (
            "hots",
            "Could not find an object named 'hots' of type 'node'.",
        ),
        (
            "n13",
            "Could not find an object named 'n13' of type 'node'. Did you mean 'n03'?",
        ),
        (
            "dokcer",
            "Could not find an object named 'dokcer' of type 'node'. Did you mean 'docker'?",
        ),
        (
            "n1-n13",
            "Could not find an object named 'n13' of type 'node'. Did you mean 'n03'?",
        ),
        (
            "compute,-n99",
            "Could not find an object named 'n99' of type 'node'. Did you mean 'n9'?",
        ),
        (
            "1-2",
            "Could not find an object named 'node1' of type 'node'.",
        ),
        (
            "n1-n1000000000",
            "the node range 'n1-n1000000000': 'n1-n1000000000' makes more than 100000 names",
        ),
        (
            "n[0-9][0-9][0-9][0-9][0-9][0-9]",
            "the node range 'n[0-9][0-9][0-9][0-9][0-9][0-9]': 'n[0-9][0-9][0-9][0-9][0-9][0-9]' makes more than 100000 names",
        ),
        (
            "n1+99999999999999999999",
            "the node range 'n1+99999999999999999999': 'n1+99999999999999999999' lacks a number after '+'",
        ),
        (
            "n1+18446744073709551615",
            "the node range 'n1+18446744073709551615': 'n1+18446744073709551615' makes more than 100000 names",
        ),
        ("n3-n1", "the node range 'n3-n1': 'n3-n1' runs backwards"),
        (
            "r03u34-r01u34",
            "the node range 'r03u34-r01u34': 'r03u34-r01u34' runs backwards",
        ),
        (
            "r01u34-r03u35",
            "the node range 'r01u34-r03u35': 'r01u34-r03u35' counts in more than one number: write each in brackets, such as rack[01-03]unit[34-36]",
        ),
        (
            "n1-n99999999999999999999",
            "the node range 'n1-n99999999999999999999': 'n1-n99999999999999999999' makes more than 100000 names",
        ),
        (
            "n1-n[1-3]",
            "the node range 'n1-n[1-3]': 'n1-n[1-3]' counts in two ways: write one span",
        ),
        (
            "n1-n3+2",
            "the node range 'n1-n3+2': 'n1-n3+2' counts in two ways: write one span",
        ),
        (
            "R5-r7",
            "the node range 'R5-r7': the ends of 'R5-r7' differ in case: write R5-R7 or r5-r7",
        ),
        (
            "N01.Lab-n03.lab",
            "the node range 'N01.Lab-n03.lab': the ends of 'N01.Lab-n03.lab' differ in case: write N01.Lab-N03.Lab or n01.lab-n03.lab",
        ),
        (
            "n1-m3",
            "the node range 'n1-m3': there is no node 'n1-m3', and the ends of a span have the same words: write n1-n3 or m1-m3",
        ),
        (
            "compute,-n01:node3",
            "the node range 'compute,-n01:node3': 'n01:node3' does not lead from a name to a later one",
        ),
        (
            "n1-n03",
            "the node range 'n1-n03': the ends of 'n1-n03' are padded differently: write n01-n03 or n1-n3",
        ),
        (
            "n001-n03",
            "the node range 'n001-n03': the ends of 'n001-n03' are padded differently: write n001-n003 or n1-n3",
        ),
        (
            "n01:n3",
            "the node range 'n01:n3': the ends of 'n01:n3' are padded differently: write n01:n03 or n1:n3",
        ),
        (
            "n[1-2,5-007]",
            "the node range 'n[1-2,5-007]': the ends of '5-007' in 'n[1-2,5-007]' are padded differently: write 005-007 or 5-7",
        ),
        (
            "r01u34-r1u36",
            "the node range 'r01u34-r1u36': the ends of 'r01u34-r1u36' are padded differently: write r01u34-r01u36 or r1u34-r1u36",
        ),
        (
            "rack1-rack4",
            "Could not find an object named 'rack3' of type 'node'. Did you mean 'rack1'?",
        ),
        (
            "n[a-b]",
            "the node range 'n[a-b]': 'n[a-b]' has '[a-b]', which are no numbers",
        ),
        (
            "a:b",
            "the node range 'a:b': 'a:b' does not lead from a name to a later one",
        ),
        (
            "n[1-3",
            "the node range 'n[1-3': it has a '[' that nothing closes",
        ),
        (
            "n1)",
            "the node range 'n1)': it has a ')' that nothing opens",
        ),
        (
            "(n1",
            "the node range '(n1': it has a '(' that nothing closes",
        ),
        (
            "(n1)x",
            "the node range '(n1)x': it has text after ')' in '(n1)x'",
        ),
        (
            "n1,-",
            "the node range 'n1,-': it lacks a name beside '-' or '@'",
        ),
        (
            "n1@",
            "the node range 'n1@': it lacks a name beside '-' or '@'",
        ),
        (
            "n1/x",
            "the node range 'n1/x': it has '/' in 'n1/x', which no name has",
        ),
        (
            "/(?x",
            "the node range '/(?x': it has a '(' that nothing closes",
        ),
        (
            "/*",
            "the node range '/*': '*' is not a regular expression: uncounted repetition operator must be applied to a sub-expression",
        ),
        (
            "osx==1",
            "'osx' is not a valid attribute name for an object type of 'node'; did you mean 'os'?",
        ),
        (
            "^/nonexistent/list",
            "the node range '^/nonexistent/list': reading /nonexistent/list: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(select(range).unwrap_err(), expected, "{range}");
    }
    let deep = format!("{}n1{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(
        select(&deep).unwrap_err(),
        format!("the node range '{deep}': it nests parentheses more than 32 deep")
    );
}

#[test]
fn names_to_be_made_are_those_asked_for_and_not_taken_out() {
    for (range, nodes, unknown) in [
        ("m[1-3],-m2,m1", "", "m1 m3"),
        ("n1,m1,-n1", "", "m1"),
        ("(m1,m2),-(m2,m9)", "", "m1"),
        ("compute,m1", "n1 n2 n3", "m1"),
        ("m01u1-m03u1", "", "m01u1 m02u1 m03u1"),
        ("m08-m10", "", "m08 m09 m10"),
        ("m098-m100", "", "m098 m099 m100"),
        ("m99-m100", "", "m99 m100"),
        ("m0-m2", "", "m0 m1 m2"),
        ("dc1-rack2", "", "dc1-rack2"),
        ("rack[2-3]", "n7", "rack3"),
    ] {
        let chosen = range
            .parse::<Noderange>()
            .unwrap()
            .choose(&universe())
            .unwrap();
        assert_eq!(chosen.nodes.join(" "), nodes, "{range}");
        assert_eq!(chosen.unknown.join(" "), unknown, "{range}");
    }
    let chosen = |range: &str| range.parse::<Noderange>().unwrap().choose(&universe());
    assert_eq!(
        chosen("n1,rack1-rack2,compute,-docker").unwrap().groups,
        ["rack1", "rack2", "compute"]
    );
    let joint: Noderange = "m1@compute".parse().unwrap();
    assert_eq!(
        joint.choose(&universe()).unwrap_err().to_string(),
        "Could not find an object named 'm1' of type 'node'."
    );
}

#[test]
fn files_list_nodes_and_name_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    std::fs::write(&path, "\u{feff}n1, n2 # the first two\r\n\ndocker\n-n4\n").unwrap();
    assert_eq!(
        select(&format!("^{}", path.display())).unwrap(),
        ["n1", "n2", "n3"]
    );
    std::fs::write(&path, "^/etc/passwd\n").unwrap();
    let range = format!("^{}", path.display());
    assert_eq!(
        select(&range).unwrap_err(),
        format!(
            "the node range '{range}': the file '/etc/passwd' is named by a file: only the range itself may"
        )
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(range in "[n0-9a,@()\\[\\]/^=!~+:.-]{0,40}|\\PC{0,40}") {
        // A caret would read files of the machine.
        let _ = select(&range.replace('^', "/"));
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands(
        mut terms in proptest::collection::vec("n[1-9]|compute|docker", 1..6),
        excluded in "n[1-9]|compute|docker",
        at in 0..6_usize,
    ) {
        terms.insert(at.min(terms.len()), format!("-{excluded}"));
        let chosen = select(&terms.join(",")).unwrap();
        for name in select(&excluded).unwrap() {
            prop_assert!(!chosen.contains(&name));
        }
    }

    #[test]
    fn all_spellings_of_a_span_are_one(first in 1..=12_u32, more in 0..=11_u32) {
        let last = (first + more).min(12);
        let expected = select(&format!("n[{first}-{last}]")).unwrap();
        prop_assert_eq!(expected.len() as u32, last - first + 1);
        for range in [
            format!("n{first}-n{last}"),
            format!("n{first}:n{last}"),
            format!("n{first}+{}", last - first),
            (first..=last).map(|n| format!("n{n}")).collect::<Vec<_>>().join(","),
        ] {
            prop_assert_eq!(&select(&range).unwrap(), &expected);
        }
    }
}

#[test]
fn a_name_that_reads_as_a_span_of_others_is_not_guessed() {
    let nodes = |groups: &[&str]| {
        let of = |(at, groups): (usize, &&str)| {
            let mut node = Object::new(ObjectKind::Node, format!("n{}", at + 1)).unwrap();
            node.set("groups", groups).unwrap();
            node
        };
        Nodes::new(groups.iter().enumerate().map(of).collect::<Vec<_>>())
    };
    let select = |groups: &[&str], range: &str| {
        let range: Noderange = range.parse().unwrap();
        range
            .select(&nodes(groups))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        select(&["rack1", "rack2", "rack1-rack2"], "rack1-rack2"),
        Err(
            "the node range 'rack1-rack2': 'rack1-rack2' is one name and a span of others, such as 'rack1': write the \
             span with brackets, or give the one another name with chdef -o"
                .to_owned()
        )
    );
    assert!(select(&["rack1", "rack2", "rack1-rack2"], "n1,-rack1-rack2").is_err());
    for (groups, range, expected) in [
        (
            &["rack1", "rack2", "rack1-rack2"][..],
            "rack[1-2]",
            &["n1", "n2"][..],
        ),
        (&["rack1", "rack2", "rack1-rack2"], "rack1", &["n1"]),
        // no other is meant where none of the span exists
        (&["dc1-dc2", "x"], "dc1-dc2", &["n1"]),
        (&["web1-2", "web1"], "web1-2", &["n1"]),
    ] {
        assert_eq!(
            select(groups, range).unwrap(),
            expected,
            "{groups:?} {range}"
        );
    }
}
