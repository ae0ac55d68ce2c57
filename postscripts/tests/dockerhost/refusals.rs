//! Bad input and bad hosts: one clear sentence, exit code 1, nothing changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::Test;
use crate::host::{Host, failure, free_port, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_hostile_daemon_json_is_refused",
        a_hostile_daemon_json_is_refused,
    ),
    (
        "a_daemon_that_does_not_come_back_gets_its_files_back",
        files_are_put_back,
    ),
    ("a_port_in_use_is_named", a_port_in_use_is_named),
    (
        "what_dockerd_would_not_start_with_is_refused_before_anything_changes",
        refused_untouched,
    ),
    (
        "an_option_of_ours_on_the_command_line_is_no_obstacle",
        an_option_of_ours,
    ),
    (
        "a_host_of_systemd_is_refused_for_what_its_units_say",
        refused_units,
    ),
    (
        "what_dockerd_has_not_read_yet_and_would_not_take_is_refused_before_anything_changes",
        not_read_yet,
    ),
    (
        "a_daemon_that_does_not_come_back_with_its_old_files_is_said_to_be_down",
        stays_down,
    ),
    ("a_swarm_keeps_what_it_has_and_is_told_so", a_swarm),
    (
        "an_old_or_missing_engine_is_named",
        an_old_or_missing_engine_is_named,
    ),
    (
        "a_second_run_at_once_is_told_to_wait",
        a_second_run_at_once_waits,
    ),
    ("a_full_disk_changes_nothing", a_full_disk_changes_nothing),
    ("a_read_only_etc_changes_nothing", a_read_only_etc),
    (
        "a_configuration_that_the_engine_does_not_take_is_put_back",
        a_complaint_of_the_engine,
    ),
    ("a_user_who_is_not_root_is_told_so", not_root),
    (
        "a_malformed_argument_is_a_usage_error",
        a_malformed_argument,
    ),
];

fn a_hostile_daemon_json_is_refused() {
    let host = Host::new();
    let path = host.path("etc/docker/daemon.json");
    let merging = format!("setupdockerhost: merging into {}: ", path.display());
    let cases: [(&str, &str); 6] = [
        (
            "{\"a\": ",
            "reading it as JSON: EOF while parsing a value at line 1 column 6",
        ),
        ("[]", "reading it: no JSON object"),
        (
            "{\"tlsverify\": false}",
            "\"tlsverify\" is false there and has to be true: remove it there, or set it to that",
        ),
        (
            "{\"hosts\": \"fd://\"}",
            "\"hosts\" is \"fd://\" there: no list",
        ),
        (
            "{\"log-opts\": {\"max-size\": \"9m\"}, \"log-opts\": {\"max-file\": \"3\"}}",
            "reading it as JSON: \"log-opts\" is there twice: make one of the two at line 1 column 63",
        ),
        (
            "\u{fffd}{",
            "reading it as JSON: expected value at line 1 column 1",
        ),
    ];
    for (content, message) in cases {
        fs::write(&path, content).unwrap();
        let before = host.snapshot();
        assert_eq!(host.refuse(&[]), format!("{merging}{message}"));
        assert_eq!(host.snapshot(), before);
    }
    fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} has 1048577 bytes: more than a configuration file holds",
            path.display()
        )
    );
    fs::write(&path, b"{\"a\": \"\xff\"}").unwrap();
    refused_as(&host, "is not text");
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    refused_as(&host, "is a symbolic link: put the file itself there");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused_as(&host, "is not a regular file");
    fs::remove_dir(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    refused_as(&host, "is not a regular file");
    // What root cannot read either.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "{}").unwrap();
    let covered = Command::new("mount")
        .args(["--bind", &format!("/proc/{}/mem", std::process::id())])
        .arg(&path)
        .status();
    assert!(covered.unwrap().success());
    let message = host.refuse(&[]);
    Command::new("umount").arg(&path).status().unwrap();
    assert_eq!(
        message,
        format!(
            "setupdockerhost: reading {}: Input/output error (os error 5)",
            path.display()
        )
    );
    assert!(!host.path("etc/slipway").exists());
}

