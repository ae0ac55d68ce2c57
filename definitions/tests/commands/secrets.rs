//! What is secret is for its owner alone, on disk and in listings.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(site: &Site, name: &str) -> u32 {
    fs::metadata(site.path().join(name))
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn secrets_stand_in_a_file_of_their_own() {
    let site = Site::new();
    site.ok("mkdef n1,n2 groups=rack,all bmcusername=admin bmcpassword=Geheim1");
    site.ok("mkdef -t group rack bmcpassword=Geheim2");
    site.ok("umask 0; chdef -t site 'rootpassword=$6$salt$hash' domain=lab");
    assert_eq!(
        site.read("nodes/nodes.toml"),
        "[node.n1]\nbmcusername = \"admin\"\ngroups = [\"rack\", \"all\"]\n\n\
         [node.n2]\nbmcusername = \"admin\"\ngroups = [\"rack\", \"all\"]\n"
    );
    assert_eq!(site.read("nodes/groups.toml"), "[group.rack]\n");
    assert_eq!(site.read("site.toml"), "domain = \"lab\"\n");
    assert_eq!(
        site.read("secrets.toml"),
        "[node.n1]\nbmcpassword = \"Geheim1\"\n\n[node.n2]\nbmcpassword = \"Geheim1\"\n\n\
         [group.rack]\nbmcpassword = \"Geheim2\"\n\n[site.clustersite]\nrootpassword = \"$6$salt$hash\"\n"
    );
    assert_eq!(mode(&site, "secrets.toml"), 0o600);
    // They follow their object, and go with it.
    site.ok("chdef n1 -n n3");
    site.ok("chdef n2 bmcpassword=");
    assert_eq!(
        site.ok("lsdef n2,n3 -i bmcpassword -c --secrets"),
        "n2: bmcpassword=Geheim2\nn3: bmcpassword=Geheim1\n"
    );
    fs::set_permissions(
        site.path().join("secrets.toml"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    site.ok("rmdef n3");
    site.ok("rmdef -t group rack");
    site.ok("chdef -t site rootpassword=");
    assert!(!site.read("secrets.toml").contains("Geheim"));
    assert!(!site.read("secrets.toml").contains('$'));
    assert_eq!(mode(&site, "secrets.toml"), 0o600);
}

#[test]
fn a_secret_that_a_person_wrote_elsewhere_moves_with_the_next_change() {
    let site = Site::new();
    fs::write(
        site.path().join("site.toml"),
        "# ours\nrootpassword = \"$6$salt$hash\"\ndomain = \"lab\"\n",
    )
    .unwrap();
    assert_eq!(
        site.ok("lsdef -t site -l --secrets"),
        "Object name: clustersite\n    domain=lab\n    rootpassword=$6$salt$hash\n"
    );
    site.ok("chdef -t site domain=lab");
    assert!(!site.read("site.toml").contains("rootpassword"));
    assert_eq!(
        site.read("secrets.toml"),
        "[site.clustersite]\nrootpassword = \"$6$salt$hash\"\n"
    );
}

#[test]
fn listings_mask_secrets_and_no_mask_is_stored() {
    let site = Site::new();
    site.ok("mkdef n1 groups=all bmcpassword=Geheim1");
    assert_eq!(
        site.ok("lsdef n1"),
        "Object name: n1\n    bmcpassword=********\n    groups=all\n"
    );
    assert_eq!(
        site.ok("lsdef n1 -i bmcpassword -c"),
        "n1: bmcpassword=********\n"
    );
    assert!(
        site.ok("lsdef n1 --json")
            .contains("\"bmcpassword\": \"********\"")
    );
    let stanza = site.run("lsdef n1 -z");
    assert_eq!(
        (stanza.out.as_str(), stanza.err.as_str()),
        (
            "# <xCAT data object stanza file>\n\nn1:\n    objtype=node\n    groups=all\n",
            "lsdef: secrets of 1 objects are left out: --secrets writes them, too\n"
        )
    );
    site.ok("lsdef n1 -z --secrets | sed s/n1:/n2:/ | mkdef -z");
    assert_eq!(
        site.ok("lsdef n2 -i bmcpassword -c --secrets"),
        "n2: bmcpassword=Geheim1\n"
    );
    assert_eq!(
        site.fails("chdef n1 'bmcpassword=********'"),
        "chdef: '********' is not a secret: expected the secret itself, and not what a listing shows in its place\n"
    );
}

#[test]
fn a_password_of_root_is_crypted_and_no_message_shows_one() {
    let site = Site::new();
    assert_eq!(
        site.fails("chdef -t site rootpassword=Klartext"),
        "chdef: '(not shown)' is not a crypted password: expected what `mkpasswd -m sha-512` prints, which begins with \
         '$'\n"
    );
    let said = site.fails("chdef -t site rootpassword=\"$(printf 'Klar\\001text')\"");
    assert!(!said.contains("Klar"), "{said}");
    assert!(!site.path().join("secrets.toml").exists());
}

#[test]
fn the_file_of_secrets_holds_nothing_else() {
    let site = Site::new();
    site.ok("mkdef n1 groups=all");
    fs::write(
        site.path().join("secrets.toml"),
        "[node.n1]\nbmcpassword = \"x\"\nip = \"10.0.0.1\"\n",
    )
    .unwrap();
    assert_eq!(
        site.fails("lsdef n1"),
        "lsdef: secrets.toml:3: 'ip' is not a secret: it belongs to the node's own file\n"
    );
    fs::write(site.path().join("secrets.toml"), "[network.x]\n").unwrap();
    assert_eq!(
        site.fails("lsdef n1"),
        "lsdef: secrets.toml:1: 'network' is neither 'node' nor 'group' nor 'site', which begin the name of a table \
         here\n"
    );
}

#[test]
fn a_stanza_that_is_read_again_loses_no_secret() {
    let site = Site::new();
    site.ok("mkdef n1 groups=rack,all bmcusername=admin bmcpassword=Geheim1");
    site.ok("lsdef -z n1 2>/dev/null | sed s/admin/root/ | mkdef -z -f");
    assert_eq!(
        site.ok("lsdef n1 -i bmcusername,bmcpassword -c --secrets"),
        "n1: bmcpassword=Geheim1\nn1: bmcusername=root\n"
    );
    // said in so many words, the definition is made again
    site.ok("mkdef -f n1 groups=rack,all");
    assert!(!site.read("secrets.toml").contains("Geheim1"));
}

#[test]
fn no_umask_keeps_anybody_from_definitions_or_lets_him_see_secrets() {
    for umask in ["0", "077", "0777"] {
        let site = Site::new();
        let line = format!(
            "umask {umask}; export SLIPWAY_CONFIG=$SLIPWAY_CONFIG/etc/slipway
             mkdef n1,n2 groups=all bmcpassword=Geheim && mkdef -t group rack usercomment=x &&
             mkdef -t osimage debian12.5-x86_64-install-compute osvers=debian12.5 osarch=x86_64 profile=compute \
                 provmethod=install && mkdef -t network lan net=10.0.0.0 mask=255.0.0.0 && chdef -t site domain=lab &&
             chdef n1 bmcpassword=Geheim1 && rmdef n2"
        );
        assert_eq!(site.run(&line).err, "", "{umask}");
        for (name, expected) in [
            ("etc", 0o755),
            ("etc/slipway", 0o755),
            ("etc/slipway/nodes", 0o755),
            ("etc/slipway/nodes/nodes.toml", 0o644),
            ("etc/slipway/nodes/groups.toml", 0o644),
            ("etc/slipway/osimages", 0o755),
            (
                "etc/slipway/osimages/debian12.5-x86_64-install-compute.toml",
                0o644,
            ),
            ("etc/slipway/networks.toml", 0o644),
            ("etc/slipway/site.toml", 0o644),
            ("etc/slipway/secrets.toml", 0o600),
        ] {
            assert_eq!(mode(&site, name), expected, "{umask}: {name}");
        }
    }
}
