//! What a search names: an experiment that could be two, and things that the mirror has never seen.

use futures::TryStreamExt;
use runlineage::lineage::{Direction, Kind, NodeArg};
use runlineage::{ExperimentSelector, MongoRunStore, Query, Run, Search};

use super::super::Result;
use crate::args::FindArgs;
use crate::connect::usage;
use crate::say::say;

/// Fails where an experiment is not mirrored, or is the id of one and the name of another.
pub(super) async fn check_experiments(
    store: &MongoRunStore,
    experiments: &[ExperimentSelector],
) -> Result<()> {
    for experiment in experiments {
        let text = experiment.text();
        let by_id = one(store, Query::new().with_exp_id(text)).await?;
        let by_name = one(store, Query::new().with_exp_name(text)).await?;
        let (by_id, by_name) = match experiment {
            ExperimentSelector::Either(_) => (by_id, by_name),
            ExperimentSelector::Id(_) => (by_id, None),
            ExperimentSelector::Name(_) => (None, by_name),
        };
        match (
            by_id.as_ref().and_then(Run::exp),
            by_name.as_ref().and_then(Run::exp),
        ) {
            (None, None) => {
                anyhow::bail!(
                    "no experiment {text:?} is mirrored; `runlineage find --facet exp` lists those that are"
                )
            }
            (Some(by_id), Some(by_name)) if by_id.id != by_name.id => {
                let reason = format!(
                    "{text:?} is the id of experiment {:?} and the name of experiment {}; write id:{text} or name:{text}",
                    by_id.name.unwrap_or_default(),
                    by_name.id
                );
                return Err(usage("--exp", reason).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says of each node of the flags that no mirrored run reads or writes it, where none does.
pub(super) async fn say_unknown(store: &MongoRunStore, args: &FindArgs) -> Result<()> {
    for (_, node) in &args.lineage.nodes {
        let NodeArg::Node(node) = node else { continue };
        let (kind, key) = (node.kind(), node.key());
        let mut is_known = kind == Kind::ARTIFACT && store.get_run(key).await?.is_some();
        for direction in Direction::BOTH {
            let whole = runlineage::Node::new(kind, key, None)?;
            let query = match direction {
                Direction::Input => Query::new().with_input(whole),
                Direction::Output => Query::new().with_output(whole),
            };
            is_known = is_known || one(store, query).await?.is_some();
        }
        if !is_known {
            let what = kind.spec().key_means;
            say!("The mirror has never seen the {what} {key:?}.");
        }
    }
    Ok(())
}

/// Any run that matches, with its experiment.
async fn one(store: &MongoRunStore, query: Query) -> Result<Option<Run>> {
    let search = Search::from(query)
        .limit(1)
        .projection(bson::doc! { "exp": 1 });
    Ok(store.find_runs(search).await?.try_next().await?)
}
