//! [`Impact`]: all that something reached.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;

use futures::future::BoxFuture;
use serde::Serialize;

use super::arena::{Arena, At, Progress};
use super::trace::Trace;
use super::walk::Walk;
use super::{ExperimentFacts, GraphNode, GraphRequest, Truncated, WalkProgress, json};
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::node::{Kind, Node};

/// All that is downstream of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Impact {
    /// What the question was about.
    #[serde(serialize_with = "json::text")]
    pub start: Node,
    /// Each node that was reached, by kind, then by distance, then by text.
    pub reached: Vec<Reached>,
    /// The versions among them to which aliases point now, with these aliases: what may serve it.
    pub aliased: Vec<Aliased>,
    /// How many runs were reached in each experiment, most first.
    pub experiments: Vec<CountOf<Option<ExperimentFacts>>>,
    /// How many runs of each user were reached, most first.
    pub users: Vec<CountOf<Option<String>>>,
    /// What was written, but never read as far as the mirror knows: where the trace ends.
    #[serde(serialize_with = "json::texts")]
    pub open_ends: Vec<Node>,
    /// The limit that cut this short; `None`: nothing was cut.
    pub truncated: Option<Truncated>,
}

/// A node that was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reached {
    /// The node; its depth is its distance in runs.
    #[serde(flatten)]
    pub shown: GraphNode,
    /// Whether it was reached for certain. A reference without a version may mean each version.
    #[serde(rename = "certain")]
    pub is_certain: bool,
    /// One shortest way to it, both ends included.
    #[serde(serialize_with = "json::texts")]
    pub path: Vec<Node>,
}

/// A version to which aliases point.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Aliased {
    /// The version.
    #[serde(serialize_with = "json::text")]
    pub version: Node,
    /// The aliases that point to it now.
    pub aliases: Vec<String>,
}

/// How many runs share a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CountOf<T> {
    /// The value.
    pub value: T,
    /// How many runs.
    pub runs: u64,
}

/// Looks for all that a node reached when it is awaited. To drop the future ends the walk.
#[must_use = "nothing is asked before the request is awaited"]
pub struct ImpactRequest<'a> {
    walk: GraphRequest<'a>,
}

impl<'a> ImpactRequest<'a> {
    const MAX_NODES: usize = 100_000;

    pub(super) fn new(store: &'a MongoRunStore, start: Node) -> Self {
        let walk = GraphRequest::new(store, start)
            .upstream(0)
            .downstream(u32::MAX);
        Self {
            walk: walk.max_nodes(Self::MAX_NODES),
        }
    }

    /// How many levels of runs; all unless set.
    pub fn depth(self, depth: u32) -> Self {
        Self {
            walk: self.walk.downstream(depth),
        }
    }

    /// Walks through what is uncertain, too: a reference without a version may mean each version.
    pub fn uncertain(self, is_walked: bool) -> Self {
        Self {
            walk: self.walk.uncertain(is_walked),
        }
    }

    /// How many nodes are reached at most; 100,000 unless set.
    pub fn max_nodes(self, nodes: usize) -> Self {
        Self {
            walk: self.walk.max_nodes(nodes),
        }
    }

    /// Tells how far the walk is, after each level.
    pub fn on_progress(self, tell: impl FnMut(WalkProgress) + Send + 'a) -> Self {
        Self {
            walk: self.walk.on_progress(tell),
        }
    }
}

impl<'a> IntoFuture for ImpactRequest<'a> {
    type Output = Result<Impact>;
    type IntoFuture = BoxFuture<'a, Result<Impact>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let start = self.walk.start.clone();
            let mut walk = self.walk.walk().await?;
            walk.learn_facts().await?;
            Ok(impact(start, &walk))
        })
    }
}

fn impact(start: Node, walk: &Walk<'_>) -> Impact {
    let arena = &walk.arena;
    let starts = walk.start_nodes();
    let certain = Trace::of(arena, &starts, false);
    let any = Trace::of(arena, &starts, true);
    let reached = arena.shown_nodes().filter(|(_, _, met)| !met.is_start);
    let mut reached: Vec<(String, Reached)> = reached
        .map(|(at, node, met)| {
            let is_certain = certain.reaches(at);
            let trace = if is_certain { &certain } else { &any };
            let path = trace.path(at).into_iter();
            let reached = Reached {
                shown: walk.graph_node(node, met, true, None),
                is_certain,
                path: path.map(|at| arena.node(at).clone()).collect(),
            };
            (node.to_string(), reached)
        })
        .collect();
    reached.sort_by_cached_key(|(text, reached)| {
        (reached.shown.node.kind(), reached.shown.depth, text.clone())
    });
    let reached: Vec<Reached> = reached.into_iter().map(|(_, reached)| reached).collect();
    let facts = || {
        reached
            .iter()
            .filter(|reached| reached.shown.node.kind() == Kind::RUN)
    };
    let experiments = facts().map(|reached| {
        let run = reached.shown.run.as_ref();
        run.and_then(|run| run.experiment.clone())
    });
    let users = facts().map(|reached| {
        let run = reached.shown.run.as_ref();
        run.and_then(|run| run.user.clone())
    });
    let aliased = reached.iter().map(|reached| &reached.shown);
    let aliased = aliased.filter_map(|shown| {
        let aliases = shown.version.as_ref()?.aliases.clone();
        (!aliases.is_empty()).then(|| Aliased {
            version: shown.node.clone(),
            aliases,
        })
    });
    Impact {
        aliased: aliased.collect(),
        experiments: counted(experiments),
        users: counted(users),
        open_ends: open_ends(arena),
        truncated: walk.truncated.clone(),
        reached,
        start,
    }
}

/// The references that were written and walked through, and from which no edge leads on.
fn open_ends(arena: &Arena) -> Vec<Node> {
    let from: std::collections::HashSet<At> = arena.edges().map(|(from, ..)| from).collect();
    let ends = arena.shown_nodes().filter(|(at, node, met)| {
        let is_walked = met.down == Progress::All;
        node.kind() != Kind::RUN && is_walked && !from.contains(at)
    });
    let mut ends: Vec<Node> = ends.map(|(_, node, _)| node.clone()).collect();
    ends.sort();
    ends
}

/// How often each value comes, most first.
fn counted<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Vec<CountOf<T>> {
    let mut counts: BTreeMap<T, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let counts = counts.into_iter();
    let mut counts: Vec<CountOf<T>> = counts
        .map(|(value, runs)| CountOf { value, runs })
        .collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.runs));
    counts
}

impl fmt::Debug for ImpactRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ImpactRequest").field(&self.walk).finish()
    }
}
