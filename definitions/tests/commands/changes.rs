//! What `mkdef`, `chdef` and `rmdef` change, and what they refuse.

use super::*;

#[test]
fn all_that_is_wrong_with_objects_is_reported_at_once() {
    let site = Site::new();
    let stanza = "a:\n objtype=node\n groups=all\n grups=x\n ip=10.0.0.256\nb:\n objtype=node\n grups=x\nc:\n objtype=node\n \
                  ip=10.0.0.1\ng:\n objtype=group\n members=a,b\n ox=debian12\n";
    let outcome = site.pipe("mkdef -z", stanza);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            1,
            "mkdef: 4 errors, and nothing is changed:\n\
             the node 'a' and 1 more: 'grups' is not a valid attribute name for an object type of 'node'; did you mean 'groups'?\n\
             the node 'a': '10.0.0.256' is not an IP address: expected an address such as '10.1.0.5' or 'fd00::5'\n\
             the node 'c': the attribute 'groups' must be set for the node 'c'\n\
             the group 'g': 'ox' is not a valid attribute name for an object type of 'group'\n"
        )
    );
    // nothing is there: these would be refused otherwise
    site.ok("mkdef a,b,c,n1,n2 groups=all");
    assert_eq!(
        site.fails("chdef n1,n2 ipp=10.0.0.1 comments=new ip=x"),
        "chdef: 3 errors, and nothing is changed:\n\
         the node 'n1' and 1 more: 'ipp' is not a valid attribute name for an object type of 'node'; did you mean 'ip'?\n\
         the node 'n1' and 1 more: 'comments' is not a valid attribute name for an object type of 'node'\n\
         the node 'n1' and 1 more: 'x' is not an IP address: expected an address such as '10.1.0.5' or 'fd00::5'\n"
    );
    let many: String = (1..=25)
        .map(|at| format!("m{at}:\n objtype=node\n groups=all\n ip=x{at}\n"))
        .collect();
    let outcome = site.pipe("mkdef -z", &many);
    let lines: Vec<_> = outcome.err.lines().collect();
    assert_eq!(
        (lines[0], lines.len(), lines[21]),
        (
            "mkdef: 25 errors, and nothing is changed:",
            22,
            "and 5 more"
        )
    );
}

#[test]
fn mkdef_makes_what_is_not_there() {
    let site = Site::new();
    assert_eq!(
        site.ok("mkdef -v 'n[01-02]' groups=all"),
        "2 object definitions have been created or modified.\nn01  (node)\nn02  (node)\n"
    );
    for (line, expected) in [
        (
            "mkdef n01 groups=all",
            "mkdef: a definition for the node 'n01' already exists: use -f to replace it\n",
        ),
        (
            "mkdef n03 ip=10.0.0.1",
            "mkdef: the attribute 'groups' must be set for the node 'n03'\n",
        ),
        (
            "mkdef n03 groups=all grups=x",
            "mkdef: 'grups' is not a valid attribute name for an object type of 'node'; did you mean 'groups'?\n",
        ),
        (
            "mkdef n03,n04 groups=all ip=10.0.0.256",
            "mkdef: '10.0.0.256' is not an IP address: expected an address such as '10.1.0.5' or 'fd00::5'\n",
        ),
        (
            "mkdef groups=all",
            "mkdef: no object is named: give a node range\n",
        ),
        (
            "mkdef n03 n04 groups=all",
            "mkdef: 'n04' is neither the objects, which are 'n03', nor attr=value\n",
        ),
        (
            "mkdef -t osimage ../x profile=y",
            "mkdef: '../x' is not the name of an object: expected at most 200 letters, digits and '.' '_' '-' '+' ':', a letter or digit first\n",
        ),
        (
            "mkdef -t site other domain=x",
            "mkdef: 'other' is not the name of the site: expected clustersite\n",
        ),
        (
            "mkdef n1-n1000000000 groups=all",
            "mkdef: the node range 'n1-n1000000000': 'n1-n1000000000' makes more than 100000 names\n",
        ),
        (
            "mkdef -t osimage i --template nope",
            "mkdef: Could not find an object named 'nope' of type 'osimage'.\n",
        ),
        (
            "mkdef -t osimage i -u profile=x provmethod=install",
            "mkdef: -u needs osvers=… to derive 'i'\n",
        ),
        (
            "mkdef -t osimage i -u profile=x",
            "mkdef: -u needs provmethod=… to derive 'i'\n",
        ),
        (
            "mkdef n9 -u",
            "mkdef: -u derives osimages and no node: name the type with -t osimage\n",
        ),
        (
            "mkdef -t group g os=linux",
            "mkdef: 'linux' is not a distribution release: expected a family and a version such as 'rocky9.4' or 'ubuntu24.04.3'\n",
        ),
    ] {
        assert_eq!(site.fails(line), expected, "{line}");
    }
    assert_eq!(
        site.ok("lsdef -a"),
        "all  (group)\nn01  (node)\nn02  (node)\n"
    );
    site.ok("mkdef -f n01 groups=other");
    assert_eq!(site.ok("lsdef n01"), "Object name: n01\n    groups=other\n");
}

