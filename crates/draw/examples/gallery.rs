//! Writes pictures of the test scenes, to look at: `cargo run --package runlineage-draw --example gallery -- FOLDER`.

#[path = "../tests/draw/scenes.rs"]
#[allow(clippy::expect_used, dead_code, reason = "it belongs to the tests")]
mod scenes;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use runlineage_draw::{HtmlOptions, PngOptions, SvgOptions, Theme};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    fs::create_dir_all(&folder)?;
    for (name, picture) in scenes::fixed() {
        let file = |ending: &str| folder.join(format!("{name}{ending}"));
        let png = runlineage_draw::png(&picture, &PngOptions::default())?;
        println!(
            "{name}: {} × {}, without glyph: {:?}",
            png.width, png.height, png.missing_glyphs
        );
        fs::write(file(".png"), png.bytes)?;
        let folded = picture.fold(5);
        let mut dark = PngOptions::default();
        dark.theme = Theme::Dark;
        fs::write(
            file("-folded-dark.png"),
            runlineage_draw::png(&folded, &dark)?.bytes,
        )?;
        fs::write(
            file(".svg"),
            runlineage_draw::svg(&picture, &SvgOptions::default()),
        )?;
        let mut page = HtmlOptions::default();
        page.fold = Some(5);
        fs::write(file(".html"), runlineage_draw::html(&picture, &page))?;
        fs::write(file(".txt"), runlineage_draw::tree(&picture))?;
    }
    Ok(())
}
