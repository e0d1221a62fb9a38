//! `register`: records the lineage of one run from flags, or of many runs from a file.

mod file;
mod line;

use std::process::ExitCode;

use runlineage::lineage::{Direction, NodeArg};
use runlineage::{MlflowClient, MongoRunStore, RunId, lineage};

use super::Result;
use super::resolve;
use crate::args::{ConnectionArgs, LineageArgs, RegisterArgs};
use crate::connect::{self, usage};
use crate::say::say;

pub(crate) async fn run(connection: &ConnectionArgs, mut args: RegisterArgs) -> Result {
    resolve::in_mlflow(connection, &mut args.lineage).await?;
    if let (Some(run), true) = (&args.run_id, args.lineage.is_empty()) {
        return Err(usage(
            "lineage",
            format!(
                "none is given; add it, such as `runlineage register {run} --input-model churn:3`"
            ),
        )
        .into());
    }
    let mlflow = connect::mlflow(connection, file::CONCURRENT_LINES)?;
    let mirror = connect::mirror(connection).await?;
    match (args.run_id, args.from) {
        (Some(run), _) => {
            register(&mlflow, &mirror.store, &run, &args.lineage).await?;
            say!("Registered. `runlineage show {run}` shows the lineage.");
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(file)) => file::register(&mlflow, &mirror.store, &file, args.from_line).await,
        (None, None) => Err(usage(
            "RUN_ID",
            "none is given; give the id of a run, or `--from FILE`",
        )
        .into()),
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
