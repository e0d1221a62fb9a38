//! What a terminal is sent: nothing that steers it, and lines of its width.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

static STDOUT: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
static STDERR: LazyLock<bool> = LazyLock::new(|| io::stderr().is_terminal());

/// Whether a character does something to a terminal, or to how the text around it is read, rather than being seen itself.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' // soft hyphen, joiner, direction, separator
            | '\u{200b}'..='\u{200f}' // of no width; left to right and right to left
            | '\u{2028}'..='\u{202e}' // ends of lines and paragraphs; embedded directions
            | '\u{2060}'..='\u{206f}' // of no width; isolated directions
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // byte order mark, annotations
            | '\u{e0000}'..='\u{e0fff}' // tags
        )
}

/// How many characters a line of results has room for, where that is known: `COLUMNS`, else what the terminal reports.
pub(crate) fn width() -> Option<u16> {
    let named = std::env::var("COLUMNS").ok();
    let named = named.and_then(|columns| columns.trim().parse().ok());
    // Over a serial line, or in some containers, a terminal reports 0: it does not know.
    named
        .filter(|columns| *columns > 0)
        .or_else(reported_width)
        .filter(|columns| *columns > 0)
}

fn reported_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    size.ok().map(|size| size.ws_col)
}

/// Standard output as it may be a terminal.
pub(crate) fn stdout() -> Harmless<io::Stdout> {
    Harmless::new(io::stdout(), *STDOUT)
}

/// Standard error as it may be a terminal.
pub(crate) fn stderr() -> Harmless<io::Stderr> {
    Harmless::new(io::stderr(), *STDERR)
}

/// Writes to a terminal what steers it as JSON and JavaScript would escape it, so that JSON means the same; to anything
/// else, every byte as it is.
#[derive(Debug)]
pub(crate) struct Harmless<W> {
    inner: W,
    is_terminal: bool,
    /// The beginning of a character whose end is yet to come.
    begun: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    fn new(inner: W, is_terminal: bool) -> Self {
        Self {
            inner,
            is_terminal,
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.inner.write(bytes);
        }
        let mut text = std::mem::take(&mut self.begun);
        text.extend_from_slice(bytes);
        let mut harmless = String::with_capacity(text.len());
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                push(&mut harmless, c);
            }
            let is_last = chunk.invalid().as_ptr_range().end == text.as_ptr_range().end;
            match chunk.invalid() {
                [] => {}
                invalid if is_last && is_begun(invalid) => self.begun = invalid.to_vec(),
                _ => harmless.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self.inner.write_all(harmless.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn push(text: &mut String, c: char) {
    if c == '\n' || !steers(c) {
        text.push(c);
        return;
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        text.push_str(&format!("\\u{unit:04x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(chunks: &[&[u8]], is_terminal: bool) -> Vec<u8> {
        let mut out = Harmless::new(Vec::new(), is_terminal);
        for chunk in chunks {
            out.write_all(chunk).expect("a vector takes all");
        }
        out.inner
    }

    #[test]
    fn a_terminal_gets_nothing_that_steers_it_and_json_means_the_same() {
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
    fn a_character_may_come_in_parts() {
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
    fn bytes_that_are_no_text_reach_no_terminal() {
        assert_eq!(
            written(&[b"a\x9b31mb\xff\n"], true),
            "a\u{fffd}31mb\u{fffd}\n".as_bytes()
        );
        assert_eq!(written(&[b"a\x9b31mb\xff\n"], false), b"a\x9b31mb\xff\n");
    }
}
