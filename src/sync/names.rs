//! [`Names`]: the names of the experiments of a pass.

use std::collections::HashMap;

use crate::mlflow::wire::RawExperiment;

/// Experiment id → name.
pub(super) type Names = HashMap<String, String>;

pub(super) fn names(experiments: &[RawExperiment]) -> Names {
    let name =
        |experiment: &RawExperiment| (experiment.experiment_id.clone(), experiment.name.clone());
    experiments.iter().map(name).collect()
}
