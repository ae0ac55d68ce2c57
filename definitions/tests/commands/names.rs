//! A name that is wrong makes nothing and destroys nothing.

use super::*;

/// What is there before each line.
fn site() -> Site {
    let site = Site::new();
    site.ok("mkdef 'aa[1-2]' groups=rack1,all");
    site.ok("mkdef 'bb[1-2]' groups=rack2,all");
    site.ok("mkdef -t group spare room=3");
    site.ok("mkdef -t osimage img profile=x");
    site
}

const NODES: &str = "aa1  (node)\naa2  (node)\nbb1  (node)\nbb2  (node)\n";

#[test]
fn mkdef_says_that_a_span_of_different_words_is_one_node_unless_others_have_such_names() {
    let site = site();
    let note = |name: &str, one: &str, other: &str| {
        format!(
            "mkdef: note: '{name}' is one node: if several were meant, remove it and write {one} or {other}\n"
        )
    };
    for (line, expected) in [
        ("mkdef n1-m3 groups=all", note("n1-m3", "n1-n3", "m1-m3")),
        ("mkdef 'rack1-node[1-4]' groups=all", String::new()),
        ("mkdef rack1-node12 groups=all", String::new()),
        ("mkdef web-1 groups=all", String::new()),
        ("mkdef c1-c2 groups=all", String::new()),
        (
            "mkdef gpu1-ib0,x9 groups=all",
            note("gpu1-ib0", "gpu1-gpu0", "ib1-ib0"),
        ),
        ("mkdef gpu2-ib0 groups=all", String::new()),
    ] {
        let outcome = site.run(line);
        assert_eq!((outcome.code, outcome.err), (0, expected), "{line}");
    }
    assert_eq!(site.ok("lsdef -s n1-m3"), "n1-m3  (node)\n");
}

#[test]
fn chdef_changes_what_exists_and_names_the_nearest() {
    let site = site();
    for (line, expected) in [
        ("chdef aa3 room=1", "node'. Did you mean 'aa1'?"),
        ("chdef aa1,aa11 room=1", "node'. Did you mean 'aa1'?"),
        ("chdef 'aa[1-3]' -p groups=x", "node'. Did you mean 'aa1'?"),
        ("chdef rack3 groups=all", "node'. Did you mean 'rack1'?"),
        ("chdef rack1-rack3 room=1", "node'. Did you mean 'rack1'?"),
        (
            "chdef -t group rack3 room=1",
            "group'. Did you mean 'rack1'?",
        ),
        (
            "chdef -t group rack3 members=aa1",
            "group'. Did you mean 'rack1'?",
        ),
        (
            "chdef -t osimage imgg profile=y",
            "osimage'. Did you mean 'img'?",
        ),
        ("chdef -t network lab net=10.0.0.0", "network'."),
        (
            "printf 'aa3:\\n objtype=node\\n groups=all\\n' | chdef -z",
            "node'. Did you mean 'aa1'?",
        ),
        ("chdef /aa.,aaa1 room=1", "node'. Did you mean 'aa1'?"),
    ] {
        let said = site.fails(line);
        assert!(
            said.starts_with("chdef: Could not find an object named '")
                && said.ends_with(&format!("{expected}\n")),
            "{line}: {said}"
        );
    }
    assert_eq!(
        site.fails("chdef spare room=1"),
        "chdef: the node range 'spare' names no node\n"
    );
    assert_eq!(site.ok("lsdef"), NODES);
    assert_eq!(
        site.ok("lsdef -t group"),
        "all  (group)\nrack1  (group)\nrack2  (group)\nspare  (group)\n"
    );
    assert_eq!(site.run("lsdef -w room!=").out, "");
}

