//! What `lsdef` shows, and in which form.

use super::*;

fn site() -> Site {
    let site = Site::new();
    site.ok("mkdef 'n[1-3]' groups=compute,all ip=10.0.0.1 mgt=ipmi");
    site.ok("mkdef -t group compute os=debian12 arch=amd64");
    site.ok("chdef n2 os=rocky9.4 mac=52:54:00:00:00:01");
    site.ok("mkdef -t osimage a profile=compute");
    site
}

#[test]
fn every_form_lists_as_it_should() {
    let site = site();
    for (line, expected) in [
        ("lsdef", "n1  (node)\nn2  (node)\nn3  (node)\n"),
        ("lsdef compute,-n2 -s", "n1  (node)\nn3  (node)\n"),
        (
            "lsdef -t node -o n1 -i os,mac",
            "Object name: n1\n    mac=\n    os=debian12\n",
        ),
        ("lsdef n1-n2 -i os -c", "n1: os=debian12\nn2: os=rocky9.4\n"),
        ("lsdef -w os==rocky9.4", "n2  (node)\n"),
        (
            "lsdef -w os=~^deb -w groups=~compute -s",
            "n1  (node)\nn3  (node)\n",
        ),
        (
            "lsdef -w mac!= -i arch",
            "Object name: n2\n    arch=x86_64\n",
        ),
        (
            "lsdef os!~deb",
            "Object name: n2\n    arch=x86_64\n    groups=compute,all\n    ip=10.0.0.1\n    mac=52:54:00:00:00:01\n    mgt=ipmi\n    os=rocky9.4\n",
        ),
        ("lsdef -t group", "all  (group)\ncompute  (group)\n"),
        (
            "lsdef -t group compute",
            "Object name: compute\n    arch=x86_64\n    members=n1,n2,n3\n    os=debian12\n",
        ),
        (
            "lsdef -t group -w members=~n2 -s",
            "all  (group)\ncompute  (group)\n",
        ),
        ("lsdef -t site -l", "Object name: clustersite\n"),
        (
            "lsdef -t osimage,group -l -i profile,arch",
            "Object name: a  (osimage)\n    arch=\n    profile=compute\nObject name: all  (group)\n    arch=\n    profile=\nObject name: compute  (group)\n    arch=x86_64\n    profile=\n",
        ),
        (
            "lsdef -a",
            "all  (group)\ncompute  (group)\nn1  (node)\nn2  (node)\nn3  (node)\na  (osimage)\n",
        ),
        (
            "lsdef -z n1 -i groups,os",
            "# <xCAT data object stanza file>\n\nn1:\n    objtype=node\n    groups=compute,all\n",
        ),
    ] {
        assert_eq!(site.ok(line), expected, "{line}");
    }
}

#[test]
fn json_has_lists_as_arrays_and_leaves_out_what_is_not_set() {
    let site = site();
    assert_eq!(
        site.ok("lsdef n1 -i groups,os,mac --json"),
        r#"[
  {
    "type": "node",
    "name": "n1",
    "attributes": {
      "groups": [
        "compute",
        "all"
      ],
      "os": "debian12"
    }
  }
]
"#
    );
    assert_eq!(site.ok("lsdef -t network --json"), "[]\n");
}

#[test]
fn nothing_to_show_is_said_and_no_failure() {
    let expected = Outcome {
        code: 0,
        out: String::new(),
        err: "Could not find any object definitions to display.\n".to_owned(),
    };
    assert_eq!(Site::new().run("lsdef -t osimage"), expected);
    assert_eq!(site().run("lsdef -w os==debian99"), expected);
}

