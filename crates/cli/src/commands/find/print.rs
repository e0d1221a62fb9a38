//! Prints runs, facets, distinct values and query plans.

use std::io::Write;
use std::mem;
use std::process::ExitCode;

use bson::Bson;
use futures::TryStreamExt;
use runlineage::mongo::{FacetCount, QueryPlan};
use runlineage::{Run, RunStream};
use runlineage_server::answer::{RunWriter, facet_csv, facet_json, value_text};
use tokio::task::spawn_blocking;

use super::super::Result;
use crate::args::Format;
use crate::output::table;
use crate::say::say;
use crate::stdout::{csv_failed, stdout};

/// Output is written in chunks of this many bytes.
const CHUNK: usize = 64 * 1024;
/// The rows of one table. More rows follow in another table.
const TABLE_ROWS: usize = 1_000;

/// Prints a stream of runs, up to a limit.
pub(super) struct Printer {
    pub(super) writer: RunWriter,
    pub(super) limit: u32,
    pub(super) shown: u64,
    /// Whether the stream had more runs than the limit.
    pub(super) more: bool,
}

impl Printer {
    /// The next run within the limit.
    async fn next(&mut self, runs: &mut RunStream) -> Result<Option<Run>> {
        let Some(run) = runs.try_next().await? else {
            return Ok(None);
        };
        if self.limit > 0 && self.shown == u64::from(self.limit) {
            self.more = true;
            return Ok(None);
        }
        self.shown += 1;
        Ok(Some(run))
    }

    pub(super) async fn table(&mut self, mut runs: RunStream) -> Result<()> {
        let mut rows = Vec::new();
        while let Some(run) = self.next(&mut runs).await? {
            rows.push(self.writer.row(&run)?);
            // One table needs all its rows for their widths, and the runs of a large mirror do not fit memory.
            if rows.len() == TABLE_ROWS {
                let full = table(&self.writer.header(), mem::take(&mut rows)).to_string() + "\n";
                write_in_thread(full.into_bytes()).await?;
            }
        }
        if self.shown == 0 {
            say!("No run matches.");
        } else if !rows.is_empty() {
            writeln!(stdout(), "{}", table(&self.writer.header(), rows))?;
        }
        Ok(())
    }

    pub(super) async fn csv(&mut self, mut runs: RunStream) -> Result<()> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(self.writer.header()).map_err(csv_failed)?;
        while let Some(run) = self.next(&mut runs).await? {
            out.write_record(self.writer.row(&run)?)
                .map_err(csv_failed)?;
            if out.get_ref().len() >= CHUNK {
                let full = mem::replace(&mut out, csv::Writer::from_writer(Vec::new()));
                write_in_thread(full.into_inner().map_err(csv::IntoInnerError::into_error)?)
                    .await?;
            }
        }
        let rest = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
        stdout().write_all(&rest)?;
        stdout().flush()?;
        Ok(())
    }

    pub(super) async fn ndjson(&mut self, mut runs: RunStream) -> Result<()> {
        let mut out = Vec::with_capacity(2 * CHUNK);
        while let Some(run) = self.next(&mut runs).await? {
            self.writer.json(&run, &mut out)?;
            out.push(b'\n');
            if out.len() >= CHUNK {
                write_in_thread(mem::replace(&mut out, Vec::with_capacity(2 * CHUNK))).await?;
            }
        }
        stdout().write_all(&out)?;
        stdout().flush()?;
        Ok(())
    }

    pub(super) async fn json(&mut self, mut runs: RunStream) -> Result<()> {
        let mut out = Vec::with_capacity(2 * CHUNK);
        while let Some(run) = self.next(&mut runs).await? {
            out.extend_from_slice(if self.shown == 1 { b"[\n" } else { b",\n" });
            self.writer.json(&run, &mut out)?;
            if out.len() >= CHUNK {
                write_in_thread(mem::replace(&mut out, Vec::with_capacity(2 * CHUNK))).await?;
            }
        }
        out.extend_from_slice(if self.shown == 0 { b"[]\n" } else { b"\n]\n" });
        stdout().write_all(&out)?;
        stdout().flush()?;
        Ok(())
    }
}

/// Writes in another thread, since the driver must serve its connections even while a reader pauses.
async fn write_in_thread(chunk: Vec<u8>) -> Result<()> {
    spawn_blocking(move || stdout().write_all(&chunk)).await??;
    Ok(())
}

pub(super) fn facets(counts: Vec<FacetCount>, format: Format) -> Result {
    let mut out = stdout();
    match format {
        Format::Table | Format::Csv => {
            let rows = counts
                .iter()
                .map(|count| vec![count.runs.to_string(), value_text(&count.value)]);
            if format == Format::Table {
                let header = ["runs", "value"].map(str::to_owned);
                writeln!(out, "{}", table(&header, rows))?;
            } else {
                facet_csv(out, &counts).map_err(csv_failed)?;
            }
        }
        Format::Ndjson | Format::Json => {
            let values = facet_json(counts);
            if format == Format::Json {
                writeln!(out, "{}", serde_json::Value::from(values))?;
            } else {
                for value in values {
                    writeln!(out, "{value}")?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn distinct(values: Vec<Bson>) -> Result {
    let mut out = stdout();
    for value in values {
        writeln!(out, "{}", value.into_relaxed_extjson())?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn explain(plan: &QueryPlan) -> Result {
    let served = match (plan.examines_all, plan.indexes.is_empty()) {
        (true, true) => "no index: MongoDB reads every run".to_owned(),
        (true, false) => format!("{} for the order only", plan.indexes.join(", ")),
        (false, true) => "the collection's own order".to_owned(),
        (false, false) => plan.indexes.join(", "),
    };
    let header = [
        "index",
        "keys examined",
        "runs examined",
        "runs returned",
        "ms",
    ]
    .map(str::to_owned);
    let counts = [
        plan.keys_examined,
        plan.runs_examined,
        plan.runs_found,
        plan.millis,
    ]
    .map(|count| count.to_string());
    let row = [served].into_iter().chain(counts).collect();
    writeln!(stdout(), "{}", table(&header, [row]))?;
    Ok(ExitCode::SUCCESS)
}
