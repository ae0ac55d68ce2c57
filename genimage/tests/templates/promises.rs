//! What the documentation says of templates, and what they must never say.

use std::collections::BTreeSet;
use std::fs;

use definitions::{Distro, EnrolmentToken};
use genimage::check::installer_file;
use genimage::context::{ContextFields, InstallSource, TemplateContext};
use genimage::installer::InstallerKind;
use genimage::repository::Repository;
use genimage::template::RenderValues;

use crate::Case;
use crate::needs::workspace;
use crate::releases::{Extent, KEY, PROFILES, RELEASES, built_in, render, sources, template};

/// The cases.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("our_own_rules_take_every_file", &[], rules),
        Case::new("every_variable_is_a_documented_field", &[], variables),
        Case::new("every_field_is_documented_and_none_beside", &[], fields),
        Case::new("every_block_is_documented_and_none_beside", &[], blocks),
        Case::new("every_filter_is_documented", &[], filters),
        Case::new("no_asset_holds_a_secret_that_was_not_given", &[], secrets),
        Case::new(
            "signatures_are_asked_for_unless_the_definition_says_so",
            &[],
            signatures,
        ),
        Case::new(
            "a_disk_or_a_layout_takes_the_place_of_the_rule",
            &[],
            overrides,
        ),
        Case::new(
            "a_server_of_ipv6_is_reached_by_every_installer",
            &[],
            server_of_ipv6,
        ),
        Case::new(
            "a_tree_without_packages_is_installed_from_the_mirror",
            &[],
            mirrors,
        ),
    ]
}

/// What nodeset holds a node's files against before it writes them.
fn rules() {
    for release in RELEASES {
        let distro: Distro = release.osvers.parse().unwrap();
        for profile in PROFILES {
            for extent in [Extent::Full, Extent::Minimal] {
                let files = render(release, profile, &release.context(profile, extent));
                let main = &files[0]; // the rules are the installer's
                let found = installer_file(release.installer, &distro, main.name, &main.text);
                assert_eq!(
                    found.problems,
                    [],
                    "{} {profile} {extent:?}",
                    release.osvers
                );
            }
        }
    }
}

/// Addresses of IPv6 are in brackets in URLs, and dracut asks for one of them.
fn server_of_ipv6() {
    for release in RELEASES {
        let mut context = release.context("dockerhost", Extent::Full);
        let json = serde_json::to_string(&context.tree).unwrap();
        assert!(json.contains("10.1.0.1"), "{json}");
        let server = &mut context.server;
        for url in [
            &mut server.url,
            &mut server.assets,
            &mut server.tree,
            &mut server.host,
        ] {
            *url = url.replace("10.1.0.1", "[fd00:1::1]");
        }
        server.address = "fd00:1::1".to_owned();
        server.dhcp = "dhcp6";
        for repository in context.tree.iter_mut().chain(&mut context.extras) {
            repository.uri = repository.uri.replace("10.1.0.1", "[fd00:1::1]");
        }
        context.source.uri = context.source.uri.replace("10.1.0.1", "[fd00:1::1]");
        for file in render(release, "dockerhost", &context) {
            let what = format!("{} {}:\n{}", release.osvers, file.name, file.text);
            assert!(!file.text.contains("//fd00"), "{what}");
            let is_boot = file.name.ends_with("ipxe");
            let asks = file.text.contains("ip=dhcp");
            let for_6 = file.text.contains("ip=dhcp6");
            let is_live = release.installer == InstallerKind::Autoinstall;
            assert!(!is_boot || !asks || for_6 || is_live, "{what}");
        }
    }
}

fn docs() -> String {
    fs::read_to_string(workspace("docs/templates.md")).unwrap()
}

