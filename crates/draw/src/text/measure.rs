//! How wide a text is, in the font that the crate embeds.

use std::sync::LazyLock;

use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider as _};
use unicode_width::UnicodeWidthChar;

use crate::font::DEJAVU_SANS;

/// The tables of the embedded font: finding them takes longer than a look into them.
static FONT: LazyLock<Option<(Charmap<'static>, GlyphMetrics<'static>)>> = LazyLock::new(|| {
    let font = FontRef::new(DEJAVU_SANS).ok()?;
    let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
    Some((font.charmap(), metrics))
});

/// The advance of a character that the embedded font lacks, for each terminal column, in parts of the font size.
const COLUMN: f64 = 0.65;

/// The width of the text in pixels at this font size, without kerning.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

fn advance(c: char) -> f64 {
    let glyph = FONT
        .as_ref()
        .and_then(|(glyphs, metrics)| metrics.advance_width(glyphs.map(c)?).map(f64::from));
    // Other fonts, which show what the embedded one lacks, have wider characters in some scripts.
    glyph.unwrap_or_else(|| COLUMN * c.width().unwrap_or_default() as f64)
}

#[cfg(test)]
mod tests {
    use super::width;

    #[test]
    fn wide_characters_are_wider() {
        assert!(width("WWWW", 10.0) > 2.0 * width("iiii", 10.0));
        assert!(width("数据", 10.0) > 20.0);
        assert_eq!(width("", 10.0), 0.0);
    }
}
