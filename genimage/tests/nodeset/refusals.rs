//! What is wrong is told in one sentence each, all of a run together, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::site::{IMAGE, Ran, Site};
use crate::{NO_AUTHORITY, NODES, nodeset, site};

fn failed(site: &Site, ran: &Ran, err: &[&str]) {
    let err: String = err
        .iter()
        .map(|line| format!("nodeset: {line}\n"))
        .collect();
    assert_eq!((ran.code, ran.err.as_str()), (1, err.as_str()));
    assert!(!site.path("install/autoinst").exists());
}

#[test]
fn an_osimage_that_does_not_exist_is_named_with_the_nearest() {
    let site = site();
    let ran = site.run(
        "nodeset",
        &["rack1", "osimage=debian12.9.0-x86_64-install-dockerhots"],
    );
    failed(
        &site,
        &ran,
        &[
            "Could not find an object named 'debian12.9.0-x86_64-install-dockerhots' of type 'osimage'. Did you mean 'debian12.9.0-x86_64-install-dockerhost'?",
        ],
    );
}

#[test]
fn a_profile_without_a_template_or_a_list_says_where_to_put_one() {
    let site = site();
    site.osimage(IMAGE, "profile = \"gpu\"\n");
    failed(
        &site,
        &nodeset(&site, &[]),
        &[
            &format!(
                "{IMAGE}: no package list for the profile 'gpu' of debian12.9.0: name one in the osimage's pkglist, or write pkglists/debian/gpu.pkglist in the directory of your own files"
            ),
            &format!(
                "{IMAGE}: the osimage {IMAGE}: no template for the profile 'gpu' of debian12.9.0: name one in the osimage's template, or write templates/debian/gpu.preseed in the directory of your own files"
            ),
        ],
    );
}

#[test]
fn what_is_wrong_with_the_site_hides_nothing_that_is_wrong_with_an_osimage_or_a_node() {
    let site = site();
    let settings = site.read("config/site.toml");
    let keys = settings
        .lines()
        .find(|line| line.starts_with("authorizedkeys"));
    let settings = settings.replace(
        keys.unwrap(),
        "authorizedkeys = \"/no/such/keys\"\ntimezone = \"Europe/Berlinn\"",
    );
    site.write("config/site.toml", &settings);
    site.write(
        "install/custom/pkglists/debian/dockerhost.pkglist",
        "opensh-server\n",
    );
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for expected in [
        "nodeset: the site's authorizedkeys: reading /no/such/keys: No such file or directory (os error 2)\n",
        "Europe/Berlinn",
        "there is no package 'opensh-server' in tree",
    ] {
        assert!(ran.err.contains(expected), "{expected}: {}", ran.err);
    }
    // With an osimage that is right, a problem of a node is found, too.
    site.write(
        "install/custom/pkglists/debian/dockerhost.pkglist",
        "openssh-server\n",
    );
    let nodes = site.read("config/nodes/nodes.toml");
    site.write(
        "config/nodes/nodes.toml",
        &format!("{nodes}[node.late]\ngroups = [\"rack1\"]\n"),
    );
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for expected in ["/no/such/keys", "Europe/Berlinn", "late: "] {
        assert!(ran.err.contains(expected), "{expected}: {}", ran.err);
    }
    assert!(!site.path("install/autoinst").exists());
    assert_eq!(site.read("install/postscripts/firstboot"), "firstboot");
}

#[test]
fn a_package_that_does_not_exist_is_named_with_file_line_and_the_nearest() {
    let site = site();
    site.write(
        "install/custom/pkglists/debian/dockerhost.pkglist",
        "# ours\nopensh-server\nchrony=2.0-1\n",
    );
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains("/install/custom/pkglists/debian/dockerhost.pkglist:2: ")
            && lines[0].contains("'opensh-server'")
            && lines[0].contains("'openssh-server'"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("dockerhost.pkglist:3: ") && lines[1].contains("1.0-1"),
        "{}",
        lines[1]
    );
    assert!(!site.path("install/autoinst").exists());
}

