//! The picture as PNG, drawn from its SVG.

use std::collections::BTreeSet;
use std::sync::Arc;

use png::{BitDepth, ColorType, Compression, Encoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::error::{Error, Result};
use crate::font::fonts_for;
use crate::picture::Picture;
use crate::svg::{SvgOptions, Theme, sized_svg};

/// The most pixels that a PNG has. The renderer needs four bytes for each.
pub const MAX_PIXELS: u64 = 40_000_000;

/// The scale of a picture that is small enough for it: sharp on screens with many pixels, and in print.
const SHARP: f64 = 2.0;
/// Pixels are whole: a picture at exactly the limit would exceed it.
const ROUNDING: f64 = 0.999;

/// How a PNG is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PngOptions {
    /// Pixels for each unit of the SVG. Without it: 2, or less where that would exceed [`MAX_PIXELS`], but at least 1.
    pub scale: Option<f32>,
    /// The colours; [`Theme::Auto`] is light.
    pub theme: Theme,
    /// Whether to leave out the legend.
    pub no_legend: bool,
}

/// A drawn PNG.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Png {
    /// The file.
    pub bytes: Vec<u8>,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The characters that stand in the picture without a glyph, as neither the embedded font nor a font of the system has one.
    /// Say it to the user.
    pub missing_glyphs: Vec<char>,
}

/// Draws the picture as PNG.
///
/// # Errors
/// [`Error::TooLarge`] above [`MAX_PIXELS`]; [`Error::InvalidScale`].
pub fn png(picture: &Picture, options: &PngOptions) -> Result<Png> {
    let drawing = SvgOptions {
        theme: match options.theme {
            Theme::Auto => Theme::Light,
            theme => theme,
        },
        links: false,
        legend: !options.no_legend,
    };
    let (svg, size) = sized_svg(picture, &drawing);
    let (scale, pixels_x, pixels_y) = scaled(size, options.scale)?;
    let (fonts, missing_glyphs) = fonts_for(&drawn_characters(&svg));
    let pixmap = render(&svg, fonts, scale, pixels_x, pixels_y)?;
    Ok(Png {
        bytes: encode(&pixmap)?,
        width: pixmap.width(),
        height: pixmap.height(),
        missing_glyphs,
    })
}

/// The scale, and the width and the height in pixels.
fn scaled((width, height): (f64, f64), asked: Option<f32>) -> Result<(f32, u32, u32)> {
    let scale = asked.map_or_else(
        || {
            let largest = (MAX_PIXELS as f64 / (width * height)).sqrt();
            SHARP.min(largest * ROUNDING).max(1.0)
        },
        f64::from,
    );
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::InvalidScale {
            scale: scale as f32,
        });
    }
    let (pixels_x, pixels_y) = ((width * scale).ceil(), (height * scale).ceil());
    if pixels_x * pixels_y > MAX_PIXELS as f64 {
        return Err(Error::TooLarge {
            width: pixels_x as u64,
            height: pixels_y as u64,
        });
    }
    Ok((scale as f32, pixels_x as u32, pixels_y as u32))
}

fn render(
    svg: &str,
    fonts: resvg::usvg::fontdb::Database,
    scale: f32,
    width: u32,
    height: u32,
) -> Result<Pixmap> {
    let options = Options {
        font_family: "DejaVu Sans".into(),
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(&error))?;
    let mut pixmap = Pixmap::new(width.max(1), height.max(1)).ok_or(Error::TooLarge {
        width: width.into(),
        height: height.into(),
    })?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    Ok(pixmap)
}

/// Fast compression: with the usual one, writing the file takes several times as long as drawing it.
fn encode(pixmap: &Pixmap) -> Result<Vec<u8>> {
    // The paper covers the picture, so that no pixel is transparent.
    let colours: Vec<u8> = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixmap.width(), pixmap.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    writer
        .write_image_data(&colours)
        .map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn failed(error: &dyn std::error::Error) -> Error {
    Error::Render {
        reason: error.to_string(),
    }
}

/// The characters in the text elements of the SVG that need a glyph, each once.
fn drawn_characters(svg: &str) -> Vec<char> {
    let mut drawn = BTreeSet::new();
    for element in svg.split("<text").skip(1) {
        let text = element.split_once('>').map_or("", |(_, rest)| rest);
        let text = text.split_once("</text>").map_or("", |(text, _)| text);
        drawn.extend(text.chars().filter(|c| needs_glyph(*c)));
    }
    drawn.into_iter().collect()
}

/// Whether the character is seen: spaces, joiners and selectors of variants are not.
fn needs_glyph(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::{Error, MAX_PIXELS, scaled};

    #[test]
    fn without_a_scale_a_picture_is_sharp_or_as_large_as_the_limit_allows() {
        assert_eq!(scaled((1_000.0, 500.0), None).unwrap(), (2.0, 2_000, 1_000));
        let (scale, x, y) = scaled((7_000.0, 3_000.0), None).unwrap();
        let pixels = u64::from(x) * u64::from(y);
        assert!(scale > 1.3 && pixels <= MAX_PIXELS, "{scale}: {pixels}");
        let refused = scaled((7_000.0, 7_000.0), None);
        assert!(matches!(
            refused,
            Err(Error::TooLarge {
                width: 7_000,
                height: 7_000,
                ..
            })
        ));
    }
}
