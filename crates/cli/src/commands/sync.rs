//! `sync`: mirrors MLflow once and reports, or keeps the mirror fresh.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use runlineage::MongoRunStore;
use runlineage::sync::{Incomplete, PassEnded, PassKind, Report, Sync, Watch};
use tokio::signal::unix::{SignalKind, signal};

use super::Result;
use crate::args::{ConnectionArgs, ReportFormat, SyncArgs};
use crate::monitor::Monitor;
use crate::output::{ago, table};
use crate::progress::Bar;
use crate::say::{self, say};
use crate::stdout::stdout;
use crate::{connect, pass_log};

pub(crate) async fn run(connection: &ConnectionArgs, args: SyncArgs) -> Result {
    let concurrency = usize::from(args.concurrency);
    let mlflow = connect::mlflow(connection, concurrency)?;
    let mirror = connect::mirror(connection).await?;
    let sync = Sync::new(&mlflow, &mirror.store)
        .only(args.exp.iter().cloned())
        .except(args.exclude_exp.iter().cloned())
        .concurrency(concurrency)
        .page_size(args.page_size)
        .allow_mass_delete(args.allow_mass_delete);
    for id in &args.forget_experiment {
        let forgotten = sync.forget_experiment(id).await?;
        say!("Experiment {id}: {forgotten} mirrored runs removed.");
    }
    match args.every {
        Some(every) => keep_fresh(sync, &mirror.store, every, &args).await,
        None => once(&sync, &args).await,
    }
}

async fn keep_fresh(sync: Sync, store: &MongoRunStore, every: Duration, args: &SyncArgs) -> Result {
    let monitor = Monitor::of(store);
    // Before signals are caught: until then, one ends the program at once.
    if let Some(address) = args.metrics_listen {
        monitor.serve(address).await?;
    }
    let stop = stopped()?;
    let bar = Bar::new();
    let watch = Watch::new(sync, every)
        .full_every(args.full_every)
        .settle(args.settle);
    let progress = |progress| bar.show(progress);
    let ended = |pass: PassEnded<'_>| bar.aside(|| monitor.ended(&pass));
    let watched = watch.run(stop, progress, ended).await;
    bar.finish();
    watched?;
    say!("Stopped; the next sync goes on from here.");
    Ok(ExitCode::SUCCESS)
}

async fn once(sync: &Sync, args: &SyncArgs) -> Result {
    let stop = stopped()?;
    let bar = Bar::new();
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

/// Ready when somebody asks the program to stop.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn print(report: &Report, format: ReportFormat) -> Result<()> {
    if say::is_json() {
        pass_log::ended(PassKind::Full, report.seconds, report);
    } else {
        if let Some(began) = report.resumed_from {
            say!(
                "This pass took up one that began {}; what that one had looked at was not looked at again.",
                ago(began)
            );
        }
        for Incomplete {
            experiment, reason, ..
        } in &report.incomplete
        {
            say!("incomplete: experiment {experiment}: {reason}");
        }
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
