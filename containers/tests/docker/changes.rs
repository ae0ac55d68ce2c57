//! Definitions that change, and containers that others change.

use std::process::Stdio;

use crate::Case;
use crate::lab::{RESTARTED, eventually, lab, restarts};
use crate::site::{Site, outcome};

pub(crate) const CASES: &[Case] = &[
    (
        "all_that_can_be_declared_is_what_the_engine_has",
        everything,
    ),
    ("limits_change_in_place_whoever_changed_them", in_place),
    ("a_further_network_is_joined_in_place", further_network),
    ("all_else_takes_a_new_one_and_says_so", replaced),
    (
        "a_new_one_that_does_not_settle_gives_way_to_the_old_one",
        way_back,
    ),
    (
        "a_replacement_that_was_killed_is_taken_back_or_ended",
        killed,
    ),
    (
        "an_engine_that_goes_in_the_middle_is_caught_up_with",
        engine_gone,
    ),
    ("a_new_one_that_is_not_healthy_gives_way", unhealthy),
    ("two_runs_at_once_make_one_container", at_once),
    ("another_image_under_the_same_tag_is_seen", other_image),
];

fn definition(name: &str, ip: &str, more: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host01\"\nip = \"{ip}\"\n\
         image = \"busybox:1\"\ncommand = \"sh -c 'trap exit TERM; sleep 100000 & wait'\"\n{more}"
    )
}

/// The identity of a container on the first host.
fn id(name: &str) -> String {
    lab().inspect("host01", name, "{{.Id}}")
}

/// On the engine of each release: they differ in where they want things, and in how they tell them.
fn everything() {
    let _alone = restarts();
    for host in ["host01", RESTARTED, "host04"] {
        everything_on(host);
    }
}

fn everything_on(host: &str) {
    let site = Site::new(&format!(
        "{}[node.e2]\nip = \"10.73.20.2\"\n",
        definition(
            "e1",
            "10.73.20.1",
            "entrypoint = \"/bin/busybox\"\nenvironment = [\"A=1\", \"B=\"]\n\
             volumes = [\"/srv:/srv:ro\", \"data:/data\", \"tmpfs:/scratch:size=64m\"]\n\
             ports = [\"18080:80\", \"53/udp\"]\nlinks = [\"e2:db\"]\ndockercpus = \"0.5\"\ndockermemory = \"64M\"\n\
             dockernics = [\"mydocker0\", \"back\"]\nrestart = \"on-failure:3\"\ninit = \"1\"\n\
             healthcheck = \"true\"\nuser = \"0:0\"\ncaps = [\"NET_ADMIN\", \"-MKNOD\"]\ndevices = [\"/dev/null\"]\n\
             labels = [\"a=b\"]\nlogdriver = \"json-file\"\nstoptimeout = \"3\"\nmac = \"02:00:00:00:20:01\"\n\
             nameservers = [\"10.73.0.254\"]\n\
             dockerflag = '{\"Tty\":true,\"OpenStdin\":true,\"HostConfig\":{\"PidsLimit\":50,\"ShmSize\":33554432}}'\n",
        )
        .replace("\"host01\"", &format!("\"{host}\""))
    ));
    assert_eq!(site.ok("mkdocker e1"), "e1: success\n");
    assert_eq!(site.ok("mkdocker e1"), "e1: unchanged\n");
    site.ok("rpower e1 start");
    assert_eq!(site.ok("mkdocker e1"), "e1: unchanged\n");
    let live = lab().inspect(
        host,
        "e1",
        "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.ExtraHosts}} \
         {{.NetworkSettings.Networks.mydocker0.IPAddress}} {{.NetworkSettings.Networks.mydocker0.MacAddress}} \
         {{len .NetworkSettings.Networks}} {{.Config.Hostname}} {{.Config.StopTimeout}}",
    );
    assert_eq!(
        live,
        "500000000 67108864 50 [e2:10.73.20.2 db:10.73.20.2] 10.73.20.1 02:00:00:00:20:01 2 e1 3"
    );
    site.ok("rpower e1 stop");
    assert_eq!(site.ok("mkdocker e1"), "e1: unchanged\n");
    site.redefine("dockercpus = \"0.5\"", "dockercpus = \"0-1\"");
    assert_eq!(
        site.fails("mkdocker e1 --diff"),
        "e1: [mn]: Error: it differs from its definition in HostConfig.CpusetCpus, HostConfig.NanoCpus: mkdocker e1 \
         --replace makes it again, --dry-run shows both\n"
    );
    site.ok("mkdocker e1 --replace");
    assert_eq!(site.ok("mkdocker e1"), "e1: unchanged\n");
    assert_eq!(
        lab().inspect(host, "e1", "{{.State.Status}} {{.HostConfig.CpusetCpus}}"),
        "created 0-1"
    );
    site.ok("rmdocker e1");
}

