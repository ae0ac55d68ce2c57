//! Profiles of AutoYaST, of which xmllint says whether they are XML.

use std::fs;
use std::process::Command;

use genimage::check::installer_file;
use genimage::installer::InstallerKind;
use libtest_mimic::Trial;

use crate::needs::Need;
use crate::trial;

const GOOD: &[&str] = &[
    "<profile/>",
    "<?xml version=\"1.0\"?>\n<!DOCTYPE profile>\n<!-- a - b -->\n<profile>\n</profile>\n<!-- c -->\n",
    "<profile><a>&lt;&amp;&gt;&quot;&apos;&#65;&#x41;</a><b><![CDATA[<&]]></b></profile>",
    "<profile a='\"' b=\"'\"><a.b-c_d/></profile>",
];

const BAD: &[&str] = &[
    "",
    "profile",
    "<profile>",
    "<profile></profil>",
    "<profile><a></profile></a>",
    "<profile/><profile/>",
    "<profile/>x",
    "<profile>&nbsp;</profile>",
    "<profile>&#xffff;</profile>",
    "<profile>a & b</profile>",
    "<profile a=1/>",
    "<profile a='1' a='2'/>",
    "<profile a='<'/>",
    "<profile><!-- a -- b --></profile>",
    "<profile><![CDATA[x</profile>",
    "<profile>\u{1}</profile>",
    "<profile>]]></profile>",
    "<profile><1/></profile>",
    "<profile a='&nbsp;'/>",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "xmllint_says_the_same_of_what_is_xml",
        &[Need::Tool("xmllint")],
        || {
            let good = GOOD.iter().map(|text| (text, true));
            for (text, good) in good.chain(BAD.iter().map(|text| (text, false))) {
                assert_eq!(xmllint(text), good, "xmllint: {text}");
                let distro = "sle15.7".parse().unwrap();
                let findings = installer_file(InstallerKind::Autoyast, &distro, "a.xml", text);
                let mut problems = findings.problems.iter();
                let broken = problems.any(|problem| problem.message.contains("is not XML"));
                assert_eq!(!broken, good, "{text}: {findings:?}");
            }
        },
    )]
}

fn xmllint(text: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.xml");
    fs::write(&file, text).unwrap();
    let output = Command::new("xmllint")
        .arg("--noout")
        .arg(&file)
        .output()
        .unwrap();
    output.status.success()
}
