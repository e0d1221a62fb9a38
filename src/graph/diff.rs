//! [`Diff`]: why the upstreams of two runs or versions differ.
//!
//! The two starts are a pair of runs. The walk goes upstream pair by pair: an input of the one run is compared with the input of
//! the other run under the same [`InputKey`], and the runs that produced the two are the next pair.
//!
//! - `start`: from a version to its run; `inputs`: which inputs are compared; `producers`: the runs that produced them
//! - `pairing`: the walk; `texts`: code, params and tags; `states`: first points of divergence, and pairs that follow from them

mod inputs;
mod pairing;
mod producers;
mod start;
mod states;
mod texts;

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;

use super::{GraphNode, json};
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::mongo::neighbours::Neighbours;
use crate::node::Node;

pub use inputs::InputKey;

/// The differences between the upstreams of two runs or versions.
///
/// `diff(b, a)` is `diff(a, b)` with both sides exchanged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diff {
    /// The first start, as the request names it.
    #[serde(serialize_with = "json::text")]
    pub a: Node,
    /// The second start, as the request names it.
    #[serde(serialize_with = "json::text")]
    pub b: Node,
    /// The answer in one word.
    pub outcome: Outcome,
    /// The pairs of runs, by depth, then by key. No pair is listed twice. The first one is the pair of the starts.
    pub pairs: Vec<Pair>,
}

/// The answer of a [`Diff`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing that the mirror records differs.
    Equal,
    /// Something differs.
    Different,
    /// No difference was found, but a part of the upstreams could not be compared.
    Unknown,
}

/// Two runs with the same place in the two upstreams.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pair {
    /// The smallest distance from the starts, counted in runs.
    pub depth: u32,
    /// The input that the runs produced; `None` for the pair of the starts. The smallest key if they produced several.
    pub key: Option<InputKey>,
    /// The run upstream of `a`.
    pub a: GraphNode,
    /// The run upstream of `b`.
    pub b: GraphNode,
    /// The result of the comparison.
    pub state: State,
    /// Why the walk could not compare the runs; `None` if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
    /// Whether a pair further upstream could not be compared.
    #[serde(skip_serializing_if = "json::is_false")]
    pub unknown_upstream: bool,
    /// The differences of the runs themselves.
    pub differences: Vec<Difference>,
    /// The inputs that differ, and whose producers are the next pairs. By themselves they do not count as differences.
    pub followed: Vec<Followed>,
    /// The inputs that are the same on both sides.
    pub equal: Vec<EqualInput>,
}

/// The result of comparing a pair of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Neither the runs nor anything upstream differs.
    Equal,
    /// A first point of divergence: the runs differ, and no pair upstream is known to differ.
    First,
    /// A pair upstream differs. The runs may have differences of their own, too.
    Follows,
    /// No difference is known, but the runs or a pair upstream could not be compared.
    Unknown,
}

/// The reason why a pair of runs could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unknown {
    /// The mirror does not have one of the runs.
    Unmirrored,
    /// One of the runs was purged from the mirror, so that only its id is left.
    Purged,
    /// MongoDB refused a part of one of the runs, so that its params and tags are not mirrored.
    Quarantined,
    /// The request's limit on the depth ended the walk here. The mirror may have the runs.
    Depth,
    /// The request's limit on the number of pairs ended the walk here. The mirror may have the runs.
    Pairs,
}

/// A difference between the two runs of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// The git commit of the code.
    GitCommit(Values),
    /// The entry point of an MLflow project.
    EntryPoint(Values),
    /// A param.
    Param(NamedValues),
    /// A tag that neither MLflow nor lineage uses.
    Tag(NamedValues),
    /// Inputs under one key.
    Input(DifferentInput),
}

/// The two sides of a value; `None` where a run does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Values {
    /// The value of the first run.
    pub a: Option<String>,
    /// The value of the second run.
    pub b: Option<String>,
}

/// A named value and its two sides, with the exact texts of MLflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NamedValues {
    /// The name of the param or the tag.
    pub name: String,
    /// The two sides.
    #[serde(flatten)]
    pub values: Values,
}

/// Different inputs under one key that lead to no pair of producers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DifferentInput {
    /// What the inputs have in common.
    pub key: InputKey,
    /// The references of the first run that the second run does not have.
    #[serde(serialize_with = "json::texts")]
    pub a: Vec<Node>,
    /// The references of the second run that the first run does not have.
    #[serde(serialize_with = "json::texts")]
    pub b: Vec<Node>,
    /// Why the difference ends here.
    pub ending: Ending,
}

