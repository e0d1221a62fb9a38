//! Shorter edges: the network simplex of Gansner, Koutsofios, North and Vo ("A technique for drawing directed graphs").
//!
//! A spanning tree of edges without slack holds the boxes together. Cutting one tree edge sets a subtree free to move between layers.
//! Where its moving makes the edges shorter altogether, it moves until another edge has no slack, and that edge takes the place
//! of the cut one.

/// About how many steps the search may take, so that a huge graph is drawn soon, if with longer edges.
const BUDGET: usize = 4_000_000;

/// Makes the edges of a connected graph as short as it can. Every edge leads from a layer to a later one, before and after.
pub(super) fn shorten(ranks: &mut [i64], edges: &[(usize, usize)]) {
    if edges.is_empty() {
        return;
    }
    let rounds = BUDGET / (ranks.len() + edges.len());
    let mut simplex = Simplex::new(ranks, edges);
    if !simplex.span(rounds) {
        return;
    }
    // Moves without gain may go round in a circle.
    for _ in 0..rounds.min(4 * simplex.ranks.len()) {
        if !simplex.improve() {
            return;
        }
    }
}

struct Simplex<'a> {
    ranks: &'a mut [i64],
    edges: &'a [(usize, usize)],
    /// The edges of each node.
    touching: Vec<Vec<usize>>,
    in_tree: Vec<bool>,
    /// How many edges come in, less how many go out: how much longer edges become when the node moves one layer on.
    pull: Vec<i64>,
}

/// The spanning tree as seen from node 0.
struct Rooted {
    /// Every node after its parent.
    order: Vec<usize>,
    /// The tree edge to each node's parent.
    up: Vec<Option<usize>>,
    /// The place of each node in a walk that meets every subtree in one piece, and the end of its subtree there.
    first: Vec<usize>,
    end: Vec<usize>,
}

impl<'a> Simplex<'a> {
    fn new(ranks: &'a mut [i64], edges: &'a [(usize, usize)]) -> Self {
        let mut touching = vec![Vec::new(); ranks.len()];
        let mut pull = vec![0; ranks.len()];
        for (edge, &(from, to)) in edges.iter().enumerate() {
            touching[from].push(edge);
            touching[to].push(edge);
            pull[from] -= 1;
            pull[to] += 1;
        }
        Self {
            ranks,
            edges,
            touching,
            in_tree: vec![false; edges.len()],
            pull,
        }
    }

    /// How many layers longer than necessary an edge is.
    fn slack(&self, edge: usize) -> i64 {
        let (from, to) = self.edges[edge];
        self.ranks[to] - self.ranks[from] - 1
    }

    /// Makes a spanning tree of edges without slack. Gives up after so many rounds.
    fn span(&mut self, rounds: usize) -> bool {
        let mut reached = vec![false; self.ranks.len()];
        reached[0] = true;
        let mut open = vec![0];
        let mut tree = vec![0];
        for _ in 0..rounds {
            while let Some(node) = open.pop() {
                for place in 0..self.touching[node].len() {
                    let edge = self.touching[node][place];
                    let (from, to) = self.edges[edge];
                    let other = if from == node { to } else { from };
                    if !reached[other] && self.slack(edge) == 0 {
                        reached[other] = true;
                        self.in_tree[edge] = true;
                        open.push(other);
                        tree.push(other);
                    }
                }
            }
            // The tree moves until the nearest edge that leaves it has no slack.
            let leaving = (0..self.edges.len())
                .filter(|&edge| reached[self.edges[edge].0] != reached[self.edges[edge].1])
                .min_by_key(|&edge| self.slack(edge));
            let Some(edge) = leaving else {
                return true;
            };
            let (from, _) = self.edges[edge];
            let move_by = if reached[from] {
                self.slack(edge)
            } else {
                -self.slack(edge)
            };
            for &node in &tree {
                self.ranks[node] += move_by;
            }
            open.clone_from(&tree);
        }
        false
    }

    /// Moves one subtree, if that makes the edges shorter altogether.
    fn improve(&mut self) -> bool {
        let rooted = self.rooted();
        let mut pull = self.pull.clone();
        for &node in rooted.order.iter().rev() {
            if let Some(up) = rooted.up[node] {
                let (from, to) = self.edges[up];
                pull[if from == node { to } else { from }] += pull[node];
            }
        }
        // The subtree with the greatest gain; it moves away from its parent.
        let gain = |node: usize| {
            rooted.up[node].map_or(0, |up| {
                let is_later = self.edges[up].1 == node;
                if is_later { -pull[node] } else { pull[node] }
            })
        };
        let best = rooted
            .order
            .iter()
            .copied()
            .max_by_key(|&node| (gain(node), std::cmp::Reverse(node)));
        let Some((node, up)) = best.and_then(|node| rooted.up[node].map(|up| (node, up))) else {
            return false;
        };
        if gain(node) <= 0 {
            return false;
        }
        let is_later = self.edges[up].1 == node;
        let inside =
            |other: usize| (rooted.first[node]..rooted.end[node]).contains(&rooted.first[other]);
        let blocking = (0..self.edges.len())
            .filter(|&edge| {
                let (from, to) = self.edges[edge];
                let (near, far) = if is_later { (from, to) } else { (to, from) };
                inside(near) && !inside(far)
            })
            .min_by_key(|&edge| self.slack(edge));
        let Some(edge) = blocking else {
            return false;
        };
        let move_by = if is_later {
            self.slack(edge)
        } else {
            -self.slack(edge)
        };
        for other in 0..self.ranks.len() {
            if inside(other) {
                self.ranks[other] += move_by;
            }
        }
        self.in_tree[up] = false;
        self.in_tree[edge] = true;
        true
    }

    fn rooted(&self) -> Rooted {
        let nodes = self.ranks.len();
        let mut rooted = Rooted {
            order: Vec::with_capacity(nodes),
            up: vec![None; nodes],
            first: vec![0; nodes],
            end: vec![0; nodes],
        };
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            rooted.first[node] = rooted.order.len();
            rooted.order.push(node);
            for &edge in &self.touching[node] {
                if self.in_tree[edge] && rooted.up[node] != Some(edge) {
                    let (from, to) = self.edges[edge];
                    let child = if from == node { to } else { from };
                    rooted.up[child] = Some(edge);
                    open.push(child);
                }
            }
        }
        for &node in rooted.order.iter().rev() {
            rooted.end[node] = rooted.end[node].max(rooted.first[node] + 1);
            if let Some(up) = rooted.up[node] {
                let (from, to) = self.edges[up];
                let parent = if from == node { to } else { from };
                rooted.end[parent] = rooted.end[parent].max(rooted.end[node]);
            }
        }
        rooted
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn a_source_moves_to_its_reader() {
        // A chain of four, and a dataset that only its last member reads.
        let edges = [(0, 1), (1, 2), (2, 3), (4, 3)];
        let mut ranks = [0, 1, 2, 3, 0];
        shorten(&mut ranks, &edges);
        assert_eq!(ranks[3] - ranks[4], 1);
    }

    #[test]
    fn a_group_moves_together() {
        // Node 4 is read by 5, and 5 by the end of a chain: both are far from it at first.
        let edges = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 3), (4, 6), (6, 5)];
        let mut ranks = [0, 1, 2, 3, 0, 2, 1];
        shorten(&mut ranks, &edges);
        let total: i64 = edges
            .iter()
            .map(|&(from, to)| ranks[to] - ranks[from])
            .sum();
        assert_eq!(total, 8);
        assert!(edges.iter().all(|&(from, to)| ranks[to] > ranks[from]));
    }
}
