//! What runs, in which order, with what around it.

use std::process::Stdio;

use definitions::ScriptOrigin;

use crate::node::{Node, entry};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "scripts_run_once_in_order_and_are_told_apart_by_their_whole_line",
        Need::Nothing,
        order,
    ),
    (
        "a_script_gets_the_lists_environment_and_nothing_else",
        Need::Nothing,
        environment,
    ),
    (
        "quotes_and_newlines_reach_a_script_as_they_are",
        Need::Nothing,
        quotes,
    ),
    (
        "what_a_script_prints_is_passed_on_logged_and_remembered",
        Need::Nothing,
        output,
    ),
    (
        "no_value_of_the_environment_is_printed_or_kept",
        Need::Nothing,
        secrets,
    ),
    (
        "a_script_runs_among_its_programs_with_nothing_to_read",
        Need::Nothing,
        surroundings,
    ),
    (
        "postscripts_that_no_installer_has_run_come_first_at_boot",
        Need::Nothing,
        diskless,
    ),
    (
        "an_installer_runs_the_postscripts_and_their_failure_is_not_forgotten",
        Need::Nothing,
        installer,
    ),
];

fn order() {
    let mut node = Node::new();
    let body = "echo \"$0 $*\" | sed 's,.*/,,' >> trace";
    node.script("first a", body);
    node.script("second", body);
    node.script("first b", body);
    node.list
        .postbootscripts
        .push(entry(ScriptOrigin::Node, "second"));
    node.install();

    let ran = node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["first a", "second ", "first b"]);
    assert_eq!(
        ran.out,
        "postbootscript start..: first a
postbootscript end....: first a exited with code 0
postbootscript start..: second
postbootscript end....: second exited with code 0
postbootscript start..: first b
postbootscript end....: first b exited with code 0
host01: booted: all scripts have succeeded
"
    );
    assert_eq!(ran.err, "");
    assert_eq!(
        node.results(),
        ["first a done 0", "second done 0", "first b done 0"]
    );

    // At the next boot there is nothing left to do.
    node.boots("2");
    let ran = node.run(&[]).expect(0);
    assert_eq!(ran.out, "nothing to do: every postbootscript has ended\n");
    assert_eq!(node.trace().len(), 3);
    node.run(&["--status"]).expect(0);
}

fn environment() {
    let mut node = Node::new();
    node.list
        .environment
        .insert("OSVER".to_owned(), "debian12".to_owned());
    node.script("show", "env > seen");
    node.install();
    let mut command = node.command(&[]);
    command.env("LEAKED", "from outside");
    assert!(command.stdout(Stdio::null()).status().unwrap().success());

    let programs = node.path("opt/slipway/postscripts");
    let seen = node.read("opt/slipway/postscripts/seen");
    let mut seen: Vec<_> = seen
        .lines()
        .filter(|line| !line.starts_with("PWD="))
        .collect();
    seen.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        seen,
        [
            "HOME=/root",
            "LANG=C.UTF-8",
            "NODE=host01",
            "NODESETSTATE=install",
            "OSVER=debian12",
            &format!("{path}:{}", programs.display()),
            "SLIPWAY_PHASE=postbootscripts",
            "UPDATENODE=0",
        ]
    );
}

fn quotes() {
    let mut node = Node::new();
    let value = "it's \"quoted\"\n$(touch owned) `touch owned` \\ ; end";
    node.list
        .environment
        .insert("VALUE".to_owned(), value.to_owned());
    node.script(
        "show 'a  b' \"it's\" $HOME ;x",
        "printf '%s' \"$VALUE\" > value; printf '%s|' \"$@\" > words",
    );
    node.install();
    node.run(&[]).expect(0);
    assert_eq!(node.read("opt/slipway/postscripts/value"), value);
    assert_eq!(
        node.read("opt/slipway/postscripts/words"),
        "a  b|it's|$HOME|;x|"
    );
    assert!(!node.path("opt/slipway/postscripts/owned").exists());
}