/// The reason why a difference between inputs leads to no pair of producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// Only the first run has such an input.
    OnlyA,
    /// Only the second run has such an input.
    OnlyB,
    /// At least one run has several such inputs, so nothing says which of them belong together.
    Several,
    /// No run is certain to have produced one of the two references, as of a dataset.
    NoProducer,
    /// Several runs produced one of the two references.
    SeveralProducers,
    /// One run produced both references.
    SameProducer,
}

/// Two different references under one key, each with one producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Followed {
    /// What the references have in common.
    pub key: InputKey,
    /// The reference of the first run.
    #[serde(serialize_with = "json::text")]
    pub a: Node,
    /// The reference of the second run.
    #[serde(serialize_with = "json::text")]
    pub b: Node,
    /// The position in [`Diff::pairs`] of the pair of producers.
    pub pair: usize,
}

/// An input that both runs read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EqualInput {
    /// The key of the input.
    pub key: InputKey,
    /// The reference.
    #[serde(serialize_with = "json::text")]
    pub node: Node,
}

/// The progress of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffProgress {
    /// The number of levels that are finished.
    pub depth: u32,
    /// The number of pairs so far.
    pub pairs: usize,
}

impl Diff {
    /// Whether a diff can start at this node: a run, or a version of a model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument), which names the nodes that can be starts.
    pub fn check_start(node: &Node) -> Result<()> {
        start::check(node)
    }

    /// The pairs of this state, by depth, then by key.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.state == state)
    }

    /// The pairs that the walk could not compare.
    pub fn unknown(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.unknown.is_some())
    }
}

/// A request for the differences between two upstreams. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
pub struct DiffRequest<'a> {
    store: &'a MongoRunStore,
    a: Node,
    b: Node,
    limits: Limits,
    max_time: Option<Duration>,
    progress: Option<Box<dyn FnMut(DiffProgress) + Send + 'a>>,
}

/// The limits of a diff.
#[derive(Debug, Clone, Copy)]
struct Limits {
    depth: u32,
    pairs: usize,
}

impl<'a> DiffRequest<'a> {
    const MAX_PAIRS: usize = 1_000;

    pub(super) fn new(store: &'a MongoRunStore, a: Node, b: Node) -> Self {
        Self {
            store,
            a,
            b,
            limits: Limits {
                depth: u32::MAX,
                pairs: Self::MAX_PAIRS,
            },
            max_time: None,
            progress: None,
        }
    }

    /// Compares this many levels of runs upstream of the starts; unlimited by default. Pairs beyond them are unknown.
    pub fn depth(self, depth: u32) -> Self {
        let limits = Limits {
            depth,
            ..self.limits
        };
        Self { limits, ..self }
    }

    /// Compares at most this many pairs of runs; 1,000 by default. Other pairs are unknown. The pair of the starts is always compared.
    pub fn max_pairs(self, pairs: usize) -> Self {
        let limits = Limits {
            pairs,
            ..self.limits
        };
        Self { limits, ..self }
    }

    /// Limits the time that the server may spend on each query; unlimited by default.
    pub fn max_time(self, time: Duration) -> Self {
        Self {
            max_time: Some(time),
            ..self
        }
    }

    /// Reports the progress after each level.
    pub fn on_progress(self, tell: impl FnMut(DiffProgress) + Send + 'a) -> Self {
        Self {
            progress: Some(Box::new(tell)),
            ..self
        }
    }

    async fn compare(self) -> Result<Diff> {
        for start in [&self.a, &self.b] {
            start::check(start)?;
        }
        let mut neighbours = Neighbours::of(self.store, None, true, self.max_time);
        let survey = neighbours.survey().await?;
        neighbours.ask_only(survey.filled);
        let starts = start::runs(&neighbours, &self.a, &self.b).await?;
        let mut progress = self.progress;
        let mut tell = |told| {
            if let Some(tell) = &mut progress {
                tell(told);
            }
        };
        let pairs = pairing::pairs(&neighbours, starts, self.limits, &mut tell).await?;
        Ok(Diff {
            outcome: outcome(&pairs),
            a: self.a,
            b: self.b,
            pairs,
        })
    }
}

fn outcome(pairs: &[Pair]) -> Outcome {
    if pairs.iter().any(|pair| !pair.differences.is_empty()) {
        Outcome::Different
    } else if pairs.iter().any(|pair| pair.unknown.is_some()) {
        Outcome::Unknown
    } else {
        Outcome::Equal
    }
}

impl<'a> IntoFuture for DiffRequest<'a> {
    type Output = Result<Diff>;
    type IntoFuture = BoxFuture<'a, Result<Diff>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.compare())
    }
}

impl fmt::Debug for DiffRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiffRequest")
            .field("a", &self.a)
            .field("b", &self.b)
            .finish_non_exhaustive()
    }
}