#[test]
fn groups_are_named_in_ranges_and_their_members_change() {
    let site = site();
    for (range, count) in [
        ("rack[1-2]", 4),
        ("rack1-rack2,-aa2", 3),
        ("rack1", 2),
        ("xcatdefaults", 4),
    ] {
        assert_eq!(
            site.ok(&format!("chdef '{range}' room=1")),
            format!("{count} object definitions have been created or modified.\n"),
            "{range}"
        );
    }
    assert_eq!(site.ok("lsdef"), NODES);
}

#[test]
fn only_create_makes_and_changes_and_asks_for_what_mkdef_asks() {
    let site = site();
    assert_eq!(
        site.ok("chdef --create aa[2-3] groups=all"),
        "New object definitions 'aa3' have been created.\n2 object definitions have been created or modified.\n"
    );
    assert_eq!(
        site.fails("chdef --create aa4 room=1"),
        "chdef: the attribute 'groups' must be set for the node 'aa4'\n"
    );
    assert_eq!(site.run("chdef --create aa1 -n aa9").code, 2);
    site.ok("chdef --create -t network lab net=10.0.0.0");
    site.ok("chdef -t site domain=example.org");
    site.ok("chdef -t group xcatdefaults postscripts=syslog");
}

#[test]
fn mkdef_makes_nodes_and_takes_no_group_for_them() {
    let site = site();
    for line in [
        "mkdef rack1 groups=all",
        "mkdef -f rack1 groups=other",
        "mkdef -f all,n1 groups=x",
        "mkdef spare groups=all",
    ] {
        let group = line.split(' ').find_map(|word| {
            word.split(',')
                .find(|name| ["rack1", "all", "spare"].contains(name))
        });
        assert_eq!(
            site.fails(line),
            format!(
                "mkdef: '{}' is a group, and nodes are to be made: name them; chdef changes a group's members\n",
                group.unwrap()
            )
        );
    }
    assert_eq!(
        site.ok("lsdef rack1 -i groups -c"),
        "aa1: groups=rack1,all\naa2: groups=rack1,all\n"
    );
}

#[test]
fn a_name_is_a_node_or_a_group_and_never_both() {
    let site = site();
    for (line, node, group) in [
        ("mkdef -t group aa1 room=1", "aa1", "aa1"),
        ("mkdef n9 groups=aa1,all", "aa1", "aa1"),
        ("chdef bb1 -p groups=aa2", "aa2", "aa2"),
        ("chdef -t group rack1 -n bb2", "bb2", "bb2"),
        ("chdef aa1 -n rack2", "rack2", "rack2"),
        ("chdef aa1 -n spare", "spare", "spare"),
        ("chdef aa1 -n xcatdefaults", "xcatdefaults", "xcatdefaults"),
        ("mkdef RACK1 groups=x", "RACK1", "rack1"),
        ("mkdef x1 groups=x1", "x1", "x1"),
        (
            "printf 'rack1:\\n objtype=node\\n groups=x\\n' | mkdef -z",
            "rack1",
            "rack1",
        ),
    ] {
        let said = site.fails(line);
        let (_, said) = said.split_once(": ").unwrap();
        assert_eq!(
            said,
            format!(
                "'{node}' is a node and '{group}' a group: a name is one or the other, since node ranges mean either \
                 by it; name one otherwise\n"
            ),
            "{line}"
        );
    }
    assert_eq!(site.ok("lsdef"), NODES);
}

#[test]
fn host_names_differ_in_more_than_case() {
    let site = site();
    assert_eq!(
        site.fails("mkdef AA1 groups=all"),
        "mkdef: the nodes 'AA1' and 'aa1' differ in case alone, which host names do not: name one otherwise\n"
    );
    site.ok("chdef aa1 -n AA1");
    assert_eq!(site.ok("lsdef rack1 -s"), "AA1  (node)\naa2  (node)\n");
}

