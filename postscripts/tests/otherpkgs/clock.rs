//! With a slow clock, and with repositories and keys whose time is over.

use crate::Test;
use crate::machine::{Machine, System};

const DEB: &[&str] = &["apt-get", "dpkg-deb", "apt-ftparchive", "gpg"];

pub(crate) const TESTS: &[Test] = &[
    (
        "apt_repositories_from_the_future_are_75_and_say_what_the_clock_says",
        DEB,
        future,
    ),
    (
        "apt_repositories_that_have_expired_are_said_to_have",
        DEB,
        expired,
    ),
    (
        "apt_keys_that_have_expired_are_said_to_have",
        DEB,
        expired_key,
    ),
];

/// Makes a release of the flat repository that is dated with a time as date(1) takes it.
fn machine(date: &str, more: &str) -> Machine {
    let mut machine = Machine::new(System::Debian);
    machine.sh(&format!(
        "cd /var/tmp/repositories/flat && apt-ftparchive release . | grep -v ^Date: >/tmp/Release && \
         {{ cat /tmp/Release; date -u -d '{date}' '+Date: %a, %d %b %Y %T UTC'; {more}; }} >Release"
    ));
    machine.ask("[trusted=yes] /var/tmp/repositories/flat", "slip-flat");
    machine
}

const START: &str = "otherpkgs: nothing was changed: reading the indices of the repositories: ";

fn future() {
    let machine = machine("+3 hours", "true");
    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(75);
    let last = ran.last();
    assert!(
        last.starts_with(START)
            && last.contains(" is not valid yet ")
            && last.contains(": the clock of this node is slow: it shows 20")
            && last.ends_with(
                " UTC: synchronise its time (chrony, systemd-timesyncd), then run this again"
            ),
        "{last}"
    );
    assert_eq!(machine.snapshot(), before);
}

fn expired() {
    let machine = machine(
        "-30 days",
        "date -u -d '-1 day' '+Valid-Until: %a, %d %b %Y %T UTC'",
    );
    let before = machine.snapshot();
    let ran = machine.run(&[]).expect(1);
    let last = ran.last();
    assert!(
        last.starts_with(START)
            && last.contains(" is expired ")
            && last.contains(": the repository has to be renewed, or its key, unless the clock"),
        "{last}"
    );
    assert_eq!(machine.snapshot(), before);
}

fn expired_key() {
    let mut machine = machine("-1 hour", "true");
    machine.sh(
        "mkdir -m 700 /tmp/gnupg; cd /var/tmp/repositories/flat; \
         gpg='gpg --homedir /tmp/gnupg --batch --quiet --faked-system-time 20200101T000000'; \
         $gpg --passphrase '' --quick-gen-key old@slipway.invalid rsa2048 sign 2d 2>/dev/null; \
         $gpg --clearsign -o InRelease Release 2>/dev/null; $gpg --armor --export >/var/tmp/repositories/old.asc 2>/dev/null",
    );
    machine.ask(
        "[signed-by=/var/tmp/repositories/old.asc] /var/tmp/repositories/flat",
        "slip-flat",
    );
    let ran = machine.run(&[]).expect(1);
    let last = ran.last();
    assert!(
        last.starts_with(START)
            && last.contains("EXPKEYSIG")
            && last.contains(": the repository has to be renewed, or its key, unless the clock"),
        "{last}"
    );
    assert!(!last.contains("trusted=yes"), "{last}");
}
