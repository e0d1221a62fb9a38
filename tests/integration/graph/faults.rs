//! MongoDB fails in the middle of a walk: that is an error, never a smaller graph.

use mongodb::bson::doc;
use runlineage::{Error, MongoRunStore};

use super::world::{World, WorldLogged, WorldRun, WorldVersion, parsed};
use crate::support::faulty::Faulty;

/// Runs that each read what the one before wrote, and more than one batch of readers at the end.
fn chain() -> World {
    let mut world = World::default();
    for n in 0..4 {
        let run = WorldRun::new(&format!("run{n}")).writes(&format!("model:m:{n}"));
        world.runs.push(match n {
            0 => run,
            _ => run.reads(&format!("model:m:{}", n - 1)),
        });
    }
    for n in 0..1_100 {
        world
            .runs
            .push(WorldRun::new(&format!("reader{n:04}")).reads("model:m:3"));
    }
    world
}

#[tokio::test]
async fn a_failure_in_mid_walk_is_an_error() {
    let faulty = Faulty::start().await;
    let store = MongoRunStore::connect(&faulty.uri())
        .await
        .expect("a server");
    store.migrate().await.expect("it can be migrated");
    chain().store(store.database()).await;
    let on = format!("{}.runs", store.database().name());
    let refused = || doc! { "errorCode": 8000 };
    let walk = async |hidden| {
        let request = store
            .graph(parsed("run:run0"))
            .downstream(u32::MAX)
            .max_nodes(10_000)
            .hidden(hidden);
        request.await
    };
    let whole = walk(true).await.expect("nothing fails yet");
    assert_eq!(whole.nodes.len(), 1_108);

    // Each command of the walk in its turn, the first one too, until none is left to fail.
    let mut failed = 0;
    for skipped in 0..100 {
        faulty
            .fail(
                doc! { "skip": skipped },
                &on,
                &["find", "aggregate", "getMore"],
                refused(),
            )
            .await;
        let result = walk(true).await;
        faulty.mend().await;
        match result {
            Err(Error::Mongo { .. }) => failed += 1,
            Err(other) => panic!("{other}"),
            Ok(graph) => {
                assert_eq!(graph, whole);
                break;
            }
        }
    }
    // The start, a query for each of four levels, and two counts at the least.
    assert!((7..100).contains(&failed), "{failed}");

    // The second batch of a level.
    let get_more = ["getMore"];
    faulty.fail("alwaysOn", &on, &get_more, refused()).await;
    let result = walk(false).await;
    assert!(faulty.mend().await > 0, "there is no second batch");
    assert!(matches!(result, Err(Error::Mongo { .. })), "{result:?}");
    assert_eq!(walk(true).await.expect("nothing fails any more"), whole);
}

/// Two chains of runs, each of which reads what the run before it wrote, and a registry that names the producers.
fn chains() -> World {
    let mut world = World::default();
    for side in ["a", "b"] {
        let model = |n: usize| format!("model:m{n}:{side}");
        for n in 0..4 {
            let run = WorldRun::new(&format!("{side}{n}")).reads(&format!("logged-model:m-{side}"));
            world.runs.push(match n {
                3 => run.writes(&model(n)),
                _ => run.writes(&model(n)).reads(&model(n + 1)),
            });
            let mut version = WorldVersion::new(&model(n));
            version.run = Some(format!("{side}{n}"));
            world.versions.push(version);
        }
        world.logged.push(WorldLogged {
            id: format!("m-{side}"),
            source_run: None,
            name: Some("net".to_owned()),
        });
    }
    world
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_diff_is_an_error() {
    let faulty = Faulty::start().await;
    let store = MongoRunStore::connect(&faulty.uri())
        .await
        .expect("a server");
    store.migrate().await.expect("it can be migrated");
    chains().store(store.database()).await;
    let diff = async || {
        let (a, b) = (parsed("model:m0:a"), parsed("model:m0:b"));
        store.diff(a, b).await
    };
    let whole = diff().await.expect("nothing fails yet");
    assert_eq!(whole.pairs.len(), 4);

    for (collection, least) in [("runs", 10), ("model_versions", 4), ("logged_models", 4)] {
        let on = format!("{}.{collection}", store.database().name());
        // Each command in its turn, until none is left to fail.
        let mut failed = 0;
        for skipped in 0..100 {
            let refused = doc! { "errorCode": 8000 };
            let mode = doc! { "skip": skipped };
            faulty.fail(mode, &on, &["find"], refused).await;
            let result = diff().await;
            faulty.mend().await;
            match result {
                Err(Error::Mongo { .. }) => failed += 1,
                Err(other) => panic!("{other}"),
                Ok(diff) => {
                    assert_eq!(diff, whole);
                    break;
                }
            }
        }
        assert!((least..100).contains(&failed), "{failed} of {collection}");
    }
}
