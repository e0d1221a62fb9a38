//! The inputs of a pair of runs: which of them are equal, which are compared, and which have no counterpart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Serialize, Serializer};

use super::{DifferentInput, Ending, EqualInput};
use crate::error::Result;
use crate::node::{Direction, Kind, Node};
use crate::run::Run;

/// What an input is, without its identity: the name of a model, but not its version; a path, but not the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub struct InputKey {
    /// The kind of the input.
    #[serde(serialize_with = "noun")]
    pub kind: Kind,
    /// The name of a model, dataset, logged model or prompt, or the path of an artifact. `None` for all artifacts of a run, and for a
    /// logged model whose name is not mirrored.
    pub name: Option<String>,
    /// What a dataset was used for, such as `training`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// The inputs of a run by their keys.
pub(super) type Inputs = BTreeMap<InputKey, BTreeSet<Node>>;

/// The names of logged models by their ids.
pub(super) type ModelNames = HashMap<String, String>;

/// The inputs of two runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) equal: Vec<EqualInput>,
    /// Exactly one reference on each side.
    pub(super) compared: Vec<(InputKey, Node, Node)>,
    /// Only on one side, or several against one or several.
    pub(super) unmatched: Vec<DifferentInput>,
}

/// The inputs of the run by their keys.
pub(super) fn inputs_of(run: &Run, names: &ModelNames) -> Result<Inputs> {
    let mut inputs = Inputs::new();
    for entry in run.inputs_in_context() {
        let (node, context) = entry?;
        let key = InputKey::of(&node, context, names);
        inputs.entry(key).or_default().insert(node);
    }
    Ok(inputs)
}

/// Compares the inputs under each key.
pub(super) fn matched(a: &Inputs, b: &Inputs) -> Matched {
    let mut matched = Matched::default();
    let none = BTreeSet::new();
    let keys: BTreeSet<&InputKey> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let (a, b) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
        let equal = a.intersection(b).map(|node| EqualInput {
            key: key.clone(),
            node: node.clone(),
        });
        matched.equal.extend(equal);
        let (only_a, only_b): (Vec<Node>, Vec<Node>) = (
            a.difference(b).cloned().collect(),
            b.difference(a).cloned().collect(),
        );
        let ending = match (&only_a[..], &only_b[..]) {
            ([], []) => continue,
            ([a], [b]) => {
                let compared = (key.clone(), a.clone(), b.clone());
                matched.compared.push(compared);
                continue;
            }
            (_, []) => Ending::OnlyA,
            ([], _) => Ending::OnlyB,
            _ => Ending::Several,
        };
        matched.unmatched.push(DifferentInput {
            key: key.clone(),
            a: only_a,
            b: only_b,
            ending,
        });
    }
    matched
}

impl InputKey {
    fn of(node: &Node, context: Option<&str>, names: &ModelNames) -> Self {
        let kind = node.kind();
        let name = if kind.has_paths() {
            node.detail().map(str::to_owned)
        } else if kind == Kind::LOGGED_MODEL {
            names.get(node.key()).cloned()
        } else {
            Some(node.key().to_owned())
        };
        Self {
            kind,
            name,
            context: context.map(str::to_owned),
        }
    }
}

/// `dataset clicks (training)`.
impl fmt::Display for InputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.spec().noun.replace('-', " "))?;
        match &self.name {
            Some(name) => write!(f, " {name}")?,
            None if self.kind == Kind::ARTIFACT => f.write_str(": all of a run")?,
            None => f.write_str(" without a name")?,
        }
        match &self.context {
            Some(context) => write!(f, " ({context})"),
            None => Ok(()),
        }
    }
}

/// The ids of the logged models that the run read.
pub(super) fn logged_models(run: &Run) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for reference in run.references() {
        let reference = reference?;
        let is_input = reference.direction == Direction::Input;
        if is_input && reference.node.kind() == Kind::LOGGED_MODEL {
            ids.insert(reference.node.key().to_owned());
        }
    }
    Ok(ids)
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn noun<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.spec().noun)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::{Inputs, ModelNames, inputs_of, logged_models, matched};
    use crate::graph::diff::Ending;
    use crate::run::Run;

    fn run(inputs: Document) -> Run {
        Run::try_from(&doc! { "_id": "r", "inputs": inputs }).unwrap()
    }

    fn inputs(inputs: Document) -> Inputs {
        let names = ModelNames::from([("m-1".to_owned(), "net".to_owned())]);
        inputs_of(&run(inputs), &names).unwrap()
    }

    fn keys(inputs: &Inputs) -> Vec<String> {
        inputs.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_has_no_identity() {
        let all = inputs(doc! {
            "models": [{ "name": "churn", "version": "7" }, { "name": "churn", "version": "8" }, { "name": "churn" }],
            "runs": [{ "id": "r1", "path": "data/x" }, { "id": "r2", "path": "data/x" }, { "id": "r1" }],
            "datasets": [
                { "name": "clicks", "digest": "1", "context": "training" },
                { "name": "clicks", "digest": "1", "context": "eval" },
                { "name": "clicks", "digest": "2" },
            ],
            "logged_models": [{ "id": "m-1" }, { "id": "m-2" }],
            "prompts": [{ "name": "summary", "version": "1" }],
        });
        let expected = [
            "model churn",
            "artifact: all of a run",
            "artifact data/x",
            "dataset clicks",
            "dataset clicks (eval)",
            "dataset clicks (training)",
            "logged model without a name",
            "logged model net",
            "prompt summary",
        ];
        assert_eq!(keys(&all), expected);
        let sizes: Vec<usize> = all.values().map(|nodes| nodes.len()).collect();
        assert_eq!(sizes, [3, 1, 2, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn the_logged_models_of_a_run_are_those_that_it_read() {
        let run = Run::try_from(&doc! {
            "_id": "r",
            "inputs": { "logged_models": [{ "id": "m-1" }] },
            "outputs": { "logged_models": [{ "id": "m-2" }] },
        });
        let ids = logged_models(&run.unwrap()).unwrap();
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["m-1"]);
    }

    fn versions(versions: &[&str]) -> Inputs {
        let entries = versions.iter();
        let entries: Vec<Document> = entries
            .map(|version| doc! { "name": "m", "version": *version })
            .collect();
        inputs(doc! { "models": entries })
    }

    #[test]
    fn equal_references_are_set_aside_before_the_rest_is_counted() {
        let of = |a: &[&str], b: &[&str]| {
            let matched = matched(&versions(a), &versions(b));
            let endings: Vec<Ending> = matched.unmatched.iter().map(|input| input.ending).collect();
            (matched.equal.len(), matched.compared.len(), endings)
        };
        assert_eq!(of(&["1", "2"], &["1", "2"]), (2, 0, vec![]));
        assert_eq!(of(&["1", "2"], &["1", "3"]), (1, 1, vec![]));
        assert_eq!(of(&["1"], &["2"]), (0, 1, vec![]));
        assert_eq!(of(&["1", "2"], &["1"]), (1, 0, vec![Ending::OnlyA]));
        assert_eq!(of(&[], &["1"]), (0, 0, vec![Ending::OnlyB]));
        assert_eq!(of(&["1", "2"], &["3"]), (0, 0, vec![Ending::Several]));
        assert_eq!(
            of(&["0", "1"], &["0", "2", "3"]),
            (1, 0, vec![Ending::Several])
        );
    }
}
