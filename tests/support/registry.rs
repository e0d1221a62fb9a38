//! What MLflow's registry shows, as documents of the mirror, read without any of the code under test.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use mongodb::bson::{DateTime, Document, doc};
use runlineage::MongoRunStore;
use serde_json::{Value, json};

use super::lab::text;
use super::rest;

/// The collections beside `runs`.
pub(crate) const COLLECTIONS: [&str; 3] = ["models", "model_versions", "logged_models"];

/// Documents by collection and `_id`.
pub(crate) type Documents = BTreeMap<(&'static str, String), Document>;

/// The documents that are not deleted, without `mirror` and `former_names`.
pub(crate) async fn mirrored(store: &MongoRunStore) -> Documents {
    let mut documents = Documents::new();
    for name in COLLECTIONS {
        for mut document in stored(store, name).await {
            if document.contains_key("deleted_at") {
                continue;
            }
            document.remove("mirror");
            document.remove("former_names");
            documents.insert((name, id(&document)), document);
        }
    }
    documents
}

/// What differs between two mirrors, or between one and MLflow.
pub(crate) fn differences(is: &Documents, should_be: &Documents) -> Vec<String> {
    let ids = is.keys().chain(should_be.keys());
    let ids: std::collections::BTreeSet<_> = ids.collect();
    let differing = ids
        .into_iter()
        .filter(|id| is.get(*id) != should_be.get(*id));
    differing
        .map(|id| {
            format!(
                "{id:?}: {:?}, should be {:?}",
                is.get(id),
                should_be.get(id)
            )
        })
        .collect()
}

/// All documents of a collection, as they are stored.
pub(crate) async fn stored(store: &MongoRunStore, collection: &str) -> Vec<Document> {
    let found = store.database().collection::<Document>(collection);
    let found = found.find(doc! {}).sort(doc! { "_id": 1 }).await;
    found
        .expect("a find")
        .try_collect()
        .await
        .expect("a cursor")
}

/// What the mirror has to hold of the models whose names begin so, and of the logged models of these experiments. Tags and params
/// have to be texts that are no JSON, and keys without dots.
pub(crate) fn shown(uri: &str, prefix: &str, experiments: &[String]) -> Documents {
    let mut documents = Documents::new();
    let get = |call: &str| {
        let (status, answer) = rest::ask(uri, "GET", call, &Value::Null, "");
        assert_eq!(status, 200, "{call}: {answer}");
        answer
    };
    let list = |answer: Value, field: &str| answer[field].as_array().cloned().unwrap_or_default();
    let is_ours = |one: &Value| text(&one["name"]).starts_with(prefix);
    let models = list(
        get("registered-models/search?max_results=1000"),
        "registered_models",
    );
    let mut created = BTreeMap::new();
    for raw in models.iter().filter(|raw| is_ours(raw)) {
        let name = text(&raw["name"]);
        created.insert(name.clone(), raw["creation_timestamp"].as_i64());
        documents.insert(("models", name), model(raw));
    }
    let versions = list(
        get("model-versions/search?max_results=200000"),
        "model_versions",
    );
    for raw in versions.iter().filter(|raw| is_ours(raw)) {
        let version = version(raw, created[&text(&raw["name"])]);
        documents.insert(("model_versions", id(&version)), version);
    }
    if experiments.is_empty() {
        return documents;
    }
    let search = json!({ "experiment_ids": experiments, "max_results": 10_000 });
    let (status, answer) = rest::ask(uri, "POST", "logged-models/search", &search, "");
    if status == 200 {
        for raw in list(answer, "models") {
            let model = logged_model(&raw);
            documents.insert(("logged_models", id(&model)), model);
        }
    }
    documents
}

fn model(raw: &Value) -> Document {
    let mut model = doc! { "_id": text(&raw["name"]) };
    put_date(&mut model, "created", &raw["creation_timestamp"]);
    put_date(&mut model, "updated", &raw["last_updated_timestamp"]);
    put_text(&mut model, "description", &raw["description"]);
    let aliases = raw["aliases"].as_array().cloned().unwrap_or_default();
    let aliases: BTreeMap<String, String> = aliases
        .iter()
        .map(|alias| (text(&alias["alias"]), text(&alias["version"])))
        .collect();
    let aliases = aliases
        .into_iter()
        .map(|(alias, version)| doc! { "alias": alias, "version": version });
    model.insert("aliases", aliases.collect::<Vec<_>>());
    model.insert("tags", texts(&raw["tags"]));
    model
}

fn version(raw: &Value, model_created: Option<i64>) -> Document {
    let (name, number) = (text(&raw["name"]), text(&raw["version"]));
    let mut version = doc! { "_id": format!("{name}:{number}"), "name": name, "version": number };
    put_date(&mut version, "created", &raw["creation_timestamp"]);
    put_date(&mut version, "updated", &raw["last_updated_timestamp"]);
    version.insert("model_created", model_created.map(DateTime::from_millis));
    put_text(&mut version, "run", &raw["run_id"]);
    let source = text(&raw["source"]);
    put_text(&mut version, "source", &raw["source"]);
    if let Some(named) = source.strip_prefix("models:/") {
        match named.split_once('/') {
            None => version.insert("logged_model", named),
            Some((name, number)) => version.insert("copied_from", format!("{name}:{number}")),
        };
    }
    if raw["current_stage"] != "None" {
        put_text(&mut version, "stage", &raw["current_stage"]);
    }
    put_text(&mut version, "status", &raw["status"]);
    put_text(&mut version, "description", &raw["description"]);
    put_text(&mut version, "user", &raw["user_id"]);
    version.insert("tags", texts(&raw["tags"]));
    version
}

fn logged_model(raw: &Value) -> Document {
    let info = &raw["info"];
    let mut model = doc! { "_id": text(&info["model_id"]) };
    put_text(&mut model, "name", &info["name"]);
    model.insert("exp", doc! { "id": text(&info["experiment_id"]) });
    put_text(&mut model, "source_run", &info["source_run_id"]);
    put_date(&mut model, "created", &info["creation_timestamp_ms"]);
    put_date(&mut model, "updated", &info["last_updated_timestamp_ms"]);
    put_text(&mut model, "status", &info["status"]);
    put_text(&mut model, "model_type", &info["model_type"]);
    // A tag of MLflow's own; it is the only one with a dot in its key.
    model.insert("tags", texts(&info["tags"]));
    model.insert("params", texts(&raw["data"]["params"]));
    let metrics = raw["data"]["metrics"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let evaluations: std::collections::BTreeSet<[String; 3]> = metrics
        .iter()
        .map(|metric| {
            ["run_id", "dataset_name", "dataset_digest"].map(|field| text(&metric[field]))
        })
        .filter(|[run, ..]| !run.is_empty() && *run != text(&info["source_run_id"]))
        .collect();
    let evaluations = evaluations.into_iter().map(|[run, dataset, digest]| {
        let mut evaluation = doc! { "run": run };
        put_text(&mut evaluation, "dataset", &dataset.into());
        put_text(&mut evaluation, "digest", &digest.into());
        evaluation
    });
    model.insert("evaluations", evaluations.collect::<Vec<_>>());
    model
}

fn put_text(document: &mut Document, name: &str, value: &Value) {
    let value = text(value);
    if !value.is_empty() {
        document.insert(name, value);
    }
}

fn put_date(document: &mut Document, name: &str, value: &Value) {
    if let Some(millis) = value.as_i64() {
        document.insert(name, DateTime::from_millis(millis));
    }
}

fn texts(list: &Value) -> Document {
    let list = list.as_array().cloned().unwrap_or_default();
    let texts: BTreeMap<String, String> = list
        .iter()
        .map(|one| (text(&one["key"]), text(&one["value"])))
        .collect();
    let mut document = Document::new();
    for (key, value) in texts {
        let mut segments: Vec<&str> = key.split('.').collect();
        let last = segments.pop().expect("a key has a segment");
        let mut inner = &mut document;
        for segment in segments {
            let entry = inner.entry(segment.to_owned()).or_insert(doc! {}.into());
            inner = entry.as_document_mut().expect("no key begins another");
        }
        inner.insert(last, value);
    }
    document
}

pub(crate) fn id(document: &Document) -> String {
    document.get_str("_id").expect("an id").to_owned()
}
