//! [`Neighbours`]: which runs read or wrote a node, and what the model registry links it to.
//!
//! Deleted runs take part: what a deleted run read and wrote is lineage still.

use std::collections::BTreeSet;

use bson::{Bson, DateTime, Document, doc};
use futures::future::try_join_all;
use futures::{FutureExt, StreamExt, TryStreamExt};
use mongodb::Collection;
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::batches::documents;
use super::collections::Collections;
use super::failure::{code, code_of, failed};
use super::indexes::INDEXES;
use crate::error::Result;
use crate::node::{Direction, Kind, Node};
use crate::run::{Run, field};

/// How many keys one query names.
const CHUNK: usize = 10_000;
/// How many combinations of names and versions one query names: MongoDB looks for each of them in its index.
const COMBINATIONS: usize = 20_000;

/// Reads the neighbours of nodes from one mirror.
pub(crate) struct Neighbours<'a> {
    store: &'a MongoRunStore,
    /// What a run has to match beside.
    filter: Option<Document>,
    with_facts: bool,
    filled: Filled,
}

/// Which collections held anything when the walk began: the others are not asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    deleted_runs: bool,
    versions: bool,
    logged_models: bool,
}

/// A run as the mirror holds it.
pub(crate) struct StoredRun {
    pub(crate) run: Run,
    pub(crate) is_deleted: bool,
}

/// Nodes of one kind on one side of runs.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    pub(crate) keys: BTreeSet<String>,
    /// The details, and none; `None`: any.
    pub(crate) details: Option<BTreeSet<String>>,
}

/// What comes of a run that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Keep,
    Drop,
    /// It is dropped, and no more are read.
    Stop,
}

/// How many runs stand next to a node.
pub(crate) struct Tally {
    pub(crate) node: Node,
    pub(crate) runs: u64,
    /// Whether the run that the node's key names is among them.
    pub(crate) is_own: bool,
}

/// A version as the model registry has it.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredVersion {
    pub(crate) node: Node,
    pub(crate) created: Option<DateTime>,
    pub(crate) run: Option<String>,
    pub(crate) logged_model: Option<String>,
    pub(crate) copied_from: Option<Node>,
    pub(crate) stage: Option<String>,
    pub(crate) is_deleted: bool,
}

/// A logged model, and the run that logged it.
#[derive(Debug, Clone)]
pub(crate) struct LoggedModel {
    pub(crate) id: String,
    pub(crate) source_run: Option<String>,
    pub(crate) is_deleted: bool,
}

/// A registered model: its names and its aliases.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredModel {
    pub(crate) name: String,
    pub(crate) former_names: Vec<String>,
    /// Each with the version that it points to.
    pub(crate) aliases: Vec<(String, String)>,
}

/// The field of `model_versions` by which versions are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VersionsBy {
    Id,
    Name,
    Run,
    LoggedModel,
    CopiedFrom,
}

/// The field of `logged_models` by which logged models are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoggedModelsBy {
    Id,
    SourceRun,
}

impl<'a> Neighbours<'a> {
    /// Runs have to match the filter; `with_facts`: they are read with what a graph tells of them.
    pub(crate) fn of(store: &'a MongoRunStore, filter: Option<Document>, with_facts: bool) -> Self {
        Self {
            store,
            filter,
            with_facts,
            filled: Filled {
                deleted_runs: true,
                versions: true,
                logged_models: true,
            },
        }
    }

    /// Which collections hold anything.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not answer, as of each method.
    pub(crate) async fn survey(&self) -> Result<Filled> {
        let collections = Collections::of(self.store);
        let (deleted_runs, versions, logged_models) = futures::try_join!(
            is_filled(collections.deleted_runs()),
            is_filled(collections.model_versions()),
            is_filled(collections.logged_models()),
        )?;
        Ok(Filled {
            deleted_runs,
            versions,
            logged_models,
        })
    }

    /// Asks only the collections that hold anything.
    pub(crate) fn ask_only(&mut self, filled: Filled) {
        self.filled = filled;
    }

    /// The models that were renamed.
    pub(crate) async fn renamed(&self) -> Result<Vec<RegisteredModel>> {
        let filter = doc! { "former_names": { "$exists": true } };
        self.find_models(filter).await
    }

    /// The registered models of these names.
    pub(crate) async fn models(&self, names: &BTreeSet<String>) -> Result<Vec<RegisteredModel>> {
        let mut models = Vec::new();
        for names in chunks(names, CHUNK) {
            models.extend(self.find_models(doc! { "_id": { "$in": names } }).await?);
        }
        Ok(models)
    }

