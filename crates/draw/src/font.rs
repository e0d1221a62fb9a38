//! The font that the crate brings, so that a picture never loses its text.

use std::sync::Arc;

use resvg::usvg::fontdb::{Database, Source};
use skrifa::{FontRef, MetadataProvider as _};

/// DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew and many symbols.
pub(crate) const DEJAVU_SANS: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");

/// The fonts for a picture with these characters. The system's fonts are read only for characters that the embedded one
/// lacks: reading them takes longer than drawing.
pub(crate) fn fonts_for(drawn: &[char]) -> (Database, Vec<char>) {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(DEJAVU_SANS)));
    fonts.set_sans_serif_family("DejaVu Sans");
    let mut missing = missing_in(&fonts, drawn);
    if !missing.is_empty() {
        fonts.load_system_fonts();
        missing = missing_in(&fonts, &missing);
    }
    (fonts, missing)
}

/// The characters for which no font has a glyph.
fn missing_in(fonts: &Database, drawn: &[char]) -> Vec<char> {
    let mut missing = drawn.to_vec();
    for face in fonts.faces() {
        if missing.is_empty() {
            break;
        }
        fonts.with_face_data(face.id, |data, index| {
            if let Ok(font) = FontRef::from_index(data, index) {
                let glyphs = font.charmap();
                missing.retain(|c| glyphs.map(*c).is_none());
            }
        });
    }
    missing
}
