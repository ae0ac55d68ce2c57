//! `nodeset` and `genimage` as an administrator runs them: what is written, what stays, what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod installer;
mod netboot;
mod refusals;
mod site;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use site::{IMAGE, Ran, Site};

/// Two docker hosts of a rack.
const NODES: &str = r#"
[group.xcatdefaults]
postbootscripts = []

[group.rack1]
postbootscripts = ["xHRM bridgeprereq eth0:mydocker0", "setupdockerhost"]

[node.host01]
groups = ["rack1", "all"]
ip = "10.1.0.11"
mac = "52:54:00:00:00:01"

[node.host02]
groups = ["rack1", "all"]
ip = "10.1.0.12"
mac = "52:54:00:00:00:02"
"#;

fn site() -> Site {
    let site = Site::new();
    site.nodes(NODES);
    site
}

fn nodeset(site: &Site, more: &[&str]) -> Ran {
    let image = format!("osimage={IMAGE}");
    site.run("nodeset", &[&["rack1", &image], more].concat())
}

/// What is said to a site whose nodes do not enrol, when they get files.
const NO_AUTHORITY: &str = "nodeset: note: the site has no authority (slipway-trust init): nodes do not enrol, and whoever \
    answers on their network in this machine's place while they boot is root on them: keep that network separate\n";

fn written(out: &str) -> Ran {
    Ran {
        err: NO_AUTHORITY.to_owned(),
        ..done(out)
    }
}

fn done(out: &str) -> Ran {
    Ran {
        code: 0,
        out: out.to_owned(),
        err: String::new(),
    }
}

#[test]
fn nodes_of_several_batches_are_published_together() {
    let site = Site::new();
    let node = |n: usize| {
        format!(
            "[node.n{n:03}]\ngroups = [\"rack1\"]\nip = \"10.1.{}.{}\"\nmac = \"52:54:00:00:{:02x}:{:02x}\"\n",
            1 + n / 200,
            1 + n % 200,
            n / 200,
            n % 200
        )
    };
    site.nodes(&(0..=500).map(node).collect::<String>());
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.err, NO_AUTHORITY);
    assert!(
        ran.out.ends_with("\n501 nodes: 501 written\n"),
        "{}",
        ran.out
    );
    for name in ["n000", "n499", "n500"] {
        let preseed = site.read(&format!("install/autoinst/{name}/preseed.cfg"));
        assert!(preseed.contains(&format!("d-i netcfg/hostname string {name}\n")));
    }
}

