//! `impact`: lists all that a node reached.

mod report;

use std::process::ExitCode;

use runlineage_draw::Format;
use runlineage_server::answer::{impact_csv, json_line};

use super::graph::GraphAnswer;
use super::walk::{check_known, say_cut, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, ImpactArgs};
use crate::connect;
use crate::progress::WalkBar;
use crate::stdout::csv_failed;

use report::Report;

pub(crate) async fn run(connection: &ConnectionArgs, mut args: ImpactArgs) -> Result {
    let format = drawing::format(&args.output, Format::Table)?;
    let depth = args.start.levels("--downstream", args.downstream)?;
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let start = resolve::node(connection, store, args.start.node).await?;
    let bar = WalkBar::new();
    let condition = args.condition.take();
    if !matches!(format, Format::Table | Format::Json | Format::Csv) {
        let mut request = store
            .graph(start.clone())
            .upstream(0)
            .downstream(depth)
            .uncertain(args.walk.uncertain)
            .max_nodes(args.max_nodes)
            .max_time(args.walk.max_time())
            .on_progress(|progress| bar.show(progress));
        if let Some(condition) = condition {
            request = request.matching(condition);
        }
        let answer = GraphAnswer {
            connection,
            store,
            starts: std::slice::from_ref(&start),
            is_one_walk: true,
            format,
            output: &args.output,
            max_nodes: args.max_nodes,
        };
        return answer.write(&bar, request.into_future()).await;
    }
    let mut request = store
        .impact(start.clone())
        .depth(depth)
        .uncertain(args.walk.uncertain)
        .max_nodes(args.max_nodes)
        .max_time(args.walk.max_time())
        .on_progress(|progress| bar.show(progress));
    if let Some(condition) = condition {
        request = request.matching(condition);
    }
    let walked = walked(connection, store, &bar, request.into_future()).await?;
    let Some((impact, _)) = walked else {
        return Ok(ExitCode::FAILURE);
    };
    if impact.reached.is_empty() {
        check_known(store, &start).await?;
    }
    let answer = match format {
        Format::Json => json_line(&impact)?,
        Format::Csv => impact_csv(&impact).map_err(csv_failed)?,
        _ => Report::of(&impact, args.max_nodes)?.text().into_bytes(),
    };
    drawing::write(&args.output, &answer)?;
    say_cut(impact.truncated.as_ref(), args.max_nodes);
    Ok(drawing::code(format, impact.truncated.is_some()))
}
