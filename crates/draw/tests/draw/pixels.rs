//! PNG.

use runlineage_draw::{Error, NodeKind, Picture, PictureNode, PngOptions, Theme, png};

use crate::scenes;

fn pixels(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut data).unwrap();
    (frame.width, frame.height, data)
}

fn named(name: &str) -> Picture {
    let mut node = PictureNode::new("run:a", NodeKind::Run);
    node.name = name.into();
    Picture::new(vec![node], vec![]).unwrap()
}

#[test]
fn a_png_has_the_size_that_was_asked_for_and_text_in_it() {
    let mut options = PngOptions::default();
    options.scale = Some(1.0);
    options.no_legend = true;
    let with_text = png(&named("IIIIIIII"), &options).unwrap();
    let without_text = png(&named("        "), &options).unwrap();
    let (width, height, data) = pixels(&with_text.bytes);
    assert_eq!((width, height), (with_text.width, with_text.height));
    let dark = |data: &[u8]| {
        data.chunks(3)
            .filter(|pixel| pixel[0] < 60 && pixel[1] < 60)
            .count()
    };
    let (_, _, blank) = pixels(&without_text.bytes);
    assert!(dark(&data) > dark(&blank) + 40, "the name is drawn");
    assert!(with_text.missing_glyphs.is_empty());
    options.scale = Some(3.0);
    let large = png(&named("IIIIIIII"), &options).unwrap();
    assert_eq!((large.width, large.height), (3 * width, 3 * height));
}

#[test]
fn dark_is_dark() {
    let mut options = PngOptions::default();
    options.theme = Theme::Dark;
    let (_, _, data) = pixels(&png(&named("a"), &options).unwrap().bytes);
    assert!(data[..3].iter().all(|value| *value < 40));
}

#[test]
fn characters_without_a_glyph_are_said() {
    // Private use: no font has a glyph here.
    let drawn = png(&named("a\u{10fffd}b\u{f1234}"), &PngOptions::default()).unwrap();
    assert_eq!(drawn.missing_glyphs, ['\u{f1234}', '\u{10fffd}']);
}

#[test]
fn a_picture_above_the_limit_is_refused_with_what_to_do() {
    let mut options = PngOptions::default();
    options.scale = Some(200.0);
    let error = png(&scenes::small(), &options).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    assert!(
        error.to_string().contains("fold") && error.to_string().contains("SVG"),
        "{error}"
    );
    options.scale = Some(f32::NAN);
    assert!(matches!(
        png(&scenes::small(), &options),
        Err(Error::InvalidScale { .. })
    ));
}
