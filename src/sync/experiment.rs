//! Scans one experiment: each page is fetched while the one before it is saved.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::report::Incomplete;
use super::state::{Pass, Place};
use super::{Sync, Totals};
use crate::error::{Error, Result};
use crate::mlflow::document;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::{RawExperiment, RawRun};
use crate::run::Run;
use crate::store::mongo::Ticket;

/// What the scan of an experiment leaves to the end of the pass.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) incomplete: Vec<Incomplete>,
    /// Mirrored runs that MLflow no longer knows at all.
    pub(super) gone: Vec<Run>,
}

/// A page, mapped, with the ticket drawn before it was asked for and the place where the next one begins.
struct Page {
    ticket: Ticket,
    active: Vec<Run>,
    deleted: Vec<Run>,
    next: Option<i64>,
}

/// Which runs a scan has shown: 16 bytes each, so that a pass over a million runs stays small.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<u128>);

impl Sync {
    pub(super) async fn scan_experiment(
        &self,
        experiment: &RawExperiment,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Outcome> {
        let id = &experiment.experiment_id;
        let place = pass.place(id);
        // Ids are small numbers: another server, or one that was emptied, has an experiment of the same id.
        let recorded = pass.creation_time(id);
        if recorded.is_some() && recorded != experiment.creation_time {
            return Ok(Outcome {
                incomplete: vec![Incomplete {
                    experiment: id.clone(),
                    reason: "the experiment of that id is not the one that was mirrored: is this another server, or another workspace? What is mirrored of it stays, until `sync --forget-experiment` removes it".into(),
                }],
                gone: Vec::new(),
            });
        }
        let nothing_to_delete = experiment.is_deleted() && !self.store.holds_experiment(id).await?;
        if place == Place::Done || nothing_to_delete {
            totals.add(|report| report.experiments += 1);
            return Ok(Outcome::default());
        }
        match self.scan(experiment, place, pass, totals).await {
            Ok(seen) => {
                let outcome = self
                    .look_for_gone(experiment, place, &seen, pass, totals)
                    .await?;
                if outcome.incomplete.is_empty() {
                    // What is gone is removed at the end of the pass: until then, a killed one has to find it anew.
                    let place = if outcome.gone.is_empty() {
                        Place::Done
                    } else {
                        Place::Start
                    };
                    pass.reached(&self.store, experiment, place).await?;
                    totals.add(|report| report.experiments += 1);
                }
                Ok(outcome)
            }
            // MLflow's word on one experiment is no reason to leave the others out.
            Err(error @ (Error::Mlflow { .. } | Error::PageTooLarge { .. })) => {
                let incomplete = Incomplete {
                    experiment: id.clone(),
                    reason: error.to_string(),
                };
                Ok(Outcome {
                    incomplete: vec![incomplete],
                    gone: Vec::new(),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn scan(
        &self,
        experiment: &RawExperiment,
        place: Place,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Seen> {
        let mut scan = Scan::new(self.mlflow.clone(), experiment.experiment_id.clone())
            .page_size(self.page_size);
        if let Place::From(start_time) = place {
            scan = scan.resume_at(start_time);
        }
        let mut seen = Seen::default();
        let mut fetched = None;
        loop {
            let fetch = self.fetch(&mut scan, experiment, &mut seen);
            let (page, ()) =
                futures::future::try_join(fetch, self.save(fetched, experiment, pass, totals))
                    .await?;
            if page.is_none() {
                return Ok(seen);
            }
            fetched = page;
        }
    }

    async fn fetch(
        &self,
        scan: &mut Scan,
        experiment: &RawExperiment,
        seen: &mut Seen,
    ) -> Result<Option<Page>> {
        // Drawn before the request: whatever is read from MLflow after it is at least as new.
        let ticket = self.store.draw_ticket().await?;
        let Some(runs) = scan.next_page().await? else {
            return Ok(None);
        };
        let (deleted, active): (Vec<RawRun>, Vec<RawRun>) =
            runs.into_iter().partition(RawRun::is_deleted);
        let mut map = |runs: Vec<RawRun>| -> Result<Vec<Run>> {
            runs.into_iter()
                .map(|run| {
                    seen.insert(&run.info.run_id);
                    document::map(&run, &experiment.name)
                })
                .collect()
        };
        Ok(Some(Page {
            ticket,
            active: map(active)?,
            deleted: map(deleted)?,
            next: scan.position(),
        }))
    }

    async fn save(
        &self,
        page: Option<Page>,
        experiment: &RawExperiment,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<()> {
        let Some(Page {
            ticket,
            active,
            deleted,
            next,
        }) = page
        else {
            return Ok(());
        };
        let count = active.len() as u64;
        let saved = self.store.save_runs(active, ticket).await?;
        let buried = if deleted.is_empty() {
            0
        } else {
            self.store.bury_runs(deleted, ticket).await?
        };
        if let Some(next) = next {
            pass.reached(&self.store, experiment, Place::From(next))
                .await?;
        }
        totals.add(|report| {
            report.seen += count;
            report.written += saved.written;
            report.unchanged += saved.unchanged;
            report.quarantined += saved.quarantined;
            report.deleted += buried;
        });
        Ok(())
    }
}

impl Seen {
    fn insert(&mut self, id: &str) {
        self.0.insert(short(id));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains(&short(id))
    }
}

/// An id of MLflow's own is 32 hexadecimal digits; any other is hashed.
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