#[test]
fn what_does_not_exist_is_named_with_the_nearest_that_does() {
    let site = site();
    for (line, expected) in [
        (
            "lsdef n11",
            "lsdef: Could not find an object named 'n11' of type 'node'. Did you mean 'n1'?\n",
        ),
        (
            "lsdef n1,comptue",
            "lsdef: Could not find an object named 'comptue' of type 'node'. Did you mean 'compute'?\n",
        ),
        (
            "lsdef -t osimage X",
            "lsdef: Could not find an object named 'X' of type 'osimage'.\n",
        ),
        (
            "lsdef -i grops",
            "lsdef: 'grops' is not a valid attribute name for an object type of 'node'; did you mean 'groups'?\n",
        ),
        (
            "lsdef -t osimage -w osvesr==1",
            "lsdef: 'osvesr' is not a valid attribute name for an object type of 'osimage'; did you mean 'osvers'?\n",
        ),
    ] {
        assert_eq!(site.fails(line), expected, "{line}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let site = site();
    for line in [
        "lsdef --nonsense",
        "lsdef -t nodes",
        "lsdef -l -s",
        "lsdef -c n1",
        "lsdef -w os",
    ] {
        assert_eq!(site.run(line).code, 2, "{line}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = site();
    site.ok("mkdef 'm[1-5000]' groups=all");
    let outcome = site.run("(lsdef -l; echo $? >&2) | head -1");
    assert_eq!(
        (outcome.out.as_str(), outcome.err.as_str()),
        ("Object name: m1\n", "0\n")
    );
}

#[test]
fn what_objects_can_say_is_listed() {
    let said = site().ok("lsdef -t osimage --attributes");
    assert!(
        said.contains("osimage.osvers: The release: `ubuntu24.04.3`.\n"),
        "{said}"
    );
    assert!(
        said.contains("osimage.pkglist (a list): Files that list packages of the tree.\n"),
        "{said}"
    );
}

#[test]
fn man_pages_and_completions_come_from_the_parsers() {
    let site = Site::new();
    for name in ["lsdef", "mkdef", "chdef", "rmdef"] {
        let page = site.ok(&format!("{name} --generate man"));
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        assert!(page.contains("Examples:"), "{page}");
        for shell in ["bash", "zsh", "fish", "elvish"] {
            assert!(
                site.ok(&format!("{name} --generate {shell}"))
                    .contains(name)
            );
        }
        assert!(
            site.ok(&format!("{name} --help"))
                .contains("SLIPWAY_CONFIG")
        );
    }
}

#[test]
fn what_nodes_reported_is_their_status() {
    let site = site();
    site.ok("chdef n1 status=defined");
    site.ok("chdef n3 status=defined");
    fs::create_dir(site.path().join("state")).unwrap();
    let reports = "{\"node\":\"n1\",\"state\":\"booting\",\"time\":\"2026-11-28T09:00:00Z\",\"by\":\"address\"}\n\
                   {\"node\":\"n1\",\"state\":\"booted\",\"time\":\"2026-11-28T09:05:00Z\",\"by\":\"certificate\"}\n\
                   {\"node\":\"gone\",\"state\":\"booted\",\"time\":\"2026-11-28T09:05:00Z\",\"by\":\"certificate\"}\n\
                   {\"node\":\"n2\",\"st";
    fs::write(site.path().join("state/states.jsonl"), reports).unwrap();
    for (line, expected) in [
        (
            "lsdef -i status,statustime -c",
            "n1: status=booted\nn1: statustime=2026-11-28T09:05:00Z\nn2: status=\nn2: statustime=\n\
             n3: status=defined\nn3: statustime=\n",
        ),
        ("lsdef -w status==booted", "n1  (node)\n"),
        ("lsdef status==defined -s", "n3  (node)\n"),
        ("lsdef compute@status==booted -s", "n1  (node)\n"),
        // What a node says of itself is no definition.
        (
            "lsdef -z n1 -i status",
            "# <xCAT data object stanza file>\n\nn1:\n    objtype=node\n    status=defined\n",
        ),
        (
            "lsdef --state /nowhere n1 -i status -c",
            "n1: status=defined\n",
        ),
    ] {
        assert_eq!(site.ok(line), expected, "{line}");
    }
    // What cannot be read is not left out.
    fs::remove_file(site.path().join("state/states.jsonl")).unwrap();
    fs::create_dir(site.path().join("state/states.jsonl")).unwrap();
    assert_eq!(
        site.fails("lsdef n1 -i status"),
        "lsdef: reading state/states.jsonl: Is a directory (os error 21)\n"
    );
}
