//! [`Seen`]: the set of runs that a scan has shown.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// The set of runs that a scan has shown. It keeps 16 bytes for each, so that a pass over a million runs needs little memory.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashSet<u128>>);

impl Seen {
    pub(super) fn insert(&self, id: &str) {
        self.ids().insert(short(id));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids().contains(&short(id))
    }

    /// Removes a run, and returns whether it was in the set.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.ids().remove(&short(id))
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<u128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The 16 bytes of an id that MLflow made (32 hexadecimal digits), or 16 bytes of the hash of any other id.
fn short(id: &str) -> u128 {
    let own = (id.len() == 32)
        .then(|| u128::from_str_radix(id, 16).ok())
        .flatten();
    own.unwrap_or_else(|| {
        let hash = Sha256::digest(id);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        u128::from_le_bytes(bytes)
    })
}
