//! [`Trace`]: shortest lineage paths within the graph of a walk.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Relation;
use super::arena::{Arena, At, Link};
use crate::node::Kind;

/// A shortest lineage path from the starts to each node that one reaches.
pub(super) struct Trace {
    came_from: HashMap<Step, Option<Step>>,
    /// The last step of the shortest path to each node.
    first: HashMap<At, Step>,
}

/// A node on a path. An overlap or a registry link continues the path only from a written reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Step {
    at: At,
    is_written: bool,
}

impl Trace {
    /// Follows the edges of the graph, and uncertain ones only with `takes_uncertain`. The shortest path has the fewest runs and,
    /// among these, the fewest nodes.
    pub(super) fn of(arena: &Arena, starts: &[At], takes_uncertain: bool) -> Self {
        let mut next: HashMap<At, Vec<(At, Link)>> = HashMap::new();
        for (from, to, link) in arena.edges() {
            next.entry(from).or_default().push((to, *link));
        }
        for edges in next.values_mut() {
            edges.sort_by(|one, other| arena.node(one.0).cmp(arena.node(other.0)));
        }
        let mut trace = Self {
            came_from: HashMap::new(),
            first: HashMap::new(),
        };
        // The counter keeps paths of equal length in the order of their discovery, so that the result is deterministic.
        let mut queue = BinaryHeap::new();
        let mut found = 0_usize;
        for start in starts {
            let step = Step {
                at: *start,
                is_written: true,
            };
            queue.push(Reverse((0_u32, 0_u32, found, step, None)));
            found += 1;
        }
        while let Some(Reverse((runs, length, _, step, before))) = queue.pop() {
            if trace.came_from.contains_key(&step) {
                continue;
            }
            trace.came_from.insert(step, before);
            trace.first.entry(step.at).or_insert(step);
            for (to, link) in next.get(&step.at).into_iter().flatten() {
                let Some(is_written) = leads_on(step, link, takes_uncertain) else {
                    continue;
                };
                let other = Step {
                    at: *to,
                    is_written,
                };
                let is_run = arena.node(*to).kind() == Kind::RUN;
                let entry = (
                    runs + u32::from(is_run),
                    length + 1,
                    found,
                    other,
                    Some(step),
                );
                queue.push(Reverse(entry));
                found += 1;
            }
        }
        trace
    }

    /// The nodes from a start to this node; empty if no path reaches it.
    pub(super) fn path(&self, to: At) -> Vec<At> {
        let mut path = Vec::new();
        let mut step = self.first.get(&to).copied();
        while let Some(here) = step {
            path.push(here.at);
            step = self.came_from.get(&here).copied().flatten();
        }
        path.reverse();
        path
    }

    pub(super) fn reaches(&self, node: At) -> bool {
        self.first.contains_key(&node)
    }
}

/// Whether the far end of the edge counts as written; `None` if the path may not follow the edge.
fn leads_on(step: Step, link: &Link, takes_uncertain: bool) -> Option<bool> {
    match link.relation {
        Relation::Read | Relation::Wrote => Some(true),
        // The run made all artifacts under its id, so an overlap adds nothing.
        Relation::Made => Some(false),
        Relation::Registered | Relation::Copied => step.is_written.then_some(true),
        Relation::Parent => None,
        Relation::Overlap => {
            let is_taken = step.is_written && (link.is_certain || takes_uncertain);
            is_taken.then_some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;
    use crate::graph::Relation;
    use crate::graph::Relation::{Made, Overlap, Read, Wrote};
    use crate::graph::arena::{Arena, At, Link, Origins};

    fn at(arena: &mut Arena, node: &str) -> At {
        arena.meet(node.parse().unwrap())
    }

    fn arena(edges: &[(&str, Relation, &str)]) -> Arena {
        let mut arena = Arena::new(true);
        for (from, relation, to) in edges {
            let (from, to) = (at(&mut arena, from), at(&mut arena, to));
            let link = Link {
                relation: *relation,
                is_certain: true,
                origins: Origins::NONE,
            };
            arena.connect(from, to, link);
        }
        arena
    }

    fn path(edges: &[(&str, Relation, &str)], from: &str, to: &str) -> Vec<String> {
        let mut arena = arena(edges);
        let (from, to) = (at(&mut arena, from), at(&mut arena, to));
        let path = Trace::of(&arena, &[from], false).path(to);
        path.into_iter()
            .map(|at| arena.node(at).to_string())
            .collect()
    }

    #[test]
    fn a_path_follows_no_two_overlaps_in_a_row() {
        let edges = [
            ("run:d", Wrote, "artifact:b/a"),
            ("artifact:b/a", Overlap, "artifact:b"),
            ("artifact:b", Read, "run:e"),
            ("artifact:b", Overlap, "artifact:b/b"),
            ("artifact:b/b", Read, "run:f"),
        ];
        let read = ["run:d", "artifact:b/a", "artifact:b", "run:e"];
        assert_eq!(path(&edges, "run:d", "run:e"), read);
        assert_eq!(path(&edges, "run:d", "run:f"), Vec::<String>::new());
        let written = [&edges[1..], &[("run:c", Wrote, "artifact:b")]].concat();
        let read = ["run:c", "artifact:b", "artifact:b/b", "run:f"];
        assert_eq!(path(&written, "run:c", "run:f"), read);
    }

    #[test]
    fn a_path_with_fewer_runs_is_shorter_than_one_with_fewer_nodes() {
        let edges = [
            ("run:a", Made, "artifact:a/x"),
            ("artifact:a/x", Read, "run:b"),
            ("run:b", Wrote, "model:m:1"),
            ("model:m:1", Read, "run:z"),
            ("run:a", Wrote, "artifact:a"),
            ("artifact:a", Overlap, "artifact:a/y"),
            ("artifact:a/y", Read, "run:z"),
        ];
        let direct = ["run:a", "artifact:a", "artifact:a/y", "run:z"];
        assert_eq!(path(&edges, "run:a", "run:z"), direct);
    }

    #[test]
    fn of_equally_short_paths_the_first_by_name_is_taken() {
        let edges = [
            ("run:a", Wrote, "model:m:2"),
            ("model:m:2", Read, "run:z"),
            ("run:a", Wrote, "model:m:1"),
            ("model:m:1", Read, "run:z"),
        ];
        assert_eq!(
            path(&edges, "run:a", "run:z"),
            ["run:a", "model:m:1", "run:z"]
        );
    }
}
