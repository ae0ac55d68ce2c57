//! What a build and a packing survive: scripts that fail, hang or mount, being killed, a full disk, a mirror that goes away,
//! and each other.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::scene::Scene;

pub(super) fn failures() {
    let scene = Scene::new("failures", "system\nfails\n");
    let ran = scene.run("genimage image");
    assert_eq!(ran.code, Some(1));
    let log = scene.images().join("genimage.log");
    let begin = format!(
        "building the root image of image (the log is {}): installing the packages: ",
        log.display()
    );
    assert!(ran.err.contains(&begin), "{ran:?}");
    fs::write(scene.path("pkglist"), "system\nhangs\n").unwrap();
    let began = Instant::now();
    let ran = scene.run("genimage image --timeout 4");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("it printed nothing for 4 s and was ended; last: "),
        "{ran:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(300));
    fs::write(scene.path("pkglist"), "system\n").unwrap();
    let script = scene.script("bad", "#!/bin/sh\necho no more >&2\nexit 3\n");
    scene.define(&format!("postinstall = [{script:?}]\n"));
    let ran = scene.run("genimage image");
    let expected = format!("running the postinstall {} in the root: ", script.display());
    assert!(ran.err.contains(&expected), "{ran:?}");
    let script = scene.script("none", "#!/usr/bin/perl\n");
    scene.define(&format!("postinstall = [{script:?}]\n"));
    let ran = scene.run("genimage image");
    assert!(
        ran.err
            .contains("starting it: does the root have its interpreter?"),
        "{ran:?}"
    );
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}

pub(super) fn daemons() {
    let scene = Scene::new("daemons", "system\ndaemon\n");
    let ran = scene.ok("genimage image");
    let note = "genimage: note: a package or a script left 'sleep' running, which was ended: it is not in the image\n";
    assert!(ran.err.contains(note), "{ran:?}");
}

pub(super) fn mounts() {
    let scene = Scene::new("mounts", "system\n");
    let script = scene.script(
        "mounts",
        "#!/bin/sh\nmkdir /srv && mount -t tmpfs none /srv && echo lost > /srv/lost && echo kept > /etc/kept\n",
    );
    scene.define(&format!("postinstall = [{script:?}]\n"));
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    scene.ok("genimage image");
    assert_eq!(scene.read("etc/kept").as_deref(), Some("kept\n"));
    assert_eq!(scene.read("srv/lost"), None);
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(before.contains("/srv"), after.contains("/srv"));
}

pub(super) fn killed() {
    let scene = Scene::new("killed", "system\n");
    scene.ok("genimage image");
    let before = scene.names();
    let record = fs::read(scene.images().join("root.json")).unwrap();
    let script = scene.script("marker", "#!/bin/sh\necho here\nexec sleep 987654\n");
    scene.define(&format!("postinstall = [{script:?}]\n"));
    let mut child = scene.start("genimage image");
    scene.wait_for("here");
    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while running("987654") {
        assert!(Instant::now() < end, "the script still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(fs::read(scene.images().join("root.json")).unwrap(), record);
    scene.define("");
    // Whenever it is killed, there is a root to be packed, or there is the next one.
    for moment in [100, 300, 900] {
        for line in ["genimage image --rebuild", "packimage -m tar -c xz image"] {
            let mut child = scene.start(line);
            std::thread::sleep(Duration::from_millis(moment));
            child.kill().unwrap();
            child.wait().unwrap();
            scene.ok("packimage image");
        }
    }
    scene.ok("genimage image --rebuild");
    scene.ok("packimage -m tar image");
    let mut names = scene.names();
    names.retain(|name| !name.starts_with("rootimg."));
    assert_eq!(names, before, "the next run clears what was left");
}

fn running(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let wanted = format!("sleep\0{word}\0");
    lines.any(|line| String::from_utf8_lossy(&line).contains(&wanted))
}

pub(super) fn full_disk() {
    let scene = Scene::new("full", "system\nlarge\n");
    fs::create_dir_all(scene.images()).unwrap();
    let images = scene.images();
    let images = images.display();
    // A file system of its own, of 6 MB, for this one process: the root has more.
    let line = format!(
        "mount -t tmpfs -o size=6m none {images} && {} image; echo $?; ls -A {images}",
        env!("CARGO_BIN_EXE_genimage")
    );
    let ran = scene.in_own_mounts(&line);
    assert_eq!(ran.out, "1\n.lock\ngenimage.log\n", "{ran:?}");
    let said = "installing the packages: writing the archive of the root: No space left on device (os error 28)";
    assert!(ran.err.contains(said), "{ran:?}");
    full_disk_of_packing();
}

/// What was packed stays, and nothing beside it; the lock's file names who had it last.
fn full_disk_of_packing() {
    let scene = Scene::new("full-pack", "system\n");
    scene.ok("genimage image");
    scene.ok("packimage image");
    let line = format!(
        "set -e; cp -a {images} {copy}; kib=$(du -sk {copy} | cut -f 1); mount -t tmpfs -o size=$((kib + 128))k none \
         {images}; cp -a {copy}/. {images}; set +e; {program} -m tar -c gzip image; echo $?; diff -r -x .lock {copy} {images}",
        images = scene.images().display(),
        copy = scene.path("copy").display(),
        program = env!("CARGO_BIN_EXE_packimage")
    );
    let ran = scene.in_own_mounts(&line);
    assert_eq!(ran.out, "1\n", "{ran:?}");
    assert!(ran.err.contains("No space left on device"), "{ran:?}");
}

/// A web server that serves the mirror: whole, or packages by half before it hangs up.
fn serve(listener: &TcpListener, directory: &Path, whole: &AtomicBool) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = text
            .split(' ')
            .nth(1)
            .unwrap_or("/")
            .trim_start_matches('/');
        let Ok(bytes) = fs::read(directory.join(path)) else {
            let _ = stream.write_all(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            continue;
        };
        let cut = path.ends_with(".rpm") && !whole.load(Ordering::Relaxed);
        let sent = if cut { bytes.len() / 2 } else { bytes.len() };
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&bytes[..sent]));
    }
}

pub(super) fn mirror() {
    let scene = Scene::new("mirror", "system\nafar\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.define_mirror(listener.local_addr().unwrap().port());
    let directory = scene.installdir().join("mirror");
    let whole = Arc::new(AtomicBool::new(false));
    let served = Arc::clone(&whole);
    std::thread::spawn(move || serve(&listener, &directory, &served));
    let ran = scene.run("genimage image");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("afar"), "{ran:?}");
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    whole.store(true, Ordering::Relaxed);
    scene.ok("genimage image");
}

pub(super) fn two_at_once() {
    let scene = Scene::new("twice", "system\nslow\n");
    let mut first = scene.start("genimage image");
    scene.wait_for("slow");
    let second = scene.run("genimage image");
    assert!(first.wait().unwrap().success());
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(second.err.contains("waiting for "), "{second:?}");
    assert!(
        second.out.starts_with("image: is up to date: "),
        "{second:?}"
    );
}
