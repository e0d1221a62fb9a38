//! Walks through lineage: from what Python asks for to an [`Answer`].

use std::time::Duration;

use futures::future::try_join_all;
use pyo3::prelude::*;
use runlineage::graph::{Diff, Graph, Selection};
use runlineage::lineage::NodeArg;
use runlineage::mongo::Freshness;
use runlineage::{MongoRunStore, Node, Query};
use runlineage_answer::{Pages, has_flow, is_met};

use crate::answer::{Answer, Found};
use crate::error::{Raised, exceptions, invalid, raised};
use crate::node::read_node;
use crate::runtime::wait;
use crate::search::{read_query, seconds};

/// The levels of runs in each direction of a graph for which none are given, as in the program and the API.
const LEVELS: u32 = 2;

/// How to walk.
pub(crate) struct How {
    uncertain: bool,
    condition: Option<Query>,
    max_nodes: usize,
    max_time: Duration,
}

/// The arguments of every walk, as Python gives them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct WalkArgs<'py> {
    uncertain: bool,
    r#where: Option<Bound<'py, PyAny>>,
    max_nodes: usize,
    timeout: f64,
}

impl WalkArgs<'_> {
    fn read(self) -> PyResult<How> {
        if self.max_nodes == 0 {
            return Err(invalid(
                "max_nodes",
                "write a number of at least 1, such as 1000",
            ));
        }
        Ok(How {
            uncertain: self.uncertain,
            condition: self.r#where.as_ref().map(read_query).transpose()?,
            max_nodes: self.max_nodes,
            max_time: seconds(self.timeout)?,
        })
    }
}

/// A number of levels of runs, or "all".
pub(crate) struct Levels(pub(crate) u32);

impl<'a, 'py> FromPyObject<'a, 'py> for Levels {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match value.extract::<String>() {
            Ok(text) if text == "all" => Ok(Self(u32::MAX)),
            Ok(_) => Err(invalid("levels", "write a number, such as 3, or \"all\"")),
            Err(_) => Ok(Self(value.extract()?)),
        }
    }
}

pub(crate) fn graph(
    py: Python<'_>,
    store: &MongoRunStore,
    select: &Bound<'_, PyAny>,
    (upstream, downstream): (Option<Levels>, Option<Levels>),
    parents: bool,
    how: WalkArgs<'_>,
) -> PyResult<Answer> {
    let (mut selection, unquoted) = selection(select)?;
    set_levels(&mut selection, upstream, downstream)?;
    let how = how.read()?;
    wait(py, async {
        let starts = resolve_all(store, &mut selection).await?;
        let mut request = store
            .select(&selection)
            .uncertain(how.uncertain)
            .parents(parents)
            .max_nodes(how.max_nodes)
            .max_time(how.max_time);
        if let Some(condition) = how.condition {
            request = request.matching(condition);
        }
        let (graph, mirror) = futures::try_join!(into_raised(request), filled(store))?;
        match &starts[..] {
            [start] if selection.as_span().is_some() => {
                let met = check_start(store, &graph, start).await;
                met.map_err(|error| unquoted.map_or(error, Raised::from))?;
            }
            starts => {
                drop(try_join_all(starts.iter().map(|start| check_known(store, start))).await?)
            }
        }
        Ok::<_, Raised>(answer(Found::Graph(graph), mirror))
    })
}

pub(crate) fn impact(
    py: Python<'_>,
    store: &MongoRunStore,
    start: NodeArg,
    depth: Option<Levels>,
    how: WalkArgs<'_>,
) -> PyResult<Answer> {
    let how = how.read()?;
    wait(py, async {
        let start = resolve(store, start).await?;
        let mut request = store
            .impact(start.clone())
            .depth(depth.map_or(u32::MAX, |levels| levels.0))
            .uncertain(how.uncertain)
            .max_nodes(how.max_nodes)
            .max_time(how.max_time);
        if let Some(condition) = how.condition {
            request = request.matching(condition);
        }
        let (impact, mirror) = futures::try_join!(into_raised(request), filled(store))?;
        if impact.reached.is_empty() {
            check_known(store, &start).await?;
        }
        Ok::<_, Raised>(answer(Found::Impact(impact), mirror))
    })
}

