//! Prefixes of texts: the range filter for a prefix, and the prefixes that a range cannot answer exactly.

use bson::{Document, doc};

use crate::node::Refused;

/// The range of the texts with this prefix. MongoDB compares texts byte by byte.
pub(crate) fn begins_with(prefix: &str) -> Document {
    let mut tests = doc! { "$gte": prefix };
    if let Some(next) = successor(prefix) {
        tests.insert("$lt", next);
    }
    tests
}

pub(super) fn check_prefix(prefix: &str) -> Result<(), Refused> {
    if prefix.is_empty() {
        return Err(Refused::argument(
            "prefix",
            "must not be empty, because every text begins with the empty text",
        ));
    }
    Ok(())
}

/// The first text that sorts after every text with this prefix.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            return Some(chars.into_iter().chain([next]).collect());
        }
    }
    None
}

/// Whether a number, a list or a quoted text can begin with this prefix. The mirror stores those decoded, without their
/// text, so a range of texts would miss them.
pub(super) fn begins_a_decoded_text(prefix: &str) -> bool {
    if prefix.starts_with(['[', '"']) {
        return true;
    }
    let mut rest = prefix.strip_prefix('-').unwrap_or(prefix);
    let digits = |text: &mut &str| {
        let end = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = text.len() - end.len();
        *text = end;
        count
    };
    let leading_zero = rest.starts_with('0');
    let whole = digits(&mut rest);
    if rest.is_empty() {
        return !(leading_zero && whole > 1);
    }
    if whole == 0 || (leading_zero && whole > 1) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction;
        if digits(&mut rest) == 0 && !rest.is_empty() {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        rest = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        digits(&mut rest);
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{begins_a_decoded_text, successor};

    #[test]
    fn a_prefix_is_refused_exactly_if_a_decoded_text_may_begin_with_it() {
        for text in [
            "1", "-", "-0", "0.", "12.5", "1e", "1e+", "1.5e-3", "[", "\"a", "0",
        ] {
            assert!(begins_a_decoded_text(text), "{text}");
        }
        for text in [
            "adam", "2026-", "01", "1.x", "1e5x", "v1", "t", "{", "-x", ".5", "é",
        ] {
            assert!(!begins_a_decoded_text(text), "{text}");
        }
    }

    #[test]
    fn the_successor_sorts_after_every_text_with_the_prefix() {
        assert_eq!(successor("train-").as_deref(), Some("train."));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