    /// Shows each run of these ids, in no particular order; ids that are not mirrored are left out.
    ///
    /// `is_filtered`: only runs that match the filter.
    pub(crate) async fn runs(
        &self,
        ids: &BTreeSet<String>,
        is_filtered: bool,
    ) -> Result<Vec<StoredRun>> {
        let mut found = Vec::new();
        for ids in chunks(ids, CHUNK) {
            let filter = self.filtered(doc! { field::ID: { "$in": ids } }, is_filtered);
            found.extend(self.find_runs(&filter, None, &|_| Reading::Keep).await?);
        }
        Ok(found)
    }

    /// The runs that have one of these nodes on that side.
    ///
    /// Each run is shown to `take`, which says whether it is kept.
    pub(crate) async fn users(
        &self,
        lookup: &Lookup,
        take: &(dyn Fn(&Run) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let mut found = Vec::new();
        for filter in lookup.filters() {
            let filter = self.filtered(filter, true);
            found.extend(self.find_runs(&filter, Some(lookup.index()), take).await?);
        }
        Ok(found)
    }

    /// The nodes of the lookup that runs have on that side, and how many runs each; no filter applies.
    pub(crate) async fn tally(&self, lookup: &Lookup) -> Result<Vec<Tally>> {
        let spec = lookup.kind.spec();
        let mut entry = doc! { "key": format!("$$this.{}", spec.key) };
        if let Some(detail) = spec.detail {
            entry.insert("detail", format!("$$this.{}", detail.field));
        }
        let path = format!("${}", lookup.kind.path(lookup.direction));
        // What two origins say is two entries, and one edge.
        let distinct =
            doc! { "$setUnion": [{ "$map": { "input": path, "in": entry } }, Vec::<Bson>::new()] };
        let mut found = Vec::new();
        for (filter, inner) in lookup.filters().into_iter().zip(lookup.element_filters()) {
            let pipeline = vec![
                doc! { "$match": filter },
                doc! { "$project": { "entry": &distinct } },
                doc! { "$unwind": "$entry" },
                doc! { "$match": inner },
                doc! { "$group": {
                    "_id": "$entry",
                    "runs": { "$sum": 1 },
                    "is_own": { "$max": { "$eq": ["$_id", "$entry.key"] } },
                } },
            ];
            let counts = self
                .run_collections()
                .map(|(runs, _)| tally(runs, &pipeline, lookup).boxed());
            found.extend(try_join_all(counts).await?.into_iter().flatten());
        }
        Ok(found)
    }

    /// The details with which runs name this key on that side, each once, at most as many as the limit.
    pub(crate) async fn details(
        &self,
        direction: Direction,
        kind: Kind,
        key: &str,
        limit: usize,
    ) -> Result<BTreeSet<Option<String>>> {
        let lookup = Lookup {
            direction,
            kind,
            keys: BTreeSet::from([key.to_owned()]),
            details: None,
        };
        let scans = self
            .run_collections()
            .map(|(runs, _)| details(runs, &lookup, key, limit).boxed());
        Ok(try_join_all(scans).await?.into_iter().flatten().collect())
    }

    pub(crate) async fn versions(
        &self,
        by: VersionsBy,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<RegisteredVersion>> {
        if !self.filled.versions {
            return Ok(Vec::new());
        }
        let versions = Collections::of(self.store).model_versions();
        let found = find_by(versions, by.field(), keys, VERSION_FIELDS).await?;
        Ok(found.iter().filter_map(RegisteredVersion::of).collect())
    }

    pub(crate) async fn logged_models(
        &self,
        by: LoggedModelsBy,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<LoggedModel>> {
        if !self.filled.logged_models {
            return Ok(Vec::new());
        }
        let models = Collections::of(self.store).logged_models();
        let found = find_by(models, by.field(), keys, LOGGED_MODEL_FIELDS).await?;
        let models = found.iter().filter_map(|model| {
            Some(LoggedModel {
                id: model.get_str(field::ID).ok()?.to_owned(),
                source_run: text(model, "source_run"),
                is_deleted: model.contains_key("deleted_at"),
            })
        });
        Ok(models.collect())
    }

    /// The runs of these ids with their tags and params, deleted ones too.
    pub(crate) async fn whole_runs(&self, ids: &BTreeSet<String>) -> Result<Vec<Run>> {
        // What tags and params could not hold is kept beside them.
        let fields = doc! {
            field::TAGS: 1,
            field::PARAMS: 1,
            format!("{}.{}", field::MIRROR, field::TEXT): 1,
            format!("{}.{}", field::MIRROR, field::UNNESTED): 1,
        };
        let mut found = Vec::new();
        for ids in chunks(ids, CHUNK) {
            for (runs, _) in self.run_collections() {
                let find = async {
                    let find = runs.find(doc! { field::ID: { "$in": &ids } });
                    let found = find.projection(fields.clone()).await?;
                    found.try_collect::<Vec<_>>().await
                };
                for run in find.await.map_err(cannot_read)? {
                    found.push(Run::try_from(run)?);
                }
            }
        }
        Ok(found)
    }

    async fn find_models(&self, filter: Document) -> Result<Vec<RegisteredModel>> {
        let models = Collections::of(self.store).models();
        let find = async {
            let find = models.find(filter);
            let fields = doc! { "former_names": 1, "aliases": 1 };
            find.projection(fields).await?.try_collect::<Vec<_>>().await
        };
        let found = find.await.map_err(cannot_read)?;
        Ok(found.iter().filter_map(RegisteredModel::of).collect())
    }

    async fn find_runs(
        &self,
        filter: &Document,
        index: Option<&'static str>,
        take: &(dyn Fn(&Run) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let reads = self
            .run_collections()
            .map(|(runs, is_deleted)| self.read(runs, is_deleted, filter, index, take).boxed());
        Ok(try_join_all(reads).await?.into_iter().flatten().collect())
    }

    async fn read(
        &self,
        runs: Collection<bson::raw::RawDocumentBuf>,
        is_deleted: bool,
        filter: &Document,
        index: Option<&'static str>,
        take: &(dyn Fn(&Run) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let mut fields = doc! { Direction::Input.field(): 1, Direction::Output.field(): 1 };
        if self.with_facts {
            fields.extend(FACTS.map(|field| (field.to_owned(), Bson::from(1))));
        }
        if is_deleted {
            fields.insert("mirror.purged", 1);
        }
        let find = async |index: Option<&'static str>| {
            runs.find(filter.clone())
                .projection(fields.clone())
                .optional(index, |find, index| find.hint(Hint::Name(index.to_owned())))
                .batch()
                .await
        };
        let mut batches = with_index(index, find).await.map_err(cannot_read)?;
        let mut found = Vec::new();
        while let Some(batch) = batches.next().await {
            let batch = batch.and_then(|batch| documents(&batch));
            for document in batch.map_err(cannot_read)? {
                let run = Run::try_from(document)?;
                match take(&run) {
                    Reading::Keep => found.push(StoredRun { run, is_deleted }),
                    Reading::Drop => {}
                    Reading::Stop => return Ok(found),
                }
            }
        }
        Ok(found)
    }

    fn run_collections(
        &self,
    ) -> impl Iterator<Item = (Collection<bson::raw::RawDocumentBuf>, bool)> {
        let collections = Collections::of(self.store);
        let deleted = self.filled.deleted_runs;
        let deleted = deleted.then(|| (collections.deleted_runs(), true));
        [(collections.runs(), false)].into_iter().chain(deleted)
    }

    fn filtered(&self, filter: Document, is_filtered: bool) -> Document {
        match &self.filter {
            Some(other) if is_filtered => doc! { "$and": [filter, other.clone()] },
            _ => filter,
        }
    }
}

/// The fields of a run that a graph tells.
const FACTS: [&str; 6] = [
    field::NAME,
    field::EXP,
    field::STATUS,
    field::START_TIME,
    field::END_TIME,
    field::USER,
];

const VERSION_FIELDS: &[&str] = &[
    "name",
    "version",
    "created",
    "run",
    "logged_model",
    "copied_from",
    "stage",
    "deleted_at",
];

const LOGGED_MODEL_FIELDS: &[&str] = &["source_run", "deleted_at"];

impl Lookup {
    /// The name of the index by the key.
    fn index(&self) -> &'static str {
        let leading = self.kind.key_path(self.direction);
        let mut indexes = INDEXES.iter();
        let index = indexes.find(|index| index.leading_field() == leading && !index.is_by_time());
        index.map_or("", |index| index.name)
    }

    /// The filters on runs that together find all.
    fn filters(&self) -> Vec<Document> {
        let kind = self.kind;
        let filter = |mut element: Document| match element.len() {
            1 => {
                let condition = element.remove(kind.spec().key);
                doc! { kind.key_path(self.direction): condition }
            }
            _ => doc! { kind.path(self.direction): { "$elemMatch": element } },
        };
        self.elements().map(filter).collect()
    }

    /// The same, on an element that stands in the field `entry`.
    fn element_filters(&self) -> Vec<Document> {
        let mut filters = Vec::new();
        for element in self.elements() {
            let renamed = element.into_iter().map(|(field, condition)| {
                let is_key = field == self.kind.spec().key;
                let field = if is_key { "entry.key" } else { "entry.detail" };
                (field.to_owned(), condition)
            });
            filters.push(renamed.collect());
        }
        filters
    }

    fn elements(&self) -> impl Iterator<Item = Document> {
        let spec = self.kind.spec();
        let details = spec.detail.zip(self.details.as_ref());
        let size = details.map_or(CHUNK, |(_, details)| {
            (COMBINATIONS / (details.len() + 1)).clamp(1, CHUNK)
        });
        let keys: Vec<Vec<String>> = chunks(&self.keys, size).collect();
        keys.into_iter().map(move |keys| {
            let mut element = doc! { spec.key: { "$in": keys } };
            if let Some((detail, details)) = details {
                let details = details.iter().map(|detail| Bson::from(detail.as_str()));
                let details: Vec<Bson> = details.chain([Bson::Null]).collect();
                element.insert(detail.field, doc! { "$in": details });
            }
            element
        })
    }
}

impl VersionsBy {
    fn field(self) -> &'static str {
        match self {
            Self::Id => field::ID,
            Self::Name => "name",
            Self::Run => "run",
            Self::LoggedModel => "logged_model",
            Self::CopiedFrom => "copied_from",
        }
    }
}

impl LoggedModelsBy {
    fn field(self) -> &'static str {
        match self {
            Self::Id => field::ID,
            Self::SourceRun => "source_run",
        }
    }
}

impl RegisteredVersion {
    /// Whether the registry knows what it was made of, or by which run.
    pub(crate) fn is_made(&self) -> bool {
        self.run.is_some() || self.logged_model.is_some() || self.copied_from.is_some()
    }

