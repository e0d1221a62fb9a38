//! The files of `migrations/`, which are part of the program: their commands, and which of them a database lacks.

use std::collections::{BTreeMap, HashSet};

use bson::{Bson, Document};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

pub(super) const FILES: &[(&str, &str)] = &[
    (
        "0001_runs.json",
        include_str!("../../../migrations/0001_runs.json"),
    ),
    (
        "0002_tickets.json",
        include_str!("../../../migrations/0002_tickets.json"),
    ),
    (
        "0003_native_lineage.json",
        include_str!("../../../migrations/0003_native_lineage.json"),
    ),
    (
        "0004_absent_details.json",
        include_str!("../../../migrations/0004_absent_details.json"),
    ),
];

#[derive(Debug)]
pub(super) struct Migration {
    pub(super) number: i32,
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) commands: Vec<Document>,
}

/// How many migrations of this program are not in `applied`.
pub(in crate::mongo) fn count_pending(applied: impl Iterator<Item = i32>) -> usize {
    let applied: HashSet<i32> = applied.collect();
    (1..)
        .zip(FILES)
        .filter(|(number, _)| !applied.contains(number))
        .count()
}

/// The commands that create what exists after all migrations, each with the name of its migration: without the indexes that a later
/// migration drops.
pub(super) fn lasting(known: &[Migration]) -> Vec<(String, Document)> {
    let mut commands: Vec<(String, Document)> = Vec::new();
    for migration in known {
        for command in &migration.commands {
            let Ok(collection) = command.get_str("dropIndexes") else {
                commands.push((migration.name.clone(), command.clone()));
                continue;
            };
            let dropped = command.get("index");
            let creations = commands.iter_mut().map(|(_, command)| command);
            let creations = creations
                .filter(|command| command.get_str("createIndexes").ok() == Some(collection));
            for indexes in creations.filter_map(|command| command.get_array_mut("indexes").ok()) {
                indexes.retain(|index| {
                    index.as_document().and_then(|index| index.get("name")) != dropped
                });
            }
        }
    }
    commands
}

/// The known migrations that are not recorded; an error if the records contradict the known migrations.
pub(super) fn pending<'a>(
    known: &'a [Migration],
    recorded: &BTreeMap<i32, Document>,
) -> Result<Vec<&'a Migration>> {
    let newest = known.last().map_or(0, |migration| migration.number);
    if let Some((number, record)) = recorded
        .iter()
        .next_back()
        .filter(|(number, _)| **number > newest)
    {
        return Err(Error::Migration {
            name: record.get_str("name").map_or_else(|_| number.to_string(), str::to_owned),
            reason: "a newer runlineage has applied it to this database, which this version can read but not write; upgrade runlineage".into(),
        });
    }
    let mut pending = Vec::new();
    for migration in known {
        match recorded.get(&migration.number) {
            None => pending.push(migration),
            Some(record)
                if record
                    .get_str("checksum")
                    .is_ok_and(|sum| sum == migration.checksum) => {}
            Some(_) => {
                return Err(Error::Migration {
                    name: migration.name.clone(),
                    reason: "its file has changed since it was applied to this database; use the runlineage that applied it".into(),
                });
            }
        }
    }
    Ok(pending)
}

/// Parses files named `0001_words.json`, numbered without gaps, each of them a JSON array of database commands.
pub(super) fn parse(files: &[(&str, &str)]) -> Result<Vec<Migration>> {
    let mut migrations = Vec::new();
    for (expected, (file, text)) in (1..).zip(files) {
        let refused = |reason: String| Error::Migration {
            name: (*file).to_owned(),
            reason,
        };
        let well_named = |name: &&str| {
            name.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        let name = file.strip_suffix(".json").filter(well_named);
        let number = name
            .and_then(|name| name.split_once('_'))
            .filter(|(number, _)| number.len() == 4);
        let number = number
            .and_then(|(number, _)| number.parse().ok())
            .filter(|number| *number == expected);
        let (Some(name), Some(number)) = (name, number) else {
            return Err(refused(format!("its name is not {expected:04}_words.json")));
        };
        let commands: Vec<serde_json::Value> =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        let commands = commands
            .into_iter()
            .map(|command| match Bson::try_from(command) {
                Ok(Bson::Document(command)) => Ok(command),
                _ => Err(refused("it is not an array of database commands".into())),
            });
        migrations.push(Migration {
            number,
            name: name.to_owned(),
            checksum: hex::encode(Sha256::digest(text)),
            commands: commands.collect::<Result<_>>()?,
        });
    }
    Ok(migrations)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bson::doc;

    use super::{FILES, parse, pending};

    #[test]
    fn every_file_of_migrations_is_embedded() {
        let mut on_disk: Vec<_> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
        on_disk.sort();
        assert_eq!(
            on_disk,
            FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        assert_eq!(parse(FILES).unwrap().len(), FILES.len());
    }

    #[test]
    fn a_badly_named_file_is_an_error() {
        for name in [
            "1_a.json",
            "0002_a.json",
            "0001-a.json",
            "0001_A.json",
            "0001_a.txt",
            "0001.json",
        ] {
            let error = parse(&[(name, "[]")]).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("0001_words.json"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_changed_file_and_a_newer_database_are_errors() {
        let known = parse(&[("0001_a.json", "[]")]).unwrap();
        let applied = |number: i32, checksum: &str| {
            BTreeMap::from([(number, doc! { "name": "x", "checksum": checksum })])
        };
        assert_eq!(pending(&known, &BTreeMap::new()).unwrap().len(), 1);
        assert_eq!(
            pending(&known, &applied(1, &known[0].checksum))
                .unwrap()
                .len(),
            0
        );
        assert!(
            pending(&known, &applied(1, "other"))
                .unwrap_err()
                .to_string()
                .contains("changed")
        );
        assert!(
            pending(&known, &applied(2, ""))
                .unwrap_err()
                .to_string()
                .contains("newer")
        );
    }
}
