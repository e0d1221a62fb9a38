//! One suite for every [`RunStore`]: MongoDB, MLflow and a naive evaluation of all runs give the same results.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Document, doc};
use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use runlineage::{
    Error, Inputs, Lineage, MlflowClient, MongoRunStore, Query, RunStore, RunStoreExt as _, Search,
    lineage,
};
use serde_json::json;

use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mlflow;
use crate::support::mongodb::TestDatabase;
use crate::support::rest::Rest;

/// Set it to the seed that a failed test printed, to draw the same values again.
const SEED: &str = "RUNLINEAGE_TEST_SEED";

const MODELS: [&str; 8] = [
    "churn", "churn.v2", "a b", "it's", "\"q\"", "$x", "grö/ße", "fraud",
];
const VALUES: [&str; 4] = ["1", "2", "data/x.parquet", "''"];
const RUNS: [&str; 3] = ["77ab", "88cd", "99ef"];

/// Runs with random lineage in a real MLflow, their mirror, and the registered lineage.
struct Scene {
    exp: String,
    registered: BTreeMap<String, Lineage>,
    mlflow: MlflowClient,
    mirror: MongoRunStore,
    _test: TestDatabase,
}

impl Scene {
    async fn new(runner: &mut TestRunner) -> Self {
        let server = mlflow::shared();
        let (rest, mlflow, test) = (Rest::new(server), client(server), TestDatabase::new().await);
        let mirror = mirror(&test).await;
        let (name, exp) = rest.experiment("conformance").await;
        let mut registered = BTreeMap::new();
        for number in 0..40 {
            let id = rest.run(&exp, &[("number", &number.to_string())]).await;
            let metrics = json!([{ "key": "auc", "value": f64::from(number) / 40.0, "timestamp": 1, "step": 0 }]);
            let params = json!([{ "key": "model.depth", "value": (number % 4).to_string() }]);
            // Every third run has no metrics and no params.
            if number % 3 > 0 {
                rest.post(
                    "runs/log-batch",
                    json!({ "run_id": id, "metrics": metrics, "params": params }),
                )
                .await;
            }
            let wanted = draw(runner, &entries());
            let run = mlflow
                .run(&id.parse().expect("a run id"))
                .await
                .expect("the run is there");
            let registration = lineage::of(&run).expect("its lineage can be read");
            let registration =
                wanted
                    .iter()
                    .fold(registration, |registration, entry| match *entry {
                        (Side::Inputs, Kind::Model, name, version) => {
                            registration.with_input_model(name, version)
                        }
                        (Side::Outputs, Kind::Model, name, version) => {
                            registration.with_output_model(name, version)
                        }
                        (Side::Inputs, Kind::Artifact, run, path) => {
                            registration.with_input_artifact(run, path)
                        }
                        (Side::Outputs, Kind::Artifact, run, path) => {
                            registration.with_output_artifact(run, path)
                        }
                    });
            registered.insert(id, registration.lineage().clone());
            registration
                .register(&mlflow, &mirror)
                .await
                .expect("MLflow takes the lineage");
        }
        assert_eq!(sync(&mlflow, &mirror, &[&name]).await.seen, 40);
        Self {
            exp,
            registered,
            mlflow,
            mirror,
            _test: test,
        }
    }

