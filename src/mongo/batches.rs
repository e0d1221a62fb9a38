//! The runs of a search in the batches that MongoDB sends.

use std::future::ready;

use bson::raw::RawDocumentBuf;
use bson::{Document, RawBsonRef};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use mongodb::options::Hint;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::{MongoRunStore, failed};
use crate::error::Result;
use crate::query::Search;

/// What a find has sent so far, and whence the rest comes.
pub(super) struct Found {
    first: Option<RawBatch>,
    rest: RawBatchCursor,
}

impl MongoRunStore {
    pub(super) async fn find(
        &self,
        filter: Document,
        search: &Search,
        hint: Option<&'static str>,
    ) -> Result<Found> {
        let runs = self.runs();
        let mut find = runs
            .find(filter)
            .limit(search.limit.map_or(0, i64::from))
            .skip(search.skip.unwrap_or_default());
        if let Some(sort) = &search.sort {
            find = find.sort(sort.clone());
        }
        if let Some(projection) = &search.projection {
            find = find.projection(projection.clone());
        }
        if let Some(max_time) = search.max_time {
            find = find.max_time(max_time);
        }
        if let Some(hint) = hint {
            find = find.hint(Hint::Name(hint.to_owned()));
        }
        let cannot = |error| failed("cannot search runs", error);
        let mut rest = find.batch().await.map_err(cannot)?;
        let first = rest.try_next().await.map_err(cannot)?;
        Ok(Found { first, rest })
    }
}

impl Found {
    /// Whether the server closed the cursor with the first batch: there is no more.
    pub(super) fn is_whole(&self) -> bool {
        let cursor = |batch: &RawBatch| {
            let reply = batch.as_raw_document();
            let cursor = reply.get_document("cursor").ok()?;
            cursor.get_i64("id").ok()
        };
        self.first.as_ref().and_then(cursor).unwrap_or_default() == 0
    }

    /// What `read` makes of each document, which is copied once, out of its batch; an error is the last item.
    pub(super) fn read<T: Send + 'static>(
        self,
        read: impl Fn(RawDocumentBuf) -> Result<T> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let batches = stream::iter(self.first.map(Ok)).chain(self.rest);
        let documents = batches.map(|batch| {
            let documents = batch.and_then(|batch| documents(&batch));
            let documents =
                documents.map_err(|error| failed("cannot read on in the search", error))?;
            Ok(stream::iter(documents.into_iter().map(Ok)))
        });
        let items = documents
            .try_flatten()
            .and_then(move |document| ready(read(document)));
        // To go on after an answer that was lost would leave a gap.
        let until_error = items.scan(false, |over, item| {
            let was_over = std::mem::replace(over, item.is_err());
            ready((!was_over).then_some(item))
        });
        until_error.boxed()
    }
}

fn documents(batch: &RawBatch) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
    let mut documents = Vec::new();
    for document in batch.doc_slices()? {
        let RawBsonRef::Document(document) = document? else {
            return Err(mongodb::error::Error::custom(
                "a batch holds what is no document",
            ));
        };
        documents.push(document.to_owned());
    }
    Ok(documents)
}
