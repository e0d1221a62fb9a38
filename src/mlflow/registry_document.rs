//! Maps what MLflow's registry shows to the documents of the collections `models`, `model_versions` and `logged_models`.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, DateTime, Document, doc};
use sha2::{Digest, Sha256};

use super::document::READABLE_MILLIS;
use super::wire::RawText;
use super::wire_registry::{RawLoggedModel, RawModel, RawVersion};
use crate::codec::nest::{self, Nested};
use crate::error::{Error, Result};
use crate::registry::{RegistryDocument, field as registry_field, runs_of, version_id};
use crate::run::field;

/// Part of every fingerprint: another number makes the next full pass write every document anew.
const MAPPING_VERSION: i32 = 1;

/// MLflow's word for a version that was never moved to a stage.
const NO_STAGE: &str = "None";

/// Maps a registered model; equal models give equal documents.
pub(crate) fn map_model(raw: &RawModel) -> Result<RegistryDocument> {
    let mut document = Builder::new(&raw.name);
    document.date(registry_field::CREATED, raw.creation_timestamp);
    document.date(registry_field::UPDATED, raw.last_updated_timestamp);
    document.text(registry_field::DESCRIPTION, raw.description.as_deref());
    let aliases: BTreeMap<&str, &str> = raw
        .aliases
        .iter()
        .map(|alias| (alias.alias.as_str(), alias.version.as_str()))
        .collect();
    let aliases = aliases
        .into_iter()
        .map(|(alias, version)| doc! { "alias": alias, "version": version });
    document.put(registry_field::ALIASES, aliases.collect::<Vec<_>>());
    document.nested(field::TAGS, nest::tags(&by_key(&raw.tags)));
    document.finish()
}

/// Maps a version of the model that MLflow made at `model_created`. `logged_run` is the run that made the logged model of
/// [`logged_model_of`], for versions that name no run themselves.
pub(crate) fn map_version(
    raw: &RawVersion,
    model_created: Option<i64>,
    logged_run: Option<&str>,
) -> Result<RegistryDocument> {
    let mut document = Builder::new(&version_id(&raw.name, &raw.version));
    document.put(field::NAME, raw.name.as_str());
    document.put(registry_field::VERSION, raw.version.as_str());
    document.date(registry_field::CREATED, raw.creation_timestamp);
    document.date(registry_field::UPDATED, raw.last_updated_timestamp);
    document.date(registry_field::MODEL_CREATED, model_created);
    let run = non_empty(raw.run_id.as_deref()).or(logged_run);
    document.text(registry_field::RUN, run);
    let source = non_empty(raw.source.as_deref());
    document.text(registry_field::SOURCE, source);
    document.text(registry_field::LOGGED_MODEL, logged_model_of(raw));
    let copied_from = source.and_then(copied_from);
    document.text(registry_field::COPIED_FROM, copied_from.as_deref());
    let stage = raw
        .current_stage
        .as_deref()
        .filter(|stage| *stage != NO_STAGE);
    document.text(registry_field::STAGE, stage);
    document.text(field::STATUS, raw.status.as_deref());
    document.text(registry_field::DESCRIPTION, raw.description.as_deref());
    document.text(field::USER, raw.user_id.as_deref());
    document.nested(field::TAGS, nest::tags(&by_key(&raw.tags)));
    document.finish()
}

