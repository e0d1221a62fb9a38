//! The names in a search: ambiguous experiments are refused, names that the mirror has never seen are reported.

use futures::{StreamExt, TryStreamExt, stream};
use runlineage::lineage::{Direction, Kind};
use runlineage::{ExperimentSelector, MongoRunStore, Node, Query};
use runlineage_server::answer::{ExperimentNames, any_run, check_experiment};

use super::super::Result;
use crate::connect::usage;
use crate::say::say;

/// A condition may list up to 1,000 experiments.
const CONCURRENT_LOOKUPS: usize = 16;

/// The names in the flags and in `--where`.
pub(super) struct Named {
    pub(super) flags: Query,
    pub(super) condition: Query,
}

impl Named {
    /// Fails if an experiment is not mirrored, or if its text is the id of one experiment and the name of another.
    pub(super) async fn check_experiments(&self, store: &MongoRunStore) -> Result<()> {
        let flags = self.flags.experiments().into_iter();
        let condition = self.condition.experiments().into_iter();
        let named = flags
            .map(|experiment| ("--exp", experiment))
            .chain(condition.map(|experiment| ("--where", experiment)));
        stream::iter(named)
            .map(async |(argument, experiment)| check(store, argument, &experiment).await)
            .buffered(CONCURRENT_LOOKUPS)
            .try_collect()
            .await
    }

    /// Reports each model and run that the mirror has never seen.
    pub(super) async fn say_unknown(&self, store: &MongoRunStore) -> Result<()> {
        let mut nodes = self.flags.nodes();
        nodes.extend(self.condition.nodes());
        nodes.sort();
        nodes.dedup();
        for node in nodes {
            if !is_known(store, &node).await? {
                let what = node.kind().spec().key_means;
                say!("The mirror has never seen the {what} {:?}.", node.key());
            }
        }
        Ok(())
    }
}

async fn check(
    store: &MongoRunStore,
    argument: &'static str,
    experiment: &ExperimentSelector,
) -> Result<()> {
    let text = experiment.text();
    match check_experiment(store, experiment).await? {
        ExperimentNames::One => Ok(()),
        ExperimentNames::None => anyhow::bail!(
            "no experiment {text:?} is mirrored; `runlineage find --facet exp` lists the mirrored experiments"
        ),
        ExperimentNames::Ambiguous { name, id } => {
            let reason = format!(
                "{text:?} is the id of experiment {name:?} and the name of experiment {id}; write {}",
                unambiguous(argument, text)
            );
            Err(usage(argument, reason).into())
        }
    }
}

fn unambiguous(argument: &str, text: &str) -> String {
    if argument == "--where" {
        let id = Query::new().with_exp_id(text);
        format!("{id} or {}", Query::new().with_exp_name(text))
    } else {
        format!("id:{text} or name:{text}")
    }
}

async fn is_known(store: &MongoRunStore, node: &Node) -> Result<bool> {
    let (kind, key) = (node.kind(), node.key());
    let mut mentions = vec![];
    // A run that is not mirrored may still be known as a parent, or from the lineage of other runs.
    let whole = if [Kind::RUN, Kind::ARTIFACT].contains(&kind) {
        if store.get_run(key).await?.is_some() || store.get_deleted_run(key).await?.is_some() {
            return Ok(true);
        }
        mentions.push(Query::new().with_parent(key));
        Node::artifact(key, None)?
    } else {
        node.clone()
    };
    for direction in whole.kind().spec().directions {
        mentions.push(match direction {
            Direction::Input => Query::new().with_input(whole.clone()),
            Direction::Output => Query::new().with_output(whole.clone()),
        });
    }
    for mention in mentions {
        if any_run(store, mention).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
