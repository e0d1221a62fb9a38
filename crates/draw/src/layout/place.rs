//! The height of each cell: near the mean of its neighbours, in the order of its layer, without overlaps.

use super::layers::Layers;

/// How often the heights are drawn to the neighbours of one side, then of the other.
const ROUNDS: usize = 12;
/// About how many cells all rounds may place, so that a huge graph is drawn soon, if less evenly.
const BUDGET: usize = 500_000;
/// The last rounds draw each cell to both sides.
const LAST_ROUNDS: usize = 4;
/// How much stronger a join pulls where it lies between two passages, or between a box and a passage: long edges become straight.
const PULL_OF_PASSAGES: f64 = 8.0;
const PULL_OF_PASSAGE: f64 = 2.0;
/// A cell without neighbours on the side that pulls stays where it is, unless others push.
const INERTIA: f64 = 0.05;
/// A cell that is so much above or below a neighbour is moved to the neighbour's height, where there is room.
const NEARLY_LEVEL: f64 = 16.0;
const LEVELLING_ROUNDS: usize = 3;

/// The middle of each cell. The least top is 0.
pub(super) fn heights(layers: &Layers) -> Vec<f64> {
    let mut middles = stacked(layers);
    let last = layers.rows.len().saturating_sub(1);
    let rounds = (BUDGET / (layers.cells.len() + layers.joins() + 1)).clamp(2, ROUNDS);
    for _ in 0..rounds {
        for row in 1..=last {
            pull(layers, &mut middles, row, true, false);
        }
        for row in (0..last).rev() {
            pull(layers, &mut middles, row, false, true);
        }
    }
    for _ in 0..LAST_ROUNDS.min(rounds) {
        for row in (0..=last).chain((0..last).rev()) {
            pull(layers, &mut middles, row, true, true);
        }
    }
    for _ in 0..LEVELLING_ROUNDS {
        for row in &layers.rows {
            level(layers, &mut middles, row);
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

/// Moves cells to the height of a neighbour that is nearly level with them: a straight edge is easier to follow than a slight bend.
fn level(layers: &Layers, middles: &mut [f64], row: &[usize]) {
    for (position, &cell) in row.iter().enumerate() {
        let distance = |a: usize, b: usize| (layers.cells[a].height + layers.cells[b].height) / 2.0;
        let top = position
            .checked_sub(1)
            .map(|above| middles[row[above]] + distance(row[above], cell));
        let bottom = row
            .get(position + 1)
            .map(|&below| middles[below] - distance(cell, below));
        let neighbours = layers.before[cell].iter().chain(&layers.after[cell]);
        // The edge between two passages counts most: it is the middle of a long edge.
        let nearest = neighbours.min_by(|&&a, &&b| {
            let rank = |n: usize| {
                let both_pass = layers.cells[n].is_passage && layers.cells[cell].is_passage;
                let climb = (middles[n] - middles[cell]).abs();
                if both_pass {
                    climb / PULL_OF_PASSAGES
                } else {
                    climb
                }
            };
            rank(a).total_cmp(&rank(b))
        });
        if let Some(&nearest) = nearest {
            let wanted = middles[nearest];
            let has_room =
                top.is_none_or(|top| wanted >= top) && bottom.is_none_or(|bottom| wanted <= bottom);
            if has_room && (wanted - middles[cell]).abs() <= NEARLY_LEVEL {
                middles[cell] = wanted;
            }
        }
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
