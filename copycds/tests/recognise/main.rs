//! What media say, as tables: the words on one side, what they make of it on the other. Each line is in
//! the form that real media have; `-` stands for an architecture that nothing tells.

mod debian;
mod labels;
mod rpm;
mod variants;

use std::sync::LazyLock;

use copycds::media::VolumeIds;
use copycds::recognise::{
    Evidence, MediumIdentity, MediumInstaller, RecognitionRules, Rejection, RequestedRelease,
    identify,
};
use definitions::Arch;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

fn recognise(evidence: &Evidence) -> Result<MediumIdentity, Rejection> {
    identify(evidence, &RULES, &RequestedRelease::default())
}

/// Distribution and architecture in one word each, or the kind of the refusal.
fn answer(evidence: &Evidence) -> String {
    match recognise(evidence) {
        Ok(verdict) => {
            let arch = verdict.arch.map_or("-", Arch::name);
            format!("{} {arch}", verdict.distro)
        }
        Err(refusal) => refusal.kind().to_owned(),
    }
}

fn volume(id: &str) -> Evidence {
    Evidence::of_volume(VolumeIds {
        volume: id.to_owned(),
        ..VolumeIds::default()
    })
}

fn application(volume: &str, application: &str) -> Evidence {
    Evidence::of_volume(VolumeIds {
        volume: volume.to_owned(),
        application: application.to_owned(),
        ..VolumeIds::default()
    })
}

fn treeinfo(family: &str, version: &str, arch: &str) -> Evidence {
    let text = format!("[general]\nfamily = {family}\nversion = {version}\narch = {arch}\n");
    Evidence::of_file(".treeinfo", text)
}

fn with_names(mut evidence: Evidence, names: &[&str]) -> Evidence {
    evidence.names = names.iter().map(|name| (*name).to_owned()).collect();
    evidence
}

fn with_file(mut evidence: Evidence, path: &str, text: &str) -> Evidence {
    evidence.files.insert(path.to_owned(), text.into());
    evidence
}

fn table(rows: &[(&str, &str)], evidence: fn(&str) -> Evidence) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(text, expected)| (text, *expected, answer(&evidence(text))))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn contradictions_show_both_sides() {
    let evidence = with_file(
        treeinfo("Rocky Linux", "9.3", "x86_64"),
        ".discinfo",
        "1699827798.672747\nRocky Linux 9.3\naarch64\n1\n",
    );
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "the medium contradicts itself about the architecture: .discinfo says 'Rocky Linux 9.3': rocky \
         9.3 aarch64 disc 1, but .treeinfo says 'Rocky Linux 9.3': rocky 9.3 x86_64; say which \
         with -a aarch64 or -a x86_64"
    );
}

#[test]
fn a_label_on_a_disc_with_nothing_to_install_is_refused() {
    let discinfo = "1399449226.155578\nRHEL-7.0 Server.ppc64\nppc64\n";
    let mut evidence = with_names(
        Evidence::of_file(".discinfo", discinfo),
        &[".discinfo", "README", "TRANS.TBL"],
    );
    evidence.ids.volume = "RHEL-7.0 Server.ppc64".into();
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "this calls itself rhels7.0 and holds nothing to install: no installer and no repository of packages \
         among its 3 names: .discinfo says 'RHEL-7.0 Server.ppc64': rhels 7.0 ppc64; volume id says \
         'RHEL-7.0 Server.ppc64': rhels 7.0 ppc64"
    );
    evidence.names.push("ppc/ppc64/vmlinuz".into());
    evidence.names.push("ppc/ppc64/initrd.img".into());
    assert_eq!(answer(&evidence), "rhels7.0 ppc64");
}

#[test]
fn windows_is_refused_by_what_lies_on_it() {
    let evidence = with_names(
        volume("GSP1RMCNULXFRER_EN_DVD"),
        &["sources/install.wim", "bootmgr"],
    );
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "this is Windows, which copycds does not import: volume id says 'GSP1RMCNULXFRER_EN_DVD'; the \
         name says 'sources/install.wim'"
    );
    let named = RequestedRelease {
        name: Some("rhels9.4".parse().unwrap()),
        arch: Some(Arch::X86_64),
    };
    let refusal = identify(&evidence, &RULES, &named).unwrap_err();
    assert_eq!(refusal.kind(), "other-system");
}