#[test]
fn what_stood_before_is_not_judged_and_can_be_mended() {
    let site = Site::new();
    fs::create_dir(site.path().join("nodes")).unwrap();
    let text = "[node.rack1]\ngroups = [\"all\"]\n[node.n1]\ngroups = [\"rack1\"]\n";
    fs::write(site.path().join("nodes/nodes.toml"), text).unwrap();
    site.ok("chdef n1 room=1");
    site.ok("chdef rack1 -n login1");
    assert_eq!(site.ok("lsdef rack1 -s"), "n1  (node)\n");
}

#[test]
fn no_group_is_taken_that_no_range_can_name() {
    let site = site();
    for group in [
        "compute rack1",
        "-odd",
        "rack#1",
        "rack/1",
        "a;b",
        "häuser",
        "a@b",
        "(x)",
    ] {
        for line in [
            format!("mkdef bad 'groups=all,{group}'"),
            format!("chdef aa1 -p 'groups={group}'"),
        ] {
            let said = site.fails(&line);
            assert!(
                said.contains(&format!("'{group}' is not the name of a group: expected ")),
                "{line}: {said}"
            );
        }
        let made = site.run(&format!("mkdef -t group -o '{group}' room=1"));
        assert_ne!(made.code, 0, "{group}");
    }
    assert_eq!(site.ok("lsdef -t group -s").lines().count(), 4);
}

#[test]
fn a_regular_expression_names_and_removes_whole_names_only() {
    let site = Site::new();
    site.ok("mkdef 'n[1-12]',xn1 groups=all");
    assert_eq!(site.ok("lsdef -s /n1"), "n1  (node)\n");
    assert_eq!(
        site.ok("rmdef /n1"),
        "1 object definitions have been removed.\n"
    );
    assert_eq!(site.ok("lsdef -s '/.*1'"), "n11  (node)\nxn1  (node)\n");
}

#[test]
fn every_spelling_of_a_mac_is_stored_as_one() {
    let site = site();
    site.ok("chdef aa1 mac=52-54-00-AA-BB-01");
    site.ok("chdef aa2 'mac=5254.00aa.bb02!aa2|525400AABB03!aa2-ib'");
    assert_eq!(
        site.ok("lsdef rack1 -i mac -c"),
        "aa1: mac=52:54:00:aa:bb:01\naa2: mac=52:54:00:aa:bb:02!aa2|52:54:00:aa:bb:03!aa2-ib\n"
    );
    assert_eq!(
        site.fails("chdef aa1 mac=52:54:00:aa:bb"),
        "chdef: '52:54:00:aa:bb' is not a hardware address: expected six pairs of hexadecimal digits such as \
         52:54:00:00:00:01; several as mac!host|mac2!host2\n"
    );
}

#[test]
fn the_cost_of_making_and_removing_grows_with_the_number_of_nodes() {
    let site = Site::new();
    let took = |line: &str| {
        let begun = std::time::Instant::now();
        site.ok(line);
        begun.elapsed()
    };
    let making = took("mkdef 'n[1-20000]' groups=all,compute arch=x86_64");
    let changing = took("chdef 'n[1-20000]' room=1");
    let removing = took("rmdef 'n[2-20000]'");
    // Squared, 20,000 nodes took twelve times as long to remove as to change.
    assert!(
        making < 3 * changing && removing < 3 * changing,
        "making {making:?}, changing {changing:?}, removing {removing:?}"
    );
    assert_eq!(site.ok("lsdef"), "n1  (node)\n");
}

#[test]
fn no_name_in_a_message_acts_on_a_terminal() {
    let site = site();
    let stanza = "n1\u{1b}[2J:\n    objtype=node\n    groups=all\n";
    let outcome = site.pipe("mkdef -z", stanza);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome
            .err
            .starts_with("mkdef: 'n1\\u001b[2J' is not the name of a node: "),
        "{}",
        outcome.err
    );
    let outcome = site.pipe("mkdef -z", "n1:\n    objtype=node\n    \u{0}\u{202e}\n");
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            1,
            "mkdef: the stanza, line 3: '\\u0000\\u202e' is neither 'name:' nor 'attr=value'\n"
        )
    );
}
