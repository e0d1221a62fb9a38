//! `provenance`: writes where a run or a version came from, and how complete that is.

mod report;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use runlineage_draw::Format;
use runlineage_server::answer::{ProvenanceFile, doubts, has_flow};

use super::walk::{check_known, say_cut, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, ProvenanceArgs};
use crate::connect;
use crate::progress::WalkBar;
use crate::say::say;

pub(crate) async fn run(connection: &ConnectionArgs, args: ProvenanceArgs) -> Result {
    let default = match std::io::stdout().is_terminal() {
        true => Format::Table,
        false => Format::Json,
    };
    let format = drawing::format(&args.output, default)?;
    let depth = args.start.levels("--upstream", args.upstream)?;
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let start = resolve::node(connection, store, args.start.node).await?;
    let bar = WalkBar::new();
    let mut request = store
        .provenance(start.clone())
        .depth(depth)
        .uncertain(args.walk.uncertain)
        .max_nodes(args.max_nodes)
        .max_time(args.walk.max_time())
        .on_progress(|progress| bar.show(progress));
    let partial = match (&args.condition, depth) {
        (Some(_), _) => Some("only the runs that match --where"),
        (None, u32::MAX) => None,
        (None, _) => Some("only the levels of --upstream"),
    };
    if let Some(condition) = args.condition {
        request = request.matching(condition);
    }
    let walked = walked(connection, store, &bar, request.into_future()).await?;
    let Some((provenance, pages)) = walked else {
        return Ok(ExitCode::FAILURE);
    };
    if !has_flow(&provenance.graph) {
        check_known(store, &start).await?;
    }
    let is_complete = partial.is_none() && doubts(&provenance.unresolved).is_empty();
    let answer = match format {
        Format::Json => {
            let file = ProvenanceFile::of(&provenance, partial.is_none());
            let mut json = serde_json::to_vec_pretty(&file)?;
            json.push(b'\n');
            json
        }
        Format::Table => report::text(&provenance, args.max_nodes, partial).into_bytes(),
        _ => {
            let (graph, fold) = (&provenance.graph, args.output.fold);
            drawing::drawn(store, graph, pages.as_ref(), format, fold).await?
        }
    };
    drawing::write(&args.output, &answer)?;
    if !is_complete && format != Format::Table {
        match partial {
            None => say!(
                "The provenance is incomplete: {}.",
                doubts(&provenance.unresolved).join("; ")
            ),
            Some(part) => say!("The provenance covers {part}."),
        }
    }
    say_cut(provenance.unresolved.truncated.as_ref(), args.max_nodes);
    let is_cut = provenance.unresolved.truncated.is_some();
    Ok(drawing::code(format, is_cut))
}