pub(crate) fn provenance(
    py: Python<'_>,
    store: &MongoRunStore,
    start: NodeArg,
    depth: Option<Levels>,
    how: WalkArgs<'_>,
) -> PyResult<Answer> {
    let how = how.read()?;
    let depth = depth.map_or(u32::MAX, |levels| levels.0);
    let is_whole = depth == u32::MAX && how.condition.is_none();
    wait(py, async {
        let start = resolve(store, start).await?;
        let mut request = store
            .provenance(start.clone())
            .depth(depth)
            .uncertain(how.uncertain)
            .max_nodes(how.max_nodes)
            .max_time(how.max_time);
        if let Some(condition) = how.condition {
            request = request.matching(condition);
        }
        let (provenance, mirror) = futures::try_join!(into_raised(request), filled(store))?;
        if !has_flow(&provenance.graph) {
            check_known(store, &start).await?;
        }
        Ok::<_, Raised>(answer(
            Found::Provenance(Box::new(provenance), is_whole),
            mirror,
        ))
    })
}

pub(crate) fn paths(
    py: Python<'_>,
    store: &MongoRunStore,
    (from, to): (NodeArg, NodeArg),
    how: WalkArgs<'_>,
) -> PyResult<Answer> {
    let how = how.read()?;
    wait(py, async {
        let (from, to) = futures::try_join!(resolve(store, from), resolve(store, to))?;
        let mut request = store
            .paths(from.clone(), to.clone())
            .uncertain(how.uncertain)
            .max_nodes(how.max_nodes)
            .max_time(how.max_time);
        if let Some(condition) = how.condition {
            request = request.matching(condition);
        }
        let (paths, mirror) = futures::try_join!(into_raised(request), filled(store))?;
        if paths.shortest.is_none() {
            futures::try_join!(check_known(store, &from), check_known(store, &to))?;
        }
        Ok::<_, Raised>(answer(Found::Paths(paths), mirror))
    })
}

pub(crate) fn diff(
    py: Python<'_>,
    store: &MongoRunStore,
    (a, b): (NodeArg, NodeArg),
    depth: Option<Levels>,
    max_pairs: usize,
    timeout: f64,
) -> PyResult<Answer> {
    let max_time = seconds(timeout)?;
    wait(py, async {
        let (a, b) = futures::try_join!(resolve(store, a), resolve(store, b))?;
        for start in [&a, &b] {
            Diff::check_start(start)?;
        }
        let request = store
            .diff(a.clone(), b.clone())
            .depth(depth.map_or(u32::MAX, |levels| levels.0))
            .max_pairs(max_pairs)
            .max_time(max_time);
        let (diff, mirror) = match futures::try_join!(into_raised(request), filled(store)) {
            Ok(walked) => walked,
            Err(error) => {
                // The library does not tell a start without a run from one that nobody has seen.
                futures::try_join!(check_known(store, &a), check_known(store, &b))?;
                return Err(error);
            }
        };
        let is_known = |pair: &runlineage::graph::Pair| pair.a.is_known && pair.b.is_known;
        if !diff.pairs.first().is_none_or(is_known) {
            futures::try_join!(check_known(store, &a), check_known(store, &b))?;
        }
        Ok::<_, Raised>(answer(Found::Diff(diff), mirror))
    })
}

async fn into_raised<T>(
    request: impl IntoFuture<Output = runlineage::Result<T>>,
) -> Result<T, Raised> {
    Ok(request.into_future().await?)
}

fn answer(found: Found, mirror: Freshness) -> Answer {
    Answer {
        found,
        pages: Pages::of(None, mirror.source.as_deref(), || None),
        source: mirror.source,
    }
}

/// How fresh the mirror is; an error if no run was ever mirrored, so that nothing looks like "no run matches".
pub(crate) async fn filled(store: &MongoRunStore) -> Result<Freshness, Raised> {
    let mirror = store.freshness().await?;
    if mirror.full_pass.is_some() || store.find_any().await? {
        return Ok(mirror);
    }
    Err(exceptions::DatabaseError::new_err(format!(
        "database {:?} mirrors nothing yet; run `runlineage sync --tracking-uri http://host:5000` on it first",
        store.database().name()
    ))
    .into())
}

