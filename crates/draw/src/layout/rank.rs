//! The layer of each box.

use super::simplex::shorten;

/// The layer of each box, and which edges run against the layers.
pub(super) struct Ranking {
    /// The layer of each box; the first is 0.
    pub(super) ranks: Vec<usize>,
    /// Whether each edge runs back. Every other edge but a self loop runs from a layer to a later one.
    pub(super) back: Vec<bool>,
}

/// Ranks a connected graph so that edges are short, with as few back edges as a depth-first search finds.
pub(super) fn ranking(nodes: usize, edges: &[(usize, usize)]) -> Ranking {
    let back = back_edges(nodes, edges);
    let mut next = vec![Vec::new(); nodes];
    let mut inputs = vec![0; nodes];
    let mut forward = Vec::with_capacity(edges.len());
    for (&(from, to), &back) in edges.iter().zip(&back) {
        let (from, to) = if back { (to, from) } else { (from, to) };
        if from != to {
            next[from].push(to);
            inputs[to] += 1;
            forward.push((from, to));
        }
    }
    let order = topological(&next, &inputs);
    let mut ranks = vec![0_i64; nodes];
    for &node in &order {
        for &to in &next[node] {
            ranks[to] = ranks[to].max(ranks[node] + 1);
        }
    }
    shorten(&mut ranks, &forward);
    let first = ranks.iter().copied().min().unwrap_or_default();
    let ranks = ranks
        .into_iter()
        .map(|rank| usize::try_from(rank - first).unwrap_or_default())
        .collect();
    Ranking { ranks, back }
}

/// The edges that close a cycle, found depth first from the boxes without inputs.
fn back_edges(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut outgoing = vec![Vec::new(); nodes];
    let mut has_input = vec![false; nodes];
    for (edge, &(from, to)) in edges.iter().enumerate() {
        if from != to {
            outgoing[from].push((edge, to));
            has_input[to] = true;
        }
    }
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut back = vec![false; edges.len()];
    let mut state = vec![State::New; nodes];
    // A search that calls itself would end the program on a chain of many thousand runs.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let sources = (0..nodes).filter(|&node| !has_input[node]);
    let others = (0..nodes).filter(|&node| has_input[node]);
    for root in sources.chain(others) {
        if state[root] == State::New {
            state[root] = State::Open;
            open.push((root, 0));
        }
        while let Some((node, tried)) = open.last_mut() {
            let Some(&(edge, to)) = outgoing[*node].get(*tried) else {
                state[*node] = State::Done;
                open.pop();
                continue;
            };
            *tried += 1;
            match state[to] {
                State::New => {
                    state[to] = State::Open;
                    open.push((to, 0));
                }
                State::Open => back[edge] = true,
                State::Done => {}
            }
        }
    }
    back
}

fn topological(next: &[Vec<usize>], inputs: &[usize]) -> Vec<usize> {
    let mut missing = inputs.to_vec();
    let mut order: Vec<usize> = (0..next.len()).filter(|&node| inputs[node] == 0).collect();
    let mut done = 0;
    while let Some(&node) = order.get(done) {
        done += 1;
        for &to in &next[node] {
            missing[to] -= 1;
            if missing[to] == 0 {
                order.push(to);
            }
        }
    }
    order
}