    fn of(version: &Document) -> Option<Self> {
        let name = version.get_str("name").ok()?;
        let number = version.get_str("version").ok()?;
        let copied_from = version.get_str("copied_from").ok();
        let copied_from = copied_from.and_then(|original| original.rsplit_once(':'));
        Some(Self {
            node: Node::stored(Kind::MODEL, name, Some(number)),
            created: version.get_datetime("created").ok().copied(),
            run: text(version, "run"),
            logged_model: text(version, "logged_model"),
            copied_from: copied_from
                .map(|(name, number)| Node::stored(Kind::MODEL, name, Some(number))),
            stage: text(version, "stage"),
            is_deleted: version.contains_key("deleted_at"),
        })
    }
}

impl RegisteredModel {
    fn of(model: &Document) -> Option<Self> {
        let array = |field: &str| model.get_array(field).ok().into_iter().flatten();
        let alias = |alias: &Bson| {
            let alias = alias.as_document()?;
            Some((text(alias, "alias")?, text(alias, "version")?))
        };
        Some(Self {
            name: model.get_str(field::ID).ok()?.to_owned(),
            former_names: array("former_names")
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            aliases: array("aliases").filter_map(alias).collect(),
        })
    }
}

/// The id of a version's document.
pub(crate) fn version_id(node: &Node) -> Option<String> {
    let version = node.detail()?;
    Some(format!("{}:{version}", node.key()))
}

async fn is_filled<T: Send + Sync + serde::de::DeserializeOwned>(
    collection: Collection<T>,
) -> Result<bool> {
    let any = collection
        .clone_with_type::<Document>()
        .find_one(doc! {})
        .projection(doc! { field::ID: 1 })
        .await;
    Ok(any.map_err(cannot_read)?.is_some())
}

async fn find_by(
    collection: Collection<Document>,
    by: &str,
    keys: &BTreeSet<String>,
    fields: &[&str],
) -> Result<Vec<Document>> {
    let fields: Document = fields
        .iter()
        .map(|field| ((*field).to_owned(), Bson::from(1)))
        .collect();
    let mut found = Vec::new();
    for keys in chunks(keys, CHUNK) {
        let find = async {
            let find = collection.find(doc! { by: { "$in": keys } });
            find.projection(fields.clone())
                .await?
                .try_collect::<Vec<_>>()
                .await
        };
        found.extend(find.await.map_err(cannot_read)?);
    }
    Ok(found)
}

async fn tally(
    runs: Collection<bson::raw::RawDocumentBuf>,
    pipeline: &[Document],
    lookup: &Lookup,
) -> Result<Vec<Tally>> {
    let aggregate = async |index: Option<&'static str>| {
        runs.aggregate(pipeline.to_vec())
            .allow_disk_use(true)
            .optional(index, |aggregate, index| {
                aggregate.hint(Hint::Name(index.to_owned()))
            })
            .await
    };
    let count = async {
        let counted = with_index(Some(lookup.index()), aggregate).await?;
        counted.try_collect::<Vec<Document>>().await
    };
    let counted = count.await.map_err(cannot_read)?;
    let counts = counted.iter().filter_map(|counted| {
        let entry = counted.get_document("_id").ok()?;
        let key = entry.get_str("key").ok()?;
        let runs = match counted.get("runs")? {
            Bson::Int32(runs) => i64::from(*runs),
            Bson::Int64(runs) => *runs,
            _ => return None,
        };
        Some(Tally {
            node: Node::stored(lookup.kind, key, entry.get_str("detail").ok()),
            runs: runs.unsigned_abs(),
            is_own: counted.get_bool("is_own").unwrap_or_default(),
        })
    });
    Ok(counts.collect())
}

