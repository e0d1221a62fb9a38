//! A pass over MLflow: which runs it writes, which it leaves unchanged, and which it never removes.

use std::collections::BTreeMap;

use bson::{Document, doc};
use futures::TryStreamExt as _;
use runlineage::sync::{Report, SyncJob};
use runlineage::{MlflowClient, MongoRunStore, Query};
use serde_json::{Value, json};
use wiremock::MockServer;

use crate::support::fake_mlflow::{answer, experiment, ok, refusal, with_runs};
use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mongodb::TestDatabase;
use crate::support::rest::Rest;
use crate::support::{fake_mlflow, mlflow, unique};

/// Every stored document, byte for byte.
async fn documents(store: &MongoRunStore) -> BTreeMap<String, String> {
    let runs = store.database().collection::<Document>("runs");
    let all: Vec<Document> = runs
        .find(doc! {})
        .await
        .expect("MongoDB answers")
        .try_collect()
        .await
        .expect("MongoDB answers");
    all.into_iter()
        .map(|run| {
            (
                run.get_str("_id").expect("an id").to_owned(),
                run.to_string(),
            )
        })
        .collect()
}

#[tokio::test]
async fn unchanged_runs_are_not_written_again() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (name, exp) = rest.experiment("unchanged").await;
    let first = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["2"]"#)])
        .await;
    let second = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    let report = sync(&mlflow, &store, &[&name]).await;
    assert_eq!((report.seen, report.written, report.unchanged), (2, 2, 0));

    let before = documents(&store).await;
    let report = sync(&mlflow, &store, &[&name]).await;
    assert_eq!((report.seen, report.written, report.unchanged), (2, 0, 2));
    assert_eq!(documents(&store).await, before);

    rest.set_tag(&second, "lineage.inputs.models.churn", r#"["3"]"#)
        .await;
    let report = sync(&mlflow, &store, &[&name]).await;
    assert_eq!((report.seen, report.written, report.unchanged), (2, 1, 1));
    let after = documents(&store).await;
    assert_eq!(after[&first], before[&first]);
    assert_eq!(
        ids(&store, Query::new().with_input_model("churn", "3")).await,
        set([&second])
    );
}

#[tokio::test]
async fn a_deleted_run_leaves_the_mirror_and_returns_when_it_is_restored() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (name, exp) = rest.experiment("restored").await;
    let kept = rest.run(&exp, &[]).await;
    let deleted = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["2"]"#)])
        .await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    sync(&mlflow, &store, &[&name]).await;
    let before = documents(&store).await;

    rest.post("runs/delete", json!({ "run_id": deleted })).await;
    let report = sync(&mlflow, &store, &[&name]).await;
    assert_eq!((report.seen, report.deleted), (1, 1));
    assert_eq!(ids(&store, doc! {}).await, set([&kept]));
    let tombstones = test.database.collection::<Document>("deleted_runs");
    assert_eq!(
        tombstones
            .count_documents(doc! { "_id": &deleted })
            .await
            .ok(),
        Some(1)
    );
    assert_eq!(sync(&mlflow, &store, &[&name]).await.deleted, 0);

    rest.post("runs/restore", json!({ "run_id": deleted }))
        .await;
    let report = sync(&mlflow, &store, &[&name]).await;
    assert_eq!((report.seen, report.written, report.unchanged), (2, 1, 1));
    assert_eq!(
        ids(&store, Query::new().with_input_model("churn", "2")).await,
        set([&deleted])
    );
    assert_eq!(documents(&store).await[&kept], before[&kept]);
    assert_eq!(tombstones.count_documents(doc! {}).await.ok(), Some(0));
}

#[tokio::test]
async fn the_runs_of_a_deleted_experiment_leave_the_mirror_and_return_with_it() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (name, exp) = rest.experiment("experiment").await;
    let run_id = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    sync(&mlflow, &store, &[&name]).await;
    rest.post("experiments/delete", json!({ "experiment_id": exp }))
        .await;
    assert_eq!(sync(&mlflow, &store, &[&exp]).await.deleted, 1);
    assert_eq!(ids(&store, doc! {}).await, set::<&str>([]));
    rest.post("experiments/restore", json!({ "experiment_id": exp }))
        .await;
    assert_eq!(sync(&mlflow, &store, &[&exp]).await.written, 1);
    assert_eq!(ids(&store, doc! {}).await, set([&run_id]));
}

#[tokio::test]
async fn runs_outside_the_selected_experiments_stay_unchanged() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (inside, inside_id) = rest.experiment("inside").await;
    let (outside, outside_id) = rest.experiment("outside").await;
    let (in_run, out_run) = (
        rest.run(&inside_id, &[]).await,
        rest.run(&outside_id, &[]).await,
    );
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    sync(&mlflow, &store, &[&inside, &outside]).await;
    let before = documents(&store).await;
    assert_eq!(before.len(), 2);

    // Deleted in MLflow, but outside the scope of the pass.
    rest.post("runs/delete", json!({ "run_id": out_run })).await;
    rest.post("runs/delete", json!({ "run_id": in_run })).await;
    let report = sync(&mlflow, &store, &[&inside]).await;
    assert_eq!(report.deleted, 1);
    let after = documents(&store).await;
    assert_eq!(set(after.keys()), set([&out_run]));
    assert_eq!(after[&out_run], before[&out_run]);

    let except = SyncJob::new(&mlflow, &store)
        .except([outside])
        .run(|_| {})
        .await
        .expect("the pass ends");
    assert_eq!(except.incomplete, []);
    assert_eq!(documents(&store).await[&out_run], before[&out_run]);
    assert_eq!(
        ids(&store, doc! { "exp.id": &outside_id }).await,
        set([&out_run])
    );
}

