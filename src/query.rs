//! [`Query`]: what to look for, and [`Search`]: what is asked of a store.

mod artifacts;
mod check;
mod fields;
mod indexed;
mod lineage;
mod matches;
mod render;
mod search;
mod tags;
mod test;
mod text;

use bson::Document;

use crate::error::{Error, Result};
use crate::lineage::{Entry, Refused};

pub use check::{
    FIELD_ROOTS, MAX_BYTES, MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATH, MAX_TEXT, OPERATORS,
};
pub(crate) use indexed::{IndexedTerm, indexed_parts, is_served};
pub(crate) use matches::Matcher;
pub use search::Search;
pub use test::{Test, Value};
pub use text::parse_time;

/// A search for runs by what they read and wrote, and by whatever else a run has. Every condition must hold.
///
/// Builders never fail: the first bad argument is kept, and [`Query::render`] returns it. A query can be written as text
/// too: see [its grammar](#impl-FromStr-for-Query).
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

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// A model or an artifact on one side, as mlopus knows it too; no value means any.
    Entry(Entry),
    /// Anything else that one filter says.
    Filter(Document),
    AllOf(Vec<Query>),
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
    pub fn with_all_of(self, queries: impl IntoIterator<Item = Self>) -> Self {
        self.with_group("all of", queries, Term::AllOf)
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
    pub fn with_any_of(self, queries: impl IntoIterator<Item = Self>) -> Self {
        self.with_group("any of", queries, Term::AnyOf)
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
    pub fn with_none_of(self, queries: impl IntoIterator<Item = Self>) -> Self {
        self.with_group("none of", queries, Term::NoneOf)
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

    fn with_group(
        mut self,
        name: &'static str,
        queries: impl IntoIterator<Item = Self>,
        group: impl FnOnce(Vec<Self>) -> Term,
    ) -> Self {
        let queries: Vec<Self> = queries.into_iter().collect();
        for query in &queries {
            self.refused = self.refused.or_else(|| query.refused.clone());
        }
        if queries.is_empty() {
            self.refused
                .get_or_insert(Refused::new(name, "it needs at least one query"));
        }
        self.terms.push(group(queries));
        self
    }

    fn with_entry(self, entry: Result<Entry, Refused>) -> Self {
        self.with_term(entry.map(Term::Entry))
    }

    fn with_filter(self, filter: Result<Document, Refused>) -> Self {
        self.with_term(filter.map(Term::Filter))
    }

    fn with_term(mut self, term: Result<Term, Refused>) -> Self {
        match term {
            Ok(term) => self.terms.push(term),
            Err(refused) => {
                self.refused.get_or_insert(refused);
            }
        }
        self
    }
}
