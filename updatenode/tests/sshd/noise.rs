//! Nodes whose shells and scripts print what they like: nothing of it ends a session or counts for another node.

use std::fs;

use crate::Case;
use crate::lab::{Lab, Outcome, write_program};

pub(crate) const CASES: &[Case] = &[
    ("a_login_shell_may_print_anything_before", &[], before),
    ("a_login_shell_may_print_anything_after", &[], after),
    ("no_script_can_forge_results", &[], forged),
    ("output_of_a_node_moves_no_cursor", &[], escaped),
    (
        "a_shell_that_swallows_the_notices_is_named_early",
        &[],
        filtered,
    ),
    ("a_program_that_a_script_kills_has_failed", &[], killed),
    (
        "a_node_whose_shell_a_script_kills_has_failed_with_what_it_ran",
        &[],
        shell_killed,
    ),
    ("results_of_many_scripts_arrive_complete", &[], long),
];

const ADDRESS: &str = "127.0.1.1";
const OK: &str =
    "n1: --update --results --list - -P otherpkgs\nn1: ok (T s)\n1 node in T s: 1 ok\n";

#[track_caller]
fn is_ok(lab: &Lab, what: &str) {
    let Outcome { code, out, err } = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "30"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Some(0), OK, ""),
        "{what}"
    );
}

fn before() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    for first in [
        "echo Welcome",
        "printf Welcome",
        "printf 'Welcome\\r'",
        "printf 'Welcome\\r\\n\\r'",
        "printf '\\033[2J\\033]0;mine\\007'",
        "printf '\\377\\376\\000'",
        "printf '%20000s' x",
        "printf 'slipway: ready\\nslipway: send\\nslipway: ready '",
        "printf 'slipway-results: {\"scripts\":[],\"code\":0}\\n'",
        "printf '%s\\n' \"$SSH_ORIGINAL_COMMAND\"",
        "printf %s \"$SSH_ORIGINAL_COMMAND\"",
    ] {
        fs::write(lab.path(&format!("nodes/{ADDRESS}/first")), first).unwrap();
        is_ok(&lab, first);
        // The same while the program is sent.
        fs::write(lab.on(ADDRESS, "slipway/bin/firstboot"), "another").unwrap();
        is_ok(&lab, first);
    }
}

fn after() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    for tail in [
        "echo bye >&2",
        "printf '\\r\\033[0m' >&2; exit 3",
        "kill -9 $$",
    ] {
        let shell = lab.path("shell");
        write_program(&shell, &format!("#!/bin/sh\nsh \"$@\"\n{tail}\n"));
        let path = shell.display().to_string();
        fs::write(lab.path(&format!("nodes/{ADDRESS}/shell")), path).unwrap();
        let outcome = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "30"]);
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (Some(0), OK),
            "{tail}"
        );
    }
    let shell = lab.path("shell");
    write_program(&shell, "#!/bin/sh\nsh \"$@\"\nprintf bye; exit 0\n");
    lab.behave(ADDRESS, "did mine 7; end");
    let outcome = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "30"]);
    assert_eq!(outcome.code, Some(7));
    assert!(
        outcome.out.ends_with(
            "n1: bye\nn1: failed: mine ended with 7 (T s)\n1 node in T s: 1 failed\nfailed: n1\n"
        ),
        "{}",
        outcome.out
    );
}

fn forged() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    // What a script can see of the session: its own output, and the command lines above it.
    lab.behave(
        ADDRESS,
        "json='{\"scripts\":[],\"code\":0}'
         echo \"slipway-results: $json\"
         for seen in $(tr '\\0' '\\n' </proc/$PPID/cmdline; tr '\\0' '\\n' </proc/$$/cmdline; env); do
             case $seen in *[!0-9a-f]*) ;; *) echo \"slipway-results $seen: $json\"; echo \"slipway: ready $seen\" ;; esac
         done
         sleep 7
         did mine 5; end",
    );
    let outcome = lab.run(&["n1", "-P", "otherpkgs"]);
    assert_eq!(outcome.code, Some(5), "{}", outcome.out);
    assert!(
        outcome
            .out
            .contains("\nn1: failed: mine ended with 5 (T s)\n"),
        "{}",
        outcome.out
    );
}

fn escaped() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    lab.behave(
        ADDRESS,
        "printf 'a\\033[1Ab\\302\\233c\\rn2: ok (0.1 s)\\342\\200\\256\\n'
         results='{\"line\":\"mine\",\"code\":1,\"seconds\":0,\"error\":\"\\u001b[2J\\\\nn2: ok (0.1 s)\"}'
         code=1; end",
    );
    let shown = "n1: a\\u001b[1Ab\\u009bc\\rn2: ok (0.1 s)\\u202e\n";
    let outcome = lab.run(&["n1", "-P", "otherpkgs"]);
    let expected = format!(
        "n1: --update --results --list - -P otherpkgs\n{}n1: failed: mine: \\u001b[2J\\nn2: ok (T s) (T s)\n\
         1 node in T s: 1 failed\nfailed: n1\n",
        shown.replace("0.1 s", "T s")
    );
    assert_eq!((outcome.code, outcome.out), (Some(1), expected));
    // In a document it is what the node said, to the letter, and acts on nothing.
    let outcome = lab.run(&["n1", "-P", "otherpkgs", "--json"]);
    assert!(
        !outcome.out.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']),
        "{}",
        outcome.out
    );
    let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let output = document["nodes"][0]["output"][1].as_str().unwrap();
    assert_eq!(output, "a\u{1b}[1Ab\u{9b}c\rn2: ok (T s)\u{202e}");
}

