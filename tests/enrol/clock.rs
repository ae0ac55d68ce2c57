//! A node whose clock is years off: what `enrol` asks its C library for is answered by a clock of this test.
//!
//! The programs are those of this machine, linked with its C library. A library that is loaded before it answers
//! `clock_gettime` by another time, and `clock_settime` changes that and no other machine's clock. The node's own
//! directories are mounted over those of the machine, so that `enrol` works on `/` as on a node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use e2e::{Outcome, binary, outcome, same};

use super::lab::Lab;

const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long ahead, is_read;

static void begin(void) {
    const char *text = getenv("CLOCK_AHEAD");
    if (!is_read && text)
        ahead = atol(text);
    is_read = 1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    begin();
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += ahead;
    return result;
}

int clock_settime(clockid_t clock, const struct timespec *set) {
    struct timespec now;
    begin();
    syscall(SYS_clock_gettime, clock, &now);
    ahead = set->tv_sec - now.tv_sec;
    FILE *file = fopen(getenv("CLOCK_SET"), "w");
    fprintf(file, "%ld", (long)set->tv_sec);
    fclose(file);
    return 0;
}
"#;

const YEAR: i64 = 365 * 24 * 3600;

/// Has `enrol` work on the node's directories as on `/`.
const ON_NODE: &str = "for directory in etc var/lib run; do mkdir -p \"$0/$directory\"; mount --bind \"$0/$directory\" \
                       \"/$directory\"; done; exec \"$@\"";

/// A clock that programs of a lab are given.
struct Clock<'a> {
    lab: &'a Lab,
    library: PathBuf,
    set: PathBuf,
}

impl<'a> Clock<'a> {
    fn new(lab: &'a Lab) -> Result<Self> {
        let source = lab.sandbox.path("clock.c");
        fs::write(&source, CLOCK)?;
        let library = lab.sandbox.path("clock.so");
        let mut command = Command::new("gcc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]);
        let built = outcome(command.arg(&library).arg(&source))?;
        ensure!(built.code == Some(0), "gcc: {built:?}");
        let set = lab.sandbox.path("clock-set");
        Ok(Self { lab, library, set })
    }

    /// Enrols with a clock that is so much ahead; on `/`, whose clock it may set, or below a directory.
    fn enrol(&self, ahead: i64, on_root: bool) -> Result<Outcome> {
        let node = self.lab.node("");
        let mut command = self.lab.site.command("unshare");
        command.args(["--mount", "env"]);
        command.arg(format!("LD_PRELOAD={}", self.library.display()));
        command.arg(format!("CLOCK_SET={}", self.set.display()));
        command.arg(format!("CLOCK_AHEAD={ahead}"));
        if on_root {
            command.args(["sh", "-c", ON_NODE]).arg(&node);
        }
        command.arg(binary("postscripts", "enrol")?);
        if !on_root {
            command.arg("--root").arg(&node);
        }
        outcome(&mut command)
    }

    /// Returns what the clock was set to, if it was, and forgets it.
    fn was_set(&self) -> Result<Option<i64>> {
        if !self.set.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&self.set)?;
        fs::remove_file(&self.set)?;
        Ok(Some(text.parse()?))
    }

    /// The environment of a daemon whose clock is so much ahead.
    fn environment(&self, ahead: i64) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", self.library.display().to_string()),
            ("CLOCK_AHEAD", ahead.to_string()),
        ]
    }
}

fn now() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.as_secs().try_into()?)
}

/// A clock that is years off in either direction is set by the site, or worked with where it is not this host's to set.
pub(super) fn sets() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.serve()?;
    let clock = Clock::new(&lab)?;
    for (ahead, way) in [(-10 * YEAR, "behind"), (10 * YEAR, "ahead of"), (0, "at")] {
        for on_root in [true, false] {
            lab.succeed("slipway-trust", &["disarm", "host01"])?;
            let _ = fs::remove_dir_all(lab.node("etc/slipway"));
            lab.arm()?;
            let enrolled = clock.enrol(ahead, on_root)?;
            let told = format!("s {way} the site's\nenrolled as host01 until ");
            let is_told = enrolled.stdout.contains(&told);
            let is_enrolled = enrolled.stdout.contains("enrolled as host01 until ");
            ensure!(
                enrolled.code == Some(0) && is_enrolled && is_told == (ahead != 0),
                "{ahead} {on_root}: {enrolled:?}"
            );
            let set = clock.was_set()?;
            same(&set.is_some(), &(on_root && ahead != 0))?;
            if let Some(set) = set {
                let off = (set - now()?).abs();
                ensure!(off < 120, "the clock was set {off} s off");
            }
            let certificate = lab.node("etc/slipway/identity/cert.pem");
            ensure!(certificate.exists(), "there is no certificate");
        }
    }
    same(&lab.alarms()?, &Vec::new())
}

/// Nobody but the site sets a clock, and the site sets none to a time at which its certificate is not valid.
pub(super) fn lies() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.arm()?;
    let environment = Clock::new(&lab)?.environment(2 * YEAR);
    lab.serve_with(&environment)?;
    let clock = Clock::new(&lab)?;
    for ahead in [0, -10 * YEAR, 10 * YEAR] {
        let refused = clock.enrol(ahead, true)?;
        let said = "enrol: enrolling: asking slipwayd on 10.77.0.1:8443 for the time: slipwayd says that it is ";
        ensure!(
            refused.code == Some(1)
                && refused.stderr.starts_with(said)
                && refused
                    .stderr
                    .ends_with(": set the clock of the management node\n"),
            "{ahead}: {refused:?}"
        );
        same(&clock.was_set()?, &None)?;
    }
    let order = lab.node("var/lib/slipway/enrolment.json");
    let order = fs::read(order).context("the order is gone")?;
    // Another daemon in the site's place, which says the right time.
    fs::remove_dir_all(lab.sandbox.config().join("trust"))?;
    lab.succeed("slipway-trust", &["init"])?;
    lab.restart()?;
    fs::write(lab.node("var/lib/slipway/enrolment.json"), order)?;
    let clock = Clock::new(&lab)?;
    let refused = clock.enrol(-10 * YEAR, true)?;
    ensure!(
        refused.code == Some(75) && refused.stderr.contains("invalid peer certificate"),
        "{refused:?}"
    );
    same(&clock.was_set()?, &None)
}
