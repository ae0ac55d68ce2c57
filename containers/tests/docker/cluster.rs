//! Addresses and names across hosts: who reaches whom, before and after restarts.

use std::fs;
use std::process::{Child, Stdio};

use crate::Case;
use crate::lab::{HOSTS, RELEASES as RELEASES_OF_HOSTS, ROUTER, eventually, lab, restarts, text};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    (
        "containers_of_both_families_reach_each_other_by_macvlan",
        both_families,
    ),
    (
        "a_network_of_both_families_on_a_hosts_bridge_is_refused",
        no_dual_stack_bridge,
    ),
    (
        "names_of_the_whole_cluster_are_resolved_on_every_host",
        names,
    ),
];

/// What needs the engines of other releases.
pub(crate) const RELEASES: &[Case] = &[(
    "the_engine_of_each_release_is_spoken_with_in_its_own_version",
    releases,
)];

/// What restarts every engine.
pub(crate) const ALONE: &[Case] = &[(
    "containers_of_four_hosts_reach_each_other_after_restarts",
    four_hosts,
)];

const NETWORKS: &str = "[cluster]\nnet = \"10.73.0.0\"\nmask = \"/16\"\ngateway = \"10.73.0.254\"\n\
                        nameservers = [\"10.73.0.254\"]\ndomain = \"cluster\"\n\
                        [both4]\nnet = \"10.79.0.0\"\nmask = \"/16\"\ngateway = \"10.79.0.254\"\n\
                        [both6]\nnet = \"fd79::\"\nmask = \"/64\"\ngateway = \"fd79::fe\"\n";

fn definition(name: &str, host: &str, more: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"{host}\"\nimage = \"busybox:1\"\n\
         command = \"sh -c 'trap exit TERM; sleep 100000 & wait'\"\n{more}"
    )
}

fn site(nodes: &[String]) -> Site {
    let site = Site::new(&nodes.concat());
    fs::write(site.path().join("networks.toml"), NETWORKS).unwrap();
    site
}

/// Whether a container gets an answer.
fn pings(host: &str, container: &str, whom: &str) -> bool {
    let family = if whom.contains(':') { "-6" } else { "-4" };
    let ping = [
        "exec", container, "ping", family, "-c", "1", "-W", "2", whom,
    ];
    lab().try_docker(host, &ping).status.success()
}

