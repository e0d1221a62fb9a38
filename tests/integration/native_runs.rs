//! What MLflow itself records of a run: datasets, logged models, evaluations, prompts.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use runlineage::{MlflowClient, MongoRunStore, Node, Origin, Query, lineage};
use serde_json::{Value, json};

use crate::support::mirror::{client, ids, mirror, set, sync};
use crate::support::mlflow::{self, Version};
use crate::support::mlopus::mlflow_python;
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::Proxy;
use crate::support::unique;

/// Trains with autologging, logs datasets and models, evaluates them, and loads a prompt.
const WORKLOAD: &str = r#"
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

mlflow.set_experiment(input["exp"])
rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.random((60, 3)), columns=list("abc"))
frame["y"] = (frame["a"] > 0.5).astype(int)
features, target = frame[["a", "b", "c"]], frame["y"]
output = {}

mlflow.sklearn.autolog()
with mlflow.start_run(run_name="search") as run:
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2).fit(features, target)
output["search"] = run.info.run_id
mlflow.sklearn.autolog(disable=True)

with mlflow.start_run(run_name="train") as run:
    clicks = mlflow.data.from_pandas(frame, name="clicks", targets="y", source="clicks.csv")
    mlflow.log_input(clicks, context="training")
    model = LogisticRegression().fit(features, target)
    info = mlflow.sklearn.log_model(model, "model") if input["v2"] else mlflow.sklearn.log_model(model, name="model")
    output["model"] = info.model_uuid if input["v2"] else info.model_id
    output["digest"] = clicks.digest
    if not input["v2"]:
        mlflow.log_metric("auc", 0.9, model_id=info.model_id)
output["train"] = run.info.run_id
mlflow.register_model(info.model_uri, input["model"])
client.set_registered_model_alias(input["model"], "champion", "1")
client.copy_model_version(f"models:/{input['model']}/1", input["model"] + "-copy")

quiet = {"log_explainer": False, "log_model_explainability": False}
with mlflow.start_run(run_name="evaluate") as run:
    mlflow.evaluate(f"models:/{input['model']}/1", frame, targets="y", model_type="classifier", evaluator_config=quiet)
output["evaluate"] = run.info.run_id

# A user declares what MLflow does not know: who used the version.
tag = {f"lineage.inputs.models.{input['model']}": '["1"]'}
with mlflow.start_run(run_name="score", tags=tag) as run:
    mlflow.pyfunc.load_model(f"models:/{input['model']}/1").predict(features)
output["score"] = run.info.run_id

if not input["v2"]:
    mlflow.models.evaluate(info.model_uri, frame, targets="y", model_type="classifier", evaluator_config=quiet)
    with mlflow.start_run(run_name="traced") as run:
        mlflow.trace(lambda x: x)(1)
    mlflow.genai.register_prompt(name=input["prompt"], template="Summarize {{x}}")
    with mlflow.start_run(run_name="prompted") as run:
        mlflow.genai.load_prompt(f"prompts:/{input['prompt']}/1")
    output["prompted"] = run.info.run_id
"#;

/// What MLflow's own client answers, in however many calls: the ids of runs, by question.
const ANSWERS: &str = r#"
runs = client.search_runs([client.get_experiment_by_name(input["exp"]).experiment_id], max_results=1000)
read = lambda tag, run: json.loads(run.data.tags.get(tag, "[]"))
where = lambda condition: [run.info.run_id for run in runs if condition(run)]
datasets = lambda run: [(used.dataset.name, used.dataset.digest) for used in run.inputs.dataset_inputs]
version = client.get_model_version_by_alias(input["model"], "champion")
copy = client.get_model_version(input["model"] + "-copy", "1")
evaluated = set(where(lambda run: any(e.get("model") == output["model"] for e in read("mlflow.datasets", run))))
made = where(lambda run: any(e.get("model_uuid") == output["model"] for e in read("mlflow.log-model.history", run)))
if not input["v2"]:
    model = client.get_logged_model(output["model"])
    evaluated |= {metric.run_id for metric in model.metrics}
    made = [model.source_run_id]
evaluated -= set(made)
answers = {
    "made the version of the alias": [version.run_id],
    "made the copy": [copy.run_id],
    "read clicks": where(lambda run: ("clicks", output["digest"]) in datasets(run)),
    "read any dataset": where(datasets),
    "made the logged model": made,
    "evaluated the logged model": list(evaluated),
    "declare the version": where(lambda run: f"lineage.inputs.models.{input['model']}" in run.data.tags),
    "read clicks, finished, children of nobody": where(
        lambda run: ("clicks", output["digest"]) in datasets(run) and run.info.status == "FINISHED" and "mlflow.parentRunId" not in run.data.tags
    ),
    "children that read a dataset": where(lambda run: "mlflow.parentRunId" in run.data.tags and datasets(run)),
    "use the prompt": where(lambda run: any(p["name"] == input["prompt"] for p in read("mlflow.linkedPrompts", run))),
}
output["answers"] = {question: sorted(ids) for question, ids in answers.items()}
"#;