#[test]
fn mkdef_derives_and_copies_osimages() {
    let site = Site::new();
    site.ok("chdef -t site clustersite installdir=/srv/install");
    site.ok("mkdef -t osimage centos-stream9-aarch64-netboot-dockerhost -u profile=dockerhost provmethod=netboot");
    let derived = "    imagetype=linux
    osarch=aarch64
    osdistroname=centos-stream9-aarch64
    osname=Linux
    osvers=centos-stream9
    otherpkgdir=/srv/install/post/otherpkgs/centos-stream9/aarch64
    pkgdir=/srv/install/centos-stream9/aarch64
    profile=dockerhost
    provmethod=netboot
    rootimgdir=/srv/install/netboot/centos-stream9/aarch64/dockerhost
";
    let name = "centos-stream9-aarch64-netboot-dockerhost";
    assert_eq!(
        site.ok(&format!("lsdef -t osimage {name}")),
        format!("Object name: {name}\n{derived}")
    );
    site.ok(&format!("mkdef -t osimage mine --template {name}"));
    assert_eq!(
        site.ok("lsdef -t osimage mine"),
        format!("Object name: mine\n{derived}")
    );
}

#[test]
fn chdef_sets_adds_takes_and_unsets() {
    let site = Site::new();
    site.ok("mkdef 'n[1-2]' groups=compute,all");
    site.ok("mkdef -t group compute nameservers=10.0.0.1 postscripts=syslog");
    for (line, shown) in [
        (
            "chdef n1 ip=10.0.0.5 mac=525400AA0001",
            "groups=compute,all ip=10.0.0.5 mac=52:54:00:aa:00:01 nameservers=10.0.0.1 postscripts=syslog",
        ),
        (
            "chdef n1 mac=",
            "groups=compute,all ip=10.0.0.5 nameservers=10.0.0.1 postscripts=syslog",
        ),
        (
            "chdef n1 -p groups=docker,all",
            "groups=compute,all,docker ip=10.0.0.5 nameservers=10.0.0.1 postscripts=syslog",
        ),
        (
            "chdef n1 -p nameservers=10.0.0.2",
            "groups=compute,all,docker ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 postscripts=syslog",
        ),
        (
            "chdef n1 -m groups=docker,all",
            "groups=compute ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 postscripts=syslog",
        ),
        (
            "chdef n1 -p postscripts=setupntp",
            "groups=compute ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 postscripts=syslog,setupntp",
        ),
        (
            "chdef n1 'nicips.eth0=10.0.0.5|10.0.0.6' nicips.eth1=10.1.0.5",
            "groups=compute ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 nicips=eth0!10.0.0.5|10.0.0.6,eth1!10.1.0.5 postscripts=syslog,setupntp",
        ),
        (
            "chdef n1 nicips.eth0=10.0.0.7",
            "groups=compute ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 nicips=eth0!10.0.0.7,eth1!10.1.0.5 postscripts=syslog,setupntp",
        ),
        (
            "chdef n1 nicips.eth1=",
            "groups=compute ip=10.0.0.5 nameservers=10.0.0.1,10.0.0.2 nicips=eth0!10.0.0.7 postscripts=syslog,setupntp",
        ),
    ] {
        assert_eq!(site.ok(line), ONE_CHANGED, "{line}");
        let listed = site.ok("lsdef n1");
        let listed: Vec<_> = listed.lines().skip(1).map(str::trim).collect();
        assert_eq!(listed.join(" "), shown, "{line}");
    }
    assert_eq!(
        site.run("chdef n1 -m postscripts=syslog"),
        Outcome {
            code: 0,
            out: ONE_CHANGED.to_owned(),
            err: "chdef: 'syslog' is not in postscripts of the node 'n1' itself\n".to_owned(),
        }
    );
}

