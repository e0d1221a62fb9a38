//! Impact, provenance and paths over random lineage.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use mongodb::bson::{Document, doc};
use runlineage::{Kind, MongoRunStore, Node, Query};

use super::naive::{FullGraph, Way, filtered, flows, selected};
use super::random;
use super::world::World;
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;
use crate::support::scale::scaled;

fn runs_of(nodes: &BTreeMap<Node, u32>) -> BTreeMap<Node, u32> {
    let runs = nodes.iter().filter(|(node, _)| node.kind() == Kind::RUN);
    runs.map(|(node, depth)| (node.clone(), *depth)).collect()
}

fn runs_on(path: &[Node]) -> u32 {
    let runs = path[1..].iter().filter(|node| node.kind() == Kind::RUN);
    u32::try_from(runs.count()).expect("a few")
}

async fn assert_impact(
    store: &MongoRunStore,
    world: &World,
    start: &Node,
    uncertain: bool,
) -> Vec<Node> {
    let starts = selected(world, start);
    let full = FullGraph::of(world, &starts);
    let request = store.impact(start.clone()).uncertain(uncertain);
    let impact = request.await.expect("an impact");
    assert_eq!(impact.truncated, None);
    let certain: BTreeMap<Node, u32> = full.distances(&starts, false);
    let walked = full.distances(&starts, uncertain);
    let shown = full.walk(&starts, 0, u32::MAX, uncertain);

    let reached: BTreeMap<Node, u32> = impact
        .reached
        .iter()
        .map(|reached| (reached.shown.node.clone(), reached.shown.depth))
        .collect();
    let mut expected = shown.nodes.clone();
    expected.retain(|node, _| !starts.contains(node));
    assert_eq!(reached, expected, "{start}");
    let mut flows = flows(world, &starts, uncertain);
    flows.retain(|run, _| !starts.contains(run));
    assert_eq!(runs_of(&reached), flows, "{start}");

    for reached in &impact.reached {
        let node = &reached.shown.node;
        assert_eq!(
            reached.is_certain,
            certain.contains_key(node),
            "{start} to {node}"
        );
        let path = &reached.path;
        assert!(
            starts.contains(&path[0]) && path.last() == Some(node),
            "{path:?}"
        );
        assert!(full.is_way(path, !reached.is_certain), "{path:?}");
        if reached.is_certain {
            assert_eq!(Some(&runs_on(path)), certain.get(node), "{path:?}");
        }
    }
    let open_ends: Vec<Node> = walked
        .keys()
        .filter(|node| node.kind() != Kind::RUN && full.degree(Way::Down, node) == 0)
        .cloned()
        .collect();
    assert_eq!(impact.open_ends, open_ends, "{start}");
    let count: u64 = impact.users.iter().map(|user| user.runs).sum();
    assert_eq!(count, runs_of(&reached).len() as u64);
    let experiments: u64 = impact.experiments.iter().map(|exp| exp.runs).sum();
    assert_eq!(experiments, count);
    let aliased: BTreeSet<&Node> = impact
        .aliased
        .iter()
        .map(|aliased| &aliased.version)
        .collect();
    let versions = world.versions.iter();
    let with_alias = versions.filter(|version| version.alias.is_some());
    let with_alias = with_alias.map(|version| &version.node);
    let expected: BTreeSet<&Node> = with_alias
        .filter(|node| starts.contains(node) || reached.contains_key(node))
        .collect();
    assert_eq!(aliased, expected, "{start}");
    reached.into_keys().collect()
}

async fn assert_paths(
    store: &MongoRunStore,
    world: &World,
    from: &Node,
    to: &Node,
    uncertain: bool,
    status: Option<&str>,
) -> bool {
    let mut request = store.paths(from.clone(), to.clone()).uncertain(uncertain);
    if let Some(status) = status {
        request = request.matching(Query::new().with_status(status));
    }
    let found = request.await.expect("an answer");
    let (from, to) = (selected(world, from), selected(world, to));
    // Both ends are asked for, so both may overlap with what was read or written.
    let ends: BTreeSet<Node> = from.union(&to).cloned().collect();
    let full = filtered(world, &ends, status);
    let distance = |from: &BTreeSet<Node>, to: &BTreeSet<Node>| {
        let distances = full.distances(from, uncertain);
        to.iter()
            .filter_map(|node| distances.get(node).copied())
            .min()
    };
    let expected = distance(&from, &to).or_else(|| distance(&to, &from));
    let path: Option<Vec<Node>> = found.shortest.as_ref().map(|path| {
        assert_eq!(path.edges.len() + 1, path.nodes.len());
        for (ends, edge) in path.nodes.windows(2).zip(&path.edges) {
            assert_eq!((&ends[0].node, &ends[1].node), (&edge.from, &edge.to));
        }
        path.nodes.iter().map(|shown| shown.node.clone()).collect()
    });
    assert_eq!(
        path.as_deref().map(runs_on),
        expected,
        "{from:?} to {to:?}: {path:?}"
    );
    if let Some(path) = &path {
        assert!(full.is_way(path, uncertain), "{path:?}");
    }
    path.is_some_and(|path| path.len() > 2)
}

