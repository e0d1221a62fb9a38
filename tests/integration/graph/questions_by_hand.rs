//! Impact, provenance and selections of lineage made by hand, each for one rule.

use mongodb::bson::{Document, doc};
use runlineage::graph::{Graph, Limit, Selection};
use runlineage::{MongoRunStore, Node};

use super::by_hand::stored;
use super::world::{World, WorldRun, parsed};

fn of_runs(runs: impl IntoIterator<Item = WorldRun>) -> World {
    World {
        runs: runs.into_iter().collect(),
        ..World::default()
    }
}

fn texts(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(Node::to_string).collect()
}

async fn set(store: &MongoRunStore, run: &str, fields: Document) {
    let runs = store.database().collection::<Document>("runs");
    let updated = runs.update_one(doc! { "_id": run }, doc! { "$set": fields });
    assert_eq!(updated.await.expect("an update").modified_count, 1);
}

#[tokio::test]
async fn data_is_what_no_run_wrote_as_far_as_the_walk_went() {
    let world = of_runs([
        WorldRun::new("trains").writes("model:churn:7"),
        WorldRun::new("scores").reads("model:churn"),
        WorldRun::new("joins")
            .reads("dataset:a@1")
            .reads("model:b:1"),
        WorldRun::new("makes").writes("model:b:1"),
        WorldRun::new("counts").reads("dataset:c"),
        WorldRun::new("sums").reads("dataset:c@1"),
    ]);
    let (_test, store) = stored(&world).await;
    let data = async |start: &str, depth: u32, max_nodes: usize| {
        let request = store.provenance(parsed(start)).depth(depth);
        let found = request.max_nodes(max_nodes).await.expect("a provenance");
        texts(&found.data)
    };
    // A run may have written what `scores` read.
    assert_eq!(data("run:scores", 9, 99).await, ["model:churn"; 0]);
    assert_eq!(data("run:joins", 9, 99).await, ["dataset:a@1"]);
    // Nobody looked for the writers of these.
    assert_eq!(data("model:b:1", 0, 99).await, [""; 0]);
    assert_eq!(data("run:joins", 9, 2).await, [""; 0]);
    assert_eq!(data("model:b:1", 9, 1).await, [""; 0]);
    // The two overlap, and neither was written.
    let both = ["dataset:c", "dataset:c@1"];
    assert_eq!(data("dataset:c", 9, 99).await, both);
}

#[tokio::test]
async fn an_output_whose_readers_a_limit_cut_off_is_no_open_end() {
    let read = WorldRun::new("reads").reads("model:m:1");
    let world = of_runs([
        WorldRun::new("writes")
            .writes("model:m:1")
            .writes("model:n:1"),
        read,
    ]);
    let (_test, store) = stored(&world).await;
    for (max_nodes, expected) in [(3, vec![]), (99, vec!["model:n:1"])] {
        let request = store.impact(parsed("run:writes")).max_nodes(max_nodes);
        let impact = request.await.expect("an impact");
        assert_eq!(impact.truncated.is_some(), max_nodes == 3);
        assert_eq!(texts(&impact.open_ends), expected, "{max_nodes}");
    }
}

#[tokio::test]
async fn an_experiment_that_was_renamed_counts_once_and_with_its_last_name() {
    let reader = |id: &str, start| WorldRun {
        start,
        ..WorldRun::new(id).reads("model:m:1")
    };
    let world = of_runs([
        WorldRun::new("writes").writes("model:m:1"),
        reader("early", 1),
        reader("late", 2),
    ]);
    let (_test, store) = stored(&world).await;
    for (run, name) in [("early", "old"), ("late", "new")] {
        set(&store, run, doc! { "exp.id": "1", "exp.name": name }).await;
    }
    let impact = store.impact(parsed("run:writes")).await.expect("an impact");
    let experiments = impact.experiments.iter().map(|counted| {
        let exp = counted.value.as_ref().expect("an experiment");
        (exp.id.as_str(), exp.name.as_deref(), counted.runs)
    });
    assert_eq!(experiments.collect::<Vec<_>>(), [("1", Some("new"), 2)]);
}

#[tokio::test]
async fn a_run_that_is_mirrored_in_part_is_in_doubt() {
    let world = of_runs([
        WorldRun::new("reads")
            .reads("artifact:whole")
            .reads("artifact:part"),
        WorldRun::new("whole"),
        WorldRun::new("part"),
    ]);
    let (_test, store) = stored(&world).await;
    set(&store, "part", doc! { "mirror.quarantined": true }).await;
    let provenance = store.provenance(parsed("run:reads"));
    let unresolved = provenance.await.expect("a provenance").unresolved;
    assert_eq!(texts(&unresolved.quarantined), ["run:part"]);
}

#[tokio::test]
async fn of_a_run_in_both_collections_provenance_tells_the_params_of_the_mirrored_one() {
    let world = of_runs([WorldRun::new("r").param("lr", "0.1")]);
    let (_test, store) = stored(&world).await;
    let deleted = store.database().collection::<Document>("deleted_runs");
    let tombstone = doc! { "_id": "r", "mirror": { "ticket": 1_i64, "purged": true } };
    deleted.insert_one(tombstone).await.expect("a tombstone");
    let provenance = store.provenance(parsed("run:r")).await;
    let runs = provenance.expect("a provenance").runs;
    assert!(runs[0].params["lr"].contains("0.1"));
}

#[tokio::test]
async fn a_selection_that_a_limit_cuts_keeps_the_first_nodes_and_their_counts() {
    let writer = |n: usize| WorldRun::new(&format!("w{n}")).writes(&format!("model:m:{n}"));
    let mut world = of_runs((1..=3).map(writer));
    world.runs.push(WorldRun::new("r").reads("model:m"));
    let (_test, store) = stored(&world).await;
    let select = async |text: &str, max_nodes| -> Graph {
        let selection: Selection = text.parse().expect("a selection");
        let selected = store.select(&selection).max_nodes(max_nodes);
        selected.await.expect("a graph")
    };
    for text in ["model:m", "model:m or model:m:1"] {
        let graph = select(text, 2).await;
        let whole = graph.node(&parsed("model:m")).expect("it is shown");
        let hidden = whole.hidden.expect("they are counted");
        let shown = graph.edges.iter().filter(|edge| edge.from == whole.node);
        // To the three versions, and to the run that read it.
        assert_eq!(hidden.down.count + shown.count() as u64, 4, "{text}");
    }
    let graph = select("model:a:1 or model:a.b:1", 1).await;
    assert_eq!(graph.nodes[0].node.to_string(), "model:a:1");
    let cut = graph.truncated.expect("it is cut");
    assert_eq!(
        (cut.limit, cut.at.to_string()),
        (Limit::Nodes, "model:a.b:1".to_owned())
    );
}
