//! `verify`: compares the mirror with MLflow and lists every difference.

use std::io::Write;
use std::process::ExitCode;

use runlineage::sync::SyncJob;

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, ReportFormat, VerifyArgs};
use crate::connect;
use crate::output::table;
use crate::progress::Bar;
use crate::say::{self, say};
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: VerifyArgs) -> Result {
    let mlflow = connect::mlflow(connection, 4)?;
    let mirror = connect::mirror(connection).await?;
    if !say_freshness(&mirror.store).await? {
        return Ok(ExitCode::FAILURE);
    }
    let job = SyncJob::new(&mlflow, &mirror.store)
        .only(args.exp)
        .except(args.exclude_exp)
        .registry(!args.no_registry);
    let bar = Bar::new();
    let verification = job.verify(|progress| bar.show(progress)).await;
    bar.finish();
    let verification = verification?;
    let differences = &verification.differences;
    match args.format {
        ReportFormat::Json => writeln!(stdout(), "{}", serde_json::to_string(&verification)?)?,
        ReportFormat::Table if differences.is_empty() => {}
        ReportFormat::Table => {
            let header = ["run", "", "what"].map(str::to_owned);
            let row = |difference: &runlineage::sync::Difference| {
                vec![
                    difference.subject(),
                    difference.kind.to_owned(),
                    difference.what.clone(),
                ]
            };
            writeln!(stdout(), "{}", table(&header, differences.iter().map(row)))?;
        }
    }
    let of_kind = |kind| {
        differences
            .iter()
            .filter(|difference| difference.kind == kind)
            .count()
    };
    let [missing, extra, stale] = ["missing", "extra", "stale"].map(of_kind);
    let seen = say::counted(verification.seen, "run");
    say!("{seen} compared: {missing} missing, {extra} extra, {stale} stale.");
    for incomplete in &verification.incomplete {
        say!("incomplete: {}", incomplete.reason);
    }
    Ok(
        if differences.is_empty() && verification.incomplete.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
    )
}
