//! What the README shows is run as it stands there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::mlflow::{MlflowServer, Setup};
use crate::support::mlopus::pymongo;
use crate::support::mongodb::TestDatabase;
use crate::support::mongosh::mongosh_expression;
use crate::support::program::{run, runlineage};
use crate::support::tool;

const README: &str = include_str!("../../../../README.md");

#[tokio::test]
async fn every_command_and_query_of_the_readme_runs() {
    let server = MlflowServer::start(Setup::default());
    let database = TestDatabase::new().await;
    let runs = pipeline(&server.uri());

    let commands = blocks("<!-- run -->\n```sh\n");
    assert_eq!(commands.len(), 4, "blocks of commands in the README");
    for script in commands {
        let folder = tempfile::tempdir().unwrap();
        run(in_shell(&script, &server.uri(), &database.uri, &runs).current_dir(folder.path()))
            .success();
    }

    let queries = blocks("```js\n");
    let answers: Vec<Value> = queries
        .iter()
        .map(|script| mongosh_expression(&database.uri, script))
        .collect();
    let names = |answer: &Value| -> Vec<String> {
        let rows = answer.as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    // The README's `register` has added a run that was registered already, so three runs used version 2.
    assert_eq!(
        names(&answers[0]),
        ["score-2026-12", "score-2026-11", "evaluate-churn"]
    );
    assert_eq!(answers[1][0], json!({ "_id": "2", "runs": 3 }));
    assert!(!names(&answers[2]).is_empty());
    assert!(
        answers[3][0]["downstream"].as_array().unwrap().len() > 3,
        "{}",
        answers[3]
    );
    assert!(answers[4][0]["accuracy"].as_f64().unwrap() > 0.5);
    assert!(answers[5].is_array());
    assert_eq!(answers[6]["exp"]["name"], "churn");
    assert_eq!(answers.len(), 7, "queries in the README");

    let [python] = blocks("```python\n").try_into().unwrap();
    let answer = pymongo(
        &database.uri,
        json!({ "uri": database.uri }),
        &format!("uri = input['uri']\n{python}"),
    );
    assert_eq!(
        answer,
        json!(["evaluate-churn", "score-2026-11", "score-2026-12"])
    );
}

#[tokio::test]
async fn the_quickstart_example_mirrors_and_finds() {
    let server = MlflowServer::start(Setup::default());
    let database = TestDatabase::new().await;
    let runs = pipeline(&server.uri());
    let example = Path::new(env!("CARGO_BIN_EXE_runlineage"))
        .with_file_name("examples")
        .join("quickstart");
    assert!(
        example.exists(),
        "run `cargo build --examples` first; `cargo test` does"
    );
    let printed =
        run(Command::new(example).args([server.uri().as_str(), &database.uri, "churn", "2"]))
            .success();
    let found: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("score-"))
        .collect();
    assert_eq!(found.len(), 2, "{printed}");
    assert!(
        printed.contains(runs["score-2026-11"].as_str().unwrap()),
        "{printed}"
    );
}

/// Runs the example pipeline, and returns its runs by what they did.
fn pipeline(tracking_uri: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline.py");
    let mut python = Command::new(tool("mlopus/bin/python"));
    let printed = run(python
        .arg(script)
        .env("MLFLOW_TRACKING_URI", tracking_uri)
        .env("GIT_PYTHON_REFRESH", "quiet"))
    .success();
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

fn blocks(opening: &str) -> Vec<String> {
    let block = |rest: &str| rest.split("```").next().unwrap().to_owned();
    README.split(opening).skip(1).map(block).collect()
}

fn in_shell(script: &str, tracking_uri: &str, mongodb_uri: &str, runs: &Value) -> Command {
    // Only for its environment, and to know where the program is.
    let program = PathBuf::from(runlineage::<&str>([]).get_program());
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", script])
        .env("PATH", path)
        .env("MLFLOW_TRACKING_URI", tracking_uri)
        .env("MONGODB_URI", mongodb_uri)
        .env("PREPARE", runs["prepare"].as_str().unwrap())
        .env("SCORE", runs["score-2026-11"].as_str().unwrap());
    shell
}
