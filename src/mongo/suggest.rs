//! [`Suggestion`]: names in the mirror that begin with a text. Indexes give them, so a popular name costs no more than a rare one.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::raw::{RawArray, RawBsonRef, RawDocument};
use bson::{Document, doc};
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use mongodb::Collection;
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::collections::{Collections, MODELS};
use super::failure::{code, code_of, failed};
use super::indexes::INDEXES;
use crate::error::Result;
use crate::node::{Direction, Kind, Node};
use crate::query::begins_with;
use crate::run::field;

/// The most names for each of which `sample` sends a command of its own.
const STEPS: u32 = 30;

/// A name that begins with the text of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suggestion {
    /// A node without a version or digest, or a run by its id.
    Node(Node),
    /// The name of an experiment.
    Experiment(String),
    /// The name of one run or of several.
    RunName(String),
    /// A user who started runs.
    User(String),
}

impl Suggestion {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Node(node) => node.key(),
            Self::Experiment(name) | Self::RunName(name) | Self::User(name) => name,
        }
    }
}

/// A field with an index that begins with it, and what its values name.
pub(super) struct Source {
    /// The array that holds the field, if one does.
    array: Option<String>,
    field: String,
    named: fn(Option<Kind>, String) -> Option<Suggestion>,
    kind: Option<Kind>,
    /// Whether the field is that of a registered model, not of a run.
    is_model: bool,
}

impl MongoRunStore {
    /// The first names in alphabetical order that begin with a text: registered models, models, datasets, prompts and logged models
    /// that runs name, experiments, names and ids of runs, and users. Upper and lower case differ. No name is listed twice.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if MongoDB does not answer.
    pub async fn suggest(
        &self,
        prefix: &str,
        limit: usize,
        max_time: Option<Duration>,
    ) -> Result<Vec<Suggestion>> {
        let sources = sources();
        let asked = sources
            .iter()
            .map(|source| source.suggestions(self, prefix, limit, max_time));
        let found = try_join_all(asked).await;
        let found = found.map_err(|error| failed("cannot look for names", error))?;
        // A model may be read, written and registered.
        let unique: BTreeSet<Suggestion> = found.into_iter().flatten().collect();
        let mut suggestions: Vec<Suggestion> = unique.into_iter().collect();
        suggestions.sort_by(|one, other| one.name().cmp(other.name()).then(one.cmp(other)));
        suggestions.truncate(limit);
        Ok(suggestions)
    }
}

pub(super) fn sources() -> Vec<Source> {
    let node = |kind: Option<Kind>, name: String| {
        let node = Node::stored(kind?, &name, None);
        Some(Suggestion::Node(node))
    };
    let of_run = |field: &str, named, kind| Source {
        array: None,
        field: field.to_owned(),
        named,
        kind,
        is_model: false,
    };
    let mut sources = vec![
        of_run(field::ID, node, Some(Kind::RUN)),
        of_run(field::NAME, |_, name| Some(Suggestion::RunName(name)), None),
        of_run(
            field::EXP_NAME,
            |_, name| Some(Suggestion::Experiment(name)),
            None,
        ),
        of_run(field::USER, |_, name| Some(Suggestion::User(name)), None),
        Source {
            is_model: true,
            ..of_run(field::ID, node, Some(Kind::MODEL))
        },
    ];
    for direction in Direction::BOTH {
        // The ids of the runs of artifacts are ids of runs, mostly.
        let kinds = Kind::of_direction(direction).filter(|kind| *kind != Kind::ARTIFACT);
        sources.extend(kinds.map(|kind| Source {
            array: Some(kind.path(direction)),
            ..of_run(kind.spec().key, node, Some(kind))
        }));
    }
    sources
}

impl Source {
    /// The name as one of this source.
    pub(super) fn suggestion(&self, name: String) -> Option<Suggestion> {
        (self.named)(self.kind, name)
    }

    async fn suggestions(
        &self,
        store: &MongoRunStore,
        prefix: &str,
        limit: usize,
        max_time: Option<Duration>,
    ) -> mongodb::error::Result<Vec<Suggestion>> {
        let names = self.names(store, prefix, limit, max_time).await?;
        let named = names.into_iter();
        Ok(named.filter_map(|name| self.suggestion(name)).collect())
    }

