//! `db`: keeps the local database running in the foreground.

use std::io::Write;
use std::process::ExitCode;

use runlineage_local_mongod::LocalDatabase;
use tokio::signal::unix::{SignalKind, signal};

use super::Result;
use crate::args::ConnectionArgs;
use crate::say::say;
use crate::stdout::stdout;

pub(crate) async fn run(connection: &ConnectionArgs) -> Result {
    let (mut ended, mut hung_up) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    let database = LocalDatabase::open().await?;
    let name = connection.database.as_deref().unwrap_or("runlineage");
    writeln!(stdout(), "{}/{name}", database.uri().trim_end_matches('/'))?;
    say!(
        "The local database runs until Ctrl-C. In another shell: mongosh \"<the URI above>\" --eval 'db.runs.countDocuments()'"
    );
    tokio::select! {
        () = database.closed() => anyhow::bail!("the local database stopped; start `runlineage db` again"),
        _ = tokio::signal::ctrl_c() => {}
        _ = ended.recv() => {}
        _ = hung_up.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}