struct Workload {
    output: Value,
    prompt: String,
    registered: String,
}

impl Workload {
    fn run() -> (Self, String) {
        let server = mlflow::shared();
        let (exp, prompt) = (unique("native"), unique("summary"));
        // So that a proxy which lists what begins so lists the model too.
        let model = format!("{exp}-churn");
        let is_v2 = Version::under_test() == Version::V2;
        let input = json!({ "exp": exp, "model": model, "prompt": prompt, "v2": is_v2 });
        let output = mlflow_python(server, input, &[WORKLOAD, ANSWERS].concat());
        let workload = Self {
            output,
            prompt,
            registered: model,
        };
        (workload, exp)
    }

    fn get(&self, name: &str) -> &str {
        self.output[name].as_str().expect("the workload names it")
    }
}

async fn side(store: &MongoRunStore, run: &str, side: &str) -> Document {
    let run = store.get_run(run).await.unwrap().expect("it is mirrored");
    run.to_document()
        .unwrap()
        .get_document(side)
        .unwrap()
        .clone()
}

/// The entries of an array without those of the origins that other collections give.
fn entries(side: &Document, field: &str) -> Vec<Document> {
    let array = side.get_array(field).into_iter().flatten();
    let entries = array.filter_map(Bson::as_document).cloned();
    entries
        .filter(|entry| !matches!(entry.get_str("from"), Ok("metrics" | "registry")))
        .collect()
}

#[tokio::test]
async fn a_workload_that_never_heard_of_mlopus_is_found_by_what_mlflow_records() {
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;
    let (workload, exp) = Workload::run();
    // A search in process reads every run of what is listed.
    let proxy = Proxy::before(&mlflow::shared().uri());
    proxy.list_only(&exp);
    let mlflow = MlflowClient::builder(&proxy.uri())
        .retries(3)
        .build()
        .unwrap();
    sync(&mlflow, &store, &[&exp]).await;
    let is_v2 = Version::under_test() == Version::V2;
    let (train, evaluate, model) = (
        workload.get("train"),
        workload.get("evaluate"),
        workload.get("model"),
    );
    let digest = workload.get("digest");

    let inputs = side(&store, train, "inputs").await;
    let clicks = doc! { "name": "clicks", "digest": digest, "context": "training", "source_type": "local", "from": "inputs" };
    assert_eq!(entries(&inputs, "datasets"), [clicks]);
    assert_eq!(entries(&inputs, "logged_models"), []);
    let outputs = side(&store, train, "outputs").await;
    let made = match is_v2 {
        true => doc! { "id": model, "from": "tag" },
        false => doc! { "id": model, "step": 0_i64, "from": "outputs" },
    };
    assert_eq!(entries(&outputs, "logged_models"), [made]);
    let inputs = side(&store, evaluate, "inputs").await;
    assert_eq!(
        entries(&inputs, "logged_models"),
        [doc! { "id": model, "from": "evaluate" }]
    );

    // Every question by every way of asking it: the same runs.
    let trained = ids(&store, Query::new().with_input_dataset("clicks", digest)).await;
    assert_eq!(trained, set([train]));
    let text: Query =
        format!("input.dataset = 'clicks@{digest}' and output.logged_model = '{model}'")
            .parse()
            .unwrap();
    assert_eq!(ids(&store, text).await, set([train]));
    let node: Node = format!("logged-model:{model}").parse().unwrap();
    let evaluated = ids(&store, Query::new().with_input(node)).await;
    assert!(evaluated.contains(evaluate), "{evaluated:?}");
    let search = workload.get("search");
    let any = ids(
        &store,
        Query::new()
            .with_exp(&exp)
            .with_input_dataset("dataset", None),
    )
    .await;
    // MLflow 2 records no dataset for the run of `evaluate`, nor for the children of a grid search.
    assert!(
        any.contains(search) && (is_v2 || any.contains(evaluate)),
        "{any:?}"
    );
    let children = ids(&store, Query::new().with_parent(search)).await;
    assert!(
        !children.is_empty() && (is_v2 || children.is_subset(&any)),
        "{children:?}"
    );
    if !is_v2 {
        let prompted = Query::new().with_input_prompt(&workload.prompt, "1");
        assert_eq!(ids(&store, prompted).await, set([workload.get("prompted")]));
        let entry = doc! { "name": &workload.prompt, "version": "1", "from": "tag" };
        let inputs = side(&store, workload.get("prompted"), "inputs").await;
        assert_eq!(entries(&inputs, "prompts"), [entry]);
    }

    // One indexed query for each question that MLflow's client answers in many calls.
    let (name, of) = (&workload.registered, || Query::new().with_exp(&exp));
    let copy = format!("{name}-copy");
    let questions = [
        (
            "made the version of the alias",
            of().with_output_model(name, "1")
                .of_origin(Origin::Registry),
        ),
        ("made the copy", of().with_output_model(&copy, "1")),
        ("read clicks", of().with_input_dataset("clicks", digest)),
        (
            "read any dataset",
            "input.dataset in ('clicks', 'dataset')"
                .parse::<Query>()
                .unwrap()
                .with_exp(&exp),
        ),
        (
            "made the logged model",
            of().with_output_logged_model(model),
        ),
        (
            "evaluated the logged model",
            of().with_input_logged_model(model),
        ),
        ("declare the version", of().with_input_model(name, "1")),
        (
            "read clicks, finished, children of nobody",
            format!("input.dataset = 'clicks@{digest}' and status = 'FINISHED' and parent missing")
                .parse()
                .unwrap(),
        ),
        (
            "children that read a dataset",
            of().with_any_of([Query::new().with_input_dataset("dataset", None)])
                .with_parent(search),
        ),
        (
            "use the prompt",
            of().with_input_prompt(&workload.prompt, None),
        ),
    ];
    let answers = workload.output["answers"]
        .as_object()
        .expect("an answer for each question");
    assert_eq!(answers.len(), questions.len());
    for (question, query) in questions {
        let answer = answers[question].as_array().expect(question);
        let answer = set(answer.iter().filter_map(Value::as_str));
        assert!(is_v2 || !answer.is_empty(), "{question}");
        assert_eq!(ids(&store, &query).await, answer, "{question}: {query}");
        assert!(
            store.is_indexed(&query).await.unwrap(),
            "{question}: {query}"
        );
        if !query.to_string().contains("parent missing") {
            assert_eq!(
                ids(&mlflow, &query).await,
                answer,
                "MLflow in process, {question}"
            );
        }
    }

    // MLflow's own client filters the same.
    for query in [
        Query::new()
            .with_exp(&exp)
            .with_input_dataset("clicks", digest),
        Query::new().with_exp(&exp).with_output_logged_model(model),
    ] {
        assert_eq!(ids(&mlflow, query).await, set([train]));
    }

    let again = sync(&mlflow, &store, &[&exp]).await;
    assert_eq!((again.written, again.seen), (0, again.unchanged));
}

