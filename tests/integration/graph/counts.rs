//! Counts of hidden edges, and whether a start is known, each made by hand for one rule.

use std::future::IntoFuture as _;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use runlineage::MongoRunStore;
use runlineage::graph::{GraphRequest, HiddenCount};

use super::by_hand::stored;
use super::world::{World, WorldRun, parsed};

/// The node alone.
fn alone<'a>(store: &'a MongoRunStore, node: &str) -> GraphRequest<'a> {
    store.graph(parsed(node)).upstream(0).downstream(0)
}

/// The hidden edges up and down of a node in the graph.
async fn hidden(request: GraphRequest<'_>, node: &str) -> (HiddenCount, HiddenCount) {
    let graph = request.await.expect("a graph");
    let hidden = graph.node(&parsed(node)).and_then(|shown| shown.hidden);
    let hidden = hidden.unwrap_or_else(|| panic!("{node} is shown"));
    (hidden.up, hidden.down)
}

async fn is_known(store: &MongoRunStore, node: &str) -> bool {
    let graph = alone(store, node).await.expect("a graph");
    graph.nodes[0].is_known
}

#[tokio::test]
async fn of_a_folder_with_very_many_readers_ten_thousand_are_counted() {
    const MANY: usize = 10_050;
    let mut world = World::default();
    for n in 0..MANY {
        world
            .runs
            .push(WorldRun::new(&format!("r{n:05}")).reads("artifact:b/data"));
    }
    world.runs.push(WorldRun::new("s").reads("artifact:b/more"));
    world
        .runs
        .push(WorldRun::new("b").writes("artifact:b/data"));
    let (_test, store) = stored(&world).await;
    let graph = store.graph(parsed("artifact:b/data")).downstream(0).await;
    let graph = graph.expect("a graph");
    let hidden = graph
        .node(&parsed("artifact:b/data"))
        .and_then(|shown| shown.hidden);
    let down = hidden.expect("they are counted").down;
    assert_eq!((down.count, down.is_more), (10_000, true));

    // The other references of the same run are counted exactly.
    for (node, edges) in [("artifact:b/more", (1, 1)), ("run:b", (0, 2))] {
        let graph = store.graph(parsed(node)).upstream(0).downstream(0).await;
        let graph = graph.expect("a graph");
        let hidden = graph.node(&parsed(node)).and_then(|shown| shown.hidden);
        let hidden = hidden.expect("they are counted");
        assert_eq!((hidden.up.count, hidden.down.count), edges, "{node}");
        assert!(!hidden.up.is_more && !hidden.down.is_more, "{node}");
    }
}

#[tokio::test]
async fn of_a_version_with_very_many_readers_ten_thousand_are_counted() {
    const MANY: usize = 10_050;
    let mut world = World::default();
    for n in 0..MANY {
        let run = WorldRun::new(&format!("r{n:05}"));
        world.runs.push(run.reads("model:hub:1"));
    }
    for n in 0..5 {
        let run = WorldRun::new(&format!("s{n}"));
        let run = run.reads("model:hub:2").reads("model:other:1");
        world.runs.push(run);
    }
    let run = WorldRun::new("reads_all").reads("model:hub:1");
    let run = run.reads("model:hub:2").reads("model:other:1");
    world.runs.push(run.reads("logged-model:m-1"));
    let (_test, store) = stored(&world).await;
    let expected = [
        ("model:hub:1", (10_000, true)),
        ("model:hub:2", (5, false)),
        ("model:other:1", (5, false)),
        ("logged-model:m-1", (0, false)),
    ];
    for index in ["input_models", "none"] {
        let graph = store.graph(parsed("run:reads_all")).downstream(0).await;
        let graph = graph.expect("a graph");
        for (node, edges) in expected {
            let hidden = graph.node(&parsed(node)).and_then(|shown| shown.hidden);
            let down = hidden.expect("they are counted").down;
            assert_eq!((down.count, down.is_more), edges, "{node}");
        }
        // Without the index, MongoDB counts the same runs.
        let runs = store.database().collection::<Document>("runs");
        if index != "none" {
            runs.drop_index(index).await.expect("the index exists");
        }
    }
}

