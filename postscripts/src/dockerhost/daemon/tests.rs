use super::super::dockerd_command::DockerdCommandLine;
use super::super::environment::Environment;
use super::*;

fn settings() -> DaemonSettings<'static> {
    DaemonSettings {
        local: "fd://",
        remote: "tcp://0.0.0.0:2376",
        is_activated: false,
        authorities: Path::new("/t/ca.pem"),
        certificate: Path::new("/t/cert.pem"),
        key: Path::new("/t/key.pem"),
        live_restore: true,
    }
}

fn flags(command: &str, file: &str) -> Vec<Flag> {
    let mut environment = Environment::default();
    environment.read_file(Path::new("/etc/default/docker"), file);
    let unit = Path::new("/u/docker.service");
    let line = DockerdCommandLine::parse(command, unit, &environment);
    line.flags().to_vec()
}

fn merged(text: &str) -> String {
    merge(text, &[], &settings()).unwrap().text
}

const OURS: &str = r#"{
  "hosts": [
    "fd://",
    "tcp://0.0.0.0:2376"
  ],
  "tlsverify": true,
  "tlscacert": "/t/ca.pem",
  "tlscert": "/t/cert.pem",
  "tlskey": "/t/key.pem",
  "live-restore": true
}
"#;

#[test]
fn an_absent_file_becomes_ours() {
    for empty in ["", " \n", "{}"] {
        assert_eq!(merged(empty), OURS);
    }
}

#[test]
fn a_second_merge_changes_no_byte() {
    assert_eq!(merged(OURS), OURS);
    let spaced = OURS.replace("  ", "\t");
    assert_eq!(merged(&spaced), spaced);
}

