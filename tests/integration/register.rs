//! What `register` refuses by itself, in its own words and not in MLflow's.

use runlineage::{Error, lineage};
use serde_json::json;

use crate::support::lab::{Lab, plain_runs};
use crate::support::proxy::Answer;
use crate::support::rest;

/// Registers a model on a new run; `before` is done to the lab between reading the run and registering.
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
async fn a_deleted_run_takes_no_lineage_until_it_is_restored() {
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
async fn tags_that_never_stay_are_said_to_be_overwritten() {
    let (lab, id, error) = register(|lab, _| {
        // As if another program wrote its own tags right after: these never arrive.
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
