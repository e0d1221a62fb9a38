//! [`Query`], the conditions that a run has to meet, and [`Search`], a query with an order, a limit and a projection.

mod artifacts;
mod attribute;
mod check;
mod condition;
mod data_key;
mod field;
mod fields;
mod matches;
mod models;
mod named;
mod next_page;
mod order;
mod origin;
mod prefix;
mod print;
#[cfg(test)]
mod print_tests;
mod render;
mod search;
mod tags;
mod text;
mod time;

use std::ops::Bound;

use bson::{DateTime, Document};

use crate::error::{Error, Result};
use crate::node::{Direction, Kind, Node, Origin, Refused, named_builders};

use attribute::{Attribute, TimeField};
pub use check::{
    FIELD_ROOTS, MAX_BYTES, MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATH, MAX_TEXT, OPERATORS,
};
pub use condition::{Condition, Operand};
use data_key::Root;
pub use field::Field;
pub(crate) use matches::Matcher;
pub use order::Order;
pub(crate) use order::without_keys;
pub(crate) use prefix::begins_with;
pub use search::Search;
pub(crate) use text::{Input, ParseError, Parsed, all_tokens, in_quotes, parse};
pub use time::{parse_time, parse_time_from};

/// Conditions on runs: on what they read and wrote, and on their fields, tags, params and metrics. A run has to meet all
/// of them.
///
/// Builders never fail. The query keeps the first bad argument, and [`Query::render`] returns it as an error. A query
/// prints as a text and parses from it: see [the grammar](#impl-FromStr-for-Query).
///
/// ```
/// use bson::doc;
/// use runlineage::Query;
///
/// let query = Query::new().with_input_model("churn", "3").with_output_artifact("8f2c", None);
/// assert_eq!(
///     query.render()?,
///     doc! { "$and": [
///         { "inputs.models": { "$elemMatch": { "name": "churn", "version": "3" } } },
///         { "outputs.runs.id": "8f2c" },
///     ] }
/// );
/// assert_eq!(query.to_string(), "input.model = 'churn:3' and output.artifact = '8f2c'");
///
/// // A path of one run. `None` means any version or any path.
/// assert_eq!(
///     Query::new().with_input_artifact("8f2c", "data/train.parquet").render()?,
///     doc! { "inputs.runs": { "$elemMatch": { "id": "8f2c", "path": "data/train.parquet" } } }
/// );
/// assert_eq!(
///     Query::new().with_input_model("churn", None).render()?,
///     doc! { "inputs.models.name": "churn" }
/// );
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// # Indexes
/// Each builder makes a condition that an index serves, except for these:
///
/// - [tags](Self::with_tag), [params](Self::with_param) and [metrics](Self::with_metric);
/// - [no inputs](Self::without_inputs) and [no outputs](Self::without_outputs);
/// - [none of](Self::with_none_of) these conditions, or none of some lineage.
///
/// A query of such conditions alone scans the whole collection. Add an experiment, a start time or a lineage condition:
/// one indexed condition is enough. An index serves [any of](Self::with_any_of) if it serves each alternative.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
    refused: Option<Refused>,
}

/// One condition of a query.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// The run refers to this node; a node without a detail matches any detail.
    Node {
        direction: Direction,
        node: Node,
    },
    /// The run refers to this key with one of these details.
    OneOf {
        direction: Direction,
        kind: Kind,
        key: String,
        details: Vec<String>,
    },
    /// The run refers to this key without a detail.
    WithoutDetail {
        direction: Direction,
        kind: Kind,
        key: String,
    },
    /// The run refers to the path of this node, or to a path below it.
    Under {
        direction: Direction,
        node: Node,
    },
    /// The run refers to this path of any key.
    Path {
        direction: Direction,
        kind: Kind,
        path: String,
        under: bool,
    },
    /// A condition on lineage, of which only entries of this origin count.
    OfOrigin(Origin, Box<Self>),
    /// The run has no reference in this direction.
    NoReference(Direction),
    /// A field of the run equals this text.
    Attribute(Attribute, String),
    /// A field of the run is present.
    Exists(Attribute),
    /// The run's name begins with this text.
    NamePrefix(String),
    /// A time of the run lies between these bounds.
    Time(TimeField, Bound<DateTime>, Bound<DateTime>),
    /// A tag, a param or a metric meets a condition. `filter` is the rendered condition: rendering checks it.
    Data {
        root: Root,
        key: String,
        condition: Condition,
        filter: Document,
    },
    /// The mirror recorded a problem with the run.
    Problems,
    AnyOf(Vec<Query>),
    NoneOf(Vec<Query>),
}

