//! Nodes as arguments: their texts, whether the mirror has met them, and the names that are most like an unknown one.

use runlineage::graph::{Graph, Selection};
use runlineage::lineage::{Kind, ModelPointer, NodeArg};
use runlineage::mongo::Suggestion;
use runlineage::{ExperimentSelector, Node, Query};
use runlineage_answer::{ExperimentNames, check_experiment, is_met, parse_start};
use serde_json::{Value, json};

use crate::mirror::Mirror;
use crate::refusal::Refusal;

/// How many existing names an unknown one gets.
const NEAREST: usize = 5;

/// Parses one node, with or without the quotes of a selection. A text without a kind is the id of a run.
fn parse_node(text: &str) -> Result<NodeArg, String> {
    // An answer prints nodes so. A name may end in a space, which a selection ignores.
    let printed = text.parse::<Node>().ok();
    if let Some(node) = printed.filter(|node| node.to_string() == text) {
        return Ok(NodeArg::Node(node));
    }
    let selection = text.parse::<Selection>().ok();
    let span = selection.as_ref().and_then(Selection::as_span);
    match span {
        Some(span) if (span.upstream, span.downstream) == (None, None) => Ok(span.node.clone()),
        _ => parse_start(text),
    }
}

impl Mirror {
    /// The node of an argument. A model may be named by an alias, a stage or `latest`, which the mirror resolves.
    pub(crate) async fn node(&self, argument: &'static str, text: &str) -> Result<Node, Refusal> {
        let node = parse_node(text).map_err(|reason| Refusal::argument(argument, &reason))?;
        self.resolved(argument, node).await
    }

    /// The node; for a pointer to a version, the version that the mirror knows.
    pub(crate) async fn resolved(
        &self,
        argument: &'static str,
        node: NodeArg,
    ) -> Result<Node, Refusal> {
        let pointer = match node {
            NodeArg::Node(node) => return Ok(node),
            NodeArg::Pointer(pointer) => pointer,
        };
        if let Some(version) = self.store.resolve_version(&pointer).await? {
            return Ok(Node::model(&pointer.name, version.as_str())?);
        }
        let reason = format!(
            "the mirror knows no version for {pointer}; run `runlineage sync` if it is new in MLflow"
        );
        let nearest = self.nearest_pointers(&pointer).await?;
        Err(Refusal::argument(argument, &reason).with_nearest(nearest))
    }

    /// Fails if the mirror has never met the node.
    pub(crate) async fn check_known(
        &self,
        argument: &'static str,
        node: &Node,
    ) -> Result<(), Refusal> {
        match self.is_known(node).await? {
            true => Ok(()),
            false => Err(self.unknown(argument, node).await?),
        }
    }

    /// Fails if the mirror has never met the start of this graph.
    pub(crate) async fn check_start(
        &self,
        argument: &'static str,
        graph: &Graph,
        start: &Node,
    ) -> Result<(), Refusal> {
        match is_met(&self.store, graph, start).await? {
            true => Ok(()),
            false => Err(self.unknown(argument, start).await?),
        }
    }

    /// Whether the mirror has met the node.
    pub(crate) async fn is_known(&self, node: &Node) -> Result<bool, Refusal> {
        let graph = self.store.graph(node.clone()).upstream(0).downstream(0);
        Ok(is_met(&self.store, &graph.await?, node).await?)
    }

    async fn unknown(&self, argument: &'static str, node: &Node) -> Result<Refusal, Refusal> {
        let reason = format!(
            "the mirror has never seen {node}, and no mirrored run names it; check the spelling, or run `runlineage sync` if it is new in MLflow"
        );
        let nearest = self.nearest(node).await?;
        Ok(Refusal::argument(argument, &reason).with_nearest(nearest))
    }

    /// Fails if an experiment is not mirrored, or if its text is the id of one experiment and the name of another.
    pub(crate) async fn check_experiment(
        &self,
        argument: &'static str,
        experiment: &ExperimentSelector,
    ) -> Result<(), Refusal> {
        let text = experiment.text();
        match check_experiment(&self.store, experiment).await? {
            ExperimentNames::One => Ok(()),
            ExperimentNames::None => {
                let unknown = Suggestion::Experiment(text.to_owned());
                let nearest = self.named_like(&unknown).await?;
                let reason = format!("no experiment {text:?} is mirrored");
                Err(Refusal::argument(argument, &reason).with_nearest(nearest))
            }
            ExperimentNames::Ambiguous { .. } => {
                let by_id = Query::new().with_exp_id(text);
                let by_name = Query::new().with_exp_name(text);
                let reason = format!(
                    "{text:?} is the id of one experiment and the name of another; write {by_id} or {by_name}"
                );
                Err(Refusal::argument(argument, &reason))
            }
        }
    }

