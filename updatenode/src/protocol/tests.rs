use super::*;

fn exited(code: i32) -> Option<ExitStatus> {
    Some(ExitStatus::from_raw(code << 8))
}

/// Runs the protocol on these lines: `>` before a line of standard output, `!` before one of standard error.
fn replay<'l>(lines: &[&'l str], status: Option<ExitStatus>) -> (Vec<LineAction<'l>>, NodeStatus) {
    let mut protocol = Protocol::new(SessionMarkers::known());
    let on_line = |line: &&'l str| match line.split_at(1) {
        (">", line) => protocol.on_line(OutputStream::Out, line),
        (_, line) => protocol.on_line(OutputStream::Err, line),
    };
    let actions = lines.iter().map(on_line).collect();
    (actions, protocol.status(status))
}

const READY: &str = ">slipway: ready S";
const OK: &str =
    r#">slipway-results R: {"scripts":[{"line":"a","code":0,"seconds":0.1}],"code":0}"#;
const BAD: &str = r#">slipway-results R: {"scripts":[{"line":"a","code":9,"seconds":0.1},{"line":"b","code":0,"seconds":0}],"code":9}"#;
/// What a script prints that would like to be the results.
const FALSE: &str = r#">slipway-results: {"scripts":[],"code":0}"#;

#[test]
fn the_program_is_sent_when_it_is_asked_for_and_what_came_before_is_held() {
    use LineAction::{Done, Hold, OutputPrinter, SendList, SendProgram};
    let (actions, status) = replay(
        &[
            "!Warning: greetings",
            ">welcome",
            ">slipway: send",
            ">no end, then \u{1b}[0mslipway: send S",
            ">slipway: ready S\u{1b}[0m\u{1b}[K\u{1b}]0;n1\u{7} \r",
            ">one",
            "!two",
            READY,
            OK,
            ">bye",
        ],
        exited(0),
    );
    assert_eq!(
        actions,
        [
            Hold("Warning: greetings"),
            Hold("welcome"),
            Hold("slipway: send"),
            SendProgram,
            SendList,
            OutputPrinter("one"),
            OutputPrinter("two"),
            OutputPrinter("slipway: ready S"),
            Done(""),
            OutputPrinter("bye"),
        ]
    );
    assert_eq!(status, NodeStatus::Ok);
    let trace = ">+ exec sh -c 'slipway: ready S' slipway";
    let (actions, _) = replay(&["!slipway: ready R", trace, READY, FALSE], exited(0));
    let shown = OutputPrinter(&FALSE[1..]);
    assert_eq!(
        actions,
        [Hold("slipway: ready R"), Hold(&trace[1..]), SendList, shown],
        "what is not quite it is a line like others"
    );
}

#[test]
fn a_shell_that_sends_all_to_standard_error_is_understood() {
    let lines = [
        "!slipway: send S",
        "!slipway: ready S",
        &OK.replace('>', "!"),
    ];
    let (actions, status) = replay(&lines, exited(0));
    let done = LineAction::Done("");
    assert_eq!(
        actions,
        [LineAction::SendProgram, LineAction::SendList, done]
    );
    assert_eq!(status, NodeStatus::Ok);
}

#[test]
fn the_last_results_that_are_valid_count_whatever_comes_after() {
    let failed = NodeStatus::Failed {
        code: 9,
        reason: "a ended with 9".to_owned(),
    };
    let half = r#">slipway-results R: {"scripts":"#;
    for lines in [
        &[READY, OK, BAD][..],
        &[READY, FALSE, BAD, half, FALSE, ">bye"],
    ] {
        for status in [exited(0), exited(3), exited(255), None] {
            assert_eq!(replay(lines, status).1, failed, "{lines:?}");
        }
    }
    let joined = r#">no endslipway-results R: {"scripts":[],"code":0}"#;
    let (actions, status) = replay(&[READY, joined], exited(0));
    assert_eq!(
        (actions[1], status),
        (LineAction::Done("no end"), NodeStatus::Ok)
    );
    let (_, status) = replay(&[READY, FALSE], exited(0));
    assert_eq!(
        status,
        NodeStatus::Failed {
            code: 1,
            reason: "firstboot ended without reporting results".to_owned()
        }
    );
}

