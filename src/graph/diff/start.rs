//! The starts of a diff: runs, and versions of models by the runs that produced them.

use std::collections::BTreeSet;

use super::producers::producers;
use crate::error::{Error, Result};
use crate::mongo::neighbours::Neighbours;
use crate::node::{Kind, Node};

/// Refuses a node that is neither a run nor a version of a model.
pub(super) fn check(node: &Node) -> Result<()> {
    let is_model = node.kind() == Kind::MODEL;
    if node.kind() == Kind::RUN || is_model && node.detail().is_some() {
        return Ok(());
    }
    let reason = match is_model {
        true => format!("{node} names no version; write {node}:VERSION"),
        false => format!(
            "{node} is neither a run nor a version of a model; write run:ID or model:NAME:VERSION"
        ),
    };
    Err(refused(reason))
}

/// The ids of the two runs. A version gives the run that produced it.
pub(super) async fn runs(
    neighbours: &Neighbours<'_>,
    a: &Node,
    b: &Node,
) -> Result<(String, String)> {
    let versions = [a, b].into_iter();
    let versions = versions.filter(|node| node.kind() != Kind::RUN);
    let versions: BTreeSet<Node> = versions.cloned().collect();
    let producers = producers(neighbours, &versions).await?;
    let run = |node: &Node| {
        if node.kind() == Kind::RUN {
            return Ok(node.key().to_owned());
        }
        let runs = producers.get(node).cloned().unwrap_or_default();
        let mut runs = runs.into_iter();
        match (runs.next(), runs.next()) {
            (Some(run), None) => Ok(run),
            (Some(one), Some(other)) => Err(refused(format!(
                "several runs produced {node}, such as run:{one} and run:{other}; name the run instead of the version"
            ))),
            (None, _) => Err(refused(format!(
                "the mirror knows no run that produced {node}; name a run instead, or run `runlineage sync` if the version is new in MLflow"
            ))),
        }
    };
    Ok((run(a)?, run(b)?))
}

fn refused(reason: String) -> Error {
    Error::invalid_argument("start of a diff", reason)
}
