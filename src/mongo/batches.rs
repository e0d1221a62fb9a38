//! [`SearchCursor`]: reads the runs of a search from the batches that MongoDB sends.

use std::future::ready;

use bson::raw::RawDocumentBuf;
use bson::{Document, RawBsonRef, doc};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use mongodb::action::Action as _;
use mongodb::options::Hint;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::MongoRunStore;
use super::chooser::IndexChooser;
use super::collections::Collections;
use super::failure::failed;
use crate::error::Result;
use crate::query::{Search, without_keys};
use crate::store::until_error;

/// The open cursor of a search.
pub(super) struct SearchCursor(RawBatchCursor);

impl SearchCursor {
    /// Sends the search. Returns the error of the first batch; the stream returns those of later batches.
    pub(super) async fn open(store: &MongoRunStore, search: &Search) -> Result<Self> {
        let choice = IndexChooser::for_runs(store, search).choose().await?;
        let sent = match pipeline(&choice.filter, search) {
            Some(pipeline) => {
                let aggregate = |hint| aggregate(store, search, pipeline.clone(), hint);
                choice.send(aggregate).await
            }
            None => {
                let find = |hint| find(store, search, choice.filter.clone(), hint);
                choice.send(find).await
            }
        };
        sent.map(Self)
            .map_err(|error| failed("cannot search runs", error))
    }

    /// Streams the documents, each converted by `convert`; an error is the last item.
    pub(super) fn stream<T: Send + 'static>(
        self,
        convert: impl Fn(RawDocumentBuf) -> Result<T> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let documents = self.0.map(|batch| {
            let documents = batch.and_then(|batch| documents(&batch));
            let documents = documents.map_err(|error| failed("cannot read more results", error))?;
            Ok(stream::iter(documents.into_iter().map(Ok)))
        });
        let items = documents
            .try_flatten()
            .and_then(move |document| ready(convert(document)));
        until_error(items).boxed()
    }
}

/// The aggregation stages of a search whose order MongoDB has to compute; `None` if a plain `find` will do.
pub(super) fn pipeline(filter: &Document, search: &Search) -> Option<Vec<Document>> {
    let sort_stages = search.sort_stages.as_ref()?;
    let mut pipeline = vec![doc! { "$match": filter }];
    pipeline.extend(sort_stages.iter().cloned());
    let skip = search.skip.filter(|skip| *skip > 0);
    pipeline.extend(skip.map(|skip| doc! { "$skip": i64::try_from(skip).unwrap_or(i64::MAX) }));
    pipeline.extend(
        search
            .limit
            .map(|limit| doc! { "$limit": i64::from(limit) }),
    );
    pipeline.push(without_keys());
    let projection = search.projection.as_ref();
    pipeline.extend(projection.map(|projection| doc! { "$project": projection }));
    Some(pipeline)
}

async fn find(
    store: &MongoRunStore,
    search: &Search,
    filter: Document,
    hint: Option<Hint>,
) -> mongodb::error::Result<RawBatchCursor> {
    let runs = Collections::of(store).runs();
    runs.find(filter)
        .optional(search.limit, |find, limit| find.limit(limit.into()))
        .optional(search.skip, |find, skip| find.skip(skip))
        .optional(search.sort.clone(), |find, sort| find.sort(sort))
        .optional(search.projection.clone(), |find, fields| {
            find.projection(fields)
        })
        .optional(store.max_time_of(search), |find, time| find.max_time(time))
        .optional(hint, |find, hint| find.hint(hint))
        .batch()
        .await
}

async fn aggregate(
    store: &MongoRunStore,
    search: &Search,
    pipeline: Vec<Document>,
    hint: Option<Hint>,
) -> mongodb::error::Result<RawBatchCursor> {
    let runs = Collections::of(store).runs();
    // MongoDB 5 uses the disk for large sorts only if it is allowed to.
    runs.aggregate(pipeline)
        .allow_disk_use(true)
        .optional(store.max_time_of(search), |aggregate, time| {
            aggregate.max_time(time)
        })
        .optional(hint, |aggregate, hint| aggregate.hint(hint))
        .batch()
        .await
}

pub(super) fn documents(batch: &RawBatch) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
    let mut documents = Vec::new();
    for document in batch.doc_slices()? {
        let RawBsonRef::Document(document) = document? else {
            return Err(mongodb::error::Error::custom(
                "a batch contains a value that is not a document",
            ));
        };
        documents.push(document.to_owned());
    }
    Ok(documents)
}