/// Maps a logged model of the experiment that MLflow made at `exp_created`.
pub(crate) fn map_logged_model(
    raw: &RawLoggedModel,
    exp_created: Option<i64>,
) -> Result<RegistryDocument> {
    let info = &raw.info;
    let mut document = Builder::new(&info.model_id);
    document.text(field::NAME, info.name.as_deref());
    document.put(field::EXP, doc! { "id": &info.experiment_id });
    let source_run = non_empty(info.source_run_id.as_deref());
    document.text(registry_field::SOURCE_RUN, source_run);
    document.date(registry_field::CREATED, info.creation_timestamp_ms);
    document.date(registry_field::UPDATED, info.last_updated_timestamp_ms);
    document.text(field::STATUS, info.status.as_deref());
    document.text(registry_field::MODEL_TYPE, info.model_type.as_deref());
    document.nested(field::TAGS, nest::tags(&by_key(&info.tags)));
    document.nested(field::PARAMS, nest::params(&by_key(&raw.data.params)));
    let evaluations: BTreeSet<_> = raw
        .data
        .metrics
        .iter()
        .filter_map(|metric| {
            let run = non_empty(metric.run_id.as_deref())?;
            let dataset = non_empty(metric.dataset_name.as_deref());
            let digest = non_empty(metric.dataset_digest.as_deref());
            // The run that made the model logs its training metrics so: they are no use of the model.
            (Some(run) != source_run).then_some((run, dataset, digest))
        })
        .collect();
    let evaluations = evaluations.into_iter().map(|(run, dataset, digest)| {
        let mut evaluation = doc! { registry_field::RUN: run };
        evaluation.extend(dataset.map(|dataset| ("dataset".to_owned(), dataset.into())));
        evaluation.extend(digest.map(|digest| ("digest".to_owned(), digest.into())));
        evaluation
    });
    document.put(registry_field::EVALUATIONS, evaluations.collect::<Vec<_>>());
    if let Some(created) = exp_created {
        document.mirror.insert(registry_field::EXP_CREATED, created);
    }
    document.finish()
}

/// The logged model that a version was registered from.
pub(crate) fn logged_model_of(raw: &RawVersion) -> Option<&str> {
    let id = raw.source.as_deref()?.strip_prefix("models:/")?;
    (id.starts_with("m-") && !id.contains(['/', '@'])).then_some(id)
}

/// The version that a version with this source is a copy of.
fn copied_from(source: &str) -> Option<String> {
    let (name, version) = source.strip_prefix("models:/")?.split_once('/')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    (is_version && !name.is_empty()).then(|| version_id(name, version))
}

/// A document under construction, in the order of its fields.
struct Builder {
    id: String,
    fields: Document,
    mirror: Document,
    text: Document,
    unnested: Document,
}

impl Builder {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            fields: doc! { field::ID: id },
            mirror: Document::new(),
            text: Document::new(),
            unnested: Document::new(),
        }
    }

    fn put(&mut self, name: &str, value: impl Into<Bson>) {
        self.fields.insert(name, value);
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = non_empty(text) {
            self.put(name, text);
        }
    }

    fn date(&mut self, name: &str, millis: Option<i64>) {
        match millis {
            None => {}
            Some(millis) if READABLE_MILLIS.contains(&millis) => {
                self.put(name, DateTime::from_millis(millis));
            }
            Some(millis) => self.put(name, millis.to_string()),
        }
    }

    fn nested(&mut self, name: &str, nested: Nested) {
        let Nested {
            tree,
            unnested,
            text,
        } = nested;
        self.put(name, tree);
        for (part, list) in [(&mut self.text, text), (&mut self.unnested, unnested)] {
            if !list.is_empty() {
                part.insert(name, list);
            }
        }
    }

    fn finish(mut self) -> Result<RegistryDocument> {
        for (name, part) in [(field::TEXT, self.text), (field::UNNESTED, self.unnested)] {
            if !part.is_empty() {
                self.mirror.insert(name, part);
            }
        }
        let whole =
            doc! { "mapping": MAPPING_VERSION, "fields": &self.fields, "mirror": &self.mirror };
        let bytes = whole.to_vec().map_err(|error| Error::Document {
            id: self.id.clone(),
            reason: error.to_string(),
        })?;
        let fingerprint = hex::encode(Sha256::digest(&bytes));
        self.mirror.insert(field::FINGERPRINT, fingerprint);
        Ok(RegistryDocument {
            runs: runs_of(&self.fields),
            id: self.id,
            fields: self.fields,
            mirror: self.mirror,
            former_names: BTreeSet::new(),
        })
    }
}

