//! Prints runs, facets, distinct values and query plans.

use std::io::Write;
use std::mem;
use std::process::ExitCode;

use bson::{Bson, Document};
use futures::TryStreamExt;
use runlineage::mongo::{FacetCount, QueryPlan};
use runlineage::{Run, RunStream};
use tokio::task::spawn_blocking;

use super::super::Result;
use super::trim;
use crate::args::Format;
use crate::args::{Column, ColumnArg};
use crate::cell::{cell, value_text};
use crate::output::table;
use crate::pages::Pages;
use crate::say::say;
use crate::stdout::{csv_failed, stdout};

/// Output is written in chunks of this many bytes.
const CHUNK: usize = 64 * 1024;
/// The rows of one table. More rows follow in another table.
const TABLE_ROWS: usize = 1_000;

/// Prints a stream of runs, up to a limit.
pub(super) struct Printer {
    pub(super) links: Option<Pages>,
    pub(super) columns: Vec<ColumnArg>,
    /// Whether JSON, too, has only the columns.
    pub(super) trims: bool,
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
            rows.push(self.row(&run)?);
            // One table needs all its rows for their widths, and the runs of a large mirror do not fit memory.
            if rows.len() == TABLE_ROWS {
                let full = table(&self.header(), mem::take(&mut rows)).to_string() + "\n";
                write_in_thread(full.into_bytes()).await?;
            }
        }
        if self.shown == 0 {
            say!("No run matches.");
        } else if !rows.is_empty() {
            writeln!(stdout(), "{}", table(&self.header(), rows))?;
        }
        Ok(())
    }

    pub(super) async fn csv(&mut self, mut runs: RunStream) -> Result<()> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(self.header()).map_err(csv_failed)?;
        while let Some(run) = self.next(&mut runs).await? {
            out.write_record(self.row(&run)?).map_err(csv_failed)?;
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
            self.write(&run, &mut out)?;
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
            self.write(&run, &mut out)?;
            if out.len() >= CHUNK {
                write_in_thread(mem::replace(&mut out, Vec::with_capacity(2 * CHUNK))).await?;
            }
        }
        out.extend_from_slice(if self.shown == 0 { b"[]\n" } else { b"\n]\n" });
        stdout().write_all(&out)?;
        stdout().flush()?;
        Ok(())
    }

    fn write(&self, run: &Run, out: &mut Vec<u8>) -> Result<()> {
        if self.trims {
            trim::to_columns(run, &self.columns)?.write_json(out)?;
        } else {
            run.write_json(out)?;
        }
        if let Some(link) = self.link(run) {
            // The link replaces the closing brace.
            out.pop();
            out.extend_from_slice(b",\"url\":");
            serde_json::to_writer(&mut *out, &link)?;
            out.push(b'}');
        }
        Ok(())
    }

    fn row(&self, run: &Run) -> Result<Vec<String>> {
        let document = run.to_document()?;
        let cell = |column: &ColumnArg| match &column.what {
            Column::Field(field) => cell(&document, field),
            Column::Link => self.link(run).unwrap_or_default(),
        };
        Ok(self.columns.iter().map(cell).collect())
    }

    fn header(&self) -> Vec<String> {
        let name = |column: &ColumnArg| column.name.clone();
        self.columns.iter().map(name).collect()
    }

    fn link(&self, run: &Run) -> Option<String> {
        self.links.as_ref()?.run(run)
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
                facets_as_csv(out, &counts)?;
            }
        }
        Format::Ndjson | Format::Json => {
            let json = |count: FacetCount| serde_json::json!({ "value": count.value.into_relaxed_extjson(), "runs": count.runs });
            let values: Vec<_> = counts.into_iter().map(json).collect();
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

/// Prints each field of a value, such as name and version of a model, in a column of its own.
fn facets_as_csv(out: impl Write, counts: &[FacetCount]) -> Result<()> {
    let mut fields: Vec<&str> = Vec::new();
    for count in counts {
        for field in count
            .value
            .as_document()
            .into_iter()
            .flat_map(Document::keys)
        {
            if !fields.contains(&field.as_str()) {
                fields.push(field);
            }
        }
    }
    let mut csv = csv::Writer::from_writer(out);
    let columns = if fields.is_empty() {
        &["value"][..]
    } else {
        &fields
    };
    let header = ["runs"].iter().chain(columns);
    csv.write_record(header).map_err(csv_failed)?;
    for count in counts {
        let runs = count.runs.to_string();
        let values = match &count.value {
            Bson::Document(value) => fields
                .iter()
                .map(|field| value.get(field).map(value_text).unwrap_or_default())
                .collect(),
            value => vec![value_text(value)],
        };
        let row = [runs].into_iter().chain(values);
        csv.write_record(row).map_err(csv_failed)?;
    }
    csv.flush()?;
    Ok(())
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
