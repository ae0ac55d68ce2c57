//! From a definition to a container and back, as xCAT's users type it.

use crate::Case;
use crate::lab::{HOSTS, ROUTER, eventually, lab};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    ("the_life_of_a_container_is_as_in_xcat", life),
    (
        "containers_of_all_hosts_have_their_own_addresses_and_reach_each_other",
        across_hosts,
    ),
    ("lists_say_what_no_definition_names", lists),
    ("logs_are_lines_behind_the_node", logs),
    ("what_is_not_ours_is_left_alone", not_ours),
    ("a_name_that_begins_an_id_is_nobody_else_s", named_as_an_id),
    ("dry_runs_change_nothing", dry_runs),
    ("a_container_without_a_network_is_as_in_xcat", no_network),
];

/// Definitions of a container that stays until it is told to end.
fn staying(name: &str, host: &str, ip: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"{host}\"\nip = \"{ip}\"\n\
         image = \"busybox:1\"\ncommand = \"sh -c 'trap exit TERM; sleep 100000 & wait'\"\n"
    )
}

fn life() {
    let site = Site::new(
        "[node.c1]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host01:2376\"\nip = \"10.73.1.1\"\n\
         dockercpus = \"1\"\ndockermemory = \"64\"\n",
    );
    let flags = r#"{"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"OpenStdin":true,"Tty":true}"#;
    let line = format!("mkdocker c1 image=busybox:1 command=/bin/sh 'dockerflag={flags}'");
    assert_eq!(site.ok(&line), "c1: success\n");
    assert_eq!(site.ok(&line), "c1: unchanged\n");
    assert!(
        site.read("nodes/nodes.toml")
            .contains("command = \"/bin/sh\"")
    );
    let listed = site.ok("lsdocker c1");
    assert!(
        listed.starts_with("c1: ")
            && listed.contains("   busybox:1 ")
            && listed.contains("\"/bin/sh\" "),
        "{listed}"
    );
    for (line, code, out) in [
        ("rpower c1 state", 0, "c1: created\n"),
        ("rpower c1 stop", 0, "c1: container already stopped\n"),
        ("rpower c1 start", 0, "c1: success\n"),
        ("rpower c1 start", 0, "c1: container already started\n"),
        ("rpower c1 on", 0, "c1: container already started\n"),
        ("rpower c1 stat", 0, "c1: running\n"),
        ("rpower c1 pause", 0, "c1: success\n"),
        ("rpower c1 state", 0, "c1: paused\n"),
        ("rpower c1 pause", 1, ""),
        ("rpower c1 unpause", 0, "c1: success\n"),
        ("rpower c1 restart", 0, "c1: success\n"),
        ("rmdocker c1", 1, ""),
        ("rpower c1 off", 0, "c1: success\n"),
        ("rpower c1 state", 0, "c1: exited\n"),
        ("rpower c1 boot", 0, "c1: success\n"),
        ("rmdocker c1 -f", 0, "c1: success\n"),
        ("rmdocker c1", 1, ""),
        ("lsdocker c1 -l", 1, ""),
        ("rpower c1 start", 1, ""),
    ] {
        let outcome = site.run(line);
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (code, out),
            "{line}: {}",
            outcome.err
        );
        assert_eq!(
            outcome.err.contains("c1: [mn]: Error: "),
            code == 1,
            "{line}: {}",
            outcome.err
        );
    }
    assert_eq!(
        site.fails("rpower c1 start"),
        "c1: [mn]: Error: No such container: c1\n"
    );
}

