//! [`Selected`]: sets of nodes, and the edges between them that the walks found.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Edge, Graph};
use crate::node::Node;

/// A set of nodes, with the edges and the starts of the walks from which it was made.
#[derive(Debug, Clone, Default)]
pub(super) struct Selected {
    pub(super) nodes: BTreeMap<Node, Place>,
    /// Edges may lead to nodes that are not in the set: the other set of a union may have them.
    edges: BTreeMap<(Node, Node), Edge>,
    /// The starts of the walks, in the set or not.
    pub(super) starts: BTreeSet<Node>,
    /// The starts without a version or digest, which select all of their name.
    pub(super) wholes: BTreeSet<Node>,
}

/// The place of a node in the walks that found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The smallest depth.
    pub(super) depth: u32,
    pub(super) is_start: bool,
}

/// What a condition says of nodes: whether each of them meets it. A node of which it says nothing is not listed.
pub(super) type Verdicts = BTreeMap<Node, bool>;

impl From<Graph> for Selected {
    fn from(graph: Graph) -> Self {
        let starts = graph.nodes.iter().filter(|shown| shown.is_start);
        let starts = starts.map(|shown| shown.node.clone()).collect();
        let nodes = graph.nodes.into_iter().map(|shown| {
            let place = Place {
                depth: shown.depth,
                is_start: shown.is_start,
            };
            (shown.node, place)
        });
        let edges = graph.edges.into_iter();
        let edges = edges.map(|edge| ((edge.from.clone(), edge.to.clone()), edge));
        Self {
            nodes: nodes.collect(),
            edges: edges.collect(),
            starts,
            wholes: BTreeSet::new(),
        }
    }
}

impl Selected {
    /// The edges between nodes of the set.
    pub(super) fn edges(&self) -> impl Iterator<Item = &Edge> {
        let edges = self.edges.values();
        edges
            .filter(|edge| self.nodes.contains_key(&edge.from) && self.nodes.contains_key(&edge.to))
    }

    /// The nodes of either set.
    pub(super) fn union(mut self, other: Self) -> Self {
        for (node, place) in &other.nodes {
            let known = self.nodes.entry(node.clone()).or_insert(*place);
            known.join(*place);
        }
        self.with_walks_of(other)
    }

    /// The nodes of both sets.
    pub(super) fn intersection(mut self, other: Self) -> Self {
        self.nodes.retain(|node, place| {
            let same = other.nodes.get(node);
            same.is_some_and(|same| {
                place.join(*same);
                true
            })
        });
        self.with_walks_of(other)
    }

    /// The nodes that a condition does not refuse.
    pub(super) fn that_meet(mut self, verdicts: &Verdicts) -> Self {
        self.nodes
            .retain(|node, _| verdicts.get(node).copied().unwrap_or(true));
        self
    }

    /// The nodes to which no edge within the set leads.
    pub(super) fn roots(self) -> Self {
        let reached = self.edges().map(|edge| edge.to.clone()).collect();
        self.without(&reached)
    }

    /// The nodes from which no edge within the set leads.
    pub(super) fn sinks(self) -> Self {
        let left = self.edges().map(|edge| edge.from.clone()).collect();
        self.without(&left)
    }

    fn without(mut self, nodes: &BTreeSet<Node>) -> Self {
        self.nodes.retain(|node, _| !nodes.contains(node));
        self
    }

    fn with_walks_of(mut self, other: Self) -> Self {
        self.starts.extend(other.starts);
        self.wholes.extend(other.wholes);
        for (ends, edge) in other.edges {
            match self.edges.get_mut(&ends) {
                Some(known) => known.join(&edge),
                None => drop(self.edges.insert(ends, edge)),
            }
        }
        self
    }
}

impl Place {
    fn join(&mut self, other: Self) {
        self.depth = self.depth.min(other.depth);
        self.is_start |= other.is_start;
    }
}

impl Edge {
    /// Adds what another walk knows of the same edge. A walk may know an edge from the registry alone, or from a run alone.
    fn join(&mut self, other: &Self) {
        self.relation = self.relation.min(other.relation);
        self.is_certain |= other.is_certain;
        self.origins.extend(&other.origins);
        self.origins.sort();
        self.origins.dedup();
    }
}