fn in_place() {
    let site = Site::new(&definition("p1", "10.73.21.1", "dockermemory = \"64M\"\n"));
    site.ok("mkdocker p1");
    site.ok("rpower p1 start");
    let before = id("p1");
    site.redefine(
        "dockermemory = \"64M\"",
        "dockermemory = \"256M\"\nrestart = \"unless-stopped\"",
    );
    assert_eq!(
        site.ok("mkdocker p1 --dry-run"),
        "p1: HostConfig.Memory: 67108864 -> 268435456 (in place; the definition changed)\n\
         p1: HostConfig.RestartPolicy.Name: nothing -> \"unless-stopped\" (in place; the definition changed)\n\
         p1: would be changed in place\n"
    );
    let document = site.document("mkdocker p1 --json", "p1");
    assert_eq!(
        (&document["status"], &document["id"]),
        (&"changed in place".into(), &before.as_str().into())
    );
    assert_eq!(document["differences"][0]["field"], "HostConfig.Memory");
    assert_eq!(site.ok("mkdocker p1"), "p1: unchanged\n");
    lab().docker(
        "host01",
        &["update", "--memory", "128M", "--memory-swap", "256M", "p1"],
    );
    assert_eq!(
        site.ok("mkdocker p1 --diff").lines().last(),
        Some("p1: success")
    );
    assert_eq!(site.ok("mkdocker p1"), "p1: unchanged\n");
    assert_eq!(
        lab().inspect(
            "host01",
            "p1",
            "{{.Id}} {{.State.Status}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"
        ),
        format!("{before} running 268435456 unless-stopped")
    );
    // What the definition no longer says is no change that an engine could make in place.
    site.redefine("dockermemory = \"256M\"\n", "");
    assert!(
        site.ok("mkdocker p1 --dry-run")
            .contains("HostConfig.Memory: 268435456 -> nothing (replace;")
    );
    site.ok("rmdocker p1 -f");
}

fn further_network() {
    let site = Site::new(&definition("w1", "10.73.22.1", ""));
    site.ok("mkdocker w1");
    let before = id("w1");
    site.redefine("image =", "dockernics = [\"mydocker0\", \"back\"]\nimage =");
    assert_eq!(
        site.ok("mkdocker w1 --diff"),
        "w1: NetworkingConfig.EndpointsConfig.back: nothing -> \"connected\" (in place; the definition changed)\n\
         w1: success\n"
    );
    assert_eq!(site.ok("mkdocker w1"), "w1: unchanged\n");
    assert_eq!(id("w1"), before);
    site.redefine("\"back\"", "\"nowhere\"");
    assert_eq!(
        site.fails("mkdocker w1"),
        "w1: [mn]: Error: host01 has no docker network nowhere: updatenode host01 -P 'setupdockerhost \
         nowhere=NET/LEN@GATEWAY' makes it\n"
    );
    site.ok("rmdocker w1");
}

fn replaced() {
    let site = Site::new(&definition(
        "r1",
        "10.73.23.1",
        "environment = [\"A=1\", \"DB_PASSWORD=geheim1\"]\n",
    ));
    site.ok("mkdocker r1");
    site.ok("rpower r1 start");
    lab().docker("host01", &["exec", "r1", "touch", "/kept/file"]);
    let before = id("r1");
    site.redefine(
        "A=1\", \"DB_PASSWORD=geheim1",
        "A=2\", \"DB_PASSWORD=geheim2",
    );
    let shown = site.ok("mkdocker r1 --dry-run");
    assert!(
        shown.starts_with(
            "r1: Env.A: \"1\" -> \"2\" (replace; the definition changed)\nr1: Env.DB_PASSWORD: \""
        ) && !shown.contains("geheim")
            && shown.ends_with("\nr1: would be replaced\n"),
        "{shown}"
    );
    assert_eq!(
        site.fails("mkdocker r1"),
        "r1: [mn]: Error: it differs from its definition in Env.A, Env.DB_PASSWORD: mkdocker r1 --replace makes it \
         again, --dry-run shows both\n"
    );
    assert_eq!(id("r1"), before);
    assert_eq!(site.ok("mkdocker r1 --replace --settle 1"), "r1: success\n");
    assert_ne!(id("r1"), before);
    assert_eq!(
        lab().inspect(
            "host01",
            "r1",
            "{{.State.Status}} {{.NetworkSettings.Networks.mydocker0.IPAddress}}"
        ),
        "running 10.73.23.1"
    );
    assert_eq!(
        lab().docker("host01", &["exec", "r1", "cat", "/kept/file"]),
        ""
    );
    assert_eq!(site.ok("mkdocker r1"), "r1: unchanged\n");
    assert_eq!(others("r1"), "r1");
    site.ok("rmdocker r1 -f");
}

