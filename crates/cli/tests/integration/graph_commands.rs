//! `graph`, `impact`, `provenance`, `paths` and `diff` over a small pipeline on real servers.

mod answers;
pub(crate) mod diffs;
mod exports;
mod files;
mod formats;
mod refusals;
mod selections;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::experiment::Scene;
use crate::support::mlflow;
use crate::support::mlopus::mlflow_python;
use crate::support::program::{Finished, run, runlineage};
use crate::support::proxy::Proxy;
use crate::support::unique;

/// `prepare` reads a dataset and writes a file. `train` reads the file and makes a version, which has an alias. `score` reads the version.
/// `trial` is a child of `train`.
const WORKLOAD: &str = r#"
mlflow.set_experiment(input["exp"])
name = input["model"]
client.create_registered_model(name)
def lineage(run, side, kind, key, value):
    client.set_tag(run, f"lineage.{side}.{kind}.{key}", '["' + value + '"]')
with mlflow.start_run(run_name="prepare") as run:
    data = mlflow.data.from_numpy(__import__("numpy").zeros(3), name=input["dataset"])
    mlflow.log_input(data, context="training")
    prepare = run.info.run_id
    lineage(prepare, "outputs", "runs", prepare, "data/train.csv")
with mlflow.start_run(run_name=input["name"]) as run:
    mlflow.log_params({"rate": 0.5})
    mlflow.set_tag("mlflow.source.git.commit", "0123456789abcdef0123456789abcdef01234567")
    train = run.info.run_id
    lineage(train, "inputs", "runs", prepare, "data/train.csv")
    lineage(train, "outputs", "models", name, "1")
    with mlflow.start_run(run_name="trial", nested=True) as child:
        trial = child.info.run_id
client.create_model_version(name, source=f"runs:/{train}/model", run_id=train)
client.set_registered_model_alias(name, "champion", "1")
with mlflow.start_run(run_name="score") as run:
    score = run.info.run_id
    lineage(score, "inputs", "models", name, "1")
    lineage(score, "outputs", "runs", score, "scores.csv")
output = {"prepare": prepare, "train": train, "trial": trial, "score": score, "digest": data.digest}
"#;

pub(crate) struct Pipeline {
    pub(crate) scene: Scene,
    pub(crate) model: String,
    dataset: String,
    output: Value,
    _proxy: Proxy,
}

impl Pipeline {
    pub(crate) async fn new() -> Self {
        Self::with_name("train").await
    }

    /// The pipeline whose second run has this name, in a mirror that holds nothing else.
    async fn with_name(name: &str) -> Self {
        let mut scene = Scene::new().await;
        let (model, dataset) = (unique("graphed"), unique("clicks"));
        let exp = unique(&model);
        let input = json!({ "exp": exp, "model": model, "dataset": dataset, "name": name });
        let output = mlflow_python(mlflow::shared(), input, WORKLOAD);
        scene.exp.0 = exp;
        let proxy = Proxy::before(&mlflow::shared().uri());
        // The proxy lists nothing whose name begins otherwise.
        proxy.list_only(&model);
        let sync = ["sync", "--tracking-uri", &proxy.uri()];
        scene.program(&sync).success();
        Self {
            scene,
            model,
            dataset,
            output,
            _proxy: proxy,
        }
    }

    pub(crate) fn id(&self, run: &str) -> &str {
        self.output[run].as_str().expect("the workload names it")
    }

    /// The nodes along the data, the dataset first.
    pub(crate) fn nodes(&self) -> [String; 7] {
        let (prepare, score) = (self.id("prepare"), self.id("score"));
        [
            format!("dataset:{}@{}", self.dataset, self.id("digest")),
            format!("run:{prepare}"),
            format!("artifact:{prepare}/data/train.csv"),
            format!("run:{}", self.id("train")),
            self.version(),
            format!("run:{score}"),
            format!("artifact:{score}/scores.csv"),
        ]
    }

    pub(crate) fn version(&self) -> String {
        format!("model:{}:1", self.model)
    }

    pub(crate) fn program(&self, args: &[&str]) -> Finished {
        self.scene.program(args)
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let printed = self.program(&[args, &["--format", "json"]].concat());
        serde_json::from_str(&printed.success()).expect("JSON")
    }

    /// The program in this folder.
    fn program_in(&self, folder: &Path, args: &[&str]) -> Finished {
        let connection = ["--mongodb-uri", &self.scene.test.uri];
        run(runlineage(args.iter().chain(&connection)).current_dir(folder))
    }
}

/// The ids of a graph's nodes, in the order of the alphabet.
fn ids(graph: &Value) -> Vec<String> {
    let nodes = graph["nodes"].as_array().expect("an array");
    let ids = nodes
        .iter()
        .map(|node| node["id"].as_str().expect("a text").to_owned());
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut texts = texts.to_vec();
    texts.sort();
    texts
}
