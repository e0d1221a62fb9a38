//! `sync`: mirrors MLflow, shows progress, ends with a report.

use std::process::ExitCode;

use runlineage::sync::{Report, Sync};

use super::Result;
use crate::args::{ConnectionArgs, ReportFormat, SyncArgs};
use crate::connect;
use crate::output::table;
use crate::progress::Bar;

pub(crate) async fn run(connection: &ConnectionArgs, args: SyncArgs) -> Result {
    let concurrency = usize::from(args.concurrency);
    let mlflow = connect::mlflow(connection, concurrency)?;
    let mirror = connect::mirror(connection).await?;
    let bar = Bar::new();
    let report = Sync::new(&mlflow, &mirror.store)
        .only(args.exp)
        .except(args.exclude_exp)
        .concurrency(concurrency)
        .page_size(args.page_size)
        .allow_mass_delete(args.allow_mass_delete)
        .run(|progress| bar.show(progress))
        .await;
    bar.finish();
    let report = report?;
    print(&report, args.format)?;
    Ok(if report.incomplete.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, format: ReportFormat) -> Result<()> {
    for incomplete in &report.incomplete {
        eprintln!(
            "incomplete: experiment {}: {}",
            incomplete.experiment, incomplete.reason
        );
    }
    if report.problems > 0 {
        eprintln!(
            "{} mirrored runs have recorded problems: `runlineage find --problems` lists them.",
            report.problems
        );
    }
    match format {
        ReportFormat::Json => println!("{}", serde_json::to_string(report)?),
        ReportFormat::Table => {
            let counts = [
                ("seen", report.seen),
                ("written", report.written),
                ("unchanged", report.unchanged),
                ("deleted", report.deleted),
                ("quarantined", report.quarantined),
                ("problems", report.problems),
            ];
            let cells = counts.map(|(_, count)| count.to_string());
            println!(
                "{}",
                table(&counts.map(|(name, _)| name.to_owned()), [cells.to_vec()])
            );
            let rate = report.seen as f64 / report.seconds.max(0.001);
            eprintln!(
                "{} experiments in {:.1} s, {rate:.0} runs/s.",
                report.experiments, report.seconds
            );
        }
    }
    Ok(())
}
