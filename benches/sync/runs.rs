//! The runs of the benchmark, inserted directly into MLflow's database, because its REST API is much slower.

use crate::support::lab::run_id;
use crate::support::mlflow::MlflowServer;
use crate::support::rest;
use crate::support::sql::{NewRun, Sql};

/// Inserts usual runs of a training pipeline, half of them with lineage. Returns the ids of the experiments.
pub(crate) fn insert_usual_runs(
    mlflow: &MlflowServer,
    experiments: usize,
    runs: usize,
) -> Vec<String> {
    insert(mlflow, experiments, runs, usual_run)
}

/// Inserts wide runs, of which 1,000 make a page of about 10 MB. Returns the ids of the experiments.
pub(crate) fn insert_wide_runs(
    mlflow: &MlflowServer,
    experiments: usize,
    runs: usize,
) -> Vec<String> {
    insert(mlflow, experiments, runs, wide_run)
}

fn insert(
    mlflow: &MlflowServer,
    experiments: usize,
    runs: usize,
    new_run: fn(&str, usize) -> NewRun,
) -> Vec<String> {
    let mut sql = Sql::open(mlflow);
    let mut exps = Vec::new();
    for exp in 0..experiments {
        let name = format!("bench {exp} of {experiments}");
        let id = rest::create_experiment(&mlflow.uri(), &name);
        let count = runs / experiments + usize::from(exp < runs % experiments);
        let made: Vec<NewRun> = (0..count).map(|index| new_run(&id, index)).collect();
        for part in made.chunks(2_000) {
            sql.insert(part);
        }
        exps.push(id);
    }
    exps
}

fn wide_run(exp: &str, index: usize) -> NewRun {
    let mut run = usual_run(exp, index);
    let tags = (0..30).map(|tag| (format!("wide.tag_{tag}"), "x".repeat(250)));
    run.tags.extend(tags);
    run
}

fn usual_run(exp: &str, index: usize) -> NewRun {
    let mut run = NewRun::new(run_id(), exp, 1_700_000_000_000 + 1_000 * index as i64);
    let text = |key: &str, value: String| (key.to_owned(), value);
    run.tags = vec![
        text("mlflow.user", "ana".into()),
        text("mlflow.source.name", "train.py".into()),
        text("mlflow.source.git.commit", run_id()),
        text("team", "risk".into()),
        text("stage", "candidate".into()),
    ];
    if index.is_multiple_of(2) {
        run.tags.push(text(
            &format!("lineage.inputs.models.model_{}", index % 50),
            format!("[\"{}\"]", index % 7),
        ));
        run.tags.push(text(
            &format!("lineage.inputs.runs.{}", run_id()),
            "[\"data/train.parquet\", \"data/test.parquet\"]".into(),
        ));
        run.tags.push(text(
            "lineage.outputs.models.churn",
            format!("[\"{index}\"]"),
        ));
    }
    run.params = (0..10)
        .map(|param| text(&format!("model.param_{param}"), format!("0.{param}{index}")))
        .collect();
    run.metrics = (0..5)
        .map(|metric| (format!("metric_{metric}"), index as f64 / 7.0))
        .collect();
    run
}
