//! A long name, with its middle left out.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;

use super::width;

const ELLIPSIS: &str = "…";
/// The longest emoji sequences have 35 bytes. A longer cluster is a character under a heap of marks.
const LONGEST_CLUSTER: usize = 64;
/// Marks without width take no room, so the bytes are limited too: this many for each font size of room.
const BYTES: f64 = 40.0;

/// The text if it fits into this many pixels at this font size, else its beginning and its end with `…` between them.
pub(crate) fn shortened(text: &str, room: f64, size: f64) -> Cow<'_, str> {
    let most_bytes = (room / size * BYTES) as usize;
    if text.len() <= most_bytes && width(text, size) <= room {
        return Cow::Borrowed(text);
    }
    let mut room = room - width(ELLIPSIS, size);
    let mut bytes = most_bytes;
    let mut takes = |cluster: &str| {
        room -= width(cluster, size);
        bytes = bytes.saturating_sub(cluster.len());
        room >= 0.0 && bytes > 0 && cluster.len() <= LONGEST_CLUSTER
    };
    let mut clusters = text.graphemes(true);
    let (mut head, mut tail) = (String::new(), Vec::new());
    while let Some(front) = clusters.next().filter(|front| takes(front)) {
        head.push_str(front);
        let Some(back) = clusters.next_back().filter(|back| takes(back)) else {
            break;
        };
        tail.push(back);
    }
    head.push_str(ELLIPSIS);
    head.extend(tail.into_iter().rev());
    Cow::Owned(head)
}

#[cfg(test)]
mod tests {
    use super::{shortened, width};

    #[test]
    fn a_short_name_stays() {
        assert_eq!(shortened("churn", 100.0, 12.0), "churn");
    }

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end_and_fits() {
        let name = format!("first{}last", "x".repeat(10_000));
        let short = shortened(&name, 120.0, 12.0);
        assert!(
            short.starts_with("first") && short.ends_with("last"),
            "{short}"
        );
        assert!(width(&short, 12.0) <= 120.0);
    }

    #[test]
    fn an_emoji_of_several_code_points_is_kept_or_left_out_whole() {
        let scientist = "👩‍🔬";
        let name = scientist.repeat(50);
        let short = shortened(&name, 100.0, 12.0);
        assert!(short.contains(scientist));
        assert_eq!(short.replace(scientist, ""), "…");
    }

    #[test]
    fn a_heap_of_marks_without_width_is_cut() {
        let name = format!("a{}b", "\u{301}".repeat(100_000));
        assert_eq!(shortened(&name, 100.0, 12.0), "…");
    }
}
