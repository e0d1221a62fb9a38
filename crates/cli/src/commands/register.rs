//! `register`: lineage of one run by flags, or of many from a file.

mod line;

use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;

use anyhow::Context;
use runlineage::lineage::{Direction, NodeArg};
use runlineage::{MlflowClient, MongoRunStore, RunId, lineage};

use super::Result;
use super::find::resolve;
use crate::args::{ConnectionArgs, LineageArgs, RegisterArgs};
use crate::connect::{self, usage};
use crate::say::say;

/// What editors of Windows put before the text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(crate) async fn run(connection: &ConnectionArgs, mut args: RegisterArgs) -> Result {
    resolve(connection, &mut args.lineage).await?;
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
            say!("Registered; `runlineage show {run}` shows it.");
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
    let mut registration = lineage::of(&mlflow.run(run).await?)?;
    for (direction, node) in &args.nodes {
        let NodeArg::Node(node) = node.clone() else {
            continue;
        };
        registration = match direction {
            Direction::Input => registration.with_input(node),
            Direction::Output => registration.with_output(node),
        };
    }
    registration.register(mlflow, store).await?;
    Ok(())
}

/// Registers line by line; a bad line is reported and does not stop the others.
async fn register_file(mlflow: &MlflowClient, store: &MongoRunStore, file: &str) -> Result {
    let input: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).with_context(|| format!("cannot open {file}"))?),
    };
    let (mut registered, mut failed) = (0, 0);
    // As bytes: a line that is no text is the affair of that line alone.
    for (number, line) in (1..).zip(BufReader::new(input).split(b'\n')) {
        let line = line.with_context(|| format!("cannot read {file}"))?;
        let line = match number {
            1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line),
            _ => &line,
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        match register_line(mlflow, store, line).await {
            Ok(()) => registered += 1,
            Err(error) => {
                failed += 1;
                say!("line {number}: {error:#}");
            }
        }
    }
    say!("{registered} runs registered, {failed} lines failed.");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn register_line(mlflow: &MlflowClient, store: &MongoRunStore, line: &[u8]) -> Result<()> {
    let (run, lineage) = line::parse(line)?;
    register(mlflow, store, &run, &lineage).await
}