/// Goes from key to key of the index, however many runs share one.
async fn details(
    runs: Collection<bson::raw::RawDocumentBuf>,
    lookup: &Lookup,
    key: &str,
    limit: usize,
) -> Result<BTreeSet<Option<String>>> {
    let mut found = BTreeSet::new();
    let Some(detail) = lookup.kind.spec().detail else {
        return Ok(found);
    };
    let key_field = lookup.kind.key_path(lookup.direction);
    let detail_field = format!("{}.{}", lookup.kind.path(lookup.direction), detail.field);
    let bound = |key: &str, detail: Bson| doc! { &key_field: key, &detail_field: detail };
    // Right after a text comes the same text and a NUL.
    let max = bound(&format!("{key}\0"), Bson::MinKey);
    let mut min = bound(key, Bson::MinKey);
    while found.len() < limit {
        let next = runs
            .clone_with_type::<Document>()
            .find_one(doc! {})
            .hint(Hint::Name(lookup.index().to_owned()))
            .min(min)
            .max(max.clone())
            .return_key(true)
            .await;
        let next = match next {
            Err(error) if code_of(&error) == Some(code::BAD_VALUE) => {
                return details_without_index(runs, lookup).await;
            }
            next => next.map_err(cannot_read)?,
        };
        let Some(next) = next else { break };
        let detail = next.get_str(&detail_field).ok();
        found.insert(detail.map(str::to_owned));
        let after = detail.map_or(Bson::from(""), |detail| format!("{detail}\0").into());
        min = bound(key, after);
    }
    Ok(found)
}

