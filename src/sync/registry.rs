//! [`RegistryMirror`]: mirrors registered models, their versions and logged models, as one part of a pass.
//!
//! Logged models come first, since a version may take its run from one. Versions are saved before their models: the time of
//! the last change that is stored of a model tells the next quick pass that all its versions up to then are mirrored.

mod forget;
mod listing;
mod logged_models;
mod missing;
mod models;
mod renames;
mod verify;

mod versions;

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;

use super::report::{Incomplete, RegistryCounts, RegistryReport};
use super::settings::Settings;
use super::totals::Totals;
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mongo::registry::{RegistryStore, SavedDocuments};
use crate::mongo::ticket::Ticket;
use crate::registry::{RegistryCollection, RegistryDocument};

pub(super) use forget::forget_model;
pub(super) use verify::RegistryVerifier;

/// In a report, something that is said of the whole pass.
const ALL: &str = "*";

/// The experiments of a pass, and when MLflow made those that are mirrored under their ids.
#[derive(Clone, Copy)]
pub(super) struct Experiments<'a> {
    pub(super) chosen: &'a [RawExperiment],
    pub(super) recorded: &'a HashMap<String, i64>,
}

/// The registry's part of one pass.
#[derive(Clone, Copy)]
pub(super) struct RegistryMirror<'a> {
    settings: &'a Settings,
    totals: &'a Totals<'a>,
}

impl<'a> RegistryMirror<'a> {
    pub(super) fn new(settings: &'a Settings, totals: &'a Totals<'a>) -> Self {
        Self { settings, totals }
    }

    /// Mirrors everything, decides on what MLflow did not show, and tells what it could not finish.
    pub(super) async fn full(self, experiments: Experiments<'_>) -> Result<Vec<Incomplete>> {
        if !self.settings.registry {
            return Ok(Vec::new());
        }
        let mut incomplete = self.all_logged_models(experiments).await?;
        let registry = self.all_models().await;
        incomplete.extend(unless_refused(registry)?);
        Ok(incomplete)
    }

    /// Mirrors what is likely to have changed, and tells what it could not finish.
    pub(super) async fn quick(
        self,
        experiments: Experiments<'_>,
        since: i64,
    ) -> Result<Vec<Incomplete>> {
        if !self.settings.registry {
            return Ok(Vec::new());
        }
        let mut incomplete = self.changed_logged_models(experiments, since).await?;
        let registry = self.moved_models().await;
        incomplete.extend(unless_refused(registry)?);
        Ok(incomplete)
    }

    fn store(self, which: RegistryCollection) -> RegistryStore<'a> {
        RegistryStore::of(&self.settings.store, which)
    }

    /// Saves documents that were read after this ticket was drawn, and counts them.
    async fn save(
        self,
        which: RegistryCollection,
        documents: Vec<RegistryDocument>,
        ticket: Ticket,
    ) -> Result<Vec<Incomplete>> {
        let seen = documents.len() as u64;
        let SavedDocuments {
            written, refused, ..
        } = self.store(which).save(documents, ticket).await?;
        self.count(which, |counts| {
            counts.seen += seen;
            counts.written += written;
        });
        let refused = refused.into_iter().map(|(id, reason)| {
            let noun = which.noun();
            of_registry(format!("MongoDB refused {noun} {id:?}: {reason}"))
        });
        Ok(refused.collect())
    }

    async fn tombstone(
        self,
        which: RegistryCollection,
        ids: &[String],
        ticket: Ticket,
    ) -> Result<()> {
        let deleted = self.store(which).tombstone(ids, ticket).await?;
        self.count(which, |counts| counts.deleted += deleted);
        Ok(())
    }

    fn count(self, which: RegistryCollection, change: impl FnOnce(&mut RegistryCounts)) {
        self.totals.add(|report| {
            let RegistryReport {
                models,
                versions,
                logged_models,
            } = &mut report.registry;
            change(match which {
                RegistryCollection::Models => models,
                RegistryCollection::Versions => versions,
                RegistryCollection::LoggedModels => logged_models,
            });
        });
    }
}

/// What a part could not finish. MLflow's refusal of the registry does not end the work on the runs.
fn unless_refused(part: Result<Vec<Incomplete>>) -> Result<Vec<Incomplete>> {
    match part {
        Err(error) => Ok(vec![unreadable(error)?]),
        finished => finished,
    }
}

/// Why the registry is incomplete after an answer of MLflow; an error of another kind is returned.
pub(super) fn unreadable(error: Error) -> Result<Incomplete> {
    reason(error).map(of_registry)
}

fn reason(error: Error) -> Result<String> {
    let is_answer = matches!(
        error,
        Error::Mlflow { .. } | Error::MlflowProtocol { .. } | Error::PageTooLarge { .. }
    );
    if !is_answer {
        return Err(error);
    }
    let is_denied = matches!(
        &error,
        Error::Mlflow {
            status: 401 | 403,
            ..
        } | Error::Mlflow {
            code: Some(MlflowCode::PermissionDenied),
            ..
        }
    );
    let causes = std::iter::successors(Some(&error as &dyn StdError), |error: &&dyn StdError| {
        (*error).source()
    });
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    let said = causes.join(": ");
    let what = if is_denied {
        "this user may not read the model registry or the logged models"
    } else {
        "the model registry or the logged models cannot be read"
    };
    Ok(format!(
        "{what}, so what is mirrored of them stays as it is; `--no-registry` leaves them out: {said}"
    ))
}

fn of_registry(reason: String) -> Incomplete {
    Incomplete {
        experiment: ALL.into(),
        reason,
    }
}

/// Whether MLflow says that the thing that was asked for does not exist.
fn is_not_there(error: &Error) -> bool {
    matches!(
        error,
        Error::Mlflow {
            code: Some(MlflowCode::ResourceDoesNotExist),
            ..
        }
    )
}

/// The names of a list, each once.
fn distinct<'t>(names: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let names: HashSet<&str> = names.into_iter().collect();
    names.into_iter().map(str::to_owned).collect()
}
