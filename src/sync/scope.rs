//! [`Scope`]: which experiments a job is over.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;

/// Which experiments were asked for, by name or id.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Empty: all of them.
    pub(super) only: Vec<String>,
    pub(super) except: Vec<String>,
}

impl Scope {
    /// Whether no experiment was left out.
    pub(super) fn is_everything(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// A text that two passes share when they are over the same experiments.
    pub(super) fn key(&self) -> String {
        let list = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.join("\n")
        };
        format!("{}\n-\n{}", list(&self.only), list(&self.except))
    }

    /// The experiments of these that were asked for, each once.
    pub(super) fn choose(&self, experiments: Vec<RawExperiment>) -> Result<Vec<RawExperiment>> {
        let is = |experiment: &RawExperiment, name: &String| {
            *name == experiment.experiment_id || *name == experiment.name
        };
        for name in self.only.iter().chain(&self.except) {
            if !experiments.iter().any(|experiment| is(experiment, name)) {
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
            let named = |names: &[String]| names.iter().any(|name| is(experiment, name));
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
