//! Mirrored models and versions that MLflow did not list. Each leaves only when MLflow says that it does not exist.
//!
//! A model in another workspace does not exist there either. So a version leaves when its model exists without it, and a model
//! when the listing showed the registry to be the mirrored one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::listing::Listing;
use super::{RegistryMirror, is_not_there, of_registry, reason};
use crate::error::{Error, Result};
use crate::mlflow::registry_document::map_model;
use crate::mongo::registry::LiveVersion;
use crate::mongo::ticket::Ticket;
use crate::registry::RegistryCollection;
use crate::sync::deletion_guard::{DeletionGuard, Findings};
use crate::sync::report::Incomplete;
use crate::sync::seen::Seen;
use crate::sync::verdict::Verdict;

impl RegistryMirror<'_> {
    /// Removes what MLflow says it no longer has of the models and versions that it did not list; tells what stays undecided.
    pub(super) async fn remove_missing(
        self,
        listing: &Listing,
        seen: &Seen,
    ) -> Result<Vec<Incomplete>> {
        let [models, versions] = [RegistryCollection::Models, RegistryCollection::Versions];
        let unseen = self
            .store(versions)
            .unseen_versions(|id| seen.contains(id))
            .await?;
        let mut by_name: BTreeMap<&str, Vec<&LiveVersion>> = BTreeMap::new();
        for version in &unseen {
            by_name.entry(&version.name).or_default().push(version);
        }
        let mirrored = listing.mirrored.iter().map(|model| model.name.as_str());
        // A killed pass may have left versions without their model.
        let missing = mirrored.chain(by_name.keys().copied());
        let missing: BTreeSet<&str> = missing
            .filter(|name| !listing.models.contains_key(*name))
            .collect();

        // Drawn before MLflow is asked about any of them: what is read after this stays.
        let ticket = Ticket::draw(&self.settings.store).await?;
        let allow = self.settings.allow_mass_delete;
        let guard = DeletionGuard::new(listing.mirrored.len() as u64, allow).of(models.noun());
        let mut findings = guard.findings(Vec::new());
        for name in &missing {
            self.decide_model(name, listing, ticket, &mut findings)
                .await?;
        }
        let gone: BTreeSet<&str> = findings
            .deleted_upstream()
            .iter()
            .map(String::as_str)
            .collect();
        let renamed = missing.iter().filter(|name| listing.has_renamed(name));
        let renamed: BTreeSet<&str> = renamed.copied().collect();

        let mirrored_versions = self.store(versions).count_estimate().await?;
        let version_guard = DeletionGuard::new(mirrored_versions, allow).of(versions.noun());
        let mut version_findings = version_guard.findings(Vec::new());
        for (name, unseen) in &by_name {
            // Versions of a missing model stay or leave with it.
            if !missing.contains(name) {
                self.decide_versions(name, unseen, ticket, &mut version_findings)
                    .await?;
            }
        }
        let incomplete: Vec<Incomplete> = [findings.incomplete(), version_findings.incomplete()]
            .into_iter()
            .chain([guard.refusal(), version_guard.refusal()])
            .flatten()
            .map(of_registry)
            .collect();
        if guard.refusal().is_none() && version_guard.refusal().is_none() {
            self.tombstone(versions, version_findings.deleted_upstream(), ticket)
                .await?;
            // MLflow was asked about renamed models after the ticket of the listing.
            for (leaving, ticket) in [(gone, ticket), (renamed, listing.ticket)] {
                let with_model = unseen
                    .iter()
                    .filter(|version| leaving.contains(version.name.as_str()));
                let ids: Vec<String> = with_model.map(|version| version.id.clone()).collect();
                let names: Vec<String> = leaving.iter().map(|name| (*name).to_owned()).collect();
                // Before their models: a version whose model has left could not be decided.
                self.tombstone(versions, &ids, ticket).await?;
                self.tombstone(models, &names, ticket).await?;
            }
        }
        Ok(incomplete)
    }

    async fn decide_model(
        self,
        name: &str,
        listing: &Listing,
        ticket: Ticket,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        if listing.has_renamed(name) || !findings.may_ask() {
            return Ok(());
        }
        match self.settings.mlflow.raw_model(name).await {
            Ok(raw) => {
                let document = map_model(&raw)?;
                self.save(RegistryCollection::Models, vec![document], ticket)
                    .await?;
            }
            Err(error) if is_not_there(&error) => {
                let verdict = if listing
                    .is_of_the_mirrored_registry(self.settings.allow_mass_delete)
                {
                    Verdict::DeletedUpstream
                } else {
                    Verdict::Undecided(format!(
                        "{error}, but no other model shows that this is the registry that was mirrored; `sync --forget-model {name:?}` removes it"
                    ))
                };
                findings.record(name.to_owned(), verdict);
            }
            Err(error) => record(findings, name, error)?,
        }
        Ok(())
    }

    /// Decides on versions of a model that MLflow listed.
    async fn decide_versions(
        self,
        name: &str,
        versions: &[&LiveVersion],
        ticket: Ticket,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        let mlflow = &self.settings.mlflow;
        let none = HashMap::new();
        let mut mapper = self.version_mapper(&none);
        let mut gone = Vec::new();
        for version in versions {
            if !findings.may_ask() {
                continue;
            }
            match mlflow.raw_version(name, &version.version).await {
                Ok(raw) => {
                    let documents = mapper.map(&[raw]).await?;
                    self.save(RegistryCollection::Versions, documents, ticket)
                        .await?;
                }
                Err(error) if is_not_there(&error) => gone.push((version.id.clone(), error)),
                Err(error) => record(findings, &version.id, error)?,
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let model = mlflow.raw_model(name).await;
        for (id, error) in gone {
            let verdict = match &model {
                Ok(_) => Verdict::DeletedUpstream,
                Err(other) => Verdict::Undecided(format!("{error}; of its model: {other}")),
            };
            findings.record(id, verdict);
        }
        Ok(())
    }
}

impl Listing {
    /// Whether a mirrored model of this name has another name now.
    fn has_renamed(&self, name: &str) -> bool {
        let mut of_name = self.mirrored.iter().filter(|model| model.name == name);
        of_name.any(|model| self.renames.renamed(model))
    }

    /// Whether a model that MLflow does not know is gone, and not merely in another registry.
    fn is_of_the_mirrored_registry(&self, allow_mass_delete: bool) -> bool {
        // With mirrored models, the listing was checked against them.
        allow_mass_delete || !self.mirrored.is_empty()
    }
}

/// Records an answer that decides nothing; an error that is no answer is returned.
pub(super) fn record(findings: &mut Findings<'_>, id: &str, error: Error) -> Result<()> {
    if error.is_transient() && matches!(error, Error::Mlflow { .. }) {
        findings.record_failure(id.to_owned(), error.to_string());
        return Ok(());
    }
    let undecided = Verdict::Undecided(reason(error)?);
    findings.record(id.to_owned(), undecided);
    Ok(())
}
