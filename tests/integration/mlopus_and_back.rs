//! mlopus and runlineage read each other's lineage, on a real MLflow.

use bson::doc;
use futures::TryStreamExt as _;
use futures::future::join_all;
use runlineage::{Error, Query, lineage};
use serde_json::{Value, json};

use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::mongodb::TestDatabase;
use crate::support::rest::Rest;

#[tokio::test]
async fn runs_registered_by_mlopus_are_found_after_a_sync() {
    let server = mlflow::shared();
    let (experiment, _) = Rest::new(server).experiment("found").await;
    let made = mlopus(
        server,
        json!({ "exp": experiment }),
        r"
exp = api.get_or_create_exp(input['exp'])
train, score, other = [api.start_run(exp, name) for name in ('train', 'score', 'other')]
mlopus.lineage.of(train).with_output_model('churn', '2').with_output_artifact(train.id, '/plots/roc.png/').register()
mlopus.lineage.of(score).with_input_model('churn', '2').with_input_artifact(train.id, 'plots/roc.png').register()
mlopus.lineage.of(other).with_input_model('churn', '1').with_input_model('größe/klein', '2').register()
output = [train.id, score.id, other.id]
",
    );
    let [train, score, other] = [0, 1, 2].map(|index| made[index].as_str().expect("ids are text"));
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    assert_eq!(sync(&mlflow, &store, &[&experiment]).await.written, 3);

    let query = Query::new;
    let cases = [
        (query().with_input_model("churn", "2"), set([score])),
        (query().with_input_model("churn", None), set([score, other])),
        (query().with_output_model("churn", "2"), set([train])),
        (
            query().with_input_artifact(train, "plots/roc.png"),
            set([score]),
        ),
        (query().with_input_artifact(train, None), set([score])),
        (
            query().with_output_artifact(train, "plots/roc.png"),
            set([train]),
        ),
        (
            query()
                .with_input_model("größe/klein", "2")
                .with_input_model("churn", "1"),
            set([other]),
        ),
        (
            query()
                .with_input_model("churn", "2")
                .with_input_model("churn", "1"),
            set::<&str>([]),
        ),
        (query().with_input_model("churn", "3"), set::<&str>([])),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&store, &query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn mlopus_reads_lineage_that_runlineage_registered_and_registers_more() {
    let server = mlflow::shared();
    let (experiment, _) = Rest::new(server).experiment("back").await;
    let run_id = mlopus(
        server,
        json!({ "exp": experiment }),
        r"
run = api.start_run(api.get_or_create_exp(input['exp']), 'train')
mlopus.lineage.of(run).with_input_model('churn', '1').register()
run.end_run()
output = run.id
",
    );
    let run_id = run_id.as_str().expect("a run id is text");
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;

    let files: Vec<String> = (0..300)
        .map(|n| format!("data/part-{n:05}.parquet"))
        .collect();
    let run = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    let mut registration = lineage::of(&run)
        .expect("its lineage can be read")
        .with_input_model("churn", "3")
        .with_input_model("my.dotted.model", "2")
        .with_input_model("my spaced 'model'", "4")
        .with_output_model("report", None)
        .with_input_artifact("77ab", None);
    for file in &files {
        registration = registration.with_output_artifact(run_id, file.as_str());
    }
    let expected = registration.lineage().clone();
    let registered = registration
        .register(&mlflow, &store)
        .await
        .expect("MLflow takes the lineage");
    assert_eq!(
        registered.lineage().expect("its lineage can be read"),
        expected
    );

    let read = mlopus(
        server,
        json!({ "run": run_id }),
        r"
lineage = mlopus.lineage.of(api.get_run(input['run']))
import copy
output = copy.deepcopy([lineage.inputs.models, lineage.outputs.models, lineage.inputs.runs])
lineage.with_input_model('churn', '9').with_output_model('more', '7').register()
",
    );
    assert_eq!(
        read,
        json!([{ "churn": ["1", "3"] }, { "report": [] }, { "77ab": [] }])
    );

    sync(&mlflow, &store, &[&experiment]).await;
    let after = store
        .get_run(run_id)
        .await
        .expect("MongoDB answers")
        .expect("the run is mirrored");
    let mut all = expected;
    all = all
        .with_input_model("churn", "9")
        .with_output_model("more", "7");
    assert_eq!(after.lineage().expect("its lineage can be read"), all);
    assert_eq!(after.status(), Some("FINISHED"));
    for query in [
        Query::new().with_input_model("my.dotted.model", "2"),
        Query::new()
            .with_input_model("my spaced 'model'", "4")
            .with_output_model("more", "7"),
        Query::new().with_output_artifact(run_id, "/data/part-00299.parquet/"),
        Query::new().with_input_artifact("77ab", None),
    ] {
        assert_eq!(ids(&store, &query).await, set([run_id]), "{query:?}");
    }
}

/// mlopus itself drops values of over 500 characters with a warning.
#[tokio::test]
async fn mlopus_reads_a_tag_of_over_500_characters_that_runlineage_registered() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (_, exp) = rest.experiment("long").await;
    let run_id = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    let run = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    let mut registration = lineage::of(&run).expect("its lineage can be read");
    for n in 0..100 {
        registration =
            registration.with_input_artifact("77ab", format!("data/part-{n:05}.parquet").as_str());
    }
    registration
        .register(&mlflow, &store)
        .await
        .expect("MLflow takes the lineage");
    let read = mlopus(
        server,
        json!({ "run": run_id }),
        "output = len(mlopus.lineage.of(api.get_run(input['run'])).inputs.runs['77ab'])",
    );
    assert_eq!(read, 100);
}

#[tokio::test]
async fn ten_concurrent_registrations_on_one_run_lose_nothing() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (_, exp) = rest.experiment("concurrent").await;
    let run_id = rest
        .run(&exp, &[("lineage.inputs.models.churn", r#"["0"]"#)])
        .await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    let run = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    // All of them start from the same tags. Each adds to the tag of mlopus and to the overflow tags.
    let registers = (1..=10).map(|n: u32| {
        let registration = lineage::of(&run)
            .expect("its lineage can be read")
            .with_input_model("churn", n.to_string().as_str())
            .with_output_model("dotted.name", n.to_string().as_str());
        registration.register(&mlflow, &store)
    });
    for registered in join_all(registers).await {
        registered.expect("every register succeeds");
    }
    let stored = store
        .get_run(&run_id)
        .await
        .expect("MongoDB answers")
        .expect("the run is mirrored");
    let lineage = stored.lineage().expect("its lineage can be read");
    assert_eq!(
        lineage.inputs.models()["churn"],
        set((0..=10).map(|n| n.to_string()))
    );
    assert_eq!(
        lineage.outputs.models()["dotted.name"],
        set((1..=10).map(|n| n.to_string()))
    );
    let now = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    assert_eq!(now.lineage().expect("its lineage can be read"), lineage);
}

#[tokio::test]
async fn a_mirror_write_that_fails_after_the_tags_is_reported_and_repaired_by_the_next_sync() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (experiment, exp) = rest.experiment("behind").await;
    let run_id = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    let set_validator = async |validator| {
        let command = doc! { "collMod": "runs", "validator": validator };
        test.database
            .run_command(command)
            .await
            .expect("the validator can be set");
    };
    set_validator(doc! { "never": { "$exists": true } }).await;

    let run = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    let registration = lineage::of(&run)
        .expect("its lineage can be read")
        .with_input_model("churn", "3");
    let error = registration
        .register(&mlflow, &store)
        .await
        .expect_err("the mirror refuses the run");
    assert!(
        matches!(&error, Error::MirrorBehind { run, .. } if *run == run_id),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(
        said.contains(&run_id) && said.contains("the next sync mirrors it"),
        "{said}"
    );
    assert_eq!(
        rest.tags(&run_id).await["lineage.inputs.models.churn"],
        json!(r#"["3"]"#)
    );
    let query = Query::new().with_input_model("churn", "3");
    assert_eq!(ids(&store, &query).await, set::<&str>([]));

    set_validator(doc! {}).await;
    sync(&mlflow, &store, &[&experiment]).await;
    assert_eq!(ids(&store, &query).await, set([&run_id]));
}

#[tokio::test]
async fn a_page_read_before_a_registration_and_written_after_it_does_not_undo_it() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (experiment, exp) = rest.experiment("held-back").await;
    let registered = rest.run(&exp, &[]).await;
    let untouched = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    if server.version() == mlflow::Version::V3 {
        // One MLflow version tests an already mirrored run, the other one an empty database.
        sync(&mlflow, &store, &[&experiment]).await;
    }

    let ticket = store.draw_ticket().await.expect("MongoDB answers");
    let experiments: Vec<_> = mlflow
        .experiments()
        .try_concat()
        .await
        .expect("MLflow answers");
    let info = experiments
        .iter()
        .find(|info| info.id == exp)
        .expect("the experiment is listed");
    let page = mlflow
        .runs(info)
        .try_concat()
        .await
        .expect("MLflow answers");
    assert_eq!(page.len(), 2);

    let run = mlflow
        .run(&registered.parse().expect("a run id"))
        .await
        .expect("the run is there");
    let registration = lineage::of(&run)
        .expect("its lineage can be read")
        .with_input_model("churn", "3");
    registration
        .register(&mlflow, &store)
        .await
        .expect("MLflow takes the lineage");

    let saved = store
        .save_runs(page, ticket)
        .await
        .expect("MongoDB answers");
    assert!(
        saved.unchanged >= 1 && saved.written + saved.unchanged == 2,
        "{saved:?}"
    );
    assert_eq!(
        ids(&store, Query::new().with_input_model("churn", "3")).await,
        set([&registered])
    );
    assert_eq!(ids(&store, doc! {}).await, set([&registered, &untouched]));
    assert_eq!(sync(&mlflow, &store, &[&experiment]).await.written, 0);
}

#[tokio::test]
async fn lineage_that_mlopus_registers_during_a_registration_is_kept() {
    let server = mlflow::shared();
    let rest = Rest::new(server);
    let (_, exp) = rest.experiment("between").await;
    let run_id = rest.run(&exp, &[]).await;
    let (test, mlflow) = (TestDatabase::new().await, client(server));
    let store = mirror(&test).await;
    let run = mlflow
        .run(&run_id.parse().expect("a run id"))
        .await
        .expect("the run is there");
    let registration = lineage::of(&run)
        .expect("its lineage can be read")
        .with_input_model("churn", "3");
    // mlopus writes after this registration has read the run and before it sets the tag.
    let input: Value = json!({ "run": run_id });
    mlopus(
        server,
        input,
        "mlopus.lineage.of(api.get_run(input['run'])).with_input_model('churn', '1').register()",
    );
    let run = registration
        .register(&mlflow, &store)
        .await
        .expect("MLflow takes the lineage");
    let lineage = run.lineage().expect("its lineage can be read");
    assert_eq!(lineage.inputs.models()["churn"], set(["1", "3"]));
}
