//! The table of the indexes of collection `runs`.
//!
//! A new index needs a migration and a row in this table. A test compares the two.

use crate::run::field;

/// An index of collection `runs`.
#[derive(Debug, PartialEq)]
pub(super) struct Index {
    pub(super) name: &'static str,
    /// The fields and their directions, the leading field first.
    pub(super) keys: &'static [(&'static str, i32)],
    pub(super) coverage: Coverage,
    /// How many runs out of a million typically share one value. Candidates are counted in this order.
    pub(super) typical_runs: u32,
}

/// The runs that an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    EveryRun,
    /// The index is sparse or partial. If a condition matches runs without the field, a hint for the index silently loses them.
    RunsWithField,
    /// The index is sparse or partial, and so few runs have the field that `$exists: true` alone is selective.
    FewRuns,
}

use Coverage::{EveryRun, FewRuns, RunsWithField};

const TIME: (&str, i32) = (field::START_TIME, -1);
const LAST: (&str, i32) = (field::ID, -1);

/// The index that MongoDB creates with the collection.
pub(super) const BY_ID: &Index = &INDEXES[0];

pub(super) const INDEXES: &[Index] = &[
    row("_id_", &[(field::ID, 1)], EveryRun, 1),
    row("output_runs", &[("outputs.runs.id", 1)], RunsWithField, 1),
    row(
        "output_paths",
        &[("outputs.runs.path", 1), ("outputs.runs.id", 1)],
        RunsWithField,
        2,
    ),
    row("input_runs", &[("inputs.runs.id", 1)], RunsWithField, 3),
    row(
        "input_paths",
        &[("inputs.runs.path", 1), ("inputs.runs.id", 1)],
        RunsWithField,
        4,
    ),
    row(
        "output_logged_models",
        &[("outputs.logged_models.id", 1)],
        RunsWithField,
        1,
    ),
    row(
        "input_logged_models",
        &[("inputs.logged_models.id", 1)],
        RunsWithField,
        4,
    ),
    row("parent", &[(field::PARENT, 1)], RunsWithField, 4),
    row("name", &[(field::NAME, 1)], RunsWithField, 5),
    row("problems", &[(field::PROBLEM_KEYS, 1)], FewRuns, 100),
    row(
        "input_prompts",
        &[("inputs.prompts.name", 1), ("inputs.prompts.version", 1)],
        EveryRun,
        200,
    ),
    row(
        "output_models",
        &[("outputs.models.name", 1), ("outputs.models.version", 1)],
        EveryRun,
        200,
    ),
    row(
        "newest_of_exp",
        &[(field::EXP_ID, 1), TIME, LAST],
        EveryRun,
        500,
    ),
    row(
        "newest_of_exp_name",
        &[(field::EXP_NAME, 1), TIME, LAST],
        EveryRun,
        500,
    ),
    row(
        "input_datasets",
        &[("inputs.datasets.name", 1), ("inputs.datasets.digest", 1)],
        EveryRun,
        1_000,
    ),
    row("ticket", &[(field::TICKETS, -1)], EveryRun, 1_000),
    row(
        "input_models",
        &[("inputs.models.name", 1), ("inputs.models.version", 1)],
        EveryRun,
        1_000,
    ),
    row(
        "newest_users_of_model",
        &[("inputs.models.name", 1), TIME, LAST],
        RunsWithField,
        2_000,
    ),
    row(
        "newest_of_user",
        &[(field::USER, 1), TIME, LAST],
        EveryRun,
        20_000,
    ),
    row("end_time", &[(field::END_TIME, -1)], RunsWithField, 50_000),
    row("newest", &[TIME, LAST], EveryRun, 50_000),
    row(
        "newest_of_status",
        &[(field::STATUS, 1), TIME, LAST],
        EveryRun,
        300_000,
    ),
];

