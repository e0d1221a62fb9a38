//! The words on a node of two graphs that say what is different about it, in a tag on the upper border of the box.

use std::fmt::Write as _;

use super::number;
use crate::change::Change;
use crate::text::{escaped, width};

const SIZE: f64 = 9.5;
pub(super) const HEIGHT: f64 = 15.0;

/// The width of the tag.
pub(super) fn tag_width(change: Change) -> f64 {
    (width(change.label(), SIZE) + 12.0).ceil()
}

/// Draws the tag with its left end at `x`, and its middle at the height `y`.
pub(super) fn tag(out: &mut String, change: Change, x: f64, y: f64) {
    let _ = write!(
        out,
        r#"<g class="tag {}"><rect x="{}" y="{}" width="{}" height="{HEIGHT}" rx="3"/><text x="{}" y="{}">{}</text></g>"#,
        change.name(),
        number(x),
        number(y - HEIGHT / 2.0),
        number(tag_width(change)),
        number(x + 6.0),
        number(y + 3.5),
        escaped(change.label())
    );
}
