//! The layers: boxes, and the places where a long edge passes through a layer.

use std::collections::HashMap;

use super::rank::Ranking;
use super::{BOX_GAP, Size};

/// The height that a passing edge takes, with the room around it.
const PASSAGE: f64 = 12.0;

/// One place in a layer: a box, or the passage of a long edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The layer.
    pub(super) rank: usize,
    /// Its height, with half of the room to each neighbour.
    pub(super) height: f64,
    /// Whether a long edge passes here.
    pub(super) is_passage: bool,
}

/// Boxes and passages by layer, joined from each layer to the next. Boxes come first among the cells and have the numbers
/// that they have in the graph.
pub(super) struct Layers {
    pub(super) sizes: Vec<Size>,
    pub(super) cells: Vec<Cell>,
    /// The cells of each layer, from top to bottom.
    pub(super) rows: Vec<Vec<usize>>,
    /// The neighbours of each cell in the layer before, once for each edge on the way between the two.
    pub(super) before: Vec<Vec<usize>>,
    /// The same for the layer after.
    pub(super) after: Vec<Vec<usize>>,
    /// The cells of each edge, from the earlier layer to the later; a self loop has none.
    pub(super) chains: Vec<Vec<usize>>,
}

impl Layers {
    /// The layers of this ranking, in no particular order within a layer.
    pub(super) fn new(
        sizes: &[Size],
        edges: &[(usize, usize)],
        styles: &[bool],
        ranking: &Ranking,
    ) -> Self {
        let cells = sizes
            .iter()
            .zip(&ranking.ranks)
            .map(|(size, &rank)| Cell {
                rank,
                height: size.height + 2.0 * size.margin + BOX_GAP,
                is_passage: false,
            })
            .collect();
        let mut layers = Self {
            sizes: sizes.to_vec(),
            cells,
            rows: Vec::new(),
            before: vec![Vec::new(); sizes.len()],
            after: vec![Vec::new(); sizes.len()],
            chains: Vec::with_capacity(edges.len()),
        };
        layers.add_chains(edges, styles, ranking);
        let last = layers.cells.iter().map(|cell| cell.rank).max().unwrap_or(0);
        layers.rows = vec![Vec::new(); last + 1];
        for (cell, Cell { rank, .. }) in layers.cells.iter().enumerate() {
            layers.rows[*rank].push(cell);
        }
        layers
    }

    /// Edges of one style and direction out of one box share their passages: one line takes the place of a bundle.
    fn add_chains(&mut self, edges: &[(usize, usize)], styles: &[bool], ranking: &Ranking) {
        let mut passages: HashMap<(usize, bool, bool), Vec<usize>> = HashMap::new();
        for ((&(from, to), &back), &style) in edges.iter().zip(&ranking.back).zip(styles) {
            let (from, to) = if back { (to, from) } else { (from, to) };
            if from == to {
                self.chains.push(Vec::new());
                continue;
            }
            let shared = passages.entry((from, back, style)).or_default();
            let first = ranking.ranks[from] + 1;
            let needed = ranking.ranks[to] - first;
            while shared.len() < needed {
                shared.push(self.add_passage(first + shared.len()));
            }
            let mut chain = vec![from];
            chain.extend(&shared[..needed]);
            chain.push(to);
            for pair in chain.windows(2) {
                self.after[pair[0]].push(pair[1]);
                self.before[pair[1]].push(pair[0]);
            }
            self.chains.push(chain);
        }
    }

    fn add_passage(&mut self, rank: usize) -> usize {
        self.cells.push(Cell {
            rank,
            height: PASSAGE,
            is_passage: true,
        });
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.cells.len() - 1
    }

    /// The number of joins between layers.
    pub(super) fn joins(&self) -> usize {
        self.after.iter().map(Vec::len).sum()
    }
}
