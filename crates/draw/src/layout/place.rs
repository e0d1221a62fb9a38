//! The height of each cell: near the mean of its neighbours, in the order of its layer, without overlaps.

use super::layers::Layers;

/// How often the heights are drawn to the neighbours of one side, then of the other.
const ROUNDS: usize = 12;
/// The last rounds draw each cell to both sides.
const LAST_ROUNDS: usize = 4;
/// How much stronger a join pulls where it lies between two passages, or between a box and a passage: long edges become straight.
const PULL_OF_PASSAGES: f64 = 8.0;
const PULL_OF_PASSAGE: f64 = 2.0;
/// A cell without neighbours on the side that pulls stays where it is, unless others push.
const INERTIA: f64 = 0.05;

/// The middle of each cell. The least top is 0.
pub(super) fn heights(layers: &Layers) -> Vec<f64> {
    let mut middles = stacked(layers);
    let last = layers.rows.len().saturating_sub(1);
    for _ in 0..ROUNDS {
        for row in 1..=last {
            pull(layers, &mut middles, row, true, false);
        }
        for row in (0..last).rev() {
            pull(layers, &mut middles, row, false, true);
        }
    }
    for _ in 0..LAST_ROUNDS {
        for row in (0..=last).chain((0..last).rev()) {
            pull(layers, &mut middles, row, true, true);
        }
    }
    let top = layers
        .cells
        .iter()
        .zip(&middles)
        .map(|(cell, middle)| middle - cell.height / 2.0)
        .fold(f64::INFINITY, f64::min);
    for middle in &mut middles {
        *middle -= top;
    }
    middles
}

/// Every row as close as it can be, with its middle at 0.
fn stacked(layers: &Layers) -> Vec<f64> {
    let mut middles = vec![0.0; layers.cells.len()];
    for row in &layers.rows {
        let total: f64 = row.iter().map(|&cell| layers.cells[cell].height).sum();
        let mut top = -total / 2.0;
        for &cell in row {
            middles[cell] = top + layers.cells[cell].height / 2.0;
            top += layers.cells[cell].height;
        }
    }
    middles
}

/// Moves the cells of a row as near as possible to the means of their neighbours.
fn pull(layers: &Layers, middles: &mut [f64], row: usize, to_before: bool, to_after: bool) {
    let row = &layers.rows[row];
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    let mut wanted = Vec::with_capacity(row.len());
    for (position, &cell) in row.iter().enumerate() {
        if position > 0 {
            offset += (layers.cells[row[position - 1]].height + layers.cells[cell].height) / 2.0;
        }
        let (mut sum, mut weight) = (middles[cell] * INERTIA, INERTIA);
        let before = to_before.then(|| &layers.before[cell]);
        let after = to_after.then(|| &layers.after[cell]);
        for &neighbour in before.into_iter().chain(after).flatten() {
            let passages = [cell, neighbour].map(|cell| layers.cells[cell].is_passage);
            let strength = match passages {
                [true, true] => PULL_OF_PASSAGES,
                [false, false] => 1.0,
                _ => PULL_OF_PASSAGE,
            };
            sum += middles[neighbour] * strength;
            weight += strength;
        }
        offsets.push(offset);
        wanted.push((sum / weight - offset, weight));
    }
    for ((&cell, value), offset) in row.iter().zip(rising(&wanted)).zip(offsets) {
        middles[cell] = value + offset;
    }
}

/// The sequence that never falls and is nearest to the wanted values, by least squares with these weights.
fn rising(wanted: &[(f64, f64)]) -> Vec<f64> {
    // Pool adjacent violators: a value below the mean of the block before it joins that block.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for &(value, weight) in wanted {
        let mut block = (value * weight, weight, 1);
        while let Some(&(sum, weight, len)) = blocks.last()
            && sum / weight >= block.0 / block.1
        {
            block = (block.0 + sum, block.1 + weight, block.2 + len);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
        .into_iter()
        .flat_map(|(sum, weight, len)| std::iter::repeat_n(sum / weight, len))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::rising;

    #[test]
    fn values_that_fall_become_their_mean() {
        assert_eq!(
            rising(&[(0.0, 1.0), (4.0, 1.0), (2.0, 1.0), (9.0, 1.0)]),
            [0.0, 3.0, 3.0, 9.0]
        );
        assert_eq!(rising(&[(4.0, 3.0), (0.0, 1.0)]), [3.0, 3.0]);
        assert!(rising(&[]).is_empty());
    }
}