/// Lists the names of containers that begin so.
fn others(name: &str) -> String {
    let listed = lab().docker(
        "host01",
        &[
            "ps",
            "-a",
            "--format",
            "{{.Names}}",
            "--filter",
            &format!("name=^{name}"),
        ],
    );
    let mut names: Vec<_> = listed.lines().collect();
    names.sort_unstable();
    names.join(" ")
}

fn way_back() {
    let site = Site::new(&definition("b1", "10.73.24.1", ""));
    site.ok("mkdocker b1");
    site.ok("rpower b1 start");
    let before = id("b1");
    for command in ["sh -c 'exit 7'", "/no/such/program"] {
        let definition = site.read("nodes/nodes.toml");
        site.redefine("sh -c 'trap exit TERM; sleep 100000 & wait'", command);
        let told = site.fails("mkdocker b1 --replace --settle 30");
        assert!(
            told.starts_with(
                "b1: [mn]: Error: the old one runs again, for the new one did not settle: "
            ),
            "{told}"
        );
        assert_eq!(
            told.contains("it ended with code 7 after "),
            command.contains("exit"),
            "{told}"
        );
        assert_eq!(
            lab().inspect("host01", "b1", "{{.Id}} {{.State.Status}}"),
            format!("{before} running")
        );
        assert_eq!(others("b1"), "b1");
        site.define(&definition);
    }
    assert_eq!(site.ok("mkdocker b1"), "b1: unchanged\n");
    site.ok("rmdocker b1 -f");
}

fn killed() {
    let site = Site::new(&definition("k1", "10.73.25.1", ""));
    site.ok("mkdocker k1");
    site.ok("rpower k1 start");
    let before = id("k1");
    site.redefine("image =", "labels = [\"v=2\"]\nimage =");
    let mut child = site
        .command("mkdocker")
        .args(["k1", "--replace", "--settle", "600"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the new one runs", || {
        lab()
            .try_docker(
                "host01",
                &["inspect", "-f", "{{.State.Running}}", "k1..new"],
            )
            .stdout
            == b"true\n"
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(others("k1"), "k1 k1..new");
    let listed = site.ok("lsdocker host01");
    let remark = " /k1..new (left by an interrupted replacement: mkdocker k1)";
    assert!(
        listed.lines().any(|line| line.ends_with(remark)),
        "{listed}"
    );
    // The definition is as before: the old one is what is declared.
    site.redefine("labels = [\"v=2\"]\n", "");
    assert_eq!(
        site.ok("mkdocker k1"),
        "k1: takes back a replacement that was interrupted\nk1: unchanged\n"
    );
    assert_eq!(
        lab().inspect("host01", "k1", "{{.Id}} {{.State.Status}}"),
        format!("{before} running")
    );
    // Killed between the two renames, and after them.
    for (renames, told) in [
        (
            &[("k1", "k1..old"), ("twin", "k1..new")][..],
            "ends a replacement that was interrupted",
        ),
        (
            &[("twin", "k1..old")],
            "removes the old one that an interrupted replacement left",
        ),
        (
            &[("k1", "k1..old")],
            "puts back the old one that an interrupted replacement left",
        ),
    ] {
        let site = Site::new(&definition("k1", "10.73.25.1", ""));
        if renames.iter().any(|(name, _)| *name == "twin") {
            let twin = Site::new(&definition("twin", "10.73.25.2", ""));
            twin.ok("mkdocker twin");
        }
        for (name, to) in renames {
            lab().docker("host01", &["rename", name, to]);
        }
        let said = site.run("mkdocker k1 --dry-run");
        assert_eq!(said.code, 0, "{said:?}");
        let said = site.run("mkdocker k1");
        assert!(said.out.starts_with(&format!("k1: {told}\n")), "{said:?}");
        assert_eq!(others("k1"), "k1");
        site.ok("rmdocker k1 -f");
        site.ok("mkdocker k1");
        site.ok("rpower k1 start");
    }
    // Whoever removes a container removes what a replacement left of it.
    let twin = Site::new(&definition("twin", "10.73.25.2", ""));
    twin.ok("mkdocker twin");
    lab().docker("host01", &["rename", "twin", "k1..new"]);
    site.ok("rmdocker k1 -f");
    assert_eq!(others("k1"), "k1..new", "it is of another node");
    lab().docker("host01", &["rm", "k1..new"]);
    site.ok("mkdocker k1");
    let made = lab().inspect(
        "host01",
        "k1",
        "{{index .Config.Labels \"slipway.declaration\"}}",
    );
    let labels = [
        "--label",
        "slipway.node=k1",
        "--label",
        &format!("slipway.declaration={made}"),
    ];
    let create = ["create", "--net", "none", "--name", "k1..old"];
    lab().docker(
        "host01",
        &[&create[..], &labels, &["busybox:1", "sleep"]].concat(),
    );
    site.ok("rmdocker k1 -f");
    assert_eq!(others("k1"), "");
}

fn engine_gone() {
    let _alone = restarts();
    let definition = definition("s1", "10.73.28.1", "").replace("host01", RESTARTED);
    let site = Site::new(&definition);
    site.ok("mkdocker s1");
    site.ok("rpower s1 start");
    site.redefine("image =", "labels = [\"v=2\"]\nimage =");
    let mut command = site.command("mkdocker");
    command.args(["s1", "--replace", "--settle", "600"]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the new one runs", || {
        let format = ["inspect", "-f", "{{.State.Running}}", "s1..new"];
        lab().try_docker(RESTARTED, &format).stdout == b"true\n"
    });
    lab().kill_daemon(RESTARTED);
    let told = outcome(child.wait_with_output().unwrap());
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.err.starts_with(
            "s1: [mn]: Error: the new one did not settle, and the old one cannot be started ("
        ) && told.err.contains("): mkdocker s1 tries again: "),
        "{told:?}"
    );
    lab().start_daemon(RESTARTED);
    assert_eq!(
        site.ok("mkdocker s1 --replace --settle 1"),
        "s1: takes back a replacement that was interrupted\ns1: success\n"
    );
    let state = "{{.State.Status}} {{.Config.Labels.v}}";
    assert_eq!(lab().inspect(RESTARTED, "s1", state), "running 2");
    assert_eq!(site.ok("mkdocker s1"), "s1: unchanged\n");
    site.ok("rmdocker s1 -f");
}

