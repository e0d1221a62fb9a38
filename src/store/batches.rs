//! The batches of a search as MongoDB sends them, by the better of two plans.

use std::pin::pin;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Document, RawBsonRef};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use mongodb::options::Hint;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::mongo::{MongoRunStore, failed};
use super::plan::{Indexes, narrowed};
use crate::error::Result;
use crate::query::{IndexedTerm, Search};

/// How long the server's own plan is left alone: most searches are over by then, and cost nothing but themselves.
const HEAD_START: Duration = Duration::from_millis(1);

/// What a find has sent so far, and whence the rest comes.
struct Found {
    first: Option<RawBatch>,
    rest: RawBatchCursor,
}

impl MongoRunStore {
    /// The documents of the runs that match, each copied once out of its batch.
    pub(super) async fn documents(
        &self,
        search: Search,
    ) -> Result<BoxStream<'static, Result<RawDocumentBuf>>> {
        let (filter, search) = search.take_filter()?;
        let found = match Indexes::of(&filter) {
            Indexes::Known(hint) => self.find(filter, &search, hint).await?,
            Indexes::Several(parts) => self.find_by_the_better(filter, &search, parts).await?,
        };
        let first = stream::iter(found.first.map(Ok));
        let documents = first.chain(found.rest).map(|batch| {
            let documents = documents(&batch.map_err(interrupted)?).map_err(interrupted)?;
            Ok(stream::iter(documents.into_iter().map(Ok)))
        });
        Ok(documents.try_flatten().boxed())
    }

    /// By the server's own plan and, unless that has sent all runs by then, by the index with the fewest matches.
    ///
    /// The server tries each index for a moment and keeps the one that finds a match first, which on runs in the order of
    /// their time can be the worst; but mostly it is right, and to look before would double the time of a small search.
    /// What is dropped here ends at the server too: its cursor is killed, or its connection closed.
    async fn find_by_the_better(
        &self,
        filter: Document,
        search: &Search,
        parts: Vec<Vec<IndexedTerm>>,
    ) -> Result<Found> {
        let mut own = pin!(self.find(filter.clone(), search, None));
        let mut hinted = pin!(async {
            match self.smallest(parts, search).await {
                Some(term) => {
                    let filter = narrowed(filter, term.filter);
                    let found = self.find(filter, search, Some(term.index)).await?;
                    Ok(Some(found))
                }
                None => Ok(None),
            }
        });
        let by_itself = match tokio::time::timeout(HEAD_START, own.as_mut()).await {
            Ok(found) => found?,
            Err(_) => tokio::select! {
                found = own.as_mut() => found?,
                found = hinted.as_mut() => match found? {
                    Some(found) => return Ok(found),
                    None => return own.await,
                },
            },
        };
        if by_itself.is_whole() {
            return Ok(by_itself);
        }
        Ok(hinted.await?.unwrap_or(by_itself))
    }

    async fn find(
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
    fn is_whole(&self) -> bool {
        let cursor = |batch: &RawBatch| {
            let reply = batch.as_raw_document();
            let cursor = reply.get_document("cursor").ok()?;
            cursor.get_i64("id").ok()
        };
        self.first.as_ref().and_then(cursor).unwrap_or_default() == 0
    }
}

fn documents(batch: &RawBatch) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
    let mut documents = Vec::new();
    for document in batch.doc_slices()? {
        if let RawBsonRef::Document(document) = document? {
            documents.push(document.to_owned());
        }
    }
    Ok(documents)
}

pub(super) fn interrupted(error: mongodb::error::Error) -> crate::error::Error {
    failed("cannot read on in the search", error)
}
