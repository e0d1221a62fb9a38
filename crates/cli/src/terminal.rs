//! The terminal: its width, and writers that escape control characters for it.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

pub(crate) use runlineage_server::answer::is_unprintable;
use runlineage_server::answer::push_escaped;

static STDOUT: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
static STDERR: LazyLock<bool> = LazyLock::new(|| io::stderr().is_terminal());

/// The width of a line: `COLUMNS`, else the width that the terminal reports. `None` if neither is known.
pub(crate) fn width() -> Option<u16> {
    let named = std::env::var("COLUMNS").ok();
    let named = named.and_then(|columns| columns.trim().parse().ok());
    // A terminal over a serial line, or in some containers, reports 0.
    named
        .filter(|columns| *columns > 0)
        .or_else(reported_width)
        .filter(|columns| *columns > 0)
}

fn reported_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    size.ok().map(|size| size.ws_col)
}

/// Standard output, escaped if it is a terminal.
pub(crate) fn stdout() -> Escaped<io::Stdout> {
    Escaped::new(io::stdout(), *STDOUT)
}

/// Standard error, escaped if it is a terminal.
pub(crate) fn stderr() -> Escaped<io::Stderr> {
    Escaped::new(io::stderr(), *STDERR)
}

/// A writer that escapes unprintable characters if the stream is a terminal. The escapes are those of JSON, so that JSON
/// keeps its meaning. Any other stream gets every byte unchanged.
#[derive(Debug)]
pub(crate) struct Escaped<W> {
    inner: W,
    is_terminal: bool,
    /// The first bytes of a character whose other bytes come with the next write.
    incomplete: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    fn new(inner: W, is_terminal: bool) -> Self {
        Self {
            inner,
            is_terminal,
            incomplete: Vec::new(),
        }
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.inner.write(bytes);
        }
        let mut text = std::mem::take(&mut self.incomplete);
        text.extend_from_slice(bytes);
        let mut escaped = String::with_capacity(text.len());
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                push(&mut escaped, c);
            }
            let is_last = chunk.invalid().as_ptr_range().end == text.as_ptr_range().end;
            match chunk.invalid() {
                [] => {}
                invalid if is_last && is_incomplete(invalid) => self.incomplete = invalid.to_vec(),
                _ => escaped.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self.inner.write_all(escaped.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn push(text: &mut String, c: char) {
    if c == '\n' || !is_unprintable(c) {
        text.push(c);
        return;
    }
    push_escaped(text, c);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(chunks: &[&[u8]], is_terminal: bool) -> Vec<u8> {
        let mut out = Escaped::new(Vec::new(), is_terminal);
        for chunk in chunks {
            out.write_all(chunk).expect("a vector takes all");
        }
        out.inner
    }

    #[test]
    fn a_terminal_gets_escapes_and_json_keeps_its_meaning() {
        let text = "a\u{1b}[31m\r\u{9b}\u{202e}\u{200b}\u{2028}\u{feff}\u{e0041}é\u{1f600}";
        let json = serde_json::json!([text]).to_string() + "\n";
        let shown = String::from_utf8(written(&[json.as_bytes()], true)).expect("text");
        assert_eq!(
            shown,
            "[\"a\\u001b[31m\\r\\u009b\\u202e\\u200b\\u2028\\ufeff\\udb40\\udc41é\u{1f600}\"]\n"
        );
        let read: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(read, serde_json::json!([text]));
        assert_eq!(written(&[json.as_bytes()], false), json.as_bytes());
    }

    #[test]
    fn a_character_may_be_split_over_writes() {
        let text = "x\u{202e}y\u{1f600}z\u{e0041}".as_bytes();
        for at in 0..=text.len() {
            let (first, second) = text.split_at(at);
            let shown = String::from_utf8(written(&[first, second], true)).expect("text");
            assert_eq!(shown, "x\\u202ey\u{1f600}z\\udb40\\udc41", "split at {at}");
        }
        let one: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(
            String::from_utf8(written(&one, true)).expect("text"),
            "x\\u202ey\u{1f600}z\\udb40\\udc41"
        );
    }

    #[test]
    fn invalid_utf_8_does_not_reach_a_terminal() {
        assert_eq!(
            written(&[b"a\x9b31mb\xff\n"], true),
            "a\u{fffd}31mb\u{fffd}\n".as_bytes()
        );
        assert_eq!(written(&[b"a\x9b31mb\xff\n"], false), b"a\x9b31mb\xff\n");
    }
}
