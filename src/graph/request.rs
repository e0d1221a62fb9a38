//! [`GraphRequest`]: the parameters of a walk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use bson::doc;
use futures::future::BoxFuture;

use super::Graph;
use super::arena::Arena;
use super::overlap::{References, Renames};
use super::walk::{Limits, Walk};
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::mongo::neighbours::{Neighbours, StoredRun};
use crate::node::{Kind, Node};
use crate::query::Query;
use crate::run::field;

/// A request for the graph around a node. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
pub struct GraphRequest<'a> {
    pub(super) store: &'a MongoRunStore,
    pub(super) start: Node,
    pub(super) upstream: u32,
    pub(super) downstream: u32,
    pub(super) uncertain: bool,
    pub(super) query: Option<Query>,
    pub(super) limits: Limits,
    pub(super) facts: bool,
    pub(super) hidden: bool,
    pub(super) parents: bool,
    pub(super) edges: bool,
    pub(super) target: Option<Node>,
    pub(super) max_time: Option<Duration>,
    pub(super) progress: Option<Box<dyn FnMut(WalkProgress) + Send + 'a>>,
}

/// The progress of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalkProgress {
    /// The number of levels of runs that are finished.
    pub depth: u32,
    /// The number of nodes so far.
    pub nodes: usize,
    /// The number of edges so far.
    pub edges: usize,
}

impl<'a> GraphRequest<'a> {
    pub(super) const MAX_NODES: usize = 1_000;

    pub(super) fn new(store: &'a MongoRunStore, start: Node) -> Self {
        Self {
            store,
            start,
            upstream: 1,
            downstream: 1,
            uncertain: false,
            query: None,
            limits: Limits::of_nodes(Self::MAX_NODES),
            facts: true,
            hidden: true,
            parents: false,
            edges: true,
            target: None,
            max_time: None,
            progress: None,
        }
    }

    /// Walks this many levels of runs upstream; 1 by default, and `u32::MAX` for all.
    pub fn upstream(self, depth: u32) -> Self {
        Self {
            upstream: depth,
            ..self
        }
    }

    /// Walks this many levels of runs downstream; 1 by default, and `u32::MAX` for all.
    pub fn downstream(self, depth: u32) -> Self {
        Self {
            downstream: depth,
            ..self
        }
    }

    /// Also follows uncertain edges. A reference without a version may mean any version.
    pub fn uncertain(self, is_walked: bool) -> Self {
        Self {
            uncertain: is_walked,
            ..self
        }
    }

    /// Walks only through runs that match the query. The start does not have to match.
    pub fn matching(self, query: impl Into<Query>) -> Self {
        Self {
            query: Some(query.into()),
            ..self
        }
    }

    /// Limits the graph to this many nodes and ten times as many edges; 1,000 nodes by default.
    pub fn max_nodes(self, nodes: usize) -> Self {
        Self {
            limits: Limits::of_nodes(nodes),
            ..self
        }
    }

    /// Limits the graph to this many edges. A later call of [`max_nodes`](Self::max_nodes) replaces this limit.
    pub fn max_edges(self, edges: usize) -> Self {
        let limits = Limits {
            edges,
            ..self.limits
        };
        Self { limits, ..self }
    }

    /// Whether to read facts of runs and versions; true by default.
    pub fn facts(self, are_wanted: bool) -> Self {
        Self {
            facts: are_wanted,
            ..self
        }
    }

    /// Whether to count the edges that the graph leaves out; true by default.
    pub fn hidden(self, is_wanted: bool) -> Self {
        Self {
            hidden: is_wanted,
            ..self
        }
    }

    /// Whether to show the parents and children of the runs in the graph, too; false by default. The walk does not go on from
    /// these relatives, since no data flows between a parent and its children.
    pub fn parents(self, are_wanted: bool) -> Self {
        Self {
            parents: are_wanted,
            ..self
        }
    }

    /// Keeps no edges.
    pub(super) fn without_edges(self) -> Self {
        Self {
            edges: false,
            ..self
        }
    }

    /// Stops after the level on which a lineage path reaches this node.
    pub(super) fn until(self, target: Node) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// Limits the time that the server may spend on each query; unlimited by default.
    pub fn max_time(self, time: Duration) -> Self {
        Self {
            max_time: Some(time),
            ..self
        }
    }

    /// Reports the progress after each level.
    pub fn on_progress(self, tell: impl FnMut(WalkProgress) + Send + 'a) -> Self {
        Self {
            progress: Some(Box::new(tell)),
            ..self
        }
    }

