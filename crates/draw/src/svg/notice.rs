//! The notice that a limit cut the graph.

use std::fmt::Write as _;

use super::number;
use crate::text::{escaped, one_line, width};

/// A notice is at least this wide, so that it does not become a tower of words above a small graph.
pub(super) const LEAST_WIDTH: f64 = 420.0;
const SIZE: f64 = 10.5;
const LINE: f64 = 16.0;
const PADDING: f64 = 10.0;
const TEXT_LEFT: f64 = 34.0;

/// Draws the message in a box of this width. Gives the height of the box.
pub(super) fn draw(message: &str, left: f64, top: f64, room: f64) -> (String, f64) {
    let lines = wrapped(&one_line(message), room - TEXT_LEFT - PADDING);
    let height = 2.0 * PADDING + LINE * lines.len() as f64;
    let mut out = format!(
        r#"<g class="notice" transform="translate({} {})"><rect width="{}" height="{}" rx="6"/>"#,
        number(left),
        number(top),
        number(room),
        number(height)
    );
    // An exclamation mark in a triangle, cut out by the winding of the paths.
    out.push_str(
        r#"<path fill-rule="evenodd" d="M18 10L27 26H9ZM17.2 15H18.8V20.5H17.2ZM17.2 22H18.8V23.6H17.2Z"/>"#,
    );
    for (place, line) in lines.iter().enumerate() {
        let y = PADDING + LINE * (place as f64 + 1.0) - 4.5;
        let _ = write!(
            out,
            r#"<text x="{TEXT_LEFT}" y="{}">{}</text>"#,
            number(y),
            escaped(line)
        );
    }
    out.push_str("</g>");
    (out, height)
}

/// The words in lines of this width. A word that is wider is broken.
fn wrapped(text: &str, room: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0.0;
    for word in text.split_whitespace() {
        let word_width = width(word, SIZE);
        let space = width(" ", SIZE);
        if used > 0.0 && used + space + word_width > room {
            lines.push(String::new());
            used = 0.0;
        }
        if used > 0.0 {
            push(&mut lines, " ");
            used += space;
        }
        for c in word.chars() {
            let mut buffer = [0; 4];
            let c = c.encode_utf8(&mut buffer);
            let c_width = width(c, SIZE);
            if used > 0.0 && used + c_width > room {
                lines.push(String::new());
                used = 0.0;
            }
            push(&mut lines, c);
            used += c_width;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZE, width, wrapped};

    #[test]
    fn lines_fit_and_lose_nothing() {
        let text = format!(
            "the walk ended at 200 nodes; {} raise --max-nodes",
            "x".repeat(300)
        );
        let lines = wrapped(&text, 200.0);
        assert!(lines.len() > 3);
        assert!(lines.iter().all(|line| width(line, SIZE) <= 200.0));
        let letters = |text: &str| text.replace(' ', "");
        assert_eq!(letters(&lines.concat()), letters(&text));
    }
}