#[test]
fn a_name_and_an_architecture_settle_what_the_medium_leaves_open() {
    let wanted = |name: Option<&str>, arch| RequestedRelease {
        name: name.map(|name| name.parse().unwrap()),
        arch,
    };
    let told =
        |evidence: &Evidence, wanted: &RequestedRelease| match identify(evidence, &RULES, wanted) {
            Ok(verdict) => format!(
                "{} {}",
                verdict.distro,
                verdict.arch.map_or("-", Arch::name)
            ),
            Err(refusal) => refusal.to_string(),
        };
    let unknown = volume("MYDISC");
    assert_eq!(
        told(&unknown, &wanted(Some("rocky9.4"), None)),
        "rocky9.4 -"
    );
    assert_eq!(
        told(&unknown, &wanted(Some("rocky9.4"), Some(Arch::X86_64))),
        "rocky9.4 x86_64"
    );
    let mint = Evidence::of_file(
        ".disk/info",
        "Linux Mint 21.2 \"Victoria\" - Release amd64 20230711",
    );
    assert_eq!(
        told(&mint, &wanted(Some("ubuntu22.04"), Some(Arch::X86_64))),
        "ubuntu22.04 x86_64"
    );
    let centos = volume("CentOS_6.5_Final");
    assert_eq!(
        told(&centos, &wanted(None, Some(Arch::X86))),
        "centos6.5 x86"
    );
    let rocky = volume("Rocky-9-0-s390x-dvd");
    assert_eq!(
        told(&rocky, &wanted(None, Some(Arch::X86_64))),
        "requested distribution architecture x86_64, but media is s390x: volume id says \
         'Rocky-9-0-s390x-dvd': rocky 9.0 s390x; take it as it is with -a s390x"
    );
    let both = Evidence::of_file(
        ".disk/info",
        "Debian GNU/Linux 8.5.0 \"Jessie\" - Official Multi-architecture amd64/i386 NETINST #1",
    );
    assert_eq!(
        told(&both, &wanted(None, Some(Arch::X86))),
        "debian8.5.0 x86"
    );
}

#[test]
fn an_unknown_architecture_is_said_with_what_would_tell_it() {
    let verdict = recognise(&volume("CentOS_6.5_Final")).unwrap();
    assert_eq!(
        verdict.require_arch().unwrap_err().to_string(),
        "this is centos6.5, but nothing on it says for which architecture: volume id says \
         'CentOS_6.5_Final': centos 6.5; give it with -a, as in -a x86_64"
    );
}

#[test]
fn the_installer_is_told_by_its_files() {
    let ubuntu = "Ubuntu-Server 20.04.6 LTS amd64";
    let rows: [(&str, &[&str], Option<MediumInstaller>); 10] = [
        (
            ubuntu,
            &["casper/install-sources.yaml"],
            Some(MediumInstaller::Subiquity),
        ),
        (
            ubuntu,
            &["casper/vmlinuz", "casper/installer.squashfs"],
            Some(MediumInstaller::Subiquity),
        ),
        (
            ubuntu,
            &["install/vmlinuz"],
            Some(MediumInstaller::DebianInstaller),
        ),
        (ubuntu, &["casper/vmlinuz"], Some(MediumInstaller::Casper)),
        (
            "Debian 12.0.0 amd64 1",
            &["install.amd/vmlinuz"],
            Some(MediumInstaller::DebianInstaller),
        ),
        (
            "d-live 12.0.0 gn amd64",
            &["live/filesystem.squashfs"],
            Some(MediumInstaller::DebianLive),
        ),
        (
            "Rocky-9-0-x86_64-dvd",
            &[".treeinfo", "images/pxeboot/vmlinuz"],
            Some(MediumInstaller::Anaconda),
        ),
        (
            "Fedora-WS-Live-40-1-14",
            &["LiveOS/squashfs.img", "images/pxeboot/vmlinuz"],
            Some(MediumInstaller::LiveOs),
        ),
        (
            "SLE-15-SP2-Full-x86_64209.21.001",
            &["boot/x86_64/loader/linux"],
            Some(MediumInstaller::Yast),
        ),
        (
            "Install-Leap-16.0-x86_64",
            &["LiveOS/squashfs.img", "boot/x86_64/loader"],
            Some(MediumInstaller::Agama),
        ),
    ];
    for (id, names, expected) in rows {
        let verdict = recognise(&with_names(volume(id), names)).unwrap();
        assert_eq!(verdict.installer, expected, "{id}");
    }
    assert_eq!(recognise(&volume(ubuntu)).unwrap().installer, None);
}

#[test]
fn the_report_has_the_lines_that_users_of_xcat_know() {
    let mut evidence = Evidence::of_file(
        ".discinfo",
        "1699827798.672747\nRocky Linux 9.3\nx86_64\n1\n",
    );
    evidence.ids.volume = "Rocky-9-3-x86_64-dvd".into();
    let verdict = recognise(&evidence).unwrap();
    assert_eq!(
        verdict.render("/iso/rocky.iso".as_ref()),
        "OS Image:/iso/rocky.iso\n\
         DISTNAME:rocky9.3\n\
         ARCH:x86_64\n\
         DISCNO:1\n  \
           .discinfo says 'Rocky Linux 9.3': rocky 9.3 x86_64 disc 1\n  \
           volume id says 'Rocky-9-3-x86_64-dvd': rocky 9.3 x86_64\n"
    );
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(
        serde_json::from_str::<MediumIdentity>(&text).unwrap(),
        verdict
    );
}
