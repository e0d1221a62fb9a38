//! `node`: all that is known of one node.

use rmcp::schemars::{self, JsonSchema};
use runlineage::{Kind, Node};
use runlineage_answer::{LinkedNode, ShownNode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Found;
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;
use crate::walk::beyond_limit;

/// So many versions of a name are listed with their counts.
const MAX_NODES: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "node": "model:churn:2" }))]
pub(crate) struct ShowNode {
    /// A node: run:ID, model:NAME, model:NAME:VERSION, models:/NAME@ALIAS, artifact:RUN_ID/PATH, dataset:NAME@DIGEST, logged-model:ID,
    /// prompt:NAME:VERSION. A text without a kind is the id of a run.
    #[schemars(example = "model:churn:2")]
    node: String,
}

impl Question for ShowNode {
    const NAME: &'static str = "node";
    const TITLE: &'static str = "Show a node";
    const DESCRIPTION: &'static str = "Shows all that is known of one node. For a run: status, times, params, tags, metrics, inputs and outputs. For a \
        model: its versions with aliases and users. For a version, dataset or prompt: the newest runs that wrote and read it. `nodes` counts its edges up and down.";

    async fn ask(self, mirror: &Mirror, state: &State) -> Result<Found, Refusal> {
        let node = mirror.node("node", &self.node).await?;
        let alone = mirror.store.graph(node.clone()).upstream(0).downstream(0);
        let alone = alone.max_nodes(MAX_NODES).await?;
        mirror.check_start("node", &alone, &node).await?;
        let pages = mirror.pages(state);
        let starts = alone.nodes.iter().filter(|shown| shown.is_start);
        let starts: Vec<_> = starts
            .map(|shown| LinkedNode::of(shown, pages.as_ref()))
            .collect();
        let data = json!({
            "node": node.to_string(),
            "nodes": serde_json::to_value(starts)?,
            "details": details(mirror, &node).await?,
        });
        let left_out = beyond_limit(alone.truncated.as_ref(), MAX_NODES);
        Ok(Found {
            data,
            left_out: left_out.into_iter().collect(),
        })
    }
}

/// What `runlineage show --format json` prints; null for an artifact, and for a run that is not mirrored.
async fn details(mirror: &Mirror, node: &Node) -> Result<Value, Refusal> {
    if node.kind() == Kind::ARTIFACT {
        return Ok(Value::Null);
    }
    if node.kind() != Kind::RUN {
        let shown = ShownNode::of(&mirror.store, node, None).await?;
        return Ok(serde_json::to_value(shown)?);
    }
    let run = match mirror.store.get_run(node.key()).await? {
        Some(run) => run,
        None => match mirror.store.get_deleted_run(node.key()).await? {
            Some(deleted) => deleted.run,
            None => return Ok(Value::Null),
        },
    };
    let mut json = Vec::new();
    run.write_json(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}