#[tokio::test]
async fn of_a_model_with_very_many_versions_each_shown_one_is_counted() {
    let version = |n: usize| format!("model:big:{n:05}");
    // One more than are listed of a model.
    let reader = |n: usize| WorldRun::new(&format!("r{n:05}")).reads(&version(n));
    let mut world = World {
        runs: (0..11_100).map(reader).collect(),
        ..World::default()
    };
    let read: Vec<String> = (0..6).chain(11_090..11_096).map(version).collect();
    let reads_each = |run: &str| {
        let run = WorldRun::new(run);
        read.iter().fold(run, |run, version| run.reads(version))
    };
    world.runs.push(reads_each("versions"));
    world.runs.push(reads_each("model").reads("model:big"));
    let (_test, store) = stored(&world).await;
    for start in ["run:versions", "run:model"] {
        let graph = store.graph(parsed(start)).downstream(0).await;
        let graph = graph.expect("a graph");
        for version in &read {
            let hidden = graph.node(&parsed(version)).and_then(|shown| shown.hidden);
            let down = hidden.expect("they are counted").down;
            // Of its three readers, the graph shows the start.
            assert_eq!(
                (down.count, down.is_more),
                (2, false),
                "{version} of {start}"
            );
        }
    }
}

#[tokio::test]
async fn a_store_that_keeps_counts_counts_popular_nodes_once() {
    const MANY: usize = 201;
    let reader = |n: usize| {
        let run = WorldRun::new(&format!("r{n:05}"));
        run.reads("model:hub:1").reads("artifact:b/data")
    };
    let mut world = World {
        runs: (0..MANY).map(reader).collect(),
        ..World::default()
    };
    world.runs.push(WorldRun::new("s").reads("model:hub:2"));
    world.runs.push(WorldRun::new("t").reads("model:hub"));
    let (_test, store) = stored(&world).await;
    let keeping = store.clone().with_kept_counts(Duration::from_secs(3600));
    let down = async |store: &MongoRunStore, node: &str| {
        let graph = store.graph(parsed(node)).upstream(0).downstream(0).await;
        let graph = graph.expect("a graph");
        let hidden = graph.node(&parsed(node)).and_then(|shown| shown.hidden);
        hidden.expect("they are counted").down.count
    };
    // The readers of a version, and the reference without a version, which overlaps with it.
    let before = [
        ("model:hub:1", MANY as u64 + 1),
        ("model:hub:2", 2),
        ("artifact:b/data", MANY as u64),
        ("run:b", 1),
    ];
    for (node, count) in before {
        assert_eq!(down(&keeping, node).await, count, "{node}");
        assert_eq!(down(&store, node).await, count, "{node}");
    }

    world.runs.push(reader(MANY));
    world.runs.push(WorldRun::new("u").reads("model:hub:2"));
    world.store(store.database()).await;
    for (node, count) in before {
        let (kept, counted) = (down(&keeping, node).await, down(&store, node).await);
        match node {
            "model:hub:2" => assert_eq!((kept, counted), (3, 3)),
            "run:b" => assert_eq!((kept, counted), (1, 1)),
            _ => assert_eq!((kept, counted), (count, count + 1), "{node}"),
        }
    }
}

#[tokio::test]
async fn of_a_renamed_model_with_very_many_versions_each_shown_one_is_counted() {
    let reader = |n: usize| {
        let run = WorldRun::new(&format!("r{n:05}"));
        run.reads(&format!("model:old:{n:05}"))
    };
    let mut world = World {
        runs: (0..11_100).map(reader).collect(),
        renamed: vec![("new".to_owned(), vec!["old".to_owned()])],
        ..World::default()
    };
    let versions = ["model:new:00005", "model:new:11095"];
    let writer = WorldRun::new("w");
    world
        .runs
        .push(writer.writes(versions[0]).writes(versions[1]));
    let reader = WorldRun::new("s").reads("model:new");
    world
        .runs
        .push(reader.reads(versions[0]).reads(versions[1]));
    let (_test, store) = stored(&world).await;
    for version in versions {
        let request = store.graph(parsed("run:s")).downstream(0);
        // The same version under the old name.
        assert_eq!(hidden(request, version).await.1.count, 1, "{version}");
    }
}