fn unhealthy() {
    let quick = "dockerflag = '{\"Healthcheck\":{\"Interval\":500000000,\"Retries\":2}}'\n";
    let site = Site::new(&definition("f2", "10.73.29.1", quick));
    site.ok("mkdocker f2");
    site.ok("rpower f2 start");
    let before = id("f2");
    site.redefine("image =", "healthcheck = \"false\"\nimage =");
    assert_eq!(
        site.fails("mkdocker f2 --replace --settle 0"),
        "f2: [mn]: Error: the old one runs again, for the new one did not settle: its health check fails\n"
    );
    assert_eq!(id("f2"), before);
    site.redefine("\"false\"", "\"true\"");
    assert_eq!(site.ok("mkdocker f2 --replace --settle 0"), "f2: success\n");
    assert_eq!(
        lab().inspect("host01", "f2", "{{.State.Health.Status}}"),
        "healthy"
    );
    site.ok("rmdocker f2 -f");
}

fn at_once() {
    let site = Site::new(&definition("t1", "10.73.26.1", ""));
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let mut command = site.command("mkdocker");
            command
                .arg("t1")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut told: Vec<_> = runs
        .into_iter()
        .map(|run| outcome(run.wait_with_output().unwrap()))
        .map(|outcome| format!("{} {}{}", outcome.code, outcome.out, outcome.err))
        .collect();
    told.sort();
    let unchanged = "0 t1: unchanged\n";
    assert_eq!(told, ["0 t1: success\n", unchanged, unchanged, unchanged]);
    site.ok("rmdocker t1");
}

fn other_image() {
    let site = Site::new(&definition("i1", "10.73.27.1", "").replace("busybox:1", "moving:1"));
    lab().docker("host01", &["tag", "busybox:1", "moving:1"]);
    site.ok("mkdocker i1");
    assert_eq!(site.ok("mkdocker i1"), "i1: unchanged\n");
    let image = lab().path("image.tar");
    lab().docker(
        "host01",
        &[
            "import",
            "--change",
            "LABEL a=b",
            image.to_str().unwrap(),
            "moving:1",
        ],
    );
    let shown = site.ok("mkdocker i1 --dry-run");
    assert!(
        shown.starts_with("i1: Image.Id: \"sha256:")
            && shown.ends_with("(replace; it was changed on the host)\ni1: would be replaced\n"),
        "{shown}"
    );
    assert_eq!(site.ok("mkdocker i1 --replace"), "i1: success\n");
    assert_eq!(site.ok("mkdocker i1"), "i1: unchanged\n");
    site.ok("rmdocker i1");
    lab().docker("host01", &["rmi", "moving:1"]);
}
