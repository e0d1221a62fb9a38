//! The names that a query asks for, so that a caller can look them up before it searches.

use super::{Attribute, Query, Term};
use crate::node::{Kind, Node};
use crate::run::ExperimentSelector;

impl Query {
    /// The experiments that the query names, in "any of" and "none of" too.
    ///
    /// ```
    /// # use runlineage::{ExperimentSelector, Query};
    /// let query: Query = "exp = '2' and not exp.name = 'churn'".parse()?;
    /// let named = [ExperimentSelector::Either("2".into()), ExperimentSelector::Name("churn".into())];
    /// assert_eq!(query.experiments(), named);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn experiments(&self) -> Vec<ExperimentSelector> {
        let mut experiments = Vec::new();
        self.visit(&mut |term| {
            experiments.extend(match term {
                Term::Attribute(Attribute::Experiment, text) => {
                    Some(ExperimentSelector::Either(text.clone()))
                }
                Term::Attribute(Attribute::ExperimentId, id) => {
                    Some(ExperimentSelector::Id(id.clone()))
                }
                Term::Attribute(Attribute::ExperimentName, name) => {
                    Some(ExperimentSelector::Name(name.clone()))
                }
                _ => None,
            });
        });
        experiments
    }

    /// The models, runs and other nodes that the query names, without versions and paths.
    ///
    /// ```
    /// # use runlineage::{Node, Query};
    /// let query: Query = "input.model = 'churn:3' or parent = '8f2c'".parse()?;
    /// assert_eq!(query.nodes(), [Node::model("churn", None)?, Node::run("8f2c")?]);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        self.visit(&mut |term| {
            nodes.extend(match term {
                Term::Node { node, .. } | Term::Under { node, .. } => {
                    Some(Node::stored(node.kind(), node.key(), None))
                }
                Term::OneOf { kind, key, .. } | Term::WithoutDetail { kind, key, .. } => {
                    Some(Node::stored(*kind, key, None))
                }
                Term::Attribute(Attribute::Id | Attribute::Parent, id) => {
                    Some(Node::stored(Kind::RUN, id, None))
                }
                _ => None,
            });
        });
        nodes
    }

    fn visit(&self, see: &mut impl FnMut(&Term)) {
        for term in &self.terms {
            match term {
                Term::AnyOf(queries) | Term::NoneOf(queries) => {
                    for query in queries {
                        query.visit(see);
                    }
                }
                Term::OfOrigin(_, term) => see(term),
                term => see(term),
            }
        }
    }
}
