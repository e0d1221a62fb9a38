//! [`Query`]: what to look for, and [`Search`]: what is asked of a store.

mod artifacts;
mod attribute;
mod check;
mod condition;
mod data_key;
mod field;
mod fields;
mod matches;
mod models;
mod next_page;
mod order;
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
use crate::node::{Direction, Kind, Node, Refused, named_builders};

use attribute::{Attribute, Clock};
pub use check::{
    FIELD_ROOTS, MAX_BYTES, MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATH, MAX_TEXT, OPERATORS,
};
pub use condition::{Condition, Operand};
use data_key::Root;
pub use field::Field;
pub(crate) use matches::Matcher;
pub use order::Order;
pub(crate) use order::without_keys;
pub use search::Search;
pub use time::{parse_time, parse_time_from};

/// A search for runs by what they read and wrote, and by whatever else a run has. Every condition must hold.
///
/// Builders never fail: the first bad argument is kept, and [`Query::render`] returns it. A query can be written as text
/// too, and prints as that text: see [its grammar](#impl-FromStr-for-Query).
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
/// // A path, of a run; no version and no path mean any.
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
/// # What an index serves
/// Each of the builders does, and every combination by AND with one that does, but for these: [tags](Self::with_tag),
/// [params](Self::with_param) and [metrics](Self::with_metric), [nothing read](Self::without_inputs) or
/// [written](Self::without_outputs), and [none of](Self::with_none_of) these or of lineage. By themselves they look at every run; combine them with an experiment,
/// a start time or a lineage term. "Any of" is served where each alternative is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
    refused: Option<Refused>,
}

/// One thing that a query asks of a run.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// The node stands on this side; no detail means any.
    Node {
        direction: Direction,
        node: Node,
    },
    /// One of these details of a key stands on this side.
    OneOf {
        direction: Direction,
        kind: Kind,
        key: String,
        details: Vec<String>,
    },
    /// The key stands on this side without a detail.
    WithoutDetail {
        direction: Direction,
        kind: Kind,
        key: String,
    },
    /// A path of the node's key, or anything under it, stands on this side.
    Under {
        direction: Direction,
        node: Node,
    },
    /// A path of whatever key stands on this side.
    Path {
        direction: Direction,
        kind: Kind,
        path: String,
        under: bool,
    },
    /// Nothing stands on this side.
    Nothing(Direction),
    /// A field of the run itself is this text.
    Attribute(Attribute, String),
    /// A field of the run itself is there.
    Exists(Attribute),
    /// The run's name begins so.
    NamePrefix(String),
    /// A time of the run lies between these bounds.
    Time(Clock, Bound<DateTime>, Bound<DateTime>),
    /// A tag, a param or a metric fulfils a condition, which was rendered once to see that it can be.
    Data {
        root: Root,
        key: String,
        condition: Condition,
        filter: Document,
    },
    /// Something of the run could not be mirrored as it is.
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

    /// Runs that match none of these queries. By itself, an index serves it at most where it is about fields of the run itself.
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
        absent: "means any, and one that is recorded without it too"
    }

    /// The filter that runs natively on collection `runs`, in mongosh too.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the first bad argument that a builder was given.
    pub fn render(&self) -> Result<Document> {
        self.check()?;
        Ok(render::all_of(&self.terms))
    }

    /// The query in the form of mlopus' own `Query.render()`, for `find_runs` of mlopus.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the first bad argument; [`Error::Unsupported`] for what mlopus cannot express: two
    /// values of one key, "any of", "none of", names that it cannot read, and everything but the four lineage builders of mlopus.
    pub fn render_tags(&self) -> Result<Document> {
        self.check()?;
        tags::render(&self.terms)
    }

    fn check(&self) -> Result<(), Error> {
        self.refused
            .as_ref()
            .map_or(Ok(()), |refused| Err(refused.to_error()))
    }

    /// The queries of a group, of which there is at least one; the first bad argument of theirs is this query's.
    fn group(&mut self, name: &'static str, queries: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut queries: Vec<Self> = queries.into_iter().collect();
        for query in &mut queries {
            self.refuse(query.refused.take());
        }
        if queries.is_empty() {
            self.refuse(Some(Refused::argument(name, "it needs at least one query")));
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

    /// Two bounds of one time are one term.
    fn push(&mut self, term: Term) {
        match (self.terms.last_mut(), &term) {
            (
                Some(Term::Time(clock, _, to @ Bound::Unbounded)),
                Term::Time(same, Bound::Unbounded, new),
            ) if clock == same => *to = *new,
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

/// The queries of which one is to match, without alternatives within alternatives.
fn alternatives(queries: Vec<Query>) -> Vec<Query> {
    let mut alternatives = Vec::new();
    for mut query in queries {
        match (query.terms.pop(), query.terms.is_empty()) {
            // What every run matches makes the others unimportant.
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
