//! What the program answers from MLflow's registry: versions, nodes, aliases of the mirror, origins.

use serde_json::{Value, json};

use crate::support::experiment::Scene;
use crate::support::mlflow;
use crate::support::mlopus::mlflow_python;
use crate::support::proxy::Proxy;
use crate::support::unique;

/// A run registers a version; it is copied, and another run reads it.
const WORKLOAD: &str = r#"
mlflow.set_experiment(input["exp"])
name = input["model"]
client.create_registered_model(name)
client.create_registered_model(name + "-prod")
with mlflow.start_run(run_name="train") as run:
    data = mlflow.data.from_numpy(__import__("numpy").zeros(3), name=input["dataset"])
    mlflow.log_input(data, context="training")
train = run.info.run_id
for version in range(2):
    client.create_model_version(name, source=f"runs:/{train}/model", run_id=train)
client.copy_model_version(f"models:/{name}/1", name + "-prod")
client.set_registered_model_alias(name, "champion", "1")
tag = {f"lineage.inputs.models.{name}": '["1"]'}
with mlflow.start_run(run_name="score", tags=tag) as run:
    pass
output = {"train": train, "score": run.info.run_id, "digest": data.digest}
"#;

struct Registered {
    scene: Scene,
    model: String,
    dataset: String,
    output: Value,
    proxy: Proxy,
}

impl Registered {
    /// A mirror that holds of the shared server's registry the models of this test alone.
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        let (model, dataset) = (unique("churn"), unique("clicks"));
        // The proxy lists nothing whose name begins otherwise.
        let exp = unique(&model);
        let input = json!({ "exp": exp, "model": model, "dataset": dataset });
        let output = mlflow_python(mlflow::shared(), input, WORKLOAD);
        scene.exp.0 = exp;
        let proxy = Proxy::before(&mlflow::shared().uri());
        proxy.list_only(&model);
        let registered = Self {
            scene,
            model,
            dataset,
            output,
            proxy,
        };
        registered.sync();
        registered
    }

    fn sync(&self) {
        let args = ["sync", "--tracking-uri", &self.proxy.uri()];
        self.scene.program(&args).success();
    }

    fn run(&self, name: &str) -> &str {
        self.output[name].as_str().expect("the workload names it")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_lists_runs_aliases_copies_and_users() {
    let registered = Registered::new().await;
    let (model, scene) = (&registered.model, &registered.scene);
    let listed = scene.program(&["versions", model, "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.success()).expect("JSON");
    assert_eq!(listed["model"]["name"], *model);
    let versions = listed["versions"].as_array().expect("an array");
    assert_eq!(versions.len(), 2);
    assert_eq!(
        (&versions[0]["version"], &versions[1]["version"]),
        (&json!("2"), &json!("1"))
    );
    assert_eq!(versions[1]["run"], registered.output["train"]);
    assert_eq!(versions[1]["aliases"], json!(["champion"]));
    assert_eq!(versions[1]["copies"], json!([format!("{model}-prod:1")]));
    let used = json!({ "count": 1, "runs": [registered.run("score")] });
    assert_eq!(versions[1]["used_by"], used);
    assert_eq!(versions[0]["used_by"]["count"], 0);

    let table = scene.program(&["versions", model]);
    let table = table.success();
    for words in ["champion", registered.run("train"), "1 run", "0 runs"] {
        assert!(table.contains(words), "no {words:?} in {table}");
    }
    let unknown = scene.program(&["versions", "no-such-model"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown
            .stderr
            .contains("no registered model \"no-such-model\" is mirrored"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn show_knows_every_kind_of_node() {
    let registered = Registered::new().await;
    let (model, scene) = (&registered.model, &registered.scene);
    let (train, score) = (registered.run("train"), registered.run("score"));
    let version = scene.program(&["show", &format!("model:{model}:1"), "--format", "json"]);
    let version: Value = serde_json::from_str(&version.success()).expect("JSON");
    assert_eq!(version["node"], format!("model:{model}:1"));
    assert_eq!(version["version"]["run"], train);
    assert_eq!(version["version"]["aliases"], json!(["champion"]));
    assert_eq!(version["written_by"]["count"], 1);
    assert_eq!(version["read_by"]["newest"][0]["run"], score);
    let digest = registered.run("digest");
    let dataset = format!("dataset:{}@{digest}", registered.dataset);
    for (node, words) in [
        (format!("model:{model}"), vec!["champion → 1", train]),
        (
            format!("model:{model}:1"),
            vec!["champion", train, score, "1 run wrote it", "1 run read it"],
        ),
        (dataset, vec![train, "1 run read it"]),
        (
            format!("run:{train}"),
            vec!["train", "input dataset", digest],
        ),
        (train.to_owned(), vec!["train"]),
    ] {
        let shown = scene.program(&["show", &node]);
        let shown = shown.success();
        for word in words {
            assert!(shown.contains(word), "{node}: no {word:?} in {shown}");
        }
    }
    for (node, code, words) in [
        (
            "model:no-such-model:1",
            1,
            "has never seen the model name \"no-such-model\"",
        ),
        (
            "dataset:no-such-dataset",
            1,
            "has never seen the dataset name",
        ),
        ("artifact:8f2c/data", 2, "find --input-artifact"),
        ("thing:x", 2, "is not a node"),
    ] {
        let shown = scene.program(&["show", node]);
        assert_eq!(shown.code, Some(code), "{node}: {}", shown.stderr);
        assert!(shown.stderr.contains(words), "{node}: {}", shown.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn find_asks_for_origins_and_resolves_aliases_in_the_mirror() {
    let registered = Registered::new().await;
    let (model, scene) = (&registered.model, &registered.scene);
    let output = format!("{model}:1");
    assert_eq!(scene.names(&["--output-model", &output]), ["train"]);
    assert_eq!(
        scene.names(&["--output-model", &output, "--origin", "registry"]),
        ["train"]
    );
    assert_eq!(
        scene.names(&["--output-model", &output, "--declared-only"]),
        [""; 0]
    );
    let condition = format!("output.model = '{output}' from registry");
    assert_eq!(scene.names(&["--where", &condition]), ["train"]);
    assert_eq!(
        scene.names(&["--input-model", &output, "--declared-only"]),
        ["score"]
    );
    let dataset = &registered.dataset;
    assert_eq!(scene.names(&["--input-dataset", dataset]), ["train"]);

    // No tracking server is named: the mirror alone resolves the alias, and says how old it is.
    let alias = format!("models:/{model}@champion");
    let found = scene.find(&["--input-model", &alias]);
    let told = format!("{alias} was version 1 when the mirror last read the registry");
    assert!(found.stderr.contains(&told), "{}", found.stderr);
    assert!(found.success().contains("score"));
    let unknown = scene.find(&["--input-model", &format!("models:/{model}@nobody")]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    let refused = scene.find(&["--input-model", &output, "--origin", "tags"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("the origins are tag, registry"),
        "{}",
        refused.stderr
    );

    let rendered = scene.program(&[
        "find",
        "--output-model",
        &output,
        "--origin",
        "registry",
        "--render",
    ]);
    let expected = format!(
        "{{ \"outputs.models\": {{ \"$elemMatch\": {{ \"name\": \"{model}\", \"version\": \"1\", \"from\": \"registry\" }} }} }}\n"
    );
    assert_eq!(rendered.success(), expected);
}
