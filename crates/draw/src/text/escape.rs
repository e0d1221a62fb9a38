//! Text inside XML and HTML.

use std::fmt::Write as _;

use super::cleaned;

/// The text, cleaned, for an element or a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    let text = cleaned(text);
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // An attribute's value loses plain line breaks and tabs.
            '\n' | '\t' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn markup_and_quotes_are_escaped() {
        assert_eq!(
            escaped("<a b=\"c\" d='e'>&\n"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;&#10;"
        );
    }
}
