//! Nodes of one kind with the same neighbours.

use std::collections::BTreeMap;

use super::Group;
use crate::picture::{NodeKind, Picture};

/// The kind of a node, and its neighbours on both sides with the certainty of the edges.
type Likeness = (NodeKind, Vec<(usize, bool)>, Vec<(usize, bool)>);

/// The twins beyond the first few of each likeness. Nodes with one neighbour are left to `branches`.
pub(super) fn groups(picture: &Picture, shown: usize) -> Vec<Group> {
    let nodes = picture.nodes();
    let mut likeness: Vec<Likeness> = nodes
        .iter()
        .map(|node| (node.kind, Vec::new(), Vec::new()))
        .collect();
    for (edge, &(from, to)) in picture.edges().iter().zip(picture.ends()) {
        likeness[from].2.push((to, edge.certain));
        likeness[to].1.push((from, edge.certain));
    }
    let mut twins: BTreeMap<Likeness, Vec<usize>> = BTreeMap::new();
    for (node, mut likeness) in likeness.into_iter().enumerate() {
        likeness.1.sort_unstable();
        likeness.2.sort_unstable();
        let reads_itself = likeness.1.iter().any(|&(from, _)| from == node);
        if likeness.1.len() + likeness.2.len() > 1 && !reads_itself && !nodes[node].stays() {
            twins.entry(likeness).or_default().push(node);
        }
    }
    let mut groups: Vec<Group> = twins
        .into_values()
        .filter(|twins| twins.len() > shown)
        .map(|mut twins| Group {
            siblings: twins.split_off(shown),
            behind: Vec::new(),
        })
        .collect();
    groups.sort_by_key(|group| group.siblings[0]);
    groups
}
