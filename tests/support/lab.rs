//! [`Lab`]: a test's own experiments on the shared MLflow server, behind a proxy, and a mirror of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use runlineage::mlflow::MlflowClientBuilder;
use runlineage::sync::{Report, SyncJob};
use runlineage::{MlflowClient, MongoRunStore, Run, Texts};
use serde_json::{Value, json};

use super::mlflow::{self, MlflowServer, Setup};
use super::mongodb::TestDatabase;
use super::proxy::Proxy;
use super::rest;
use super::sql::{NewRun, Sql};
use super::unique;

/// Through the proxy, the server lists only the experiments of this lab.
pub(crate) struct Lab {
    pub(crate) proxy: Proxy,
    pub(crate) test: TestDatabase,
    pub(crate) store: MongoRunStore,
    pub(crate) server: &'static MlflowServer,
    prefix: String,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let test = TestDatabase::new().await;
        Self::on(test.uri.clone(), test).await
    }

    /// A lab with its own MLflow, for runs that would break the tests of others.
    pub(crate) async fn with_own_mlflow() -> Self {
        let test = TestDatabase::new().await;
        let server = Box::leak(Box::new(MlflowServer::start(Setup::default())));
        Self::between(server, test.uri.clone(), test).await
    }

    /// A lab whose mirror is in another MongoDB than the shared one.
    pub(crate) async fn on(mongodb_uri: String, test: TestDatabase) -> Self {
        Self::between(mlflow::shared(), mongodb_uri, test).await
    }

    async fn between(
        server: &'static MlflowServer,
        mongodb_uri: String,
        test: TestDatabase,
    ) -> Self {
        let prefix = unique("lab");
        let proxy = Proxy::before(&server.uri());
        proxy.list_only(&prefix);
        let store = MongoRunStore::connect(&mongodb_uri)
            .await
            .expect("the server is there");
        Self {
            proxy,
            test,
            store,
            server,
            prefix,
        }
    }

    /// Creates an experiment of this lab, and returns its id.
    pub(crate) fn experiment(&self, name: &str) -> String {
        rest::create_experiment(&self.server.uri(), &format!("{} {name}", self.prefix))
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{} {name}", self.prefix)
    }

    pub(crate) fn sql(&self) -> Sql {
        Sql::open(self.server)
    }

    /// A client through the proxy, with a short timeout.
    pub(crate) fn builder(&self) -> MlflowClientBuilder {
        MlflowClient::builder(&self.proxy.uri())
            .source("lab")
            .timeout(Duration::from_secs(60))
    }

    pub(crate) fn sync(&self) -> SyncJob {
        SyncJob::new(
            &self.builder().build().expect("the URI is valid"),
            &self.store,
        )
        .page_size(7)
    }

    /// The report of a pass that must be complete.
    #[track_caller]
    pub(crate) fn complete(report: runlineage::Result<Report>) -> Report {
        let report = report.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(report.incomplete, [], "{report:?}");
        assert_eq!(
            report.seen,
            report.written + report.unchanged + report.quarantined,
            "{report:?}"
        );
        report
    }

    /// All runs of this lab's experiments, deleted ones too, as MLflow's REST API shows them now.
    pub(crate) fn truth(&self) -> Truth {
        Truth::read(&self.server.uri(), &self.prefix)
    }

    /// Every difference between MLflow and the mirror.
    pub(crate) async fn differences(&self) -> Vec<String> {
        self.truth().differences(&self.store).await
    }

    /// The ids of the mirrored runs.
    pub(crate) async fn mirrored(&self) -> BTreeSet<String> {
        documents(&self.store, "runs").await.into_keys().collect()
    }
}

/// The experiments and runs of MLflow, read without the code under test.
pub(crate) struct Truth {
    experiments: BTreeMap<String, Value>,
    pub(crate) runs: Vec<Value>,
}

