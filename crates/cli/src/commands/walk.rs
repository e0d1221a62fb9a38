//! What the commands that walk through lineage share: the start, the progress, and checks of the answer.

use runlineage::graph::{Graph, Limit, Truncated};
use runlineage::{MongoRunStore, Node};
use runlineage_server::answer::is_met;

use super::{Result, say_freshness};
use crate::args::ConnectionArgs;
use crate::pages::{self, Pages};
use crate::progress::WalkBar;
use crate::say::say;
use crate::secret::masked;

/// Awaits a walk, and reports on stderr how fresh the mirror is. `None` if no run was ever mirrored.
pub(super) async fn walked<T>(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    bar: &WalkBar,
    walk: impl Future<Output = runlineage::Result<T>>,
) -> Result<Option<(T, Option<Pages>)>> {
    // Concurrent: a short walk takes as long as the question how fresh the mirror is.
    let (walked, pages, is_filled) = tokio::join!(
        bar.during(walk),
        pages::of(connection, store, None),
        say_freshness(store),
    );
    if !is_filled? {
        return Ok(None);
    }
    Ok(Some((walked?, pages?)))
}

/// Fails if the mirror has never met the node.
pub(super) async fn check_known(store: &MongoRunStore, node: &Node) -> Result<()> {
    let graph = store.graph(node.clone()).upstream(0).downstream(0).await?;
    check_start(store, &graph, node).await
}

/// Fails if the mirror has never met the start of this graph.
pub(super) async fn check_start(store: &MongoRunStore, graph: &Graph, start: &Node) -> Result<()> {
    if !is_met(store, graph, start).await? {
        anyhow::bail!(
            "the mirror has never seen {start}, and no mirrored run names it; check the spelling, or run `runlineage sync` if it is new in MLflow"
        );
    }
    Ok(())
}

/// Reports on stderr that a limit cut the walk.
pub(super) fn say_cut(truncated: Option<&Truncated>, max_nodes: usize) {
    if let Some(cut) = truncated {
        say!("{} --max-nodes raises the limit.", cut_text(cut, max_nodes));
    }
}

/// Which limit cut the walk, and where.
pub(super) fn cut_text(cut: &Truncated, max_nodes: usize) -> String {
    let limit = match cut.limit {
        Limit::Edges => format!("{} edges", max_nodes.saturating_mul(10)),
        _ => format!("{max_nodes} nodes"),
    };
    format!(
        "The walk stopped at its limit of {limit}, at {}, so the answer is incomplete.",
        masked(&cut.at.to_string())
    )
}
