//! Query builder for the origin of lineage.

use super::{Query, Term};
use crate::node::Origin;

impl Query {
    /// Counts only lineage of this origin, in every lineage condition that the query has so far.
    ///
    /// [`Origin::Tag`] is what people and programs declared; every other origin is what MLflow recorded by itself.
    ///
    /// ```
    /// # use {bson::doc, runlineage::{Origin, Query}};
    /// let query = Query::new().with_output_model("churn", "7").of_origin(Origin::Registry);
    /// assert_eq!(
    ///     query.render()?,
    ///     doc! { "outputs.models": { "$elemMatch": { "name": "churn", "version": "7", "from": "registry" } } }
    /// );
    /// assert_eq!(query.to_string(), "output.model = 'churn:7' from registry");
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn of_origin(mut self, origin: Origin) -> Self {
        self.terms = self.terms.into_iter().map(|term| term.of(origin)).collect();
        self
    }
}

impl Term {
    fn of(self, origin: Origin) -> Self {
        let of_origin = |queries: Vec<Query>| {
            let queries = queries.into_iter();
            queries.map(|query| query.of_origin(origin)).collect()
        };
        match self {
            Self::AnyOf(queries) => Self::AnyOf(of_origin(queries)),
            Self::NoneOf(queries) => Self::NoneOf(of_origin(queries)),
            lineage @ (Self::Node { .. }
            | Self::OneOf { .. }
            | Self::WithoutDetail { .. }
            | Self::Under { .. }
            | Self::Path { .. }) => Self::OfOrigin(origin, Box::new(lineage)),
            other => other,
        }
    }
}