async fn assert_provenance(
    store: &MongoRunStore,
    world: &World,
    start: &Node,
    status: Option<&str>,
) {
    let starts = selected(world, start);
    let full = filtered(world, &starts, status);
    let mut request = store.provenance(start.clone());
    if let Some(status) = status {
        request = request.matching(Query::new().with_status(status));
    }
    let provenance = request.await.expect("a provenance");
    let shown = full.walk(&starts, u32::MAX, 0, false);
    let runs: BTreeMap<Node, u32> = provenance
        .runs
        .iter()
        .map(|run| (run.run.clone(), run.depth))
        .collect();
    assert_eq!(runs, runs_of(&shown.nodes), "{start}");
    let nodes = shown.nodes.keys();
    let unmirrored: BTreeSet<&Node> = nodes
        .filter(|node| {
            node.kind() == Kind::RUN && !world.runs.iter().any(|run| run.id == node.key())
        })
        .collect();
    let unresolved = &provenance.unresolved;
    let told: BTreeSet<&Node> = unresolved
        .unmirrored
        .iter()
        .filter(|node| node.kind() == Kind::RUN)
        .collect();
    assert_eq!(told, unmirrored, "{start}");
    let uncertain: BTreeSet<(&Node, &Node)> = shown
        .edges
        .iter()
        .filter(|(_, is_certain)| !**is_certain)
        .map(|((from, to), _)| (from, to))
        .collect();
    let told: BTreeSet<(&Node, &Node)> = unresolved
        .uncertain
        .iter()
        .map(|flow| (&flow.written, &flow.read))
        .collect();
    assert_eq!(told, uncertain, "{start}");
}

#[tokio::test]
async fn impact_provenance_and_paths_over_random_lineage_are_what_their_definition_says() {
    let worlds = scaled(50, 500);
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let (mut reached, mut paths) = (0, 0);
    for seed in 0..worlds {
        let rng = &mut Rng::with_seed(1_000 + seed);
        let world = random::world(rng);
        world.store(&test.database).await;
        for _ in 0..3 {
            let start = random::start(rng, &world);
            let uncertain = rng.bool();
            let nodes = assert_impact(&store, &world, &start, uncertain).await;
            reached += nodes.len();
            // Mostly there is a way, in the one direction or in the other.
            let mut ends = match nodes.is_empty() || rng.usize(..4) == 0 {
                true => [start.clone(), random::start(rng, &world)],
                false => [start.clone(), nodes[rng.usize(..nodes.len())].clone()],
            };
            rng.shuffle(&mut ends);
            let status = (rng.usize(..3) == 0).then_some("FINISHED");
            let [from, to] = &ends;
            paths += usize::from(assert_paths(&store, &world, from, to, uncertain, status).await);
            assert_provenance(&store, &world, &start, status).await;
        }
    }
    assert!(
        reached > 500 && paths > 20,
        "{reached} reached, {paths} paths"
    );
}

#[tokio::test]
async fn provenance_tells_the_code_the_params_and_the_age_of_the_mirror() {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let run = doc! {
        "_id": "trained",
        "exp": { "id": "1", "name": "churn" },
        "status": "FINISHED",
        "user": "ana",
        "inputs": { "models": [], "runs": [], "datasets": [{ "name": "clicks", "digest": "4f", "from": "inputs" }] },
        "outputs": { "models": [{ "name": "churn", "version": "1", "from": "tag" }], "runs": [] },
        "tags": { "mlflow": { "source": { "name": "train.py", "type": "LOCAL", "git": { "commit": "c0ffee" } } } },
        "params": { "lr": 0.5 },
        "mirror": { "ticket": 1_i64, "changed_at": super::world::hour(0), "fingerprint": "-",
            "text": { "params": [{ "key": "lr", "value": "0.50" }] } },
    };
    let runs = test.database.collection::<Document>("runs");
    runs.insert_one(run).await.expect("it is stored");
    let source =
        doc! { "_id": "source", "name": "http://mlflow", "full_pass": super::world::hour(7) };
    let state = test.database.collection::<Document>("sync_state");
    state.insert_one(source).await.expect("it is stored");

    let node = super::world::parsed("model:churn:1");
    let told = store.provenance(node).await.expect("a provenance");
    let [run] = &told.runs[..] else {
        panic!("{:?}", told.runs);
    };
    assert_eq!(run.code.git_commit.as_deref(), Some("c0ffee"));
    assert_eq!(run.code.source_name.as_deref(), Some("train.py"));
    assert_eq!(
        run.params,
        BTreeMap::from([("lr".to_owned(), "0.50".to_owned())])
    );
    assert_eq!(told.people, ["ana"]);
    assert_eq!(told.data, [super::world::parsed("dataset:clicks@4f")]);
    let mirror = &told.unresolved.mirror;
    assert_eq!(mirror.source.as_deref(), Some("http://mlflow"));
    assert_eq!(mirror.full_pass, Some(super::world::hour(7)));
}