impl Query {
    /// A query that every run matches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs that match all of these queries.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// let both = [Query::new().with_status("FINISHED"), Query::new().with_user("ana")];
    /// assert_eq!(
    ///     Query::new().with_all_of(both).render()?,
    ///     doc! { "$and": [{ "status": "FINISHED" }, { "user": "ana" }] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_all_of(mut self, queries: impl IntoIterator<Item = Self>) -> Self {
        for query in self.group("all of", queries) {
            self.and(query);
        }
        self
    }

    /// Runs that match at least one of these queries.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// let churn = |version| Query::new().with_input_model("churn", version);
    /// assert_eq!(
    ///     Query::new().with_any_of([churn("2"), churn("3")]).render()?,
    ///     doc! { "$or": [
    ///         { "inputs.models": { "$elemMatch": { "name": "churn", "version": "2" } } },
    ///         { "inputs.models": { "$elemMatch": { "name": "churn", "version": "3" } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_any_of(mut self, queries: impl IntoIterator<Item = Self>) -> Self {
        let mut alternatives = alternatives(self.group("any of", queries));
        if alternatives.len() == 1 {
            self.and(alternatives.remove(0));
        } else {
            self.terms.push(Term::AnyOf(alternatives));
        }
        self
    }

    /// Runs that match none of these queries. Alone, it uses an index only if the queries are about fields of the run.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// let failed = Query::new().with_status("FAILED");
    /// assert_eq!(
    ///     Query::new().with_input_model("churn", None).with_none_of([failed]).render()?,
    ///     doc! { "$and": [{ "inputs.models.name": "churn" }, { "$nor": [{ "status": "FAILED" }] }] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_none_of(mut self, queries: impl IntoIterator<Item = Self>) -> Self {
        let none = alternatives(self.group("none of", queries));
        self.terms.push(Term::NoneOf(none));
        self
    }

    named_builders! {
        read: "Runs that read",
        wrote: "Runs that wrote",
        absent: "means any, and matches a reference without one as well"
    }

    /// The MongoDB filter of this query, for the collection `runs`; it works in mongosh as well.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first bad argument that a builder received.
    pub fn render(&self) -> Result<Document> {
        self.check()?;
        Ok(render::all_of(&self.terms))
    }

    /// The filter that mlopus' own `Query.render()` would give, for `find_runs` of mlopus.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first bad argument. [`Error::Unsupported`] for a query that mlopus cannot express:
    /// two values of one key, "any of", "none of", a name that mlopus cannot read, or any condition that is not one of
    /// mlopus' four lineage builders.
    pub fn render_tags(&self) -> Result<Document> {
        self.check()?;
        tags::render(&self.terms)
    }

    fn check(&self) -> Result<(), Error> {
        self.refused
            .as_ref()
            .map_or(Ok(()), |refused| Err(refused.to_error()))
    }

    /// Takes the queries of a group, and the first bad argument of any of them.
    fn group(&mut self, name: &'static str, queries: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut queries: Vec<Self> = queries.into_iter().collect();
        for query in &mut queries {
            self.refuse(query.refused.take());
        }
        if queries.is_empty() {
            self.refuse(Some(Refused::argument(
                name,
                "at least one query is required",
            )));
        }
        queries
    }

    fn refuse(&mut self, refused: Option<Refused>) {
        self.refused = self.refused.take().or(refused);
    }

    fn and(&mut self, query: Self) {
        for term in query.terms {
            self.push(term);
        }
    }

    /// Adds a term. An upper bound joins a preceding lower bound of the same time, so that a range stays one term.
    fn push(&mut self, term: Term) {
        match (self.terms.last_mut(), &term) {
            (
                Some(Term::Time(time_field, _, to @ Bound::Unbounded)),
                Term::Time(same, Bound::Unbounded, new),
            ) if time_field == same => *to = *new,
            _ => self.terms.push(term),
        }
    }

    fn with_node(self, direction: Direction, node: Result<Node, Refused>) -> Self {
        self.with_term(node.map(|node| Term::Node { direction, node }))
    }

    fn with_term(mut self, term: Result<Term, Refused>) -> Self {
        match term {
            Ok(term) => self.push(term),
            Err(refused) => self.refuse(Some(refused)),
        }
        self
    }
}

/// Flattens nested alternatives: `(a or b) or c` becomes `a or b or c`.
fn alternatives(queries: Vec<Query>) -> Vec<Query> {
    let mut alternatives = Vec::new();
    for mut query in queries {
        match (query.terms.pop(), query.terms.is_empty()) {
            // Every run matches an empty query, so the other alternatives add nothing.
            (None, _) => return vec![query],
            (Some(Term::AnyOf(inner)), true) => alternatives.extend(inner),
            (Some(last), _) => {
                query.terms.push(last);
                alternatives.push(query);
            }
        }
    }
    alternatives
}

impl From<Term> for Query {
    fn from(term: Term) -> Self {
        Self {
            terms: vec![term],
            refused: None,
        }
    }
}
