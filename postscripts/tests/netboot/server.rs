//! A web server of one file, which knows ranges, in a network namespace; what goes wrong is planned.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection ends before this byte of the file.
    CutAt(usize),
    /// A bit of this byte is another one.
    FlipBitOf(usize),
}

/// From where on each request asked, and what it was answered with.
type Asked = Arc<Mutex<Vec<(usize, Option<Fault>)>>>;

pub(crate) struct Server {
    asked: Asked,
}

impl Server {
    /// Listens on port 8080 after a while; each answer has the next of the faults, and the others have none.
    pub(crate) fn start(
        namespace: &str,
        after: Duration,
        content: Vec<u8>,
        mut faults: Vec<Fault>,
    ) -> Self {
        let path = format!("/run/netns/{namespace}");
        let asked = Asked::default();
        let noted = asked.clone();
        faults.reverse();
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            let listen = || TcpListener::bind("0.0.0.0:8080").unwrap();
            let listener = if after.is_zero() {
                let listener = listen();
                ready.send(()).unwrap();
                listener
            } else {
                ready.send(()).unwrap();
                std::thread::sleep(after);
                listen()
            };
            for stream in listener.incoming().flatten() {
                answer(stream, &content, faults.pop(), &noted);
            }
        });
        wait.recv().unwrap();
        Self { asked }
    }

    pub(crate) fn asked(&self) -> Vec<(usize, Option<Fault>)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    content: &[u8],
    fault: Option<Fault>,
    asked: &Asked,
) -> Option<()> {
    let mut from = 0;
    for line in BufReader::new(stream.try_clone().ok()?).lines() {
        let line = line.ok()?;
        if let Some(range) = line.strip_prefix("Range: bytes=") {
            from = range.trim_end_matches('-').parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push((from, fault));
    let (length, rest) = (content.len(), content.len() - from);
    let status = if from == 0 {
        "200 OK\r\n".to_owned()
    } else {
        format!(
            "206 Partial Content\r\nContent-Range: bytes {from}-{}/{length}\r\n",
            length - 1
        )
    };
    write!(stream, "HTTP/1.1 {status}Content-Length: {rest}\r\n\r\n").ok()?;
    let mut body = content.to_vec();
    match fault {
        Some(Fault::CutAt(end)) => body.truncate(end),
        Some(Fault::FlipBitOf(byte)) => body[byte] ^= 1,
        None => {}
    }
    stream.write_all(&body[from..]).ok()?;
    stream.shutdown(Shutdown::Write).ok()
}
