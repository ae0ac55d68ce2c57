//! All that an engine sends, read from any bytes: for the fuzz target, which has no engine.
//!
//! What is read here is read as by the commands: an answer, a stream of JSON cut anywhere, a log, and a container that is
//! compared with two declarations.

use serde_json::Value;

use crate::difference::compare;
use crate::engine::{EngineAnswer, JsonLines};
use crate::images::{PullProgress, failure};
use crate::labels;
use crate::logs::ContainerLog;

/// Reads bytes as everything that they could be; the first one says where streams are cut.
///
/// # Panics
/// When it matters where a stream is cut, or a container differs from itself: that is what the fuzz target looks for.
pub fn read(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let cut = bytes.len() * usize::from(*cut) / 256;
    for status in [200, 304, 409, 500] {
        if let Ok(answer) = EngineAnswer::parse(status, bytes) {
            assert_eq!(answer.succeeded().is_ok(), status < 400);
        }
    }
    let (whole, parts) = (stream(&[bytes]), stream(&[&bytes[..cut], &bytes[cut..]]));
    assert_eq!(whole, parts, "cut at {cut}");
    for has_terminal in [true, false] {
        let (whole, parts) = (
            log(has_terminal, &[bytes]),
            log(has_terminal, &[&bytes[..cut], &bytes[cut..]]),
        );
        assert_eq!(whole, parts, "cut at {cut}");
    }
    if let Ok(container) = serde_json::from_slice::<Value>(bytes) {
        let then = labels::declaration(&container["Config"]["Labels"]).unwrap_or_default();
        for difference in compare(&then, &container["Config"], &container, Some("sha256:aa")) {
            assert!(!difference.to_string().is_empty());
        }
    }
}

/// Reads a stream of JSON as a pull has it; `None` where it is damaged.
fn stream(chunks: &[&[u8]]) -> Option<Vec<String>> {
    let (mut lines, mut messages) = (JsonLines::default(), Vec::new());
    let mut progress = PullProgress::default();
    for chunk in chunks {
        lines.push(chunk).ok()?;
        while let Some(event) = lines.next().ok()? {
            progress.note(&event);
            messages.extend(failure(&event).or(progress.text()));
        }
    }
    lines.finish().ok()?;
    Some(messages)
}

fn log(has_terminal: bool, chunks: &[&[u8]]) -> Option<Vec<String>> {
    let (mut log, mut lines) = (ContainerLog::new(has_terminal), Vec::new());
    let mut each = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    for chunk in chunks {
        log.push(chunk, &mut each).ok()?;
    }
    log.finish(&mut each).ok()?;
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_engines_send_is_read_wherever_it_is_cut() {
        for bytes in [
            &b"\x80{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"gone\"}}"[..],
            b"\x40\x01\0\0\0\0\0\0\x05a\nb\nc",
            b"\x20{\"Config\":{\"Image\":\"a\",\"Labels\":{\"slipway.declaration\":\"{\\\"Image\\\":\\\"b\\\"}\"}}}",
            b"\0<html>",
            b"\xff",
            b"",
        ] {
            read(bytes);
        }
    }
}
