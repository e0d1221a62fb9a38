//! The vocabulary: what a run read ([`Inputs`]) and what it wrote ([`Outputs`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::error::{Error, Result};

pub use crate::register::{Registration, of};

/// What a run read: models by version, artifacts of other runs by path.
pub type Inputs = LineageInfo;

/// What a run wrote: models by version, artifacts of runs by path.
pub type Outputs = LineageInfo;

/// What one run read and wrote.
///
/// ```
/// use runlineage::Lineage;
///
/// let lineage = Lineage::new()
///     .with_input_model("churn", "3")
///     .with_input_artifact("8f2c", "/data/train.parquet/")
///     .with_output_model("churn-report", None);
///
/// assert!(lineage.inputs.models["churn"].contains("3"));
/// assert!(lineage.inputs.runs_by_path()["data/train.parquet"].contains("8f2c"));
/// assert!(lineage.outputs.models["churn-report"].is_empty()); // no version is recorded
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What the run read.
    pub inputs: Inputs,
    /// What the run wrote.
    pub outputs: Outputs,
    refused: Option<Refused>,
}

/// Models and artifacts on one side of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineageInfo {
    /// Model name → versions. An empty set: the model is recorded without a version.
    pub models: BTreeMap<String, BTreeSet<String>>,
    /// Run id → paths in that run. An empty set: the run is recorded without a path.
    pub runs: BTreeMap<String, BTreeSet<String>>,
}

/// The first argument a builder could not accept, kept until the value is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    argument: &'static str,
    reason: &'static str,
}

/// A side of a run, as fields and tags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    Inputs,
    Outputs,
}

/// What stands on a side, as fields and tags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Models,
    Runs,
}

/// One thing that a run read or wrote; the value is a version or a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl Lineage {
    /// A lineage with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model that the run read. No version: the model is recorded without one.
    #[must_use]
    pub fn with_input_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with(Entry::model(Side::Inputs, name, version.into()))
    }

    /// Adds a model that the run wrote. No version: the model is recorded without one.
    #[must_use]
    pub fn with_output_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with(Entry::model(Side::Outputs, name, version.into()))
    }

    /// Adds an artifact that the run read: a path in a run, without its outer slashes. No path: the run as a whole.
    #[must_use]
    pub fn with_input_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with(Entry::artifact(Side::Inputs, run_id, path.into()))
    }

    /// Adds an artifact that the run wrote: a path in a run, without its outer slashes. No path: the run as a whole.
    #[must_use]
    pub fn with_output_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with(Entry::artifact(Side::Outputs, run_id, path.into()))
    }

    /// Fails with the first bad argument that a builder was given.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the argument: an empty model name or run id.
    pub fn check(&self) -> Result<()> {
        self.refused
            .as_ref()
            .map_or(Ok(()), |refused| Err(refused.to_error()))
    }

    pub(crate) fn with(mut self, entry: Result<Entry, Refused>) -> Self {
        match entry {
            Ok(entry) => self.add(entry),
            Err(refused) => {
                self.refused.get_or_insert(refused);
            }
        }
        self
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        let values = self
            .side_mut(entry.side)
            .kind_mut(entry.kind)
            .entry(entry.key)
            .or_default();
        values.extend(entry.value);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        Side::BOTH
            .into_iter()
            .flat_map(|side| Kind::BOTH.into_iter().map(move |kind| (side, kind)))
            .flat_map(|(side, kind)| {
                self.side(side)
                    .kind(kind)
                    .iter()
                    .map(move |kv| (side, kind, kv))
            })
            .flat_map(|(side, kind, (key, values))| {
                let absent = values.is_empty().then_some(None);
                let present = values.iter().cloned().map(Some);
                let key = key.clone();
                absent.into_iter().chain(present).map(move |value| Entry {
                    side,
                    kind,
                    key: key.clone(),
                    value,
                })
            })
    }

    fn side(&self, side: Side) -> &LineageInfo {
        match side {
            Side::Inputs => &self.inputs,
            Side::Outputs => &self.outputs,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut LineageInfo {
        match side {
            Side::Inputs => &mut self.inputs,
            Side::Outputs => &mut self.outputs,
        }
    }
}

impl LineageInfo {
    /// Path → the ids of the runs in which it is recorded; runs recorded without a path are left out.
    #[must_use]
    pub fn runs_by_path(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut by_path: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (run, paths) in &self.runs {
            for path in paths {
                by_path.entry(path).or_default().insert(run);
            }
        }
        by_path
    }

    /// Whether nothing is recorded on this side.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.runs.is_empty()
    }

    fn kind(&self, kind: Kind) -> &BTreeMap<String, BTreeSet<String>> {
        match kind {
            Kind::Models => &self.models,
            Kind::Runs => &self.runs,
        }
    }

    fn kind_mut(&mut self, kind: Kind) -> &mut BTreeMap<String, BTreeSet<String>> {
        match kind {
            Kind::Models => &mut self.models,
            Kind::Runs => &mut self.runs,
        }
    }
}

impl Entry {
    pub(crate) fn model(side: Side, name: &str, version: Option<&str>) -> Result<Self, Refused> {
        if name.is_empty() {
            return Err(Refused::new("model name", "it is empty"));
        }
        Ok(Self::new(side, Kind::Models, name, version))
    }

    pub(crate) fn artifact(side: Side, run: &str, path: Option<&str>) -> Result<Self, Refused> {
        if run.is_empty() {
            return Err(Refused::new("run id", "it is empty"));
        }
        Ok(Self::new(side, Kind::Runs, run, path))
    }

    /// An empty version or path is none; a path loses its outer slashes, as mlopus strips them.
    pub(crate) fn new(side: Side, kind: Kind, key: &str, value: Option<&str>) -> Self {
        let value = value.map(|value| match kind {
            Kind::Models => value,
            Kind::Runs => value.trim_matches('/'),
        });
        let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
        Self {
            side,
            kind,
            key: key.to_owned(),
            value,
        }
    }
}

impl Refused {
    pub(crate) fn new(argument: &'static str, reason: &'static str) -> Self {
        Self { argument, reason }
    }

    pub(crate) fn to_error(&self) -> Error {
        Error::invalid_argument(self.argument, self.reason)
    }
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Inputs, Self::Outputs];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| side.as_str() == text)
    }
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Models, Self::Runs];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Runs => "runs",
        }
    }

    /// The field that holds the key in a stored entry.
    pub(crate) fn key_field(self) -> &'static str {
        match self {
            Self::Models => "name",
            Self::Runs => "id",
        }
    }

    /// The field that holds the version or the path in a stored entry.
    pub(crate) fn value_field(self) -> &'static str {
        match self {
            Self::Models => "version",
            Self::Runs => "path",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
