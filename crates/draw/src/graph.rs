//! A walked graph as a picture.

use std::collections::{HashMap, HashSet};

use runlineage::bson::DateTime;
use runlineage::graph::{
    Edge, Graph, GraphNode, HiddenCount, Limit, LoggedModelFacts, Relation, RunFacts, VersionFacts,
};
use runlineage::{Kind, Node};

use crate::error::Result;
use crate::picture::{Hidden, NodeKind, Picture, PictureEdge, PictureNode};

/// The part of a run's id that stands for a run without a name.
const SHORT_ID: usize = 8;
/// The part of a date that a box has room for: `2026-03-01T12:00`.
const MINUTES: usize = 16;

impl Picture {
    /// The picture of a walked graph. `link` gives the page of a node in MLflow.
    ///
    /// # Errors
    /// As [`new`](Self::new), for a graph that was changed after the walk.
    pub fn from_graph(graph: &Graph, link: impl Fn(&GraphNode) -> Option<String>) -> Result<Self> {
        let names = Names::of(graph);
        let nodes = graph.nodes.iter().map(|shown| {
            let mut node = picture_node(shown, &names);
            node.link = link(shown);
            node
        });
        let edges = graph.edges.iter().map(picture_edge);
        let picture = Self::new(nodes.collect(), edges.collect())?;
        Ok(picture.truncated(truncation(graph)))
    }
}

/// What tells the runs of a graph apart.
struct Names<'a> {
    /// The names of the runs, by their ids.
    runs: HashMap<&'a str, &'a str>,
    /// The names that several runs have.
    shared: HashSet<&'a str>,
    /// Whether the runs are of more than one experiment.
    has_experiments: bool,
}

impl<'a> Names<'a> {
    fn of(graph: &'a Graph) -> Self {
        let runs = graph.nodes.iter().filter_map(|shown| {
            let name = shown.run.as_ref()?.name.as_deref()?;
            Some((shown.node.key(), name))
        });
        let runs: HashMap<_, _> = runs.filter(|(_, name)| !name.is_empty()).collect();
        let mut seen = HashSet::new();
        let shared = runs.values().copied().filter(|name| !seen.insert(*name));
        let experiments = graph.nodes.iter();
        let experiments = experiments.filter_map(|shown| shown.run.as_ref()?.experiment.as_ref());
        let experiments: HashSet<&str> = experiments.map(|exp| exp.id.as_str()).collect();
        Self {
            shared: shared.collect(),
            runs,
            has_experiments: experiments.len() > 1,
        }
    }

    /// The name of a run, else the beginning of its id.
    fn run(&self, id: &str) -> String {
        let name = self.runs.get(id);
        name.map_or_else(|| short(id), |name| (*name).to_owned())
    }
}

pub(crate) fn short(id: &str) -> String {
    match id.char_indices().nth(SHORT_ID) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}

fn picture_node(shown: &GraphNode, names: &Names<'_>) -> PictureNode {
    let node = &shown.node;
    let mut drawn = PictureNode::new(node.to_string(), drawn_kind(node.kind()));
    drawn.depth = shown.depth;
    drawn.start = shown.is_start;
    drawn.known = shown.is_known;
    drawn.deleted = shown.is_deleted;
    let hidden = shown.hidden.unwrap_or_default();
    drawn.hidden_up = hidden_edges(hidden.up);
    drawn.hidden_down = hidden_edges(hidden.down);
    drawn.name = name(node, names);
    drawn.lines = lines(node, names);
    if let Some(run) = &shown.run {
        drawn.status.clone_from(&run.status);
        describe_run(node.key(), run, names, &mut drawn);
    }
    if let Some(version) = &shown.version {
        describe_version(version, &mut drawn);
    }
    if let Some(model) = &shown.logged_model {
        describe_logged_model(model, node, &mut drawn);
    }
    drawn
}

pub(crate) fn drawn_kind(kind: Kind) -> NodeKind {
    let noun = kind.spec().noun;
    let drawn = NodeKind::ALL.into_iter().find(|drawn| drawn.name() == noun);
    // A kind that the library has and this crate does not know yet looks like plain data.
    drawn.unwrap_or(NodeKind::Artifact)
}

fn hidden_edges(hidden: HiddenCount) -> Hidden {
    match hidden.is_more {
        true => Hidden::over(hidden.count),
        false => Hidden::exactly(hidden.count),
    }
}

