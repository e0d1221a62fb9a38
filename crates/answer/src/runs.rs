//! Runs as JSON and as rows of CSV.

use runlineage::{Result, Run};

use super::{Column, NamedColumn, Pages, cell, trim};

/// Writes runs, whole or reduced to columns.
#[derive(Debug, Clone)]
pub struct RunWriter {
    /// The pages of the runs in MLflow, if each run gets its link.
    pub links: Option<Pages>,
    /// The columns of CSV.
    pub columns: Vec<NamedColumn>,
    /// Whether JSON, too, has only the columns.
    pub trims: bool,
}

impl RunWriter {
    /// Appends a run as one line of relaxed Extended JSON, without the line's end.
    ///
    /// # Errors
    /// [`runlineage::Error::Document`] for a stored document that is not a run.
    pub fn json(&self, run: &Run, out: &mut Vec<u8>) -> Result<()> {
        if self.trims {
            trim::to_columns(run, &self.columns)?.write_json(out)?;
        } else {
            run.write_json(out)?;
        }
        if let Some(link) = self.link(run) {
            // The link replaces the closing brace.
            out.pop();
            out.extend_from_slice(b",\"url\":");
            out.extend_from_slice(serde_json::Value::from(link).to_string().as_bytes());
            out.push(b'}');
        }
        Ok(())
    }

    /// The cells of a run.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub fn row(&self, run: &Run) -> Result<Vec<String>> {
        let document = run.to_document()?;
        let cell = |column: &NamedColumn| match &column.what {
            Column::Field(field) => cell::cell(&document, field),
            Column::Link => self.link(run).unwrap_or_default(),
        };
        Ok(self.columns.iter().map(cell).collect())
    }

    /// The names of the columns.
    #[must_use]
    pub fn header(&self) -> Vec<String> {
        let name = |column: &NamedColumn| column.name.clone();
        self.columns.iter().map(name).collect()
    }

    fn link(&self, run: &Run) -> Option<String> {
        self.links.as_ref()?.run(run)
    }
}
