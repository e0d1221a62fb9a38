//! Limits on what takes long: how many searches may scan at once, and how many streams a reader may have open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Reader;
use crate::problem::Problem;

/// Searches that no index serves read every run, and push what others need out of MongoDB's memory.
const MAX_SCANS: usize = 2;
/// A stream lasts as long as its reader takes.
const MAX_STREAMS: usize = 4;

/// The scans that run now.
#[derive(Debug)]
pub(crate) struct Scans(Arc<Semaphore>);

/// The streams that each reader has open.
#[derive(Debug, Default, Clone)]
pub(crate) struct Streams(Arc<Mutex<HashMap<Reader, usize>>>);

/// A stream. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Streams,
    reader: Reader,
}

impl Default for Scans {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SCANS)))
    }
}

impl Scans {
    /// Begins a scan, which ends when the permit is dropped.
    pub(crate) fn begin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let what = "no index serves this search, and others that read every run are under way; add an experiment, a model or a time, or wait";
            Problem::too_many_requests(what, Duration::from_secs(5))
        })
    }
}

impl Streams {
    /// Opens a stream for a reader.
    pub(crate) fn open(&self, reader: &Reader) -> Result<OpenStream, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(reader.clone()).or_default();
        if *count >= MAX_STREAMS {
            let what = format!("this token has {MAX_STREAMS} streams open already");
            return Err(Problem::too_many_requests(&what, Duration::from_secs(5)));
        }
        *count += 1;
        Ok(OpenStream {
            streams: self.clone(),
            reader: reader.clone(),
        })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.reader) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.reader);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SCANS, MAX_STREAMS, Reader, Scans, Streams};

    #[test]
    fn a_stream_that_ended_makes_room_for_another_one() {
        let streams = Streams::default();
        let (ana, ben) = (Reader(Some("ana".into())), Reader(Some("ben".into())));
        let mut open: Vec<_> = (0..MAX_STREAMS)
            .map(|_| streams.open(&ana).unwrap())
            .collect();
        assert!(streams.open(&ana).is_err() && streams.open(&ben).is_ok());
        open.pop();
        open.push(streams.open(&ana).unwrap());
        drop(open);
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[test]
    fn only_so_many_scans_run_at_once() {
        let scans = Scans::default();
        let running: Vec<_> = (0..MAX_SCANS).map(|_| scans.begin().unwrap()).collect();
        assert!(scans.begin().is_err());
        drop(running);
        assert!(scans.begin().is_ok());
    }
}
