//! One experiment of a real MLflow, and its mirror.

use serde_json::{Value, json};

use super::mlflow;
use super::mongodb::TestDatabase;
use super::program::{Finished, run, runlineage};
use super::rest::Rest;

/// An experiment of a real MLflow, and a database to mirror it.
pub(crate) struct Scene {
    pub(crate) rest: Rest,
    pub(crate) test: TestDatabase,
    /// The experiment's name and id.
    pub(crate) exp: (String, String),
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let rest = Rest::new(mlflow::shared());
        Self {
            exp: rest.experiment("as in mlflow").await,
            rest,
            test: TestDatabase::new().await,
        }
    }

    /// Creates a run with these params, metrics and tags, and returns its id.
    pub(crate) async fn run(&self, name: &str, data: &Value) -> String {
        let run = self
            .rest
            .run(&self.exp.1, &[("mlflow.runName", name)])
            .await;
        let list = |kind: &str| {
            let pairs = data[kind].as_object().into_iter().flatten();
            let pair = |(key, value): (&String, &Value)| json!({ "key": key, "value": value, "timestamp": 1, "step": 0 });
            pairs.map(pair).collect::<Vec<_>>()
        };
        let body = json!({ "run_id": run, "params": list("params"), "metrics": list("metrics"), "tags": list("tags") });
        self.rest.post("runs/log-batch", body).await;
        run
    }

    pub(crate) fn sync(&self) {
        self.program(&[
            "sync",
            "--exp",
            &self.exp.0,
            "--tracking-uri",
            &mlflow::shared().uri(),
        ])
        .success();
    }

    pub(crate) fn program(&self, args: &[&str]) -> Finished {
        let connection = ["--mongodb-uri", &self.test.uri];
        run(&mut runlineage(args.iter().chain(&connection)))
    }

    pub(crate) fn find(&self, args: &[&str]) -> Finished {
        self.program(&[&["find", "--exp", &self.exp.0], args].concat())
    }

    /// The names of the runs that `find` prints, in their order.
    pub(crate) fn names(&self, args: &[&str]) -> Vec<String> {
        let out = self.find(&[args, &["--format", "csv", "--columns", "name"]].concat());
        out.success().lines().skip(1).map(str::to_owned).collect()
    }
}
