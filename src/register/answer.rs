//! [`RunAnswer`]: a run as MLflow shows it, and the tags that a registration has to set on it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::Registration;
use crate::codec::tags;
use crate::error::{Error, Result};
use crate::mlflow::document;
use crate::mlflow::wire::RawRun;
use crate::node::{Direction, Node, Reference};

/// Programs such as mlopus replace whole tags. A program that does so at the same moment can undo an attempt.
const MAX_ATTEMPTS: usize = 10;

/// A run as MLflow shows it: the object `run` in its answer to `runs/get`.
///
/// A program that has another client of MLflow parses that client's answer into this type, and sets the tags itself.
#[derive(Debug, Clone)]
pub struct RunAnswer(RawRun);

impl Registration {
    /// The tags to set on the run, so that it records the additions; `None` if it does. What MLflow itself records needs no tag.
    ///
    /// Set the tags, read the run again and repeat, because another program may replace whole tags at the same time. `attempt` is
    /// how many times the tags have been set so far.
    ///
    /// ```
    /// use runlineage::lineage::{self, RunAnswer};
    ///
    /// let run = r#"{ "info": { "run_id": "8f2c", "experiment_id": "1" }, "data": { "tags": [] } }"#;
    /// let run: RunAnswer = run.parse()?;
    /// let registration = lineage::of_id("8f2c".parse()?).with_input_model("churn", "3");
    /// let tags = registration.tags_to_set(&run, 0)?.expect("the run records nothing");
    /// assert_eq!(tags["lineage.inputs.models.churn"], r#"["3"]"#);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`] for the first bad argument.
    /// - [`Error::RunDeleted`] when the run is deleted.
    /// - [`Error::TagsOverwritten`] when another program overwrote the tags after every attempt.
    pub fn tags_to_set(
        &self,
        run: &RunAnswer,
        attempt: usize,
    ) -> Result<Option<BTreeMap<String, String>>> {
        self.lineage.check()?;
        if run.0.is_deleted() {
            return Err(Error::RunDeleted {
                run: self.run.to_string(),
            });
        }
        let tags = run.0.data.tags.iter();
        let present: BTreeMap<String, String> = tags
            .map(|tag| (tag.key.clone(), tag.value.clone()))
            .collect();
        let native = run.native_nodes();
        let is_native =
            |added: &&Reference| native.contains(&(added.direction, added.node.clone()));
        let added = self.added.iter().filter(|added| !is_native(added));
        let added: BTreeSet<Reference> = added.cloned().collect();
        let missing = tags::write(&added, &present)?;
        if missing.is_empty() {
            return Ok(None);
        }
        if attempt < MAX_ATTEMPTS {
            return Ok(Some(missing));
        }
        if tags::is_recorded(&added, &present) {
            return Ok(None);
        }
        Err(Error::TagsOverwritten {
            run: self.run.to_string(),
            attempts: MAX_ATTEMPTS,
        })
    }
}

impl RunAnswer {
    /// The id of the run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.info.run_id
    }

    /// What MLflow itself records that the run read and wrote: datasets, logged models and prompts.
    #[must_use]
    pub fn native_nodes(&self) -> BTreeSet<(Direction, Node)> {
        document::native_nodes(&self.0)
    }

    pub(super) fn raw(&self) -> &RawRun {
        &self.0
    }
}

impl FromStr for RunAnswer {
    type Err = Error;

    /// Parses the JSON of the object `run`.
    fn from_str(json: &str) -> Result<Self> {
        serde_json::from_str(json).map(Self).map_err(|error| {
            Error::invalid_argument("run", format!("it is not MLflow's JSON of a run: {error}"))
        })
    }
}

impl From<RawRun> for RunAnswer {
    fn from(raw: RawRun) -> Self {
        Self(raw)
    }
}