/// A database that was synced from a real server, under a source name that a fake server can use too.
async fn synced(source: &str) -> (TestDatabase, MongoRunStore, String, Value) {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (name, exp) = rest.experiment("lied-to").await;
    let run_id = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["2"]"#)])
        .await;
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let mlflow = MlflowClient::builder(&server.uri())
        .source(source)
        .build()
        .expect("the server's URI is valid");
    sync(&mlflow, &store, &[&name]).await;
    let known = rest
        .post(
            "experiments/search",
            json!({ "max_results": 50_000, "filter": format!("name = '{name}'") }),
        )
        .await;
    let known = known["experiments"]
        .as_array()
        .and_then(|known| known.iter().find(|known| known["name"] == name))
        .cloned();
    (
        test,
        store,
        run_id,
        known.expect("the experiment is listed"),
    )
}

async fn pass_over(server: &MockServer, source: &str, store: &MongoRunStore) -> Report {
    let mlflow = MlflowClient::builder(&server.uri())
        .source(source)
        .retries(0)
        .build()
        .expect("the server's URI is valid");
    SyncJob::new(&mlflow, store)
        .run(|_| {})
        .await
        .expect("the pass ends")
}

#[tokio::test]
async fn an_empty_answer_removes_no_run() {
    let source = unique("source");
    let (_test, store, run_id, known) = synced(&source).await;
    let before = documents(&store).await;
    let empty = || ok(json!({}));
    let listed = || ok(json!({ "experiments": [known] }));
    let mut recreated = known.clone();
    recreated["creation_time"] = json!(1);
    let not_there = || refusal(404, "RESOURCE_DOES_NOT_EXIST");
    // The answers to experiments/search, runs/search, runs/get and experiments/get.
    let lies = [
        [empty(), empty(), empty(), empty()],
        [listed(), empty(), empty(), empty()],
        [listed(), empty(), not_there(), empty()],
        [listed(), empty(), not_there(), not_there()],
        [
            listed(),
            empty(),
            not_there(),
            ok(json!({ "experiment": recreated })),
        ],
        [
            listed(),
            refusal(403, "PERMISSION_DENIED"),
            not_there(),
            not_there(),
        ],
        [
            listed(),
            empty(),
            refusal(500, "INTERNAL_ERROR"),
            ok(json!({ "experiment": known })),
        ],
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let server = MockServer::start().await;
        for (call, template) in [
            "experiments/search",
            "runs/search",
            "runs/get",
            "experiments/get",
        ]
        .into_iter()
        .zip(lie)
        {
            answer(&server, call, template).await;
        }
        let report = pass_over(&server, &source, &store).await;
        assert_eq!(report.deleted, 0, "lie {number}");
        assert!(
            !report.incomplete.is_empty(),
            "lie {number}: what could not be decided is said: {report:?}"
        );
        assert_eq!(documents(&store).await, before, "lie {number}");
    }

    // MLflow does not know the run, but knows the mirrored experiment: this proves the deletion.
    let server = MockServer::start().await;
    answer(&server, "experiments/search", listed()).await;
    answer(&server, "runs/search", empty()).await;
    answer(&server, "runs/get", not_there()).await;
    answer(
        &server,
        "experiments/get",
        ok(json!({ "experiment": known })),
    )
    .await;
    assert_eq!(pass_over(&server, &source, &store).await.deleted, 1);
    assert_eq!(ids(&store, doc! { "_id": run_id }).await, set::<&str>([]));
}

#[tokio::test]
async fn a_run_that_mongodb_refuses_is_quarantined_and_the_others_are_mirrored() {
    let long = "x".repeat(5_000);
    let pairs: Vec<Value> = (0..3_600)
        .map(|n| json!({ "key": format!("p{n}"), "value": long }))
        .collect();
    let lineage = json!([{ "key": "lineage.inputs.models.churn", "value": r#"["2"]"# }]);
    let huge = fake_mlflow::run("huge", "1", json!({ "tags": lineage, "params": pairs }));
    let small = |id| fake_mlflow::run(id, "1", json!({ "tags": lineage }));
    let server = with_runs(experiment("1"), vec![small("before"), huge, small("after")]).await;
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let mlflow = MlflowClient::builder(&server.uri())
        .retries(0)
        .build()
        .expect("the server's URI is valid");
    for written in [2, 0] {
        let report = sync(&mlflow, &store, &[]).await;
        assert_eq!(
            (
                report.seen,
                report.written,
                report.quarantined,
                report.problems
            ),
            (3, written, 1, 1)
        );
    }
    // A quarantined run keeps its lineage.
    let query = Query::new().with_input_model("churn", "2");
    assert_eq!(ids(&store, query).await, set(["before", "huge", "after"]));
    let stored = store
        .get_run("huge")
        .await
        .expect("MongoDB answers")
        .expect("a part is mirrored");
    let problems = stored.problems();
    assert!(
        problems[0]
            .reason
            .contains("stored without tags, params and metrics"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_database_that_mirrors_another_source_is_refused() {
    let (_test, store, run_id, _) = synced("the first").await;
    let other = with_runs(
        experiment("1"),
        vec![fake_mlflow::run("other", "1", json!({}))],
    )
    .await;
    let mlflow = MlflowClient::builder(&other.uri())
        .retries(0)
        .build()
        .expect("the server's URI is valid");
    let error = SyncJob::new(&mlflow, &store)
        .run(|_| {})
        .await
        .expect_err("it mirrors another source");
    let said = error.to_string();
    assert!(
        said.contains("the first") && said.contains(&other.uri()) && said.contains("--source"),
        "{said}"
    );
    assert_eq!(ids(&store, doc! {}).await, set([&run_id]));
}
