//! The picture as SVG.
//!
//! - `style`: colours, light and dark; `shape`: the outline of each kind; `mark`: the symbol of each status
//! - `node`, `edge`: what a box and an edge look like; `change`: what is different, in a picture of two graphs; `legend`: what occurs in the picture, explained; `notice`: where a
//!   limit cut the graph

mod change;
mod edge;
mod legend;
mod mark;
mod node;
mod notice;
mod shape;
mod style;

use std::fmt::Write as _;

use crate::layout::{Place, Size, layout};
use crate::picture::Picture;
use crate::text::escaped;

pub use style::Theme;

use edge::EdgeStyle;
use node::NodeBox;

/// The free border of the picture.
const BORDER: f64 = 24.0;
/// The room between the graph and what stands above or below it.
const SECTION_GAP: f64 = 22.0;

/// What an SVG holds beside the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SvgOptions {
    /// The colours.
    pub theme: Theme,
    /// Whether nodes link to their pages in MLflow.
    pub links: bool,
    /// Whether a legend explains what occurs in the picture.
    pub legend: bool,
}

/// Light or dark as the reader's system asks, with links and a legend.
impl Default for SvgOptions {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            links: true,
            legend: true,
        }
    }
}

/// Draws the picture as SVG. The same picture and the same options give the same text.
///
/// Each node is a group of class `node` with the attributes `data-node` (its position among the nodes), `data-id` and
/// `data-kind`. Each edge is a group of class `edge` with `data-edge` (its position among the edges), `data-from` and
/// `data-to` (positions of nodes).
pub fn svg(picture: &Picture, options: &SvgOptions) -> String {
    sized_svg(picture, options).0
}

/// The SVG, and its width and height in pixels.
pub(crate) fn sized_svg(picture: &Picture, options: &SvgOptions) -> (String, (f64, f64)) {
    let drawing = Drawing::new(picture, options.legend);
    let size = (drawing.width.ceil(), drawing.height.ceil());
    (drawing.write(picture, options), size)
}

/// Everything in its place.
struct Drawing {
    width: f64,
    height: f64,
    notice: String,
    edges: String,
    nodes: Vec<(Place, NodeBox)>,
    legend: String,
}

impl Drawing {
    fn new(picture: &Picture, with_legend: bool) -> Self {
        let mut loops = vec![false; picture.nodes().len()];
        for &(from, to) in picture.ends() {
            loops[from] |= from == to;
        }
        let boxes: Vec<NodeBox> = picture
            .nodes()
            .iter()
            .zip(&loops)
            .map(|(node, &has_loop)| NodeBox::new(node, has_loop))
            .collect();
        let sizes: Vec<Size> = boxes.iter().map(NodeBox::size).collect();
        let certain: Vec<bool> = picture.edges().iter().map(|edge| edge.certain).collect();
        let laid = layout(&sizes, picture.ends(), &certain);

        let styles: Vec<EdgeStyle> = picture
            .edges()
            .iter()
            .zip(&laid.routes)
            .map(|(edge, route)| EdgeStyle::of(edge, route.back))
            .collect();
        let room = laid.width.max(notice::LEAST_WIDTH);
        let (notice, notice_height) = match picture.truncation() {
            Some(message) => notice::draw(message, BORDER, BORDER, room),
            None => (String::new(), 0.0),
        };
        let top = BORDER + notice_height + gap(notice_height);
        let left = BORDER;
        let mut legend = (String::new(), 0.0, 0.0);
        if with_legend {
            let items = legend::items(picture, &styles);
            let legend_top = top + laid.height + SECTION_GAP;
            legend = legend::draw(&items, left, legend_top, room);
        }
        let (legend, legend_width, legend_height) = legend;

        let mut edges = String::new();
        for (position, route) in laid.routes.iter().enumerate() {
            edge::draw(
                &mut edges,
                picture,
                position,
                route,
                styles[position],
                left,
                top,
            );
        }
        let notice_width = if notice.is_empty() { 0.0 } else { room };
        let nodes = laid.places.into_iter().map(|place| Place {
            x: place.x + left,
            y: place.y + top,
            ..place
        });
        Self {
            width: 2.0 * BORDER + laid.width.max(legend_width).max(notice_width),
            height: top + laid.height + gap(legend_height) + legend_height + BORDER,
            notice,
            edges,
            nodes: nodes.zip(boxes).collect(),
            legend,
        }
    }

    fn write(&self, picture: &Picture, options: &SvgOptions) -> String {
        let mut out = String::with_capacity(512 * (self.nodes.len() + picture.edges().len() + 8));
        let (width, height) = (self.width.ceil(), self.height.ceil());
        let _ = write!(
            out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="lineage" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="group" aria-label="{}">"#,
            escaped(&summary(picture)),
        );
        let _ = write!(out, "<style>{}</style>", options.theme.style_sheet());
        let _ = write!(
            out,
            r#"<rect class="paper" width="{width}" height="{height}"/>"#
        );
        out.push_str(&self.notice);
        out.push_str(&self.edges);
        for (position, (place, node_box)) in self.nodes.iter().enumerate() {
            let node = &picture.nodes()[position];
            node_box.draw(&mut out, node, position, place, options.links);
        }
        out.push_str(&self.legend);
        out.push_str("</svg>\n");
        out
    }
}

fn gap(height: f64) -> f64 {
    if height > 0.0 { SECTION_GAP } else { 0.0 }
}

/// What a screen reader says of the whole picture.
fn summary(picture: &Picture) -> String {
    let starts: Vec<&str> = picture
        .nodes()
        .iter()
        .filter(|node| node.start)
        .map(|node| node.id.as_str())
        .take(3)
        .collect();
    let of = if starts.is_empty() {
        String::new()
    } else {
        format!(" of {}", starts.join(", "))
    };
    format!(
        "Lineage{of}: {} nodes, {} edges",
        picture.nodes().len(),
        picture.edges().len()
    )
}

/// A coordinate with one decimal, and none where it is whole.
pub(super) fn number(value: f64) -> f64 {
    let rounded = (value * 10.0).round() / 10.0;
    // Zero has a sign, which would be printed.
    if rounded == 0.0 { 0.0 } else { rounded }
}