    /// Runs the walk, without facts and hidden counts.
    pub(super) async fn walk(self) -> Result<Walk<'a>> {
        let ends = [Some(&self.start), self.target.as_ref()];
        let ends = ends.into_iter().flatten();
        let ends = ends.filter(|end| end.kind() == Kind::RUN).map(Node::key);
        let ends: Vec<&str> = ends.collect();
        let filter = self.query.as_ref().map(Query::render).transpose()?;
        let filter = filter.map(|filter| match ends.is_empty() {
            false => doc! { "$or": [filter, { field::ID: { "$in": ends } }] },
            true => filter,
        });
        let is_filtered = filter.is_some();
        let neighbours = Neighbours::of(self.store, filter, self.facts, self.max_time);
        let run = match self.start.kind() == Kind::RUN {
            true => BTreeSet::from([self.start.key().to_owned()]),
            false => BTreeSet::new(),
        };
        let arena = Arena::new(self.edges);
        let (mut walk, run) = Walk::begin(neighbours, self.limits, arena, &run).await?;
        walk.takes_uncertain = self.uncertain;
        walk.is_filtered = is_filtered;
        let starts = walk.select(&self.start, run).await?;
        if let Some(target) = &self.target {
            walk.aim_at(target).await?;
        }
        let mut progress = self.progress;
        let mut tell = |depth, arena: &Arena| {
            if let Some(tell) = &mut progress {
                tell(WalkProgress {
                    depth,
                    nodes: arena.shown(),
                    edges: arena.edge_count(),
                });
            }
        };
        walk.go(&starts, self.upstream, self.downstream, &mut tell)
            .await?;
        Ok(walk)
    }
}

impl<'a> Walk<'a> {
    /// A walk that shows nothing yet, and these runs.
    pub(super) async fn begin(
        mut neighbours: Neighbours<'a>,
        limits: Limits,
        arena: Arena,
        runs: &BTreeSet<String>,
    ) -> Result<(Self, Vec<StoredRun>)> {
        let (survey, runs) = futures::try_join!(neighbours.survey(), neighbours.runs(runs, false))?;
        neighbours.ask_only(survey.filled);
        let renamed = survey.renamed.into_iter().map(|model| {
            let names = model.former_names.into_iter();
            names.chain([model.name]).collect()
        });
        let walk = Self {
            neighbours,
            limits,
            takes_uncertain: false,
            is_filtered: false,
            renames: Renames::of(renamed),
            arena,
            starts: References::new(),
            wholes: Vec::new(),
            targets: Vec::new(),
            truncated: None,
            aliases: BTreeMap::new(),
        };
        Ok((walk, runs))
    }

    /// The graph of what the walk shows. Parents and children come last, so that they use up no limit of the walk.
    pub(super) async fn finish(
        mut self,
        facts: bool,
        hidden: bool,
        parents: bool,
    ) -> Result<Graph> {
        if parents && self.truncated.is_none() {
            self.show_families().await?;
        }
        let hidden = match hidden {
            true => {
                let asked = futures::try_join!(self.read_records(), self.read_surroundings());
                let (records, surroundings) = asked?;
                self.keep_records(records);
                Some(self.count_hidden(surroundings).await?)
            }
            false => None,
        };
        if facts && hidden.is_none() {
            self.learn_facts().await?;
        }
        Ok(self.into_graph(facts, hidden.as_ref()))
    }
}

impl<'a> IntoFuture for GraphRequest<'a> {
    type Output = Result<Graph>;
    type IntoFuture = BoxFuture<'a, Result<Graph>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (facts, hidden, parents) = (self.facts, self.hidden, self.parents);
            let walk = self.walk().await?;
            walk.finish(facts, hidden, parents).await
        })
    }
}

impl fmt::Debug for GraphRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphRequest")
            .field("start", &self.start)
            .field("upstream", &self.upstream)
            .field("downstream", &self.downstream)
            .finish_non_exhaustive()
    }
}

/// Adds the setters that a request passes on to its `walk`.
macro_rules! walk_setters {
    (max_nodes: $max_nodes:literal) => {
        /// Walks only through runs that match the query. The start does not have to match.
        pub fn matching(self, query: impl Into<$crate::query::Query>) -> Self {
            Self {
                walk: self.walk.matching(query),
            }
        }

        /// Also follows uncertain edges. A reference without a version may mean any version.
        pub fn uncertain(self, is_walked: bool) -> Self {
            Self {
                walk: self.walk.uncertain(is_walked),
            }
        }

        #[doc = concat!("Limits the walk to this many nodes; ", $max_nodes, " by default.")]
        pub fn max_nodes(self, nodes: usize) -> Self {
            Self {
                walk: self.walk.max_nodes(nodes),
            }
        }

        /// Limits the time that the server may spend on each query; unlimited by default.
        pub fn max_time(self, time: std::time::Duration) -> Self {
            Self {
                walk: self.walk.max_time(time),
            }
        }

        /// Reports the progress after each level.
        pub fn on_progress(
            self,
            tell: impl FnMut($crate::graph::WalkProgress) + Send + 'a,
        ) -> Self {
            Self {
                walk: self.walk.on_progress(tell),
            }
        }
    };
}

pub(super) use walk_setters;
