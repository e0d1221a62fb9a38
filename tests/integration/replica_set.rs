//! Faults of a real replica set in the middle of a sync: what was acknowledged stays, and the sync goes on by itself, or ends with
//! a clear error and is taken up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::DateTime;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, ServerAddress};
use runlineage::{Facet, MongoRunStore, Query, Run, lineage};

use crate::support::lab::{Lab, chain};
use crate::support::outage::{assert_equal, lab_on, reached, recovers, signal};
use crate::support::replica_set::ReplicaSet;
use crate::support::unique;

#[tokio::test]
async fn a_primary_killed_or_stepped_down_in_mid_batch_loses_nothing() {
    let mut set = ReplicaSet::start().await;
    for at in [2, 9, 20] {
        let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
        let sync = lab.sync();
        let fault = async {
            reached(&pages, at).await;
            let primary = set.primary().await;
            set.kill(primary);
            set.primary().await;
            set.restart(primary);
        };
        let (result, ()) = tokio::join!(sync.run(|_| {}), fault);
        recovers(&lab, result).await;
        assert_equal(&lab).await;
    }
    for at in [5, 14] {
        let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
        let sync = lab.sync();
        let fault = async {
            reached(&pages, at).await;
            set.step_down().await;
        };
        let (result, ()) = tokio::join!(sync.run(|_| {}), fault);
        let report = recovers(&lab, result).await;
        assert_eq!(
            report.quarantined, 0,
            "a run was stored in part for a fault that passes: {report:?}"
        );
        assert_equal(&lab).await;
    }
}

#[tokio::test]
async fn a_set_that_was_down_altogether_is_written_on_once_it_is_back() {
    let mut set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
    let sync = lab.sync();
    let outage = async {
        reached(&pages, 9).await;
        for member in 0..3 {
            set.kill(member);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        for member in 0..3 {
            set.restart(member);
        }
        set.primary().await;
    };
    let (result, ()) = tokio::join!(sync.run(|_| {}), outage);
    recovers(&lab, result).await;
    assert_equal(&lab).await;
}

#[tokio::test]
async fn without_a_majority_a_sync_ends_with_a_clear_error_and_is_taken_up_later() {
    let set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
    let primary = set.primary().await;
    let others: Vec<u32> = (0..3)
        .filter(|member| *member != primary)
        .map(|member| set.pid(member))
        .collect();
    let sync = lab.sync();
    let start = Instant::now();
    let outage = async {
        reached(&pages, 9).await;
        for process in &others {
            signal("-STOP", *process);
        }
    };
    // Nobody brings them back while it tries.
    let (result, ()) = tokio::join!(sync.run(|_| {}), outage);
    let took = start.elapsed();
    for process in &others {
        signal("-CONT", *process);
    }
    let error = result.expect_err("nothing can be acknowledged");
    assert!(took < Duration::from_secs(180), "{took:?}");
    let said = chain(&error);
    assert!(
        said.contains("MongoDB"),
        "it has to say who is to blame: {said}"
    );
    set.primary().await;
    recovers(&lab, Err(error)).await;
    assert_equal(&lab).await;
}

#[tokio::test]
async fn searches_go_where_the_uri_says_and_what_a_write_rests_on_comes_from_the_primary() {
    let set = ReplicaSet::start().await;
    let uri = format!("{}&readPreference=secondary", set.uri(&unique("test")));
    let (mut lab, _) = lab_on(&uri, 60).await;
    let sent;
    (lab.store, sent) = watched(&uri).await;
    let primary = Some(set.port(set.primary().await));
    let taken = || std::mem::take(&mut *sent.lock().expect("nobody panicked"));

    for _ in 0..2 {
        Lab::complete(lab.sync().run(|_| {}).await);
    }
    assert_eq!(
        lab.sync()
            .verify(|_| {})
            .await
            .expect("compared")
            .differences,
        []
    );
    let mlflow = lab.builder().build().expect("the URI is valid");
    let truth = lab.truth();
    let run = truth
        .active()
        .next()
        .and_then(|run| run["info"]["run_id"].as_str());
    let run = mlflow.run(run.expect("it has an id")).await;
    let run = run.expect("MLflow has it");
    let lineage = lineage::of(&run)
        .expect("it is one")
        .with_input_model("churn", "3");
    lineage
        .register(&mlflow, &lab.store)
        .await
        .expect("registered");
    let purged = lab.store.purge_deleted(DateTime::MIN).await;
    assert_eq!(purged.expect("purged"), 0);
    let (at_primary, strayed): (Vec<_>, Vec<_>) =
        taken().into_iter().partition(|(_, port)| *port == primary);
    assert!(at_primary.len() > 50, "{at_primary:?}");
    assert_eq!(strayed, []);

    let query = Query::new()
        .with_exp(&lab.name("a"))
        .with_status("FINISHED");
    let found = lab.store.find_runs(&query).await.expect("found");
    let found: Vec<Run> = found.try_collect().await.expect("read");
    let counted = lab.store.count_runs(&query).await.expect("counted");
    assert_eq!((found.len(), counted), (60, 60));
    lab.store.explain(&query).await.expect("explained");
    let facet = lab.store.facet(Facet::Status, &query).await;
    assert_eq!(facet.expect("counted").len(), 1);
    lab.store.freshness().await.expect("told");
    let (at_primary, elsewhere): (Vec<_>, Vec<_>) =
        taken().into_iter().partition(|(_, port)| *port == primary);
    assert!(elsewhere.len() > 5, "{elsewhere:?}");
    assert_eq!(at_primary, []);
}

type Sent = Arc<Mutex<Vec<(String, Option<u16>)>>>;

/// A store, and the commands that it sends, each with the port that it goes to.
async fn watched(uri: &str) -> (MongoRunStore, Sent) {
    let sent = Sent::default();
    let told = sent.clone();
    let options = ClientOptions::parse(uri).await;
    let mut options = options.expect("the URI is valid");
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(command) = event {
            let ServerAddress::Tcp { port, .. } = command.connection.address else {
                panic!("the members listen on ports")
            };
            let mut sent = told.lock().expect("nobody panicked");
            sent.push((command.command_name, port));
        }
    }));
    let client = Client::with_options(options).expect("the options are fine");
    let database = client.default_database().expect("the URI names one");
    (MongoRunStore::from_database(database), sent)
}