fn across_hosts() {
    let nodes = [
        staying("x1", "host01", "10.73.2.1"),
        staying("x2", "host02", "10.73.2.2") + "links = [\"x1:first\"]\n",
        staying("x3", "host02", "10.73.2.3"),
    ];
    let site = Site::new(&nodes.concat());
    let made = site.ok("mkdocker x1-x3");
    assert_eq!(sorted(&made), ["x1: success", "x2: success", "x3: success"]);
    assert_eq!(sorted(&site.ok("rpower x1-x3 start")).len(), 3);
    let pings = |host: &str, container: &str, address: &str| {
        let ping = ["exec", container, "ping", "-c", "1", "-W", "1", address];
        lab().try_docker(host, &ping).status.success()
    };
    let check = || {
        for (host, container, address) in [
            ("host01", "x1", "10.73.2.2"),
            ("host01", "x1", "10.73.2.3"),
            ("host02", "x2", "10.73.2.1"),
            ("host02", "x2", "first"),
            ("host02", "x2", "x1"),
            ("host02", "x3", ROUTER),
            ("host01", "x1", HOSTS[1].1),
        ] {
            eventually(&format!("{container} reaches {address}"), || {
                pings(host, container, address)
            });
        }
    };
    check();
    let mac = "{{.NetworkSettings.Networks.mydocker0.MacAddress}}";
    assert_eq!(lab().inspect("host02", "x3", mac), "02:42:0a:49:02:03");
    site.ok("rpower x1-x3 restart");
    check();
    assert_eq!(lab().inspect("host02", "x3", mac), "02:42:0a:49:02:03");
    assert_eq!(
        sorted(&site.ok("mkdocker x1-x3")),
        ["x1: unchanged", "x2: unchanged", "x3: unchanged"]
    );
    assert_eq!(sorted(&site.ok("rmdocker x1-x3 -f")).len(), 3);
}

fn lists() {
    let site = Site::new(
        &[
            staying("l1", "host02", "10.73.3.1"),
            staying("l2", "host02", "10.73.3.2"),
        ]
        .concat(),
    );
    site.ok("mkdocker l1");
    site.ok("rpower l1 start");
    lab().docker(
        "host02",
        &[
            "run",
            "-d",
            "--net",
            "none",
            "--name",
            "stranger",
            "busybox:1",
            "sleep",
            "100000",
        ],
    );
    let line = |name: &str| {
        let listed = site.ok("lsdocker host02 -a");
        let found = listed
            .lines()
            .find(|line| line.contains(&format!(" /{name}")));
        found.map(str::to_owned)
    };
    assert!(line("l1").unwrap().ends_with(" /l1"), "{:?}", line("l1"));
    assert!(
        line("stranger")
            .unwrap()
            .ends_with(" /stranger (no definition)")
    );
    site.redefine(
        "[node.l1]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host02\"",
        "[node.l1]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host01\"",
    );
    assert!(line("l1").unwrap().ends_with(" /l1 (defined on host01)"));
    let document = site.document("lsdocker host02 --json", "host02");
    let containers = document["containers"].as_array().unwrap();
    let found = containers
        .iter()
        .find(|container| container["name"] == "stranger")
        .unwrap();
    assert_eq!(
        (&found["defined"], &found["state"]),
        (&false.into(), &"running".into())
    );
    // A host that has none is told in xCAT's words; one that is not there fails alone.
    site.define("[node.host09]\nip = \"10.73.9.9\"\n[node.host02]\nip = \"10.73.0.6\"\n");
    let outcome = site.run("lsdocker host02,host09");
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.out.contains("host02: ")
            && outcome
                .err
                .starts_with("host09: [mn]: Error: connecting to the engine at 10.73.9.9:2376: "),
        "{outcome:?}"
    );
    lab().docker("host02", &["rm", "-f", "stranger", "l1"]);
}

fn logs() {
    let site = Site::new(&format!(
        "{}{}",
        staying("g1", "host01", "10.73.4.1").replace(
            "sh -c 'trap exit TERM; sleep 100000 & wait'",
            "sh -c 'echo one; echo two >&2; printf \\\"\\\\033[2Jx\\\"'"
        ),
        staying("g2", "host01", "10.73.4.2").replace(
            "sh -c 'trap exit TERM; sleep 100000 & wait'",
            "sh -c 'sleep 1; echo late'"
        ),
    ));
    site.ok("mkdocker g1,g2");
    assert_eq!(site.ok("lsdocker g1 -l"), "g1: \n");
    site.ok("rpower g1 start");
    eventually("it ended", || site.ok("rpower g1 state") == "g1: exited\n");
    assert_eq!(
        sorted(&site.ok("lsdocker g1 -l")),
        ["g1: \\u001b[2Jx", "g1: one", "g1: two"]
    );
    assert_eq!(site.ok("lsdocker g1 -l --tail 1").lines().count(), 1);
    let document = site.document("lsdocker g1 -l --json", "g1");
    assert_eq!(document["log"].as_array().unwrap().len(), 3);
    site.ok("rpower g2 start");
    assert_eq!(site.ok("lsdocker g2 -l -f"), "g2: late\n");
    assert_eq!(
        site.fails("lsdocker host01 -l"),
        "host01: [mn]: Error:  -l is not support for host01\n"
    );
    site.ok("rmdocker g1,g2");
}