#[test]
fn chdef_refuses_what_it_cannot_do() {
    let site = Site::new();
    site.ok("mkdef n1 groups=all");
    for (line, expected) in [
        (
            "chdef n1",
            "chdef: nothing is to be changed: give attr=value\n",
        ),
        (
            "chdef n1 -p ip=10.0.0.1",
            "chdef: 'ip' holds one text and -p changes lists: assign the whole text\n",
        ),
        (
            "chdef n2 -m groups=all",
            "chdef: Could not find an object named 'n2' of type 'node'.\n",
        ),
        (
            "chdef n1 serialport=com1",
            "chdef: 'com1' is not a number: expected digits\n",
        ),
        (
            "chdef n1 postscript=x",
            "chdef: 'postscript' is not a valid attribute name for an object type of 'node'; did you mean 'postscripts'?\n",
        ),
        (
            "chdef n1 -n 'n 2'",
            "chdef: 'n 2' is not the name of a node: expected a host name: labels of at most 63 letters, digits, '-' and '_' that neither begin nor end with '-', with a '.' between them\n",
        ),
        (
            "chdef n9 -n n10",
            "chdef: Could not find an object named 'n9' of type 'node'.\n",
        ),
        (
            "chdef n1 -n n1",
            "chdef: a definition for the node 'n1' already exists: remove it first\n",
        ),
        (
            "chdef os==rocky9 ip=",
            "chdef: the node range 'os==rocky9' names no node\n",
        ),
        (
            "chdef n1 usercomment=\"$(printf 'a\\nb')\"",
            "chdef: 'a\\nb' is not the value of an attribute: expected one line without control characters\n",
        ),
    ] {
        assert_eq!(site.fails(line), expected, "{line}");
    }
    assert_eq!(site.ok("lsdef n1"), "Object name: n1\n    groups=all\n");
}

#[test]
fn a_mistake_in_one_object_changes_none() {
    let site = Site::new();
    let stanza = "a:\n objtype=node\n groups=all\nb:\n objtype=node\n grups=all\n";
    let outcome = site.pipe("mkdef -z", stanza);
    assert_eq!((outcome.code, outcome.out.as_str()), (1, ""));
    assert!(!site.path().join("nodes").exists());
}

#[test]
fn names_change_and_comments_stay() {
    let site = Site::new();
    fs::create_dir(site.path().join("nodes")).unwrap();
    fs::create_dir(site.path().join("osimages")).unwrap();
    let nodes = "[node.n1] # the first\ngroups = [\"old\"] # for now\n";
    fs::write(site.path().join("nodes/rack.toml"), nodes).unwrap();
    fs::write(
        site.path().join("osimages/a.toml"),
        "# mine\nprofile = \"x\"\n",
    )
    .unwrap();
    site.ok("chdef n1 -n n2");
    site.ok("chdef -t group old -n new");
    site.ok("chdef -t osimage a -n b");
    assert_eq!(
        site.read("nodes/rack.toml"),
        "[node.n2] # the first\ngroups = [\"new\"] # for now\n"
    );
    assert_eq!(site.read("osimages/b.toml"), "# mine\nprofile = \"x\"\n");
    assert_eq!(
        site.ok("lsdef -a"),
        "new  (group)\nn2  (node)\nb  (osimage)\n"
    );
}