impl Truth {
    pub(crate) fn read(uri: &str, prefix: &str) -> Self {
        let all = rest::post(
            uri,
            "experiments/search",
            &json!({ "view_type": "ALL", "max_results": 50_000 }),
        );
        let experiments: BTreeMap<String, Value> = all["experiments"]
            .as_array()
            .expect("a server has experiments")
            .iter()
            .filter(|exp| {
                exp["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with(prefix))
            })
            .map(|exp| {
                (
                    exp["experiment_id"].as_str().expect("an id").to_owned(),
                    exp.clone(),
                )
            })
            .collect();
        let mut runs = Vec::new();
        for id in experiments.keys() {
            let search =
                json!({ "experiment_ids": [id], "run_view_type": "ALL", "max_results": 50_000 });
            let page = rest::post(uri, "runs/search", &search);
            assert!(
                page.get("next_page_token").is_none_or(|token| token == ""),
                "one page holds all"
            );
            runs.extend(page["runs"].as_array().cloned().unwrap_or_default());
        }
        Self { experiments, runs }
    }

    pub(crate) fn active(&self) -> impl Iterator<Item = &Value> {
        self.runs
            .iter()
            .filter(|run| run["info"]["lifecycle_stage"] == "active")
    }

    pub(crate) async fn differences(&self, store: &MongoRunStore) -> Vec<String> {
        let mut mirrored = documents(store, "runs").await;
        let deleted = documents(store, "deleted_runs").await;
        let mut differences = Vec::new();
        for run in &self.runs {
            let id = text(&run["info"]["run_id"]);
            if run["info"]["lifecycle_stage"] == "active" {
                match mirrored.remove(&id) {
                    None => differences.push(format!("{id} is missing")),
                    Some(document) => {
                        let name =
                            text(&self.experiments[&text(&run["info"]["experiment_id"])]["name"]);
                        let unequal = unequal(run, &name, &document);
                        differences.extend(
                            unequal
                                .into_iter()
                                .map(|what| format!("{id} differs in {what}")),
                        );
                    }
                }
                if deleted.contains_key(&id) {
                    differences.push(format!("{id} is also among the deleted"));
                }
            } else if mirrored.remove(&id).is_some() {
                differences.push(format!("{id} is deleted in MLflow"));
            }
        }
        differences.extend(
            mirrored
                .into_keys()
                .map(|id| format!("{id} is not in MLflow")),
        );
        differences
    }
}

/// The fields in which the document differs from MLflow's run.
fn unequal(run: &Value, exp_name: &str, document: &Document) -> Vec<String> {
    let info = &run["info"];
    let mut unequal = Vec::new();
    let mut expect = |what: &str, stored: Option<&Bson>, expected: Option<Bson>| {
        if stored != expected.as_ref() {
            unequal.push(format!("{what}: stored {stored:?}, MLflow {expected:?}"));
        }
    };
    let exp = doc! { "id": text(&info["experiment_id"]), "name": exp_name };
    expect("exp", document.get("exp"), Some(exp.into()));
    for (field, key) in [("name", "run_name"), ("status", "status")] {
        let value = info[key].as_str().filter(|value| !value.is_empty());
        expect(field, document.get(field), value.map(Bson::from));
    }
    for field in ["start_time", "end_time"] {
        expect(field, document.get(field), info[field].as_i64().map(date));
    }
    let texts = |kind: &str| -> BTreeMap<String, String> {
        let pairs = run["data"][kind].as_array().into_iter().flatten();
        pairs
            .map(|pair| (text(&pair["key"]), text(&pair["value"])))
            .collect()
    };
    let stored = Run::try_from(document).and_then(|run| Texts::of(&run));
    let stored = stored.unwrap_or_else(|error| panic!("{}", chain(&error)));
    let (tags, params) = (texts("tags"), texts("params"));
    if stored.tags != tags {
        unequal.push(format!("tags: stored {:?}, MLflow {tags:?}", stored.tags));
    }
    if stored.params != params {
        unequal.push(format!(
            "params: stored {:?}, MLflow {params:?}",
            stored.params
        ));
    }
    let tag = |key: &str| tags.get(key).filter(|text| !text.is_empty());
    let infos = |key: &str| text(&info[key]);
    let user = tag("mlflow.user").cloned().unwrap_or(infos("user_id"));
    let repo = tag("artifacts_repo")
        .cloned()
        .unwrap_or(infos("artifact_uri"));
    let mirror = document.get_document("mirror").expect("it is mirrored");
    let artifact_uri = mirror.get_str("artifact_uri").unwrap_or(&repo);
    if artifact_uri != infos("artifact_uri") {
        unequal.push(format!("artifact URI: stored {artifact_uri:?}"));
    }
    for (field, expected) in [("user", user), ("repo", repo)] {
        let stored = document.get_str(field).unwrap_or_default();
        if stored != expected {
            unequal.push(format!("{field}: stored {stored:?}, MLflow {expected:?}"));
        }
    }
    let expected = lineage_of(&tags);
    let lineage = entries(document);
    if lineage != expected {
        unequal.push(format!("lineage: stored {lineage:?}, MLflow {expected:?}"));
    }
    for metric in run["data"]["metrics"].as_array().into_iter().flatten() {
        let key = text(&metric["key"]);
        let stored = document
            .get_document("metrics")
            .ok()
            .and_then(|metrics| metrics.get_f64(&key).ok());
        let expected = metric["value"]
            .as_f64()
            .or_else(|| text(&metric["value"]).parse().ok());
        if stored.map(f64::to_bits) != expected.map(f64::to_bits) {
            unequal.push(format!(
                "metric {key}: stored {stored:?}, MLflow {expected:?}"
            ));
        }
    }
    unequal
}

fn date(millis: i64) -> Bson {
    if !(-62_135_596_800_000..=253_402_300_799_999).contains(&millis) {
        Bson::from(millis.to_string())
    } else {
        Bson::DateTime(mongodb::bson::DateTime::from_millis(millis))
    }
}

type Entries = BTreeSet<(String, String, String, Option<String>)>;

/// The lineage in well-formed tags.
fn lineage_of(tags: &BTreeMap<String, String>) -> Entries {
    let mut entries = Entries::new();
    for (key, value) in tags {
        let mut parts = key.splitn(4, '.');
        let (Some("lineage"), Some(side), Some(kind), Some(key)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Ok(Value::Array(values)) = serde_json::from_str(value) else {
            continue;
        };
        let mut add =
            |value| entries.insert((side.to_owned(), kind.to_owned(), key.to_owned(), value));
        if values.is_empty() {
            add(None);
        }
        for value in values {
            add(Some(text(&value)));
        }
    }
    entries
}

/// The lineage in a document.
fn entries(document: &Document) -> Entries {
    let mut entries = Entries::new();
    for side in ["inputs", "outputs"] {
        for (kind, key, value) in [("models", "name", "version"), ("runs", "id", "path")] {
            let list = document
                .get_document(side)
                .and_then(|side| side.get_array(kind));
            for entry in list.into_iter().flatten().filter_map(Bson::as_document) {
                entries.insert((
                    side.to_owned(),
                    kind.to_owned(),
                    entry.get_str(key).unwrap_or_default().to_owned(),
                    entry.get_str(value).ok().map(str::to_owned),
                ));
            }
        }
    }
    entries
}

async fn documents(store: &MongoRunStore, collection: &str) -> BTreeMap<String, Document> {
    let found = store
        .database()
        .collection::<Document>(collection)
        .find(doc! {})
        .await;
    let found: Vec<Document> = found
        .expect("a find")
        .try_collect()
        .await
        .expect("a cursor");
    found
        .into_iter()
        .map(|document| (document.get_str("_id").unwrap_or("?").to_owned(), document))
        .collect()
}

/// Runs with ids, start times a second apart, a tag with lineage, a param and a metric.
pub(crate) fn plain_runs(exp: &str, count: usize) -> Vec<NewRun> {
    let since = 1_700_000_000_000;
    (0..count)
        .map(|index| {
            let mut run = NewRun::new(run_id(), exp, since + 1_000 * index as i64);
            run.tags.push((
                format!("lineage.inputs.models.m{}", index % 5),
                "[\"1\"]".into(),
            ));
            run.params.push(("lr".into(), "0.10".into()));
            run.metrics.push(("auc".into(), 0.5));
            run
        })
        .collect()
}

/// A random run id in the form that MLflow uses.
pub(crate) fn run_id() -> String {
    let mut rng = fastrand::Rng::new();
    format!("{:032x}", rng.u128(..))
}

/// The text of a JSON string; the JSON of any other value.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(
        || {
            if value.is_null() {
                String::new()
            } else {
                value.to_string()
            }
        },
        str::to_owned,
    )
}

/// An error with all of its causes, as the program prints it.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str("; caused by: ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
