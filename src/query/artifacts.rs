//! Query builders for artifacts: below a path, and by a path in any run.

use super::{Query, Term};
use crate::node::{Direction, Kind, Node, Refused};

impl Query {
    /// Runs that read this path of this run or any path below it. `data` covers `data/train.parquet`, not `database`.
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
        self.with_term(artifact_under(Direction::Input, run_id, path))
    }

    /// Runs that wrote this path of this run or any path below it.
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
        self.with_term(artifact_under(Direction::Output, run_id, path))
    }

    /// Runs that read this path of any run.
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
        self.with_term(path_of_any_run(Direction::Input, path, false))
    }

    /// Runs that wrote this path of any run.
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
        self.with_term(path_of_any_run(Direction::Output, path, false))
    }

    /// Runs that read this path or any path below it, of any run.
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
        self.with_term(path_of_any_run(Direction::Input, path, true))
    }

    /// Runs that wrote this path or any path below it, of any run.
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
        self.with_term(path_of_any_run(Direction::Output, path, true))
    }
}

fn artifact_under(direction: Direction, run_id: &str, path: &str) -> Result<Term, Refused> {
    let node = Node::checked(Kind::ARTIFACT, run_id, Some(trimmed(path)?))?;
    Ok(Term::Under { direction, node })
}

fn path_of_any_run(direction: Direction, path: &str, under: bool) -> Result<Term, Refused> {
    Ok(Term::Path {
        direction,
        kind: Kind::ARTIFACT,
        path: trimmed(path)?.to_owned(),
        under,
    })
}

fn trimmed(path: &str) -> Result<&str, Refused> {
    match path.trim_matches('/') {
        "" => Err(Refused::argument(
            "path",
            "must not be empty; to find every artifact of a run, leave out the path",
        )),
        path => Ok(path),
    }
}