fn not_ours() {
    let site = Site::new(&staying("o1", "host01", "10.73.5.1"));
    lab().docker(
        "host01",
        &[
            "create",
            "--net",
            "none",
            "--name",
            "o1",
            "busybox:1",
            "sleep",
            "1",
        ],
    );
    assert_eq!(
        site.fails("mkdocker o1 --replace"),
        "o1: [mn]: Error: there is a container o1 on host01 that mkdocker did not make, and it is left alone: \
         rmdocker -f o1 removes it\n"
    );
    assert_eq!(
        site.fails("rmdocker o1"),
        "o1: [mn]: Error: the container o1 on host01 was not made by mkdocker: rmdocker -f removes it all the same\n"
    );
    assert_eq!(site.ok("rmdocker o1 -f"), "o1: success\n");
    assert_eq!(site.ok("mkdocker o1"), "o1: success\n");
    assert_eq!(site.ok("rmdocker o1"), "o1: success\n");
}

/// Engines take the beginning of an ID for a name: a node called so is not the container that has that ID.
fn named_as_an_id() {
    let line = "run -d --net none --name stranger1 busybox:1 sleep 100000";
    let line: Vec<_> = line.split(' ').collect();
    let id = lab().docker("host01", &line);
    let name = &id[..24];
    let site = Site::new(&staying(name, "host01", "10.73.5.2"));
    let nobody = format!("{name}: [mn]: Error: No such container: {name}\n");
    for command in [
        "rpower NAME stop",
        "rpower NAME state",
        "lsdocker NAME",
        "lsdocker NAME -l",
        "rmdocker NAME -f",
    ] {
        assert_eq!(
            site.fails(&command.replace("NAME", name)),
            nobody,
            "{command}"
        );
    }
    assert_eq!(
        site.fails(&format!("dockerimage commit {name} own:1")),
        format!("{name}: [mn]: Error: making own:1 of {name}: No such container: {name}\n")
    );
    assert_eq!(
        site.ok(&format!("mkdocker {name}")),
        format!("{name}: success\n")
    );
    assert_eq!(
        site.ok(&format!("rmdocker {name}")),
        format!("{name}: success\n")
    );
    assert_eq!(
        lab().inspect("host01", "stranger1", "{{.State.Running}}"),
        "true"
    );
    lab().docker("host01", &["rm", "-f", "stranger1"]);
}

/// The network of a container whose address another tool is to give.
fn no_network() {
    let site = Site::new(
        "[node.m1]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host01\"\nip = \"10.73.7.1\"\n",
    );
    let flags = r#"{"AttachStdin":true,"OpenStdin":true,"NetworkDisabled":true}"#;
    let line = format!("mkdocker m1 image=busybox:1 command=/bin/sh 'dockerflag={flags}'");
    assert_eq!(site.ok(&line), "m1: success\n");
    site.ok("rpower m1 start");
    assert_eq!(site.ok("mkdocker m1"), "m1: unchanged\n");
    assert_eq!(
        lab().inspect("host01", "m1", "{{.Config.NetworkDisabled}}"),
        "true"
    );
    site.ok("rmdocker m1 -f");
}

fn dry_runs() {
    let site = Site::new(&staying("d1", "host01", "10.73.6.1"));
    let before = site.read("nodes/nodes.toml");
    assert_eq!(
        site.ok("mkdocker d1 image=busybox:1 --dry-run"),
        "d1: would be made on host01\n"
    );
    assert_eq!(
        site.ok("mkdocker d1 image=nowhere:1 --dry-run"),
        "d1: would be made on host01, after a pull of its image\n"
    );
    assert_eq!(site.read("nodes/nodes.toml"), before);
    site.ok("mkdocker d1");
    for (line, out) in [
        ("rmdocker d1 --dry-run", "d1: would be removed\n"),
        ("rpower d1 start --dry-run", "d1: would start, is created\n"),
        ("rpower d1 state", "d1: created\n"),
        ("rmdocker d1", "d1: success\n"),
    ] {
        assert_eq!(site.ok(line), out);
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
