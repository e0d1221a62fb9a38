//! [`Impact`]: everything downstream of a node.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;

use bson::DateTime;
use futures::future::BoxFuture;
use serde::Serialize;

use super::arena::{Arena, At, Progress};
use super::request::walk_setters;
use super::trace::Trace;
use super::walk::Walk;
use super::{ExperimentFacts, GraphNode, GraphRequest, Truncated, json};
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::node::{Kind, Node};

/// Everything downstream of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Impact {
    /// The node that the request names.
    #[serde(serialize_with = "json::text")]
    pub start: Node,
    /// The nodes downstream, by kind, distance and text.
    pub reached: Vec<Reached>,
    /// The versions, the start and those downstream, to which aliases point now. A serving endpoint usually loads such a version.
    pub aliased: Vec<Aliased>,
    /// The number of runs downstream in each experiment, the largest number first.
    pub experiments: Vec<CountOf<Option<ExperimentFacts>>>,
    /// The number of runs downstream of each user, the largest number first.
    pub users: Vec<CountOf<Option<String>>>,
    /// Outputs without a recorded consumer. The mirror cannot tell what else depends on them. With a query, outputs whose consumers do not
    /// match are among them.
    #[serde(serialize_with = "json::texts")]
    pub open_ends: Vec<Node>,
    /// The limit that stopped the walk early; `None` if the answer is complete.
    pub truncated: Option<Truncated>,
}

/// A node downstream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reached {
    /// The node. Its depth is the distance from the start, counted in runs.
    #[serde(flatten)]
    pub shown: GraphNode,
    /// Whether a path without uncertain edges leads to the node.
    #[serde(rename = "certain")]
    pub is_certain: bool,
    /// A shortest path from the start to the node, both included.
    #[serde(serialize_with = "json::texts")]
    pub path: Vec<Node>,
}

/// A version with aliases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Aliased {
    /// The version.
    #[serde(serialize_with = "json::text")]
    pub version: Node,
    /// The aliases that point to the version now.
    pub aliases: Vec<String>,
}

/// The number of runs with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CountOf<T> {
    /// The value.
    pub value: T,
    /// The number of runs.
    pub runs: u64,
}

/// A request for everything downstream of a node. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
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

    /// Limits the walk to this many levels of runs; unlimited by default.
    pub fn depth(self, depth: u32) -> Self {
        Self {
            walk: self.walk.downstream(depth),
        }
    }

    walk_setters! { max_nodes: "100,000" }
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
    // Runs that were mirrored before their experiment was renamed have its old name.
    let mut names: BTreeMap<&str, (Option<DateTime>, &Option<String>)> = BTreeMap::new();
    for run in facts().filter_map(|reached| reached.shown.run.as_ref()) {
        if let Some(exp) = &run.experiment {
            let named = (run.start_time, &exp.name);
            let latest = names.entry(&exp.id).or_insert(named);
            *latest = named.max(*latest);
        }
    }
    let experiments = facts().map(|reached| {
        let run = reached.shown.run.as_ref()?;
        let id = run.experiment.as_ref()?.id.clone();
        let name = names.get(id.as_str()).and_then(|(_, name)| (*name).clone());
        Some(ExperimentFacts { id, name })
    });
    let users = facts().map(|reached| {
        let run = reached.shown.run.as_ref();
        run.and_then(|run| run.user.clone())
    });
    // A bad version that is the start may serve, too.
    let starts = starts.iter().map(|start| arena.node(*start));
    let aliased = starts.chain(reached.iter().map(|reached| &reached.shown.node));
    let aliased = aliased.filter(|node| node.kind() == Kind::MODEL);
    let aliased = aliased.filter_map(|node| {
        let aliases = walk.aliases_of(node);
        (!aliases.is_empty()).then(|| Aliased {
            version: node.clone(),
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

/// The expanded references without an outgoing edge.
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

/// How often each value occurs, the largest number first.
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
