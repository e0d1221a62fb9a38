//! A search that several indexes serve: the server's own plan against the index with the fewest matches.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bson::Document;
use tokio::sync::oneshot;

use super::batches::Found;
use super::indexes::{Indexes, narrowed};
use super::{MongoRunStore, is_bad_value};
use crate::error::Result;
use crate::query::{IndexedTerm, Search};

/// How long the server's own plan is left alone: near the server, most searches are over by then.
const HEAD_START: Duration = Duration::from_millis(1);

impl MongoRunStore {
    pub(super) async fn found(&self, search: Search) -> Result<Found> {
        let filter = search.filter()?;
        match Indexes::of(&filter) {
            Indexes::Own => self.find(filter, &search, None).await,
            Indexes::Joined(term) => {
                let found = self.find(filter.clone(), &search, Some(term.index)).await;
                match found {
                    Err(error) if is_bad_value(&error) => self.find(filter, &search, None).await,
                    found => found,
                }
            }
            Indexes::Several(parts) => self.found_by_the_better(filter, search, parts).await,
        }
    }

    /// By the server's own plan and, unless that has sent all runs by then, by the index with the fewest matches.
    ///
    /// The server tries each index for a moment and keeps the one that finds a match first, which on runs in the order of
    /// their time can be the worst; but mostly it is right, and to look before would double the time of a small search.
    /// Where it loses, its connection is closed, by which the server sees that nobody waits for it any more.
    async fn found_by_the_better(
        &self,
        filter: Document,
        search: Search,
        parts: Vec<Vec<IndexedTerm>>,
    ) -> Result<Found> {
        let search = Arc::new(search);
        let mut own = pin!(self.find(filter.clone(), &search, None));
        if let Ok(found) = tokio::time::timeout(HEAD_START, own.as_mut()).await {
            let found = found?;
            if found.is_whole() {
                return Ok(found);
            }
            let hinted = self.spawn_hinted(filter, Arc::clone(&search), parts, true);
            return Ok(hinted.await.ok().flatten().unwrap_or(found));
        }
        let mut hinted = self.spawn_hinted(filter, Arc::clone(&search), parts, false);
        tokio::select! {
            found = own.as_mut() => match found {
                Ok(found) if found.is_whole() => Ok(found),
                // Each stands in for the other.
                found => match hinted.await {
                    Ok(Some(hinted)) => Ok(hinted),
                    _ => found,
                },
            },
            hinted = &mut hinted => match hinted {
                Ok(Some(found)) => Ok(found),
                _ => own.await,
            },
        }
    }

    /// Finds by the index with the fewest matches; nothing where there is none, or where it failed.
    ///
    /// In a task of its own, which ends its requests: one that is dropped takes its connection along.
    fn spawn_hinted(
        &self,
        filter: Document,
        search: Arc<Search>,
        parts: Vec<Vec<IndexedTerm>>,
        many: bool,
    ) -> oneshot::Receiver<Option<Found>> {
        let (sender, receiver) = oneshot::channel();
        let store = self.clone();
        tokio::spawn(async move {
            let term = store.smallest(parts, &search, many).await;
            let found = match term.filter(|_| !sender.is_closed()) {
                Some(term) => {
                    let filter = narrowed(filter, term.filter);
                    store.find(filter, &search, Some(term.index)).await.ok()
                }
                None => None,
            };
            // Nobody may wait for it any more; its cursor is then killed.
            let _ = sender.send(found);
        });
        receiver
    }
}
