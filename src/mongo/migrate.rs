//! [`Migrator`]: applies the files of `migrations/` in order and once each, under a lease. The commands are idempotent.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::collections::{Collections, MIGRATIONS};
use super::failure::{code, code_of, failed};
use super::lease::Lease;
use super::{MongoRunStore, majority, now};
use crate::error::{Error, Result};

const FILES: &[(&str, &str)] = &[
    (
        "0001_runs.json",
        include_str!("../../migrations/0001_runs.json"),
    ),
    (
        "0002_tickets.json",
        include_str!("../../migrations/0002_tickets.json"),
    ),
    (
        "0003_native_lineage.json",
        include_str!("../../migrations/0003_native_lineage.json"),
    ),
    (
        "0004_absent_details.json",
        include_str!("../../migrations/0004_absent_details.json"),
    ),
];

/// The length of the lease. The next migration waits that long for one that was killed.
const LEASE: Duration = Duration::from_secs(30);

/// A migration that this program contains or that the database records as applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// The file's name without its ending, such as `0001_runs`.
    pub name: String,
    /// When it was applied to this database; `None` while it is pending.
    pub applied_at: Option<DateTime>,
    /// Whether this program contains it. If not, a newer version of the program applied it.
    pub known: bool,
}

#[derive(Debug)]
struct Migration {
    number: i32,
    name: String,
    checksum: String,
    commands: Vec<Document>,
}

impl MongoRunStore {
    /// Applies all pending migrations and returns their names.
    ///
    /// Several processes may call this concurrently: each migration is applied once. After a kill, the next call continues.
    ///
    /// # Errors
    /// [`Error::Migration`] if an applied file has changed since, or if the database is newer than this program;
    /// [`Error::Database`] if the database holds a collection `runs` of another program.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        Migrator::of(self).apply().await
    }

    /// Every migration, applied or pending, in order. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Mongo`] if MongoDB does not answer.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>> {
        Migrator::of(self).status().await
    }
}

/// Applies migrations to one mirror.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migrator<'a> {
    store: &'a MongoRunStore,
}

