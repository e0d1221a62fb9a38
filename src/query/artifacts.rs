//! Query builders for artifacts: of a run, in whatever run, under a path.

use bson::{Document, doc};

use super::{Query, render};
use crate::lineage::{Entry, Refused, Side};

impl Query {
    /// Runs that read this path of this run; no path means any, and a run recorded without one too.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_artifact("8f2c", "data/train.parquet").render()?,
    ///     doc! { "inputs.runs": { "$elemMatch": { "id": "8f2c", "path": "data/train.parquet" } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::artifact(Side::Inputs, run_id, path.into()))
    }

    /// Runs that wrote this path of this run; no path means any, and a run recorded without one too.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_artifact("8f2c", None).render()?,
    ///     doc! { "outputs.runs.id": "8f2c" }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::artifact(Side::Outputs, run_id, path.into()))
    }

    /// Runs that read this path or anything under it, of this run: `data` covers `data/train.parquet`, not `database`.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_artifact_under("8f2c", "data/").render()?,
    ///     doc! { "inputs.runs": { "$elemMatch": {
    ///         "id": "8f2c",
    ///         "$or": [{ "path": "data" }, { "path": { "$gte": "data/", "$lt": "data0" } }],
    ///     } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_artifact_under(self, run_id: &str, path: &str) -> Self {
        self.with_filter(artifact_under(Side::Inputs, run_id, path))
    }

    /// Runs that wrote this path or anything under it, of this run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_artifact_under("8f2c", "plots").render()?,
    ///     doc! { "outputs.runs": { "$elemMatch": {
    ///         "id": "8f2c",
    ///         "$or": [{ "path": "plots" }, { "path": { "$gte": "plots/", "$lt": "plots0" } }],
    ///     } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_artifact_under(self, run_id: &str, path: &str) -> Self {
        self.with_filter(artifact_under(Side::Outputs, run_id, path))
    }

    /// Runs that read this path, of whatever run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_path("data/train.parquet").render()?,
    ///     doc! { "inputs.runs.path": "data/train.parquet" }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_path(self, path: &str) -> Self {
        self.with_filter(path_of_any_run(Side::Inputs, path))
    }

    /// Runs that wrote this path, of whatever run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_path("/plots/").render()?,
    ///     doc! { "outputs.runs.path": "plots" }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_path(self, path: &str) -> Self {
        self.with_filter(path_of_any_run(Side::Outputs, path))
    }

    /// Runs that read this path or anything under it, of whatever run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_path_under("data/").render()?,
    ///     doc! { "$or": [
    ///         { "inputs.runs.path": "data" },
    ///         { "inputs.runs": { "$elemMatch": { "path": { "$gte": "data/", "$lt": "data0" } } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_path_under(self, path: &str) -> Self {
        self.with_filter(path_under(Side::Inputs, path))
    }

    /// Runs that wrote this path or anything under it, of whatever run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_path_under("plots").render()?,
    ///     doc! { "$or": [
    ///         { "outputs.runs.path": "plots" },
    ///         { "outputs.runs": { "$elemMatch": { "path": { "$gte": "plots/", "$lt": "plots0" } } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_path_under(self, path: &str) -> Self {
        self.with_filter(path_under(Side::Outputs, path))
    }
}

fn artifact_under(side: Side, run_id: &str, path: &str) -> Result<Document, Refused> {
    let run = Entry::artifact(side, run_id, None)?.key;
    let path = trimmed(path)?;
    Ok(doc! { format!("{side}.runs"): { "$elemMatch": {
        "id": run,
        "$or": [{ "path": path }, { "path": below(path) }],
    } } })
}

fn path_of_any_run(side: Side, path: &str) -> Result<Document, Refused> {
    Ok(doc! { format!("{side}.runs.path"): trimmed(path)? })
}

fn path_under(side: Side, path: &str) -> Result<Document, Refused> {
    let path = trimmed(path)?;
    Ok(render::any([
        doc! { format!("{side}.runs.path"): path },
        // Without `$elemMatch`, an index over an array gets one of the two bounds only.
        doc! { format!("{side}.runs"): { "$elemMatch": { "path": below(path) } } },
    ]))
}

/// What begins with the path and a slash; `0` comes right after `/`.
fn below(path: &str) -> Document {
    doc! { "$gte": format!("{path}/"), "$lt": format!("{path}0") }
}

fn trimmed(path: &str) -> Result<&str, Refused> {
    match path.trim_matches('/') {
        "" => Err(Refused::new(
            "path",
            "it is empty; every artifact of a run is found without a path",
        )),
        path => Ok(path),
    }
}
