//! [`Provenance`]: all that something came from, and how complete that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::IntoFuture;

use bson::DateTime;
use futures::future::BoxFuture;
use serde::Serialize;

use super::{Graph, GraphNode, GraphRequest, RunFacts, Truncated, WalkProgress, json};
use crate::codec::nest::Texts;
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::node::{Kind, Node};

/// All that is upstream of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    /// What the question was about.
    #[serde(serialize_with = "json::text")]
    pub start: Node,
    /// Each run upstream, the nearest first.
    pub runs: Vec<RunProvenance>,
    /// What the runs read that no run upstream wrote: datasets, and what came from elsewhere.
    #[serde(serialize_with = "json::texts")]
    pub data: Vec<Node>,
    /// Who started the runs.
    pub people: Vec<String>,
    /// When the first of the runs started.
    #[serde(serialize_with = "json::date")]
    pub first_start: Option<DateTime>,
    /// When the last of the runs ended.
    #[serde(serialize_with = "json::date")]
    pub last_end: Option<DateTime>,
    /// What is missing or in doubt.
    pub unresolved: Unresolved,
    /// The nodes and edges upstream.
    pub graph: Graph,
}

/// A run upstream: what it ran, with which params.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunProvenance {
    /// The run.
    #[serde(serialize_with = "json::text")]
    pub run: Node,
    /// How many runs lie between it and the start, itself included.
    pub depth: u32,
    /// Its name, state, times and user.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// Its code.
    pub code: Code,
    /// Its params, as MLflow has them.
    pub params: BTreeMap<String, String>,
}

/// The code of a run, as far as MLflow recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Code {
    /// The git commit.
    pub git_commit: Option<String>,
    /// The repository.
    pub git_repository: Option<String>,
    /// The entry point of an MLflow project.
    pub entry_point: Option<String>,
    /// The file or notebook.
    pub source_name: Option<String>,
    /// What kind of source that is.
    pub source_type: Option<String>,
}

/// What keeps a provenance from being complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unresolved {
    /// Runs that the mirror does not have.
    #[serde(serialize_with = "json::texts")]
    pub unmirrored: Vec<Node>,
    /// Runs, versions and logged models that were deleted in MLflow.
    #[serde(serialize_with = "json::texts")]
    pub deleted: Vec<Node>,
    /// References that say no version or digest.
    #[serde(serialize_with = "json::texts")]
    pub without_version: Vec<Node>,
    /// Pairs of references that may be the same thing, or not.
    pub uncertain: Vec<UncertainFlow>,
    /// Versions that were registered only after a run had read one of their number.
    #[serde(serialize_with = "json::texts")]
    pub made_anew: Vec<Node>,
    /// The limit that cut the walk short.
    pub truncated: Option<Truncated>,
    /// How old the mirror is.
    pub mirror: MirrorAge,
}

/// What was written, and what was read that may be it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UncertainFlow {
    /// What was written.
    #[serde(serialize_with = "json::text")]
    pub written: Node,
    /// What was read.
    #[serde(serialize_with = "json::text")]
    pub read: Node,
}

/// What the mirror is of, and when it was synced last.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MirrorAge {
    /// The tracking server.
    pub source: Option<String>,
    /// When the last complete full pass over everything began.
    #[serde(serialize_with = "json::date")]
    pub full_pass: Option<DateTime>,
    /// When the last complete quick pass over everything began.
    #[serde(serialize_with = "json::date")]
    pub quick_pass: Option<DateTime>,
}

/// Looks for all that a node came from when it is awaited. To drop the future ends the walk.
#[must_use = "nothing is asked before the request is awaited"]
pub struct ProvenanceRequest<'a> {
    walk: GraphRequest<'a>,
}

impl<'a> ProvenanceRequest<'a> {
    const MAX_NODES: usize = 10_000;

    pub(super) fn new(store: &'a MongoRunStore, start: Node) -> Self {
        let walk = GraphRequest::new(store, start)
            .upstream(u32::MAX)
            .downstream(0);
        Self {
            walk: walk.max_nodes(Self::MAX_NODES),
        }
    }

    /// How many levels of runs; all unless set.
    pub fn depth(self, depth: u32) -> Self {
        Self {
            walk: self.walk.upstream(depth),
        }
    }

    /// Walks through what is uncertain, too: a reference without a version may mean each version.
    pub fn uncertain(self, is_walked: bool) -> Self {
        Self {
            walk: self.walk.uncertain(is_walked),
        }
    }

