//! `purge`: removes deleted runs for good.

use std::process::ExitCode;

use super::Result;
use crate::args::{ConnectionArgs, PurgeArgs};
use crate::say::{counted, say};
use crate::{connect, date};

pub(crate) async fn run(connection: &ConnectionArgs, args: &PurgeArgs) -> Result {
    let before = date::parse("--deleted-before", &args.deleted_before)?;
    let mirror = connect::mirror(connection).await?;
    let purged = mirror.store.purge_deleted(before).await?;
    say!("{} removed for good.", counted(purged, "deleted run"));
    Ok(ExitCode::SUCCESS)
}
