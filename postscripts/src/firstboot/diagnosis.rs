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
        Some(libc::ENOENT) => match loader(&head) {
            Some(loader) => {
                format!("the loader '{loader}', which it is linked for, does not exist")
            }
            None => {
                let line = String::from_utf8_lossy(&head);
                let line = line.lines().next().unwrap_or_default();
                let interpreter = line.trim_start_matches("#!").split_whitespace().next();
                let interpreter = interpreter.unwrap_or_default().escape_debug();
                format!(
                    "the interpreter '{interpreter}', which its first line names, does not exist"
                )
            }
        },
        Some(libc::ENOEXEC) => match machine(&head) {
            Some(machine) if machine == std::env::consts::ARCH => {
                format!("it is a damaged program for {machine}")
            }
            Some(machine) => format!("it is a program for {machine}, which this machine is not"),
            None => {
                "it is not a program for this machine, and its first line does not begin with #!"
                    .to_owned()
            }
        },
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

const ELF: &[u8] = b"\x7fELF";

/// The machine that a program is for (`e_machine`, elf(5)).
fn machine(head: &[u8]) -> Option<String> {
    const MACHINES: [(u16, &str); 10] = [
        (3, "x86"),
        (8, "mips"),
        (20, "powerpc"),
        (21, "powerpc64"),
        (22, "s390x"),
        (40, "arm"),
        (62, "x86_64"),
        (183, "aarch64"),
        (243, "riscv64"),
        (258, "loongarch64"),
    ];
    let bytes = head.strip_prefix(ELF)?.get(14..16)?.try_into().ok()?;
    let is_big = head.get(5) == Some(&2);
    let number = if is_big {
        u16::from_be_bytes(bytes)
    } else {
        u16::from_le_bytes(bytes)
    };
    let known = MACHINES.iter().find(|(known, _)| *known == number);
    Some(known.map_or_else(
        || format!("machine {number}"),
        |(_, name)| (*name).to_owned(),
    ))
}

/// The loader that a program names, which is a path like `/lib64/ld-linux-x86-64.so.2`.
fn loader(head: &[u8]) -> Option<String> {
    let texts = head.strip_prefix(ELF)?.split(|byte| *byte == 0);
    let mut texts = texts.filter_map(|text| std::str::from_utf8(text).ok());
    let path = texts.find(|text| text.starts_with('/') && text.contains("/ld"))?;
    Some(path.escape_debug().to_string())
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

    #[test]
    fn a_program_names_its_machine_and_its_loader() {
        let elf = |endian: u8, machine: [u8; 2], rest: &[u8]| {
            let start = [ELF, &[2, endian, 1], &[0; 9], &[2, 0], &machine].concat();
            [&start, rest].concat()
        };
        for (head, expected) in [
            (elf(1, [183, 0], b""), Some("aarch64")),
            (elf(1, [62, 0], b""), Some("x86_64")),
            (elf(2, [0, 22], b""), Some("s390x")),
            (elf(1, [9, 9], b""), Some("machine 2313")),
            (b"\x7fELF\x02".to_vec(), None),
            (b"#!/bin/sh\n".to_vec(), None),
        ] {
            assert_eq!(machine(&head).as_deref(), expected, "{head:?}");
        }
        let linked = elf(1, [62, 0], b"\0\0/lib/ld-musl-x86_64.so.1\0libc.so\0");
        assert_eq!(loader(&linked).as_deref(), Some("/lib/ld-musl-x86_64.so.1"));
        assert_eq!(loader(&elf(1, [62, 0], b"\0/usr/share\0")), None);
        assert_eq!(loader(b"#!/lib/ld\n"), None);
    }
}