    /// The existing nodes that are most like an unknown one: other versions of the model, else other names.
    pub(crate) async fn nearest(&self, unknown: &Node) -> Result<Vec<Value>, Refusal> {
        if unknown.kind() == Kind::MODEL
            && let Some(version) = unknown.detail()
        {
            let versions = self.nearest_versions(unknown.key(), version).await?;
            if !versions.is_empty() {
                return Ok(versions);
            }
        }
        self.named_like(&Suggestion::Node(unknown.clone())).await
    }

    async fn nearest_versions(&self, name: &str, version: &str) -> Result<Vec<Value>, Refusal> {
        let number = |version: &str| version.parse::<i64>().unwrap_or(i64::MAX);
        let wanted = number(version);
        let mut versions = self.store.model_versions(name).await?;
        versions.sort_by_key(|version| number(&version.version).abs_diff(wanted));
        versions.truncate(NEAREST);
        let nodes = versions
            .iter()
            .map(|version| Node::model(name, version.version.as_str()));
        let nodes: runlineage::Result<Vec<Node>> = nodes.collect();
        Ok(nodes?.iter().map(node_json).collect())
    }

    /// The aliases of the model, else models of other names.
    async fn nearest_pointers(&self, pointer: &ModelPointer) -> Result<Vec<Value>, Refusal> {
        let name = &pointer.name;
        let model = self.store.registered_model(name).await?;
        let Some(model) = model.filter(|model| model.deleted_at.is_none()) else {
            return self.nearest(&Node::model(name, None)?).await;
        };
        let aliases = model.aliases.iter().map(|alias| {
            let node = format!("models:/{name}@{}", alias.alias);
            json!({ "kind": "alias", "name": alias.alias, "node": node })
        });
        let mut nearest: Vec<Value> = aliases.take(NEAREST).collect();
        nearest.push(node_json(&Node::model(name, None)?));
        Ok(nearest)
    }

    /// The names of the same sort that are most like this one, and the names of any sort that begin with it.
    async fn named_like(&self, unknown: &Suggestion) -> Result<Vec<Value>, Refusal> {
        let (alike, longer) = futures::try_join!(
            self.store.nearest(unknown, NEAREST, None),
            self.store.suggest(unknown.name(), NEAREST, None),
        )?;
        let mut nearest = alike;
        let longer = longer.into_iter();
        let others: Vec<Suggestion> = longer.filter(|name| !nearest.contains(name)).collect();
        nearest.extend(others);
        Ok(nearest.iter().map(named).collect())
    }
}

fn node_json(node: &Node) -> Value {
    json!({ "kind": node.kind().spec().noun, "name": node.key(), "node": node.to_string() })
}

/// A name with the text that asks for it: a node, or a condition of `find`.
fn named(suggestion: &Suggestion) -> Value {
    let name = suggestion.name();
    let (kind, query) = match suggestion {
        Suggestion::Node(node) => return node_json(node),
        Suggestion::Experiment(_) => ("experiment", Query::new().with_exp_name(name)),
        Suggestion::RunName(_) => ("run-name", Query::new().with_name(name)),
        Suggestion::User(_) => ("user", Query::new().with_user(name)),
        // A name of a kind that the library has and this server does not know yet.
        _ => return json!({ "kind": "name", "name": name }),
    };
    json!({ "kind": kind, "name": name, "where": query.to_string() })
}

#[cfg(test)]
mod tests {
    use super::parse_node;

    #[test]
    fn a_node_may_have_the_quotes_of_a_selection_or_none() {
        for text in ["model:c++:3", "\"model:c++:3\""] {
            let node = parse_node(text).unwrap();
            assert_eq!(
                format!("{node:?}"),
                format!("{:?}", parse_node("model:c++:3").unwrap())
            );
            assert!(format!("{node:?}").contains("c++"), "{node:?}");
        }
        assert!(parse_node("model:").is_err());
    }
}
