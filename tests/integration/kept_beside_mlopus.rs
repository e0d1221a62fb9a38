//! Lineage that mlopus' tags cannot express is kept, and mlopus can still read the run and register on it.

use runlineage::lineage::{self, Registration};
use runlineage::{MlflowClient, MongoRunStore, Query, Run};
use serde_json::json;

use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mlflow;
use crate::support::mlopus::mlopus;
use crate::support::mongodb::TestDatabase;
use crate::support::rest::Rest;

/// A run in a real MLflow, a client, and a mirror.
struct Scene {
    experiment: String,
    run: String,
    mlflow: MlflowClient,
    store: MongoRunStore,
    _test: TestDatabase,
}

impl Scene {
    async fn new() -> Self {
        let server = mlflow::shared();
        let rest = Rest::new(server);
        let (experiment, exp) = rest.experiment("kept").await;
        let test = TestDatabase::new().await;
        Self {
            experiment,
            run: rest.run(&exp, &[]).await,
            mlflow: client(server),
            store: mirror(&test).await,
            _test: test,
        }
    }

    async fn register(&self, add: impl FnOnce(Registration) -> Registration) -> Run {
        let run = self
            .mlflow
            .run(&self.run.parse().expect("a run id"))
            .await
            .expect("the run exists");
        let registration = add(lineage::of(&run).expect("its lineage can be read"));
        let registered = registration.register(&self.mlflow, &self.store).await;
        registered.expect("MLflow takes the lineage")
    }

    async fn synced(&self) -> Run {
        sync(&self.mlflow, &self.store, &[&self.experiment]).await;
        let run = self.store.get_run(&self.run).await;
        run.expect("MongoDB answers").expect("the run is mirrored")
    }
}

fn models(run: &Run) -> Vec<(&str, Option<&str>)> {
    let mut models: Vec<_> = run
        .input_models()
        .collect::<runlineage::Result<_>>()
        .expect("its lineage can be read");
    models.sort_unstable();
    models
}

fn artifacts(run: &Run) -> Vec<(&str, Option<&str>)> {
    let mut artifacts: Vec<_> = run
        .output_artifacts()
        .collect::<runlineage::Result<_>>()
        .expect("its lineage can be read");
    artifacts.sort_unstable();
    artifacts
}

#[tokio::test]
async fn a_model_without_a_version_stays_beside_its_versions() {
    let scene = Scene::new().await;
    let run = scene.register(|run| {
        run.with_input_model("churn", None)
            .with_output_artifact("77ab", None)
    });
    assert_eq!(models(&run.await), [("churn", None)]);
    let run = scene.register(|run| {
        run.with_input_model("churn", "3")
            .with_output_artifact("77ab", "data")
    });
    let run = run.await;
    assert_eq!(models(&run), [("churn", None), ("churn", Some("3"))]);
    assert_eq!(artifacts(&run), [("77ab", None), ("77ab", Some("data"))]);

    mlopus(
        mlflow::shared(),
        json!({ "run": scene.run }),
        r"
lineage = mlopus.lineage.of(api.get_run(input['run']))
assert '3' in lineage.inputs.models['churn'] and 'data' in lineage.outputs.runs['77ab']
lineage.with_input_model('churn', '4').with_output_artifact('77ab', 'plots').register()
",
    );
    let run = scene.synced().await;
    assert_eq!(
        models(&run),
        [("churn", None), ("churn", Some("3")), ("churn", Some("4"))]
    );
    assert_eq!(
        artifacts(&run),
        [
            ("77ab", None),
            ("77ab", Some("data")),
            ("77ab", Some("plots"))
        ]
    );
}

#[tokio::test]
async fn a_model_with_and_without_a_version_is_registered_together_and_in_either_order() {
    let scene = Scene::new().await;
    let add = |run: Registration| {
        run.with_input_model("churn", None)
            .with_input_model("churn", "3")
            .with_output_artifact("77ab", "data")
    };
    let run = scene.register(add).await;
    assert_eq!(models(&run), [("churn", None), ("churn", Some("3"))]);
    let add = |run: Registration| run.with_output_artifact("77ab", None);
    let run = scene.register(add).await;
    assert_eq!(artifacts(&run), [("77ab", None), ("77ab", Some("data"))]);
}

/// MLflow refuses a tag key with a letter that is newer than the Unicode version of its Python.
#[tokio::test]
async fn names_with_letters_newer_than_the_servers_unicode_are_registered() {
    let scene = Scene::new().await;
    // Letters of Unicode 16, 15 and 1.1.
    let names = ["gro\u{a7cb}e", "\u{11f04}", "größe"];
    let run = scene.register(|run| {
        let add = |run: Registration, name: &&str| run.with_input_model(name, "1");
        names.iter().fold(run, add)
    });
    run.await;
    let read = mlopus(
        mlflow::shared(),
        json!({ "run": scene.run }),
        r"
lineage = mlopus.lineage.of(api.get_run(input['run']))
output = list(lineage.inputs.models)
lineage.with_input_model('churn', '2').register()
",
    );
    assert_eq!(read, json!(["größe"]));
    let run = scene.synced().await;
    let found: Vec<_> = models(&run).iter().map(|(name, _)| *name).collect();
    assert_eq!(set(found), set([names[0], names[1], names[2], "churn"]));
    for name in names {
        let query = Query::new().with_input_model(name, "1");
        assert_eq!(ids(&scene.store, query).await, set([&scene.run]), "{name}");
    }
}