    /// At most so many names, in one command where an index has each name once or can step over equal ones.
    pub(super) async fn sample(
        &self,
        store: &MongoRunStore,
        prefix: &str,
        limit: u32,
        max_time: Option<Duration>,
    ) -> mongodb::error::Result<Vec<Suggestion>> {
        if self.array.is_some() {
            // An index over an array cannot step over equal names, so each name is a command.
            let limit = limit.min(STEPS) as usize;
            return self.suggestions(store, prefix, limit, max_time).await;
        }
        let Some(index) = self.index() else {
            return Ok(Vec::new());
        };
        let path = self.path();
        let pipeline = [
            doc! { "$match": self.filter(&begins_with(prefix)) },
            doc! { "$sort": { &path: 1 } },
            doc! { "$group": { "_id": format!("${path}") } },
            doc! { "$limit": limit },
        ];
        let collection = self.collection(store);
        let asked = collection
            .aggregate(pipeline)
            .hint(Hint::Name(index.to_owned()))
            .optional(max_time.or(store.max_time), |aggregate, time| {
                aggregate.max_time(time)
            })
            .await;
        let found: Vec<Document> = match asked {
            // As in `names`: the index is pending.
            Err(error) if code_of(&error) == Some(code::BAD_VALUE) => return Ok(Vec::new()),
            found => found?.try_collect().await?,
        };
        let names = found.iter().filter_map(|found| found.get_str("_id").ok());
        Ok(names
            .filter_map(|name| self.suggestion(name.to_owned()))
            .collect())
    }

    /// The first names. Each step asks for the first key of the index after the last name, so it reads one key, however many runs
    /// have that name.
    async fn names(
        &self,
        store: &MongoRunStore,
        prefix: &str,
        limit: usize,
        max_time: Option<Duration>,
    ) -> mongodb::error::Result<Vec<String>> {
        let collection = self.collection(store);
        let Some(index) = self.index() else {
            return Ok(Vec::new());
        };
        let mut range = begins_with(prefix);
        let mut names: Vec<String> = Vec::new();
        while names.len() < limit {
            let found = collection
                .find_one(self.filter(&range))
                .projection(doc! { self.path(): 1 })
                .hint(Hint::Name(index.to_owned()))
                .optional(max_time.or(store.max_time), |find, time| {
                    find.max_time(time)
                })
                .await;
            let found = match found {
                // A pending migration has not made the index yet. Without it, each name would cost a scan.
                Err(error) if code_of(&error) == Some(code::BAD_VALUE) => return Ok(names),
                found => found?,
            };
            let after = names.last().map(String::as_str);
            let name = found.and_then(|found| self.first_name(&found, prefix, after));
            let Some(name) = name else { break };
            range.remove("$gte");
            range.insert("$gt", &name);
            names.push(name);
        }
        Ok(names)
    }

    fn collection(&self, store: &MongoRunStore) -> Collection<bson::raw::RawDocumentBuf> {
        match self.is_model {
            true => store.database.collection(MODELS),
            false => Collections::of(store).runs(),
        }
    }

    fn index(&self) -> Option<&'static str> {
        let path = self.path();
        let mut indexes = INDEXES.iter();
        let index = indexes.find(|index| index.leading_field() == path)?;
        Some(index.name)
    }

    fn path(&self) -> String {
        match &self.array {
            Some(array) => format!("{array}.{}", self.field),
            None => self.field.clone(),
        }
    }

    fn filter(&self, range: &Document) -> Document {
        let field = self.field.as_str();
        match &self.array {
            // Both ends of the range must hold for one element, else the index is read from one end to the other.
            Some(array) => doc! { array: { "$elemMatch": { field: range } } },
            None => doc! { field: range },
        }
    }

    /// The first name of a document within the range. A run may have several.
    fn first_name(&self, found: &RawDocument, prefix: &str, after: Option<&str>) -> Option<String> {
        let is_next = |name: &&str| {
            let is_later = after.is_none_or(|after| *name > after);
            name.starts_with(prefix) && is_later
        };
        let names: Vec<&str> = match &self.array {
            Some(array) => {
                let elements = array_at(found, array)?;
                let elements = elements.into_iter().filter_map(|element| {
                    let element = element.ok()?.as_document()?;
                    element.get_str(&self.field).ok()
                });
                elements.collect()
            }
            None => text_at(found, &self.field).into_iter().collect(),
        };
        names.into_iter().filter(is_next).min().map(str::to_owned)
    }
}

fn value_at<'a>(document: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let value = document.get(first).ok()??;
    match rest {
        Some(rest) => value_at(value.as_document()?, rest),
        None => Some(value),
    }
}

fn array_at<'a>(document: &'a RawDocument, path: &str) -> Option<&'a RawArray> {
    value_at(document, path)?.as_array()
}

fn text_at<'a>(document: &'a RawDocument, path: &str) -> Option<&'a str> {
    value_at(document, path)?.as_str()
}
