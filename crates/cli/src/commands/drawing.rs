//! Writes a graph in the format that was asked for, to stdout or into a file.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use runlineage::MongoRunStore;
use runlineage::graph::{Diff, Graph};
use runlineage_draw::{Format, Picture, TABLE_HEADER};
use runlineage_server::answer::{self, LinkedGraph, masked_picture};

use super::Result;
use crate::args::OutputArgs;
use crate::connect::usage;
use crate::file;
use crate::output::table;
use crate::pages::Pages;
use crate::say::say;
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
pub(super) async fn drawn(
    store: &MongoRunStore,
    graph: &Graph,
    pages: Option<&Pages>,
    format: Format,
    fold: usize,
) -> Result<Vec<u8>> {
    if format == Format::Json {
        return Ok(answer::json_line(&LinkedGraph::of(graph, pages))?);
    }
    if format == Format::Table {
        let picture = Picture::from_graph(graph, |shown| pages?.node(shown))?;
        return Ok(node_table(&masked_picture(&picture)?).into_bytes());
    }
    let source = match format {
        Format::OpenLineage => store.freshness().await?.source,
        _ => None,
    };
    let drawn = answer::graph_file(graph, pages, source.as_deref(), format, fold)?;
    say_missing(&drawn.missing_glyphs);
    Ok(drawn.bytes)
}

/// The diff in one of the formats of pictures.
pub(super) fn drawn_diff(
    diff: &Diff,
    pages: Option<&Pages>,
    format: Format,
    fold: usize,
) -> Result<Vec<u8>> {
    let drawn = answer::diff_file(diff, pages, format, fold)?;
    say_missing(&drawn.missing_glyphs);
    Ok(drawn.bytes)
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

#[cfg(test)]
mod tests {
    use runlineage_draw::{HtmlOptions, NodeKind, Picture, PictureEdge, PictureNode, SvgOptions};

    use super::{masked_picture, node_table};

    /// A run that reads two addresses, which differ in their passwords alone.
    fn picture() -> Picture {
        let mut nodes = vec![PictureNode::new("run:r1", NodeKind::Run)];
        let mut edges = Vec::new();
        for password in ["pw1", "pw2"] {
            let id = format!(
                "dataset:https://ana:{password}%40host/a-long-path/of-a-file/clicks.csv@4f"
            );
            let mut node = PictureNode::new(&id, NodeKind::Dataset);
            node.name = format!("https://ana:{password}@host/a-long-path/of-a-file/clicks.csv");
            node.lines = vec![format!("from s3://k:{password}@bucket")];
            node.facts = vec![("source".to_owned(), format!("s3://k:{password}@bucket"))];
            edges.push(PictureEdge::new(id.as_str(), "run:r1"));
            nodes.push(node);
        }
        let cut = "The graph stops at dataset:https://ana:pw1%40host/x.".to_owned();
        let picture = Picture::new(nodes, edges).expect("the edges join its nodes");
        picture.truncated(cut)
    }

    #[test]
    fn whatever_people_see_of_a_graph_has_no_credentials() {
        let masked = masked_picture(&picture()).expect("the nodes are still apart");
        assert_eq!((masked.nodes().len(), masked.edges().len()), (3, 2));
        for text in [
            runlineage_draw::svg(&masked, &SvgOptions::default()),
            runlineage_draw::html(&masked, &HtmlOptions::default()),
            runlineage_draw::tree(&masked),
            node_table(&masked),
        ] {
            assert!(text.contains("***"), "{text}");
            assert!(!text.contains("pw1") && !text.contains("pw2"), "{text}");
        }
    }
}
