//! [`Scope`]: which experiments a job is over.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;
use crate::run::ExperimentSelector;

/// Which experiments were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Empty: all of them.
    pub(super) only: Vec<ExperimentSelector>,
    pub(super) except: Vec<ExperimentSelector>,
}

impl Scope {
    /// Whether no experiment was left out.
    pub(super) fn is_everything(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// A text that two passes share when they are over the same experiments.
    pub(super) fn key(&self) -> String {
        let list = |selectors: &[ExperimentSelector]| {
            let mut names: Vec<String> = selectors.iter().map(ToString::to_string).collect();
            names.sort();
            names.join("\n")
        };
        format!("{}\n-\n{}", list(&self.only), list(&self.except))
    }

    /// The experiments of these that were asked for, each once.
    pub(super) fn choose(&self, experiments: Vec<RawExperiment>) -> Result<Vec<RawExperiment>> {
        let is = |experiment: &RawExperiment, selector: &ExperimentSelector| {
            selector.matches(&experiment.experiment_id, &experiment.name)
        };
        for selector in self.only.iter().chain(&self.except) {
            let selected = || {
                experiments
                    .iter()
                    .filter(|experiment| is(experiment, selector))
            };
            let name = selector.text();
            if let Some(first) = selected().next()
                && let Some(second) =
                    selected().find(|other| other.experiment_id != first.experiment_id)
            {
                return Err(Error::invalid_argument(
                    "experiment",
                    format!(
                        "{name:?} is the id of one experiment and the name of another, {:?} and {:?}; write id:{name} or name:{name}",
                        first.name, second.name
                    ),
                ));
            }
            if selected().next().is_none() {
                let known: Vec<&str> = experiments
                    .iter()
                    .take(10)
                    .map(|experiment| experiment.name.as_str())
                    .collect();
                return Err(Error::invalid_argument(
                    "experiment",
                    format!(
                        "MLflow shows this user none with the name or id {name:?}; it shows {}",
                        known.join(", ")
                    ),
                ));
            }
        }
        let mut ids = HashSet::new();
        let wanted = |experiment: &RawExperiment| {
            let named = |selectors: &[ExperimentSelector]| {
                selectors.iter().any(|selector| is(experiment, selector))
            };
            (self.only.is_empty() || named(&self.only)) && !named(&self.except)
        };
        // Experiments created between two pages of the list can show twice.
        Ok(experiments
            .into_iter()
            .filter(wanted)
            .filter(|experiment| ids.insert(experiment.experiment_id.clone()))
            .collect())
    }
}