#[test]
fn nodes_get_their_files_and_a_second_run_touches_nothing() {
    let site = site();
    assert_eq!(
        nodeset(&site, &[]),
        written(
            "host01: boot.cpio.gz new, boot.ipxe new, postscripts.json new, preseed.cfg new\n\
             host02: boot.cpio.gz new, boot.ipxe new, postscripts.json new, preseed.cfg new\n\
             2 nodes: 2 written\n"
        )
    );
    let preseed = site.read("install/autoinst/host01/preseed.cfg");
    for line in [
        "d-i netcfg/hostname string host01\n",
        "d-i mirror/http/hostname string 10.1.0.1\n",
        "d-i mirror/http/directory string /install/debian12.9.0/x86_64\n",
        "d-i pkgsel/include string openssh-server chrony iproute2 ca-certificates gawk nfs-common snmpd iptables \
         apparmor docker.io\n",
        "d-i passwd/root-password-crypted password *\n",
    ] {
        assert!(preseed.contains(line), "{line}{preseed}");
    }
    let boot = site.read("install/autoinst/host02/boot.ipxe");
    assert!(
        boot.contains(" initrd=initrd.gz initrd=boot.cpio.gz priority=critical file=/preseed.cfg ")
            && boot.ends_with(
                "initrd --name boot.cpio.gz http://10.1.0.1/install/autoinst/host02/boot.cpio.gz\nboot\n"
            ),
        "{boot}"
    );
    let mode = fs::metadata(site.path("install/autoinst/host01/preseed.cfg"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);

    let before = site.standing("install");
    assert_eq!(nodeset(&site, &[]), done("2 nodes: 2 unchanged\n"));
    assert_eq!(site.standing("install"), before);
}

/// The installer finds in its initrd what it would else have to fetch from whoever answers.
#[test]
fn the_archive_after_the_initrd_holds_the_installer_s_file() {
    let site = site();
    assert_eq!(nodeset(&site, &[]).code, 0);
    let path = site.path("install/autoinst/host01/boot.cpio.gz");
    let packed = fs::read(&path).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_end(&mut plain)
        .unwrap();
    let holds = |text: &str| {
        plain
            .windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(holds(&site.read("install/autoinst/host01/preseed.cfg")));
    assert!(holds(
        &site.read("install/autoinst/host01/postscripts.json")
    ));
    assert!(holds("preseed.cfg\0"));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[test]
fn a_site_without_an_authority_cannot_arm_nodes() {
    let site = site();
    let ran = nodeset(&site, &["--arm"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            1,
            "nodeset: the site has no authority that nodes could enrol at: run slipway-trust init\n"
        )
    );
    assert!(!site.path("install/autoinst").exists());
}

/// What a node enrols with is put into files that are rendered and checked, and nobody else may read.
#[test]
fn nodes_that_cannot_be_armed_get_nothing() {
    let site = site();
    site.write("config/trust/root.crt", "-----BEGIN CERTIFICATE-----\n");
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.err
            .contains("host01: 'enrol' of the site: there is no HERE/install/postscripts/enrol\n"),
        "{}",
        ran.err
    );
    site.write("install/postscripts/enrol", "enrol");
    let program = site.path("bin/slipway-trust");
    site.write(
        "bin/slipway-trust",
        "#!/bin/sh\necho \"slipway-trust: reading the key of 'nodes': $*\" >&2\nexit 1\n",
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let image = format!("osimage={IMAGE}");
    let mut command = site.command("nodeset", &["rack1", &image]);
    let path = std::env::join_paths([
        program.parent().unwrap(),
        "/usr/bin".as_ref(),
        "/bin".as_ref(),
    ]);
    let output = command.env("PATH", path.unwrap()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // beside the binary there may be a real one, which finds no authority that is one
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.starts_with("nodeset: arming nodes: slipway-trust arm: "),
        "{said}"
    );
    assert!(!site.path("install/autoinst/host01").exists());
}

#[test]
fn nodes_whose_files_are_not_published_are_not_left_armed() {
    const TRUST: &str = r#"#!/bin/sh
echo "$3 $4" >>"$0.log"
for last; do :; done
case "$3 $*" in
arm*)
    comma= IFS=,
    printf '{"nodes":['
    for node in $4; do
        printf '%s{"node":"%s","token":"TOKEN","until":"2026-01-01T00:00:00Z"}' "$comma" "$node"
        comma=,
    done
    printf ']}' ;;
"sign "*--out*)
    for file; do
        case "$file" in *=*) echo >"$last/${file##*/}.sig" ;; esac
    done ;;
"sign "*)
    echo "slipway-trust: signing nothing" >&2
    exit 1 ;;
esac
"#;
    let site = site();
    site.write("config/trust/root.crt", "-----BEGIN CERTIFICATE-----\n");
    site.write("config/trust/ipxe.json", "{}\n");
    site.write("install/postscripts/enrol", "enrol");
    let token = definitions::EnrolmentToken::placeholder().reveal();
    site.write("bin/slipway-trust", &TRUST.replace("TOKEN", &token));
    let trust = site.path("bin/slipway-trust");
    fs::set_permissions(&trust, fs::Permissions::from_mode(0o755)).unwrap();
    // the program beside it is the one that it runs
    let nodeset = site.path("bin/nodeset");
    let built = env!("CARGO_BIN_EXE_nodeset");
    fs::hard_link(built, &nodeset)
        .or_else(|_| fs::copy(built, &nodeset).map(drop))
        .unwrap();
    let output = std::process::Command::new(nodeset)
        .args(["rack1", &format!("osimage={IMAGE}")])
        .env("SLIPWAY_CONFIG", site.path("config"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "nodeset: signing what nodes boot: slipway-trust sign: signing nothing\n"
    );
    assert_eq!(output.status.code(), Some(1));
    let log = site.read("bin/slipway-trust.log");
    let armed = log.lines().find_map(|line| line.strip_prefix("arm "));
    let disarmed = format!("disarm {}", armed.unwrap());
    assert_eq!(log.lines().last(), Some(disarmed.as_str()), "{log}");
    assert!(!site.path("install/autoinst/host01").exists());
}

