//! The commands, one file each, and what they share.

pub(crate) mod completions;
pub(crate) mod db;
pub(crate) mod diff;
mod drawing;
pub(crate) mod find;
pub(crate) mod graph;
pub(crate) mod impact;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod migrate;
pub(crate) mod paths;
pub(crate) mod provenance;
pub(crate) mod purge;
pub(crate) mod register;
mod resolve;
pub(crate) mod serve;
pub(crate) mod show;
mod stop;
pub(crate) mod sync;
pub(crate) mod verify;
pub(crate) mod versions;
mod walk;

use std::process::ExitCode;

use runlineage::MongoRunStore;
use runlineage::mongo::Freshness;

use crate::say::{counted, say};

pub(crate) type Result<T = ExitCode, E = anyhow::Error> = std::result::Result<T, E>;

/// Reports on stderr which source the database mirrors and when its last passes ended. `false` if no run was ever mirrored.
pub(crate) async fn say_freshness(store: &MongoRunStore) -> Result<bool> {
    let Freshness {
        source,
        full_pass,
        quick_pass,
        pending_migrations: pending,
        ..
    } = store.freshness().await?;
    let Some(source) = source else {
        say!(
            "This database mirrors nothing yet. Run `runlineage sync --tracking-uri http://host:5000` on it first."
        );
        return Ok(store.find_any().await?);
    };
    let when =
        |date: Option<bson::DateTime>| date.map_or_else(|| "never".to_owned(), crate::output::ago);
    let quick = quick_pass
        .map(|_| format!(", last quick pass {}", when(quick_pass)))
        .unwrap_or_default();
    say!(
        "Mirror of {source}; last full pass {}{quick}.",
        when(full_pass)
    );
    if pending > 0 {
        let (are, them) = if pending == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        say!(
            "{} {are} pending. Searches may be slow until `runlineage migrate` or the next sync applies {them}.",
            counted(pending, "migration")
        );
    }
    Ok(full_pass.is_some() || store.find_any().await?)
}