const fn row(
    name: &'static str,
    keys: &'static [(&'static str, i32)],
    coverage: Coverage,
    typical_runs: u32,
) -> Index {
    Index {
        name,
        keys,
        coverage,
        typical_runs,
    }
}

impl Index {
    pub(super) fn leading_field(&self) -> &'static str {
        self.keys[0].0
    }

    /// Whether the keys under one value of the leading field, or all keys, are ordered by start time and id.
    pub(super) fn is_by_time(&self) -> bool {
        matches!(self.keys, [.., TIME, LAST])
    }

    /// The index with the same leading field whose keys are ordered by start time under each value.
    pub(super) fn by_time(&self) -> Option<&'static Self> {
        let mut indexes = INDEXES.iter();
        indexes.find(|index| index.leading_field() == self.leading_field() && index.is_by_time())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bson::{Bson, Document, doc};

    use super::{BY_ID, Coverage, INDEXES, Index};
    use crate::node::{Direction, Kind};

    /// Indexes of `runs` by name: the keys, and whether the index is sparse or partial.
    type Listed = BTreeMap<String, (Document, bool)>;

    fn migrated() -> Listed {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut listed = Listed::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            let commands: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            for command in commands {
                let command = Bson::try_from(command).unwrap();
                let command = command.as_document().unwrap();
                if command.get_str("dropIndexes").ok() == Some("runs") {
                    listed.remove(command.get_str("index").unwrap());
                }
                if command.get_str("createIndexes").ok() != Some("runs") {
                    continue;
                }
                for index in command.get_array("indexes").unwrap() {
                    let index = index.as_document().unwrap();
                    let keys = index.get_document("key").unwrap();
                    let is_sparse = index.get_bool("sparse").unwrap_or_default();
                    let partial = index.get_document("partialFilterExpression").ok();
                    let leading = keys.keys().next().unwrap();
                    let has_field = doc! { leading: { "$exists": true } };
                    assert!(partial.is_none_or(|partial| *partial == has_field));
                    let name = index.get_str("name").unwrap().to_owned();
                    listed.insert(name, (keys.clone(), is_sparse || partial.is_some()));
                }
            }
        }
        listed
    }

    #[test]
    fn every_kind_of_node_has_an_index_in_both_directions() {
        let leads = |path: &str| INDEXES.iter().any(|index| index.leading_field() == path);
        for direction in Direction::BOTH {
            let real = Kind::of_direction(direction).filter(|kind| kind.spec().noun != "made-up");
            for kind in real {
                assert!(leads(&kind.key_path(direction)), "{kind} {direction}");
                // References are counted by these two fields.
                if let Some(detail) = kind.spec().detail.filter(|_| !kind.has_paths()) {
                    let detail = format!("{}.{}", kind.path(direction), detail.field);
                    let fields = [kind.key_path(direction), detail];
                    let has =
                        |index: &Index| index.keys.iter().map(|(field, _)| *field).eq(&fields);
                    assert!(INDEXES.iter().any(has), "{fields:?}");
                }
                let detail = kind
                    .spec()
                    .detail
                    .filter(|detail| detail.of_any_key.is_some());
                if let Some(detail) = detail {
                    let path = format!("{}.{}", kind.path(direction), detail.field);
                    assert!(leads(&path), "{path}");
                }
            }
        }
    }

    #[test]
    fn the_table_lists_the_indexes_that_the_migrations_create() {
        let table: Listed = INDEXES
            .iter()
            .filter(|index| *index != BY_ID)
            .map(|index| {
                let keys = index.keys.iter();
                let keys =
                    keys.map(|(field, direction)| ((*field).to_owned(), (*direction).into()));
                let is_partial = index.coverage != Coverage::EveryRun;
                (index.name.to_owned(), (keys.collect(), is_partial))
            })
            .collect();
        assert_eq!(table, migrated());
        assert_eq!(table.len(), INDEXES.len() - 1, "a name occurs twice");
    }
}