/// Refuses a `daemon.json` for what it is, by name.
fn refused_as(host: &Host, what: &str) {
    let path = host.path("etc/docker/daemon.json");
    assert_eq!(
        host.refuse(&[]),
        format!("setupdockerhost: {} {what}", path.display())
    );
}

/// The daemon starts once and then no more, whatever its configuration says.
fn files_are_put_back() {
    let host = Host::new();
    let dockerd = host.path("usr/sbin/dockerd");
    let real = fs::read_link(&dockerd).unwrap();
    fs::remove_file(&dockerd).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $* in\n--version) echo Docker version 20.10.24, build 5d6db84 ;;\n\
         */proc/self/fd/0*) exec {0} \"$@\" ;;\n*--config-file*) echo this machine is out of luck; exit 1 ;;\n*) exec {0} \"$@\" ;;\nesac\n",
        real.display()
    );
    fs::write(&dockerd, script).unwrap();
    fs::set_permissions(&dockerd, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let before = host.snapshot();
    let message = host.refuse(&[]);
    assert!(
        message.starts_with("setupdockerhost: restarting dockerd: "),
        "{message}"
    );
    assert!(
        message.contains("this machine is out of luck"),
        "the daemon's own words are missing: {message}"
    );
    assert!(
        message.ends_with("; the previous state was restored; dockerd runs"),
        "{message}"
    );
    let unchanged = |files: Vec<(std::path::PathBuf, u32, i64, i64, Vec<u8>)>| {
        files
            .into_iter()
            .map(|(path, mode, _, _, bytes)| (path, mode, bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(unchanged(host.snapshot()), unchanged(before));
    let version = host.docker(&["version"]);
    assert!(
        version.status.success(),
        "dockerd does not run: {}",
        text(&version.stderr)
    );
}

/// Runs it, which must fail with a message and change nothing; dockerd runs on.
fn untouched(host: &Host, message: &str) {
    let (before, pid) = (host.snapshot(), host.pid());
    assert_eq!(host.refuse(&[]), format!("setupdockerhost: {message}"));
    assert_eq!(
        host.refuse(&["--dry-run"]),
        format!("setupdockerhost: {message}")
    );
    assert_eq!(host.snapshot(), before);
    assert_eq!(host.pid(), pid);
    assert!(host.docker(&["version"]).status.success());
}

fn refused_untouched() {
    for (options, json, message) in [
        (
            "--tlsverify=false",
            "{}",
            "--tlsverify=false is in DOCKER_OPTS in @ROOT@/etc/default/docker and \"tlsverify\" has to be \
             true: remove it there",
        ),
        (
            "\"--label a=b \\\n  --debug\"",
            "{\"debug\": true}",
            "--debug is in DOCKER_OPTS in @ROOT@/etc/default/docker and \"debug\" there: dockerd refuses \
             to start with both; remove one of them",
        ),
        (
            "'-H unix:///@ROOT@/second.sock'",
            "{}",
            "-H unix:///@ROOT@/second.sock is in DOCKER_OPTS in @ROOT@/etc/default/docker, and dockerd \
             refuses to start with listeners there and in \"hosts\" too: remove it there, and put \
             unix:///@ROOT@/second.sock into \"hosts\"",
        ),
    ] {
        let host = Host::new();
        let inside = |text: &str| {
            text.replace(
                "@ROOT@",
                host.path("").to_str().unwrap().trim_end_matches('/'),
            )
        };
        // Changed while dockerd runs: it would end with the next restart.
        host.write(
            "etc/default/docker",
            &format!("DOCKER_OPTS={}\n", inside(options)),
        );
        host.write("etc/docker/daemon.json", json);
        let merging = inside("merging into @ROOT@/etc/docker/daemon.json: ");
        untouched(&host, &(merging + &inside(message)));
    }
}

/// What a user wrote while dockerd ran: it would end with the next restart, and its containers with it.
fn not_read_yet() {
    let host = Host::new();
    let json = host.path("etc/docker/daemon.json");
    let checking = format!(
        "setupdockerhost: having dockerd check {} as it would be: ",
        json.display()
    );
    for (options, text, reason) in [
        (
            "",
            "{\"log-levl\": \"warn\"}",
            "the following directives don't match any configuration option: log-levl",
        ),
        ("", "{\"log-level\": \"loud\"}", "loud"),
        ("", "{\"debug\": \"yes\"}", "cannot unmarshal string"),
        ("", "{\"labels\": [\"a=1\", \"a=2\"]}", "a=1"),
        (
            "--mtu=1400",
            "{\"network\": {\"mtu\": 1300}}",
            "both as a flag and in the configuration file: mtu",
        ),
        ("--no-such-option=1", "{}", "unknown flag: --no-such-option"),
    ] {
        host.write("etc/default/docker", &format!("DOCKER_OPTS='{options}'\n"));
        fs::write(&json, text).unwrap();
        let (before, pid) = (host.snapshot(), host.pid());
        for arguments in [&[][..], &["--dry-run"]] {
            let message = host.refuse(arguments);
            assert!(message.starts_with(&checking), "{message}");
            assert!(message.contains(reason), "{message}");
            assert!(!message.contains("/proc/self/fd/0"), "{message}");
        }
        assert_eq!(host.snapshot(), before);
        assert_eq!(host.pid(), pid);
    }
    assert!(host.docker(&["version"]).status.success());
    // A file for root alone, with what it takes.
    host.write("etc/default/docker", "");
    fs::write(&json, "{\"log-level\": \"warn\"}").unwrap();
    fs::set_permissions(&json, fs::Permissions::from_mode(0o600)).unwrap();
    host.setup(&[]);
}

/// The daemon that runs would not start again, whatever it is started with; one for root alone cannot be
/// asked by another user.
fn stays_down() {
    let host = Host::new();
    let dockerd = host.path("usr/sbin/dockerd");
    fs::remove_file(&dockerd).unwrap();
    let script = "#!/bin/sh\ncase $* in\n--version) echo Docker version 20.10.24, build 5d6db84 ;;\n\
                  *) echo out of luck; exit 1 ;;\nesac\n";
    fs::write(&dockerd, script).unwrap();
    fs::set_permissions(&dockerd, fs::Permissions::from_mode(0o700)).unwrap();
    let before = host.contents();
    let output = host.command(&[]).output().unwrap();
    let said = text(&output.stderr);
    assert!(
        said.contains("Permission denied (os error 13): left out"),
        "{said}"
    );
    let message = failure(output, 1);
    assert!(
        message.contains("; restoring the previous state: restarting dockerd: "),
        "{message}"
    );
    assert!(
        message.ends_with("; dockerd does not run: fix what it reported, and start it"),
        "{message}"
    );
    assert_eq!(host.contents(), before);
}

/// dockerd would refuse to find `live-restore` in both places.
fn an_option_of_ours() {
    let host = Host::prepare(None, format!("127.0.0.1:{}", free_port()));
    host.write("etc/default/docker", "DOCKER_OPTS=--live-restore\n");
    host.start();
    host.setup(&[]);
    let json = host.read("etc/docker/daemon.json");
    assert!(!json.contains("live-restore"), "{json}");
    assert_eq!(host.setup(&[]), "nothing to do\n");
    // Once the option goes, the key comes.
    host.write("etc/default/docker", "");
    host.setup(&[]);
    assert!(
        host.read("etc/docker/daemon.json")
            .contains("\"live-restore\": true")
    );
    // And the other way round.
    host.write("etc/default/docker", "DOCKER_OPTS='--live-restore=true'\n");
    host.setup(&[]);
    assert!(!host.read("etc/docker/daemon.json").contains("live-restore"));
}

fn refused_units() {
    let host = Host::new();
    let write = |path: &str, text: &str| {
        let place = host.path(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    };
    let root = host
        .path("")
        .to_str()
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    fs::create_dir_all(host.path("run/systemd/system")).unwrap();
    let unit = "lib/systemd/system/docker.service";
    let drop_in = "etc/systemd/system/docker.service.d/zz-site.conf";
    let starts = |command: &str| format!("[Service]\nExecStart=\nExecStart={command}\n");
    write(unit, "[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n");
    for (command, message) in [
        (
            "/bin/sh -c \"exec dockerd -H fd://\"",
            "docker.service starts dockerd by /bin/sh, which may add options of its own: start docker first, so \
             that they can be seen"
                .to_owned(),
        ),
        (
            "/usr/sbin/dockerd --config-file=daemon.json",
            "dockerd's --config-file=daemon.json is no absolute path: make it one, so that it is the same file \
             for everybody"
                .to_owned(),
        ),
        (
            "/usr/sbin/dockerd -H fd:// -H tcp://10.0.0.5:2375",
            format!(
                "merging into {root}/etc/docker/daemon.json: -H tcp://10.0.0.5:2375 is in ExecStart in \
                 {root}/{drop_in} and dockerd has to listen on tcp://{}: remove it, or name it with --listen",
                host.listen
            ),
        ),
        (
            "/usr/sbin/dockerd --tlsverify --config-file /etc/docker/other.json --tlskey=/k",
            format!(
                "merging into {root}/etc/docker/other.json: --tlskey=/k is in ExecStart in {root}/{drop_in} \
                 and \"tlskey\" has to be \"{root}/etc/docker/tls/key.pem\": remove it there"
            ),
        ),
    ] {
        write(drop_in, &starts(command));
        untouched(&host, &message);
    }
    write(
        drop_in,
        "[Service]\nEnvironmentFile=/etc/sysconfig/docker\n",
    );
    untouched(
        &host,
        &format!(
            "{root}/{drop_in} has docker.service read /etc/sysconfig/docker, which is not there: systemd does not \
             start it without"
        ),
    );
    write(drop_in, "[Unit]\nRequires=docker.socket\n");
    let socket = host.path("etc/systemd/system/docker.socket");
    symlink("/dev/null", &socket).unwrap();
    untouched(
        &host,
        &format!(
            "looking at what docker.service requires: docker.socket is masked by {}: run 'systemctl unmask docker.socket' \
             first",
            socket.display()
        ),
    );
    fs::remove_file(socket).unwrap();
    write(drop_in, "");
    write(
        "etc/systemd/system/docker.socket",
        "[Socket]\nListenStream=/run/docker.sock\nListenStream=2375\n",
    );
    untouched(
        &host,
        &format!(
            "ListenStream=2375 in {root}/etc/systemd/system/docker.socket has systemd hand dockerd a TCP socket \
             beside its own: remove it, run 'systemctl daemon-reload' and restart docker.socket"
        ),
    );
    fs::remove_file(host.path("etc/systemd/system/docker.socket")).unwrap();
    // Whatever its name: another unit for the same service; one for another is not ours.
    let socket = "etc/systemd/system/site.socket";
    write(
        socket,
        "[Socket]\nListenStream=127.0.0.1:2375\nService=docker.service\n",
    );
    untouched(
        &host,
        &format!(
            "ListenStream=127.0.0.1:2375 in {root}/{socket} has systemd hand dockerd a TCP socket beside its own: \
             remove it, run 'systemctl daemon-reload' and restart site.socket"
        ),
    );
    write(socket, "[Socket]\nListenStream=127.0.0.1:2375\n");
    // Carried over and said, and the drop-in has a name that makes it the last.
    write(
        drop_in,
        &starts("/usr/sbin/dockerd -H fd:// -H unix:///run/ci.sock --debug"),
    );
    let planned = host.setup(&["--dry-run"]);
    for line in [
        format!("-H unix:///run/ci.sock of ExecStart in {root}/{drop_in} goes into \"hosts\"\n"),
        format!("write {root}/etc/systemd/system/docker.service.d/zz-site.slipway.conf\n"),
    ] {
        assert!(planned.contains(&line), "{planned}");
    }
    // systemd has the port where dockerd takes all of its sockets, and not where it takes some of them.
    write(
        "lib/systemd/system/docker.socket",
        "[Socket]\nListenStream=/run/docker.sock\n",
    );
    let moves = format!(
        "systemd has {} from now on (docker.socket): a restart of dockerd refuses no connection\n",
        host.listen
    );
    let wrote = format!("write {root}/etc/systemd/system/docker.socket.d/slipway.conf\n");
    for (takes, is_there) in [("fd://", true), ("fd://docker.socket", false)] {
        write(
            drop_in,
            &starts(&format!("/usr/sbin/dockerd -H {takes} --debug")),
        );
        let planned = host.setup(&["--dry-run"]);
        for line in [&moves, &wrote] {
            assert_eq!(planned.contains(line), is_there, "{planned}");
        }
        // a port that systemd has before dockerd requires certificates would be open after a loss of power
        let config = planned.find("etc/docker/daemon.json\n").unwrap();
        let socket = planned.find("docker.socket.d/slipway.conf\n");
        assert!(socket.is_none_or(|socket| config < socket), "{planned}");
    }
    // Masked, the unit is not there.
    symlink("/dev/null", host.path("etc/systemd/system/docker.service")).unwrap();
    untouched(
        &host,
        &format!(
            "docker.service is masked by {root}/etc/systemd/system/docker.service: run 'systemctl unmask \
             docker.service' first"
        ),
    );
}

fn a_swarm() {
    let host = Host::new();
    let joined = host.docker(&[
        "swarm",
        "init",
        "--advertise-addr",
        "127.0.0.1",
        "--listen-addr",
        "127.0.0.1:0",
    ]);
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    host.setup(&[]);
    assert!(!host.read("etc/docker/daemon.json").contains("live-restore"));
    let state = host.docker(&["info", "-f", "{{.Swarm.LocalNodeState}}"]);
    assert_eq!(text(&state.stdout), "active\n");
    assert_eq!(host.setup(&[]), "nothing to do\n");
}

fn a_port_in_use_is_named() {
    let host = Host::new();
    let taken = std::net::TcpListener::bind(&host.listen).unwrap();
    let before = host.snapshot();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} is in use by another program: stop it, or give another port with \
             --listen",
            host.listen
        )
    );
    assert_eq!(host.snapshot(), before);
    drop(taken);
}

fn an_old_or_missing_engine_is_named() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    let dockerd = host.path("usr/sbin/dockerd");
    fs::remove_file(&dockerd).unwrap();
    assert_eq!(
        host.refuse(&[]),
        "setupdockerhost: no dockerd on this host: put it there with the packages of an osimage's \
         dockerhost profile (docker-ce, docker.io or moby-engine)"
    );
    fs::write(
        &dockerd,
        "#!/bin/sh\necho Docker version 19.03.15, build 99e3ed8\n",
    )
    .unwrap();
    fs::set_permissions(&dockerd, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        host.refuse(&[]),
        "setupdockerhost: dockerd is 19.03.15: 20.10 is the oldest that this works with"
    );
}

