//! The order of the cells within each layer, with few crossings: sweeps by barycentre, then swaps of neighbours.

use std::collections::BTreeMap;

use super::layers::Layers;

/// How many sweeps there are at most.
const SWEEPS: usize = 32;
/// Sweeps end when so many in a row found nothing better.
const PATIENCE: usize = 8;
/// About how many steps all sweeps may take together, so that a huge graph is drawn soon, if with more crossings.
const BUDGET: usize = 6_000_000;
/// A row with more cells is not sifted: that takes the square of its length.
const LONGEST_SIFTED: usize = 200;
/// How often the swaps of one sweep begin anew.
const SWAP_ROUNDS: usize = 6;

/// Orders the layers.
pub(super) fn reduce_crossings(layers: &mut Layers) {
    let mut best: Option<(usize, Vec<Vec<usize>>)> = None;
    let cost = layers.cells.len() + layers.joins() + 1;
    let sweeps = (BUDGET / (cost * 20)).clamp(2, SWEEPS);
    for start in [Start::FirstLayer, Start::LastLayer] {
        let mut search = Search::new(layers, start);
        let mut idle = 0;
        for sweep in 0..sweeps {
            search.sweep(sweep % 2 == 0, sweep % 4 >= 2);
            search.swap_neighbours();
            if search.crossings()
                < best
                    .as_ref()
                    .map_or(usize::MAX, |(fewest, _)| fewest + fewest / 4)
            {
                search.sift();
            }
            let crossings = search.crossings();
            if best.as_ref().is_none_or(|(fewest, _)| crossings < *fewest) {
                best = Some((crossings, search.rows.clone()));
                idle = 0;
            } else {
                idle += 1;
            }
            if crossings == 0 || idle == PATIENCE {
                break;
            }
        }
        if matches!(best, Some((0, _))) {
            break;
        }
    }
    if let Some((_, rows)) = best {
        layers.rows = rows;
    }
    sort_twins(layers);
}

/// Puts cells with the same neighbours in the order of the graph, among the places that they have. This changes no crossing.
fn sort_twins(layers: &mut Layers) {
    let mut neighbours: Vec<[Vec<usize>; 2]> = Vec::with_capacity(layers.cells.len());
    for cell in 0..layers.cells.len() {
        let sides = [&layers.before[cell], &layers.after[cell]];
        neighbours.push(sides.map(|side| {
            let mut side = side.clone();
            side.sort_unstable();
            side
        }));
    }
    for row in &mut layers.rows {
        let mut twins: BTreeMap<&[Vec<usize>; 2], Vec<usize>> = BTreeMap::new();
        for (position, &cell) in row.iter().enumerate() {
            twins.entry(&neighbours[cell]).or_default().push(position);
        }
        for positions in twins.into_values() {
            let mut cells: Vec<usize> = positions.iter().map(|&position| row[position]).collect();
            cells.sort_unstable();
            for (position, cell) in positions.into_iter().zip(cells) {
                row[position] = cell;
            }
        }
    }
}

/// Where the first order comes from.
#[derive(Clone, Copy)]
enum Start {
    FirstLayer,
    LastLayer,
}

struct Search<'a> {
    layers: &'a Layers,
    rows: Vec<Vec<usize>>,
    /// The position of each cell in its row.
    position: Vec<usize>,
}

impl<'a> Search<'a> {
    /// The cells in the order in which a depth-first search meets them, so that a tree begins without crossings.
    fn new(layers: &'a Layers, start: Start) -> Self {
        let (roots, next): (Vec<usize>, _) = match start {
            Start::FirstLayer => (layers.rows.concat(), &layers.after),
            Start::LastLayer => (
                layers.rows.iter().rev().flatten().copied().collect(),
                &layers.before,
            ),
        };
        let mut rows = vec![Vec::new(); layers.rows.len()];
        let mut seen = vec![false; layers.cells.len()];
        for root in roots {
            let mut open = vec![root];
            while let Some(cell) = open.pop() {
                if std::mem::replace(&mut seen[cell], true) {
                    continue;
                }
                rows[layers.cells[cell].rank].push(cell);
                open.extend(next[cell].iter().rev());
            }
        }
        let mut search = Self {
            layers,
            rows,
            position: vec![0; layers.cells.len()],
        };
        for row in 0..search.rows.len() {
            search.number(row);
        }
        search
    }

    fn number(&mut self, row: usize) {
        for (position, &cell) in self.rows[row].iter().enumerate() {
            self.position[cell] = position;
        }
    }

