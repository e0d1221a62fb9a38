//! `paths`: shows the shortest lineage path between two nodes.

use std::process::ExitCode;

use runlineage::graph::Graph;
use runlineage_draw::Format;
use runlineage_server::answer::json_line;

use super::walk::{check_known, say_cut, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, PathsArgs};
use crate::connect;
use crate::progress::WalkBar;
use crate::say::say;

pub(crate) async fn run(connection: &ConnectionArgs, args: PathsArgs) -> Result {
    let format = drawing::format(&args.output, Format::Table)?;
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let from = resolve::node(connection, store, args.from).await?;
    let to = resolve::node(connection, store, args.to).await?;
    let bar = WalkBar::new();
    let mut request = store
        .paths(from.clone(), to.clone())
        .uncertain(args.walk.uncertain)
        .max_nodes(args.max_nodes)
        .max_time(args.walk.max_time());
    if let Some(condition) = args.condition {
        request = request.matching(condition);
    }
    let walked = walked(connection, store, &bar, request.into_future()).await?;
    let Some((paths, pages)) = walked else {
        return Ok(ExitCode::FAILURE);
    };
    if paths.shortest.is_none() {
        check_known(store, &from).await?;
        check_known(store, &to).await?;
        match paths.truncated.is_some() {
            true => say!("No lineage path between {from} and {to} was found."),
            false => say!("No lineage path joins {from} and {to}."),
        }
    }
    let answer = match (format, &paths.shortest) {
        (Format::Json, _) => json_line(&paths)?,
        (_, Some(path)) => {
            let mut graph = Graph::default();
            graph.nodes.clone_from(&path.nodes);
            graph.edges.clone_from(&path.edges);
            drawing::drawn(store, &graph, pages.as_ref(), format, 0).await?
        }
        (_, None) => drawing::drawn(store, &Graph::default(), pages.as_ref(), format, 0).await?,
    };
    drawing::write(&args.output, &answer)?;
    say_cut(paths.truncated.as_ref(), args.max_nodes);
    Ok(drawing::code(format, paths.truncated.is_some()))
}
