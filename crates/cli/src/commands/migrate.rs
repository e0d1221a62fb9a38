//! `migrate`: applies pending migrations, or lists them.

use std::io::Write;
use std::process::ExitCode;

use super::Result;
use crate::args::{ConnectionArgs, MigrateArgs};
use crate::connect;
use crate::output::{ago, table};
use crate::say::say;
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs, args: MigrateArgs) -> Result {
    let mirror = connect::mirror(connection).await?;
    if args.status {
        let header = ["migration", "applied"].map(str::to_owned);
        let rows = mirror
            .store
            .migration_status()
            .await?
            .into_iter()
            .map(|migration| {
                let applied = match (migration.applied_at, migration.known) {
                    (None, _) => "pending".to_owned(),
                    (Some(at), true) => ago(at),
                    (Some(at), false) => format!("{}, by a newer runlineage", ago(at)),
                };
                vec![migration.name, applied]
            });
        writeln!(stdout(), "{}", table(&header, rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    let applied = mirror.store.migrate().await?;
    for name in &applied {
        writeln!(stdout(), "applied {name}")?;
    }
    if applied.is_empty() {
        say!("No migration is pending.");
    }
    Ok(ExitCode::SUCCESS)
}
