//! The graph as OpenLineage events, for Marquez, DataHub and other catalogues.

use std::collections::{BTreeMap, HashSet};

use runlineage::bson::DateTime;
use runlineage::graph::{Edge, Graph, GraphNode, Relation};
use runlineage::{Kind, Node};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::graph::drawn_kind;
use crate::picture::NodeKind;

const PRODUCER: &str = concat!("urn:runlineage:", env!("CARGO_PKG_VERSION"));
const CORE: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/";
const FACETS: &str = "https://openlineage.io/spec/facets/";
/// Stands for a time that the mirror does not know: an event needs one.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// Writes the graph as OpenLineage events, one JSON object a line. `namespace` names the tracking server, which makes its experiments
/// and models unique.
///
/// - A run gives a `START` event and an event of its end, which has its inputs and outputs. The job of a run is
///   `EXPERIMENT/RUN NAME`, since a run of one step says nothing of another one. The id of a run is a UUID: MLflow's 32 hexadecimal digits
///   with hyphens, or a UUID made from any other id, always the same.
/// - Everything else is a dataset whose name is the text of its [`Node`], with its version: `model:churn:7`. A dataset that no run of
///   the graph uses has an event of its own.
/// - Overlaps, copies and registrations are in the facet `lineage` of their target. The facets `runlineage_node`, `runlineage_edge` and
///   `runlineage_graph` hold what OpenLineage has no place for: origins, certainty, hidden counts, and the limit that cut the graph.
pub fn openlineage(graph: &Graph, namespace: &str) -> String {
    let events = Events { graph, namespace };
    let mut text = String::new();
    for event in events.list() {
        text.push_str(&event.to_string());
        text.push('\n');
    }
    text
}

struct Events<'a> {
    graph: &'a Graph,
    namespace: &'a str,
}

