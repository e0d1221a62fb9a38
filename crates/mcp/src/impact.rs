//! `impact`: all that a node reached.

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Found, LeftOut};
use crate::fit::nearest;
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;
use crate::walk::{Levels, beyond_limit, condition};

const LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;
/// The walk counts all that it reaches, so it goes further than the list.
const MAX_NODES: usize = 20_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "node": "dataset:clicks@4f2a91c3", "downstream": "all" }))]
pub(crate) struct ShowImpact {
    /// The node whose use is in question, such as a dataset, a file or a version, written as for `node`.
    #[schemars(example = "model:churn:2")]
    node: String,
    /// Levels of runs downstream, or "all", which is the default.
    downstream: Option<Levels>,
    /// Walk only through runs that match this condition, in the language of `find`.
    r#where: Option<String>,
    /// Whether to walk through references without a version or digest too, which may mean any.
    uncertain: Option<bool>,
    /// The most nodes to list under `reached`, the nearest first: 100 by default. The counts are of all nodes.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

impl Question for ShowImpact {
    const NAME: &'static str = "impact";
    const TITLE: &'static str = "Show what depends on a node";
    const DESCRIPTION: &'static str = "Lists all that a node reached downstream: runs, versions, and the aliases that point to them now; `experiments` and \
        `users` count the runs. Use it for recalls: a dataset, file or version is bad, so what depends on it.";

    async fn ask(self, mirror: &Mirror, _: &State) -> Result<Found, Refusal> {
        let downstream = Levels::of("downstream", self.downstream.as_ref(), u32::MAX)?;
        let matching = condition(self.r#where.as_deref())?;
        let limit = self.limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
        let start = mirror.node("node", &self.node).await?;
        let mut request = mirror
            .store
            .impact(start.clone())
            .depth(downstream)
            .uncertain(self.uncertain.unwrap_or_default())
            .max_nodes(MAX_NODES);
        if let Some(query) = matching {
            request = request.matching(query);
        }
        let impact = request.await?;
        if impact.reached.is_empty() {
            mirror.check_known("node", &start).await?;
        }
        let mut data = serde_json::to_value(&impact)?;
        let unlisted = nearest(&mut data["reached"], limit as usize);
        let unlisted = (unlisted > 0).then(|| LeftOut {
            what: "reached",
            count: Some(unlisted),
            why: format!("`limit` is {limit}"),
        });
        let limit = beyond_limit(impact.truncated.as_ref(), MAX_NODES);
        Ok(Found {
            data,
            left_out: limit.into_iter().chain(unlisted).collect(),
        })
    }
}
