use proptest::prelude::*;

use super::*;

fn messages(distro: &str, text: &str) -> Vec<String> {
    let findings = check(&distro.parse().unwrap(), "host01/ks.cfg", text);
    let notes = findings.notes.iter().map(|note| format!("note: {note}"));
    let problems = findings.problems.iter().map(ToString::to_string);
    problems.chain(notes).collect()
}

const GOOD: &str = "# an installation\ntext\nlang en_US.UTF-8\nkeyboard --vckeymap=us --xlayouts='us'\n\
    timezone Etc/UTC --utc\nrootpw --iscrypted \"$6$a#b\"\nurl --url=http://10.1.0.1/install/rocky9.4/x86_64\n\
    network --bootproto dhcp --device=52:54:00:00:00:01 --onboot=ON --activate\nzerombr\nclearpart --all --initlabel\n\
    part / --fstype=xfs --size 4096 --grow --ondi sda # cut short\nfirewall --enabled --service=ssh --port=2376:tcp\n\
    %include /tmp/part\nreboot\n\n%packages --exclude-weakdeps\n@^minimal-environment\n@core --nodefaults\n-iwl*\nbash\n%end\n\
    %pre --interpreter=/bin/bash --log=/tmp/pre.log\n%not-a-section\nfoo '\n%end\n%addon com_redhat_kdump --disable\n%end\n\
    %post --nochroot --erroronfail\necho %end\n%end\n";

#[test]
fn what_anaconda_takes_is_not_reported() {
    assert_eq!(messages("rocky9.4", GOOD), [""; 0]);
    assert_eq!(messages("fedora42", GOOD), [""; 0]);
}

#[test]
fn what_is_wrong_is_reported_with_its_line_and_what_to_do() {
    for (distro, line, expected) in [
        (
            "rocky9.4",
            "langg en_US",
            "there is no command 'langg': did you mean 'lang'?",
        ),
        (
            "rocky9.4",
            "xyz",
            "there is no command 'xyz': correct it, or write it in a section",
        ),
        (
            "rocky9.4",
            "install",
            "'install' is not a command of EL 9: EL 8 was the last that had it",
        ),
        (
            "rocky9.4",
            "bootc --source-imgref=x",
            "'bootc' is not a command of EL 9: EL 10 is the first that has it",
        ),
        (
            "fedora35",
            "auth --x",
            "'auth' is not a command of Fedora 35: Fedora 34 was the last that had it",
        ),
        (
            "rocky9.4",
            "part / --sise=1",
            "'part' has no option '--sise': did you mean '--size'?",
        ),
        (
            "rocky9.4",
            "part / --p",
            "'--p' may be '--passphrase' or '--pbkdf': write it out",
        ),
        (
            "rocky9.4",
            "zfcp --devnum=x --wibble",
            "'zfcp' has no option '--wibble': remove it",
        ),
        (
            "centos7.9",
            "text --non-interactive",
            "'text' has no option '--non-interactive' in EL 7: EL 8 is the first that has it",
        ),
        (
            "rocky9.4",
            "text --non-interactive=1",
            "'--non-interactive' takes no value, and this gives it '1'",
        ),
        (
            "rocky9.4",
            "part / --size",
            "'--size' takes a value: write '--size=…'",
        ),
        (
            "rocky9.4",
            "part / --size=4G",
            "'--size' takes a whole number, not '4G'",
        ),
        (
            "rocky9.4",
            "network --onboot=maybe",
            "'--onboot' takes yes or no, not 'maybe'",
        ),
        (
            "rocky9.4",
            "network --bootproto=dchp",
            "'--bootproto' does not take 'dchp': did you mean 'dhcp'?",
        ),
        (
            "rocky9.4",
            "bootloader --location=here",
            "'--location' does not take 'here': write one of mbr, partition, none, boot",
        ),
        (
            "rocky9.4",
            "lang",
            "'lang' takes 1 word that are not options, and this has 0",
        ),
        (
            "rocky9.4",
            "lang a b",
            "'b' is one word more than 'lang' takes",
        ),
        (
            "rocky9.4",
            "zerombr yes",
            "'zerombr' takes options only, not 'yes'",
        ),
        ("rocky9.4", "cdrom x", "'cdrom' takes options only, not 'x'"),
        ("rocky9.4", "user", "'user' needs '--name'"),
        (
            "rocky9.4",
            "url",
            "'url' needs one of --metalink, --mirrorlist, --url",
        ),
        (
            "rocky9.4",
            "rootpw --iscrypted",
            "'rootpw' needs a word or one of --lock",
        ),
        (
            "rocky9.4",
            "url --url=x --metalink=y",
            "'url' takes '--metalink' or '--url', not both",
        ),
        (
            "rocky9.4",
            "logging --port=1",
            "'--port' needs '--host' with it",
        ),
        (
            "rocky9.4",
            "rootpw 'a",
            "unclosed quotation mark ': close it, or put a backslash before it",
        ),
        (
            "rocky9.4",
            "lang a \\",
            "a backslash ends the line, and a command cannot go on in the next: write it in one",
        ),
        ("rocky9.4", "%include", "'%include' names no file"),
        (
            "rocky9.4",
            "%end",
            "'%end' closes nothing: no section is open here",
        ),
        (
            "rocky9.4",
            "%pakages",
            "there is no section '%pakages': did you mean '%packages'?",
        ),
        (
            "rocky9.4",
            "%post",
            "'%post' is not closed: end it with a line '%end'",
        ),
        (
            "rocky9.4",
            "%post\n%pre\n%end",
            "'%post' is not closed before '%pre' in line 3: write a line '%end'",
        ),
        (
            "rocky9.4",
            "%post --nochrot\n%end",
            "'%post' has no option '--nochrot': did you mean '--nochroot'?",
        ),
    ] {
        assert_eq!(
            messages(distro, &format!("\n{line}")),
            [format!("host01/ks.cfg:2: {expected}")]
        );
    }
}

