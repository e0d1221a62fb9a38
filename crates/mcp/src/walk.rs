//! What questions about lineage share: levels, conditions, limits.

use rmcp::schemars::{self, JsonSchema};
use runlineage::Query;
use runlineage::graph::{Graph, Limit, Truncated};
use runlineage_answer::parse_levels;
use serde::Deserialize;

use crate::answer::LeftOut;
use crate::refusal::Refusal;

/// Levels of runs: a number, or `all`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Levels {
    /// So many levels.
    Number(u32),
    /// `all`, or a number as a text.
    Text(String),
}

impl Levels {
    /// The levels of an argument, or the default.
    pub(crate) fn of(
        argument: &'static str,
        levels: Option<&Self>,
        default: u32,
    ) -> Result<u32, Refusal> {
        match levels {
            None => Ok(default),
            Some(Self::Number(levels)) => Ok(*levels),
            Some(Self::Text(text)) => {
                parse_levels(text).map_err(|reason| Refusal::argument(argument, &reason))
            }
        }
    }
}

/// Parses the condition of the runs that a walk goes through.
pub(crate) fn condition(text: Option<&str>) -> Result<Option<Query>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    if text.trim_start().starts_with(['{', '[']) {
        let reason = "a walk takes no MongoDB filter; write the condition as a text, such as \"exp = 'churn'\"";
        return Err(Refusal::argument("where", reason));
    }
    if text.trim().is_empty() {
        let reason = "the condition is empty; write one such as \"exp = 'churn'\"";
        return Err(Refusal::argument("where", reason));
    }
    let query = text.parse::<Query>();
    Ok(Some(query.map_err(|error| error.of_argument("where"))?))
}

/// What the limit of the walk left out.
pub(crate) fn beyond_limit(truncated: Option<&Truncated>, max_nodes: usize) -> Option<LeftOut> {
    let limit = match truncated?.limit {
        Limit::Edges => format!("{} edges", max_nodes.saturating_mul(10)),
        _ => format!("{max_nodes} nodes"),
    };
    Some(LeftOut {
        what: "nodes",
        count: None,
        why: format!(
            "the walk stopped at its limit of {limit}, at the node that `truncated` names"
        ),
    })
}

/// The edges that lead out of the graph.
pub(crate) fn beyond_levels(graph: &Graph) -> Option<LeftOut> {
    let hidden = graph.nodes.iter().filter_map(|shown| shown.hidden);
    let hidden = hidden.flat_map(|hidden| [hidden.up, hidden.down]);
    let (mut count, mut is_more) = (0, false);
    for side in hidden {
        count += side.count;
        is_more |= side.is_more;
    }
    let more = match is_more {
        true => ", and more that nobody counted",
        false => "",
    };
    (count > 0).then(|| LeftOut {
        what: "edges",
        count: Some(count),
        why: format!("they lead beyond the levels that were asked for; `hidden` counts them at each node{more}"),
    })
}
