//! [`Walk`]: expands runs level by level, upstream and downstream.

use std::collections::BTreeSet;

use super::arena::{Aliases, Arena, At, Link, Origins, Progress};
use super::overlap::{References, Renames};
use super::trace::Trace;
use super::{Limit, Relation, Truncated};
use crate::error::{Error, Result};
use crate::mongo::neighbours::Neighbours;
use crate::node::{Direction, Kind, Node, Origin};

/// A walk through the mirror, and the graph so far.
pub(super) struct Walk<'a> {
    pub(super) neighbours: Neighbours<'a>,
    pub(super) limits: Limits,
    pub(super) takes_uncertain: bool,
    /// Whether runs have to match a filter. A run that is not mirrored does not match.
    pub(super) is_filtered: bool,
    pub(super) renames: Renames,
    pub(super) arena: Arena,
    /// The references at which the walk starts or ends. Each of them counts as read and as written.
    pub(super) starts: References<At>,
    /// The starts and ends without a version or digest, which select all of their name.
    pub(super) wholes: Vec<Node>,
    /// The walk stops after the level on which a lineage path reaches one of these nodes.
    pub(super) targets: Vec<At>,
    pub(super) truncated: Option<Truncated>,
    pub(super) aliases: Aliases,
}

/// The limits of a graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) nodes: usize,
    pub(super) edges: usize,
}

impl Limits {
    /// This many nodes, and ten times as many edges.
    pub(super) fn of_nodes(nodes: usize) -> Self {
        Self {
            nodes,
            edges: nodes.saturating_mul(10),
        }
    }
}

/// The direction of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// The reason why a walk stopped early.
pub(super) enum Stop {
    Cut(Truncated),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Walk<'_> {
    pub(super) fn show_starts(&mut self, starts: &[At]) -> Result<(), Stop> {
        for start in starts {
            self.arena.node_mut(*start).is_start = true;
            let node = self.arena.node(*start).clone();
            if node.kind() != Kind::RUN {
                self.starts.insert(&node, *start);
            }
        }
        for start in starts {
            if self.arena.shown() >= self.limits.nodes {
                let at = self.arena.node(starts[0]).clone();
                let limit = Limit::Nodes;
                return Err(Stop::Cut(Truncated { limit, at }));
            }
            self.arena.show(*start, 0);
        }
        Ok(())
    }

    /// Shows an edge of the expanded node, and the node at its other end.
    pub(super) fn reach(
        &mut self,
        way: Way,
        expanded: At,
        other: At,
        depth: u32,
        link: Link,
    ) -> Result<(), Stop> {
        let (from, to) = match way {
            Way::Up => (other, expanded),
            Way::Down => (expanded, other),
        };
        let cut = |limit| {
            let at = self.arena.node(expanded).clone();
            Err(Stop::Cut(Truncated { limit, at }))
        };
        if !self.arena.has_edge(from, to) && self.arena.edge_count() >= self.limits.edges {
            return cut(Limit::Edges);
        }
        let is_shown = self.arena.met(other).depth.is_some();
        if !is_shown && self.arena.shown() >= self.limits.nodes {
            return cut(Limit::Nodes);
        }
        self.arena.show(other, depth);
        self.arena.connect(from, to, link);
        Ok(())
    }

    /// Marks the run as reached, and returns whether this is the first time.
    pub(super) fn arrive(&mut self, way: Way, run: At) -> bool {
        let progress = self.progress_mut(way, run);
        let is_first = *progress == Progress::Untouched;
        *progress = Progress::Runs;
        is_first
    }

    pub(super) fn progress_mut(&mut self, way: Way, at: At) -> &mut Progress {
        let met = self.arena.node_mut(at);
        match way {
            Way::Up => &mut met.up,
            Way::Down => &mut met.down,
        }
    }

