//! `versions`: lists the versions of a registered model, and who made and used them.

use std::io::Write as _;
use std::process::ExitCode;

use bson::{Bson, DateTime};
use runlineage_server::answer::{ListedVersion, Versions, value_text};

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, ReportFormat, VersionsArgs};
use crate::connect;
use crate::output::table;
use crate::say::{counted, say};
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: VersionsArgs) -> Result {
    let mirror = connect::mirror(connection).await?;
    if !say_freshness(&mirror.store).await? {
        return Ok(ExitCode::FAILURE);
    }
    let name = &args.name;
    let Some(mut versions) = Versions::of(&mirror.store, name, None).await? else {
        anyhow::bail!(
            "no registered model {name:?} is mirrored; if it is new in MLflow, run `runlineage sync` first. Models that only runs name are found by `find --input-model` and `find --output-model`"
        );
    };
    if !args.deleted {
        let all = versions.versions.len();
        let is_there = |version: &ListedVersion| version.version.deleted_at.is_none();
        versions.versions.retain(is_there);
        let deleted = (all - versions.versions.len()) as u64;
        if deleted > 0 {
            say!(
                "{} left out; --deleted lists them.",
                counted(deleted, "deleted version")
            );
        }
    }
    match args.format {
        ReportFormat::Json => {
            serde_json::to_writer(stdout(), &versions)?;
            stdout().write_all(b"\n")?;
        }
        ReportFormat::Table => writeln!(stdout(), "{}", versions_table(&versions))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The versions as a table.
pub(super) fn versions_table(versions: &Versions) -> impl std::fmt::Display {
    let header = [
        "version", "created", "run", "aliases", "stage", "copy of", "copies", "used by",
    ];
    let rows = versions.versions.iter().map(|listed| {
        let version = &listed.version;
        let deleted = version.deleted_at.map(|_| " (deleted)");
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            format!("{}{}", version.version, deleted.unwrap_or_default()),
            version.created.map(date).unwrap_or_default(),
            text(&version.run),
            listed.aliases.join("\n"),
            text(&version.stage),
            text(&version.copied_from),
            listed.copies.join("\n"),
            counted(listed.used_by.count as u64, "run"),
        ]
    });
    table(&header.map(str::to_owned), rows)
}

fn date(date: DateTime) -> String {
    value_text(&Bson::DateTime(date))
}