#[test]
fn a_timeout_before_the_scripts_names_what_has_not_happened() {
    for (lines, expected) in [
        (
            &[][..],
            Some("ssh reports no error, and the remote shell printed nothing"),
        ),
        (
            &[">Password expired."],
            Some(
                "connected, but the remote shell printed nothing that updatenode asked for (it printed: Password \
                     expired.)",
            ),
        ),
        (
            &[">slipway: send S"],
            Some("firstboot was sent, but the remote shell did not say that it has arrived"),
        ),
        (&[READY], None),
    ] {
        let mut protocol = Protocol::new(SessionMarkers::known());
        for line in lines {
            let _ = protocol.on_line(OutputStream::Out, &line[1..]);
        }
        assert_eq!(protocol.pending_event().as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn the_verdict_tells_a_script_that_fails_from_a_connection_that_does() {
    let failed = |code, reason: &str| NodeStatus::Failed {
        code,
        reason: reason.to_owned(),
    };
    let unreachable = |reason: &str| NodeStatus::Unreachable(reason.to_owned());
    let lost = |how: &str| NodeStatus::Lost(how.to_owned());
    for (lines, status, expected) in [
        (&[READY, BAD][..], exited(9), failed(9, "a ended with 9")),
        (
            &[READY, ">oops"],
            exited(4),
            failed(4, "firstboot ended with 4"),
        ),
        (
            &[
                READY,
                "!sh: 1: /opt/slipway/bin/firstboot: Permission denied",
            ],
            exited(126),
            failed(
                126,
                "/opt/slipway/bin/firstboot could not be executed there: is its file system mounted with noexec?",
            ),
        ),
        (
            &[READY, "!firstboot: another one is at work"],
            exited(1),
            failed(1, "another one is at work"),
        ),
        (
            &[READY, ">x", ">slipway: killed S 137 \"line\": \"mine a\","],
            exited(137),
            failed(
                137,
                "firstboot was ended by signal 9 while it ran mine a, and the scripts after it were not run",
            ),
        ),
        (
            &[READY, ">slipway: killed S 143 "],
            exited(143),
            failed(143, "firstboot was ended by signal 15"),
        ),
        (&[READY, BAD], exited(255), failed(9, "a ended with 9")),
        (&[READY, BAD], None, failed(9, "a ended with 9")),
        (&[READY, OK], exited(255), NodeStatus::Ok),
        (
            &[READY, ">x", "!Connection to n1 closed by remote host."],
            exited(255),
            lost("the connection was lost (Connection to n1 closed by remote host.)"),
        ),
        (
            &[READY, ">x"],
            exited(255),
            lost("the shell that ran firstboot was killed"),
        ),
        (
            &[READY],
            Some(ExitStatus::from_raw(11)),
            lost("the connection was lost (ssh was ended by signal 11)"),
        ),
        (
            &["!ssh: connect to host n1 port 22: Connection refused"],
            exited(255),
            unreachable("connect to host n1 port 22: Connection refused"),
        ),
        (
            &[],
            Some(ExitStatus::from_raw(9)),
            unreachable("ssh was ended by signal 9"),
        ),
        (
            &[">This account is currently not available."],
            exited(1),
            failed(
                1,
                "nothing was run: This account is currently not available.",
            ),
        ),
        (
            &[">slipway: send S", "!no space"],
            exited(1),
            failed(1, "nothing was run: no space"),
        ),
        (
            &[],
            exited(0),
            failed(
                1,
                "nothing was run: its login shell ended with 0 and printed nothing",
            ),
        ),
    ] {
        assert_eq!(replay(lines, status).1, expected, "{lines:?}");
    }
}