#[test]
fn the_list_of_scripts_names_what_they_must_be_and_their_environment() {
    let site = site();
    assert_eq!(nodeset(&site, &[]).code, 0);
    let list: serde_json::Value =
        serde_json::from_str(&site.read("install/autoinst/host01/postscripts.json")).unwrap();
    assert_eq!(list["source"], "http://10.1.0.1/install/postscripts");
    assert_eq!(
        list["postbootscripts"],
        serde_json::json!([
            { "origin": "node", "line": "xHRM bridgeprereq eth0:mydocker0" },
            { "origin": "node", "line": "setupdockerhost" },
        ])
    );
    let programs: Vec<_> = list["programs"].as_object().unwrap().keys().collect();
    assert_eq!(
        programs,
        ["bridgeprereq", "dockerauthz", "setupdockerhost", "xHRM"]
    );
    for (name, value) in [
        ("NODE", "host01"),
        ("MASTER", "10.1.0.1"),
        ("IPADDR", "10.1.0.11"),
        ("MACADDRESS", "52:54:00:00:00:01"),
        ("OSVER", "debian12.9.0"),
        ("ARCH", "x86_64"),
        ("GROUP", "rack1,all"),
        ("NODESETSTATE", "install"),
        ("UPDATENODE", "0"),
        ("OTHERPKGS1", "docker.io"),
        ("NETWORKS_LINES", "1"),
        (
            "NETWORKS_LINE1",
            "netname=rack||mask=255.255.0.0||net=10.1.0.0",
        ),
    ] {
        assert_eq!(list["environment"][name], value, "{name}");
    }
}

/// A key that nodes would have to fetch is one that anybody could choose: it goes along.
#[test]
fn the_keys_of_mirrors_are_in_the_list_under_the_numbers_after_the_tree() {
    let site = site();
    let key = |packet: &str| {
        format!(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{packet}\n-----END PGP PUBLIC KEY BLOCK-----\n"
        )
    };
    site.write("keys/first.asc", &key("mAEE"));
    site.write("keys/third.asc", &key("mAEG"));
    let definition = format!("config/osimages/{IMAGE}.toml");
    let keys = site.path("keys");
    let mirrors = format!(
        "\"[name=own signed-by={keys}/first.asc] http://mirror.example.invalid/own stable main\", \
         \"[signed-by=distribution] http://mirror.example.invalid/debian bookworm main\", \
         \"[signed-by={keys}/third.asc] http://mirror.example.invalid/more stable main\"]\n",
        keys = keys.display()
    );
    let text = site
        .read(&definition)
        .replacen("]\n", &format!(", {mirrors}"), 1);
    site.write(&definition, &text);
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let list: serde_json::Value =
        serde_json::from_str(&site.read("install/autoinst/host01/postscripts.json")).unwrap();
    let environment = list["environment"].as_object().unwrap();
    let keys: Vec<_> = environment
        .iter()
        .filter(|(name, _)| name.contains("PKGKEY"))
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let armoured =
        |packet: &str, sum: &str| key(packet).replace("\n-----END", &format!("\n={sum}\n-----END"));
    assert_eq!(
        keys,
        [
            ("OSPKGKEY1", armoured("mAEE", "0TYy").as_str()),
            ("OSPKGKEY3", armoured("mAEG", "W+M/").as_str()),
        ]
    );
}

