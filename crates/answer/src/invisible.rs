//! Characters that steer a terminal or a reader, and that nobody sees.

/// Whether a character controls a terminal or the direction of text, or is invisible.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' // soft hyphen, joiner, direction mark, separator
            | '\u{200b}'..='\u{200f}' // zero width; left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators; embedded directions
            | '\u{2060}'..='\u{206f}' // zero width; isolated directions
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // byte order mark, annotations
            | '\u{e0000}'..='\u{e0fff}' // tags
        )
}

/// Appends the character as JSON escapes it, so that JSON with such characters keeps its meaning.
pub fn push_escaped(text: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        text.push_str(&format!("\\u{unit:04x}"));
    }
}
