//! What is said of containers, checked where it is stored.

use super::*;

#[test]
fn a_container_says_all_that_an_engine_is_asked_for() {
    let site = Site::new();
    site.ok(
        "mkdef c1 groups=docker,all mgt=docker dockerhost=host01:2375 ip=10.1.0.20 ip6=fd00::20 image=reg:5000/app:1 \
         command=\"sh -c 'a b'\" environment=A=1,B= volumes=/srv:/srv:ro,tmpfs:/run ports=8080:80,53/udp links=db:sql \
         dockercpus=1.5 dockermemory=4096 restart=on-failure:3 init=yes user=www-data caps=net_admin,-CAP_CHOWN \
         devices=/dev/kvm labels=a=b logdriver=local stoptimeout=30 dockernics=mydocker0,back \
         dockerflag='{\"Tty\":true}'",
    );
    let listed = site.ok("lsdef c1 -i caps,command,init,dockercpus,dockerflag,devices,volumes");
    assert_eq!(
        listed,
        "Object name: c1\n    caps=NET_ADMIN,-CHOWN\n    command=sh -c 'a b'\n    \
         devices=/dev/kvm:/dev/kvm:rwm\n    dockercpus=1.5\n    dockerflag={\"Tty\":true}\n    init=1\n    \
         volumes=/srv:/srv:ro,tmpfs:/run\n"
    );
}

#[test]
fn what_no_engine_takes_is_refused_and_changes_nothing() {
    let site = Site::new();
    site.ok("mkdef c1 groups=docker mgt=docker");
    let before = site.ok("lsdef c1");
    for (assignment, message) in [
        (
            "dockerhost=::::",
            "'::::' is not a docker host: expected a node, HOST:PORT, an address such as 10.1.0.5:2376 or \
             [fd00::5]:2376, or unix:/PATH",
        ),
        (
            "dockermemory=lots",
            "'lots' is not an amount of memory: expected a number with k, m, g or t, such as 512M or 2g, of at \
             least 6M; a number alone is MiB",
        ),
        (
            "dockercpus=-3",
            "'-3' is not a number of processors: expected how many, such as 2 or 1.5, or which, such as 0-3, 0,2 or 2-2",
        ),
        (
            "dockerflag='not json'",
            "'not json' is not options for the engine: expected a JSON object such as \
             {\"Tty\":true,\"HostConfig\":{\"ReadonlyRootfs\":true}} (expected ident at line 1 column 2)",
        ),
        (
            "image=Ubuntu",
            "'Ubuntu' is not the name of an image: expected [REGISTRY[:PORT]/]NAME[:TAG][@sha256:DIGEST] with a name \
             in lower case",
        ),
        (
            "volumes=/srv:/srv,srv/x:/y",
            "'srv/x:/y' is not a volume: expected /HOST/PATH:/PATH[:OPTION…], NAME:/PATH[:OPTION…] or \
             tmpfs:/PATH[:OPTION…]",
        ),
        (
            "ports=http",
            "'http' is not a published port: expected [ADDRESS:][PORT:]PORT[/udp] such as 8080:80 or 10.1.0.5:53:53/udp",
        ),
        (
            "environment=PATH",
            "'PATH' is not a setting of a container: expected NAME=VALUE with a name that has no blanks",
        ),
        (
            "restart=never",
            "'never' is not a restart policy: expected no, always, unless-stopped or on-failure[:TIMES]",
        ),
        (
            "ip6=10.0.0.1",
            "'10.0.0.1' is not an IPv6 address: expected an address such as 'fd00::5'",
        ),
    ] {
        let refused = site.run(&format!("chdef c1 {assignment}"));
        let expected = format!("chdef: {message}\n");
        assert_eq!((refused.code, refused.err), (1, expected), "{assignment}");
    }
    assert_eq!(site.ok("lsdef c1"), before);
}

#[test]
fn a_hundred_containers_are_two_commands() {
    let site = Site::new();
    site.ok("mkdef -t group web mgt=docker dockerhost=host01 image=nginx:1.27");
    site.ok("mkdef 'web[001-100]' groups=web,docker ip=10.1.2.1-10.1.2.100");
    for (node, ip) in [
        ("web001", "10.1.2.1"),
        ("web010", "10.1.2.10"),
        ("web100", "10.1.2.100"),
    ] {
        assert_eq!(
            site.ok(&format!("lsdef {node} -i ip,image -c")),
            format!("{node}: image=nginx:1.27\n{node}: ip={ip}\n")
        );
    }
    site.ok("chdef 'web[001-003]' ip=10.1.9.1-10.1.9.3");
    assert_eq!(site.ok("lsdef web003 -i ip -c"), "web003: ip=10.1.9.3\n");
    assert_eq!(
        site.fails("chdef 'web[001-003]' ip=10.1.9.1-10.1.9.4"),
        "chdef: ip=10.1.9.1-10.1.9.4 has 4 addresses, and the nodes are 3\n"
    );
}