    /// Sorts each row by the mean position of the neighbours in the row before it. Equal cells change places where `turn` is set:
    /// another order may do better in later rows.
    fn sweep(&mut self, forward: bool, turn: bool) {
        let rows = self.rows.len();
        for step in 1..rows {
            let (row, neighbours) = if forward {
                (step, &self.layers.before)
            } else {
                (rows - 1 - step, &self.layers.after)
            };
            let mut wanted: Vec<(f64, usize)> = Vec::new();
            let mut slots = Vec::new();
            for (slot, &cell) in self.rows[row].iter().enumerate() {
                // A cell without neighbours there keeps its slot.
                if !neighbours[cell].is_empty() {
                    let sum: usize = neighbours[cell].iter().map(|&n| self.position[n]).sum();
                    wanted.push((sum as f64 / neighbours[cell].len() as f64, cell));
                    slots.push(slot);
                }
            }
            if turn {
                wanted.reverse();
            }
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (slot, (_, cell)) in slots.into_iter().zip(wanted) {
                self.rows[row][slot] = cell;
            }
            self.number(row);
        }
    }

    /// Swaps neighbours wherever that removes crossings.
    fn swap_neighbours(&mut self) {
        for _ in 0..SWAP_ROUNDS {
            let mut improved = false;
            for row in 0..self.rows.len() {
                for upper in 1..self.rows[row].len() {
                    let (a, b) = (self.rows[row][upper - 1], self.rows[row][upper]);
                    let (as_is, swapped) = self.crossings_of_pair(a, b);
                    if swapped < as_is {
                        self.rows[row].swap(upper - 1, upper);
                        (self.position[a], self.position[b]) = (upper, upper - 1);
                        improved = true;
                    }
                }
            }
            if !improved {
                return;
            }
        }
    }

    /// Moves each cell to the place in its row where it has the fewest crossings.
    fn sift(&mut self) {
        for row in 0..self.rows.len() {
            if self.rows[row].len() > LONGEST_SIFTED {
                continue;
            }
            for cell in self.rows[row].clone() {
                let from = self.position[cell];
                // The change for each place, walking up and then down from where the cell is.
                let mut best = (0_i64, from);
                let mut change = 0_i64;
                for to in (0..from).rev() {
                    let (as_is, swapped) = self.crossings_of_pair(self.rows[row][to], cell);
                    change += swapped as i64 - as_is as i64;
                    if change < best.0 {
                        best = (change, to);
                    }
                }
                change = 0;
                for to in from + 1..self.rows[row].len() {
                    let (as_is, swapped) = self.crossings_of_pair(cell, self.rows[row][to]);
                    change += swapped as i64 - as_is as i64;
                    if change < best.0 {
                        best = (change, to);
                    }
                }
                if best.1 != from {
                    self.rows[row].remove(from);
                    self.rows[row].insert(best.1, cell);
                    self.number(row);
                }
            }
        }
    }

    /// The crossings between the joins of two cells: with `a` above `b`, and with `b` above `a`.
    fn crossings_of_pair(&self, a: usize, b: usize) -> (usize, usize) {
        let mut total = (0, 0);
        for neighbours in [&self.layers.before, &self.layers.after] {
            let sorted = |cell: usize| {
                let mut positions: Vec<usize> =
                    neighbours[cell].iter().map(|&n| self.position[n]).collect();
                positions.sort_unstable();
                positions
            };
            let (of_a, of_b) = (sorted(a), sorted(b));
            total.0 += inversions(&of_a, &of_b);
            total.1 += inversions(&of_b, &of_a);
        }
        total
    }

    fn crossings(&self) -> usize {
        self.rows
            .windows(2)
            .map(|pair| self.crossings_between(&pair[0], pair[1].len()))
            .sum()
    }

    /// Counts the crossings between two rows with a tree of sums (Barth, Jünger and Mutzel).
    fn crossings_between(&self, row: &[usize], next_len: usize) -> usize {
        let mut tree = vec![0_usize; next_len + 1];
        let mut seen = 0;
        let mut crossings = 0;
        for &cell in row {
            let mut ends: Vec<usize> = self.layers.after[cell]
                .iter()
                .map(|&n| self.position[n])
                .collect();
            ends.sort_unstable();
            for &end in &ends {
                let mut at_or_above = 0;
                let mut node = end + 1;
                while node > 0 {
                    at_or_above += tree[node];
                    node &= node - 1;
                }
                crossings += seen - at_or_above;
            }
            for &end in &ends {
                let mut node = end + 1;
                while node <= next_len {
                    tree[node] += 1;
                    node += node & node.wrapping_neg();
                }
            }
            seen += ends.len();
        }
        crossings
    }
}

/// How many pairs have the upper cell's neighbour below the lower cell's.
fn inversions(upper: &[usize], lower: &[usize]) -> usize {
    let mut below = 0;
    upper
        .iter()
        .map(|position| {
            while below < lower.len() && lower[below] < *position {
                below += 1;
            }
            below
        })
        .sum()
}
