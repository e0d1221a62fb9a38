//! `sync`: mirrors MLflow once and reports, or keeps the mirror fresh.

use std::io::Write;
use std::process::ExitCode;

use runlineage::sync::{Report, Sync, Watch};
use tokio::signal::unix::{SignalKind, signal};

use super::Result;
use crate::args::{ConnectionArgs, ReportFormat, SyncArgs};
use crate::connect;
use crate::monitor::Monitor;
use crate::output::table;
use crate::progress::Bar;
use crate::say::say;
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: SyncArgs) -> Result {
    let concurrency = usize::from(args.concurrency);
    let mlflow = connect::mlflow(connection, concurrency)?;
    let mirror = connect::mirror(connection).await?;
    let sync = Sync::new(&mlflow, &mirror.store)
        .only(args.exp)
        .except(args.exclude_exp)
        .concurrency(concurrency)
        .page_size(args.page_size)
        .allow_mass_delete(args.allow_mass_delete);
    for id in &args.forget_experiment {
        let forgotten = sync.forget_experiment(id).await?;
        say!("Experiment {id}: {forgotten} mirrored runs removed.");
    }
    let monitor = Monitor::of(&mirror.store);
    // Before signals are caught: until then, one ends the program at once.
    if let Some(address) = args.metrics_listen {
        monitor.serve(address).await?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let bar = Bar::new();
    if let Some(every) = args.every {
        let watch = Watch::new(sync, every)
            .full_every(args.full_every)
            .settle(args.settle);
        watch
            .run(
                stop,
                |progress| bar.show(progress),
                |pass| bar.aside(|| monitor.ended(&pass)),
            )
            .await?;
        say!("Stopped; the next sync goes on from here.");
        return Ok(ExitCode::SUCCESS);
    }
    let report = sync.run_until(|progress| bar.show(progress), stop).await;
    bar.finish();
    let Some(report) = report? else {
        say!("Stopped before the end; the next sync goes on from here.");
        return Ok(ExitCode::FAILURE);
    };
    print(&report, args.format)?;
    let is_clean = report.problems == 0 && report.quarantined == 0;
    let done = report.incomplete.is_empty() && (is_clean || !args.strict);
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, format: ReportFormat) -> Result<()> {
    for incomplete in &report.incomplete {
        say!(
            "incomplete: experiment {}: {}",
            incomplete.experiment,
            incomplete.reason
        );
    }
    if report.problems > 0 {
        let problems = report.problems;
        say!(
            "{problems} mirrored runs have recorded problems: `runlineage find --problems` lists them."
        );
    }
    match format {
        ReportFormat::Json => writeln!(stdout(), "{}", serde_json::to_string(report)?)?,
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
            writeln!(
                stdout(),
                "{}",
                table(&counts.map(|(name, _)| name.to_owned()), [cells.to_vec()])
            )?;
            let rate = report.seen as f64 / report.seconds.max(0.001);
            let (experiments, seconds) = (report.experiments, report.seconds);
            say!("{experiments} experiments in {seconds:.1} s, {rate:.0} runs/s.");
        }
    }
    Ok(())
}
