//! A run, its lineage, and the link to it in MLflow.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use runlineage::lineage::{Direction, Kind, LineageInfo};
use runlineage::mongo::DeletedRun;
use runlineage::{MongoRunStore, Run, RunId};
use runlineage_server::answer::at_path;

use super::super::Result;
use crate::args::ReportFormat;
use crate::output::{ago, printable, table};
use crate::pages::Pages;
use crate::say::say;
use crate::secret::masked;
use crate::stdout::stdout;

pub(super) async fn show(
    store: &MongoRunStore,
    id: &RunId,
    pages: Option<&Pages>,
    format: ReportFormat,
) -> Result {
    let id = id.as_str();
    let run = match store.get_run(id).await? {
        Some(run) => run,
        None => match store.get_deleted_run(id).await? {
            Some(deleted) => last_known(deleted),
            None => anyhow::bail!(
                "run {id} is not mirrored; if it is new in MLflow, run `runlineage sync` first"
            ),
        },
    };
    match format {
        ReportFormat::Json => {
            let mut line = Vec::new();
            run.write_json(&mut line)?;
            line.push(b'\n');
            stdout().write_all(&line)?;
        }
        ReportFormat::Table => {
            let text = text(&run, pages)?;
            stdout().write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The last known state of a run that was deleted in MLflow. Reports the deletion on stderr.
fn last_known(deleted: DeletedRun) -> Run {
    let when = deleted
        .deleted_at
        .map_or_else(|| "at an unknown time".to_owned(), ago);
    if deleted.purged {
        say!(
            "This run was deleted in MLflow and purged here. A sync noticed the deletion {when}. Only the id is kept."
        );
    } else {
        say!(
            "This run was deleted in MLflow. A sync noticed that {when}. This is the last mirrored state."
        );
    }
    deleted.run
}

/// Renders the whole run before printing: half a run on stdout would look complete.
fn text(run: &Run, pages: Option<&Pages>) -> Result<String> {
    let (document, lineage) = (run.to_document()?, run.lineage()?);
    let mut text = String::new();
    for field in [
        "_id",
        "name",
        "exp.name",
        "exp.id",
        "status",
        "start_time",
        "end_time",
        "user",
        "repo",
    ] {
        let value = at_path(&document, field);
        if !value.is_empty() {
            writeln!(text, "{field:<11} {}", printable(&masked(&value)))?;
        }
    }
    if let Some(page) = pages.and_then(|pages| pages.run(run)) {
        writeln!(text, "{:<11} {}", "in MLflow", printable(&page))?;
    }
    let rows: Vec<_> = rows(Direction::Input, &lineage.inputs)
        .chain(rows(Direction::Output, &lineage.outputs))
        .collect();
    if rows.is_empty() {
        writeln!(text, "\nThis run has no lineage.")?;
    } else {
        let header = ["", "name or id", "version, path or digest"].map(str::to_owned);
        writeln!(text, "\n{}", table(&header, rows))?;
    }
    let problems = run.problems();
    if !problems.is_empty() {
        let header = ["problem with", "reason"].map(str::to_owned);
        let rows = problems
            .into_iter()
            .map(|problem| vec![problem.key, problem.reason]);
        writeln!(text, "\n{}", table(&header, rows))?;
    }
    Ok(text)
}

fn rows(direction: Direction, side: &LineageInfo) -> impl Iterator<Item = Vec<String>> + '_ {
    Kind::of_direction(direction).flat_map(move |kind| {
        side.of_kind(kind).iter().map(move |(key, details)| {
            let details: Vec<&str> = details.iter().map(String::as_str).collect();
            let what = kind.flag(direction).replace('-', " ");
            vec![what, key.clone(), details.join("\n")]
        })
    })
}
