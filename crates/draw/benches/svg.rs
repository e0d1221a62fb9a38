//! What drawing costs: `cargo bench --package runlineage-draw`.

#[path = "../tests/draw/scenes.rs"]
#[allow(clippy::expect_used, dead_code, reason = "it belongs to the tests")]
mod scenes;

use std::hint::black_box;
use std::time::{Duration, Instant};

use runlineage_draw::{PngOptions, SvgOptions, png, svg};

const ROUNDS: usize = 21;

fn main() {
    for (name, picture) in scenes::fixed() {
        let size = format!(
            "{name}, {} nodes, {} edges",
            picture.nodes().len(),
            picture.edges().len()
        );
        let drawn = median(|| {
            black_box(svg(&picture, &SvgOptions::default()));
        });
        let folded = median(|| {
            black_box(svg(&picture.fold(5), &SvgOptions::default()));
        });
        let start = Instant::now();
        let pixels = png(&picture, &PngOptions::default()).map(|png| png.bytes.len());
        println!(
            "{size}: svg {drawn:.1?}, folded {folded:.1?}, png {:.0?} ({} bytes)",
            start.elapsed(),
            pixels.unwrap_or_default()
        );
    }
}

fn median(mut draw: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            draw();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}
