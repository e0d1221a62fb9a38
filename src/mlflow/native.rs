//! The lineage that MLflow itself records of a run: datasets, logged models, prompts.

use std::collections::BTreeSet;

use bson::{Document, doc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::wire::RawRun;
use crate::node::{Direction, Kind, Node, Origin, Reference};
use crate::run::Problem;
use crate::run::lineage::Entry;

/// The datasets and models that a run evaluated.
const EVALUATED: &str = "mlflow.datasets";
/// The prompts that a run loaded.
const PROMPTS: &str = "mlflow.linkedPrompts";
/// The models that a run of an MLflow 2 client logged.
const LOG_MODEL_HISTORY: &str = "mlflow.log-model.history";
/// The tag of a dataset input that says what the run used it for.
const CONTEXT: &str = "mlflow.data.context";

/// The entries of a run, sorted, and the problems of tags that cannot be read.
pub(super) fn read(raw: &RawRun) -> (Vec<Entry>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut entries = datasets(raw);
    let made = made(raw, &mut problems);
    entries.extend(made.iter().cloned());
    let evaluated: Vec<Evaluated> = of_tag(raw, EVALUATED, &mut problems);
    let evaluated = evaluated.into_iter().filter_map(|one| one.model);
    let read = raw.inputs.model_inputs.iter();
    let read = read.map(|model| (model.model_id.clone(), Origin::Inputs));
    let used: BTreeSet<(String, Origin)> = evaluated
        .map(|model| (model, Origin::Evaluate))
        .chain(read)
        // A run that made a model evaluates it as it trains: that is no use of the model.
        .filter(|(model, _)| made.iter().all(|made| made.reference.node.key() != model))
        .collect();
    entries.extend(used.into_iter().filter_map(|(model, origin)| {
        entry(Direction::Input, Kind::LOGGED_MODEL, &model, None, origin)
    }));
    let prompts: Vec<Prompt> = of_tag(raw, PROMPTS, &mut problems);
    let prompts: BTreeSet<(String, Option<String>)> = prompts
        .into_iter()
        .map(|prompt| (prompt.name, prompt.version.map(Version::into_text)))
        .collect();
    entries.extend(prompts.iter().filter_map(|(name, version)| {
        let version = version.as_deref();
        entry(Direction::Input, Kind::PROMPT, name, version, Origin::Tag)
    }));
    (entries, problems)
}

/// The datasets, each once for each context.
fn datasets(raw: &RawRun) -> Vec<Entry> {
    let inputs = raw.inputs.dataset_inputs.iter();
    let distinct: BTreeSet<(&str, &str, Option<&str>, &str)> = inputs
        .map(|input| {
            let dataset = &input.dataset;
            let context = input.tags.iter().find(|tag| tag.key == CONTEXT);
            let context = context.map(|tag| tag.value.as_str());
            let (name, digest) = (dataset.name.as_str(), dataset.digest.as_str());
            (name, digest, context, dataset.source_type.as_str())
        })
        .collect();
    let entries = distinct.into_iter().map(|(name, digest, context, source)| {
        let digest = Some(digest).filter(|digest| !digest.is_empty());
        let mut entry = entry(
            Direction::Input,
            Kind::DATASET,
            name,
            digest,
            Origin::Inputs,
        )?;
        for (field, fact) in [("context", context), ("source_type", Some(source))] {
            if let Some(fact) = fact.filter(|fact| !fact.is_empty()) {
                entry.facts.insert(field, fact);
            }
        }
        Some(entry)
    });
    entries.flatten().collect()
}

/// The logged models that the run made; those of an MLflow 2 client are known by its tag alone.
fn made(raw: &RawRun, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let outputs = raw.outputs.model_outputs.iter();
    let outputs: BTreeSet<(&str, Option<i64>)> = outputs
        .map(|model| (model.model_id.as_str(), model.step))
        .collect();
    let outputs = outputs.into_iter().filter_map(|(id, step)| {
        let node = (Direction::Output, Kind::LOGGED_MODEL);
        let mut entry = entry(node.0, node.1, id, None, Origin::Outputs)?;
        entry.facts = step.map_or_else(Document::new, |step| doc! { "step": step });
        Some(entry)
    });
    let logged: Vec<Logged> = of_tag(raw, LOG_MODEL_HISTORY, problems);
    let logged: BTreeSet<String> = logged
        .into_iter()
        .filter_map(|one| one.model_uuid)
        .collect();
    let logged = logged
        .iter()
        .filter_map(|id| entry(Direction::Output, Kind::LOGGED_MODEL, id, None, Origin::Tag));
    outputs.chain(logged).collect()
}

fn entry(
    direction: Direction,
    kind: Kind,
    key: &str,
    detail: Option<&str>,
    origin: Origin,
) -> Option<Entry> {
    let node = Node::checked(kind, key, detail).ok()?;
    let reference = Reference {
        direction,
        node,
        origin,
    };
    Some(reference.into())
}

/// The objects of a tag that holds a JSON array of them.
fn of_tag<T: DeserializeOwned>(raw: &RawRun, key: &str, problems: &mut Vec<Problem>) -> Vec<T> {
    let Some(tag) = raw.data.tags.iter().find(|tag| tag.key == key) else {
        return Vec::new();
    };
    serde_json::from_str(&tag.value).unwrap_or_else(|error| {
        problems.push(Problem {
            key: key.to_owned(),
            reason: format!("MLflow's own tag cannot be read: {error}"),
        });
        Vec::new()
    })
}

#[derive(Deserialize)]
struct Evaluated {
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Prompt {
    name: String,
    #[serde(default)]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Logged {
    #[serde(default)]
    model_uuid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Text(String),
    Number(u64),
}

impl Version {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use serde_json::json;

    use super::read;
    use crate::mlflow::wire::RawRun;
    use crate::node::Direction;
    use crate::run::lineage::to_side;

    fn sides(run: serde_json::Value) -> (Document, Document) {
        let raw: RawRun = serde_json::from_value(run).unwrap();
        let (entries, problems) = read(&raw);
        assert!(problems.is_empty(), "{problems:?}");
        let of = |direction| to_side(direction, &entries);
        (of(Direction::Input), of(Direction::Output))
    }

    #[test]
    fn datasets_come_without_schema_profile_and_source_once_for_each_context() {
        let dataset = json!({ "name": "clicks", "digest": "4f2a", "source_type": "local", "source": "…", "schema": "…", "profile": "…" });
        let used = |context| json!({ "dataset": dataset, "tags": [{ "key": "mlflow.data.context", "value": context }] });
        let (inputs, outputs) = sides(json!({
            "info": { "run_id": "a", "experiment_id": "1" },
            "inputs": { "dataset_inputs": [used("training"), used("eval"), used("eval"), { "dataset": { "name": "plain" } }] },
        }));
        let of = |context| doc! { "name": "clicks", "digest": "4f2a", "context": context, "source_type": "local", "from": "inputs" };
        assert_eq!(
            inputs,
            doc! { "models": [], "runs": [], "datasets": [of("eval"), of("training"), { "name": "plain", "from": "inputs" }] }
        );
        assert_eq!(outputs, doc! { "models": [], "runs": [] });
    }

    #[test]
    fn logged_models_are_outputs_of_their_run_and_inputs_of_those_that_evaluate_them() {
        let evaluated = r#"[{"name": "d", "hash": "h", "model": "m-1"}, {"name": "d", "hash": "h", "model": "m-2"}, {"name": "e", "hash": "i"}]"#;
        let (inputs, outputs) = sides(json!({
            "info": { "run_id": "a", "experiment_id": "1" },
            "data": { "tags": [{ "key": "mlflow.datasets", "value": evaluated }] },
            "inputs": { "model_inputs": [{ "model_id": "m-3" }, { "model_id": "m-2" }] },
            "outputs": { "model_outputs": [{ "model_id": "m-2", "step": 0 }] },
        }));
        assert_eq!(
            inputs.get_array("logged_models").unwrap(),
            &bson::bson!([{ "id": "m-1", "from": "evaluate" }, { "id": "m-3", "from": "inputs" }])
                .as_array()
                .unwrap()
                .clone(),
        );
        assert_eq!(
            outputs,
            doc! { "models": [], "runs": [], "logged_models": [{ "id": "m-2", "step": 0_i64, "from": "outputs" }] }
        );
    }

    #[test]
    fn the_models_of_an_mlflow_2_client_are_known_by_its_tag() {
        let history =
            r#"[{"run_id": "a", "artifact_path": "model", "model_uuid": "0f1e", "flavors": {}}]"#;
        let (_, outputs) = sides(json!({
            "info": { "run_id": "a", "experiment_id": "1" },
            "data": { "tags": [{ "key": "mlflow.log-model.history", "value": history }] },
        }));
        assert_eq!(
            outputs,
            doc! { "models": [], "runs": [], "logged_models": [{ "id": "0f1e", "from": "tag" }] }
        );
    }

    #[test]
    fn prompts_are_inputs_and_a_tag_that_cannot_be_read_is_a_problem() {
        let prompts = r#"[{"name": "summary", "version": "2"}, {"name": "plain", "version": 1}]"#;
        let run = |text: &str| {
            json!({
                "info": { "run_id": "a", "experiment_id": "1" },
                "data": { "tags": [{ "key": "mlflow.linkedPrompts", "value": text }] },
            })
        };
        let (inputs, _) = sides(run(prompts));
        assert_eq!(
            inputs.get_array("prompts").unwrap(),
            bson::bson!([
                { "name": "plain", "version": "1", "from": "tag" },
                { "name": "summary", "version": "2", "from": "tag" },
            ])
            .as_array()
            .unwrap(),
        );
        let raw: RawRun = serde_json::from_value(run("{oops")).unwrap();
        let (entries, problems) = read(&raw);
        assert!(entries.is_empty());
        assert_eq!(problems[0].key, "mlflow.linkedPrompts");
    }
}