impl Events<'_> {
    fn list(&self) -> Vec<Value> {
        // The edges by their targets and sources, since a graph may have thousands of both.
        let mut into: BTreeMap<&Node, Vec<&Edge>> = BTreeMap::new();
        let mut out_of: BTreeMap<&Node, Vec<&Edge>> = BTreeMap::new();
        for edge in &self.graph.edges {
            into.entry(&edge.to).or_default().push(edge);
            out_of.entry(&edge.from).or_default().push(edge);
        }
        let nodes: BTreeMap<&Node, &GraphNode> = self
            .graph
            .nodes
            .iter()
            .map(|shown| (&shown.node, shown))
            .collect();
        let dataset =
            |node: &Node| self.dataset(node, nodes.get(node).copied(), &edges_of(&into, node));
        let mut used = HashSet::new();
        let mut events = Vec::new();
        let (runs, others): (Vec<&GraphNode>, Vec<&GraphNode>) = self
            .graph
            .nodes
            .iter()
            .partition(|shown| shown.node.kind() == Kind::RUN);
        for shown in runs {
            let (read, written) = (edges_of(&into, &shown.node), edges_of(&out_of, &shown.node));
            let mut side = |edges: &[&Edge], facets: &str, end: fn(&Edge) -> &Node| -> Vec<Value> {
                let edges = edges.iter().filter(|edge| end(edge).kind() != Kind::RUN);
                let used = edges.map(|edge| {
                    used.insert(end(edge).clone());
                    let mut value = dataset(end(edge));
                    value[facets] =
                        json!({ "runlineage_edge": own_facet(&format!("{CORE}BaseFacet"), edge) });
                    value
                });
                used.collect()
            };
            let inputs = side(&read, "inputFacets", |edge| &edge.from);
            let outputs = side(&written, "outputFacets", |edge| &edge.to);
            let parent = read.iter().find(|edge| edge.relation == Relation::Parent);
            let parent = parent.and_then(|edge| nodes.get(&edge.from).copied());
            events.extend(self.run_events(shown, parent, inputs, outputs));
        }
        for shown in others
            .into_iter()
            .filter(|shown| !used.contains(&shown.node))
        {
            let created = shown.version.as_ref().and_then(|version| version.created);
            let mut event = self.event("DatasetEvent", created);
            event["dataset"] = dataset(&shown.node);
            if let Some((name, facet)) = self.cut("DatasetFacet") {
                event["dataset"]["facets"][name] = facet;
            }
            events.push(event);
        }
        events
    }

    fn run_events(
        &self,
        shown: &GraphNode,
        parent: Option<&GraphNode>,
        inputs: Vec<Value>,
        outputs: Vec<Value>,
    ) -> Vec<Value> {
        let facts = shown.run.as_ref();
        let (started, ended) = (
            facts.and_then(|run| run.start_time),
            facts.and_then(|run| run.end_time),
        );
        let status = facts.and_then(|run| run.status.as_deref());
        let event = |kind: &str, time: Option<DateTime>| {
            let mut event = self.event("RunEvent", time);
            event["eventType"] = kind.into();
            event["run"] = self.run(shown, parent);
            event["job"] = self.job(shown);
            event["job"]["facets"] = json!({ "jobType": facet("2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", json!({
                "processingType": "BATCH",
                "integration": "MLFLOW",
                "jobType": "RUN",
            })) });
            event
        };
        let kind = match status {
            Some("FINISHED") => "COMPLETE",
            Some("FAILED") => "FAIL",
            Some("KILLED") => "ABORT",
            Some("RUNNING") => "RUNNING",
            _ => "OTHER",
        };
        let mut last = event(kind, ended.or(started));
        last["inputs"] = inputs.into();
        last["outputs"] = outputs.into();
        let start = started.map(|time| event("START", Some(time)));
        start.into_iter().chain([last]).collect()
    }

    fn event(&self, schema: &str, time: Option<DateTime>) -> Value {
        let time = time.and_then(|time| time.try_to_rfc3339_string().ok());
        json!({
            "eventTime": time.unwrap_or_else(|| UNKNOWN_TIME.to_owned()),
            "producer": PRODUCER,
            "schemaURL": format!("{CORE}{schema}"),
        })
    }

    fn run(&self, shown: &GraphNode, parent: Option<&GraphNode>) -> Value {
        let mut facets = Map::new();
        facets.insert(
            "runlineage_node".to_owned(),
            own_facet(&format!("{CORE}RunFacet"), shown),
        );
        facets.extend(self.cut("RunFacet"));
        if let Some(parent) = parent {
            let body = json!({ "run": { "runId": run_id(&parent.node) }, "job": self.job(parent) });
            facets.insert(
                "parent".to_owned(),
                facet("1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet", body),
            );
        }
        json!({ "runId": run_id(&shown.node), "facets": facets })
    }

    /// The facet of the limit that cut the graph, if one did.
    fn cut(&self, schema: &str) -> Option<(String, Value)> {
        let truncated = self.graph.truncated.as_ref()?;
        let body = json!({ "truncated": truncated });
        let facet = own_facet(&format!("{CORE}{schema}"), &body);
        Some(("runlineage_graph".to_owned(), facet))
    }

    fn job(&self, shown: &GraphNode) -> Value {
        let run = shown.run.as_ref();
        let experiment = run.and_then(|run| run.experiment.as_ref());
        let experiment = experiment.map(|exp| exp.name.as_deref().unwrap_or(&exp.id));
        let name = run.and_then(|run| run.name.as_deref());
        let name = name
            .filter(|name| !name.is_empty())
            .unwrap_or(shown.node.key());
        let name = match experiment {
            Some(experiment) => format!("{experiment}/{name}"),
            None => name.to_owned(),
        };
        json!({ "namespace": self.namespace, "name": name })
    }

    fn dataset(&self, node: &Node, shown: Option<&GraphNode>, into: &[&Edge]) -> Value {
        let mut facets = Map::new();
        let mut add = |name: &str, schema: &str, body: Value| {
            facets.insert(name.to_owned(), facet(schema, body));
        };
        let (of_type, sub_type) = dataset_type(node.kind());
        let mut body = json!({ "datasetType": of_type });
        if let Some(sub_type) = sub_type {
            body["subType"] = sub_type.into();
        }
        add(
            "datasetType",
            "1-0-1/DatasetTypeDatasetFacet.json#/$defs/DatasetTypeDatasetFacet",
            body,
        );
        if let Some(version) = node.detail().filter(|_| !node.kind().has_paths()) {
            let body = json!({ "datasetVersion": version });
            add(
                "version",
                "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
                body,
            );
        }
        let sources = into.iter().filter(|edge| edge.from.kind() != Kind::RUN);
        let sources: Vec<Value> = sources.map(|edge| self.source(edge)).collect();
        if !sources.is_empty() {
            let body = json!({ "inputs": sources });
            add(
                "lineage",
                "1-0-0/LineageFacet.json#/$defs/LineageDatasetFacet",
                body,
            );
        }
        if let Some(shown) = shown {
            facets.insert(
                "runlineage_node".to_owned(),
                own_facet(&format!("{CORE}DatasetFacet"), shown),
            );
        }
        json!({ "namespace": self.namespace, "name": node.to_string(), "facets": facets })
    }

    /// A dataset from which another one follows without a run.
    fn source(&self, edge: &Edge) -> Value {
        let certainty = if edge.is_certain {
            "certain"
        } else {
            "uncertain"
        };
        json!({
            "namespace": self.namespace,
            "name": edge.from.to_string(),
            "type": "DATASET",
            "transformations": [{
                "type": "DIRECT",
                "subtype": "IDENTITY",
                "description": format!("{}, {certainty}", edge.relation.as_str()),
            }],
        })
    }
}