fn output() {
    let mut node = Node::new();
    node.script(
        "site/loud.sh x",
        "echo out; echo err >&2; printf 'no newline'; exit 4",
    );
    node.install();
    let ran = node.run(&[]).expect(4);
    assert_eq!(
        ran.out,
        "postbootscript start..: site/loud.sh x
out
err
no newline
postbootscript end....: site/loud.sh x exited with code 4
host01: failed: 1 of 1 scripts failed
"
    );
    let log = node.read("var/log/slipway/site-loud.sh.log");
    let log: Vec<_> = log
        .lines()
        .map(|line| line.trim_start_matches(|c: char| "0123456789-:TZ".contains(c)))
        .collect();
    assert_eq!(
        log,
        [
            " start: site/loud.sh x",
            "out",
            "err",
            "no newline",
            " end: exited with code 4"
        ]
    );
    let record = &node.status()["scripts"][0];
    assert_eq!(
        record["tail"],
        serde_json::json!(["out", "err", "no newline"])
    );
    assert_eq!(
        (record["printed"].as_u64(), record["dropped"].as_u64()),
        (Some(18), Some(0))
    );
    assert!(record["start"].as_str() <= record["end"].as_str());

    let shown = node.run(&["--status"]).expect(1).out;
    assert!(
        shown.starts_with("host01 (debian12-x86_64-install-dockerhost): failed, 20"),
        "{shown}"
    );
    assert!(shown.contains("  postbootscript  failed 4  "), "{shown}");
    assert!(
        shown.ends_with("  site/loud.sh x\n      out\n      err\n      no newline\n"),
        "{shown}"
    );
    let json = node.run(&["--status", "--json"]).expect(1).out;
    assert_eq!(json, node.read("var/lib/slipway/status.json"));
}

fn secrets() {
    let mut node = Node::new();
    node.list
        .environment
        .insert("TOKEN".to_owned(), "s3cret".to_owned());
    node.script("fine", "true");
    node.script("broken", "exit 1");
    node.program("unread", "#!/no/such/interpreter\n");
    node.list
        .postbootscripts
        .push(entry(ScriptOrigin::Node, "unread"));
    node.install();
    let ran = node.run(&[]).expect(126);
    let kept =
        ["fine", "broken", "unread"].map(|name| node.read(&format!("var/log/slipway/{name}.log")));
    let status = node.read("var/lib/slipway/status.json");
    let shown = node.run(&["--status"]).expect(1);
    for text in [ran.out, ran.err, kept.concat(), status, shown.out] {
        assert!(
            !text.is_empty() && !text.contains("s3cret") || text.is_empty(),
            "{text}"
        );
    }
}

fn surroundings() {
    let mut node = Node::new();
    node.program("sibling.sh", "echo from the sibling\n");
    node.script(
        "mine",
        ". ./sibling.sh; cat; ./sub/tool; pwd | sed 's,.*/opt,/opt,'",
    );
    node.program("sub/tool", "#!/bin/sh\necho from the tool\n");
    node.program("site/functions", "hello() { echo hello \"$@\"; }\n");
    node.script(
        "site/uses",
        ". ./functions; hello one; . \"$(dirname \"$0\")/functions\"; hello two; . functions; hello three",
    );
    node.install();
    let ran = node.run(&[]).expect(0);
    let uses = "start..: site/uses\nhello one\nhello two\nhello three\npostboot";
    assert!(ran.out.contains(uses), "{}", ran.out);
    let said = "from the sibling\nfrom the tool\n/opt/slipway/postscripts\n";
    assert!(
        ran.out.contains(&format!("start..: mine\n{said}postboot")),
        "{}",
        ran.out
    );
}

fn diskless() {
    let mut node = Node::new();
    node.script("later", "echo $SLIPWAY_PHASE >> trace");
    node.program("early", "#!/bin/sh\necho $SLIPWAY_PHASE >> trace\n");
    node.list
        .postscripts
        .push(entry(ScriptOrigin::Site, "early"));
    node.install();
    node.run(&[]).expect(0);
    assert_eq!(node.trace(), ["postscripts", "postbootscripts"]);
    assert_eq!(node.results(), ["early done 0", "later done 0"]);
}

fn installer() {
    let mut node = Node::new();
    node.script("later", "echo $SLIPWAY_PHASE >> trace");
    node.program(
        "early",
        "#!/bin/sh\necho $SLIPWAY_PHASE $UPDATENODE >> trace\nexit 7\n",
    );
    node.list
        .postscripts
        .push(entry(ScriptOrigin::Site, "early"));
    node.install();

    let ran = node.run(&["--phase", "installer"]).expect(7);
    assert_eq!(
        ran.out,
        "postscript start..: early\npostscript end....: early exited with code 7\n"
    );
    assert_eq!(node.status()["state"], "booting");
    // What ended is not repeated here either.
    node.run(&["--phase", "installer"]).expect(7);

    // The failure of the installer is the last one, and the only one.
    let ran = node.run(&[]).expect(7);
    assert_eq!(node.trace(), ["postscripts 0", "postbootscripts"]);
    assert!(
        ran.out.ends_with("host01: failed: 1 of 2 scripts failed\n"),
        "{}",
        ran.out
    );
    assert_eq!(node.results(), ["early failed 7", "later done 0"]);
}
