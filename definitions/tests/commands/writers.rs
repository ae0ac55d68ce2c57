//! Many writers at once, readers meanwhile, and writers that are killed.

use std::process::Child;
use std::thread;
use std::time::Duration;

use super::*;

impl Site {
    fn spawn(&self, name: &str, arguments: &[&str]) -> Child {
        let bins = Path::new(env!("CARGO_BIN_EXE_lsdef")).parent().unwrap();
        Command::new(bins.join(name))
            .args(arguments)
            .env("SLIPWAY_CONFIG", self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }
}

#[test]
fn many_writers_at_once_lose_nothing_and_readers_see_whole_files() {
    let site = Site::new();
    site.ok("mkdef n1 groups=all usercomment=begin");
    thread::scope(|scope| {
        let readers = scope.spawn(|| {
            for _ in 0..40 {
                let seen = site.ok("lsdef n1");
                assert!(seen.contains("    usercomment=begin\n"), "{seen}");
            }
        });
        for writer in 0..4 {
            let site = &site;
            scope.spawn(move || {
                for turn in 0..10 {
                    let entry = format!("postscripts=w{writer}t{turn}");
                    let mut child = site.spawn("chdef", &["n1", "-p", &entry]);
                    assert!(child.wait().unwrap().success());
                }
            });
        }
        readers.join().unwrap();
    });
    let listed = site.ok("lsdef n1 -i postscripts -c");
    let entries: Vec<_> = listed
        .trim()
        .split_once('=')
        .unwrap()
        .1
        .split(',')
        .collect();
    assert_eq!(entries.len(), 40, "{listed}");
    for writer in 0..4 {
        for turn in 0..10 {
            assert!(
                entries.contains(&format!("w{writer}t{turn}").as_str()),
                "{listed}"
            );
        }
    }
}

#[test]
fn a_killed_writer_leaves_the_old_file_or_the_new_one() {
    let site = Site::new();
    site.ok("mkdef 'n[1-1000]' groups=all usercomment=0");
    let mut last = 0;
    for turn in 1..=25_u64 {
        let comment = format!("usercomment={turn}");
        let mut child = site.spawn("chdef", &["n[1-1000]", &comment]);
        thread::sleep(Duration::from_millis(turn * 7 % 120));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = site.ok("lsdef -w usercomment!= -i usercomment -c");
        let mut values: Vec<_> = seen
            .lines()
            .map(|line| line.rsplit('=').next().unwrap())
            .collect();
        assert_eq!(values.len(), 1000);
        values.dedup();
        assert_eq!(values.len(), 1, "half a change: {values:?}");
        let now: u64 = values[0].parse().unwrap();
        assert!(
            now == last || now == turn,
            "neither {last} nor {turn}: {now}"
        );
        last = now;
    }
    // The next writer clears what killed ones left.
    site.ok("chdef 'n[1-1000]' usercomment=end");
    let mut names: Vec<_> = fs::read_dir(site.path().join("nodes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["nodes.toml"]);
}