#[test]
fn what_is_wrong_with_nodes_is_reported_together_and_the_others_are_written() {
    let site = site();
    site.nodes(&format!(
        "{NODES}
[node.host03]
groups = [\"rack1\"]
[node.host04]
groups = [\"rack1\"]
ip = \"192.0.2.4\"
mac = \"52:54:00:00:00:04\"
[node.host05]
groups = [\"rack1\"]
ip = \"10.1.0.12\"
mac = \"52:54:00:00:00:05\"
arch = \"aarch64\"
postbootscripts = [\"missing -x\"]
"
    ));
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err.lines().collect::<Vec<_>>(),
        [
            NO_AUTHORITY.trim_end(),
            "nodeset: host02: its address 10.1.0.12 is also that of host05",
            "nodeset: host03: no MAC, so its network cannot be named before it boots: chdef host03 mac=52:54:00:00:00:01",
            "nodeset: host04: its address 192.0.2.4 is in no network of the site: there are rack (10.1.0.0/16)",
            "nodeset: host05: 'missing -x' of the node: there is no HERE/install/postscripts/missing",
            "nodeset: host05: it is aarch64, and the osimage debian12.9.0-x86_64-install-dockerhost is for x86_64",
            "nodeset: host05: its address 10.1.0.12 is also that of host02",
        ]
    );
    assert_eq!(
        ran.out,
        "host01: boot.cpio.gz new, boot.ipxe new, postscripts.json new, preseed.cfg new\n5 nodes: 1 written, 4 failed\n"
    );
    let mut written: Vec<_> = fs::read_dir(site.path("install/autoinst"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    written.sort();
    assert_eq!(written, [".lock", "host01"]);
}

#[test]
fn what_no_installer_could_use_is_refused_before_it_is_written() {
    let site = site();
    let settings = site.read("config/site.toml");
    let wrong = "domain = \"rack one\"\nntpservers = [\"pool.example iburst\"]\n";
    site.write("config/site.toml", &format!("{settings}{wrong}"));
    let nodes = NODES.replacen("[node.host01]", "[node.host01]\ninstallnic = \"eth0.7\"", 1);
    site.nodes(&nodes);
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    for line in [
        "nodeset: the site: 'rack one' is not a domain: it has other characters than letters, digits, '-', '_' and '.': \
         write one such as example.com\n",
        "nodeset: the site: 'pool.example iburst' of its ntpservers is neither an address nor a host name: ",
        "nodeset: host01: its installnic 'eth0.7' is a VLAN, ",
    ] {
        assert!(ran.err.contains(line), "{line}{}", ran.err);
    }
    site.write("config/site.toml", &settings);
    site.nodes(NODES);
    site.write(
        "install/custom/templates/debian/dockerhost.preseed",
        "<% extends \"builtin/debian/dockerhost.preseed\" %>\n<% block clock %>\nd-i time/zone string Europe/Berln\n\
         <% endblock clock %>\n",
    );
    let ran = nodeset(&site, &[]);
    let line =
        ": the time zone 'Europe/Berln' does not exist: `timedatectl list-timezones` lists them";
    assert!(ran.code == 1 && ran.err.contains(line), "{}", ran.err);
}

#[test]
fn a_template_that_asks_for_what_is_not_there_is_reported_once_with_file_and_line() {
    let site = site();
    site.write(
        "install/custom/templates/debian/dockerhost.preseed",
        "<% extends \"builtin/debian/dockerhost.preseed\" %>\n<% block extra %>\n# <@ node.rak @>\n<% endblock extra %>\n",
    );
    failed(
        &site,
        &nodeset(&site, &[]),
        &[&format!(
            "{IMAGE}: HERE/install/custom/templates/debian/dockerhost.preseed:3: 'node.rak' is not a field: did you mean 'node.mac'?"
        )],
    );
}

/// A node that nothing checks the boot of is none that the site accepts, and no file is left for it.
#[test]
fn a_node_below_the_least_level_of_the_site_is_refused() {
    let site = site();
    let text = site.read("config/site.toml");
    site.write("config/site.toml", &format!("{text}bootlevel = \"2\"\n"));
    failed(
        &site,
        &nodeset(&site, &[]),
        &[
            "the site's bootlevel is 2, and its nodes boot an iPXE that checks nothing: run slipway-trust ipxe, then makedhcp \
           -n; or chdef -t site clustersite bootlevel=1",
        ],
    );
    site.write("config/site.toml", &format!("{text}bootlevel = \"3\"\n"));
    let ran = nodeset(&site, &[]);
    assert!(
        ran.code == 1
            && ran
                .err
                .contains("'3' is not a boot level: expected '1' or '2'"),
        "{}",
        ran.err
    );
}

#[test]
fn an_override_of_nothing_is_refused() {
    let site = site();
    for (text, message) in [
        (
            "<% extends \"builtin/debian/dockerhots.preseed\" %>\n",
            ":1: there is no template 'builtin/debian/dockerhots.preseed': did you mean 'builtin/debian/dockerhost.preseed'?",
        ),
        (
            "<% extends \"builtin/debian/dockerhost.preseed\" %>\n<% block dick %>\n<% endblock dick %>\n",
            ":2: ",
        ),
    ] {
        site.write("install/custom/templates/debian/dockerhost.preseed", text);
        let ran = nodeset(&site, &[]);
        assert_eq!(ran.code, 1);
        assert!(
            ran.err.contains(&format!(
                "/install/custom/templates/debian/dockerhost.preseed{message}"
            )),
            "{}",
            ran.err
        );
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    assert!(!site.path("install/autoinst").exists());
}

#[test]
fn a_target_that_cannot_be_written_is_named_and_nothing_is_half_done() {
    let site = site();
    site.write("install/autoinst", "a file");
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    assert_eq!(site.read("install/autoinst"), "a file");
    assert!(ran.err.contains("HERE/install/autoinst"), "{}", ran.err);

    // A file of the administrator's among a node's assets stays, and is named.
    fs::remove_file(site.path("install/autoinst")).unwrap();
    site.write("install/autoinst/host01/notes.txt", "mine");
    let ran = nodeset(&site, &[]);
    assert_eq!(
        ran.err.strip_prefix(NO_AUTHORITY),
        Some(
            "nodeset: host01: HERE/install/autoinst/host01/notes.txt is not an asset that nodeset writes, and so it is not removed: move it away\n"
        )
    );
    assert_eq!(site.read("install/autoinst/host01/notes.txt"), "mine");
    assert!(site.path("install/autoinst/host02/preseed.cfg").exists());
}

#[test]
fn a_directory_without_the_right_to_write_is_named() {
    let site = site();
    fs::create_dir(site.path("install/autoinst")).unwrap();
    fs::set_permissions(
        site.path("install/autoinst"),
        fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    let output = std::process::Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .arg(env!("CARGO_BIN_EXE_nodeset"))
        .args(["rack1", &format!("osimage={IMAGE}")])
        .env("SLIPWAY_CONFIG", site.path("config"))
        .env_remove("RUST_BACKTRACE")
        .output();
    // Without root, the mode alone keeps us out.
    let err = match output {
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("setpriv:") => {
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8(output.stderr).unwrap()
        }
        _ => nodeset(&site, &[]).err,
    };
    let lock = site.path("install/autoinst/.lock");
    assert_eq!(
        err.replace(
            "HERE",
            site.path("").display().to_string().trim_end_matches('/')
        ),
        format!(
            "nodeset: locking {}: Permission denied (os error 13)\n",
            lock.display()
        )
    );
}

#[test]
fn a_node_range_that_names_nobody_is_an_error() {
    let site = site();
    let ran = site.run("nodeset", &["host9", "osimage"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            1,
            "nodeset: Could not find an object named 'host9' of type 'node'. Did you mean 'host01'?\n"
        )
    );
    let ran = site.run("nodeset", &["host01", "osimage"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            1,
            "nodeset: host01: no osimage: nodeset host01 osimage=NAME, or chdef host01 provmethod=NAME\n"
        )
    );
}

#[test]
fn no_secret_is_published_unless_the_site_accepts_that() {
    let why = "looks like a secret, and whoever reaches the web server can fetch what nodes fetch: keep it on the node, \
               in a file that the script reads, or accept that with chdef -t site publishsecrets=1";
    let site = site();
    let settings = site.read("config/site.toml");
    site.osimage(
        IMAGE,
        "profile = \"dockerhost\"\nenvironvar = [\"REGISTRY_PASSWORD=Geheim\"]\n",
    );
    failed(
        &site,
        &nodeset(&site, &[]),
        &[&format!(
            "{IMAGE}: the osimage {IMAGE}: the variable REGISTRY_PASSWORD of its scripts {why}"
        )],
    );
    site.osimage(IMAGE, "profile = \"dockerhost\"\n");
    site.nodes(&NODES.replace("\"setupdockerhost\"", "\"setupdockerhost --token=Geheim\""));
    failed(
        &site,
        &nodeset(&site, &[]),
        &[
            &format!("host01: '--token' of the script setupdockerhost {why}"),
            &format!("host02: '--token' of the script setupdockerhost {why}"),
        ],
    );
    site.write(
        "config/secrets.toml",
        "[site.clustersite]\nrootpassword = \"$6$salt$hash\"\n",
    );
    site.nodes(NODES);
    let preseed = "install/autoinst/host01/preseed.cfg";
    let mode = || {
        let metadata = fs::metadata(site.path(preseed)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let ran = nodeset(&site, &[]);
    match ran.code {
        // run as root, beside a web server's group: nobody else may read it
        0 => {
            assert!(
                ran.err.contains("note: root's crypted password is in"),
                "{}",
                ran.err
            );
            assert_eq!(mode(), 0o640);
        }
        _ => failed(
            &site,
            &ran,
            &[
                "the site's rootpassword would be in files that every user of this machine can read: run this as root \
                 where a web server is installed, or use authorizedkeys and unset it (chdef -t site \
                 rootpassword=), or accept that with chdef -t site publishsecrets=1",
            ],
        ),
    }
    site.write(
        "config/site.toml",
        &format!("{settings}publishsecrets = \"1\"\n"),
    );
    assert_eq!(nodeset(&site, &[]).code, 0);
    let text = site.read(preseed);
    assert!(
        text.contains("passwd/root-password-crypted password $6$salt$hash"),
        "{text}"
    );
}

#[test]
fn a_template_with_a_secret_is_refused_unless_the_site_accepts_that() {
    let site = site();
    let settings = site.read("config/site.toml");
    site.osimage(
        IMAGE,
        "profile = \"dockerhost\"\nenvironvar = [\"GITHUB_PAT=Geheim\", \"PROXY=me:Geheim@proxy.example.invalid:3128\"]\n",
    );
    let why = "looks like a secret, and whoever reaches the web server can fetch what nodes fetch: keep it on the node, \
               in a file that the script reads, or accept that with chdef -t site publishsecrets=1";
    failed(
        &site,
        &nodeset(&site, &[]),
        &[
            &format!("{IMAGE}: the osimage {IMAGE}: the variable GITHUB_PAT of its scripts {why}"),
            &format!("{IMAGE}: the osimage {IMAGE}: the variable PROXY of its scripts {why}"),
        ],
    );
    site.osimage(IMAGE, "profile = \"dockerhost\"\n");
    site.write(
        "install/custom/templates/debian/base.preseed",
        "<% extends \"builtin/debian/base.preseed\" %>\n<% block extra %>\n\
         d-i passwd/root-password password Geheim\n\
         # ghp_0123456789abcdefghijklmnopqrstuvwxyz\n<% endblock extra %>\n",
    );
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for expected in [
        "'passwd/root-password' is a password in plain text: write 'passwd/root-password-crypted' with what `mkpasswd \
         -m sha-512` prints, or accept that with chdef -t site publishsecrets=1",
        "this line has a credential, and whoever reaches the web server can fetch this file: keep it on the node, or \
         accept that with chdef -t site publishsecrets=1",
    ] {
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
    assert!(!ran.err.contains("Geheim") && !ran.err.contains("ghp_"));
    assert!(!site.path("install/autoinst/host01").exists());
    site.write(
        "config/site.toml",
        &format!("{settings}publishsecrets = \"1\"\n"),
    );
    assert_eq!(nodeset(&site, &[]).code, 0);
}
