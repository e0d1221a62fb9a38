//! [`Scope`]: which experiments a job covers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::report::Incomplete;
use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;
use crate::run::ExperimentSelector;

/// Which experiments the caller selected.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Empty: all experiments.
    pub(super) only: Vec<ExperimentSelector>,
    pub(super) except: Vec<ExperimentSelector>,
    /// The experiments that the selectors of a watch resolved to; `None` outside of a watch.
    resolved: Option<Resolved>,
}

/// Maps each selector, as text, to its experiment. All passes of a watch share it.
type Resolved = Arc<Mutex<HashMap<String, Known>>>;

/// An experiment by its id, and its name when a pass last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: String,
    name: String,
}

/// The experiments of one pass.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) experiments: Vec<RawExperiment>,
    /// Selected experiments that MLflow listed to an earlier pass and no longer lists.
    pub(super) unlisted: Vec<Incomplete>,
}

impl Scope {
    /// The same selection for a watch: an experiment that a selector has once resolved to stays selected by its id, so a
    /// rename in MLflow ends neither its mirroring nor its exclusion. A new experiment of an excluded name is excluded too.
    pub(super) fn of_watch(&self) -> Self {
        Self {
            resolved: Some(Resolved::default()),
            ..self.clone()
        }
    }

    /// Whether the scope leaves no experiment out.
    pub(super) fn is_everything(&self) -> bool {
        self.only.is_empty() && self.except.is_empty()
    }

    /// A text that is equal for two passes with the same selection.
    pub(super) fn key(&self) -> String {
        let list = |selectors: &[ExperimentSelector]| {
            let mut names: Vec<String> = selectors.iter().map(ToString::to_string).collect();
            names.sort();
            names.join("\n")
        };
        format!("{}\n-\n{}", list(&self.only), list(&self.except))
    }

    /// The selected ones of the experiments that MLflow lists, each once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a selector that matches no experiment or two.
    pub(super) fn choose(&self, listed: Vec<RawExperiment>) -> Result<Chosen> {
        let resolve = |selectors: &[ExperimentSelector]| {
            let resolved = selectors
                .iter()
                .map(|selector| self.resolve(selector, &listed));
            resolved.collect::<Result<Vec<Known>>>()
        };
        let (only, except) = (resolve(&self.only)?, resolve(&self.except)?);
        let ids: HashSet<&str> = listed.iter().map(|shown| &*shown.experiment_id).collect();
        let unlisted = only.iter().filter(|known| !ids.contains(&*known.id));
        let unlisted = unlisted.map(Known::unlisted).collect();
        let is_in = |known: &[Known], id: &str| known.iter().any(|known| known.id == id);
        let mut chosen = HashSet::new();
        let mut experiments = listed;
        experiments.retain(|shown| {
            let id = &shown.experiment_id;
            let is_selected = only.is_empty() || is_in(&only, id);
            let has_excluded_name =
                (self.except.iter()).any(|selector| selector.matches(id, &shown.name));
            let is_excluded = is_in(&except, id) || has_excluded_name;
            // MLflow lists an experiment twice when another is created between two pages of the list.
            is_selected && !is_excluded && chosen.insert(id.clone())
        });
        Ok(Chosen {
            experiments,
            unlisted,
        })
    }

    fn resolve(&self, selector: &ExperimentSelector, listed: &[RawExperiment]) -> Result<Known> {
        let mut earlier = self.resolved.as_ref().map(lock);
        let key = selector.to_string();
        if let Some(known) = earlier.as_mut().and_then(|known| known.get_mut(&key)) {
            let shown = listed.iter().find(|shown| shown.experiment_id == known.id);
            if let Some(shown) = shown.filter(|shown| shown.name != known.name) {
                known.renamed(&shown.name);
            }
            return Ok(known.clone());
        }
        let found = find(selector, listed)?;
        if let Some(earlier) = &mut earlier {
            earlier.insert(key, found.clone());
        }
        Ok(found)
    }
}

impl Known {
    fn renamed(&mut self, name: &str) {
        tracing::warn!(
            experiment = self.id,
            from = self.name,
            to = name,
            "MLflow renamed a selected experiment; this watch still selects it, by its id"
        );
        name.clone_into(&mut self.name);
    }

    fn unlisted(&self) -> Incomplete {
        Incomplete {
            experiment: self.id.clone(),
            reason: format!(
                "MLflow no longer lists experiment {:?} to this user. Its mirrored runs stay; to remove them, run `sync --forget-experiment {}`",
                self.name, self.id
            ),
        }
    }
}

fn lock(resolved: &Resolved) -> MutexGuard<'_, HashMap<String, Known>> {
    resolved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one experiment that the selector matches.
fn find(selector: &ExperimentSelector, listed: &[RawExperiment]) -> Result<Known> {
    let matches = |shown: &&RawExperiment| selector.matches(&shown.experiment_id, &shown.name);
    let mut matching = listed.iter().filter(matches);
    let text = selector.text();
    let Some(first) = matching.next() else {
        let shown: Vec<&str> = listed.iter().take(10).map(|shown| &*shown.name).collect();
        return Err(Error::invalid_argument(
            "experiment",
            format!(
                "MLflow shows this user no experiment with the name or id {text:?}; it shows {}",
                shown.join(", ")
            ),
        ));
    };
    if let Some(second) = matching.find(|other| other.experiment_id != first.experiment_id) {
        return Err(Error::invalid_argument(
            "experiment",
            format!(
                "{text:?} is the id of one experiment and the name of another, {:?} and {:?}; write id:{text} or name:{text}",
                first.name, second.name
            ),
        ));
    }
    Ok(Known {
        id: first.experiment_id.clone(),
        name: first.name.clone(),
    })
}
