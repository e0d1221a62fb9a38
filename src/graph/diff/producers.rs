//! The runs that are certain to have produced references: one query for each kind, however many references there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::try_join_all;

use crate::error::Result;
use crate::graph::fetch::lookups;
use crate::graph::overlap::{References, Renames};
use crate::mongo::neighbours::{
    LoggedModel, LoggedModelsBy, Neighbours, Reading, RegisteredVersion, StoredRun, Take,
    VersionsBy, version_id,
};
use crate::node::{Direction, Kind, Node};

/// The ids of runs.
pub(super) type RunIds = BTreeSet<String>;

/// The runs that are certain to have produced each of the references, as a walk upstream shows them: the runs that wrote the reference or an
/// overlapping path, the run whose artifact it is, and the runs that the registry links it to.
pub(super) async fn producers(
    neighbours: &Neighbours<'_>,
    references: &BTreeSet<Node>,
) -> Result<HashMap<Node, RunIds>> {
    let mut sources: HashMap<Node, Sources> = HashMap::new();
    let mut pending = references.clone();
    while !pending.is_empty() {
        let (writers, versions, models) = futures::try_join!(
            writers(neighbours, &pending),
            versions(neighbours, &pending),
            models(neighbours, &pending),
        )?;
        for node in pending {
            let mut of_node = Sources::default();
            if node.kind() == Kind::ARTIFACT {
                // That run made the artifact, declared or not.
                of_node.runs.insert(node.key().to_owned());
            }
            sources.insert(node, of_node);
        }
        for (node, runs) in writers {
            sources.entry(node).or_default().runs.extend(runs);
        }
        for version in versions {
            let of_node = sources.entry(version.node).or_default();
            of_node.runs.extend(version.run);
            let model = version.logged_model.as_deref();
            let model = model.map(|model| Node::stored(Kind::LOGGED_MODEL, model, None));
            of_node.links.extend(model);
            of_node.links.extend(version.copied_from);
        }
        for model in models {
            let node = Node::stored(Kind::LOGGED_MODEL, &model.id, None);
            let of_node = sources.entry(node).or_default();
            of_node.runs.extend(model.source_run);
        }
        let links = sources.values().flat_map(|of_node| &of_node.links);
        let links = links.filter(|link| !sources.contains_key(link));
        pending = links.cloned().collect();
    }
    let producers = references
        .iter()
        .map(|node| (node.clone(), runs_of(node, &sources)));
    Ok(producers.collect())
}

/// The runs that produced one node, and the nodes that it was made from.
#[derive(Default)]
struct Sources {
    runs: RunIds,
    links: Vec<Node>,
}

/// The runs of the node and of all that it was made from.
fn runs_of(node: &Node, sources: &HashMap<Node, Sources>) -> RunIds {
    let mut runs = RunIds::new();
    let mut open = vec![node];
    let mut seen = BTreeSet::new();
    while let Some(node) = open.pop() {
        // Copies may form a cycle in a registry that was changed by hand.
        if !seen.insert(node) {
            continue;
        }
        if let Some(of_node) = sources.get(node) {
            runs.extend(of_node.runs.iter().cloned());
            open.extend(&of_node.links);
        }
    }
    runs
}

/// The runs that wrote each of the references, or a path that overlaps with it.
async fn writers(
    neighbours: &Neighbours<'_>,
    references: &BTreeSet<Node>,
) -> Result<BTreeMap<Node, RunIds>> {
    let mut by_place = References::new();
    let nodes: Vec<&Node> = references.iter().collect();
    for (place, node) in nodes.iter().enumerate() {
        by_place.insert(node, place);
    }
    // A use under a former name is uncertain, so no renames are considered.
    let renames = Renames::default();
    let found: Mutex<BTreeMap<Node, RunIds>> = Mutex::default();
    let take = |run: &StoredRun| {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = run.references.iter();
        let outputs = outputs.filter(|written| written.direction == Direction::Output);
        for written in outputs.map(|reference| &reference.node) {
            let overlapping = by_place.overlapping(written, &renames).into_iter();
            let overlapping = overlapping.filter_map(|(place, is_certain)| {
                let node = nodes.get(place).copied();
                node.filter(|_| is_certain)
            });
            for read in overlapping.chain(references.get(written)) {
                let runs = found.entry(read.clone()).or_default();
                runs.insert(run.node.key().to_owned());
            }
        }
        // Only the id is needed.
        Reading::Drop
    };
    let lookups = lookups(
        Direction::Output,
        nodes.iter().copied(),
        std::iter::empty(),
        &renames,
    );
    let take_for_each = || -> Take<'_> { Box::new(&take) };
    let reads = lookups
        .iter()
        .map(|lookup| neighbours.users(lookup, usize::MAX, &take_for_each).boxed());
    try_join_all(reads).await?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn versions(
    neighbours: &Neighbours<'_>,
    references: &BTreeSet<Node>,
) -> Result<Vec<RegisteredVersion>> {
    let versions = references.iter().filter(|node| node.kind() == Kind::MODEL);
    let ids = versions.filter_map(version_id).collect();
    neighbours.versions(VersionsBy::Id, &ids).await
}

async fn models(
    neighbours: &Neighbours<'_>,
    references: &BTreeSet<Node>,
) -> Result<Vec<LoggedModel>> {
    let models = references.iter();
    let models = models.filter(|node| node.kind() == Kind::LOGGED_MODEL);
    let ids = models.map(|node| node.key().to_owned()).collect();
    neighbours.logged_models(LoggedModelsBy::Id, &ids).await
}
