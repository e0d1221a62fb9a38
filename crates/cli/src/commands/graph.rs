//! `graph`: shows what a node came from and what used it.

use std::process::ExitCode;

use runlineage::graph::GraphRequest;
use runlineage::{MongoRunStore, Node};
use runlineage_draw::Format;

use super::walk::{check_start, say_cut, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, GraphArgs, OutputArgs};
use crate::connect;
use crate::progress::WalkBar;

pub(crate) async fn run(connection: &ConnectionArgs, args: GraphArgs) -> Result {
    let format = drawing::format(&args.output, Format::Tree)?;
    let (upstream, downstream) = args.levels();
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let start = resolve::node(connection, store, args.node).await?;
    let bar = WalkBar::new();
    let mut request = store
        .graph(start.clone())
        .upstream(upstream)
        .downstream(downstream)
        .uncertain(args.walk.uncertain)
        .parents(args.parents)
        .max_nodes(args.max_nodes)
        .max_time(args.walk.max_time())
        .on_progress(|progress| bar.show(progress));
    if let Some(condition) = args.condition {
        request = request.matching(condition);
    }
    let answer = GraphAnswer {
        connection,
        store,
        start: &start,
        format,
        output: &args.output,
        max_nodes: args.max_nodes,
    };
    answer.write(&bar, request).await
}

/// The graph of a walk, to be written in one of its formats.
pub(super) struct GraphAnswer<'a> {
    pub(super) connection: &'a ConnectionArgs,
    pub(super) store: &'a MongoRunStore,
    pub(super) start: &'a Node,
    pub(super) format: Format,
    pub(super) output: &'a OutputArgs,
    pub(super) max_nodes: usize,
}

impl GraphAnswer<'_> {
    pub(super) async fn write(self, bar: &WalkBar, request: GraphRequest<'_>) -> Result {
        let (store, format) = (self.store, self.format);
        let walked = walked(self.connection, store, bar, request.into_future()).await?;
        let Some((graph, pages)) = walked else {
            return Ok(ExitCode::FAILURE);
        };
        check_start(store, &graph, self.start).await?;
        let answer = drawing::drawn(&graph, pages.as_ref(), format, self.output.fold)?;
        drawing::write(self.output, &answer)?;
        say_cut(graph.truncated.as_ref(), self.max_nodes);
        Ok(drawing::code(format, graph.truncated.is_some()))
    }
}