fn a_second_run_at_once_waits() {
    let host = Host::new();
    fs::create_dir_all(host.path("var/lib/slipway/setupdockerhost")).unwrap();
    let lock = fs::File::create(host.path("var/lib/slipway/setupdockerhost/lock")).unwrap();
    lock.lock().unwrap();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} is held by process {} ({}): wait for it to end, then run again",
            host.path("var/lib/slipway/setupdockerhost/lock").display(),
            std::process::id(),
            name.trim()
        )
    );
    drop(lock);
    host.setup(&[]);
}

/// Puts a file system of its own in a directory's place, with the same files.
fn mount_over(host: &Host, dir: &str, options: &str) {
    let dir = host.path(dir);
    let kept = host.path("kept");
    fs::create_dir_all(&dir).unwrap();
    fs::rename(&dir, &kept).unwrap();
    fs::create_dir(&dir).unwrap();
    let ok = |command: &mut Command| assert!(command.status().unwrap().success());
    ok(Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(&dir));
    ok(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&dir));
}

/// Fails with a reason, changes nothing, and dockerd runs on.
fn fails_as_it_was(host: &Host, reason: &str) {
    let before = host.contents();
    let pid = host.pid();
    let message = host.refuse(&[]);
    assert!(message.ends_with(reason), "{message}");
    assert_eq!(host.contents(), before);
    assert_eq!(host.pid(), pid);
    assert!(host.docker(&["version"]).status.success());
}