#[test]
fn what_excludes_each_other_is_reported() {
    let text = "autopart\npart / --size=1\n";
    let expected =
        "host01/ks.cfg:2: 'part' conflicts with 'autopart' in line 1: remove one of them";
    assert_eq!(messages("rocky9.4", text), [expected]);
    let text = "part / --size=1\nautopart\n";
    let expected =
        "host01/ks.cfg:2: 'autopart' conflicts with 'partition' in line 1: remove one of them";
    assert_eq!(messages("rocky9.4", text), [expected]);
    let text = "%packages\n@core --nodefault\n%end\n";
    let expected =
        "host01/ks.cfg:2: a group has no option '--nodefault': did you mean '--nodefaults'?";
    assert_eq!(messages("rocky9.4", text), [expected]);
}

#[test]
fn what_does_nothing_is_a_note() {
    for (distro, text, expected) in [
        (
            "rocky8.9",
            "install\n",
            "note: host01/ks.cfg:1: 'install' does nothing in EL 8 any more: remove it",
        ),
        (
            "fedora42",
            "timezone UTC --isUtc\n",
            "note: host01/ks.cfg:1: '--isUtc' does nothing in Fedora 42 any more: remove it",
        ),
        (
            "rocky9.4",
            "reboot\npoweroff\n",
            "note: host01/ks.cfg:2: duplicate command 'poweroff', first in line 1: this line replaces it",
        ),
        (
            "centos6.9",
            "anything\n",
            "note: host01/ks.cfg: the kickstart commands of centos6.9 are not known here: only the sections are checked",
        ),
    ] {
        assert_eq!(messages(distro, text), [expected]);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "((part|lang|%post|%end|%packages|@core|--size|=|1|é|/|-|'|\"|#|\\\\)[ \t]?|\n){0,30}",
        distro in prop::sample::select(&["rocky7.1", "rocky9.4", "fedora42", "centos6.1"])
    ) {
        let _ = messages(distro, &text);
    }
}
