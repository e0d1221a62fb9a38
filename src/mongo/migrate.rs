//! [`Migrator`]: applies the files of `migrations/` in order and once each, under a lease. The commands are idempotent.

mod files;

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{DateTime, Document, doc};
use futures::TryStreamExt;

use super::collections::{Collections, MIGRATIONS};
use super::failure::{code, code_of, failed};
use super::lease::Lease;
use super::{MongoRunStore, majority, now};
use crate::error::{Error, Result};
use files::{FILES, Migration, lasting, parse, pending};

pub(super) use files::count_pending;

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