#[test]
fn a_listener_that_dockerd_ends_at_is_refused() {
    let known = "dockerd knows unix://PATH, tcp://ADDRESS:PORT and fd://";
    for (text, command, message) in [
        (
            r#"{"hosts": ["fd://", "fd://"]}"#,
            "dockerd",
            "\"hosts\" holds \"fd://\" there twice: remove one of the two".to_owned(),
        ),
        (
            r#"{"hosts": ["FD://"]}"#,
            "dockerd",
            format!("\"hosts\" holds \"FD://\" there: {known}"),
        ),
        (
            "",
            "dockerd -H npipe:////./pipe/x",
            format!("-H npipe:////./pipe/x is in ExecStart in /u/docker.service: {known}"),
        ),
    ] {
        let refused = merge(text, &flags(command, ""), &settings());
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

#[test]
fn a_plugin_comes_beside_those_of_the_user_and_goes_alone() {
    let with = |text: &str, asks| with_plugin(text, "slipway", asks).unwrap();
    let plugins = |names: Value| {
        let text = json!({ "authorization-plugins": names });
        serde_json::to_string_pretty(&text).unwrap() + "\n"
    };
    for (text, asks, expected) in [
        ("", true, Some(plugins(json!(["slipway"])))),
        ("", false, None),
        (
            r#"{"authorization-plugins":["opa"]}"#,
            true,
            Some(plugins(json!(["opa", "slipway"]))),
        ),
        (r#"{"authorization-plugins":["opa"]}"#, false, None),
        (r#"{"authorization-plugins":["slipway"]}"#, true, None),
        (
            r#"{"authorization-plugins":["slipway"]}"#,
            false,
            Some("{}\n".to_owned()),
        ),
    ] {
        assert_eq!(with(text, asks), expected, "{text} {asks}");
    }
    let error = with_plugin(r#"{"authorization-plugins":"opa"}"#, "slipway", true);
    assert_eq!(
        error.unwrap_err().to_string(),
        "\"authorization-plugins\" is \"opa\" there: no list"
    );
}

#[test]
fn where_systemd_listens_dockerd_does_not() {
    let settings = DaemonSettings {
        is_activated: true,
        ..settings()
    };
    let activated = OURS.replace(",\n    \"tcp://0.0.0.0:2376\"", "");
    for (text, command) in [
        ("", "/usr/bin/dockerd -H fd://"),
        (OURS, "/usr/bin/dockerd"),
        (activated.as_str(), "/usr/bin/dockerd"),
    ] {
        let flags = flags(command, "");
        let merged = merge(text, &flags, &settings).unwrap();
        assert_eq!((merged.text, merged.notes), (activated.clone(), Vec::new()));
    }
    let open = r#"{"hosts": ["fd://", "tcp://0.0.0.0:2376"]}"#;
    assert_eq!(
        merge(open, &[], &settings).unwrap().notes,
        ["tcp://0.0.0.0:2376 accepted every client; from now on it requires a certificate"]
    );
    let elsewhere = r#"{"hosts": ["fd://", "tcp://0.0.0.0:2375"]}"#;
    assert_eq!(
        merge(elsewhere, &[], &settings).unwrap_err().to_string(),
        "\"hosts\" holds \"tcp://0.0.0.0:2375\" there and has to hold \"tcp://0.0.0.0:2376\": remove it, or name it \
             with --listen"
    );
}

#[test]
fn another_address_replaces_the_one_that_was_ours() {
    let moved = DaemonSettings {
        remote: "tcp://10.0.0.5:2377",
        ..settings()
    };
    let merged = merge(OURS, &[], &moved).unwrap().text;
    assert_eq!(merged, OURS.replace("0.0.0.0:2376", "10.0.0.5:2377"));
    assert_eq!(listens_on(&merged), Some("10.0.0.5:2377".parse().unwrap()));
    assert_eq!(listens_on(r#"{"hosts": ["tcp://10.0.0.5:2375"]}"#), None);
}

#[test]
fn the_users_keys_and_their_order_stay() {
    let user =
        r#"{"zeta": [1, {"b": 2, "a": 1}], "log-driver": "journald", "hosts": ["unix:///x"]}"#;
    let merged = merged(user);
    let keys: Vec<_> = serde_json::from_str::<Map<String, Value>>(&merged)
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys[..3], ["zeta", "log-driver", "hosts"]);
    assert!(merged.contains("\"b\": 2,\n      \"a\": 1"));
    assert!(merged.contains("\"unix:///x\",\n    \"tcp://0.0.0.0:2376\""));
}

#[test]
fn a_conflict_shows_both_sides() {
    for (user, message) in [
        (
            r#"{"tlsverify": false}"#,
            "\"tlsverify\" is false there and has to be true: remove it there, or set it to that",
        ),
        (
            r#"{"hosts": ["tcp://0.0.0.0:2375"]}"#,
            "\"hosts\" holds \"tcp://0.0.0.0:2375\" there and has to hold \"tcp://0.0.0.0:2376\": \
                 remove it, or name it with --listen",
        ),
        (r#"{"hosts": "x"}"#, "\"hosts\" is \"x\" there: no list"),
        ("[]", "reading it: no JSON object"),
    ] {
        assert_eq!(
            merge(user, &[], &settings()).unwrap_err().to_string(),
            message
        );
    }
    let error = format!("{:#}", merge("{\"a\": ", &[], &settings()).unwrap_err());
    assert!(
        error.starts_with("reading it as JSON: EOF while parsing"),
        "{error}"
    );
}

#[test]
fn what_the_command_line_says_is_said_in_one_place() {
    let unit = "dockerd -H fd:// -H unix:///ci -H tcp://0.0.0.0:2376 --live-restore --debug";
    let given = flags(unit, "");
    let first = merge("{}", &given, &settings()).unwrap();
    let expected = OURS
        .replace("\"fd://\",", "\"fd://\",\n    \"unix:///ci\",")
        .replace(",\n  \"live-restore\": true", "");
    assert_eq!(first.text, expected);
    assert_eq!(
        first.notes,
        [
            "-H unix:///ci of ExecStart in /u/docker.service goes into \"hosts\"",
            "tcp://0.0.0.0:2376 accepted every client; from now on it requires a certificate",
        ]
    );
    let second = merge(&expected, &given, &settings()).unwrap();
    assert_eq!((second.text, second.notes), (expected, vec![]));
    // An option that came later displaces what an earlier run wrote.
    let later = merge(
        OURS,
        &flags("dockerd $O", "O=--live-restore=1\n"),
        &settings(),
    )
    .unwrap();
    assert_eq!(later.text, OURS.replace(",\n  \"live-restore\": true", ""));
    // Both places at once: both stay.
    let both = merge(
        "{\"hosts\": [\"unix:///a\"]}",
        &flags("dockerd -H unix:///b", ""),
        &settings(),
    );
    let both: Value = serde_json::from_str(&both.unwrap().text).unwrap();
    assert_eq!(
        both["hosts"],
        json!(["unix:///a", "unix:///b", "tcp://0.0.0.0:2376"])
    );
}

#[test]
fn in_swarm_mode_containers_are_not_kept_over_a_restart() {
    let swarm = DaemonSettings {
        live_restore: false,
        ..settings()
    };
    let expected = OURS.replace(",\n  \"live-restore\": true", "");
    assert_eq!(merge("{}", &[], &swarm).unwrap().text, expected);
}

#[test]
fn what_dockerd_would_refuse_to_start_with_is_named() {
    let twice = "dockerd refuses to start with both; remove one of them";
    for (json, command, file, message) in [
        (
            "{}",
            "dockerd $OPTS",
            "OPTS=-H unix:///x\n",
            "-H unix:///x is in OPTS in /etc/default/docker, and dockerd refuses to start with listeners \
                 there and in \"hosts\" too: remove it there, and put unix:///x into \"hosts\""
                .to_owned(),
        ),
        (
            "{}",
            "dockerd $OPTS",
            "OPTS=\"-H tcp://127.0.0.1:2375\"\n",
            "-H tcp://127.0.0.1:2375 is in OPTS in /etc/default/docker and dockerd has to listen on \
                 tcp://0.0.0.0:2376: remove it, or name it with --listen"
                .to_owned(),
        ),
        (
            "{}",
            "dockerd -H fd:// -H :2375",
            "",
            "-H :2375 is in ExecStart in /u/docker.service and dockerd has to listen on \
                 tcp://0.0.0.0:2376: remove it, or name it with --listen"
                .to_owned(),
        ),
        (
            "{}",
            "dockerd --tlsverify --tlscacert=/mine/ca.pem",
            "",
            "--tlscacert=/mine/ca.pem is in ExecStart in /u/docker.service and \"tlscacert\" has to be \
                 \"/t/ca.pem\": remove it there"
                .to_owned(),
        ),
        (
            "{}",
            "dockerd --live-restore=false",
            "",
            "--live-restore=false is in ExecStart in /u/docker.service and \"live-restore\" has to be \
                 true: remove it there"
                .to_owned(),
        ),
        (
            "{\"log-level\": \"warn\"}",
            "dockerd -l debug",
            "",
            format!("--log-level=debug is in ExecStart in /u/docker.service and \"log-level\" there: {twice}"),
        ),
        (
            "{\"labels\": [\"a=b\"]}",
            "dockerd $OPTS",
            "OPTS=--label c=d\n",
            format!("--label=c=d is in OPTS in /etc/default/docker and \"labels\" there: {twice}"),
        ),
        (
            "{\"insecure-registries\": []}",
            "dockerd --insecure-registry x",
            "",
            format!(
                "--insecure-registry=x is in ExecStart in /u/docker.service and \
                     \"insecure-registries\" there: {twice}"
            ),
        ),
    ] {
        let error = merge(json, &flags(command, file), &settings()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    // Runtimes are joined.
    let runtimes = merge(
        "{\"runtimes\": {}}",
        &flags("dockerd --add-runtime a=b", ""),
        &settings(),
    );
    assert!(runtimes.is_ok());
}