fn by_key(texts: &[RawText]) -> BTreeMap<&str, &str> {
    let pairs = texts.iter();
    pairs
        .map(|text| (text.key.as_str(), text.value.as_str()))
        .collect()
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, Document, doc};
    use serde_json::{Value, json};

    use super::{map_logged_model, map_model, map_version};

    fn version(json: Value) -> Document {
        let raw = serde_json::from_value(json).unwrap();
        map_version(&raw, Some(1), Some("of the logged model"))
            .unwrap()
            .fields
    }

    #[test]
    fn a_model_becomes_one_document_with_sorted_aliases_and_nested_tags() {
        let raw = json!({
            "name": "churn", "creation_timestamp": 1, "last_updated_timestamp": "2", "description": "",
            "tags": [{ "key": "a.b", "value": "0.50" }],
            "aliases": [{ "alias": "new", "version": "2" }, { "alias": "best", "version": "1" }],
            "latest_versions": [{ "anything": true }],
        });
        let mapped = map_model(&serde_json::from_value(raw).unwrap()).unwrap();
        let date = DateTime::from_millis;
        assert_eq!(
            mapped.fields,
            doc! {
                "_id": "churn", "created": date(1), "updated": date(2),
                "aliases": [{ "alias": "best", "version": "1" }, { "alias": "new", "version": "2" }],
                "tags": { "a": { "b": 0.5 } },
            }
        );
        assert_eq!(
            mapped.mirror.get_document("text").unwrap(),
            &doc! { "tags": [{ "key": "a.b", "value": "0.50" }] }
        );
        assert!(mapped.runs.is_empty());
    }

    #[test]
    fn a_version_names_its_own_run_before_that_of_its_logged_model() {
        let of = |run: &str| {
            let version = version(
                json!({ "name": "a b", "version": "3", "run_id": run, "source": "models:/m-1" }),
            );
            version.get_str("run").unwrap().to_owned()
        };
        assert_eq!(of("own"), "own");
        assert_eq!(of(""), "of the logged model");
    }

    #[test]
    fn a_source_names_a_logged_model_or_the_version_that_was_copied() {
        let of = |source: &str| {
            let version = version(json!({ "name": "n", "version": "1", "source": source }));
            let text = |name: &str| version.get_str(name).unwrap_or_default().to_owned();
            (text("logged_model"), text("copied_from"))
        };
        let none = String::new;
        assert_eq!(of("models:/m-12"), ("m-12".into(), none()));
        assert_eq!(of("models:/churn/7"), (none(), "churn:7".into()));
        for other in [
            "models:/churn@best",
            "models:/churn/latest",
            "models:/a/b/1",
            "mlflow-artifacts:/m-1",
            "",
        ] {
            assert_eq!(of(other), (none(), none()), "{other}");
        }
    }

    #[test]
    fn a_version_without_a_stage_and_run_has_neither_field() {
        let raw = json!({ "name": "n", "version": "1", "current_stage": "None", "run_id": "", "status": "READY" });
        let mapped = map_version(&serde_json::from_value(raw).unwrap(), Some(5), None).unwrap();
        assert_eq!(
            mapped.fields,
            doc! { "_id": "n:1", "name": "n", "version": "1", "model_created": DateTime::from_millis(5), "status": "READY", "tags": {} }
        );
    }

    #[test]
    fn evaluations_are_distinct_sorted_and_never_those_of_the_run_that_made_the_model() {
        let metric = |run: &str, dataset: &str, step: i32| json!({ "key": "auc", "value": 0.5, "step": step, "run_id": run, "dataset_name": dataset, "dataset_digest": "d" });
        let raw = json!({
            "info": { "model_id": "m-1", "experiment_id": "4", "source_run_id": "maker", "status": "LOGGED_MODEL_READY" },
            "data": { "metrics": [
                metric("z", "x", 0), metric("b", "x", 0), metric("b", "x", 1), metric("maker", "x", 0),
                { "key": "k", "value": 1, "run_id": "b" }, { "key": "k", "value": "NaN" },
            ] },
        });
        let mapped = map_logged_model(&serde_json::from_value(raw).unwrap(), Some(9)).unwrap();
        assert_eq!(
            mapped.fields,
            doc! {
                "_id": "m-1", "exp": { "id": "4" }, "source_run": "maker", "status": "LOGGED_MODEL_READY", "tags": {}, "params": {},
                "evaluations": [
                    { "run": "b" }, { "run": "b", "dataset": "x", "digest": "d" }, { "run": "z", "dataset": "x", "digest": "d" },
                ],
            }
        );
        let runs: Vec<&str> = mapped.runs.iter().map(String::as_str).collect();
        assert_eq!(runs, ["b", "maker", "z"]);
        assert_eq!(mapped.mirror.get_i64("exp_created").ok(), Some(9));
    }
}
