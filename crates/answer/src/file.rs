//! A graph or a diff as a file of a format.

use runlineage::graph::{Diff, Graph};
use runlineage_draw::{Format, MermaidOptions, Picture, Result, SvgOptions};

use super::graph::drawn;
use super::{Drawn, Pages, diff_title, masked_picture};

/// The graph as a file of any format but JSON and a table. `source` is the mirror's, and names the namespace of OpenLineage events.
///
/// # Errors
/// Those of a PNG that is too large.
pub fn graph_file(
    graph: &Graph,
    pages: Option<&Pages>,
    source: Option<&str>,
    format: Format,
    fold: usize,
) -> Result<Drawn> {
    if format == Format::OpenLineage {
        let namespace = source.unwrap_or("mlflow");
        return Ok(Drawn::of(runlineage_draw::openlineage(graph, namespace)));
    }
    let picture = Picture::from_graph(graph, |shown| pages?.node(shown))?;
    picture_file(&picture, format, fold, &SvgOptions::default(), None)
}

/// The diff as a picture: SVG, PNG or HTML.
///
/// # Errors
/// As [`graph_file`].
pub fn diff_file(diff: &Diff, pages: Option<&Pages>, format: Format, fold: usize) -> Result<Drawn> {
    let picture = Picture::from_diff(diff, |shown| pages?.node(shown))?;
    let title = Some(diff_title(diff));
    picture_file(&picture, format, fold, &SvgOptions::default(), title)
}

/// The picture as a file of any format but JSON, a table and OpenLineage. A page without a title is named after the start.
///
/// # Errors
/// As [`graph_file`].
pub fn picture_file(
    picture: &Picture,
    format: Format,
    fold: usize,
    svg: &SvgOptions,
    title: Option<String>,
) -> Result<Drawn> {
    // Other programs join on the exact ids.
    match format {
        Format::Csv => Ok(Drawn::of(runlineage_draw::csv(picture))),
        Format::Dot => Ok(Drawn::of(runlineage_draw::dot(picture))),
        Format::GraphMl => Ok(Drawn::of(runlineage_draw::graphml(picture))),
        _ => pictured(&masked_picture(picture)?, format, fold, svg, title),
    }
}

fn pictured(
    picture: &Picture,
    format: Format,
    fold: usize,
    svg: &SvgOptions,
    title: Option<String>,
) -> Result<Drawn> {
    match format {
        Format::Mermaid => {
            let mut options = MermaidOptions::default();
            options.fold = (fold > 0).then_some(fold);
            Ok(Drawn::of(runlineage_draw::mermaid(picture, &options)))
        }
        Format::Tree => Ok(Drawn::of(runlineage_draw::tree(&picture.fold(fold)))),
        _ => drawn(picture, format, fold, svg, title),
    }
}

impl Drawn {
    fn of(text: String) -> Self {
        Self {
            bytes: text.into_bytes(),
            missing_glyphs: Vec::new(),
        }
    }
}
