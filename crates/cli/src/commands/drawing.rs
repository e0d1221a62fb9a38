//! Writes a graph in the format that was asked for, to stdout or into a file.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use runlineage::graph::Graph;
use runlineage_draw::{Format, Picture, SvgOptions, TABLE_HEADER};
use runlineage_server::answer::{self, LinkedGraph};

use super::Result;
use crate::args::OutputArgs;
use crate::connect::usage;
use crate::file;
use crate::output::table;
use crate::pages::Pages;
use crate::say::say;
use crate::secret::masked;
use crate::stdout::stdout;

/// The format that was asked for, if the output can take it.
pub(super) fn format(output: &OutputArgs, default: Format) -> Result<Format> {
    let format = output.format()?.unwrap_or(default);
    if format == Format::Png && output.out.is_none() && std::io::stdout().is_terminal() {
        return Err(usage(
            "--format",
            "a terminal cannot show a PNG; write it to a file: --out graph.png",
        )
        .into());
    }
    Ok(format)
}

/// The graph in any format.
pub(super) fn drawn(
    graph: &Graph,
    pages: Option<&Pages>,
    format: Format,
    fold: usize,
) -> Result<Vec<u8>> {
    if format == Format::Json {
        return Ok(answer::json_line(&LinkedGraph::of(graph, pages))?);
    }
    let picture = Picture::from_graph(graph, |shown| pages?.node(shown))?;
    let bytes = match format {
        Format::Table => node_table(&picture).into_bytes(),
        Format::Tree => {
            let folded = match fold {
                0 => picture,
                shown => picture.fold(shown),
            };
            masked(&runlineage_draw::tree(&folded))
                .into_owned()
                .into_bytes()
        }
        _ => {
            let drawn = answer::drawn(&picture, format, fold, &SvgOptions::default())?;
            say_missing(&drawn.missing_glyphs);
            drawn.bytes
        }
    };
    Ok(bytes)
}

/// Writes the answer into the file of `--out`, or to stdout.
pub(super) fn write(output: &OutputArgs, answer: &[u8]) -> Result<()> {
    match &output.out {
        Some(path) => {
            file::replace(path, answer)?;
            say!("Wrote {}.", path.display());
        }
        None => {
            stdout().write_all(answer)?;
            stdout().flush()?;
        }
    }
    Ok(())
}

fn node_table(picture: &Picture) -> String {
    let rows = runlineage_draw::table_rows(picture);
    let rows = rows.into_iter().map(|row| row.to_vec());
    let table = table(&TABLE_HEADER.map(str::to_owned), rows);
    match picture.truncation() {
        Some(cut) => format!("{table}\n{cut}\n"),
        None => format!("{table}\n"),
    }
}

fn say_missing(glyphs: &[char]) {
    if glyphs.is_empty() {
        return;
    }
    let shown: Vec<String> = glyphs
        .iter()
        .take(10)
        .map(|glyph| format!("{glyph} (U+{:04X})", u32::from(*glyph)))
        .collect();
    let more = match glyphs.len() {
        ..=10 => String::new(),
        all => format!(" and {} more", all - 10),
    };
    say!(
        "No font here has a glyph for {}{more}, so the PNG shows boxes instead. Install a font that has them, or write SVG.",
        shown.join(", ")
    );
}

/// The exit code. CSV has no place to say that a limit cut the answer, so the command fails, and no script takes the rows for all.
pub(super) fn code(format: Format, is_cut: bool) -> ExitCode {
    match format == Format::Csv && is_cut {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
