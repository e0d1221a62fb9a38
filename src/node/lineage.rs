//! What one run read ([`Inputs`]) and what it wrote ([`Outputs`]).

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, Kind, Node, Refused, named_builders};
use crate::error::Result;

/// What a run read.
pub type Inputs = LineageInfo;

/// What a run wrote.
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
/// assert!(lineage.inputs.models()["churn"].contains("3"));
/// assert!(lineage.inputs.runs_by_path()["data/train.parquet"].contains("8f2c"));
/// assert!(lineage.outputs.models()["churn-report"].is_empty()); // no version is recorded
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What the run read.
    pub inputs: Inputs,
    /// What the run wrote.
    pub outputs: Outputs,
    refused: Option<Refused>,
}

/// The inputs or the outputs of a run, grouped by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineageInfo {
    by_kind: BTreeMap<Kind, Details>,
}

/// Maps each key to its details, such as a model's name to its versions. An empty set means that no detail is recorded.
pub type Details = BTreeMap<String, BTreeSet<String>>;

static EMPTY: Details = BTreeMap::new();

impl Lineage {
    /// Lineage without inputs and outputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    named_builders! {
        read: "Adds that the run read",
        wrote: "Adds that the run wrote",
        absent: "means that none is recorded"
    }

    /// Returns the first invalid argument that a builder received, as an error.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) names the argument: an empty model name or run id.
    pub fn check(&self) -> Result<()> {
        self.refused
            .as_ref()
            .map_or(Ok(()), |refused| Err(refused.to_error()))
    }

    pub(crate) fn with_node(mut self, direction: Direction, node: Result<Node, Refused>) -> Self {
        match node {
            Ok(node) => self.add(direction, node),
            Err(refused) => {
                self.refused.get_or_insert(refused);
            }
        }
        self
    }

    pub(crate) fn add(&mut self, direction: Direction, node: Node) {
        let side = match direction {
            Direction::Input => &mut self.inputs,
            Direction::Output => &mut self.outputs,
        };
        let details = side.by_kind.entry(node.kind).or_default();
        let details = details.entry(node.key().to_owned()).or_default();
        details.extend(node.detail().map(str::to_owned));
    }

    /// The inputs or the outputs.
    #[must_use]
    pub fn side(&self, direction: Direction) -> &LineageInfo {
        match direction {
            Direction::Input => &self.inputs,
            Direction::Output => &self.outputs,
        }
    }
}

impl LineageInfo {
    /// The keys of this kind, each with its details.
    #[must_use]
    pub fn of_kind(&self, kind: Kind) -> &Details {
        self.by_kind.get(&kind).unwrap_or(&EMPTY)
    }

    /// The names of the models, each with its versions. An empty set means that no version is recorded.
    #[must_use]
    pub fn models(&self) -> &Details {
        self.of_kind(Kind::MODEL)
    }

    /// The ids of the runs that own the artifacts, each with the paths in that run. An empty set means that no path is recorded.
    #[must_use]
    pub fn runs(&self) -> &Details {
        self.of_kind(Kind::ARTIFACT)
    }

    /// Dataset name → digests. An empty set: the dataset is recorded without a digest.
    #[must_use]
    pub fn datasets(&self) -> &Details {
        self.of_kind(Kind::DATASET)
    }

    /// The ids of logged models, each with an empty set.
    #[must_use]
    pub fn logged_models(&self) -> &Details {
        self.of_kind(Kind::LOGGED_MODEL)
    }

    /// Prompt name → versions. An empty set: the prompt is recorded without a version.
    #[must_use]
    pub fn prompts(&self) -> &Details {
        self.of_kind(Kind::PROMPT)
    }

    /// The paths, each with the ids of the runs that own it. Runs without a recorded path are left out.
    #[must_use]
    pub fn runs_by_path(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut by_path: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (run, paths) in self.runs() {
            for path in paths {
                by_path.entry(path).or_default().insert(run);
            }
        }
        by_path
    }

    /// The nodes, ordered by kind, key and detail.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        let keys = self
            .by_kind
            .iter()
            .flat_map(|(kind, details)| details.iter().map(move |key| (*kind, key)));
        keys.flat_map(|(kind, (key, details))| {
            let absent = details.is_empty().then_some(None);
            let present = details.iter().map(|detail| Some(detail.as_str()));
            let details = absent.into_iter().chain(present);
            details.map(move |detail| Node::stored(kind, key, detail))
        })
    }

    /// Whether no node is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }
}