/// A selection of nodes, or a node. The text of a node needs no quotes here, such as `model:c++:3`: then there is also the error of
/// the selection, which counts if the mirror has never met the node.
fn selection(select: &Bound<'_, PyAny>) -> PyResult<(Selection, Option<PyErr>)> {
    let parsed = match select.extract::<String>() {
        Ok(text) => Some(text.parse::<Selection>()),
        Err(_) => None,
    };
    let (node, error) = match parsed {
        Some(Ok(selection)) => return Ok((selection, None)),
        None => (read_node(select)?, None),
        Some(Err(error)) => {
            let error = raised(error.of_argument("select"));
            match read_node(select) {
                Ok(node) => (node, Some(error)),
                Err(_) => return Err(error),
            }
        }
    };
    let mut around = Selection::around(node, 0, 0);
    for span in around.spans_mut() {
        (span.upstream, span.downstream) = (None, None);
    }
    Ok((around, error))
}

/// Sets the levels of a node without its own. To ask for one direction alone leaves the other out.
fn set_levels(
    selection: &mut Selection,
    upstream: Option<Levels>,
    downstream: Option<Levels>,
) -> PyResult<()> {
    let is_one = selection.as_span().is_some();
    if let [span] = &mut selection.spans_mut()[..]
        && is_one
        && (span.upstream, span.downstream) == (None, None)
    {
        let default = match (&upstream, &downstream) {
            (None, None) => LEVELS,
            _ => 0,
        };
        let levels = |levels: Option<Levels>| Some(levels.map_or(default, |levels| levels.0));
        (span.upstream, span.downstream) = (levels(upstream), levels(downstream));
        return Ok(());
    }
    for (argument, levels) in [("upstream", &upstream), ("downstream", &downstream)] {
        if levels.is_some() {
            let reason = "the selection says the levels of each node; write 2+NODE+1 for two levels upstream and one downstream";
            return Err(invalid(argument, reason));
        }
    }
    Ok(())
}

/// Replaces each alias by the version that the mirror names, and returns the nodes.
async fn resolve_all(
    store: &MongoRunStore,
    selection: &mut Selection,
) -> Result<Vec<Node>, Raised> {
    let mut nodes = Vec::new();
    for span in selection.spans_mut() {
        let node = resolve(store, span.node.clone()).await?;
        span.node = NodeArg::Node(node.clone());
        nodes.push(node);
    }
    Ok(nodes)
}

/// The node; for an alias, a stage or the latest version, the version that the mirror names.
pub(crate) async fn resolve(store: &MongoRunStore, node: NodeArg) -> Result<Node, Raised> {
    let pointer = match node {
        NodeArg::Node(node) => return Ok(node),
        NodeArg::Pointer(pointer) => pointer,
    };
    let version = store.resolve_version(&pointer).await?;
    let version = version.ok_or_else(|| {
        exceptions::NotFound::new_err(format!(
            "the mirror knows no version for {pointer}; run `runlineage sync`, or name the version"
        ))
    })?;
    Ok(Node::model(&pointer.name, version.as_str())?)
}

/// Fails if the mirror has never met the node.
pub(crate) async fn check_known(store: &MongoRunStore, node: &Node) -> Result<(), Raised> {
    let graph = store.graph(node.clone()).upstream(0).downstream(0).await?;
    check_start(store, &graph, node).await
}

async fn check_start(store: &MongoRunStore, graph: &Graph, start: &Node) -> Result<(), Raised> {
    match is_met(store, graph, start).await? {
        true => Ok(()),
        false => Err(not_found(start).into()),
    }
}

pub(crate) fn not_found(node: &Node) -> PyErr {
    exceptions::NotFound::new_err(format!(
        "the mirror has never seen {node}, and no mirrored run names it; check the spelling, or run `runlineage sync` if it is new in MLflow"
    ))
}
