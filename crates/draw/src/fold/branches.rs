//! Nodes of one kind on one side of one node, each with all that hangs on it alone.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Group;
use crate::picture::{NodeKind, Picture, PictureNode};

/// The branches beyond the first few of each node, side and kind.
pub(super) fn groups(picture: &Picture, shown: usize) -> Vec<Group> {
    let search = Search::new(picture);
    let mut hidden = vec![false; picture.nodes().len()];
    let mut groups = Vec::new();
    // From the starts outwards: what is folded with its parent needs no fold of its own.
    for &parent in &search.order {
        if hidden[parent] {
            continue;
        }
        for mut siblings in search.siblings(picture, parent).into_values() {
            if siblings.len() <= shown {
                continue;
            }
            let siblings = siblings.split_off(shown);
            let mut behind = Vec::new();
            for &sibling in &siblings {
                for &node in &search.order[search.subtree(sibling)] {
                    hidden[node] = true;
                    behind.extend((node != sibling).then_some(node));
                }
            }
            groups.push(Group { siblings, behind });
        }
    }
    groups
}

/// One edge of a node, seen without its direction.
#[derive(Clone, Copy)]
struct Join {
    neighbour: usize,
    downstream: bool,
    certain: bool,
}

/// A depth-first search over edges in both directions, from the starts.
struct Search {
    joins: Vec<Vec<Join>>,
    /// The nodes as the search met them. The nodes that hang below a node in the search follow it directly.
    order: Vec<usize>,
    /// The place of each node in the order.
    place: Vec<usize>,
    /// The node from which the search came.
    parent: Vec<Option<usize>>,
    /// How many nodes hang below each node, itself included.
    size: Vec<usize>,
    /// The earliest place that an edge from each node's subtree leads to.
    lowest: Vec<usize>,
    /// Whether each node's subtree has a node that must not be hidden.
    stays: Vec<bool>,
}

impl Search {
    fn new(picture: &Picture) -> Self {
        let nodes = picture.nodes();
        let mut joins = vec![Vec::new(); nodes.len()];
        for (edge, &(from, to)) in picture.edges().iter().zip(picture.ends()) {
            if from == to {
                continue;
            }
            for (node, neighbour, downstream) in [(from, to, true), (to, from, false)] {
                joins[node].push(Join {
                    neighbour,
                    downstream,
                    certain: edge.certain,
                });
            }
        }
        let mut search = Self {
            joins,
            order: Vec::with_capacity(nodes.len()),
            place: vec![usize::MAX; nodes.len()],
            parent: vec![None; nodes.len()],
            size: vec![1; nodes.len()],
            lowest: vec![usize::MAX; nodes.len()],
            stays: nodes.iter().map(PictureNode::stays).collect(),
        };
        let starts = (0..nodes.len()).filter(|&node| nodes[node].start);
        for root in starts.chain(0..nodes.len()) {
            search.visit(root);
        }
        search.sum_up();
        search
    }

    fn visit(&mut self, root: usize) {
        if self.place[root] != usize::MAX {
            return;
        }
        self.meet(root);
        let mut open = vec![(root, 0)];
        while let Some((node, tried)) = open.last_mut() {
            let node = *node;
            let Some(join) = self.joins[node].get(*tried) else {
                open.pop();
                continue;
            };
            *tried += 1;
            let neighbour = join.neighbour;
            if self.place[neighbour] == usize::MAX {
                self.parent[neighbour] = Some(node);
                self.meet(neighbour);
                open.push((neighbour, 0));
            }
        }
    }

    fn meet(&mut self, node: usize) {
        self.place[node] = self.order.len();
        self.order.push(node);
    }

    /// Sums up the subtrees, the last met first, so that a node comes after all that hang below it.
    fn sum_up(&mut self) {
        for place in (0..self.order.len()).rev() {
            let node = self.order[place];
            let direct = self.joins[node]
                .iter()
                .map(|join| self.place[join.neighbour]);
            self.lowest[node] = direct.min().unwrap_or(place).min(self.lowest[node]);
            if let Some(parent) = self.parent[node] {
                self.size[parent] += self.size[node];
                self.lowest[parent] = self.lowest[parent].min(self.lowest[node]);
                self.stays[parent] |= self.stays[node];
            }
        }
    }

    /// The places of the nodes that hang below a node, itself included.
    fn subtree(&self, node: usize) -> Range<usize> {
        self.place[node]..self.place[node] + self.size[node]
    }

    /// The neighbours of a node that hang on it by one edge alone, in the order of the graph, by side, kind and certainty.
    fn siblings(
        &self,
        picture: &Picture,
        parent: usize,
    ) -> BTreeMap<(bool, NodeKind, bool), Vec<usize>> {
        // The subtrees of a node follow each other in the order.
        let mut children: Vec<Range<usize>> = self.joins[parent]
            .iter()
            .filter(|join| self.parent[join.neighbour] == Some(parent))
            .map(|join| self.subtree(join.neighbour))
            .collect();
        children.sort_unstable_by_key(|below| below.start);
        children.dedup();
        let mut edges: Vec<Vec<Join>> = vec![Vec::new(); children.len()];
        for join in &self.joins[parent] {
            let place = self.place[join.neighbour];
            let child = children.partition_point(|below| below.end <= place);
            if children
                .get(child)
                .is_some_and(|below| below.contains(&place))
            {
                edges[child].push(*join);
            }
        }
        let mut siblings: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (below, edges) in children.into_iter().zip(edges) {
            let child = self.order[below.start];
            let hangs_alone = self.lowest[child] >= self.place[parent] && !self.stays[child];
            if let [join] = edges[..]
                && hangs_alone
            {
                let key = (join.downstream, picture.nodes()[child].kind, join.certain);
                siblings.entry(key).or_default().push(child);
            }
        }
        for nodes in siblings.values_mut() {
            nodes.sort_unstable();
        }
        siblings
    }
}
