//! The lines of the docker life-cycle document: they work as written and list in the same form.

use super::*;

/// What the document's reader has set up before.
fn with_defaults() -> Site {
    let site = Site::new();
    site.ok("mkdef -t group xcatdefaults postscripts=syslog,remoteshell,syncfiles postbootscripts=otherpkgs");
    site
}

#[test]
fn the_osimage_of_a_dockerhost() {
    let site = Site::new();
    let made = site.ok("mkdef -t osimage ub14.04.03-x86_64-dockerhost \
         imagetype=linux osarch=x86_64 osname=Linux osvers=ubuntu14.04.3 \
         otherpkgdir='https://apt.dockerproject.org/repo ubuntu-trusty main' \
         otherpkglist=/install/custom/ubuntu1404/ubuntu1404_docker.pkglist \
         pkgdir=/install/ubuntu14.04.3/x86_64 \
         pkglist=/install/custom/ubuntu1404/ubuntu1404.pkglist profile=compute provmethod=install \
         template=/opt/xcat/share/xcat/install/ubuntu/compute.tmpl");
    assert_eq!(made, ONE_CHANGED);
    assert_eq!(
        site.ok("lsdef -t osimage ub14.04.03-x86_64-dockerhost"),
        "\
Object name: ub14.04.03-x86_64-dockerhost
    imagetype=linux
    osarch=x86_64
    osname=Linux
    osvers=ubuntu14.04.3
    otherpkgdir=https://apt.dockerproject.org/repo ubuntu-trusty main
    otherpkglist=/install/custom/ubuntu1404/ubuntu1404_docker.pkglist
    pkgdir=/install/ubuntu14.04.3/x86_64
    pkglist=/install/custom/ubuntu1404/ubuntu1404.pkglist
    profile=compute
    provmethod=install
    template=/opt/xcat/share/xcat/install/ubuntu/compute.tmpl
"
    );
    assert_eq!(
        site.ok("lsdef -t osimage"),
        "ub14.04.03-x86_64-dockerhost  (osimage)\n"
    );
}

#[test]
fn bridge_and_trust_of_a_dockerhost() {
    let site = with_defaults();
    site.ok("mkdef host01 groups=all");
    let bridge = r#"chdef host01 -p postbootscripts="xHRM bridgeprereq eth0:mydocker0""#;
    assert_eq!(site.ok(bridge), ONE_CHANGED);
    let trust = r#"chdef host01 -p postbootscripts="setupdockerhost""#;
    assert_eq!(site.ok(trust), ONE_CHANGED);
    assert_eq!(
        site.ok("lsdef host01"),
        "\
Object name: host01
    groups=all
    postbootscripts=otherpkgs,xHRM bridgeprereq eth0:mydocker0,setupdockerhost
    postscripts=syslog,remoteshell,syncfiles
"
    );
    assert_eq!(
        site.read("nodes/nodes.toml"),
        r#"[node.host01]
groups = ["all"]
postbootscripts = ["xHRM bridgeprereq eth0:mydocker0", "setupdockerhost"]
"#
    );
    // Saying it again changes nothing.
    site.ok(bridge);
    site.ok(trust);
    let listed = site.ok("lsdef host01 -i postbootscripts -c");
    assert_eq!(
        listed,
        "host01: postbootscripts=otherpkgs,xHRM bridgeprereq eth0:mydocker0,setupdockerhost\n"
    );
}

#[test]
fn a_line_of_the_document_makes_no_host_where_there_is_none() {
    let site = Site::new();
    site.ok("mkdef host01 groups=all");
    assert_eq!(
        site.fails(r#"chdef host02 -p postbootscripts="xHRM bridgeprereq eth0:mydocker0""#),
        "chdef: Could not find an object named 'host02' of type 'node'. Did you mean 'host01'?\n"
    );
    assert_eq!(site.ok("lsdef"), "host01  (node)\n");
}

#[test]
fn a_docker_instance() {
    let site = with_defaults();
    for made in ["mkdef host01c01", "chdef --create host01c02"] {
        site.ok(&format!(
            "{made} dockerhost=host01:2375 groups=docker,all ip=10.20.7.52 mgt=docker"
        ));
    }
    assert_eq!(
        site.ok("lsdef host01c01"),
        "\
Object name: host01c01
    dockerhost=host01:2375
    groups=docker,all
    ip=10.20.7.52
    mgt=docker
    postbootscripts=otherpkgs
    postscripts=syslog,remoteshell,syncfiles
"
    );
    assert_eq!(
        site.ok("lsdef docker -s"),
        "host01c01  (node)\nhost01c02  (node)\n"
    );
}

#[test]
fn definitions_move_out_and_in_with_one_pipe() {
    let site = with_defaults();
    site.ok("mkdef host01c01 dockerhost=host01:2375 groups=docker,all ip=10.20.7.52 mgt=docker");
    site.ok("mkdef -t network net1 net=10.20.0.0 mask=255.255.0.0 gateway='<xcatmaster>'");
    site.ok("mkdef -t osimage debian12-x86_64-install-dockerhost -u profile=dockerhost provmethod=install");
    site.ok("chdef -t site clustersite domain=example.org nameservers=10.0.0.1,10.0.0.2");
    assert_eq!(
        site.ok("lsdef -z host01c01"),
        "\
# <xCAT data object stanza file>

host01c01:
    objtype=node
    dockerhost=host01:2375
    groups=docker,all
    ip=10.20.7.52
    mgt=docker
"
    );
    let everything = site.ok("lsdef -a -z");
    let other = Site::new();
    let Outcome { code, out, err } = other.pipe("mkdef -z", &everything);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (
            0,
            "5 object definitions have been created or modified.\n",
            ""
        )
    );
    assert_eq!(other.ok("lsdef -a -z"), everything);
    assert_eq!(other.ok("lsdef -a -l"), site.ok("lsdef -a -l"));

    assert_eq!(
        site.ok("lsdef -z host01c01 | sed s/c01/c02/ | mkdef -z"),
        ONE_CHANGED
    );
    assert_eq!(
        site.ok("lsdef host01c02 -i dockerhost,mac"),
        "Object name: host01c02\n    dockerhost=host01:2375\n    mac=\n"
    );
}

#[test]
fn a_stanza_of_xcat_moves_in() {
    let site = Site::new();
    let stanza = "\
# <xCAT data object stanza file>

compute:
    objtype=group
    grouptype=static
    members=dh07c02

dh07c02:
    objtype=node
    dockerhost=dh07:2376
    dockernics=mynet0
    groups=docker,all
    ip=10.20.7.52
    mgt=docker
    nicips.eth0=10.20.7.52
    postbootscripts=otherpkgs
";
    let Outcome { code, err, .. } = site.pipe("mkdef -z", stanza);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        site.ok("lsdef dh07c02 -i groups,nicips"),
        "Object name: dh07c02\n    groups=docker,all,compute\n    nicips=eth0!10.20.7.52\n"
    );
    assert_eq!(
        site.ok("lsdef -t group compute"),
        "Object name: compute\n    grouptype=static\n    members=dh07c02\n"
    );
}
