//! [`Mirror`]: the database that is asked, and the limits that no question exceeds.

use bson::DateTime;
use rmcp::schemars::{self, JsonSchema};
use runlineage::MongoRunStore;
use runlineage::mongo::Freshness;
use runlineage_answer::Pages;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// The database that is asked.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// It limits the time of each command.
    pub(crate) store: MongoRunStore,
    /// The address of MLflow, where the mirror does not name it.
    pub(crate) mlflow: Option<String>,
    /// The characters of one answer.
    pub(crate) max_characters: usize,
    /// The places for questions in progress.
    pub(crate) places: Semaphore,
}

impl Mirror {
    /// How many questions MongoDB works on at once. A client may send any number.
    pub(crate) const PLACES: usize = 4;

    /// Reads how fresh the mirror is. A database that holds nothing and never saw a full pass is refused, because it would answer
    /// every question with "nothing".
    pub(crate) async fn state(&self) -> Result<State, Refusal> {
        let freshness = self.store.freshness().await?;
        if freshness.full_pass.is_none() && !self.store.find_any().await? {
            return Err(Refusal::of(
                "this database mirrors nothing yet; run `runlineage sync` on it first",
            ));
        }
        Ok(State::of(freshness))
    }

    /// The pages of MLflow.
    pub(crate) fn pages(&self, state: &State) -> Option<Pages> {
        Pages::of(None, state.source.as_deref(), || self.mlflow.clone())
    }
}

/// The source of the mirror, and when its last passes began. An answer shows MLflow as it was then.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct State {
    /// The tracking server that is mirrored.
    pub(crate) source: Option<String>,
    /// When the last complete full pass began. Everything in MLflow at that time is mirrored.
    full_pass: Option<String>,
    /// When the last complete quick pass began. It reads new, running and recently ended runs.
    quick_pass: Option<String>,
    /// How many migrations are pending. Until they are applied, searches may be slow.
    pending_migrations: usize,
}

impl State {
    fn of(freshness: Freshness) -> Self {
        let date = |date: Option<DateTime>| date?.try_to_rfc3339_string().ok();
        Self {
            full_pass: date(freshness.full_pass),
            quick_pass: date(freshness.quick_pass),
            pending_migrations: freshness.pending_migrations,
            source: freshness.source,
        }
    }
}