async fn details_without_index(
    runs: Collection<bson::raw::RawDocumentBuf>,
    lookup: &Lookup,
) -> Result<BTreeSet<Option<String>>> {
    let spec = lookup.kind.spec();
    let path = format!("${}", lookup.kind.path(lookup.direction));
    let mut fields = doc! { "key": format!("$entry.{}", spec.key) };
    if let Some(detail) = spec.detail {
        fields.insert("detail", format!("$entry.{}", detail.field));
    }
    let find = async {
        let pipeline = lookup
            .filters()
            .into_iter()
            .map(|filter| doc! { "$match": filter })
            .chain([
                doc! { "$project": { "entry": path } },
                doc! { "$unwind": "$entry" },
                doc! { "$group": { "_id": fields } },
            ]);
        let found = runs.aggregate(pipeline).await?;
        found.try_collect::<Vec<Document>>().await
    };
    let found = find.await.map_err(cannot_read)?;
    let entries = found
        .iter()
        .filter_map(|entry| entry.get_document("_id").ok());
    let of_key = entries.filter(|entry| {
        let key = entry.get_str("key");
        key.is_ok_and(|key| lookup.keys.contains(key))
    });
    Ok(of_key
        .map(|entry| entry.get_str("detail").ok().map(str::to_owned))
        .collect())
}

/// Sends a command with the index, and without it where the server has no index of that name.
async fn with_index<T, F>(
    index: Option<&'static str>,
    command: impl Fn(Option<&'static str>) -> F,
) -> mongodb::error::Result<T>
where
    F: Future<Output = mongodb::error::Result<T>>,
{
    match command(index).await {
        Err(error) if index.is_some() && code_of(&error) == Some(code::BAD_VALUE) => {
            command(None).await
        }
        sent => sent,
    }
}

fn chunks(keys: &BTreeSet<String>, size: usize) -> impl Iterator<Item = Vec<String>> {
    let keys: Vec<String> = keys.iter().cloned().collect();
    let chunks: Vec<Vec<String>> = keys.chunks(size).map(<[String]>::to_vec).collect();
    chunks.into_iter()
}

fn text(document: &Document, field: &str) -> Option<String> {
    document.get_str(field).ok().map(str::to_owned)
}

fn cannot_read(error: mongodb::error::Error) -> crate::Error {
    failed("cannot read the lineage of the graph", error)
}
