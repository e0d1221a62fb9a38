//! `diff`: why two runs or versions differ.

use rmcp::schemars::{self, JsonSchema};
use runlineage::graph::{Diff, Unknown};
use runlineage::{Error, Node};
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Found, LeftOut};
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;
use crate::walk::Levels;

const MAX_PAIRS: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "a": "model:churn:7", "b": "model:churn:8" }))]
pub(crate) struct DiffRuns {
    /// A run or a version of a model, written as for `node`.
    #[schemars(example = "model:churn:7")]
    a: String,
    /// The run or version to compare it with.
    #[schemars(example = "models:/churn@champion")]
    b: String,
    /// Levels of runs upstream to compare, or "all", which is the default.
    upstream: Option<Levels>,
}

impl Question for DiffRuns {
    const NAME: &'static str = "diff";
    const TITLE: &'static str = "Compare two runs or versions";
    const DESCRIPTION: &'static str = "Tells why two runs or two versions differ: goes upstream through both, pair by pair. Pairs with the state `first` are the \
        first points of divergence, and `differences` lists their code, params, tags and inputs; the other different pairs follow from these.";

    async fn ask(self, mirror: &Mirror, _: &State) -> Result<Found, Refusal> {
        let upstream = Levels::of("upstream", self.upstream.as_ref(), u32::MAX)?;
        let a = start(mirror, "a", &self.a).await?;
        let b = start(mirror, "b", &self.b).await?;
        let starts = [("a", &a), ("b", &b)];
        let diff = mirror
            .store
            .diff(a.clone(), b.clone())
            .depth(upstream)
            .max_pairs(MAX_PAIRS)
            .await;
        let is_doubtful = match &diff {
            // Such as a version without a run, which the mirror may never have met.
            Err(Error::InvalidArgument { .. }) => true,
            Err(_) => false,
            Ok(diff) => {
                let first = diff.pairs.first();
                first.is_some_and(|pair| !(pair.a.is_known && pair.b.is_known))
            }
        };
        if is_doubtful {
            for (argument, start) in starts {
                mirror.check_known(argument, start).await?;
            }
        }
        let diff = diff?;
        Ok(Found {
            data: serde_json::to_value(&diff)?,
            left_out: beyond_limits(&diff),
        })
    }
}

async fn start(mirror: &Mirror, argument: &'static str, text: &str) -> Result<Node, Refusal> {
    let node = mirror.node(argument, text).await?;
    Diff::check_start(&node).map_err(|error| error.of_argument(argument))?;
    Ok(node)
}

fn beyond_limits(diff: &Diff) -> Vec<LeftOut> {
    let limits = [
        (Unknown::Depth, "`upstream` ends the walk there".to_owned()),
        (
            Unknown::Pairs,
            format!("the walk stopped at its limit of {MAX_PAIRS} pairs"),
        ),
    ];
    let left_out = limits.into_iter().filter_map(|(limit, why)| {
        let beyond = diff.unknown().filter(|pair| pair.unknown == Some(limit));
        let count = beyond.count() as u64;
        (count > 0).then_some(LeftOut {
            what: "pairs",
            count: Some(count),
            why,
        })
    });
    left_out.collect()
}
