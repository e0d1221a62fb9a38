//! What a run's stored document holds beside MLflow's own run, and a page of runs has to carry over.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use futures::stream::TryStreamExt;

use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::mongo::collections::{RUNS, at_primary};
use crate::mongo::failure::failed;
use crate::mongo::retry::retried;
use crate::node::{Direction, Kind, Origin};
use crate::registry::{PROJECTED, Place};
use crate::run::lineage::FROM;
use crate::run::{Run, field};

/// MLflow's `runs/search` does not show which logged models a run read.
const EXACT: Place = (Direction::Input, Kind::LOGGED_MODEL, Origin::Inputs);

/// The runs with the entries that their stored documents hold beside MLflow's run, and with the count of projections.
pub(super) async fn carried_over(store: &MongoRunStore, runs: Vec<Run>) -> Result<Vec<Run>> {
    let ids: Vec<&str> = runs.iter().map(Run::id).collect();
    let mut fields = doc! { "mirror.registry": 1 };
    for (direction, kind, _) in PROJECTED {
        fields.insert(kind.path(direction), 1);
    }
    let store = at_primary(store);
    let collection = store.database().collection::<Document>(RUNS);
    let find = || async {
        let find = collection.find(doc! { field::ID: { "$in": &ids } });
        let found = find.projection(fields.clone()).await?;
        found.try_collect::<Vec<_>>().await
    };
    let found = retried(find).await;
    let found = found.map_err(|error| failed("cannot compare runs with what is stored", error))?;
    let mut stored: HashMap<String, Document> = found
        .into_iter()
        .filter_map(|run| Some((run.get_str(field::ID).ok()?.to_owned(), run)))
        .collect();
    let carry = |run: Run| match stored.remove(run.id()) {
        Some(stored) => carry(run, &stored),
        None => Ok(run),
    };
    runs.into_iter().map(carry).collect()
}

fn carry(run: Run, stored: &Document) -> Result<Run> {
    let registry = stored.get_document(field::MIRROR);
    let registry = registry.and_then(|mirror| mirror.get_document(field::REGISTRY));
    let kept = entries(stored, &EXACT);
    if kept.is_empty() && registry.is_err() {
        return Ok(run);
    }
    let mut document = run.to_document()?;
    for direction in Direction::BOTH {
        let mut side = document
            .get_document(direction.field())
            .cloned()
            .unwrap_or_default();
        let places = PROJECTED.iter().chain([&EXACT]);
        for place in places.filter(|(of, ..)| *of == direction) {
            let field = place.1.spec().field;
            let mut array = side.get_array(field).cloned().unwrap_or_default();
            if *place != EXACT {
                // What an earlier attempt carried over is of an earlier count.
                array.retain(|entry| !is_of_origin(entry, place.2));
            }
            let entries = entries(stored, place).into_iter();
            let new: Vec<Bson> = entries.filter(|entry| !array.contains(entry)).collect();
            array.extend(new);
            if place.1.spec().is_mlopus || !array.is_empty() {
                side.insert(field, array);
            }
        }
        let in_order = Kind::of_direction(direction).filter_map(|kind| {
            let field = kind.spec().field;
            Some((field.to_owned(), side.remove(field)?))
        });
        document.insert(direction.field(), in_order.collect::<Document>());
    }
    if let (Ok(registry), Ok(mirror)) = (registry, document.get_document_mut(field::MIRROR)) {
        mirror.insert(field::REGISTRY, registry.clone());
    }
    Run::try_from(&document)
}

fn entries(stored: &Document, (direction, kind, origin): &Place) -> Vec<Bson> {
    let side = stored.get_document(direction.field()).ok();
    let array = side.and_then(|side| side.get_array(kind.spec().field).ok());
    let entries = array.into_iter().flatten();
    let entries = entries.filter(|entry| is_of_origin(entry, *origin));
    entries.cloned().collect()
}

fn is_of_origin(entry: &Bson, origin: Origin) -> bool {
    let entry = entry.as_document();
    entry.is_some_and(|entry| {
        entry
            .get_str(FROM)
            .is_ok_and(|from| from == origin.as_str())
    })
}
