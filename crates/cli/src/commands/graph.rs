//! `graph`: shows what a node came from and what used it, or the graph of a selection.

use std::process::ExitCode;

use futures::future::try_join_all;
use runlineage::graph::Graph;
use runlineage::{MongoRunStore, Node};
use runlineage_draw::Format;

use super::walk::{check_known, check_start, say_cut, walked};
use super::{Result, drawing, resolve};
use crate::args::{ConnectionArgs, GraphArgs, OutputArgs};
use crate::connect;
use crate::progress::WalkBar;
use crate::say::say;

pub(crate) async fn run(connection: &ConnectionArgs, args: GraphArgs) -> Result {
    let format = drawing::format(&args.output, Format::Tree)?;
    let mut selection = args.selection()?;
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let starts = resolve::selection(connection, store, &mut selection).await?;
    let bar = WalkBar::new();
    let mut request = store
        .select(&selection)
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
        starts: &starts,
        is_one_walk: selection.as_span().is_some(),
        format,
        output: &args.output,
        max_nodes: args.max_nodes,
    };
    answer.write(&bar, request.into_future()).await
}

/// The graph of a walk or a selection, to be written in one of its formats.
pub(super) struct GraphAnswer<'a> {
    pub(super) connection: &'a ConnectionArgs,
    pub(super) store: &'a MongoRunStore,
    pub(super) starts: &'a [Node],
    /// Whether the graph has all that a single walk shows.
    pub(super) is_one_walk: bool,
    pub(super) format: Format,
    pub(super) output: &'a OutputArgs,
    pub(super) max_nodes: usize,
}

impl GraphAnswer<'_> {
    pub(super) async fn write(
        self,
        bar: &WalkBar,
        graph: impl Future<Output = runlineage::Result<Graph>>,
    ) -> Result {
        let (store, format) = (self.store, self.format);
        let walked = walked(self.connection, store, bar, graph).await?;
        let Some((graph, pages)) = walked else {
            return Ok(ExitCode::FAILURE);
        };
        match self.starts {
            [start] if self.is_one_walk => check_start(store, &graph, start).await?,
            starts => {
                drop(try_join_all(starts.iter().map(|start| check_known(store, start))).await?)
            }
        }
        if graph.nodes.is_empty() {
            say!("No node is in the selection.");
        }
        let fold = self.output.fold;
        let answer = drawing::drawn(store, &graph, pages.as_ref(), format, fold).await?;
        drawing::write(self.output, &answer)?;
        say_cut(graph.truncated.as_ref(), self.max_nodes);
        Ok(drawing::code(format, graph.truncated.is_some()))
    }
}