    /// Marks the reference as expanded to this state, and returns whether it was not before.
    pub(super) fn advance(&mut self, way: Way, reference: At, to: Progress) -> bool {
        let progress = self.progress_mut(way, reference);
        let is_new = *progress < to;
        *progress = to.max(*progress);
        is_new
    }

    /// Shows the references of the runs, and returns them.
    pub(super) fn show_sides(
        &mut self,
        way: Way,
        runs: &[At],
        depth: u32,
    ) -> Result<Vec<At>, Stop> {
        let (direction, relation) = match way {
            Way::Up => (Direction::Input, Relation::Read),
            Way::Down => (Direction::Output, Relation::Wrote),
        };
        let mut references = BTreeSet::new();
        for run in runs {
            let record = self.arena.met(*run).run.as_ref();
            let mut side = record.map_or_else(Vec::new, |record| record.side(direction).to_vec());
            side.sort_by(|one, other| self.arena.node(one.at).cmp(self.arena.node(other.at)));
            for used in side {
                let link = Link {
                    relation,
                    is_certain: true,
                    origins: used.origins,
                };
                self.reach(way, *run, used.at, depth, link)?;
                references.insert(used.at);
            }
        }
        Ok(references.into_iter().collect())
    }

    /// Shows the runs of a reference. Runs that the walk reaches for the first time are added to the next level.
    pub(super) fn show_runs(
        &mut self,
        way: Way,
        reference: At,
        runs: &[At],
        depth: u32,
        next: &mut Vec<At>,
    ) -> Result<(), Stop> {
        let (direction, relation) = match way {
            Way::Up => (Direction::Output, Relation::Wrote),
            Way::Down => (Direction::Input, Relation::Read),
        };
        for run in runs {
            let record = self.arena.met(*run).run.as_ref();
            let origins =
                record.map_or(Origins::NONE, |record| record.origins(direction, reference));
            let link = Link {
                relation,
                is_certain: true,
                origins,
            };
            self.reach(way, reference, *run, depth + 1, link)?;
            if self.arrive(way, *run) {
                next.push(*run);
            }
        }
        Ok(())
    }

    pub(super) fn is_found(&self) -> bool {
        let mut targets = self.targets.iter();
        if !targets.any(|target| self.arena.met(*target).depth.is_some()) {
            return false;
        }
        let trace = Trace::of(&self.arena, &self.start_nodes(), self.takes_uncertain);
        self.targets.iter().any(|target| trace.reaches(*target))
    }

    /// The starts that the graph shows.
    pub(super) fn start_nodes(&self) -> Vec<At> {
        let shown = self.arena.shown_nodes();
        let starts = shown.filter(|(_, _, met)| met.is_start);
        starts.map(|(at, ..)| at).collect()
    }

    pub(super) fn is_shown(&self, node: &Node) -> bool {
        let at = self.arena.find(node);
        at.is_some_and(|at| self.arena.met(at).depth.is_some())
    }

    pub(super) fn is_run(&self, at: At) -> bool {
        self.arena.node(at).kind() == Kind::RUN
    }

    pub(super) fn in_order(&self, mut nodes: Vec<At>) -> Vec<At> {
        nodes.sort_by(|one, other| self.arena.node(*one).cmp(self.arena.node(*other)));
        nodes.dedup();
        nodes
    }

    pub(super) fn run_at(&mut self, id: &str) -> At {
        self.arena.meet(Node::stored(Kind::RUN, id, None))
    }
}

impl Link {
    pub(super) fn overlap(is_certain: bool) -> Self {
        Self {
            relation: Relation::Overlap,
            is_certain,
            origins: Origins::NONE,
        }
    }

    pub(super) fn made() -> Self {
        Self {
            relation: Relation::Made,
            is_certain: true,
            origins: Origins::NONE,
        }
    }

    pub(super) fn registry(relation: Relation) -> Self {
        Self {
            relation,
            is_certain: true,
            origins: Origins::of(Origin::Registry),
        }
    }
}