impl<'a> Migrator<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Applies pending migrations before the first write of this store. MongoDB creates a missing collection on the first write,
    /// but without its indexes and its validator.
    pub(crate) async fn ensure_applied(self) -> Result<()> {
        let apply = || async { self.apply().await.map(drop) };
        self.store.migrated.get_or_try_init(apply).await?;
        Ok(())
    }

    /// Applies pending migrations, and recreates collections, validators and indexes that applied ones made. An administrator
    /// may have dropped them, or the whole database, while this process was running.
    pub(crate) async fn repair(self) -> Result<()> {
        self.apply().await?;
        let commands = lasting(&parse(FILES)?);
        if self.is_complete(&commands).await? {
            return Ok(());
        }
        tracing::warn!(
            "collections, validators or indexes of the mirror are missing; recreating them"
        );
        let lease = Lease::wait(self.store, "a migration", "migrate", LEASE).await?;
        let recreate = async {
            for (name, command) in &commands {
                self.apply_command(name, command).await?;
            }
            Ok(())
        };
        let recreated = lease.hold(recreate).await;
        lease.release().await;
        recreated
    }

    /// Whether everything that these commands create exists.
    async fn is_complete(self, commands: &[(String, Document)]) -> Result<bool> {
        let database = self.store.database();
        let listed = async {
            let listed = database.list_collections().await?;
            listed.try_collect::<Vec<_>>().await
        };
        let listed = listed
            .await
            .map_err(|error| failed("cannot list collections", error))?;
        for (_, command) in commands {
            let (target, is_creation) = match command.get_str("create") {
                Ok(collection) => (collection, true),
                Err(_) => (command.get_str("createIndexes").unwrap_or_default(), false),
            };
            let Some(found) = listed.iter().find(|found| found.name == target) else {
                return Ok(false);
            };
            if is_creation {
                if found.options.validator.as_ref() != command.get_document("validator").ok() {
                    return Ok(false);
                }
                continue;
            }
            let names = database
                .collection::<Document>(target)
                .list_index_names()
                .await;
            let names = names.map_err(|error| failed("cannot list indexes", error))?;
            let expected = command.get_array("indexes").into_iter().flatten();
            let mut expected =
                expected.filter_map(|index| index.as_document()?.get_str("name").ok());
            if !expected.all(|expected| names.iter().any(|name| name == expected)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fails if [`MongoRunStore::migrate`] would refuse the database. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Migration`], as [`MongoRunStore::migrate`].
    pub(crate) async fn check_writable(self) -> Result<()> {
        pending(&parse(FILES)?, &self.recorded().await?)?;
        Ok(())
    }

    async fn apply(self) -> Result<Vec<String>> {
        let known = parse(FILES)?;
        if pending(&known, &self.recorded().await?)?.is_empty() {
            return Ok(Vec::new());
        }
        let lease = Lease::wait(self.store, "a migration", "migrate", LEASE).await?;
        // Index builds on millions of runs take minutes, so the lease is renewed meanwhile.
        let applied = lease.hold(self.apply_pending(&known)).await;
        lease.release().await;
        applied
    }

    async fn status(self) -> Result<Vec<MigrationStatus>> {
        let recorded = self.recorded().await?;
        let mut all: BTreeMap<i32, MigrationStatus> = recorded
            .iter()
            .map(|(number, record)| {
                let name = record.get_str("name").unwrap_or("?").to_owned();
                let applied_at = record.get_datetime("applied_at").ok().copied();
                (
                    *number,
                    MigrationStatus {
                        name,
                        applied_at,
                        known: false,
                    },
                )
            })
            .collect();
        for Migration { number, name, .. } in parse(FILES)? {
            let status = all.entry(number).or_insert(MigrationStatus {
                name,
                applied_at: None,
                known: true,
            });
            status.known = true;
        }
        Ok(all.into_values().collect())
    }

    async fn apply_pending(self, known: &[Migration]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        // Another process may have applied them while this one waited for the lease.
        for migration in pending(known, &self.recorded().await?)? {
            for command in &migration.commands {
                self.apply_command(&migration.name, command).await?;
            }
            let record = doc! {
                "_id": migration.number,
                "name": &migration.name,
                "checksum": &migration.checksum,
                "applied_at": now(),
            };
            let recorded = Collections::of(self.store)
                .migrations()
                .insert_one(record)
                .write_concern(majority())
                .await;
            recorded.map_err(|error| {
                failed(format!("cannot record migration {}", migration.name), error)
            })?;
            names.push(migration.name.clone());
        }
        Ok(names)
    }

    async fn apply_command(self, name: &str, command: &Document) -> Result<()> {
        let Err(error) = self.store.database().run_command(command.clone()).await else {
            return Ok(());
        };
        match (code_of(&error), command.get_str("create")) {
            // An earlier call may have created it and ended before it recorded that; or another program may have.
            (Some(code::NAMESPACE_EXISTS), Ok(collection)) => {
                self.adopt_collection(collection, command).await
            }
            // An earlier call may have dropped it.
            (Some(code::INDEX_NOT_FOUND), Err(_)) => Ok(()),
            _ => Err(failed(format!("cannot apply migration {name}"), error)),
        }
    }

    /// Accepts an existing collection that this program made, and restores its validator; refuses any other.
    async fn adopt_collection(self, collection: &str, command: &Document) -> Result<()> {
        let listed = self
            .store
            .database()
            .list_collections()
            .filter(doc! { "name": collection })
            .await;
        let listed: Vec<_> = match listed {
            Ok(cursor) => cursor.try_collect().await,
            Err(error) => Err(error),
        }
        .map_err(|error| failed("cannot list collections", error))?;
        let validator = listed
            .first()
            .and_then(|found| found.options.validator.as_ref());
        let expected = command.get_document("validator").ok();
        if validator == expected {
            return Ok(());
        }
        if validator.is_none() && self.is_own_collection(collection).await? {
            return self.set_validator(collection, expected).await;
        }
        Err(Error::Database {
            database: self.store.database().name().to_owned(),
            reason: format!(
                "it contains a collection `{collection}` that this program did not make; use another database, or rename that collection"
            ),
        })
    }

    /// Whether every document of the collection is one of this program's. A write of a running sync creates the collection
    /// again after somebody dropped it.
    async fn is_own_collection(self, collection: &str) -> Result<bool> {
        let documents = self.store.database().collection::<Document>(collection);
        let foreign = documents.find_one(doc! { "mirror.fingerprint": { "$exists": false } });
        let foreign = foreign
            .await
            .map_err(|error| failed(format!("cannot read collection {collection}"), error))?;
        Ok(foreign.is_none())
    }

    /// Sets a missing validator. The role `readWrite` does not allow `collMod`; without it, the mirror works, but nothing
    /// protects it from other writers.
    async fn set_validator(self, collection: &str, validator: Option<&Document>) -> Result<()> {
        let set = doc! { "collMod": collection, "validator": validator };
        if let Err(error) = self.store.database().run_command(set).await {
            tracing::warn!(
                %error,
                collection,
                "the collection has lost its validator, and this user may not set it; ask an administrator to run the `collMod` command with the validator in migrations/"
            );
        }
        Ok(())
    }

    async fn recorded(self) -> Result<BTreeMap<i32, Document>> {
        let records: Vec<Document> =
            match Collections::of(self.store).migrations().find(doc! {}).await {
                Ok(cursor) => cursor.try_collect().await,
                Err(error) => Err(error),
            }
            .map_err(|error| failed("cannot read which migrations are applied", error))?;
        records
            .into_iter()
            .map(|record| {
                let number = record.get_i32("_id").map_err(|_| Error::Database {
                    database: self.store.database().name().to_owned(),
                    reason: format!("it contains a collection `{MIGRATIONS}` of another program; use another database"),
                })?;
                Ok((number, record))
            })
            .collect()
    }
}

/// How many migrations of this program are not in `applied`.
pub(super) fn count_pending(applied: impl Iterator<Item = i32>) -> usize {
    let applied: HashSet<i32> = applied.collect();
    (1..)
        .zip(FILES)
        .filter(|(number, _)| !applied.contains(number))
        .count()
}

/// The commands that create what exists after all migrations, each with the name of its migration: without the indexes that a later
/// migration drops.
fn lasting(known: &[Migration]) -> Vec<(String, Document)> {
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
fn pending<'a>(
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
fn parse(files: &[(&str, &str)]) -> Result<Vec<Migration>> {
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