#[test]
fn members_of_a_group_are_nodes_that_name_it() {
    let site = Site::new();
    site.ok("mkdef 'n[1-4]' groups=all");
    site.ok("mkdef -t group rack members=n1,n2");
    site.ok("chdef -t group rack -p members=n3");
    site.ok("chdef -t group rack -m members=n1");
    assert_eq!(
        site.ok("lsdef -t group rack -i members -c"),
        "rack: members=n2,n3\n"
    );
    site.ok("chdef -t group rack members=n4");
    assert_eq!(site.ok("lsdef rack -s"), "n4  (node)\n");
    assert_eq!(site.ok("lsdef n4 -i groups -c"), "n4: groups=all,rack\n");
    assert_eq!(
        site.fails("chdef -t group rack -p members=n5"),
        "chdef: Could not find an object named 'n5' of type 'node'.\n"
    );
}

#[test]
fn rmdef_removes_what_is_named_and_nothing_else() {
    let site = Site::new();
    site.ok("mkdef 'n[1-4]' groups=rack,all");
    site.ok("mkdef -t osimage a profile=x");
    for (line, count) in [
        ("rmdef n1", 1),
        ("rmdef -t node -o n2,n3", 2),
        ("rmdef -t group rack", 1),
        ("rmdef -t osimage a", 1),
    ] {
        assert_eq!(
            site.ok(line),
            format!("{count} object definitions have been removed.\n"),
            "{line}"
        );
    }
    assert_eq!(
        site.ok("lsdef -a -l"),
        "Object name: all  (group)\n    members=n4\nObject name: n4  (node)\n    groups=all\n"
    );
    for (line, expected) in [
        ("rmdef", "rmdef: no object is named: give a node range\n"),
        (
            "rmdef n4,n5",
            "rmdef: Could not find an object named 'n5' of type 'node'.\n",
        ),
        (
            "rmdef -t group rack",
            "rmdef: Could not find an object named 'rack' of type 'group'.\n",
        ),
        ("rmdef ''", "rmdef: '' names no node\n"),
        ("rmdef /x.*", "rmdef: '/x.*' names no node\n"),
        ("rmdef -t group ,", "rmdef: ',' names no group\n"),
        (
            "mkdef -z </dev/null",
            "mkdef: the stanza on standard input names no object: expected lines of 'name:' and 'attr=value'\n",
        ),
        (
            "lsdef -z nosuch 2>/dev/null | chdef -z",
            "chdef: the stanza on standard input names no object: expected lines of 'name:' and 'attr=value'\n",
        ),
    ] {
        assert_eq!(site.fails(line), expected, "{line}");
    }
    assert_eq!(site.run("rmdef -a").code, 2);
    assert_eq!(
        site.ok("lsdef -z n4 | rmdef -z"),
        "1 object definitions have been removed.\n"
    );
    site.ok("mkdef n1 groups=all");
    assert_eq!(
        site.ok("rmdef -a -f"),
        "1 object definitions have been removed.\n"
    );
    assert_eq!(
        site.run("lsdef -a").err,
        "Could not find any object definitions to display.\n"
    );
}

#[test]
fn errors_of_files_name_file_and_line() {
    let site = Site::new();
    fs::create_dir(site.path().join("nodes")).unwrap();
    fs::write(
        site.path().join("nodes/x.toml"),
        "[node.a]\n\npostbootscript = []\n",
    )
    .unwrap();
    for line in [
        "lsdef",
        "chdef a ip=10.0.0.1",
        "mkdef b groups=all",
        "rmdef a",
    ] {
        let name = line.split(' ').next().unwrap();
        assert_eq!(
            site.fails(line),
            format!(
                "{name}: nodes/x.toml:3: 'postbootscript' is not a valid attribute name for an object type \
                 of 'node'; did you mean 'postbootscripts'?\n"
            )
        );
    }
}
