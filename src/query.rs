//! [`Query`]: what to look for, and [`Search`]: what is asked of a store.

mod matches;
mod render;
mod search;
mod tags;

use bson::Document;

use crate::error::{Error, Result};
use crate::lineage::{Entry, Refused, Side};

pub(crate) use matches::Matcher;
pub use search::Search;

/// A search for runs by what they read and wrote. Every condition must hold.
///
/// Builders never fail: the first bad argument is kept, and [`Query::render`] returns it.
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
    refused: Option<Refused>,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// A model or an artifact on one side; no value means any.
    Entry(Entry),
    /// At least one of these holds.
    AnyOf(Vec<Query>),
}

impl Query {
    /// A query that every run matches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs that read this model; no version means any, and a model recorded without one too.
    #[must_use]
    pub fn with_input_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::model(Side::Inputs, name, version.into()))
    }

    /// Runs that wrote this model; no version means any, and a model recorded without one too.
    #[must_use]
    pub fn with_output_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::model(Side::Outputs, name, version.into()))
    }

    /// Runs that read this path of this run; no path means any, and a run recorded without one too.
    #[must_use]
    pub fn with_input_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::artifact(Side::Inputs, run_id, path.into()))
    }

    /// Runs that wrote this path of this run; no path means any, and a run recorded without one too.
    #[must_use]
    pub fn with_output_artifact<'a>(self, run_id: &str, path: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::artifact(Side::Outputs, run_id, path.into()))
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
        let queries: Vec<Self> = queries.into_iter().collect();
        for query in &queries {
            self.refused = self.refused.or_else(|| query.refused.clone());
        }
        if queries.is_empty() {
            self.refused
                .get_or_insert(Refused::new("any of", "it needs at least one query"));
        }
        self.terms.push(Term::AnyOf(queries));
        self
    }

    /// The filter that runs natively on collection `runs`, in mongosh too.
    ///
    /// # Errors
    /// [`Error::Argument`] with the first bad argument that a builder was given.
    pub fn render(&self) -> Result<Document> {
        self.check()?;
        Ok(render::all_of(&self.terms))
    }

    /// The query in the form of mlopus' own `Query.render()`, for `find_runs` of mlopus.
    ///
    /// # Errors
    /// [`Error::Argument`] with the first bad argument; [`Error::Unsupported`] for what mlopus cannot express: two
    /// values of one key, "any of", and names that it cannot read.
    pub fn render_tags(&self) -> Result<Document> {
        self.check()?;
        tags::render(&self.terms)
    }

    fn check(&self) -> Result<(), Error> {
        self.refused
            .as_ref()
            .map_or(Ok(()), |refused| Err(refused.to_error()))
    }

    fn with_entry(mut self, entry: Result<Entry, Refused>) -> Self {
        match entry {
            Ok(entry) => self.terms.push(Term::Entry(entry)),
            Err(refused) => {
                self.refused.get_or_insert(refused);
            }
        }
        self
    }
}
