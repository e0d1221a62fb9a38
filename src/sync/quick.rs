//! A quick pass: new runs, runs that are not over, and runs that ended lately.

use std::time::{Duration, Instant};

use bson::doc;
use futures::{FutureExt, TryStreamExt};

use super::pages::{Names, Seen, names};
use super::state;
use super::{Sync, Totals};
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::failed;
use crate::run::Run;

/// How many experiments, or runs, one request names.
const NAMED_AT_ONCE: usize = 100;

/// The words of MLflow for runs that are not over.
const UNDER_WAY: [&str; 2] = ["RUNNING", "SCHEDULED"];

impl Sync {
    /// Mirrors what is likely to have changed: a full pass finds the rest, such as tags of runs that ended long ago, runs
    /// that were imported with the start and the end they had elsewhere, and what was erased.
    pub(super) async fn quick_pass(&self, settle: Duration, totals: &Totals<'_>) -> Result<()> {
        let started = Instant::now();
        let experiments: Vec<RawExperiment> = self.mlflow.raw_experiments().try_concat().await?;
        let mut chosen = self.choose(experiments)?;
        chosen.retain(|experiment| !experiment.is_deleted());
        let names = names(&chosen);
        let held = self.store.held_experiments().await?;
        let seen = Seen::default();
        let settled = bson::DateTime::now().timestamp_millis()
            - i64::try_from(settle.as_millis()).unwrap_or(i64::MAX);
        let mut filters = vec![
            format!("attributes.start_time >= {settled}"),
            format!("attributes.end_time >= {settled}"),
        ];
        filters.extend(UNDER_WAY.map(|status| format!("attributes.status = '{status}'")));
        for filter in filters {
            self.search(&filter, &names, &seen, totals).await?;
        }
        // Mirrored as under way, and over by now with an end time of long ago.
        for ids in self.under_way(&names, &seen).await?.chunks(NAMED_AT_ONCE) {
            let filter = format!("attributes.run_id IN ('{}')", ids.join("','"));
            self.search(&filter, &names, &seen, totals).await?;
        }
        for id in self.store.held_experiments().await? {
            let is_new = !held.contains(&id);
            if let Some(new) = chosen.iter().find(|exp| is_new && exp.experiment_id == id) {
                self.store
                    .record_experiment(&id, &new.name, new.creation_time)
                    .await?;
            }
        }
        if self.is_everything() {
            state::quick_pass_ended(&self.store, started).await?;
        }
        Ok(())
    }

    async fn search(
        &self,
        filter: &str,
        names: &Names,
        seen: &Seen,
        totals: &Totals<'_>,
    ) -> Result<()> {
        let ids: Vec<String> = names.keys().cloned().collect();
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut scan = Scan::new(self.mlflow.clone(), ids.to_vec())
                .filter(filter.to_owned())
                .page_size(self.page_size);
            self.mirror(&mut scan, names, seen, totals, &|_| {
                async { Ok(()) }.boxed()
            })
            .await?;
        }
        Ok(())
    }

    async fn under_way(&self, names: &Names, seen: &Seen) -> Result<Vec<String>> {
        let doing = "cannot list the runs under way";
        let filter = doc! { "status": { "$in": UNDER_WAY.as_slice() } };
        let runs = self.store.runs();
        let found = runs.find(filter).projection(doc! { "exp": 1 }).await;
        let mut found = found.map_err(|error| failed(doing, error))?;
        let mut ids = Vec::new();
        while let Some(document) = found
            .try_next()
            .await
            .map_err(|error| failed(doing, error))?
        {
            let run = Run::try_from(document)?;
            let chosen = run.exp().is_some_and(|exp| names.contains_key(&exp.id));
            // An id of another form would not be one in MLflow's filter.
            if chosen && !seen.contains(run.id()) && run.id().parse::<crate::RunId>().is_ok() {
                ids.push(run.id().to_owned());
            }
        }
        Ok(ids)
    }
}
