//! The columns, the boxes in them, and the curve of each edge.

use super::layers::Layers;
use super::rank::Ranking;
use super::{BOX_GAP, Layout, Place};

/// The gap between two columns: at least, and at most.
const GAP: (f64, f64) = (64.0, 220.0);
/// How much wider a gap becomes for each pixel that an edge climbs in it: steep edges are hard to follow.
const GAP_PER_CLIMB: f64 = 0.12;
/// The length of an arrow head, which begins where the line ends.
pub(crate) const HEAD: f64 = 8.0;
/// Half the width of a loop, and the height of its curve. The caller leaves room for it above the box.
const LOOP_WIDTH: f64 = 18.0;
const LOOP_HEIGHT: f64 = 20.0;

/// How far below the middle of a box a back edge begins and ends.
const BACK_OFFSET: f64 = 9.0;

/// A point of the picture.
pub(crate) type Point = (f64, f64);

/// The curve of one edge, from its source to the base of its arrow head.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Route {
    /// Where the edge leaves its source.
    pub(crate) start: Point,
    /// Cubic curves, each with two control points and an end.
    pub(crate) curves: Vec<[Point; 3]>,
    /// The tip of the arrow head.
    pub(crate) tip: Point,
    /// Whether the edge runs against the layers, from right to left or to its own source.
    pub(crate) back: bool,
}

impl Route {
    /// The same route, this much further down.
    pub(super) fn lowered(mut self, by: f64) -> Self {
        self.start.1 += by;
        self.tip.1 += by;
        for point in self.curves.iter_mut().flatten() {
            point.1 += by;
        }
        self
    }
}

/// Draws the layers with these middles of their cells.
pub(super) fn draw(
    layers: &Layers,
    middles: &[f64],
    edges: &[(usize, usize)],
    ranking: &Ranking,
) -> Layout {
    let columns = columns(layers, middles);
    let places: Vec<Place> = layers
        .sizes
        .iter()
        .enumerate()
        .map(|(node, size)| {
            let (left, right) = columns[layers.cells[node].rank];
            Place {
                x: left,
                y: middles[node] - size.height / 2.0,
                width: right - left,
                height: size.height,
            }
        })
        .collect();
    let routes = edges
        .iter()
        .enumerate()
        .map(|(edge, &(from, _))| {
            let chain = &layers.chains[edge];
            if chain.is_empty() {
                return around(&places[from], layers.sizes[from].reach);
            }
            let back = ranking.back[edge];
            let stops = chain.iter().map(|&cell| {
                let (left, right) = columns[layers.cells[cell].rank];
                match layers.sizes.get(cell) {
                    Some(size) => Stop {
                        left: left - size.reach,
                        right: right + size.reach,
                        // A back edge often has the same ends as a forward edge.
                        height: middles[cell] + if back { BACK_OFFSET } else { 0.0 },
                    },
                    None => Stop {
                        left,
                        right,
                        height: middles[cell],
                    },
                }
            });
            through(stops.collect(), back)
        })
        .collect();
    let bottom = layers
        .cells
        .iter()
        .zip(middles)
        .map(|(cell, middle)| middle + cell.height / 2.0)
        .fold(0.0, f64::max);
    Layout {
        places,
        routes,
        width: columns.last().map_or(0.0, |&(_, right)| right),
        height: bottom.max(BOX_GAP),
    }
}

/// The left and the right border of each column.
fn columns(layers: &Layers, middles: &[f64]) -> Vec<(f64, f64)> {
    let mut left = 0.0;
    let mut columns = Vec::with_capacity(layers.rows.len());
    for row in &layers.rows {
        let width = row
            .iter()
            .filter_map(|&cell| layers.sizes.get(cell))
            .map(|size| size.width)
            .fold(0.0, f64::max);
        columns.push((left, left + width));
        let climb = row
            .iter()
            .flat_map(|&cell| layers.after[cell].iter().map(move |&to| (cell, to)))
            .map(|(cell, to)| (middles[cell] - middles[to]).abs())
            .fold(0.0, f64::max);
        left += width + (GAP.0 + climb * GAP_PER_CLIMB).min(GAP.1);
    }
    columns
}

/// A cell on the way of an edge.
struct Stop {
    left: f64,
    right: f64,
    height: f64,
}

/// The route through the gaps between the stops. In a gap it is a curve that begins and ends level; in a column it is level.
fn through(stops: Vec<Stop>, back: bool) -> Route {
    let mut borders: Vec<Point> = stops
        .iter()
        .flat_map(|stop| [(stop.left, stop.height), (stop.right, stop.height)])
        .collect();
    // Neither the left border of the first box nor the right border of the last is on the way.
    borders.pop();
    borders.remove(0);
    if back {
        borders.reverse();
    }
    let tip = borders.last().copied().unwrap_or_default();
    if let Some(last) = borders.last_mut() {
        last.0 += if back { HEAD } else { -HEAD };
    }
    let start = borders.first().copied().unwrap_or_default();
    let curves = borders
        .windows(2)
        .map(|pair| {
            let middle = (pair[0].0 + pair[1].0) / 2.0;
            [(middle, pair[0].1), (middle, pair[1].1), pair[1]]
        })
        .collect();
    Route {
        start,
        curves,
        tip,
        back,
    }
}

/// A loop above the box, for a run that reads what it wrote.
fn around(place: &Place, reach: f64) -> Route {
    let (left, right) = (
        place.x + place.width / 2.0 - LOOP_WIDTH,
        place.x + place.width / 2.0 + LOOP_WIDTH,
    );
    let top = place.y - reach;
    Route {
        start: (right, top),
        curves: vec![[
            (right, top - LOOP_HEIGHT / 0.75),
            (left, top - LOOP_HEIGHT / 0.75),
            (left, top - HEAD),
        ]],
        tip: (left, top),
        back: true,
    }
}