#[tokio::test]
async fn a_start_overlaps_with_all_of_its_name_even_if_it_shows_fewer() {
    let reader = |n: usize| {
        let run = WorldRun::new(&format!("r{n:04}"));
        run.reads(&format!("dataset:d@{n:04}"))
    };
    let mut world = World {
        runs: (0..1_500).map(reader).collect(),
        ..World::default()
    };
    world.runs.push(WorldRun::new("all").reads("dataset:d"));
    let (_test, store) = stored(&world).await;
    for max_nodes in [10, 1_000, 5_000] {
        let request = alone(&store, "dataset:d").max_nodes(max_nodes);
        let (up, down) = hidden(request, "dataset:d").await;
        assert_eq!((up.count, down.count), (1_500, 1_501), "{max_nodes}");
    }
}

#[tokio::test]
async fn a_start_that_a_run_or_a_record_names_is_known() {
    let own = WorldRun::new("own").writes("artifact:own/x");
    let world = World {
        runs: vec![own, WorldRun::new("r").writes("artifact:other/x/y")],
        renamed: vec![("empty".to_owned(), vec!["before".to_owned()])],
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    for (node, expected) in [
        ("artifact:own/x", true),
        ("artifact:own", true),
        ("artifact:own/z", false),
        ("artifact:other/x/y", true),
        ("artifact:other/x", true),
        ("artifact:other/z", false),
        ("model:empty", true),
        ("model:before", false),
        ("model:none", false),
    ] {
        assert_eq!(is_known(&store, node).await, expected, "{node}");
    }
}

#[tokio::test]
async fn a_path_that_nobody_read_when_its_run_was_counted_is_counted_as_a_start() {
    let reader = |n: usize| WorldRun::new(&format!("r{n:03}")).reads("artifact:b/data");
    let mut world = World {
        runs: (0..201).map(reader).collect(),
        ..World::default()
    };
    let (_test, store) = stored(&world).await;
    let keeping = store.with_kept_counts(Duration::from_secs(3600));
    let read = async |node| hidden(alone(&keeping, node), node).await.1.count;
    assert_eq!(read("artifact:b/data").await, 201);
    world.runs.push(WorldRun::new("s").reads("artifact:b/more"));
    world.store(keeping.database()).await;
    assert_eq!(read("artifact:b/data").await, 201);
    assert_eq!(read("artifact:b/more").await, 1);
    assert!(is_known(&keeping, "artifact:b/more").await);
}

#[tokio::test]
async fn a_digest_of_another_type_is_an_error_and_not_an_endless_search() {
    let world = World {
        runs: vec![WorldRun::new("r").reads("dataset:d@1")],
        ..World::default()
    };
    for digest in [Bson::from(true), Bson::from(7), doc! { "a": 1 }.into()] {
        let (_test, store) = stored(&world).await;
        let runs = store.database().collection::<Document>("runs");
        let entry = doc! { "name": "d", "digest": &digest, "from": "inputs" };
        let update = doc! { "$push": { "inputs.datasets": entry } };
        let updated = runs.update_one(doc! { "_id": "r" }, update).await;
        assert_eq!(updated.expect("an update").modified_count, 1);
        let walk = store.graph(parsed("dataset:d")).into_future();
        let walk = tokio::time::timeout(Duration::from_secs(60), walk).await;
        let error = walk.expect("the walk ends").expect_err("no such digest");
        assert!(error.to_string().contains("digest"), "{digest}: {error}");
    }
}
