//! The facets by which runs can be counted, by name: some fields, and each kind of node in each direction.

use std::io::Write;

use bson::{Bson, Document};
use runlineage::lineage::{Direction, Kind};
use runlineage::mongo::{Facet, FacetCount};
use serde_json::Value;

use super::value_text;

/// Every facet with its name.
pub fn facets() -> impl Iterator<Item = (String, Facet)> {
    let own = [
        ("exp", Facet::Experiment),
        ("status", Facet::Status),
        ("user", Facet::User),
    ];
    let own = own.map(|(name, facet)| (name.to_owned(), facet));
    let nodes = Direction::BOTH.into_iter().flat_map(|direction| {
        Kind::of_direction(direction)
            .map(move |kind| (kind.flag(direction), Facet::Nodes(direction, kind)))
    });
    own.into_iter().chain(nodes)
}

/// The counts as JSON: `{"value": …, "runs": …}` each.
pub fn facet_json(counts: Vec<FacetCount>) -> Vec<Value> {
    let json = |count: FacetCount| serde_json::json!({ "value": count.value.into_relaxed_extjson(), "runs": count.runs });
    counts.into_iter().map(json).collect()
}

/// Writes the counts as CSV. Each field of a value, such as name and version of a model, has a column of its own.
///
/// # Errors
/// Those of `out`.
pub fn facet_csv(out: impl Write, counts: &[FacetCount]) -> Result<(), csv::Error> {
    let mut fields: Vec<&str> = Vec::new();
    for count in counts {
        for field in count
            .value
            .as_document()
            .into_iter()
            .flat_map(Document::keys)
        {
            if !fields.contains(&field.as_str()) {
                fields.push(field);
            }
        }
    }
    let mut csv = csv::Writer::from_writer(out);
    let columns = if fields.is_empty() {
        &["value"][..]
    } else {
        &fields
    };
    let header = ["runs"].iter().chain(columns);
    csv.write_record(header)?;
    for count in counts {
        let runs = count.runs.to_string();
        let values = match &count.value {
            Bson::Document(value) => fields
                .iter()
                .map(|field| value.get(field).map(value_text).unwrap_or_default())
                .collect(),
            value => vec![value_text(value)],
        };
        let row = [runs].into_iter().chain(values);
        csv.write_record(row)?;
    }
    csv.flush()?;
    Ok(())
}
