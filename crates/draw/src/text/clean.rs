//! Characters that XML forbids, that steer a terminal, or that reorder the text around them.

use std::borrow::Cow;

/// Stands for a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// The text, with a replacement character for each control character, bidirectional control and forbidden character. Line
/// breaks and tabs stay.
pub(crate) fn cleaned(text: &str) -> Cow<'_, str> {
    replaced(text, |c| {
        (!matches!(c, '\n' | '\t') && is_unsafe(c)).then_some(REPLACEMENT)
    })
}

/// As [`cleaned`], on one line: line breaks and tabs become spaces.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if is_unsafe(c) => Some(REPLACEMENT),
        _ => None,
    })
}

fn replaced(text: &str, replacement: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|c| replacement(c).is_none()) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|c| replacement(c).unwrap_or(c))
        .collect::<String>()
        .into()
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        // The last two code points of each plane are no characters; XML refuses those of the first plane.
        || (u32::from(c) & 0xfffe) == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::{cleaned, one_line};

    #[test]
    fn control_and_bidirectional_characters_are_replaced() {
        assert_eq!(cleaned("a\u{1b}[31m\u{202e}b\0\u{ffff}"), "a�[31m�b��");
        assert_eq!(one_line("a\nb\tc\u{2028}d"), "a b c d");
    }

    #[test]
    fn text_of_any_script_stays() {
        for text in ["żółć", "数据集", "نموذج", "👩‍🔬", "a b"] {
            assert_eq!(cleaned(text), text);
            assert_eq!(one_line(text), text);
        }
    }
}
