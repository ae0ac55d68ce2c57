use std::net::TcpListener;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn load(response: &[u8], limit: u64) -> (Result<u64, String>, Vec<u8>) {
    let mut out = Vec::new();
    let mut from = response;
    let result = file(&mut from, limit, &mut out);
    (result.map_err(|failure| failure.to_string()), out)
}

#[test]
fn a_source_is_an_address_a_port_and_a_path() {
    for (text, server, path) in [
        (
            "http://10.1.0.1/install/postscripts",
            "10.1.0.1:80",
            "/install/postscripts",
        ),
        ("http://10.1.0.1:8080/a/", "10.1.0.1:8080", "/a"),
        ("http://[fd00::1]:81/a", "[fd00::1]:81", "/a"),
        ("http://[fd00::1]", "[fd00::1]:80", ""),
    ] {
        let url: Url = text.parse().unwrap();
        assert_eq!(
            (url.server.to_string().as_str(), url.path.as_str()),
            (server, path)
        );
    }
    for (text, message) in [
        (
            "https://10.1.0.1/a",
            "'https://10.1.0.1/a' does not begin with http://",
        ),
        (
            "http://mn01/a",
            "the server of 'http://mn01/a' is not an IP address: names are not looked up, so give its \
                 address",
        ),
        (
            "http://10.1.0.1/a b",
            "'http://10.1.0.1/a b' contains a space or a character that is not ASCII: percent-encode it, a \
                 space as %20",
        ),
    ] {
        assert_eq!(text.parse::<Url>().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_file_ends_with_its_length_or_with_the_connection() {
    for response in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"[..],
        b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\ncontent-length:3\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        assert_eq!(load(response, 9).0, Ok(3), "{response:?}");
    }
}

#[test]
fn what_is_no_whole_file_is_refused_in_words() {
    for (response, message) in [
        ("", "the server closed the connection before it answered"),
        (
            "HTTP/1.0 200 OK\r\nContent-Le",
            "the server closed the connection before it answered",
        ),
        ("SSH-2.0-x\r\n\r\n", "its answer is not HTTP"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://x/\x1b[2J\r\n\r\n",
            "the server answered 302 and leads to 'http://x/\\u{1b}[2J', which is not followed: have the server \
                 send the file itself",
        ),
        (
            "HTTP/1.1 304 Not Modified\r\n\r\n",
            "the server answered 304",
        ),
        (
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\n\r\nabc",
            "it sends a part of the file, which was not asked for",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: TEXT/HTML; charset=utf-8\r\n\r\n<html>",
            "it has 6 bytes and not 9, and is a page of HTML: does a proxy or a login page answer in the server's \
                 place?",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50\r\n\r\n<html>",
            "it has 50 bytes and not 9, and is a page of HTML: does a proxy or a login page answer in the server's \
                 place?",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f",
            "its Content-Encoding is 'gzip', which was not requested",
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\nno",
            "the server answered 404: it has no such file",
        ),
        ("HTTP/1.1 503 Busy\r\n\r\n", "the server answered 503"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            "the connection ended after 3 of 5 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc",
            "it has 50 bytes and not 9",
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\nabcdefghijk",
            "it has more than 9 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "its Content-Length is '-1'",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "its Content-Length is '2'",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "its Transfer-Encoding is 'chunked', which was not requested",
        ),
    ] {
        assert_eq!(
            load(response.as_bytes(), 9).0,
            Err(message.to_owned()),
            "{response}"
        );
    }
    let endless = format!("HTTP/1.0 200 OK\r\n{}", "X: y\r\n".repeat(100_000));
    let endless = load(endless.as_bytes(), 9).0;
    assert_eq!(endless, Err("its answer has an endless head".to_owned()));
}

fn load_rest(response: &[u8], from: u64, total: u64) -> (Result<(), String>, Vec<u8>) {
    let mut out = Vec::new();
    let mut body = response;
    let result = head(&mut body)
        .and_then(|(head, first)| rest(&mut body, &first, &head, from..total, &mut out));
    (result.map_err(|failure| failure.to_string()), out)
}

#[test]
fn the_rest_of_a_file_comes_alone_or_after_the_whole() {
    for response in [
            &b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/6\r\nContent-Length: 4\r\n\r\ncdef"[..],
            b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 2-5/6\r\n\r\ncdef",
            b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
            b"HTTP/1.0 200 OK\r\n\r\nabcdef",
        ] {
            let (result, out) = load_rest(response, 2, 6);
            assert_eq!((result, out.as_slice()), (Ok(()), &b"cdef"[..]));
        }
}

#[test]
fn the_rest_of_another_file_is_refused_in_words() {
    for (response, message, out) in [
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 1-5/6\r\n\r\nbcdef",
            "it was asked for the bytes from 2 of 6 and sends those from 1 of 6",
            "",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 2-6/7\r\n\r\ncdefg",
            "it was asked for the bytes from 2 of 6 and sends those from 2 of 7",
            "",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 2-9/6\r\n\r\ncdef",
            "it sends a part of the file and not which",
            "",
        ),
        (
            "HTTP/1.1 206 P\r\nContent-Range: bytes 2-5/6\r\n\r\ncde",
            "the connection ended after 5 of 6 bytes",
            "cde",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nabcdefg",
            "it has 7 bytes and not 6",
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "the connection ended after 3 of 6 bytes",
            "c",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nabcdefgh",
            "it has more than 6 bytes",
            "",
        ),
        ("HTTP/1.1 416 Range\r\n\r\n", "the server answered 416", ""),
    ] {
        assert_eq!(
            load_rest(response.as_bytes(), 2, 6),
            (Err(message.to_owned()), out.as_bytes().to_vec()),
            "{response}"
        );
    }
}

#[test]
fn a_whole_fetch_has_an_end_however_its_bytes_come() {
    assert_eq!(timeout(0), Duration::from_secs(30));
    assert_eq!(timeout(3 << 20), Duration::from_secs(542));
    // One letter and then another, and never a whole head; one head, and never a whole body.
    for (first, then) in [
        ("HTTP/1.0 200 OK\r\n", "X"),
        ("HTTP/1.0 200 OK\r\n\r\n", "a"),
    ] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/a", server.local_addr().unwrap())
            .parse()
            .unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut text = first;
            while stream.write_all(text.as_bytes()).is_ok() {
                text = then;
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let began = Instant::now();
        let mut response = url.request("GET", "b", "", Duration::from_secs(1)).unwrap();
        let result = head(&mut response).and_then(|(head, first)| {
            body(&mut response, &first, head.length, 1 << 20, &mut Vec::new())
        });
        assert_eq!(
            result.unwrap_err().to_string(),
            "reading its answer: it took more than 1 s"
        );
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

proptest! {
    #[test]
    fn no_answer_writes_more_than_was_asked_for(
        head in "(HTTP/1\\.[01] 200 OK\r\n(Content-Length: [0-9]{1,3}\r\n)?\r\n)?",
        body in prop::collection::vec(any::<u8>(), 0..300),
        limit in 0u64..200,
    ) {
        let (result, out) = load(&[head.as_bytes(), &body].concat(), limit);
        prop_assert!(out.len() as u64 <= limit);
        if let Ok(n) = result {
            prop_assert_eq!(n, out.len() as u64);
        }
    }
}
