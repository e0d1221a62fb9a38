//! [`ProjectedRuns`]: the lineage entries of runs that follow from versions of models and from logged models.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document};

use super::field;
use crate::error::Result;
use crate::node::{Direction, Kind, Node, Origin, Reference};
use crate::run::lineage::{Entry, FROM};
use crate::run::{Run, field as run_field};

/// An array of a run, and an origin of entries in it.
pub(crate) type Place = (Direction, Kind, Origin);

const MADE_VERSION: Place = (Direction::Output, Kind::MODEL, Origin::Registry);
const MADE_LOGGED_MODEL: Place = (Direction::Output, Kind::LOGGED_MODEL, Origin::Registry);
const EVALUATED: Place = (Direction::Input, Kind::LOGGED_MODEL, Origin::Metrics);

/// Where a run holds projected entries.
pub(crate) const PROJECTED: [Place; 3] = [MADE_VERSION, MADE_LOGGED_MODEL, EVALUATED];

/// The projected entries of one run, in the order in which they are stored.
pub(crate) type Projected = BTreeMap<Reference, Entry>;

/// The projected entries of some runs, by the run's id.
#[derive(Debug, Default)]
pub(crate) struct ProjectedRuns(BTreeMap<String, Projected>);

impl ProjectedRuns {
    /// Adds what the document of a version says of the run that made it.
    pub(crate) fn add_version(&mut self, version: &Document) {
        let text = |field: &str| version.get_str(field).ok();
        let made = (
            text(field::RUN),
            text(run_field::NAME),
            text(field::VERSION),
        );
        let (Some(run), Some(name), Some(number)) = made else {
            return;
        };
        let mut entry = entry(MADE_VERSION, name, Some(number));
        if let Some(original) = text(field::COPIED_FROM) {
            entry.facts.insert(field::COPIED_FROM, original);
        }
        self.add(run, entry);
    }

    /// Adds what the document of a logged model says of those runs that `is_wanted` knows.
    pub(crate) fn add_logged_model(&mut self, model: &Document, is_wanted: impl Fn(&str) -> bool) {
        let Ok(id) = model.get_str(run_field::ID) else {
            return;
        };
        let source = model.get_str(field::SOURCE_RUN).ok();
        if let Some(source) = source.filter(|source| is_wanted(source)) {
            self.add(source, entry(MADE_LOGGED_MODEL, id, None));
        }
        let evaluations = model.get_array(field::EVALUATIONS).into_iter().flatten();
        let runs = evaluations.filter_map(|one| one.as_document()?.get_str(field::RUN).ok());
        // A run that made a model evaluates it as it trains: that is no use of the model.
        for run in runs.filter(|run| Some(*run) != source && is_wanted(run)) {
            self.add(run, entry(EVALUATED, id, None));
        }
    }

    /// Takes the entries of a run.
    pub(crate) fn remove(&mut self, run: &str) -> Projected {
        self.0.remove(run).unwrap_or_default()
    }

    fn add(&mut self, run: &str, entry: Entry) {
        let of_run = self.0.entry(run.to_owned()).or_default();
        of_run.insert(entry.reference.clone(), entry);
    }
}

fn entry((direction, kind, origin): Place, key: &str, detail: Option<&str>) -> Entry {
    let node = Node::stored(kind, key, detail);
    Entry::from(Reference {
        direction,
        node,
        origin,
    })
}

/// The document of a run that MLflow shows so, with these entries.
pub(crate) fn with_projected(run: &Run, entries: Projected) -> Result<Document> {
    let mut document = run.to_document()?;
    let entries = without_outputs(entries, &own_outputs(&document));
    for direction in Direction::BOTH {
        let side = document.get_document(direction.field());
        let mut side = side.cloned().unwrap_or_default();
        let arrays = Kind::of_direction(direction).filter_map(|kind| {
            let spec = kind.spec();
            let mut array = match side.remove(spec.field) {
                Some(Bson::Array(array)) => array,
                _ => Vec::new(),
            };
            let of_kind = of_array(&entries, direction, kind);
            array.extend(of_kind.map(|entry| Bson::from(entry.to_document())));
            let is_stored = spec.is_mlopus || !array.is_empty();
            is_stored.then(|| (spec.field.to_owned(), Bson::from(array)))
        });
        let arrays: Document = arrays.collect();
        document.insert(direction.field(), arrays);
    }
    Ok(document)
}

/// The entries of one array.
pub(crate) fn of_array(
    entries: &Projected,
    direction: Direction,
    kind: Kind,
) -> impl Iterator<Item = &Entry> {
    entries.values().filter(move |entry| {
        let reference = &entry.reference;
        reference.direction == direction && reference.node.kind() == kind
    })
}

/// The logged models that MLflow's run itself names as its outputs, as it does since MLflow 3.6.
pub(crate) fn own_outputs(run: &Document) -> BTreeSet<String> {
    let side = run.get_document(Direction::Output.field()).ok();
    let array = side.and_then(|side| side.get_array(Kind::LOGGED_MODEL.spec().field).ok());
    let entries = array.into_iter().flatten().filter_map(Bson::as_document);
    let is_own = |entry: &&Document| entry.get_str(FROM).ok() != Some(Origin::Registry.as_str());
    let id = |entry: &Document| entry.get_str("id").ok().map(str::to_owned);
    entries.filter(is_own).filter_map(id).collect()
}

/// The entries without the logged models that the run itself names as outputs: two entries would say the same.
pub(crate) fn without_outputs(mut entries: Projected, outputs: &BTreeSet<String>) -> Projected {
    entries.retain(|reference, _| {
        let (direction, kind, _) = MADE_LOGGED_MODEL;
        let is_output = reference.direction == direction && reference.node.kind() == kind;
        !is_output || !outputs.contains(reference.node.key())
    });
    entries
}
