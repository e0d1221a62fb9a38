//! `register`: lineage of one run by flags, or of many from a file.

use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use anyhow::Context;
use runlineage::{MlflowClient, MongoRunStore, RunId, lineage};
use serde::Deserialize;

use super::Result;
use super::find::resolve_aliases;
use crate::args::{ArtifactArg, ConnectionArgs, LineageArgs, ModelArg, RegisterArgs};
use crate::connect::{self, usage};

/// A line of the file: a run and its lineage, as `find --format ndjson` prints them.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    run: String,
    #[serde(default)]
    inputs: Side,
    #[serde(default)]
    outputs: Side,
}

#[derive(Debug, Default, Deserialize)]
struct Side {
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    runs: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
struct Model {
    name: String,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    id: String,
    path: Option<String>,
}

pub(crate) async fn run(connection: &ConnectionArgs, mut args: RegisterArgs) -> Result {
    resolve_aliases(connection, &mut args.lineage).await?;
    if let (Some(run), true) = (&args.run_id, args.lineage.is_empty()) {
        return Err(usage(
            "lineage",
            format!(
                "none is given; write for example `runlineage register {run} --input-model churn:3`"
            ),
        )
        .into());
    }
    let mlflow = connect::mlflow(connection, 4)?;
    let mirror = connect::mirror(connection).await?;
    match (args.run_id, args.from) {
        (Some(run), _) => {
            register(&mlflow, &mirror.store, &run, &args.lineage).await?;
            eprintln!("Registered; `runlineage show {run}` shows it.");
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(file)) => register_file(&mlflow, &mirror.store, &file).await,
        (None, None) => Err(usage("RUN_ID", "none is given, and no `--from FILE` either").into()),
    }
}

async fn register(
    mlflow: &MlflowClient,
    store: &MongoRunStore,
    run: &RunId,
    args: &LineageArgs,
) -> Result<()> {
    let mut registration = lineage::of(&mlflow.run(run.as_str()).await?)?;
    for ModelArg { name, version, .. } in &args.input_model {
        registration = registration.with_input_model(name, version.as_deref());
    }
    for ModelArg { name, version, .. } in &args.output_model {
        registration = registration.with_output_model(name, version.as_deref());
    }
    for ArtifactArg { run, path } in &args.input_artifact {
        registration = registration.with_input_artifact(run, path.as_deref());
    }
    for ArtifactArg { run, path } in &args.output_artifact {
        registration = registration.with_output_artifact(run, path.as_deref());
    }
    registration.register(mlflow, store).await?;
    Ok(())
}

/// Registers line by line; a bad line is reported and does not stop the others.
async fn register_file(mlflow: &MlflowClient, store: &MongoRunStore, file: &str) -> Result {
    let input: Box<dyn BufRead> = match file {
        "-" => Box::new(BufReader::new(std::io::stdin())),
        _ => Box::new(BufReader::new(
            std::fs::File::open(file).with_context(|| format!("cannot open {file}"))?,
        )),
    };
    let (mut registered, mut failed) = (0, 0);
    for (number, line) in (1..).zip(input.lines()) {
        let line = line.with_context(|| format!("cannot read {file}"))?;
        if line.trim().is_empty() {
            continue;
        }
        match register_line(mlflow, store, &line).await {
            Ok(()) => registered += 1,
            Err(error) => {
                failed += 1;
                eprintln!("line {number}: {error:#}");
            }
        }
    }
    eprintln!("{registered} runs registered, {failed} lines failed.");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn register_line(mlflow: &MlflowClient, store: &MongoRunStore, line: &str) -> Result<()> {
    let line: Line = serde_json::from_str(line)
        .context("it is not {\"_id\": RUN_ID, \"inputs\": …, \"outputs\": …}")?;
    let models = |models: Vec<Model>| {
        models
            .into_iter()
            .map(|Model { name, version }| ModelArg {
                name,
                version,
                alias: None,
            })
            .collect()
    };
    let runs = |runs: Vec<Artifact>| {
        runs.into_iter()
            .map(|Artifact { id, path }| ArtifactArg { run: id, path })
            .collect()
    };
    let args = LineageArgs {
        input_model: models(line.inputs.models),
        output_model: models(line.outputs.models),
        input_artifact: runs(line.inputs.runs),
        output_artifact: runs(line.outputs.runs),
    };
    register(mlflow, store, &line.run.parse()?, &args).await
}
