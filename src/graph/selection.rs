//! [`Selection`]: an expression that selects nodes, such as `2+model:churn:7+1 and where(status = 'FINISHED')`.

mod algebra;
mod evaluate;
mod parse;
mod print;
mod request;
#[cfg(test)]
mod tests;
mod token;

use crate::node::NodeArg;
use crate::query::Query;

pub use request::SelectRequest;

/// An expression that selects nodes of the graph. It parses from a text and prints as one: see
/// [the grammar](#impl-FromStr-for-Selection).
///
/// ```no_run
/// # async fn example(store: runlineage::MongoRunStore) -> runlineage::Result<()> {
/// use runlineage::graph::Selection;
///
/// // All that lies between a dataset and a version, without failed runs.
/// let between: Selection = "dataset:clicks+ and +model:churn:7 and not where(status = 'FAILED')".parse()?;
/// let graph = store.select(&between).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    root: Expression,
}

/// A part of a selection. [`is_condition`](Self::is_condition) says whether it is a set of nodes or a condition on them.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Walk(Span),
    /// The nodes of every set that meet every condition.
    All(Vec<Self>),
    /// The nodes of any of the sets, or those that meet any of the conditions; never a mixture.
    Any(Vec<Self>),
    Not(Box<Self>),
    Roots(Box<Self>),
    Sinks(Box<Self>),
    Where(Query),
}

/// A node and the levels of runs around it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The node.
    pub node: NodeArg,
    /// The levels of runs upstream, `u32::MAX` for all; `None` if the text has no `+` before the node.
    pub upstream: Option<u32>,
    /// The levels of runs downstream, `u32::MAX` for all; `None` if the text has no `+` after the node.
    pub downstream: Option<u32>,
}

impl Selection {
    /// The node with these levels of runs around it, `u32::MAX` for all.
    #[must_use]
    pub fn around(node: NodeArg, upstream: u32, downstream: u32) -> Self {
        Self {
            root: Expression::Walk(Span {
                node,
                upstream: Some(upstream),
                downstream: Some(downstream),
            }),
        }
    }

    /// The node and its levels if the selection is nothing else, such as `model:churn:7` or `2+model:churn:7+1`.
    #[must_use]
    pub fn as_span(&self) -> Option<&Span> {
        match &self.root {
            Expression::Walk(span) => Some(span),
            _ => None,
        }
    }

    /// The spans, in the order of the text, so that a caller can resolve aliases or set levels.
    #[must_use]
    pub fn spans_mut(&mut self) -> Vec<&mut Span> {
        let mut spans = Vec::new();
        self.root.spans_mut(&mut spans);
        spans
    }
}

impl Expression {
    /// Whether this is a condition on nodes. A condition selects nothing by itself, because nothing bounds the nodes that meet it.
    fn is_condition(&self) -> bool {
        match self {
            Self::Where(_) | Self::Not(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_condition),
            Self::Walk(_) | Self::Roots(_) | Self::Sinks(_) => false,
        }
    }

    fn spans_mut<'a>(&'a mut self, spans: &mut Vec<&'a mut Span>) {
        match self {
            Self::Walk(span) => spans.push(span),
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.spans_mut(spans);
                }
            }
            Self::Not(part) | Self::Roots(part) | Self::Sinks(part) => part.spans_mut(spans),
            Self::Where(_) => {}
        }
    }
}
