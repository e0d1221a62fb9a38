//! Sessions: what a browser gets for a token. A cookie holds the session's id, so that pictures and downloads can send it too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::access::Reader;
use crate::error::Error;
use crate::token::{NewToken, TokenHash};

/// A session ends when it was not used for so long.
pub(crate) const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// At this number of sessions, a new one replaces the one that was not used for the longest time.
const MAX_SESSIONS: usize = 10_000;

/// The sessions of a server. They end with it.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<TokenHash, Session>>);

#[derive(Debug)]
struct Session {
    reader: Reader,
    used: Instant,
}

impl Sessions {
    /// Begins a session, and returns its id.
    pub(crate) fn begin(&self, reader: Reader) -> Result<NewToken, Error> {
        let id = NewToken::random()?;
        let session = Session {
            reader,
            used: Instant::now(),
        };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, session| session.used.elapsed() < IDLE);
        }
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(id.hash(), session);
        Ok(id)
    }

    /// The reader of a session that has not ended.
    pub(crate) fn reader(&self, id: &str) -> Option<Reader> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&TokenHash::of(id))?;
        if session.used.elapsed() >= IDLE {
            return None;
        }
        session.used = Instant::now();
        Some(session.reader.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: &str) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&TokenHash::of(id));
    }
}
