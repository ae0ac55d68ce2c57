//! What is wrong on the management node: said before anybody is called.

use std::fs;

use crate::Case;
use crate::lab::{Lab, list};

pub(crate) const CASES: &[Case] = &[
    ("a_list_that_cannot_be_read_is_named", &[], lists),
    ("what_every_node_needs_is_missed_once", &[], needed_by_all),
];

fn lists() {
    let lab = Lab::new(&[("n1", "127.0.1.1"), ("n2", "127.0.1.2")]);
    let path = lab.path("install/autoinst/n1/postscripts.json");
    let mut crooked = list("n1");
    let program = crooked.programs["xHRM"].clone();
    crooked.programs.insert("../mine".to_owned(), program);
    for (text, expected) in [
        (
            "{".to_owned(),
            "reading install/autoinst/n1/postscripts.json: EOF while parsing an object at line 1 column 1",
        ),
        (
            serde_json::to_string(&list("n2")).unwrap(),
            "install/autoinst/n1/postscripts.json is the list of 'n2': run nodeset n1 \
             osimage=debian12.9.0-x86_64-install-dockerhost",
        ),
        (
            " ".repeat((1 << 20) + 1),
            "reading install/autoinst/n1/postscripts.json: it has more than 1048576 bytes",
        ),
        (
            serde_json::to_string(&crooked).unwrap(),
            "reading install/autoinst/n1/postscripts.json: '../mine' is not a program's name: expected \
             the name of a script in the postscripts directory, of letters, digits, '.', '_', '+' and '-'",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let outcome = lab.run(&["n1,n2", "-P", "otherpkgs"]);
        assert_eq!(outcome.code, Some(1));
        assert_eq!(
            outcome.out,
            format!(
                "n1: unprepared: {expected} (T s)\n\
                 n2: --update --results --list - -P otherpkgs\nn2: ok (T s)\n\
                 2 nodes in T s: 1 ok, 1 unprepared\nunprepared: n1\n"
            )
        );
    }
}

fn needed_by_all() {
    let lab = Lab::new(&[("n1", "127.0.1.1")]);
    let fails = |args: &[&str], code, expected: &str| {
        let outcome = lab.run(args);
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (Some(code), ""),
            "{args:?}"
        );
        assert_eq!(outcome.err, expected, "{args:?}");
    };
    fails(
        &["host01"],
        1,
        "updatenode: Could not find an object named 'host01' of type 'node'.\n",
    );
    fails(&["n1,-n1"], 1, "updatenode: the node range names no node\n");
    fails(
        &["n1", "-P", "/bin/sh"],
        1,
        "updatenode: '/bin/sh' is not a script and its arguments: expected the name of a script beneath the \
         postscripts directory, of letters, digits, '.', '_', '+' and '-'\n",
    );
    fs::remove_file(lab.path("install/postscripts/firstboot")).unwrap();
    fails(
        &["n1"],
        1,
        "updatenode: reading install/postscripts/firstboot, which runs the scripts on nodes: No such file or \
         directory (os error 2)\n",
    );
    fs::remove_file(lab.path("ssh_config")).unwrap();
    fails(
        &["n1"],
        1,
        "updatenode: opening ssh_config: No such file or directory (os error 2)\n",
    );
}
