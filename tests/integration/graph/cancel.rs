//! A walk that is dropped asks MongoDB nothing more.

use std::time::{Duration, Instant};

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

/// How many commands MongoDB has answered so far.
async fn answered(test: &TestDatabase) -> u64 {
    let profile = test.database.collection::<Document>("system.profile");
    let ns = format!("{}.runs", test.database.name());
    let count = profile.count_documents(doc! { "ns": ns }).await;
    count.expect("the profile")
}

/// How many commands MongoDB has answered when nothing asks it any more.
async fn settled(test: &TestDatabase) -> u64 {
    let mut before = answered(test).await;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = answered(test).await;
        if now == before {
            return now;
        }
        before = now;
    }
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
    let whole = settled(&test).await;
    assert!(whole > LEVELS as u64, "{whole}");

    let mut cut = 0;
    for moment in 1..=MOMENTS {
        let before = settled(&test).await;
        let walked = tokio::time::timeout(time * moment / (MOMENTS + 5), walk(&store)).await;
        // A walk that goes on without its future asks as much as a whole one.
        let asked = settled(&test).await - before;
        cut += u32::from(walked.is_err() && asked > 0 && asked < whole);
    }
    assert!(cut > 2, "{cut} walks were cut in the middle");
}
