//! What is wrong with a script that cannot be run, or fails at once: its first lines, and where it is.
//!
//! A path comes in, a sentence goes out where there is something to say. Reference: execve(2).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::libc;
use nix::sys::statvfs::{FsFlags, statvfs};

/// How much of a script is looked at.
const HEAD_BYTES: u64 = 4096;

/// Says why a program that is there was not started.
pub(super) fn not_started(path: &Path, error: &std::io::Error) -> String {
    let head = head(path);
    if let Some(diagnosis) = of_text(&head) {
        return diagnosis;
    }
    match error.raw_os_error() {
        Some(libc::ENOENT) => {
            let line = String::from_utf8_lossy(&head);
            let line = line.lines().next().unwrap_or_default();
            let interpreter = line.trim_start_matches("#!").split_whitespace().next();
            let interpreter = interpreter.unwrap_or_default().escape_debug();
            format!("the interpreter '{interpreter}', which its first line names, does not exist")
        }
        Some(libc::ENOEXEC) => {
            "it is not a program for this machine, and its first line does not begin with #!"
                .to_owned()
        }
        Some(libc::EACCES) if is_noexec(path) => {
            let directory = path.parent().unwrap_or(path).display();
            format!(
                "{directory} is on a file system that is mounted noexec: 'mount -o remount,exec' it, or remove \
                 'noexec' from /etc/fstab"
            )
        }
        _ => error.to_string(),
    }
}

/// Says what makes a script fail whose interpreter was started.
pub(super) fn of_script(path: &Path) -> Option<String> {
    of_text(&head(path))
}

fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    let file = File::open(path);
    // What cannot be read is said by whoever has to run it.
    let _ = file.and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    head
}

fn of_text(head: &[u8]) -> Option<String> {
    const MARKS: [(&[u8], &str); 3] = [
        (b"\xef\xbb\xbf", "UTF-8 with a byte order mark"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
    ];
    if let Some((_, what)) = MARKS.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Some(format!(
            "it is written in {what}, and so its first two characters are not #!: save it as plain UTF-8"
        ));
    }
    // The first line, or all after it; a script may well hold such a line on purpose.
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let dos = |line: &[u8]| line.ends_with(b"\r\n");
    let first = lines.next().is_some_and(dos);
    let mut rest = lines.filter(|line| line.ends_with(b"\n")).peekable();
    let is_dos = !head.contains(&0) && (first || rest.peek().is_some() && rest.all(dos));
    is_dos.then(|| {
        "its lines end with a carriage return (\\r), as editors of Windows write them: convert it with \
         'sed -i s/\\r$//' where it is served"
            .to_owned()
    })
}

fn is_noexec(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_say_what_is_wrong() {
        let dos = "its lines end with a carriage return (\\r), as editors of Windows write them: convert it with \
                   'sed -i s/\\r$//' where it is served";
        let mark = "it is written in UTF-8 with a byte order mark, and so its first two characters are not #!: \
                    save it as plain UTF-8";
        for (head, expected) in [
            (&b"#!/bin/sh\r\necho a\r\n"[..], Some(dos)),
            (b"#!/usr/bin/env bash\r\n", Some(dos)),
            (b"#!/bin/sh\necho a\r\n", Some(dos)),
            (b"\xef\xbb\xbf#!/bin/sh\n", Some(mark)),
            (b"#!/bin/sh\ncat <<E\na\r\nE\n", None),
            (b"\x7fELF\0\r\n", None),
            (b"", None),
        ] {
            assert_eq!(of_text(head).as_deref(), expected, "{head:?}");
        }
    }
}