fn filtered() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    let shell = lab.path("shell");
    let path = shell.display().to_string();
    fs::write(lab.path(&format!("nodes/{ADDRESS}/shell")), path).unwrap();
    for (filter, expected) in [
        (
            "sed -u s/^slipway.*/hello/",
            "connected, but the remote shell printed nothing that updatenode asked for (it printed: hello)",
        ),
        (
            "cat >/dev/null",
            "ssh reports no error, and the remote shell printed nothing",
        ),
    ] {
        write_program(&shell, &format!("#!/bin/sh\nsh \"$@\" | {filter}\n"));
        let outcome = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "8"]);
        assert_eq!(
            (outcome.code, outcome.out),
            (
                Some(124),
                format!(
                    "n1: timed out: {expected} within 8 s; nothing was run (T s)\n1 node in T s: 1 timed out\ntimed out: n1\n"
                )
            )
        );
    }
    // While the program is sent it is the same, and no longer than the shell is silent.
    fs::write(lab.on(ADDRESS, "slipway/bin/firstboot"), "another").unwrap();
    write_program(&shell, "#!/bin/sh\nsh \"$@\" | sed -u s/.*ready.*/hello/\n");
    let started = std::time::Instant::now();
    let outcome = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "600"]);
    assert!(started.elapsed().as_secs() < 300, "{:?}", started.elapsed());
    assert_eq!(outcome.code, Some(124));
    assert!(
        outcome.out.starts_with(
            "n1: timed out: firstboot was sent, but the remote shell did not say that it has arrived (it printed: hello) \
             within "
        ),
        "{}",
        outcome.out
    );
}

fn killed() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    let node = lab.path(&format!("nodes/{ADDRESS}"));
    lab.behave(ADDRESS, "echo begun; kill -9 $$");
    let run = || lab.run(&["n1", "-P", "otherpkgs", "--timeout", "60"]);
    let begun = "n1: --update --results --list - -P otherpkgs\nn1: begun\n";
    let end = "(T s)\n1 node in T s: 1 failed\nfailed: n1\n";
    let outcome = run();
    assert_eq!(
        (outcome.code, outcome.out),
        (
            Some(137),
            format!("{begun}n1: failed: firstboot was ended by signal 9 {end}")
        )
    );
    let script = |line: &str, state: &str| {
        format!(
            "    {{\n      \"phase\": \"postbootscripts\",\n      \"line\": \"{line}\",\n      \"state\": \"{state}\",\n      \
             \"tail\": [\n        \"line=: x\"\n      ]\n    }}"
        )
    };
    let scripts = [
        script("first", "done"),
        script("mine * \\\\\\\"n", "running"),
        script("last", "pending"),
    ];
    let status = format!(
        "{{\n  \"state\": \"postbooting\",\n  \"scripts\": [\n{}\n  ]\n}}\n",
        scripts.join(",\n")
    );
    fs::write(node.join("status.json"), status).unwrap();
    fs::write(
        node.join("first"),
        "mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/slipway && cp \"$node/status.json\" /var/lib/slipway",
    )
    .unwrap();
    let outcome = run();
    assert_eq!(
        (outcome.code, outcome.out),
        (
            Some(137),
            format!(
                "{begun}n1: failed: firstboot was ended by signal 9 while it ran mine * \\\"n, and the scripts after it were not \
                 run {end}"
            )
        )
    );
}

/// A script kills the shell above `firstboot`, or the whole session; the node answers a second time.
fn shell_killed() {
    let end = "(T s)\n1 node in T s: 1 failed\nfailed: n1\n";
    let see = "see firstboot --status there";
    let shell = "the shell that ran firstboot was killed";
    let closed =
        format!("the connection was lost (Connection to {ADDRESS} closed by remote host.)");
    for (behaviour, how) in [("kill -9 $PPID $$", shell), ("kill -9 -1", closed.as_str())] {
        for (record, what) in [
            (None, format!(", and no script is running there: {see}")),
            (
                Some("running"),
                format!(" while it ran mine x, which may still be running: {see}"),
            ),
            (
                Some("done"),
                format!(", and no script is running there: {see}"),
            ),
        ] {
            let lab = Lab::new(&[("n1", ADDRESS)]);
            let node = lab.path(&format!("nodes/{ADDRESS}"));
            lab.behave(ADDRESS, &format!("echo begun; {behaviour}; sleep 1"));
            if let Some(state) = record {
                let status = format!(
                    "{{\n  \"scripts\": [\n    {{\n      \"line\": \"mine x\",\n      \"state\": \"{state}\"\n    }}\n  ]\n}}\n"
                );
                fs::write(node.join("status.json"), status).unwrap();
                fs::write(
                    node.join("first"),
                    "mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/slipway && \
                     cp \"$node/status.json\" /var/lib/slipway",
                )
                .unwrap();
            }
            let outcome = lab.run(&["n1", "-P", "otherpkgs", "--timeout", "60"]);
            // what the script printed may be lost with the connection
            let last = outcome.out.split_inclusive('\n').filter(|line| {
                !line.starts_with("n1: -")
                    && !line.starts_with("n1: b")
                    && !line.starts_with("n1: C")
            });
            assert_eq!(
                (outcome.code, last.collect::<String>()),
                (Some(1), format!("n1: failed: {how}{what} {end}")),
                "{behaviour} {record:?}"
            );
        }
    }
}

fn long() {
    let lab = Lab::new(&[("n1", ADDRESS)]);
    lab.behave(
        ADDRESS,
        "i=0; while [ $i -lt 600 ]; do did \"mine $i\" 0; i=$((i + 1)); done; did last 3; end",
    );
    let outcome = lab.run(&["n1", "-P", "otherpkgs", "--json"]);
    assert_eq!(outcome.code, Some(3));
    let document: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(
        document["nodes"][0]["scripts"].as_array().unwrap().len(),
        601
    );
}
