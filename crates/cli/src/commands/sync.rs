//! `sync`: mirrors MLflow once and prints a report, or keeps the mirror fresh with `--every`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use runlineage::MongoRunStore;
use runlineage::sync::{Incomplete, PassEnded, PassKind, Report, SyncJob, Watch};

use super::Result;
use super::stop::cancelled_by_signals;
use crate::args::{ConnectionArgs, ModelInputs, ReportFormat, SyncArgs};
use crate::monitor::Monitor;
use crate::output::{ago, table};
use crate::progress::Bar;
use crate::say::{self, counted, say};
use crate::stdout::stdout;
use crate::{connect, pass_log};

pub(crate) async fn run(connection: &ConnectionArgs, args: SyncArgs) -> Result {
    let concurrency = usize::from(args.concurrency);
    let mlflow = connect::mlflow(connection, concurrency)?;
    let mirror = connect::mirror(connection).await?;
    let job = SyncJob::new(&mlflow, &mirror.store)
        .only(args.exp.iter().cloned())
        .except(args.exclude_exp.iter().cloned())
        .concurrency(concurrency)
        .page_size(args.page_size)
        .allow_mass_delete(args.allow_mass_delete)
        .registry(!args.no_registry)
        .exact_model_inputs(args.model_inputs == ModelInputs::Exact)
        .wait_for_lease(args.every.is_some());
    for id in &args.forget_experiment {
        let forgotten = job.forget_experiment(id).await?;
        say!(
            "Experiment {id}: {} removed.",
            counted(forgotten, "mirrored run")
        );
    }
    for name in &args.forget_model {
        let forgotten = job.forget_model(name).await?;
        say!(
            "Registered model {name}: {} removed.",
            counted(forgotten, "mirrored version")
        );
    }
    match args.every {
        Some(every) => keep_fresh(job, &mirror.store, every, &args).await,
        None => once(&job, &args).await,
    }
}

async fn keep_fresh(
    job: SyncJob,
    store: &MongoRunStore,
    every: Duration,
    args: &SyncArgs,
) -> Result {
    let monitor = Monitor::of(store, every);
    // Before the signal handlers are set, so that a signal still ends the program at once.
    if let Some(address) = args.metrics_listen {
        monitor.serve(address).await?;
    }
    let stop = cancelled_by_signals()?;
    let bar = Bar::new();
    let watch = Watch::new(job, every)
        .full_every(args.full_every)
        .lookback(args.settle);
    let progress = |progress| bar.show(progress);
    let ended = |pass: PassEnded<'_>| {
        if pass.beside_full {
            bar.print_during_pass(|| monitor.ended(&pass));
        } else {
            bar.print_after_pass(|| monitor.ended(&pass));
        }
    };
    let watched = watch.run(&stop, progress, ended).await;
    bar.finish();
    watched?;
    say!("Stopped. The next sync resumes here.");
    Ok(ExitCode::SUCCESS)
}

async fn once(job: &SyncJob, args: &SyncArgs) -> Result {
    let stop = cancelled_by_signals()?;
    let bar = Bar::new();
    let report = job.run_until(&stop, |progress| bar.show(progress)).await;
    bar.finish();
    let Some(report) = report? else {
        say!("Stopped before the end of the pass. The next sync resumes here.");
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
    if say::is_json() {
        pass_log::ended(PassKind::Full, report);
    } else {
        if let Some(began) = report.resumed_from {
            say!(
                "This pass resumed the interrupted pass that began {}. It did not read the runs again that the interrupted pass had read.",
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
        let have = if report.problems == 1 { "has" } else { "have" };
        say!(
            "{} {have} recorded problems. `runlineage find --problems` lists them.",
            counted(report.problems, "mirrored run")
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
            let (experiments, seconds) = (report.experiments, report.took.as_secs_f64());
            let rate = report.seen as f64 / seconds.max(0.001);
            let experiments = counted(experiments, "experiment");
            say!("{experiments} in {seconds:.1} s, {rate:.0} runs/s.");
            let registry = &report.registry;
            let models = counted(registry.models.seen, "registered model");
            let versions = counted(registry.versions.seen, "version");
            let logged_models = counted(registry.logged_models.seen, "logged model");
            let all = [registry.models, registry.versions, registry.logged_models];
            let written: u64 = all.iter().map(|counts| counts.written).sum();
            let deleted: u64 = all.iter().map(|counts| counts.deleted).sum();
            if all.iter().any(|counts| counts.seen + counts.deleted > 0) {
                say!(
                    "{models}, {versions} and {logged_models}: {written} written, {deleted} deleted."
                );
            }
        }
    }
    Ok(())
}