/// Returns the first column of a table in the documentation, below a heading.
fn table(heading: &str) -> BTreeSet<String> {
    let docs = docs();
    let (_, section) = docs.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

fn variables() {
    let documented = table("Fields");
    for release in RELEASES {
        for file in release.installer.files() {
            for profile in PROFILES {
                let name = template(release, profile, file.ending);
                for variable in built_in().variables(&name) {
                    let known = documented.contains(&variable)
                        || documented.iter().any(|field| {
                            field.starts_with(&format!("{variable}."))
                                || field.starts_with(&format!("{variable}["))
                        })
                        || documented.contains(&format!("{variable}[]"));
                    assert!(known, "{name}: {variable}");
                }
            }
        }
    }
}

fn fields() {
    let leaves: BTreeSet<String> = ContextFields::of_context().leaves().into_iter().collect();
    assert_eq!(leaves, table("Fields"));
}

fn blocks() {
    let mut named = BTreeSet::new();
    for source in sources() {
        named.extend(blocks_of(&source.text));
    }
    assert_eq!(named, table("Blocks"));

    let columns = [
        "debian/base.preseed",
        "ubuntu/base.autoinstall",
        "rh/base.ks",
        "suse/base.autoyast",
        "suse/base.agama",
    ];
    let docs = docs();
    for (at, name) in columns.iter().enumerate() {
        let source = sources()
            .into_iter()
            .find(|source| source.name.ends_with(name))
            .unwrap();
        // | `mode` | how the installer runs | | | • | • | |
        let rows = docs
            .lines()
            .filter(|line| line.starts_with("| `") && line.matches('|').count() == 8);
        let ticked = rows.filter(|row| row.split('|').nth(at + 3).unwrap().trim() == "•");
        let documented: BTreeSet<String> = ticked
            .map(|row| row.split('`').nth(1).unwrap().to_owned())
            .collect();
        assert_eq!(blocks_of(&source.text), documented, "{name}");
    }
}

fn blocks_of(text: &str) -> BTreeSet<String> {
    let named = text.split("<% block ").skip(1);
    named
        .map(|rest| rest.split_whitespace().next().unwrap().to_owned())
        .collect()
}

fn filters() {
    let used: BTreeSet<String> = sources()
        .iter()
        .flat_map(|source| {
            let marks = source
                .text
                .split("<@")
                .skip(1)
                .map(|rest| rest.split("@>").next().unwrap());
            let filters = marks.flat_map(|mark| mark.split('|').skip(1));
            let names =
                filters.map(|filter| filter.trim().split([' ', '(']).next().unwrap().to_owned());
            names.collect::<Vec<_>>()
        })
        .collect();
    let documented = table("Filters");
    assert!(
        used.is_subset(&documented),
        "{:?}",
        used.difference(&documented)
    );
}

fn secrets() {
    for release in RELEASES {
        for profile in PROFILES {
            let mut full = release.context(profile, Extent::Full);
            full.root.password = Some("$6$salt$onlythisone".to_owned());
            // A node enrols with a secret that is in the installer's file alone.
            let token = EnrolmentToken::placeholder().reveal();
            for file in render(release, profile, &full) {
                let is_main = file.name == release.installer.files()[0].name;
                assert_eq!(file.text.contains(&token), is_main, "{}", file.name);
            }
            full.enrolment = None;
            for file in render(release, profile, &full) {
                let given = file.text.replace("$6$salt$onlythisone", "*");
                no_secret(release.osvers, file.name, &given);
            }
            let minimal = release.context(profile, Extent::Minimal);
            for file in render(release, profile, &minimal) {
                no_secret(release.osvers, file.name, &file.text);
            }
        }
    }
}

fn no_secret(release: &str, file: &str, text: &str) {
    for mark in [
        "PRIVATE KEY",
        "$1$",
        "$2y$",
        "$5$",
        "$6$",
        "$y$",
        "token",
        "passphrase",
    ] {
        assert!(!text.contains(mark), "{release} {file}: {mark}");
    }
    // A password that was not given is a locked one, and nowhere a default.
    for line in text.lines().filter(|line| line.contains("password")) {
        let locked = ["\"*\"", ">*<", "password *", "password ", "hashedPassword"];
        assert!(
            locked.iter().any(|locked| line.contains(locked)),
            "{release} {file}: {line}"
        );
    }
}

fn signatures() {
    let unsigned = [
        "allow-unauthenticated",
        "allow_unauthenticated",
        "trusted=yes",
        "Trusted: yes",
        "gpgcheck=0",
        "nogpgcheck",
        "allowUnsigned",
        "accept_unsigned",
    ];
    for release in RELEASES {
        let render_text = |context: &TemplateContext| -> String {
            let files = render(release, "dockerhost", context);
            files.into_iter().map(|file| file.text).collect()
        };
        let says = |context: &TemplateContext| {
            let text = render_text(context);
            unsigned.iter().filter(|word| text.contains(**word)).count()
        };
        let mut context = release.context("dockerhost", Extent::Full);
        for repository in context.tree.iter_mut().chain(&mut context.extras) {
            repository.trusted = false;
            repository.key = Some(KEY.to_owned());
        }
        assert_eq!(says(&context), 0, "{}", release.osvers);
        if release.installer == InstallerKind::Preseed {
            // The installer has the key of the tree, and fetches none that it signs with.
            let text = render_text(&context);
            assert!(text.contains(
                "cp /usr/share/keyrings/archive.gpg /target/etc/apt/trusted.gpg.d/slipway-tree.gpg"
            ));
            assert!(!text.contains("/key string"), "{}", release.osvers);
            for repository in &mut context.extras {
                repository.key = Some(KEY.replace('A', "B"));
            }
            assert!(render_text(&context).contains("/key string"));
        }
        context.extras[0].trusted = true;
        assert_ne!(says(&context), 0, "{}", release.osvers);
    }
}

fn overrides() {
    for release in RELEASES {
        let mut context = release.context("compute", Extent::Minimal);
        context.disk.device = Some("/dev/disk/by-id/this".to_owned());
        context.disk.layout = Some("\"the layout\": \"of the site\"".to_owned());
        let name = template(release, "compute", release.installer.files()[0].ending);
        let text = built_in()
            .render(&name, &RenderValues::of(&context).unwrap())
            .unwrap();
        assert!(text.contains("/dev/disk/by-id/this"), "{}", release.osvers);
        assert!(text.contains("the layout"), "{}", release.osvers);
        assert!(!text.contains("/sys/block"), "{}", release.osvers);
        for own in [
            "part /",
            "partman-auto/expert_recipe",
            "name: direct",
            "<partitions",
            "ptableType",
        ] {
            assert!(!text.contains(own), "{} {own}", release.osvers);
        }
    }
}

/// A boot-only medium and two mirrors: the installer comes from the tree, every package from the mirrors.
fn mirrors() {
    for release in RELEASES {
        let mut context = release.context("dockerhost", Extent::Minimal);
        let mut mirror = context.tree[0].clone();
        mirror.name = "mirror1".to_owned();
        mirror.uri = "https://mirror.example.invalid/first".to_owned();
        mirror.directory = None;
        mirror.trusted = false;
        let second = Repository {
            name: "mirror2".to_owned(),
            uri: "https://mirror.example.invalid/second".to_owned(),
            ..mirror.clone()
        };
        context.source = InstallSource::new(&mirror.uri, false);
        context.tree = vec![mirror];
        context.extras = vec![second];
        let files = render(release, "dockerhost", &context);
        let text = |name: &str| {
            let file = files.iter().find(|file| file.name == name);
            file.map(|file| file.text.as_str()).unwrap_or_default()
        };
        let distro: Distro = release.osvers.parse().unwrap();
        let found = installer_file(release.installer, &distro, files[0].name, &files[0].text);
        assert_eq!(found.problems, [], "{}", release.osvers);
        let expected: &[(&str, &str)] = match release.installer {
            InstallerKind::Preseed => &[
                ("preseed.cfg", "d-i mirror/protocol string https\n"),
                (
                    "preseed.cfg",
                    "d-i mirror/https/hostname string mirror.example.invalid\n",
                ),
                ("preseed.cfg", "d-i mirror/https/directory string /first\n"),
                (
                    "preseed.cfg",
                    "apt-setup/local0/repository string https://mirror.example.invalid/second",
                ),
            ],
            InstallerKind::Autoinstall => &[("user-data", "https://mirror.example.invalid/second")],
            InstallerKind::Kickstart => &[
                ("ks.cfg", "url --url=https://mirror.example.invalid/first\n"),
                (
                    "ks.cfg",
                    "repo --name=mirror2 --baseurl=https://mirror.example.invalid/second\n",
                ),
                ("boot.ipxe", "inst.stage2=http://10.1.0.1/install/"),
            ],
            InstallerKind::Autoyast => &[
                (
                    "autoinst.xml",
                    "<media_url>https://mirror.example.invalid/first</media_url>",
                ),
                (
                    "autoinst.xml",
                    "<media_url>https://mirror.example.invalid/second</media_url>",
                ),
                ("boot.ipxe", "install=http://10.1.0.1/install/"),
            ],
            InstallerKind::Netboot => &[],
            InstallerKind::Agama => &[
                (
                    "boot.ipxe",
                    "inst.install_url=https://mirror.example.invalid/first",
                ),
                ("agama.json", "https://mirror.example.invalid/second"),
            ],
        };
        for (file, words) in expected {
            assert!(
                text(file).contains(words),
                "{} {file}: no {words}\n{}",
                release.osvers,
                text(file)
            );
        }
        assert!(
            !text("ks.cfg").contains("repo --name=mirror1"),
            "{}",
            release.osvers
        );
    }
}
