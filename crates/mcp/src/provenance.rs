//! `provenance`: where a node came from, and how complete that is.

use rmcp::schemars::{self, JsonSchema};
use runlineage_answer::{ProvenanceFile, has_flow};
use serde::Deserialize;
use serde_json::json;

use crate::answer::Found;
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;
use crate::walk::{Levels, beyond_levels, beyond_limit};

const MAX_NODES: usize = 10_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "node": "model:churn:2" }))]
pub(crate) struct ShowProvenance {
    /// The node whose origin is in question, such as a version or a run, written as for `node`.
    #[schemars(example = "model:churn:2")]
    node: String,
    /// Levels of runs upstream, or "all", which is the default.
    upstream: Option<Levels>,
    /// Whether to walk through references without a version or digest too, which may mean any.
    uncertain: Option<bool>,
}

impl Question for ShowProvenance {
    const NAME: &'static str = "provenance";
    const TITLE: &'static str = "Show where a node came from";
    const DESCRIPTION: &'static str = "Tells where a run or version came from: the runs upstream, the nearest first, with code and params; data, people, \
        times; and what is unresolved. `complete` says whether nothing upstream is missing or in doubt.";

    async fn ask(self, mirror: &Mirror, _: &State) -> Result<Found, Refusal> {
        let upstream = Levels::of("upstream", self.upstream.as_ref(), u32::MAX)?;
        let start = mirror.node("node", &self.node).await?;
        let provenance = mirror
            .store
            .provenance(start.clone())
            .depth(upstream)
            .uncertain(self.uncertain.unwrap_or_default())
            .max_nodes(MAX_NODES)
            .await?;
        if !has_flow(&provenance.graph) {
            mirror.check_known("node", &start).await?;
        }
        let file = ProvenanceFile::of(&provenance, upstream == u32::MAX);
        let limit = beyond_limit(provenance.unresolved.truncated.as_ref(), MAX_NODES);
        let levels = beyond_levels(&provenance.graph).filter(|_| upstream != u32::MAX);
        Ok(Found {
            data: serde_json::to_value(&file)?,
            left_out: limit.into_iter().chain(levels).collect(),
        })
    }
}