fn edges_of<'a>(edges: &BTreeMap<&'a Node, Vec<&'a Edge>>, node: &Node) -> Vec<&'a Edge> {
    edges.get(node).cloned().unwrap_or_default()
}

/// OpenLineage's types of datasets are examples; these are the ones that fit.
fn dataset_type(kind: Kind) -> (&'static str, Option<&'static str>) {
    match drawn_kind(kind) {
        NodeKind::Model => ("MODEL", Some("REGISTERED_MODEL")),
        NodeKind::LoggedModel => ("MODEL", Some("LOGGED_MODEL")),
        NodeKind::Artifact => ("FILE", None),
        NodeKind::Prompt => ("PROMPT", None),
        _ => ("DATASET", None),
    }
}

/// A facet of OpenLineage.
fn facet(schema: &str, body: Value) -> Value {
    own_facet(&format!("{FACETS}{schema}"), &body)
}

/// A facet with this schema. Those that OpenLineage does not define have the schema of all facets of their place.
fn own_facet(schema: &str, body: &impl Serialize) -> Value {
    let mut facet = json!({ "_producer": PRODUCER, "_schemaURL": schema });
    // Serialization of these types, whose keys are texts, cannot fail.
    if let (Some(facet), Ok(Value::Object(body))) =
        (facet.as_object_mut(), serde_json::to_value(body))
    {
        facet.extend(body);
    }
    facet
}

/// The UUID of a run. MLflow's ids are UUIDs without hyphens.
fn run_id(run: &Node) -> String {
    let id = run.key();
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let uuid = (id.len() == 32 && id.bytes().all(is_hex)).then(|| Uuid::parse_str(id).ok());
    let uuid = uuid.flatten();
    let made = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("runs:/{id}").as_bytes());
    uuid.unwrap_or_else(made).hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use runlineage::Node;

    use super::run_id;

    #[test]
    fn a_run_has_the_uuid_of_its_id_or_one_made_from_it() {
        let id = |id: &str| run_id(&Node::run(id).unwrap());
        assert_eq!(
            id("8f2c61d04a7b4f0e9d3c5b6a7e8f9012"),
            "8f2c61d0-4a7b-4f0e-9d3c-5b6a7e8f9012"
        );
        let others = [
            "train",
            "8F2C61D04A7B4F0E9D3C5B6A7E8F9012",
            "8f2c61d0-4a7b-4f0e-9d3c-5b6a7e8f9012",
        ]
        .map(id);
        assert_eq!(others[0], id("train"), "always the same");
        for (place, other) in others.iter().enumerate() {
            assert_eq!((other.len(), other.matches('-').count()), (36, 4));
            assert!(!others[..place].contains(other), "{others:?}");
            assert_ne!(*other, "8f2c61d0-4a7b-4f0e-9d3c-5b6a7e8f9012");
        }
    }
}