    fn stores(&self) -> [(&'static str, &dyn RunStore); 2] {
        [("MongoDB", &self.mirror), ("MLflow", &self.mlflow)]
    }

    /// Limits the search to the experiment of this test, because other tests share the tracking server.
    fn here(&self, search: impl Into<Search>) -> Search {
        Search::from(doc! { "exp.id": &self.exp }).and(search)
    }

    fn naive(&self, holds: impl Fn(&Lineage) -> bool) -> BTreeSet<String> {
        set(self
            .registered
            .iter()
            .filter(|(_, lineage)| holds(lineage))
            .map(|(id, _)| id))
    }
}

/// The part of a run that a caller deserializes.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Numbered {
    tags: Number,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Number {
    number: i64,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Inputs,
    Outputs,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Artifact,
}

type Term = (Side, Kind, &'static str, Option<&'static str>);

fn term() -> impl Strategy<Value = Term> {
    let key = prop_oneof![
        select(&MODELS[..]).prop_map(|name| (Kind::Model, name)),
        select(&RUNS[..]).prop_map(|run| (Kind::Artifact, run)),
    ];
    let side = prop_oneof![Just(Side::Inputs), Just(Side::Outputs)];
    let value = proptest::option::of(select(&VALUES[..]));
    (side, key, value).prop_map(|(side, (kind, key), value)| (side, kind, key, value))
}

fn entries() -> impl Strategy<Value = Vec<Term>> {
    proptest::collection::vec(term(), 0..8)
}

/// A query: all groups must hold, and a group holds if one of its terms does.
fn groups() -> impl Strategy<Value = Vec<Vec<Term>>> {
    let group = prop_oneof![3 => proptest::collection::vec(term(), 1), 1 => proptest::collection::vec(term(), 2..4)];
    proptest::collection::vec(group, 1..3)
}

/// Draws new random lineage and queries in each run. Prints the seed, which the test harness shows if the test fails.
fn runner() -> TestRunner {
    let seed = std::env::var(SEED).map_or_else(
        |_| fastrand::u64(..),
        |seed| seed.parse().unwrap_or_else(|e| panic!("{SEED}: {e}")),
    );
    println!("to draw the same values again: {SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let seed: [u8; 32] = std::array::from_fn(|_| random.u8(..));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn draw<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy
        .new_tree(runner)
        .expect("the strategy rejects nothing")
        .current()
}

fn with_term(query: Query, (side, kind, key, value): Term) -> Query {
    match (side, kind) {
        (Side::Inputs, Kind::Model) => query.with_input_model(key, value),
        (Side::Outputs, Kind::Model) => query.with_output_model(key, value),
        (Side::Inputs, Kind::Artifact) => query.with_input_artifact(key, value),
        (Side::Outputs, Kind::Artifact) => query.with_output_artifact(key, value),
    }
}

fn query(groups: &[Vec<Term>]) -> Query {
    groups
        .iter()
        .fold(Query::new(), |query, group| match group.as_slice() {
            [term] => with_term(query, *term),
            terms => query.with_any_of(terms.iter().map(|term| with_term(Query::new(), *term))),
        })
}

/// Whether a term holds, evaluated without the code under test.
fn holds(lineage: &Lineage, (side, kind, key, value): Term) -> bool {
    let side: &Inputs = match side {
        Side::Inputs => &lineage.inputs,
        Side::Outputs => &lineage.outputs,
    };
    let map = match kind {
        Kind::Model => side.models(),
        Kind::Artifact => side.runs(),
    };
    map.get(key)
        .is_some_and(|values| value.is_none_or(|value| values.contains(value)))
}

#[tokio::test]
async fn every_store_gives_the_same_runs_and_errors() {
    let mut runner = runner();
    let scene = Scene::new(&mut runner).await;
    let all = scene.naive(|_| true);
    for (name, store) in scene.stores() {
        assert_eq!(
            ids(store, scene.here(Query::new())).await,
            all,
            "{name}: every run once"
        );
        let none = ids(
            store,
            scene.here(Query::new().with_input_model("nobody", None)),
        )
        .await;
        assert!(none.is_empty(), "{name}: no match is an empty stream");
        let error = store
            .find_runs(Query::new().with_input_model("", "1").into())
            .await
            .err();
        assert!(
            matches!(
                error,
                Some(Error::InvalidArgument {
                    argument: "model name",
                    ..
                })
            ),
            "{name}: {error:?}"
        );
        let error = store
            .find_runs(Query::new().with_any_of([]).into())
            .await
            .err();
        assert!(
            matches!(
                error,
                Some(Error::InvalidArgument {
                    argument: "any of",
                    ..
                })
            ),
            "{name}: {error:?}"
        );
        assert_eq!(
            ids(store, scene.here(doc! {}).limit(7)).await.len(),
            7,
            "{name}: a limit"
        );
        assert_eq!(
            ids(store, scene.here(doc! {}).skip(35)).await.len(),
            5,
            "{name}: a skip"
        );
        assert_eq!(
            ids(store, scene.here(doc! {}).limit(0)).await,
            all,
            "{name}: no limit"
        );

        let search = scene.here(doc! { "tags.number": 7 });
        let numbered = store.find_as::<Numbered>(search.clone()).await;
        let numbered = numbered.expect("the search begins");
        let numbered: Vec<_> = numbered.try_collect().await.expect("the search ends");
        let seven = Numbered {
            tags: Number { number: 7 },
        };
        assert_eq!(
            numbered,
            [seven],
            "{name}: deserialized into a type of the caller"
        );
        let run = store.find(search).await.expect("the search begins");
        let runs: Vec<_> = run.try_collect().await.expect("the search ends");
        let [run] = runs.as_slice() else {
            panic!("{name}: {runs:?}")
        };
        assert_eq!(
            run.lineage().expect("its lineage can be read"),
            scene.registered[run.id()],
            "{name}"
        );
    }

    random_queries_agree(&scene, &mut runner).await;
    native_filters_agree(&scene).await;
}

async fn random_queries_agree(scene: &Scene, runner: &mut TestRunner) {
    let (mut found, mut empty) = (0, 0);
    // If all queries found runs, or none did, the stores could agree by accident.
    while found < 20 || empty < 20 {
        assert!(found + empty < 500, "{found} found, {empty} empty");
        let groups = draw(runner, &groups());
        let expected = scene.naive(|lineage| {
            groups
                .iter()
                .all(|group| group.iter().any(|term| holds(lineage, *term)))
        });
        let count = if expected.is_empty() {
            &mut empty
        } else {
            &mut found
        };
        *count += 1;
        // Skip the more frequent outcome once there are enough, and wait for the other one.
        if *count > 40 {
            continue;
        }
        for (name, store) in scene.stores() {
            let search = scene.here(query(&groups));
            assert_eq!(ids(store, search).await, expected, "{name}: {groups:?}");
        }
    }
}

async fn native_filters_agree(scene: &Scene) {
    let filters: [(Document, usize); 12] = [
        (doc! { "metrics.auc": { "$gt": 0.5 } }, 12),
        (doc! { "metrics.auc": { "$gte": 0.5, "$lt": 0.55 } }, 1),
        (doc! { "metrics.auc": { "$exists": false } }, 14),
        (doc! { "metrics.auc": { "$not": { "$gt": 0.5 } } }, 28),
        (doc! { "params.model.depth": 3 }, 6),
        (doc! { "params.model.depth": { "$in": [1, 2.0] } }, 14),
        (doc! { "params.model.depth": { "$nin": [1, 2] } }, 26),
        (doc! { "params.model.depth": { "$ne": 0 } }, 34),
        (doc! { "params.model.depth": "3" }, 0),
        (
            doc! { "$nor": [{ "tags.number": { "$lt": 10 } }, { "metrics.auc": { "$exists": true } }] },
            10,
        ),
        (
            doc! { "status": "RUNNING", "tags.number": { "$lte": 4_i64 } },
            5,
        ),
        (doc! { "mirror.problems": { "$exists": true } }, 0),
    ];
    for (filter, expected) in filters {
        let [mongodb, mlflow] = scene
            .stores()
            .map(|(_, store)| ids(store, scene.here(filter.clone())));
        let (mongodb, mlflow) = (mongodb.await, mlflow.await);
        assert_eq!(mongodb, mlflow, "{filter}");
        assert_eq!(mongodb.len(), expected, "{filter}");
    }
    for filter in [
        doc! { "name": { "$regex": "x" } },
        doc! { "$where": "true" },
        doc! { "tags": { "a": 1 } },
    ] {
        let error = scene.mlflow.find_runs(filter.clone()).await.err();
        assert!(
            matches!(error, Some(Error::Unsupported { .. })),
            "{filter}: {error:?}"
        );
    }
}
