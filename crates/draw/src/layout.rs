//! Where the boxes stand and how the edges run: layers from left to right, in the manner of Sugiyama.
//!
//! - `rank`: turns back edges round, so that no cycle is left, and gives every box its layer; `simplex`: makes the edges short
//! - `layers`: the boxes of each layer, and the places where a long edge passes through a layer
//! - `order`: the order within each layer, with few crossings
//! - `place`: the heights, without overlaps
//! - `route`: the curves, which stay in the gaps between the layers and in the free places of a layer
//!
//! Each connected part of the graph is laid out alone, and the parts stand below each other. Nothing is random, and no
//! map without order is iterated: the same graph always looks the same.

mod layers;
mod order;
mod parts;
mod place;
mod rank;
mod route;
mod simplex;

pub(crate) use route::{HEAD, Route};

use layers::Layers;

/// The room between two boxes of a layer.
const BOX_GAP: f64 = 18.0;
/// The room between two connected parts of the graph.
const PART_GAP: f64 = 36.0;

/// The room that a box needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// The free room above the box, and below it.
    pub(crate) margin: f64,
    /// How far from the box edges begin and end.
    pub(crate) reach: f64,
}

/// A box in its place. Every box of a layer is as wide as the widest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Boxes and edges in their places, in the order in which they were given. The top left corner is (0, 0).
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) places: Vec<Place>,
    pub(crate) routes: Vec<Route>,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Lays out boxes of these sizes, joined by these edges. Edges of one style may share a part of their way.
pub(crate) fn layout(sizes: &[Size], edges: &[(usize, usize)], styles: &[bool]) -> Layout {
    let nowhere = Place {
        x: 0.0,
        y: 0.0,
        width: 0.0,
        height: 0.0,
    };
    let mut whole = Layout {
        places: vec![nowhere; sizes.len()],
        routes: vec![Route::default(); edges.len()],
        width: 0.0,
        height: 0.0,
    };
    for part in parts::connected(sizes.len(), edges) {
        if whole.height > 0.0 {
            whole.height += PART_GAP;
        }
        let sizes: Vec<Size> = part.nodes.iter().map(|&node| sizes[node]).collect();
        let styles: Vec<bool> = part.edges.iter().map(|&edge| styles[edge]).collect();
        let laid = layout_part(&sizes, &part.ends, &styles);
        for (&node, place) in part.nodes.iter().zip(laid.places) {
            whole.places[node] = Place {
                y: place.y + whole.height,
                ..place
            };
        }
        for (&edge, route) in part.edges.iter().zip(laid.routes) {
            whole.routes[edge] = route.lowered(whole.height);
        }
        whole.width = whole.width.max(laid.width);
        whole.height += laid.height;
    }
    whole
}

/// Lays out one connected part.
fn layout_part(sizes: &[Size], edges: &[(usize, usize)], styles: &[bool]) -> Layout {
    let ranking = rank::ranking(sizes.len(), edges);
    let mut layers = Layers::new(sizes, edges, styles, &ranking);
    order::reduce_crossings(&mut layers);
    let heights = place::heights(&layers);
    route::draw(&layers, &heights, edges, &ranking)
}
