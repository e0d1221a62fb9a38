//! A walk that is dropped asks MongoDB nothing more.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use runlineage::MongoRunStore;

use super::world::{World, WorldRun, parsed};
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;

/// More runs than fit one batch.
const READERS: usize = 2_500;
const LEVELS: usize = 200;
/// How many walks are dropped, at moments spread over the time of a whole walk.
const MOMENTS: u32 = 15;

/// A chain of runs, whose first one very many others read.
fn world() -> World {
    let mut world = World::default();
    for n in 0..LEVELS {
        let run = WorldRun::new(&format!("run{n}")).writes(&format!("artifact:run{n}/x"));
        world.runs.push(match n {
            0 => run,
            _ => run.reads(&format!("artifact:run{}/x", n - 1)),
        });
    }
    for n in 0..READERS {
        let reader = WorldRun::new(&format!("reader{n:04}"));
        world.runs.push(reader.reads("artifact:run0/x"));
    }
    world
}

/// The operations and open cursors of the test's database.
async fn operations(test: &TestDatabase) -> Vec<Document> {
    let ns = format!("{}.runs", test.database.name());
    let all = doc! { "$currentOp": { "allUsers": true, "idleCursors": true } };
    let admin = test.database.client().database("admin");
    let found = admin
        .aggregate([all, doc! { "$match": { "ns": ns } }])
        .await;
    let found = found.expect("the operations").try_collect().await;
    found.expect("the operations")
}

/// How many commands MongoDB has answered so far.
async fn answered(test: &TestDatabase) -> u64 {
    let profile = test.database.collection::<Document>("system.profile");
    let ns = format!("{}.runs", test.database.name());
    let count = profile.count_documents(doc! { "ns": ns }).await;
    count.expect("the profile")
}

async fn walk(store: &MongoRunStore) -> usize {
    let request = store.graph(parsed("run:run0")).downstream(u32::MAX);
    let graph = request.max_nodes(100_000).hidden(false).await;
    graph.expect("a graph").nodes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_walk_asks_nothing_more() {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    world().store(&test.database).await;
    // By itself, the profile keeps only the last megabyte.
    let room = doc! { "create": "system.profile", "capped": true, "size": 64_000_000 };
    for command in [room, doc! { "profile": 2 }] {
        let profiling = test.database.run_command(command).await;
        profiling.expect("profiling");
    }
    let start = Instant::now();
    assert_eq!(walk(&store).await, 2 * LEVELS + READERS);
    let time = start.elapsed();
    let whole = answered(&test).await;
    assert!(whole > LEVELS as u64, "{whole}");

    let mut cut = 0;
    for moment in 1..=MOMENTS {
        let before = answered(&test).await;
        let moment = time * moment / (MOMENTS + 5);
        let walked = tokio::time::timeout(moment, walk(&store)).await;
        // The driver kills the cursor, and MongoDB ends the last command, soon after the drop.
        for round in 0.. {
            let left = operations(&test).await;
            if left.is_empty() {
                break;
            }
            assert!(round < 50, "still there: {left:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let after = answered(&test).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(
            answered(&test).await,
            after,
            "a walk went on, cut after {moment:?}"
        );
        cut += usize::from(walked.is_err() && after > before && after - before < whole);
    }
    assert!(cut > 2, "{cut} walks were cut in the middle");
}