fn in_host(place: &str, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = lab().inside(place, words.next().unwrap());
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn both_families() {
    let both = "dockernics = [\"macvlan-mydocker0\"]\n";
    let site = site(&[
        definition(
            "m1",
            "host01",
            &format!("{both}ip = \"10.79.0.21\"\nip6 = \"fd79::21\"\n"),
        ),
        definition(
            "m2",
            "host02",
            &format!("{both}ip = \"10.79.0.22\"\nip6 = \"fd79::22\"\n"),
        ),
        definition("m3", "host01", &format!("{both}ip = \"10.73.50.1\"\n")),
        definition("m4", "host01", "ip = \"10.73.50.2\"\nip6 = \"fd79::24\"\n"),
    ]);
    in_host("switch", "ip addr add 10.79.0.254/16 dev mydocker0");
    in_host("switch", "ip addr add fd79::fe/64 dev mydocker0 nodad");
    in_host("host01", "ip addr add fd79::5/64 dev mydocker0 nodad");
    // The same subnet as that of the bridge's own network.
    let refused = site.fails("mkdocker m3");
    assert!(
        refused.starts_with(
            "m3: [mn]: Error: making the docker network macvlan-mydocker0: another docker network of the host has the \
             subnet, and a host can have one of the two: "
        ),
        "{refused}"
    );
    assert_eq!(
        site.fails("mkdocker m4"),
        "m4: [mn]: Error: the address fd79::24 is not in the docker network mydocker0 of host01, which has \
         10.73.0.0/16: chdef m4 dockernics=macvlan-mydocker0 gives it both families\n"
    );
    assert_eq!(
        site.ok("mkdocker m1 --dry-run"),
        "m1: the docker network macvlan-mydocker0 would be made on host01\nm1: would be made on host01\n"
    );
    let made = site.ok("mkdocker m1,m2");
    for line in [
        "m1: made the docker network macvlan-mydocker0 on host01\n",
        "m2: made the docker network macvlan-mydocker0 on host02\n",
        "m1: success\n",
        "m2: success\n",
    ] {
        assert!(made.contains(line), "{made}");
    }
    assert_eq!(site.ok("mkdocker m1"), "m1: unchanged\n");
    site.ok("rpower m1,m2 start --no-probe");
    for (host, from, to) in [
        ("host01", "m1", ["fd79::22", "10.79.0.22"]),
        ("host02", "m2", ["fd79::21", "10.79.0.21"]),
    ] {
        for to in to.into_iter().chain(["fd79::fe", "10.79.0.254"]) {
            eventually(&format!("{from} reaches {to}"), || pings(host, from, to));
        }
    }
    // The host of the container has its own addresses still, and other hosts reach both.
    assert!(in_host("host01", "ip -6 addr show dev mydocker0").contains("fd79::5/64"));
    in_host("switch", "ping -6 -c 1 -W 5 fd79::5");
    // No address is handed out by itself, of either family.
    for more in [&[][..], &["--ip", "10.79.0.30"]] {
        let run = ["run", "--rm", "--network", "macvlan-mydocker0"];
        let refused = lab().try_docker(
            "host01",
            &[&run[..], more, &["busybox:1", "sleep", "0"]].concat(),
        );
        assert!(
            text(&refused.stderr).contains("no available"),
            "{}",
            text(&refused.stderr)
        );
    }
    site.ok("rpower m1 restart --no-probe");
    eventually("m2 reaches m1 after a restart", || {
        pings("host02", "m2", "fd79::21")
    });
    assert_eq!(site.ok("mkdocker m1"), "m1: unchanged\n");
    site.ok("rmdocker m1,m2 -f");
    for host in ["host01", "host02"] {
        lab().docker(host, &["network", "rm", "macvlan-mydocker0"]);
    }
    in_host("host01", "ip addr del fd79::5/64 dev mydocker0");
}

fn no_dual_stack_bridge() {
    let site = site(&[definition(
        "d6",
        "host01",
        "ip = \"10.66.0.2\"\nip6 = \"fd66::2\"\ndockernics = [\"both\"]\n",
    )]);
    in_host("host01", "ip link add both type bridge");
    let create = "network create --ipv6 --subnet 10.66.0.0/24 --gateway 10.66.0.1 --subnet fd66::/64 --gateway fd66::1 \
                  -o com.docker.network.bridge.name=both -o com.docker.network.bridge.inhibit_ipv4=true both";
    lab().docker(
        "host01",
        &create
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        site.fails("mkdocker d6"),
        "d6: [mn]: Error: the docker network both of host01 has IPv6, and engines from 28 on take the host's own IPv6 \
         addresses from its bridge: setupdockerhost replaces it, and dockernics=macvlan-both gives containers IPv6\n"
    );
    lab().docker("host01", &["network", "rm", "both"]);
}

/// The DNS server of the site, which answers for what is listed; it ends when dropped.
struct NameServer(Child);

impl NameServer {
    fn start(hosts: &std::path::Path) -> Self {
        let mut command = lab().inside("switch", "setpriv");
        command.args([
            "--pdeathsig",
            "TERM",
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
        ]);
        command.args([
            "--no-resolv",
            "--no-hosts",
            "--user=root",
            "--bind-interfaces",
            "--pid-file=",
        ]);
        command.arg(format!("--listen-address={ROUTER}"));
        command.arg(format!("--addn-hosts={}", hosts.display()));
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn names() {
    let site = site(&[
        definition("n5", "host01", "ip = \"10.73.51.1\"\n"),
        definition(
            "n6",
            "host02",
            "ip = \"10.73.51.2\"\nlinks = [\"dbs\", \"n5:front\"]\n",
        ),
        definition("n7", "host04", "ip = \"10.73.51.3\"\n")
            .replace("\"docker\"]", "\"docker\", \"dbs\"]"),
        definition("n8", "host01", "ip = \"10.73.51.4\"\n")
            .replace("\"docker\"]", "\"docker\", \"dbs\"]"),
    ]);
    let hosts = site.path().join("hosts");
    fs::write(&hosts, "10.73.51.1 n5.cluster\n10.73.51.2 n6.cluster\n").unwrap();
    let _server = NameServer::start(&hosts);
    site.ok("mkdocker n5-n8");
    site.ok("rpower n5-n8 start");
    // By the site's DNS, with and without the domain, and by the links of one container.
    for (host, from, to) in [
        ("host01", "n5", "n6"),
        ("host01", "n5", "n6.cluster"),
        ("host04", "n7", "n5"),
        ("host02", "n6", "n7"),
        ("host02", "n6", "n8"),
        ("host02", "n6", "front"),
    ] {
        eventually(&format!("{from} reaches {to}"), || pings(host, from, to));
    }
    assert!(
        !pings("host01", "n5", "n7"),
        "no server and no link names it"
    );
    // A member more is a line more, in the containers that link to the group alone.
    site.redefine(
        "[node.n5]\ngroups = [\"docker\"]",
        "[node.n5]\ngroups = [\"docker\", \"dbs\"]",
    );
    let shown = site.ok("mkdocker n5-n8 --dry-run");
    assert!(
        shown.contains("n6: HostConfig.ExtraHosts: [\"n7:10.73.51.3\"")
            && shown.matches(": unchanged\n").count() == 3
            && shown.contains("n6: would be replaced\n"),
        "{shown}"
    );
    site.ok("rmdocker n5-n8 -f");
}

fn releases() {
    let _alone = restarts();
    for (host, _) in RELEASES_OF_HOSTS {
        let version = lab().docker(
            host,
            &[
                "version",
                "-f",
                "{{.Server.Version}} {{.Server.APIVersion}}",
            ],
        );
        let (engine, api) = version.split_once(' ').unwrap();
        let numbers = |text: &str| {
            text.split('.')
                .map_while(|part| part.parse::<u32>().ok())
                .collect::<Vec<_>>()
        };
        // Newer than what takes the hardware address with the endpoint, and still with a graph driver or not.
        assert!(
            numbers(engine) >= vec![26, 1] && numbers(api) >= vec![1, 44],
            "{host}: {version}"
        );
        let name = format!("r{}", &host[4..]);
        let site = site(&[definition(
            &name,
            host,
            &format!("ip = \"10.73.53.{}\"\n", &host[5..]),
        )]);
        site.ok(&format!("mkdocker {name}"));
        site.ok(&format!("rpower {name} start"));
        let mac = "{{.NetworkSettings.Networks.mydocker0.MacAddress}}";
        let expected = format!("02:42:0a:49:35:0{}", &host[5..]);
        for _ in 0..2 {
            assert_eq!(lab().inspect(host, &name, mac), expected, "{version}");
            site.ok(&format!("rpower {name} restart"));
        }
        assert_eq!(
            site.ok(&format!("mkdocker {name}")),
            format!("{name}: unchanged\n")
        );
        site.ok(&format!("rmdocker {name} -f"));
    }
}

fn four_hosts() {
    let containers: Vec<_> = HOSTS
        .iter()
        .enumerate()
        .map(|(at, (host, _))| (format!("q{at}"), *host, format!("10.73.52.{}", at + 1)))
        .collect();
    let definitions: Vec<_> = containers
        .iter()
        .map(|(name, host, ip)| {
            definition(
                name,
                host,
                &format!("ip = \"{ip}\"\nrestart = \"unless-stopped\"\n"),
            )
        })
        .collect();
    let site = site(&definitions);
    site.ok("mkdocker q0-q3");
    site.ok("rpower q0-q3 start");
    let all_reach_all = |when: &str| {
        for (name, host, _) in &containers {
            let others = containers.iter().filter(|(other, ..)| other != name);
            for to in others.map(|(.., ip)| ip.as_str()).chain([ROUTER]) {
                eventually(&format!("{name} reaches {to} {when}"), || {
                    pings(host, name, to)
                });
            }
        }
    };
    all_reach_all("after the start");
    let macs = || {
        containers
            .iter()
            .map(|(name, host, _)| {
                lab().inspect(
                    host,
                    name,
                    "{{.NetworkSettings.Networks.mydocker0.MacAddress}}",
                )
            })
            .collect::<Vec<_>>()
    };
    let before = macs();
    site.ok("rpower q0-q3 restart");
    all_reach_all("after a restart of the containers");
    // Engines that end and come back, as an update has them: the containers go on meanwhile.
    for (host, _) in HOSTS {
        lab().kill_daemon(host);
    }
    for (host, _) in HOSTS {
        lab().start_daemon(host);
    }
    all_reach_all("after a restart of every engine");
    // A host that is switched off and on: the engine starts what ran, with the address that it had.
    for (host, _) in HOSTS {
        lab().reboot(host);
    }
    for (name, host, _) in &containers {
        eventually(&format!("{name} runs after a reboot"), || {
            lab().inspect(host, name, "{{.State.Running}}") == "true"
        });
    }
    all_reach_all("after a reboot of every host");
    assert_eq!(macs(), before);
    let unchanged: String = (0..4).map(|at| format!("q{at}: unchanged\n")).collect();
    let said = site.ok("mkdocker q0-q3");
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.join("\n") + "\n", unchanged);
    site.ok("rmdocker q0-q3 -f");
}