fn a_full_disk_changes_nothing() {
    for dir in ["etc", "var/lib/slipway"] {
        let host = Host::new();
        mount_over(&host, dir, "size=64k");
        // The filler leaves less than the files need.
        let filler = host.path(dir).join("filler");
        let mut size = 64 << 10;
        while size > 0 && fs::write(&filler, vec![0; size]).is_err() {
            size -= 1 << 10;
        }
        fails_as_it_was(&host, "No space left on device (os error 28)");
    }
}

fn a_read_only_etc() {
    let host = Host::new();
    mount_over(&host, "etc", "size=1m");
    let etc = host.path("etc");
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(&etc);
        assert!(mount.status().unwrap().success());
    };
    remount("ro");
    fails_as_it_was(&host, "Read-only file system (os error 30)");
    remount("rw");
    host.setup(&[]);
}

/// An engine that checks its configuration (23.0 and later) and finds fault with ours: before anything
/// changes, or with what only stands there then.
fn a_complaint_of_the_engine() {
    let host = Host::new();
    let dockerd = host.path("usr/sbin/dockerd");
    let real = fs::read_link(&dockerd).unwrap();
    let json = host.path("etc/docker/daemon.json");
    for (complains, doing, arguments, end) in [
        (
            "*/proc/self/fd/0\\ --validate*",
            format!("having dockerd check {} as it would be", json.display()),
            format!("--config-file {} --validate", json.display()),
            "",
        ),
        (
            "*--validate\\ --config-file*",
            "having dockerd check its configuration".to_owned(),
            format!("--validate --config-file {}", json.display()),
            "; the previous state was restored; dockerd runs",
        ),
    ] {
        fs::remove_file(&dockerd).unwrap();
        let script = format!(
            "#!/bin/sh\ncase $* in\n--version) echo Docker version 24.0.7, build 311b9ff ;;\n\
             {complains}) echo unable to configure: \"$*\"; exit 1 ;;\n*--validate*) ;;\n\
             *) exec {} \"$@\" ;;\nesac\n",
            real.display()
        );
        fs::write(&dockerd, script).unwrap();
        fs::set_permissions(&dockerd, fs::Permissions::from_mode(0o755)).unwrap();
        let (before, pid) = (host.contents(), host.pid());
        let message = host.refuse(&[]);
        let complaint = format!(
            "setupdockerhost: {doing}: {} ended with exit status: 1: unable to configure: {arguments}",
            dockerd.display(),
        );
        assert!(message.starts_with(&complaint), "{message}");
        assert!(message.ends_with(end), "{message}");
        assert_eq!(host.contents(), before);
        assert_eq!(host.pid(), pid, "dockerd was restarted for nothing");
    }
}

fn not_root() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    // The binary is copied to where anyone may run it.
    let binary = host.path("setupdockerhost");
    fs::copy(env!("CARGO_BIN_EXE_setupdockerhost"), &binary).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&binary);
    let output = command.arg("--root").arg(host.path("")).output().unwrap();
    assert_eq!(
        failure(output, 1),
        "setupdockerhost: this changes the host: run it as root"
    );
}

fn a_malformed_argument() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    for (argument, part) in [
        ("mydocker0", "expected NAME=NET/LEN@GATEWAY[:NIC]"),
        ("mydocker0=10.1.0.5/16@10.1.0.1", "10.1.0.0/16"),
        (
            "mydocker0=10.1.0.0/16@10.2.0.1",
            "the address of a host in 10.1.0.0/16",
        ),
        ("a-bridge-name-too-long=10.1.0.0/16@10.1.0.1", "15"),
    ] {
        let output = host.command(&[argument]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{argument}");
        let said = text(&output.stderr);
        assert!(said.contains(part), "{argument}: {said}");
    }
}
