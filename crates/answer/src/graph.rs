//! A graph in the formats that need no terminal.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use runlineage::graph::{Edge, Graph, GraphNode, Truncated};
use runlineage_draw::{Format, HtmlOptions, Picture, PngOptions, SvgOptions};
use serde::Serialize;

use super::{Pages, masked};

/// A node of a graph as JSON, with its page in MLflow.
#[derive(Debug, Clone, Serialize)]
pub struct LinkedNode<'a> {
    #[serde(flatten)]
    shown: &'a GraphNode,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A graph as JSON, with links to MLflow.
#[derive(Debug, Clone, Serialize)]
pub struct LinkedGraph<'a> {
    nodes: Vec<LinkedNode<'a>>,
    edges: &'a [Edge],
    truncated: &'a Option<Truncated>,
}

/// A drawn graph.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The file.
    pub bytes: Vec<u8>,
    /// The characters that a PNG shows as boxes, because no font here has them.
    pub missing_glyphs: Vec<char>,
}

impl<'a> LinkedNode<'a> {
    /// The node with its link, if MLflow has a page of it.
    pub fn of(shown: &'a GraphNode, pages: Option<&Pages>) -> Self {
        Self {
            shown,
            url: pages.and_then(|pages| pages.node(shown)),
        }
    }
}

impl<'a> LinkedGraph<'a> {
    /// The graph with its links.
    pub fn of(graph: &'a Graph, pages: Option<&Pages>) -> Self {
        let nodes = graph.nodes.iter();
        Self {
            nodes: nodes.map(|shown| LinkedNode::of(shown, pages)).collect(),
            edges: &graph.edges,
            truncated: &graph.truncated,
        }
    }
}

/// Draws a picture as SVG, PNG or HTML, and any other format as CSV. More siblings than `fold` become one node; 0 folds none. A page
/// without a title of its own is named after the start.
///
/// # Errors
/// Those of a PNG that is too large.
pub(super) fn drawn(
    picture: &Picture,
    format: Format,
    fold: usize,
    svg: &SvgOptions,
    title: Option<String>,
) -> runlineage_draw::Result<Drawn> {
    let folded = || picture.fold(fold);
    let mut missing_glyphs = Vec::new();
    let bytes = match format {
        Format::Svg => runlineage_draw::svg(&folded(), svg).into_bytes(),
        Format::Png => {
            let png = runlineage_draw::png(&folded(), &PngOptions::default())?;
            missing_glyphs = png.missing_glyphs;
            png.bytes
        }
        Format::Html => {
            let mut options = HtmlOptions::default();
            options.fold = (fold > 0).then_some(fold);
            options.title = title;
            runlineage_draw::html(picture, &options).into_bytes()
        }
        _ => runlineage_draw::csv(picture).into_bytes(),
    };
    Ok(Drawn {
        bytes,
        missing_glyphs,
    })
}

/// A value as one line of JSON.
///
/// # Errors
/// Those of the value's own serialization.
pub fn json_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// The picture with credentials masked in all of its texts. People share pictures, so this comes before layout, which shortens
/// names. JSON and CSV are for programs, which need the exact ids.
///
/// # Errors
/// Never: masked ids stay different.
pub fn masked_picture(picture: &Picture) -> runlineage_draw::Result<Picture> {
    let mask = |text: &mut String| {
        if let Cow::Owned(masked) = masked(text) {
            *text = masked;
        }
    };
    let mut nodes = picture.nodes().to_vec();
    let mut ids = HashMap::new();
    let mut taken = HashSet::new();
    for node in &mut nodes {
        let exact = node.id.clone();
        mask(&mut node.id);
        // Two addresses may differ in their credentials alone.
        let masked = node.id.clone();
        for number in 2.. {
            if taken.insert(node.id.clone()) {
                break;
            }
            node.id = format!("{masked} ({number})");
        }
        ids.insert(exact, node.id.clone());
        mask(&mut node.name);
        node.lines.iter_mut().for_each(mask);
        node.aliases.iter_mut().for_each(mask);
        node.facts.iter_mut().for_each(|(_, value)| mask(value));
    }
    let mut edges = picture.edges().to_vec();
    for edge in &mut edges {
        for end in [&mut edge.from, &mut edge.to] {
            if let Some(id) = ids.get(end) {
                end.clone_from(id);
            }
        }
    }
    let mut truncation = picture.truncation().map(str::to_owned);
    truncation.iter_mut().for_each(mask);
    Ok(Picture::new(nodes, edges)?.truncated(truncation))
}