#[tokio::test]
async fn registering_writes_no_tag_of_what_mlflow_records_itself() {
    let test = TestDatabase::new().await;
    let (store, mlflow) = (mirror(&test).await, client(mlflow::shared()));
    let exp = unique("native-register");
    let snippet = r#"
mlflow.set_experiment(input["exp"])
with mlflow.start_run() as run:
    data = mlflow.data.from_numpy(__import__("numpy").zeros(3), name="clicks")
    mlflow.log_input(data)
output = [run.info.run_id, data.digest]
"#;
    let output = mlflow_python(mlflow::shared(), json!({ "exp": exp }), snippet);
    let (run, digest) = (output[0].as_str().unwrap(), output[1].as_str().unwrap());
    sync(&mlflow, &store, &[&exp]).await;
    let tags = async || -> BTreeSet<String> {
        let run = mlflow.run(&run.parse().unwrap()).await.unwrap();
        let tags = runlineage::Texts::of(&run).unwrap().tags;
        tags.into_keys()
            .filter(|key| key.starts_with("lineage"))
            .collect()
    };
    let stored = store.get_run(run).await.unwrap().unwrap();
    let registration = lineage::of(&stored).unwrap();
    let registration = registration.with_input_dataset("clicks", digest);
    registration.register(&mlflow, &store).await.unwrap();
    assert_eq!(tags().await, set::<&str>([]));

    // Another dataset is the user's own knowledge: it goes into an overflow tag, which mlopus ignores.
    let registration = lineage::of(&stored).unwrap();
    let registration = registration.with_input_dataset("weather", None);
    let registered = registration.register(&mlflow, &store).await.unwrap();
    let tags = tags().await;
    assert!(
        tags.len() == 1 && tags.iter().all(|key| key.starts_with("lineage_overflow.")),
        "{tags:?}"
    );
    let lineage = registered.lineage().unwrap();
    assert!(lineage.inputs.datasets()["weather"].is_empty());
    assert!(lineage.inputs.datasets()["clicks"].contains(digest));
}
