//! Logged models of the chosen experiments.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};

use super::missing::record;
use super::{Experiments, RegistryMirror, is_not_there, of_registry, reason, unless_refused};
use crate::error::{Error, Result};
use crate::mlflow::PagePermit;
use crate::mlflow::logged_models::LoggedModelScan;
use crate::mlflow::registry_document::map_logged_model;
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::wire_registry::RawLoggedModel;
use crate::mongo::registry::LiveLoggedModel;
use crate::mongo::ticket::Ticket;
use crate::registry::RegistryCollection;
use crate::sync::deletion_guard::DeletionGuard;
use crate::sync::experiment::another_experiment;
use crate::sync::report::Incomplete;
use crate::sync::seen::Seen;
use crate::sync::verdict::Verdict;

/// How many experiments one request names.
const NAMED_AT_ONCE: usize = 100;

const LOGGED_MODELS: RegistryCollection = RegistryCollection::LoggedModels;

/// When MLflow made each experiment, by the experiment's id.
type Created<'a> = HashMap<&'a str, Option<i64>>;

impl RegistryMirror<'_> {
    /// Mirrors all logged models, and removes those that MLflow says are deleted or no longer there.
    pub(super) async fn all_logged_models(
        self,
        experiments: Experiments<'_>,
    ) -> Result<Vec<Incomplete>> {
        let mirrored = self.store(LOGGED_MODELS).experiment_ages().await?;
        let (created, mut incomplete) = scannable(experiments, &mirrored);
        let (seen, failed) = self.scan(&created, None).await?;
        let is_whole = failed.is_empty();
        incomplete.extend(failed);
        if is_whole {
            incomplete.extend(self.remove_missing_logged_models(&created, &seen).await?);
        }
        Ok(incomplete)
    }

    /// Mirrors the logged models that MLflow changed at this time or later.
    pub(super) async fn changed_logged_models(
        self,
        experiments: Experiments<'_>,
        since: i64,
    ) -> Result<Vec<Incomplete>> {
        // A quick pass removes nothing, so it leaves the ages of the mirrored experiments to the full pass.
        let (created, mut incomplete) = scannable(experiments, &HashMap::new());
        let (_, failed) = self.scan(&created, Some(since)).await?;
        incomplete.extend(failed);
        Ok(incomplete)
    }

    async fn scan(
        self,
        created: &Created<'_>,
        since: Option<i64>,
    ) -> Result<(Seen, Vec<Incomplete>)> {
        let seen = Seen::default();
        let ids: Vec<String> = created.keys().map(|id| (*id).to_owned()).collect();
        let chunks: Vec<Vec<String>> = ids.chunks(NAMED_AT_ONCE).map(<[_]>::to_vec).collect();
        let scans: Vec<_> = chunks
            .into_iter()
            .map(|ids| self.scan_experiments(ids, created, since, &seen))
            .collect();
        let ended: Vec<Result<Vec<Incomplete>>> = stream::iter(scans)
            .buffer_unordered(self.settings.concurrency)
            .collect()
            .await;
        let mut incomplete = Vec::new();
        for ended in ended {
            incomplete.extend(unless_refused(ended)?);
        }
        Ok((seen, incomplete))
    }

    async fn scan_experiments(
        self,
        ids: Vec<String>,
        created: &Created<'_>,
        since: Option<i64>,
        seen: &Seen,
    ) -> Result<Vec<Incomplete>> {
        let mut scan = LoggedModelScan::new(self.settings.mlflow.clone(), ids)
            .page_size(self.settings.page_size);
        if let Some(since) = since {
            scan = scan.updated_since(since);
        }
        let mut incomplete = Vec::new();
        let mut unsaved = None;
        loop {
            let fetch = async {
                let ticket = Ticket::draw(&self.settings.store).await?;
                let page = scan.next_page().await?;
                Ok::<_, Error>(page.map(|page| (page, ticket)))
            };
            let save = async {
                let Some((documents, ticket, permit)) = unsaved.take() else {
                    return Ok(Vec::new());
                };
                let saved = self.save(LOGGED_MODELS, documents, ticket).await;
                drop::<PagePermit>(permit);
                saved
            };
            // MLflow prepares the next page while this one is saved. A failed request does not cancel the save.
            let (fetched, saved) = futures::join!(fetch, save);
            incomplete.extend(saved?);
            let Some(((page, permit), ticket)) = fetched? else {
                return Ok(incomplete);
            };
            let map = |raw: &RawLoggedModel| {
                seen.insert(&raw.info.model_id);
                let created = created.get(raw.info.experiment_id.as_str());
                map_logged_model(raw, created.copied().flatten())
            };
            let documents = page.iter().map(map).collect::<Result<Vec<_>>>()?;
            unsaved = Some((documents, ticket, permit));
        }
    }

    async fn remove_missing_logged_models(
        self,
        created: &Created<'_>,
        seen: &Seen,
    ) -> Result<Vec<Incomplete>> {
        let store = self.store(LOGGED_MODELS);
        let ids: Vec<&str> = created.keys().copied().collect();
        let unseen = store
            .unseen_logged_models(&ids, |id| seen.contains(id))
            .await?;
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        let allow = self.settings.allow_mass_delete;
        let guard =
            DeletionGuard::new(store.count_estimate().await?, allow).of(LOGGED_MODELS.noun());
        let mut findings = guard.findings(Vec::new());
        let ticket = Ticket::draw(&self.settings.store).await?;
        for model in &unseen {
            if !findings.may_ask() {
                continue;
            }
            match self.verdict(model, ticket).await {
                Ok(verdict) => findings.record(model.id.clone(), verdict),
                Err(error) => record(&mut findings, &model.id, error)?,
            }
        }
        let refusal = guard.refusal();
        if refusal.is_none() {
            self.tombstone(LOGGED_MODELS, findings.deleted_upstream(), ticket)
                .await?;
        }
        let incomplete = findings.incomplete().into_iter().chain(refusal);
        Ok(incomplete.map(of_registry).collect())
    }

    /// MLflow's verdict on a logged model that no scan showed.
    async fn verdict(self, model: &LiveLoggedModel, ticket: Ticket) -> Result<Verdict> {
        let mlflow = &self.settings.mlflow;
        let answer = match mlflow.raw_logged_model(&model.id, false).await {
            Ok(raw) if raw.info.experiment_id == model.experiment => {
                let document = map_logged_model(&raw, model.exp_created)?;
                self.save(LOGGED_MODELS, vec![document], ticket).await?;
                return Ok(Verdict::Shown);
            }
            Ok(_) => {
                let reason = "MLflow shows a model of this id in another experiment";
                return Ok(Verdict::Undecided(reason.into()));
            }
            Err(error) if is_not_there(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        match mlflow.raw_logged_model(&model.id, true).await {
            // The same server that hides it shows it as deleted.
            Ok(_) => {
                let ids = [model.id.clone()];
                self.tombstone(LOGGED_MODELS, &ids, ticket).await?;
                return Ok(Verdict::Shown);
            }
            Err(error) if is_not_there(&error) => {}
            Err(error) => return Err(error),
        }
        // A model in another workspace does not exist either: its experiment tells.
        let experiment = match mlflow.raw_experiment(&model.experiment).await {
            Ok(experiment) => experiment,
            Err(error) => return Ok(Verdict::Undecided(format!("{answer}; {}", reason(error)?))),
        };
        let is_this = |experiment: &RawExperiment| {
            model.exp_created.is_some() && model.exp_created == experiment.creation_time
        };
        Ok(if is_this(&experiment) {
            Verdict::DeletedUpstream
        } else {
            Verdict::Undecided(format!(
                "{answer}, but the experiment of that id may not be the one that was mirrored"
            ))
        })
    }
}

/// The chosen experiments without those that are not the ones that were mirrored under their ids, and what to say of those.
fn scannable<'e>(
    experiments: Experiments<'e>,
    mirrored: &HashMap<String, Option<i64>>,
) -> (Created<'e>, Vec<Incomplete>) {
    let mut incomplete = Vec::new();
    let mut created = Created::new();
    for shown in experiments.chosen {
        let id = shown.experiment_id.as_str();
        let recorded = experiments.recorded.get(id).copied();
        let other = another_experiment(shown, recorded)
            .or_else(|| another_experiment(shown, mirrored.get(id).copied().flatten()));
        match other {
            Some(other) => incomplete.push(other),
            None => drop(created.insert(id, shown.creation_time)),
        }
    }
    (created, incomplete)
}
