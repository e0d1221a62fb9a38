//! Searches use the read preference of the URI; reads that decide a write use the primary.

use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use mongodb::Client;
use mongodb::bson::{DateTime, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, ServerAddress, WriteConcern};
use runlineage::mongo::Facet;
use runlineage::{MongoRunStore, Query, Run, lineage};

use crate::support::lab::Lab;
use crate::support::outage::lab_on;
use crate::support::replica_set::ReplicaSet;
use crate::support::unique;

#[tokio::test]
async fn searches_use_the_uris_read_preference_and_reads_that_decide_a_write_use_the_primary() {
    let set = ReplicaSet::start().await;
    let uri = format!("{}&readPreference=secondary", set.uri(&unique("test")));
    let (mut lab, _) = lab_on(&uri, 60).await;
    let sent;
    (lab.store, sent) = recording_store(&uri).await;
    let primary = Some(set.port(set.primary().await));
    let take_sent = || std::mem::take(&mut *sent.lock().expect("no thread panicked"));

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
    let run = run.expect("it has an id").parse().expect("a run id");
    let run = mlflow.run(&run).await;
    let run = run.expect("MLflow has it");
    let lineage = lineage::of(&run)
        .expect("it is one")
        .with_input_model("churn", "3");
    lineage
        .register(&mlflow, &lab.store)
        .await
        .expect("registered");
    lab.store.migrate().await.expect("migrated");
    let purged = lab.store.purge_deleted(DateTime::MIN).await;
    assert_eq!(purged.expect("purged"), 0);
    let (at_primary, elsewhere): (Vec<_>, Vec<_>) = take_sent()
        .into_iter()
        .partition(|(_, port)| *port == primary);
    assert!(at_primary.len() > 50, "{at_primary:?}");
    assert_eq!(elsewhere, []);

    // When all members have acknowledged this write, they have all earlier ones too.
    let every = WriteConcern::nodes(3);
    let mark = lab.test.database.collection("mark");
    let mark = mark.insert_one(doc! {}).write_concern(every).await;
    mark.expect("all members acknowledge it");
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
    lab.store.freshness().await.expect("MongoDB answers");
    let (at_primary, elsewhere): (Vec<_>, Vec<_>) = take_sent()
        .into_iter()
        .partition(|(_, port)| *port == primary);
    assert!(elsewhere.len() > 5, "{elsewhere:?}");
    assert_eq!(at_primary, []);
}

type Sent = Arc<Mutex<Vec<(String, Option<u16>)>>>;

/// A store, and a record of the commands that it sends with the port of each.
async fn recording_store(uri: &str) -> (MongoRunStore, Sent) {
    let sent = Sent::default();
    let told = sent.clone();
    let options = ClientOptions::parse(uri).await;
    let mut options = options.expect("the URI is valid");
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(command) = event {
            let ServerAddress::Tcp { port, .. } = command.connection.address else {
                panic!("the members listen on ports")
            };
            let mut sent = told.lock().expect("no thread panicked");
            sent.push((command.command_name, port));
        }
    }));
    let client = Client::with_options(options).expect("the options are valid");
    let database = client.default_database().expect("the URI names a database");
    (MongoRunStore::from_database(database), sent)
}