    /// How many nodes are walked through at most; 10,000 unless set.
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

impl<'a> IntoFuture for ProvenanceRequest<'a> {
    type Output = Result<Provenance>;
    type IntoFuture = BoxFuture<'a, Result<Provenance>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (store, start) = (self.walk.store, self.walk.start.clone());
            let freshness = store.freshness().await?;
            let mut walk = self.walk.walk().await?;
            walk.learn_facts().await?;
            let runs = walk.arena.shown_nodes();
            let runs = runs.filter(|(_, node, met)| node.kind() == Kind::RUN && met.run.is_some());
            let runs = runs.map(|(_, node, _)| node.key().to_owned()).collect();
            let mut texts = BTreeMap::new();
            for run in walk.neighbours.whole_runs(&runs).await? {
                texts.insert(run.id().to_owned(), Texts::of(&run)?);
            }
            let mirror = MirrorAge {
                source: freshness.source,
                full_pass: freshness.full_pass,
                quick_pass: freshness.quick_pass,
            };
            Ok(provenance(
                start,
                walk.into_graph(true, None),
                texts,
                mirror,
            ))
        })
    }
}

fn provenance(
    start: Node,
    graph: Graph,
    mut texts: BTreeMap<String, Texts>,
    mirror: MirrorAge,
) -> Provenance {
    let is_run = |shown: &&GraphNode| shown.node.kind() == Kind::RUN;
    let runs = graph.nodes.iter().filter(is_run);
    let runs: Vec<RunProvenance> = runs
        .map(|shown| {
            let texts = texts.remove(shown.node.key()).unwrap_or_default();
            RunProvenance {
                run: shown.node.clone(),
                depth: shown.depth,
                facts: shown.run.clone().unwrap_or_default(),
                code: Code::of(&texts),
                params: texts.params,
            }
        })
        .collect();
    let people: BTreeSet<String> = runs
        .iter()
        .filter_map(|run| run.facts.user.clone())
        .collect();
    Provenance {
        data: data(&graph),
        people: people.into_iter().collect(),
        first_start: runs.iter().filter_map(|run| run.facts.start_time).min(),
        last_end: runs.iter().filter_map(|run| run.facts.end_time).max(),
        unresolved: unresolved(&graph, mirror),
        runs,
        graph,
        start,
    }
}

/// The references to which no edge leads.
fn data(graph: &Graph) -> Vec<Node> {
    let made: BTreeSet<&Node> = graph.edges.iter().map(|edge| &edge.to).collect();
    let nodes = graph.nodes.iter().map(|shown| &shown.node);
    let data = nodes.filter(|node| node.kind() != Kind::RUN && !made.contains(node));
    data.cloned().collect()
}

fn unresolved(graph: &Graph, mirror: MirrorAge) -> Unresolved {
    let nodes = |is_it: &dyn Fn(&GraphNode) -> bool| -> Vec<Node> {
        let nodes = graph.nodes.iter().filter(|shown| is_it(shown));
        nodes.map(|shown| shown.node.clone()).collect()
    };
    let has_no_version = |node: &Node| {
        let detail = node.kind().spec().detail;
        detail.is_some_and(|detail| !detail.is_path) && node.detail().is_none()
    };
    let uncertain = graph.edges.iter().filter(|edge| !edge.is_certain);
    let made_anew = graph.edges.iter().filter(|edge| edge.is_made_anew);
    let made_anew: BTreeSet<&Node> = made_anew.map(|edge| &edge.from).collect();
    Unresolved {
        unmirrored: nodes(&|shown| !shown.is_known),
        deleted: nodes(&|shown| shown.is_deleted),
        without_version: nodes(&|shown| has_no_version(&shown.node)),
        uncertain: uncertain
            .map(|edge| UncertainFlow {
                written: edge.from.clone(),
                read: edge.to.clone(),
            })
            .collect(),
        made_anew: made_anew.into_iter().cloned().collect(),
        truncated: graph.truncated.clone(),
        mirror,
    }
}

impl Code {
    fn of(texts: &Texts) -> Self {
        let tag = |key: &str| texts.tags.get(key).cloned();
        Self {
            git_commit: tag("mlflow.source.git.commit"),
            git_repository: tag("mlflow.source.git.repoURL"),
            entry_point: tag("mlflow.project.entryPoint"),
            source_name: tag("mlflow.source.name"),
            source_type: tag("mlflow.source.type"),
        }
    }
}

impl fmt::Debug for ProvenanceRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProvenanceRequest")
            .field(&self.walk)
            .finish()
    }
}
