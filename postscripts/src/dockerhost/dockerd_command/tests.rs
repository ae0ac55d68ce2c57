use super::*;

const FILE: &str = "/etc/default/docker";

fn parse(command: &str, file: &str) -> DockerdCommandLine {
    let mut environment = Environment::default();
    environment.assign("SET=--debug");
    environment.read_file(Path::new(FILE), file);
    DockerdCommandLine::parse(command, Path::new("/u/docker.service"), &environment)
}

fn shown(line: &DockerdCommandLine) -> Vec<String> {
    line.flags().iter().map(ToString::to_string).collect()
}

fn without_hosts(line: &DockerdCommandLine) -> Option<String> {
    line.without(|flag| flag.name == "host")
}

#[test]
fn every_spelling_of_an_option_is_read() {
    for (command, flags) in [
        ("/usr/bin/dockerd", &[][..]),
        (
            "dockerd -H fd:// --containerd=/c",
            &["-H fd://", "--containerd=/c"],
        ),
        (
            "dockerd -Hfd:// -H=unix:///x",
            &["-H fd://", "-H unix:///x"],
        ),
        (
            "dockerd --host fd:// --host=tcp://:1",
            &["-H fd://", "-H tcp://:1"],
        ),
        (
            "dockerd -DH fd:// -l warn",
            &["--debug", "-H fd://", "--log-level=warn"],
        ),
        (
            "dockerd --live-restore fd --tls=false",
            &["--live-restore", "--tls=false"],
        ),
        (
            "dockerd --new-switch -H fd://",
            &["--new-switch=true", "-H fd://"],
        ),
        ("dockerd \"-H\" 'unix:///a b'", &["-H unix:///a b"]),
        ("-@/usr/bin/dockerd name -H fd://", &["-H fd://"]),
        ("/usr/bin/env A=1 dockerd -H fd://", &["-H fd://"]),
        ("/usr/bin/nice -n 5 /usr/bin/dockerd -D", &["--debug"]),
        ("dockerd --label a%%b", &["--label=a%b"]),
        (
            "dockerd --config-file=/etc/docker/a\\x2eb\\040c.json -H fd://",
            &["--config-file=/etc/docker/a.b c.json", "-H fd://"],
        ),
        (
            "dockerd -H unix://%t/%p.sock",
            &["-H unix:///run/docker.sock"],
        ),
    ] {
        assert_eq!(shown(&parse(command, "")), flags, "{command}");
    }
}

#[test]
fn a_variable_is_what_systemd_makes_of_it() {
    let file = "OPTS=\"-H tcp://127.0.0.1:2375 --label 'a b'\"\nADDR=10.0.0.5\n";
    for (command, flags) in [
        (
            "dockerd $OPTS",
            &["-H tcp://127.0.0.1:2375", "--label=a b"][..],
        ),
        (
            "dockerd ${OPTS}",
            &["-H  tcp://127.0.0.1:2375 --label 'a b'"],
        ),
        ("dockerd -H tcp://${ADDR}:2376", &["-H tcp://10.0.0.5:2376"]),
        ("dockerd -H tcp://$ADDR:2376", &["-H tcp://$ADDR:2376"]),
        ("dockerd --label $$ADDR", &["--label=$ADDR"]),
        (":/usr/bin/dockerd --label $ADDR", &["--label=$ADDR"]),
        ("dockerd $NONE ${NONE} $SET", &["--debug"]),
    ] {
        assert_eq!(shown(&parse(command, file)), flags, "{command}");
    }
    let line = parse("dockerd $OPTS $SET -H fd://", file);
    let origins = line.flags().iter().map(|flag| flag.origin.to_string());
    let origins: Vec<_> = origins.collect();
    assert_eq!(
        origins,
        [
            "OPTS in /etc/default/docker",
            "OPTS in /etc/default/docker",
            "SET in docker.service",
            "ExecStart in /u/docker.service",
        ]
    );
}

#[test]
fn what_is_taken_out_leaves_every_other_word_as_it_stands() {
    for (command, left) in [
        (
            "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS",
            Some("/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"),
        ),
        (
            "-/opt/dockerd --debug --host=fd:// -Hunix:///x --label \"a  b\"",
            Some("-/opt/dockerd --debug --label \"a  b\""),
        ),
        ("dockerd -DH fd:// -l warn", Some("dockerd -D -l warn")),
        ("dockerd -D", None),
        ("dockerd $OPTS", None),
        (
            "/usr/bin/env dockerd -H fd://",
            Some("/usr/bin/env dockerd"),
        ),
        ("dockerd -H ${OPTS} -D", Some("dockerd -D")),
        ("dockerd -H $OPTS -D", None),
    ] {
        let line = parse(command, "OPTS=fd://\n");
        assert_eq!(without_hosts(&line).as_deref(), left, "{command}");
    }
}

#[test]
fn what_another_program_adds_is_seen_in_what_runs() {
    let dockerd_process = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let line = parse("/opt/start-docker -H fd:// --debug", "");
    assert_eq!(line.wrapper(), Some("/opt/start-docker"));
    let handed = line
        .clone()
        .with_observed_arguments(&dockerd_process("-H fd:// --debug --icc=false"));
    assert_eq!(shown(&handed), ["-H fd://", "--debug", "--icc=false"]);
    assert_eq!(
        without_hosts(&handed).as_deref(),
        Some("/opt/start-docker --debug")
    );
    assert_eq!(
        handed.flags()[2].origin.to_string(),
        "/opt/start-docker, which starts dockerd"
    );
    let other = line.with_observed_arguments(&dockerd_process("-H unix:///x"));
    assert!(!other.flags()[0].is_removable());
    assert_eq!(without_hosts(&other), None);
    let shell = parse("/bin/sh -c \"exec dockerd -H fd://\"", "");
    assert_eq!(shell.wrapper(), Some("/bin/sh"));
    assert!(
        !shell
            .with_observed_arguments(&dockerd_process("-H fd://"))
            .flags()[0]
            .is_removable()
    );
}
