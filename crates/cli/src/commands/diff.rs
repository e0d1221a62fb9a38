//! `diff`: shows why two runs or versions differ.

mod report;
mod rows;

use std::process::ExitCode;

use runlineage::graph::{Diff, Unknown};
use runlineage::{Error, MongoRunStore, Node};
use runlineage_draw::Format;
use runlineage_server::answer::{diff_csv, json_line};

use super::walk::{check_known, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, DiffArgs};
use crate::connect::{self, usage};
use crate::progress::WalkBar;
use crate::say::{counted, say};
use crate::stdout::csv_failed;

pub(crate) async fn run(connection: &ConnectionArgs, args: DiffArgs) -> Result {
    let format = drawing::format(&args.output, Format::Table)?;
    if !DiffArgs::FORMATS.contains(&format) {
        let names = DiffArgs::FORMATS.map(Format::name).join(", ");
        let reason = format!(
            "a diff cannot be written as {}; the formats are {names}",
            format.name()
        );
        return Err(usage("--out", reason).into());
    }
    let max_time = args.max_time();
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let a = resolve::node(connection, store, args.a).await?;
    let b = resolve::node(connection, store, args.b).await?;
    let bar = WalkBar::new();
    let request = store
        .diff(a.clone(), b.clone())
        .depth(args.upstream)
        .max_pairs(args.max_pairs)
        .max_time(max_time)
        .on_progress(|progress| bar.show_pairs(progress));
    let walked = walked(connection, store, &bar, request.into_future()).await;
    if let Err(error) = &walked
        && matches!(error.downcast_ref(), Some(Error::InvalidArgument { .. }))
    {
        check_starts(store, [&a, &b]).await?;
    }
    let Some((diff, pages)) = walked? else {
        return Ok(ExitCode::FAILURE);
    };
    if diff
        .pairs
        .first()
        .is_some_and(|pair| !(pair.a.is_known && pair.b.is_known))
    {
        check_starts(store, [&a, &b]).await?;
    }
    let answer = match format {
        Format::Table => report::text(&diff).into_bytes(),
        Format::Json => json_line(&diff)?,
        Format::Csv => diff_csv(&diff).map_err(csv_failed)?,
        _ => drawing::drawn_diff(&diff, pages.as_ref(), format, args.output.fold)?,
    };
    drawing::write(&args.output, &answer)?;
    say_cut(&diff);
    Ok(ExitCode::SUCCESS)
}

/// Fails if the mirror has never met one of the starts.
async fn check_starts(store: &MongoRunStore, starts: [&Node; 2]) -> Result<()> {
    for start in starts {
        check_known(store, start).await?;
    }
    Ok(())
}

/// Reports on stderr that a limit cut the diff.
fn say_cut(diff: &Diff) {
    for (limit, flag) in [
        (Unknown::Depth, "--upstream"),
        (Unknown::Pairs, "--max-pairs"),
    ] {
        let beyond = diff.unknown().filter(|pair| pair.unknown == Some(limit));
        let beyond = beyond.count() as u64;
        if beyond > 0 {
            say!(
                "The diff stopped at the limit of {flag} and left out {}, so the answer is incomplete.",
                counted(beyond, "pair")
            );
        }
    }
}
