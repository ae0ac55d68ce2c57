use super::*;

#[test]
fn words_are_parted_as_a_shell_parts_them() {
    for (text, expected) in [
        (
            "xHRM bridgeprereq eth0:mydocker0",
            &["xHRM", "bridgeprereq", "eth0:mydocker0"][..],
        ),
        ("  mine  ", &["mine"]),
        (
            "site/mine.sh 'a b' \"c \\\"d\\\"\" e\\ f ''",
            &["site/mine.sh", "a b", "c \"d\"", "e f", ""],
        ),
        ("mine $HOME `id` ;", &["mine", "$HOME", "`id`", ";"]),
    ] {
        let line: ScriptLine = text.parse().unwrap();
        assert_eq!(line.words, expected, "{text}");
        assert_eq!(line.to_string().parse::<ScriptLine>().unwrap(), line);
    }
}

#[test]
fn a_list_is_parted_at_commas_that_no_argument_has() {
    for (text, expected) in [
        ("a,b c, d", &["a", "b c", " d"][..]),
        ("a 'x,y',b", &["a 'x,y'", "b"]),
        ("a \"x\\\",y\" \\,,b", &["a \"x\\\",y\" \\,", "b"]),
        ("a '\\',b", &["a '\\'", "b"]),
        ("", &[""]),
    ] {
        assert_eq!(
            ScriptLine::parts(text).collect::<Vec<_>>(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_names_no_script_is_refused() {
    for text in [
        "", " ", "'", "mine 'a", "../mine", "/bin/sh", "a//b", ".hidden", "-x", "a b\\", "'a b' c",
    ] {
        assert!(text.parse::<ScriptLine>().is_err(), "{text}");
    }
}

#[test]
fn a_script_needs_what_it_names_and_what_lies_in_its_own_directory() {
    let all = [
        ("alone", "#!/bin/sh\necho sub\n"),
        ("sources", "#!/bin/bash\n. ./functions\n"),
        ("dollar", "here=$(dirname \"$0\")\n. \"$here/xcatlib.sh\"\n"),
        ("xcatlib.sh", "source \"${0%/*}/functions\"\n"),
        ("functions", "f() { :; }\n"),
        (
            "says",
            "#!/bin/sh\n# needs settings.conf.\nname=settings; . ./$name.conf\n",
        ),
        ("settings.conf", ""),
        (
            "loops",
            "for f in \"$(dirname \"$0\")\"/parts/*; do . \"$f\"; done\n",
        ),
        ("parts/one", ""),
        ("parts/two", ". ./one\n"),
        (
            "python",
            "#!/usr/bin/python3\nimport helper\nopen('table.tsv')\n",
        ),
        ("table.tsv", ""),
        ("by_name", "LIB=\"parts\"\n. \"$LIB/one\"\n"),
        ("by_system", "#!/bin/sh\n. ./lib-$OSVER.sh\n"),
        (
            "by_pattern",
            "#!/bin/sh\nfor f in lib-*.sh; do . ./$f; done\n",
        ),
        ("lib-debian.sh", ""),
        ("lib-rocky.sh", ""),
        (
            "imports",
            "#!/usr/bin/python3\nfrom tools.net import x\nimport flat\n",
        ),
        ("tools/__init__.py", ""),
        ("tools/net.py", ""),
        ("flat.py", ""),
        ("perl", "#!/usr/bin/perl\nuse lib '.';\nuse Site;\n"),
        ("Site.pm", ""),
        ("mentions", "#!/bin/sh\necho the parts of it, for $li\n"),
        (
            "custom/uses",
            "#!/bin/sh\n. \"$(dirname \"$0\")/lib.sh\"\n. ../functions\n",
        ),
        ("custom/lib.sh", ""),
        ("custom/deep/data", ""),
        ("setupdockerhost", "\0"),
        ("bridgeprereq", "\0"),
        ("dockerauthz", "\0"),
    ];
    let files: BTreeSet<_> = all.iter().map(|(name, _)| (*name).to_owned()).collect();
    let text = |name: &str| {
        let found = all.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| (*text).to_owned())
    };
    for (line, expected) in [
        ("alone", "alone"),
        ("sources x", "functions sources"),
        ("dollar", "dollar functions xcatlib.sh"),
        ("says", "says settings.conf"),
        ("loops", "loops parts/one parts/two"),
        ("python", "python table.tsv"),
        ("by_name", "by_name parts/one parts/two"),
        ("by_system", "by_system lib-debian.sh lib-rocky.sh"),
        ("by_pattern", "by_pattern lib-debian.sh lib-rocky.sh"),
        ("imports", "flat.py imports tools/__init__.py tools/net.py"),
        ("perl", "Site.pm perl"),
        ("mentions", "mentions"),
        ("alone -c ./settings.conf", "alone settings.conf"),
        (
            "custom/uses",
            "custom/deep/data custom/lib.sh custom/uses functions",
        ),
        (
            "setupdockerhost a=b",
            "bridgeprereq dockerauthz setupdockerhost",
        ),
        ("nowhere", "nowhere"),
    ] {
        let needs = Runlist::needs(&line.parse().unwrap(), &files, &text);
        let needs: Vec<_> = needs.iter().map(String::as_str).collect();
        assert_eq!(needs.join(" "), expected, "{line}");
    }
}

#[test]
fn a_list_that_leads_out_or_holds_no_digest_is_refused() {
    let list = |name: &str, sha256: &str, variable: &str| Runlist {
        environment: BTreeMap::from([(variable.to_owned(), "x".to_owned())]),
        programs: BTreeMap::from([(
            name.to_owned(),
            ProgramDigest {
                sha256: sha256.to_owned(),
                size: 1,
            },
        )]),
        ..Runlist::default()
    };
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(list("site/mine.sh", &digest, "NODE").check(), Ok(()));
    for (name, sha256, variable, message) in [
        (
            "../mine",
            digest.as_str(),
            "NODE",
            format!("'../mine' is not a program's name: expected {NAMES}"),
        ),
        (
            "mine",
            "ABC",
            "NODE",
            "'ABC' is not a SHA-256: expected 64 lower-case hexadecimal digits for mine".into(),
        ),
        (
            "mine",
            &digest,
            "A=B",
            "'A=B' is not an environment variable: expected a name without '=', and no zero \
                 byte in name and value"
                .into(),
        ),
    ] {
        let error = list(name, sha256, variable).check().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
