//! Registration: which runs it refuses, and which lineage it keeps when others write at the same time.

use runlineage::{Error, lineage};
use serde_json::json;

use crate::support::lab::{Lab, plain_runs};
use crate::support::proxy::Answer;
use crate::support::rest;

/// Registers a model on a new run, and calls `before` between reading the run and registering.
async fn register(before: impl FnOnce(&Lab, &str)) -> (Lab, String, Error) {
    let lab = Lab::new().await;
    let run = plain_runs(&lab.experiment("registered"), 1).remove(0);
    lab.sql().insert(std::slice::from_ref(&run));
    let client = lab.builder().build().expect("the URI is valid");
    let read = client
        .run(&run.id.parse().expect("a run id"))
        .await
        .expect("it is there");
    before(&lab, &run.id);
    let registration = lineage::of(&read).expect("its document is whole");
    let registration = registration.with_input_model("another", "7");
    let registered = registration.register(&client, &lab.store).await;
    (lab, run.id, registered.expect_err("it cannot be done"))
}

#[tokio::test]
async fn lineage_cannot_be_registered_on_a_deleted_run_until_it_is_restored() {
    let (lab, id, error) = register(|lab, id| {
        rest::post(&lab.server.uri(), "runs/delete", &json!({ "run_id": id }));
    })
    .await;
    assert!(
        matches!(&error, Error::RunDeleted { run, .. } if *run == id),
        "{error:?}"
    );
    assert!(error.to_string().contains("restore it first"), "{error}");
    assert!(lab.mirrored().await.is_empty());
}

#[tokio::test]
async fn tags_that_another_program_always_removes_are_reported_as_overwritten() {
    let (lab, id, error) = register(|lab, _| {
        // The tags never arrive, as if another program overwrote them each time.
        lab.proxy.on(|request| match request.call.as_str() {
            "runs/log-batch" => Answer::text(200, "{}"),
            _ => Answer::Pass,
        });
    })
    .await;
    let Error::TagsOverwritten { run, attempts, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*run, id);
    let requests = lab.proxy.take_requests();
    let set = requests
        .iter()
        .filter(|request| request.call == "runs/log-batch");
    assert_eq!(set.count(), *attempts);
}

/// The references that MLflow's tags record, in either form.
fn recorded(lab: &Lab, id: &str) -> std::collections::BTreeSet<String> {
    let truth = lab.truth();
    let run = truth.runs.iter().find(|run| run["info"]["run_id"] == id);
    let tags = run.expect("it is there")["data"]["tags"]
        .as_array()
        .expect("it has tags")
        .clone();
    let texts = tags
        .iter()
        .map(|tag| (tag["key"].as_str().unwrap(), tag["value"].as_str().unwrap()));
    let mut versions = std::collections::BTreeSet::new();
    for (key, text) in texts {
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        for entry in value.as_array().into_iter().flatten() {
            if key.starts_with("lineage_overflow.") {
                versions.extend(entry[3].as_str().map(str::to_owned));
            }
        }
    }
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_registered_through_two_databases_on_one_run_is_complete() {
    let lab = Lab::new().await;
    let run = plain_runs(&lab.experiment("two databases"), 1).remove(0);
    lab.sql().insert(std::slice::from_ref(&run));
    let other = crate::support::mongodb::TestDatabase::new().await;
    let other = runlineage::MongoRunStore::from_database(other.database.clone());
    let client = lab.builder().build().expect("the URI is valid");
    for round in 0..3 {
        let id = run.id.parse().expect("a run id");
        let read = client.run(&id).await.expect("it is there");
        let registering = (0..16).map(|n| {
            let store = if n % 2 == 0 { &lab.store } else { &other };
            let registration = lineage::of(&read).expect("its document is whole");
            let version = (round * 16 + n).to_string();
            registration
                .with_input_model("churn", version.as_str())
                .register(&client, store)
        });
        for registered in futures::future::join_all(registering).await {
            registered.expect("it is acknowledged");
        }
        let expected: std::collections::BTreeSet<String> =
            (0..(round + 1) * 16).map(|n| n.to_string()).collect();
        assert_eq!(recorded(&lab, &run.id), expected, "round {round}");
        let run = client.run(&id).await.expect("it is there");
        let lineage = run.lineage().expect("its lineage can be read");
        assert_eq!(lineage.inputs.models()["churn"], expected, "round {round}");
    }
    // After the last write, mlopus reads all of it.
    let read = client.run(&run.id.parse().unwrap()).await.unwrap();
    let last = lineage::of(&read).unwrap().with_output_model("report", "1");
    last.register(&client, &lab.store)
        .await
        .expect("it is acknowledged");
    let versions = crate::support::mlopus::mlopus(
        lab.server,
        json!({ "run": run.id }),
        "output = len(mlopus.lineage.of(api.get_run(input['run'])).inputs.models['churn'])",
    );
    assert_eq!(versions, 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_registration_undoes_no_lineage_that_was_acknowledged_meanwhile() {
    let lab = Lab::new().await;
    let run = plain_runs(&lab.experiment("late"), 1).remove(0);
    lab.sql().insert(std::slice::from_ref(&run));
    let client = lab.builder().build().expect("the URI is valid");
    let id = run.id.parse().expect("a run id");
    let read = client.run(&id).await.expect("it is there");
    // The first request that sets tags is refused for a while; requests that come meanwhile are not.
    let refused = std::sync::atomic::AtomicBool::new(false);
    lab.proxy.on(move |request| {
        if request.call == "runs/log-batch"
            && !refused.swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            return Answer::Say(503, vec![("Retry-After", "3".into())], b"{}".to_vec());
        }
        Answer::Pass
    });
    let with = |version: &str| {
        lineage::of(&read)
            .unwrap()
            .with_input_model("churn", version)
    };
    let late = tokio::spawn({
        let (registration, client, store) = (with("1"), client.clone(), lab.store.clone());
        async move { registration.register(&client, &store).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    for version in ["2", "3"] {
        with(version)
            .register(&client, &lab.store)
            .await
            .expect("it is acknowledged");
    }
    late.await.unwrap().expect("it is acknowledged");
    let expected = ["1", "2", "3"].map(str::to_owned).into();
    assert_eq!(recorded(&lab, &run.id), expected);
    let lineage = client.run(&id).await.unwrap().lineage().unwrap();
    assert_eq!(lineage.inputs.models()["churn"], expected);
}
