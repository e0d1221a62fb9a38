//! [`Provenance`]: everything upstream of a node, and how complete that is.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::future::IntoFuture;

use bson::DateTime;
use futures::future::BoxFuture;
use serde::Serialize;

use super::arena::{At, Link, Progress};
use super::request::walk_setters;
use super::walk::Walk;
use super::{Graph, GraphNode, GraphRequest, RunFacts, Truncated, json};
use crate::codec::nest::Texts;
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::node::{Kind, Node};

/// Everything upstream of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    /// The node that the request names.
    #[serde(serialize_with = "json::text")]
    pub start: Node,
    /// The runs upstream, the nearest first.
    pub runs: Vec<RunProvenance>,
    /// The inputs that no run wrote, as far as the mirror knows and the walk went: datasets, and models or artifacts from elsewhere. With a
    /// query, what runs wrote that do not match is among them.
    #[serde(serialize_with = "json::texts")]
    pub data: Vec<Node>,
    /// The users who started the runs.
    pub people: Vec<String>,
    /// When the first of the runs started.
    #[serde(serialize_with = "json::date")]
    pub first_start: Option<DateTime>,
    /// When the last of the runs ended.
    #[serde(serialize_with = "json::date")]
    pub last_end: Option<DateTime>,
    /// Everything that makes this answer incomplete or uncertain.
    pub unresolved: Unresolved,
    /// The graph upstream.
    pub graph: Graph,
}

/// A run upstream, with its code and params.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunProvenance {
    /// The run.
    #[serde(serialize_with = "json::text")]
    pub run: Node,
    /// The distance from the start, counted in runs.
    pub depth: u32,
    /// The run's name, status, times and user.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// The run's code.
    pub code: Code,
    /// The run's params, with the exact texts of MLflow.
    pub params: BTreeMap<String, String>,
}

/// The code of a run, from the tags that MLflow sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Code {
    /// The git commit.
    pub git_commit: Option<String>,
    /// The URL of the git repository.
    pub git_repository: Option<String>,
    /// The entry point of an MLflow project.
    pub entry_point: Option<String>,
    /// The name of the source file or notebook.
    pub source_name: Option<String>,
    /// The type of the source, such as `LOCAL`.
    pub source_type: Option<String>,
}

/// Everything that makes a provenance incomplete or uncertain.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unresolved {
    /// Nodes that the mirror does not have.
    #[serde(serialize_with = "json::texts")]
    pub unmirrored: Vec<Node>,
    /// Runs, versions and logged models that were deleted in MLflow.
    #[serde(serialize_with = "json::texts")]
    pub deleted: Vec<Node>,
    /// References without a version or digest.
    #[serde(serialize_with = "json::texts")]
    pub without_version: Vec<Node>,
    /// Pairs of references that may or may not be the same version.
    pub uncertain: Vec<UncertainFlow>,
    /// Versions that were created after a run read a version of the same number.
    #[serde(serialize_with = "json::texts")]
    pub made_anew: Vec<Node>,
    /// Runs that are mirrored in part, because MongoDB refused the whole document.
    #[serde(serialize_with = "json::texts")]
    pub quarantined: Vec<Node>,
    /// The limit that stopped the walk early.
    pub truncated: Option<Truncated>,
    /// The age of the mirror.
    pub mirror: MirrorAge,
}

/// A written reference, and a read reference that may name the same version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UncertainFlow {
    /// The written reference.
    #[serde(serialize_with = "json::text")]
    pub written: Node,
    /// The read reference.
    #[serde(serialize_with = "json::text")]
    pub read: Node,
}

/// The source of the mirror, and when it was last synced.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MirrorAge {
    /// The tracking server that the database mirrors.
    pub source: Option<String>,
    /// When the last complete full pass over all experiments began.
    #[serde(serialize_with = "json::date")]
    pub full_pass: Option<DateTime>,
    /// When the last complete quick pass over all experiments began.
    #[serde(serialize_with = "json::date")]
    pub quick_pass: Option<DateTime>,
}

/// A request for everything upstream of a node. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
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

    /// Limits the walk to this many levels of runs; unlimited by default.
    pub fn depth(self, depth: u32) -> Self {
        Self {
            walk: self.walk.upstream(depth),
        }
    }

    walk_setters! { max_nodes: "10,000" }
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
            let (mut texts, mut quarantined) = (BTreeMap::new(), Vec::new());
            for run in walk.neighbours.whole_runs(&runs).await? {
                // While a run is being deleted or restored, it may be in both collections. The one in `runs` comes first and counts.
                if let Entry::Vacant(vacant) = texts.entry(run.id().to_owned()) {
                    vacant.insert(Texts::of(&run)?);
                    if run.is_quarantined() {
                        quarantined.push(Node::stored(Kind::RUN, run.id(), None));
                    }
                }
            }
            quarantined.sort();
            let data = data(&walk);
            let mirror = MirrorAge {
                source: freshness.source,
                full_pass: freshness.full_pass,
                quick_pass: freshness.quick_pass,
            };
            let graph = walk.into_graph(true, None);
            let unresolved = unresolved(&graph, quarantined, mirror);
            Ok(provenance(start, graph, texts, data, unresolved))
        })
    }
}

fn provenance(
    start: Node,
    graph: Graph,
    mut texts: BTreeMap<String, Texts>,
    data: Vec<Node>,
    unresolved: Unresolved,
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
        data,
        people: people.into_iter().collect(),
        first_start: runs.iter().filter_map(|run| run.facts.start_time).min(),
        last_end: runs.iter().filter_map(|run| run.facts.end_time).max(),
        unresolved,
        runs,
        graph,
        start,
    }
}

/// The references without a source, as far as the walk has looked for one.
fn data(walk: &Walk<'_>) -> Vec<Node> {
    let arena = &walk.arena;
    // Starts overlap with each other only because each of them counts as read and as written.
    let is_between_starts = |from: At, to: At, link: &Link| {
        !link.is_certain && arena.met(from).is_start && arena.met(to).is_start
    };
    let edges = arena.edges();
    let edges = edges.filter(|(from, to, link)| !is_between_starts(*from, *to, link));
    let made: HashSet<At> = edges.map(|(_, to, _)| to).collect();
    let cut_at = walk.truncated.as_ref().map(|cut| &cut.at);
    let nodes = walk.order().into_iter().filter(|at| {
        let is_expanded = arena.met(*at).up != Progress::Untouched;
        !walk.is_run(*at) && is_expanded && !made.contains(at) && cut_at != Some(arena.node(*at))
    });
    nodes.map(|at| arena.node(at).clone()).collect()
}

fn unresolved(graph: &Graph, quarantined: Vec<Node>, mirror: MirrorAge) -> Unresolved {
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
        quarantined,
        truncated: graph.truncated.clone(),
        mirror,
    }
}

impl Code {
    pub(super) fn of(texts: &Texts) -> Self {
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