#[test]
fn what_changes_is_shown_before_and_only_that_is_written() {
    let site = site();
    // as in a tree that copycds imported, with which nodeset keeps what it has read of the initrd
    let record = "install/debian12.9.0/x86_64/.slipway";
    fs::create_dir(site.path(record)).unwrap();
    let before = site.standing("");
    assert_eq!(
        nodeset(&site, &["--dry-run"]).out.lines().last(),
        Some("2 nodes: 2 to be written")
    );
    assert_eq!(site.run("genimage", &[IMAGE]).code, 0);
    assert_eq!(site.standing(""), before);
    assert_eq!(nodeset(&site, &[]).code, 0);
    assert!(site.path(record).join("initrd.json").exists());
    let before = site.standing("install");
    site.nodes(&NODES.replace("10.1.0.11", "10.1.0.21"));
    let ran = nodeset(&site, &["--dry-run", "--diff"]);
    assert_eq!(site.standing("install"), before);
    assert!(ran.out.starts_with("host01: would write boot.cpio.gz changed, postscripts.json changed, preseed.cfg changed\n--- a/host01/postscripts.json\n+++ b/host01/postscripts.json\n"), "{}", ran.out);
    assert!(
        ran.out
            .contains("-    \"IPADDR\": \"10.1.0.11\",\n+    \"IPADDR\": \"10.1.0.21\",\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with("2 nodes: 1 to be written, 1 unchanged\n"),
        "{}",
        ran.out
    );

    assert_eq!(
        nodeset(&site, &[]).out,
        "host01: boot.cpio.gz changed, postscripts.json changed, preseed.cfg changed\n2 nodes: 1 written, 1 unchanged\n"
    );
    let host02 = |standing: Vec<(std::path::PathBuf, u64, i64)>| {
        standing
            .into_iter()
            .filter(|(path, ..)| path.display().to_string().contains("host02"))
            .collect::<Vec<_>>()
    };
    assert_eq!(host02(site.standing("install")), host02(before));
}

/// What is shown is kept by a terminal's history and by logs.
#[test]
fn what_a_node_enrols_with_is_not_shown() {
    let site = site();
    site.write("config/trust/root.crt", "-----BEGIN CERTIFICATE-----\n");
    site.write("install/postscripts/enrol", "enrol");
    let published = format!("SLIPWAY-1-{}-{}", "ab".repeat(32), "cd".repeat(16));
    let preseed = "install/autoinst/host01/preseed.cfg";
    site.write(preseed, &format!("token {published}\n"));
    site.write("install/autoinst/host01/boot.cpio", &published);
    let ran = nodeset(&site, &["--dry-run", "--diff"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("-token SLIPWAY-1-…\n"), "{}", ran.out);
    assert!(ran.out.contains("\"token\":\"SLIPWAY-1-…\""), "{}", ran.out);
    for secret in ["cd".repeat(16), "0".repeat(32)] {
        assert!(!ran.out.contains(&secret), "{}", ran.out);
    }
}

#[test]
fn a_tree_that_nothing_signs_is_noted_once() {
    let site = site();
    let signature = "install/debian12.9.0/x86_64/dists/bookworm/Release.gpg";
    fs::remove_file(site.path(signature)).unwrap();
    let ran = site.run("genimage", &[IMAGE]);
    assert_eq!(
        ran.err.matches("has no InRelease").count(),
        1,
        "{}",
        ran.err
    );
}

#[test]
fn a_node_remembers_what_it_was_given() {
    let site = site();
    assert_eq!(nodeset(&site, &[]).code, 0);
    let nodes = site.read("config/nodes/nodes.toml");
    assert_eq!(
        nodes.matches(&format!("provmethod = \"{IMAGE}\"")).count(),
        2,
        "{nodes}"
    );
    // From then on the osimage need not be named.
    assert_eq!(
        site.run("nodeset", &["host01", "osimage"]),
        done("1 node: 1 unchanged\n")
    );
    // Another one takes its place, files and all.
    let other = "osimage=debian12.9.0-x86_64-install-compute";
    assert_eq!(site.run("nodeset", &["host01", other]).code, 0);
    assert!(
        site.read("config/nodes/nodes.toml")
            .contains("debian12.9.0-x86_64-install-compute")
    );
}

#[test]
fn results_come_as_json() {
    let site = site();
    let ran = nodeset(&site, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let files = [
        "boot.cpio.gz",
        "boot.ipxe",
        "postscripts.json",
        "preseed.cfg",
    ];
    let files = files.map(|file| serde_json::json!({ "file": file, "change": "new" }));
    let nodes = ["host01", "host02"].map(|node| {
        serde_json::json!({
            "node": node, "osimage": IMAGE, "state": "written", "files": files, "problems": [], "notes": [],
        })
    });
    assert_eq!(
        report,
        serde_json::json!({
            "programs": [],
            "problems": [],
            "notes": [NO_AUTHORITY.trim_start_matches("nodeset: note: ").trim_end()],
            "osimages": { IMAGE: { "problems": [], "notes": [] } },
            "nodes": nodes,
        })
    );
}

#[test]
fn a_site_overrides_a_block_and_a_list_without_copying_either() {
    let site = site();
    site.write(
        "install/custom/templates/debian/dockerhost.preseed",
        "<% extends \"builtin/debian/dockerhost.preseed\" %>\n<% block extra %>\nd-i hw-detect/load_firmware boolean true\n<% endblock extra %>\n",
    );
    site.write(
        "install/custom/pkglists/debian/dockerhost.pkglist",
        "#INCLUDE:builtin/pkglists/debian/dockerhost.pkglist#\n-snmpd # ours\n",
    );
    let ran = nodeset(&site, &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, NO_AUTHORITY));
    let preseed = site.read("install/autoinst/host01/preseed.cfg");
    assert!(
        preseed.contains("\nd-i hw-detect/load_firmware boolean true\n"),
        "{preseed}"
    );
    assert!(preseed.contains("apt-get -y purge snmpd"), "{preseed}");
    let ran = site.run("genimage", &["--list-assets", IMAGE]);
    assert_eq!(
        ran.out,
        "template:\n  \
           HERE/install/custom/templates/debian/dockerhost.preseed: for every release on every architecture\n  \
           shadowed: templates/debian/dockerhost.preseed (built in): for every release on every architecture\n\
         pkglist:\n  \
           HERE/install/custom/pkglists/debian/dockerhost.pkglist: for every release on every architecture\n  \
           shadowed: pkglists/debian/dockerhost.pkglist (built in): for every release on every architecture\n\
         otherpkglist:\n  \
           pkglists/debian/dockerhost.debian12.otherpkgs.pkglist (built in): for debian12 on every architecture\n  \
           shadowed: pkglists/debian/dockerhost.otherpkgs.pkglist (built in): for every release on every architecture\n"
    );
}

#[test]
fn what_is_built_in_is_written_out_once_and_never_over_an_edit() {
    let site = site();
    let ran = site.run("genimage", &["--export-assets", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out
            .contains("out/templates/debian/base.preseed: written\n"),
        "{}",
        ran.out
    );
    site.write("out/pkglists/debian/base.pkglist", "mine\n");
    let ran = site.run("genimage", &["--export-assets", "out"]);
    assert!(
        ran.out
            .contains("out/pkglists/debian/base.pkglist: was edited, and is kept\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("out/templates/debian/base.preseed: exists already\n"),
        "{}",
        ran.out
    );
    assert_eq!(site.read("out/pkglists/debian/base.pkglist"), "mine\n");
}

#[test]
fn an_osimage_is_checked_without_a_node() {
    let site = site();
    assert_eq!(
        site.run("genimage", &[IMAGE]),
        done(&format!(
            "{IMAGE}: boot.cpio.gz, boot.ipxe, postscripts.json, preseed.cfg are valid\n"
        ))
    );
    assert!(!site.path("install/autoinst").exists());
    let shown = site.run("genimage", &[IMAGE, "--show", "preseed.cfg"]);
    assert!(
        shown.out.contains("d-i netcfg/hostname string node\n"),
        "{}",
        shown.out
    );
    let context = site.run("genimage", &["--context", IMAGE]);
    let context: serde_json::Value = serde_json::from_str(&context.out).unwrap();
    assert_eq!(
        context["server"]["tree"],
        "http://10.1.0.1/install/debian12.9.0/x86_64"
    );
    assert_eq!(
        context["root"]["keys"][0],
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmE admin"
    );
}

#[test]
fn programs_that_ship_beside_nodeset_are_served_and_kept_up_to_date() {
    let site = site();
    fs::remove_dir_all(site.path("install/postscripts")).unwrap();
    for program in [
        "firstboot",
        "bridgeprereq",
        "xHRM",
        "setupdockerhost",
        "dockerauthz",
    ] {
        site.write(&format!("usr/share/slipway/postscripts/{program}"), program);
    }
    fs::create_dir(site.path("usr/bin")).unwrap();
    let binary = site.path("usr/bin/nodeset");
    // by another process: what another case starts meanwhile would inherit the descriptor that writes it here, and a
    // program that is open for writing cannot be run
    let copied = std::process::Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_nodeset"))
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    let image = format!("osimage={IMAGE}");
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(&binary);
        command
            .args(["host01", &image])
            .args(more)
            .env("SLIPWAY_CONFIG", site.path("config"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(
        run(&["--dry-run"]).starts_with("postscripts/bridgeprereq would be brought up to date\n")
    );
    assert!(!site.path("install/postscripts").exists());
    assert!(
        run(&[]).starts_with(
            "postscripts/bridgeprereq brought up to date\npostscripts/dockerauthz brought up to date\npostscripts/firstboot brought"
        )
    );
    assert_eq!(site.read("install/postscripts/xHRM"), "xHRM");
    assert_eq!(run(&[]), "1 node: 1 unchanged\n");

    // Another version changes the digests, and with them the lists of nodes.
    site.write("usr/share/slipway/postscripts/bridgeprereq", "newer");
    assert_eq!(
        run(&[]),
        "postscripts/bridgeprereq brought up to date\nhost01: boot.cpio.gz changed, postscripts.json changed, preseed.cfg changed\n1 node: 1 written\n"
    );
}

#[test]
fn a_web_server_reads_what_nodes_fetch_whatever_the_umask() {
    let site = site();
    let image = format!("osimage={IMAGE}");
    let nodeset = site.command("nodeset", &["rack1", &image]);
    let mut careful = Command::new("sh");
    careful
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(nodeset.get_program())
        .args(nodeset.get_args())
        .env("SLIPWAY_CONFIG", site.path("config"));
    assert!(careful.output().unwrap().status.success());
    for (name, mode) in [
        ("autoinst", 0o755),
        ("autoinst/host01", 0o755),
        ("autoinst/host01/boot.ipxe", 0o644),
        ("autoinst/host01/preseed.cfg", 0o644),
        ("autoinst/host02/postscripts.json", 0o644),
    ] {
        let metadata = fs::metadata(site.path("install").join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{name}");
    }
}
