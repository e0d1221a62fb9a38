//! `purge`: removes for good the runs that were deleted in MLflow.

use std::process::ExitCode;

use super::Result;
use crate::args::{ConnectionArgs, PurgeArgs};
use crate::say::{counted, say};
use crate::{connect, date};

pub(crate) async fn run(connection: &ConnectionArgs, args: &PurgeArgs) -> Result {
    let argument = "--deleted-before";
    // Parsed twice: first to refuse a wrong argument before connecting, then by MongoDB's clock. The clocks of hosts differ.
    date::parse(argument, &args.deleted_before)?;
    let mirror = connect::mirror(connection).await?;
    let now = mirror.store.server_time().await?;
    let before = date::parse_from(argument, &args.deleted_before, now)?;
    let purged = mirror.store.purge_deleted(before).await?;
    say!("{} removed for good.", counted(purged, "deleted run"));
    Ok(ExitCode::SUCCESS)
}