/// The name for people. The id has the rest.
fn name(node: &Node, names: &Names<'_>) -> String {
    let key = node.key();
    match (drawn_kind(node.kind()), node.detail()) {
        (NodeKind::Run, _) => names.run(key),
        (NodeKind::Artifact, Some(path)) => path.to_owned(),
        (NodeKind::Artifact, None) => "all artifacts".to_owned(),
        // A digest is no name.
        (NodeKind::Dataset, _) | (_, None) => key.to_owned(),
        (_, Some(version)) => format!("{key}:{version}"),
    }
}

fn lines(node: &Node, names: &Names<'_>) -> Vec<String> {
    let line = match (drawn_kind(node.kind()), node.detail()) {
        (NodeKind::Artifact, _) => Some(format!("of {}", names.run(node.key()))),
        (NodeKind::Dataset, Some(digest)) => Some(format!("digest {digest}")),
        (NodeKind::Dataset, None) => Some("without digest".to_owned()),
        (NodeKind::Model | NodeKind::Prompt, None) => Some("without version".to_owned()),
        _ => None,
    };
    line.into_iter().collect()
}

fn describe_run(id: &str, run: &RunFacts, names: &Names<'_>, drawn: &mut PictureNode) {
    let experiment = run.experiment.as_ref();
    let experiment = experiment.map(|exp| exp.name.as_ref().unwrap_or(&exp.id).clone());
    let (started, ended) = (run.start_time.and_then(text), run.end_time.and_then(text));
    if run.is_purged {
        drawn.lines.push("purged from the mirror".to_owned());
    }
    let is_shared = run
        .name
        .as_deref()
        .is_some_and(|name| names.shared.contains(name));
    let which = [
        experiment.clone().filter(|_| names.has_experiments),
        is_shared.then(|| short(id)),
    ];
    let minutes = |date: &String| date.get(..MINUTES).map(|date| date.replace('T', " "));
    let who_and_when = [run.user.clone(), started.as_ref().and_then(minutes)];
    for line in [which, who_and_when] {
        let line: Vec<String> = line.into_iter().flatten().collect();
        drawn
            .lines
            .extend((!line.is_empty()).then(|| line.join(" · ")));
    }
    fact(drawn, "experiment", experiment);
    fact(drawn, "user", run.user.clone());
    fact(drawn, "started", started);
    fact(drawn, "ended", ended);
}

fn describe_version(version: &VersionFacts, drawn: &mut PictureNode) {
    let aliases: Vec<String> = version
        .aliases
        .iter()
        .map(|alias| format!("@{alias}"))
        .collect();
    let aliases = (!aliases.is_empty()).then(|| aliases.join(", "));
    // MLflow's word for a version without a stage.
    let stage = version.stage.clone().filter(|stage| stage != "None");
    drawn.aliases.clone_from(&version.aliases);
    drawn.lines.extend(aliases.clone());
    drawn.lines.extend(stage.clone());
    fact(drawn, "aliases", aliases);
    fact(drawn, "stage", stage);
    fact(drawn, "created", version.created.and_then(text));
    let original = version.copied_from.as_ref().map(Node::to_string);
    fact(drawn, "copy of", original);
}

fn describe_logged_model(model: &LoggedModelFacts, node: &Node, drawn: &mut PictureNode) {
    if let Some(name) = model.name.clone().filter(|name| !name.is_empty()) {
        drawn.name = name;
        drawn.lines.push(node.key().to_owned());
    }
}

fn fact(drawn: &mut PictureNode, name: &str, value: Option<String>) {
    drawn
        .facts
        .extend(value.map(|value| (name.to_owned(), value)));
}

fn text(date: DateTime) -> Option<String> {
    date.try_to_rfc3339_string().ok()
}

fn picture_edge(edge: &Edge) -> PictureEdge {
    let mut drawn = PictureEdge::new(edge.from.to_string(), edge.to.to_string());
    drawn.certain = edge.is_certain;
    drawn.overlap = edge.relation == Relation::Overlap;
    drawn.parent = edge.relation == Relation::Parent;
    drawn.relation = Some(edge.relation.as_str().to_owned());
    let origins = edge.origins.iter();
    drawn.origins = origins.map(|origin| origin.as_str().to_owned()).collect();
    drawn.note = edge.is_made_anew.then(|| {
        "The version was registered after the run ended. The run read an earlier version of this number.".to_owned()
    });
    drawn
}

/// Which limit cut the graph, and where.
fn truncation(graph: &Graph) -> Option<String> {
    let cut = graph.truncated.as_ref()?;
    let limit = match cut.limit {
        Limit::Edges => format!("{} edges", graph.edges.len()),
        _ => format!("{} nodes", graph.nodes.len()),
    };
    Some(format!(
        "The graph stops at its limit of {limit}, at {}. Edges of this node and of later ones are missing.",
        cut.at
    ))
}
