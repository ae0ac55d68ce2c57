//! What definitions become.

use super::*;
use definitions::{Definition, Network, Nodes, Object, ObjectKind, Site};

use crate::networks::SiteNetworks;

fn node(name: &str, attributes: &[&str]) -> Object {
    let mut object = Object::new(ObjectKind::Node, name).unwrap();
    for attribute in attributes {
        let (attribute, value) = attribute.split_once('=').unwrap();
        object.set(attribute, value).unwrap();
    }
    object
}

fn declared(attributes: &[&str]) -> Result<Declaration> {
    let web = node("web1", attributes);
    let node = Node::from_object(&web).unwrap();
    let others = [
        node_of("db1", &["ip=10.1.0.30", "ip6=fd00::30", "groups=dbs"]),
        node_of("db3", &["ip=10.1.0.33", "groups=dbs"]),
        node_of("bare", &["groups=dbs"]),
    ];
    let nodes = Nodes::new(others);
    let network = |name: &str, net: &str, mask: &str, gateway: &str| Network {
        name: name.to_owned(),
        net: net.parse().ok(),
        mask: Some(mask.to_owned()),
        gateway: Some(gateway.to_owned()),
        nameservers: vec!["10.1.0.2".to_owned()],
        ..Network::default()
    };
    let networks = [
        network("cluster", "10.1.0.0", "/16", "10.1.0.1"),
        network("six", "fd00::", "/64", "fd00::1"),
    ];
    let site = Site {
        domain: Some("cluster".to_owned()),
        ..Site::default()
    };
    let networks = SiteNetworks::new(&networks, &site)?;
    Declaration::of(&node, &ClusterNames::new(&nodes, &networks))
}

fn node_of(name: &str, attributes: &[&str]) -> Object {
    node(name, attributes)
}

const ALL: [&str; 21] = [
    "ip=10.1.0.20",
    "ip6=fd00::20",
    "image=reg:5000/app:1",
    "command=sh -c 'a b'",
    "entrypoint=/init",
    "environment=A=1",
    "volumes=/srv:/srv:ro:z,data:/data,tmpfs:/run:size=64m",
    "ports=8080:80,10.1.0.5:53:53/udp",
    "links=db1:sql",
    "dockercpus=1.5",
    "dockermemory=512M",
    "restart=on-failure:3",
    "init=1",
    "healthcheck=/ok",
    "user=www-data",
    "caps=NET_ADMIN,-ALL",
    "devices=/dev/kvm:r",
    "labels=a=b",
    "logdriver=local",
    "stoptimeout=30",
    "dockernics=mydocker0,back",
];

#[test]
fn every_attribute_becomes_the_engines_word() {
    let declaration = declared(&ALL).unwrap();
    let expected = json!({
        "Hostname": "web1",
        "Cmd": ["sh", "-c", "a b"],
        "Entrypoint": ["/init"],
        "User": "www-data",
        "StopTimeout": 30,
        "Healthcheck": { "Test": ["CMD-SHELL", "/ok"] },
        "Env": ["A=1"],
        "Labels": { "a": "b" },
        "HostConfig": {
            "Binds": ["/srv:/srv:ro,z", "data:/data"],
            "Tmpfs": { "/run": "size=64m" },
            "NanoCpus": 1_500_000_000,
            "Memory": 512 << 20,
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
            "Init": true,
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["ALL"],
            "Devices": [{
                "PathOnHost": "/dev/kvm", "PathInContainer": "/dev/kvm", "CgroupPermissions": "r"
            }],
            "LogConfig": { "Type": "local" },
            "ExtraHosts": ["db1:10.1.0.30", "db1:fd00::30", "sql:10.1.0.30", "sql:fd00::30"],
            "Dns": ["10.1.0.2"],
            "DnsSearch": ["cluster"],
            "NetworkMode": "mydocker0",
            "PortBindings": {
                "80/tcp": [{ "HostIp": "", "HostPort": "8080" }],
                "53/udp": [{ "HostIp": "10.1.0.5", "HostPort": "53" }],
            },
        },
        "Image": "reg:5000/app:1",
        "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
        "NetworkingConfig": { "EndpointsConfig": {
            "mydocker0": {
                "IPAMConfig": { "IPv4Address": "10.1.0.20", "IPv6Address": "fd00::20" },
                "MacAddress": "02:42:0a:01:00:14",
            },
            "back": {},
        }},
    });
    assert_eq!(declaration.request, expected);
    assert_eq!(declaration.remarks, [""; 0]);
}

