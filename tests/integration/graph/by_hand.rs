//! Lineage made by hand, each for one rule.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Document, doc};
use runlineage::graph::{Graph, Limit};
use runlineage::{MongoRunStore, Node};
use serde_json::json;

use super::world::{World, WorldLogged, WorldRun, WorldVersion, parsed};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;

pub(super) async fn stored(world: &World) -> (TestDatabase, MongoRunStore) {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    world.store(&test.database).await;
    (test, store)
}

fn runs(graph: &Graph) -> BTreeMap<String, u32> {
    let runs = graph
        .nodes
        .iter()
        .filter(|shown| shown.run.is_some() || !shown.is_known);
    runs.map(|shown| (shown.node.key().to_owned(), shown.depth))
        .collect()
}

fn map<'a>(runs: impl IntoIterator<Item = (&'a str, u32)>) -> BTreeMap<String, u32> {
    let runs = runs.into_iter();
    runs.map(|(run, depth)| (run.to_owned(), depth)).collect()
}

#[tokio::test]
async fn overlaps_are_not_chained() {
    let world = World {
        runs: vec![
            WorldRun::new("d").writes("artifact:b/a"),
            WorldRun::new("e").reads("artifact:b"),
            WorldRun::new("c").writes("artifact:b"),
            WorldRun::new("f").reads("artifact:b/b"),
        ],
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    let walk = async |start: &str| {
        let request = store.graph(parsed(start)).upstream(0).downstream(u32::MAX);
        runs(&request.await.expect("a graph"))
    };
    assert_eq!(walk("run:d").await, map([("d", 0), ("e", 1)]));
    assert_eq!(walk("run:c").await, map([("c", 0), ("e", 1), ("f", 1)]));
    let up = store
        .graph(parsed("run:f"))
        .upstream(u32::MAX)
        .downstream(0);
    // The run whose artifacts were read made them, though the mirror does not have it.
    assert_eq!(
        runs(&up.await.expect("a graph")),
        map([("f", 0), ("b", 1), ("c", 1)])
    );
}

#[tokio::test]
async fn what_is_uncertain_is_shown_and_walked_through_only_when_told_to() {
    let world = World {
        runs: vec![
            WorldRun::new("trains").writes("model:churn:7"),
            WorldRun::new("scores")
                .reads("model:churn")
                .writes("artifact:scores/x"),
            WorldRun::new("reports").reads("artifact:scores/x"),
        ],
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    let walk = || {
        store
            .graph(parsed("run:trains"))
            .upstream(0)
            .downstream(u32::MAX)
    };
    let careful = walk().await.expect("a graph");
    assert_eq!(runs(&careful), map([("trains", 0)]));
    let edge = careful.edges.last().expect("an edge");
    assert_eq!(
        (edge.to.to_string(), edge.is_certain),
        ("model:churn".to_owned(), false)
    );
    let hidden = careful
        .node(&parsed("model:churn"))
        .and_then(|shown| shown.hidden);
    assert_eq!(hidden.map(|hidden| hidden.down.count), Some(1));
    let all = walk().uncertain(true).await.expect("a graph");
    assert_eq!(
        runs(&all),
        map([("trains", 0), ("scores", 1), ("reports", 2)])
    );
    // Asked for without a version, all of them are meant.
    let selected = store.graph(parsed("model:churn")).await.expect("a graph");
    assert_eq!(runs(&selected), map([("trains", 1), ("scores", 1)]));
}

#[tokio::test]
async fn ten_thousand_writers_and_readers_of_a_version_are_not_paired() {
    const MANY: usize = 10_000;
    let mut world = World::default();
    for n in 0..MANY {
        world
            .runs
            .push(WorldRun::new(&format!("w{n:05}")).writes("model:hub:1"));
        world
            .runs
            .push(WorldRun::new(&format!("r{n:05}")).reads("model:hub:1"));
    }
    let (_test, store) = stored(&world).await;
    let whole = store.graph(parsed("model:hub:1")).max_nodes(50_000);
    let whole = whole.await.expect("a graph");
    assert_eq!(
        (whole.nodes.len(), whole.edges.len()),
        (2 * MANY + 1, 2 * MANY)
    );
    assert_eq!(whole.truncated, None);

    let cut = store.graph(parsed("model:hub:1")).max_nodes(100);
    let cut = cut.await.expect("a graph");
    let truncated = cut.truncated.as_ref().expect("it is cut");
    assert_eq!(
        (truncated.limit, &truncated.at),
        (Limit::Nodes, &parsed("model:hub:1"))
    );
    let hidden = cut.nodes[0].hidden.expect("they are counted");
    assert_eq!(hidden.up.count + hidden.down.count + 99, 2 * MANY as u64);

    let impact = store.impact(parsed("run:w00000")).await.expect("an impact");
    assert_eq!(impact.reached.len(), MANY + 1);
}

#[tokio::test]
async fn a_run_that_reads_very_many_things_counts_once_for_each() {
    // MongoDB is asked for so many in several queries, and each query finds the run.
    const MANY: usize = 1_200;
    let things = || {
        let files = (0..MANY).map(|n| format!("artifact:m{n:04}/x"));
        let models = (0..MANY).map(|n| format!("model:m{n:04}:{}", n % 40));
        files.chain(models)
    };
    let mut reader = WorldRun::new("reader");
    for thing in things() {
        reader = reader.reads(&thing);
    }
    let other = WorldRun::new("other").reads("artifact:m0000/x");
    let other = other.reads("model:m0001:1").reads("model:m0001:2");
    let world = World {
        runs: vec![reader, other],
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    let graph = store.graph(parsed("run:reader")).upstream(1).downstream(0);
    let graph = graph.max_nodes(10_000).await.expect("a graph");
    let mut hidden = BTreeMap::new();
    for shown in graph.nodes.iter().filter(|shown| shown.depth == 0) {
        let counts = shown.hidden.expect("they are counted");
        if counts.down.count > 0 {
            hidden.insert(shown.node.to_string(), counts.down.count);
        }
    }
    let read_twice = ["artifact:m0000/x", "model:m0001:1"];
    let expected = read_twice.map(|thing| (thing.to_owned(), 1));
    assert_eq!(hidden, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_walk_reads_hardly_more_runs_behind_uncertain_edges_than_the_graph_shows() {
    let reader = |n: usize| WorldRun::new(&format!("r{n:04}")).reads(&format!("model:m:{n:04}"));
    let mut world = World {
        runs: (0..3_000).map(reader).collect(),
        ..World::default()
    };
    world.runs.push(WorldRun::new("w").writes("model:m"));
    let (test, store) = stored(&world).await;
    let profiling = test.database.run_command(doc! { "profile": 2 }).await;
    profiling.expect("the profiler is on");
    let graph = store.graph(parsed("run:w")).upstream(0).hidden(false);
    let graph = graph.max_nodes(10).await.expect("a graph");
    let cut = graph.truncated.expect("the graph is cut");
    assert_eq!((graph.nodes.len(), cut.limit), (10, Limit::Nodes));
    let read = test.database.collection::<Document>("system.profile");
    let read = read.distinct("docsExamined", doc! {}).await;
    for runs in read.expect("MongoDB answers") {
        let runs = runs.as_i32().map(i64::from).or(runs.as_i64());
        assert!(runs.is_some_and(|runs| runs <= 100), "{runs:?}");
    }
}

#[tokio::test]
async fn a_walk_from_one_version_does_not_read_the_runs_of_all_versions() {
    for (kind, is_deleted) in [
        ("dataset", false),
        ("prompt", false),
        ("model", false),
        ("dataset", true),
        ("prompt", true),
        ("model", true),
    ] {
        let separator = if kind == "dataset" { '@' } else { ':' };
        let node = |version: usize| format!("{kind}:shared{separator}{version}");
        let mut world = World::default();
        for n in 0..300 {
            let mut run = WorldRun::new(&format!("r{n:03}")).reads(&node(n));
            run.is_deleted = is_deleted;
            world.runs.push(run);
        }
        let (test, store) = stored(&world).await;
        let profiling = test.database.run_command(doc! { "profile": 2 }).await;
        profiling.expect("the profiler is on");
        let graph = store.graph(parsed(&node(7))).await.expect("a graph");
        assert_eq!(runs(&graph), map([("r007", 1)]));
        let read = test.database.collection::<Document>("system.profile");
        let read = read.distinct("keysExamined", doc! {}).await;
        for keys in read.expect("MongoDB answers") {
            let keys = keys.as_i32().map(i64::from).or(keys.as_i64());
            assert!(
                keys.is_some_and(|keys| keys < 10),
                "{kind} {is_deleted}: {keys:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_graph_as_json_names_nodes_by_their_texts_and_tells_what_it_knows() {
    let mut version = WorldVersion::new("model:churn:7");
    version.created = 5;
    version.run = Some("purged".to_owned());
    version.alias = Some("champion");
    let mut copy = WorldVersion::new("model:prod:1");
    copy.copied_from = Some(version.node.clone());
    copy.logged_model = Some("m-1".to_owned());
    copy.is_deleted = true;
    let logged = WorldLogged {
        id: "m-1".to_owned(),
        source_run: None,
        name: None,
    };
    let world = World {
        runs: vec![WorldRun::new("reader").reads("model:churn:7")],
        versions: vec![version, copy],
        logged: vec![logged],
        ..World::default()
    };
    let (test, store) = stored(&world).await;
    let purged = doc! { "_id": "purged", "mirror": { "ticket": 1_i64, "purged": true } };
    let deleted = test.database.collection::<Document>("deleted_runs");
    deleted.insert_one(purged).await.expect("it is stored");

    let graph = store.graph(parsed("model:churn:7")).await.expect("a graph");
    let none = json!({ "up": { "count": 0 }, "down": { "count": 0 } });
    let nothing = json!({ "name": null, "experiment": null, "status": null, "start_time": null, "end_time": null, "user": null, "purged": true });
    let reader = json!({
        "name": "name of reader",
        "experiment": { "id": "1", "name": "experiment" },
        "status": "FINISHED",
        "start_time": "2023-11-14T22:13:20Z",
        "end_time": "2023-11-14T23:13:20Z",
        "user": "ana",
    });
    let (from_run, to_reader) = ("run:purged", "run:reader");
    let (churn, prod) = ("model:churn:7", "model:prod:1");
    assert_eq!(
        serde_json::to_value(&graph).expect("it is JSON"),
        json!({
            "nodes": [
                { "id": churn, "kind": "model", "depth": 0, "start": true, "known": true,
                  "version": { "aliases": ["champion"], "created": "2023-11-15T03:13:20Z", "stage": null, "copied_from": null }, "hidden": none },
                { "id": prod, "kind": "model", "depth": 0, "known": true, "deleted": true,
                  "version": { "aliases": [], "created": "2023-11-14T22:13:20Z", "stage": null, "copied_from": churn },
                  "hidden": { "up": { "count": 1 }, "down": { "count": 0 } } },
                { "id": from_run, "kind": "run", "depth": 1, "known": true, "deleted": true, "run": nothing, "hidden": none },
                { "id": to_reader, "kind": "run", "depth": 1, "known": true, "run": reader, "hidden": none },
            ],
            "edges": [
                { "from": churn, "to": prod, "relation": "copied", "certain": true, "origins": ["registry"] },
                { "from": churn, "to": to_reader, "relation": "read", "certain": true, "origins": ["tag"], "made_anew": true },
                { "from": from_run, "to": churn, "relation": "wrote", "certain": true, "origins": ["registry"] },
            ],
            "truncated": null,
        })
    );
}

#[tokio::test]
async fn a_run_that_reads_what_it_wrote_and_a_circle_end() {
    let world = World {
        runs: vec![
            WorldRun::new("own")
                .writes("artifact:own/x")
                .reads("artifact:own/x"),
            WorldRun::new("a").reads("model:m:3").writes("model:m:1"),
            WorldRun::new("b").reads("model:m:1").writes("model:m:2"),
            WorldRun::new("c").reads("model:m:2").writes("model:m:3"),
        ],
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    let walk = async |start: &str| {
        let request = store
            .graph(parsed(start))
            .upstream(u32::MAX)
            .downstream(u32::MAX);
        request.await.expect("a graph")
    };
    assert_eq!(runs(&walk("run:own").await), map([("own", 0)]));
    let circle = walk("run:a").await;
    assert_eq!(runs(&circle), map([("a", 0), ("b", 1), ("c", 1)]));
    let nodes: BTreeSet<&Node> = circle.nodes.iter().map(|shown| &shown.node).collect();
    assert_eq!((nodes.len(), circle.edges.len()), (6, 6));
    assert!(
        circle
            .nodes
            .iter()
            .all(|shown| shown.hidden == Some(runlineage::graph::Hidden::default()))
    );
}

#[tokio::test]
async fn a_start_that_nobody_knows_is_shown_so_and_a_walk_tells_its_progress() {
    let (_test, store) = stored(&World::default()).await;
    for start in [
        "run:x",
        "model:x",
        "model:x:1",
        "artifact:x/y",
        "logged-model:m-x",
    ] {
        let mut levels = 0;
        let request = store
            .graph(parsed(start))
            .on_progress(|progress| levels = progress.depth);
        let graph = request.await.expect("a graph");
        // The run that an artifact reference names is shown, too.
        assert_eq!(graph.nodes.len(), usize::from(start.contains('/')) + 1);
        assert!(graph.nodes.iter().all(|shown| !shown.is_known), "{start}");
        let shown = &graph.nodes[0];
        assert_eq!((shown.is_start, levels), (true, 1), "{start}");
    }
}