#[test]
fn links_lead_to_members_of_groups_and_names_are_answered_for_by_the_network() {
    let host_config = |attributes: &[&str]| {
        let base = ["ip=10.1.0.20", "image=a:1"];
        let all = [&base[..], attributes].concat();
        declared(&all).map(|declaration| declaration.request["HostConfig"].clone())
    };
    let config = host_config(&["links=dbs", "groups=dbs", "nameservers=10.1.0.9"]).unwrap();
    assert_eq!(
        config,
        json!({
            "ExtraHosts": ["db1:10.1.0.30", "db1:fd00::30", "db3:10.1.0.33"],
            "Dns": ["10.1.0.9"], "DnsSearch": ["cluster"], "NetworkMode": "mydocker0",
        })
    );
    // A container whose host alone knows its address resolves by what its host does.
    let local = declared(&["image=a:1", "dockernics=bridge"]).unwrap();
    assert_eq!(
        local.request["HostConfig"],
        json!({ "NetworkMode": "bridge" })
    );
    let error = host_config(&["links=dbs:sql"]).unwrap_err();
    assert_eq!(error.to_string(), "linking to dbs: a group has no alias");
}

#[test]
fn an_engine_gets_each_thing_where_its_version_wants_it() {
    let declaration = declared(&ALL).unwrap();
    let image = HostImage {
        id: "sha256:aa".to_owned(),
        digest: Some("reg:5000/app@sha256:bb".to_owned()),
    };
    let old = declaration.body(ApiVersion::new(1, 43), &image);
    assert_eq!(old["Labels"][labels::IMAGE], "reg:5000/app@sha256:bb");
    assert_eq!(old["MacAddress"], "02:42:0a:01:00:14");
    assert_eq!(
        old["NetworkingConfig"]["EndpointsConfig"],
        json!({ "mydocker0": { "IPAMConfig": { "IPv4Address": "10.1.0.20", "IPv6Address": "fd00::20" } } })
    );
    assert_eq!(
        declaration.connected_later(ApiVersion::new(1, 43)),
        [("back", &json!({}))]
    );
    let new = declaration.body(ApiVersion::new(1, 44), &image);
    assert_eq!(new.get("MacAddress"), None);
    assert_eq!(
        new["NetworkingConfig"],
        declaration.request["NetworkingConfig"]
    );
    assert!(
        declaration
            .connected_later(ApiVersion::new(1, 44))
            .is_empty()
    );
    for body in [&old, &new] {
        let kept = labels::declaration(&body["Labels"]);
        assert_eq!(kept.as_ref(), Some(&declaration.request));
        assert!(labels::is_of(&body["Labels"], "web1"));
    }
}

#[test]
fn dockerflag_goes_before_all_else_and_that_is_said() {
    let declaration = declared(&[
        "ip=10.1.0.20",
        "image=ubuntu",
        "dockermemory=512M",
        "dockerflag={\"OpenStdin\":true,\"Hostname\":null,\"HostConfig\":{\"Memory\":7000000,\"ReadonlyRootfs\":true}}",
    ])
    .unwrap();
    assert_eq!(
        declaration.remarks,
        [
            "dockerflag overrides Hostname",
            "dockerflag overrides HostConfig.Memory",
            "the image ubuntu names no tag: ubuntu:latest is meant"
        ]
    );
    let request = &declaration.request;
    assert_eq!(request["HostConfig"]["Memory"], 7_000_000);
    assert_eq!(request["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(request["HostConfig"]["NetworkMode"], "mydocker0");
    assert_eq!(
        (&request["OpenStdin"], request.get("Hostname")),
        (&json!(true), None)
    );
}

#[test]
fn provmethod_is_the_image_and_the_command_as_xcat_stores_them() {
    let declaration = declared(&["ip=10.1.0.20", "provmethod=reg:5000/app:1!/bin/sh,-c,a b"]);
    let request = declaration.unwrap().request;
    assert_eq!(request["Image"], "reg:5000/app:1");
    assert_eq!(request["Cmd"], json!(["/bin/sh", "-c", "a b"]));
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    for (attributes, message) in [
        (
            &["ip=10.1.0.20"][..],
            "Image not set correct for web1: mkdocker web1 image=IMAGE, or chdef web1 image=IMAGE",
        ),
        (
            &["image=a"],
            "Network not set correct for web1: chdef web1 ip=ADDRESS, or dockernics=bridge for an address that its \
             host alone knows",
        ),
        (
            &["image=a", "ip=10.1.0.20", "dockernics=bridge"],
            "the docker network bridge gives no address that is asked for: chdef web1 dockernics=mydocker0, or ip=",
        ),
        (
            &["image=a", "ip=10.1.0.20", "links=bare"],
            "linking to bare: it has no ip",
        ),
        (
            &["image=a", "ip=10.1.0.20", "links=db2"],
            "linking to db2: Could not find an object named 'db2' of type 'node'. Did you mean 'db1'?",
        ),
    ] {
        let error = declared(attributes).unwrap_err();
        assert_eq!(format!("{error:#}"), message);
    }
    assert!(declared(&["image=a", "dockernics=bridge"]).is_ok());
}
