//! Resolves model URIs that name a stage, an alias or the latest version.

use runlineage::graph::Selection;
use runlineage::lineage::{ModelPointer, NodeArg};
use runlineage::mongo::Freshness;
use runlineage::{MongoRunStore, Node};

use super::Result;
use crate::args::{ConnectionArgs, LineageArgs};
use crate::connect::{self, usage};
use crate::output::ago;
use crate::say::say;

/// Replaces each pointer, such as `models:/churn@champion`, by the version that MLflow's registry names now.
pub(crate) async fn in_mlflow(connection: &ConnectionArgs, args: &mut LineageArgs) -> Result<()> {
    for (pointer, node) in pointers(args) {
        *node = NodeArg::Node(ask_mlflow(connection, &pointer).await?);
    }
    Ok(())
}

/// Replaces each pointer by the version that the mirror names. Only where the mirror knows none, MLflow is asked.
pub(crate) async fn in_mirror(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    args: &mut LineageArgs,
) -> Result<()> {
    for (pointer, node) in pointers(args) {
        *node = NodeArg::Node(pointed_at(connection, store, &pointer).await?);
    }
    Ok(())
}

/// Replaces each pointer of a selection, and returns the nodes of the selection.
pub(crate) async fn selection(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    selection: &mut Selection,
) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for span in selection.spans_mut() {
        let found = node(connection, store, span.node.clone()).await?;
        span.node = NodeArg::Node(found.clone());
        nodes.push(found);
    }
    Ok(nodes)
}

/// The node; for a pointer, the version that the mirror names. Only where the mirror knows none, MLflow is asked.
pub(crate) async fn node(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    node: NodeArg,
) -> Result<Node> {
    match node {
        NodeArg::Node(node) => Ok(node),
        NodeArg::Pointer(pointer) => pointed_at(connection, store, &pointer).await,
    }
}

async fn pointed_at(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    pointer: &ModelPointer,
) -> Result<Node> {
    if let Some(version) = store.resolve_version(pointer).await? {
        let Freshness {
            full_pass,
            quick_pass,
            ..
        } = store.freshness().await?;
        let age = full_pass.max(quick_pass).map(ago);
        let age = age.unwrap_or_else(|| "at an unknown time".to_owned());
        say!("{pointer} was version {version} when the mirror last read the registry, {age}.");
        return Ok(Node::model(&pointer.name, version.as_str())?);
    }
    if connection.tracking_uri.is_some() {
        return ask_mlflow(connection, pointer).await;
    }
    let reason = format!(
        "the mirror knows no version for {pointer}; run `runlineage sync`, or set --tracking-uri to ask MLflow"
    );
    Err(usage("model", reason).into())
}

fn pointers(args: &mut LineageArgs) -> Vec<(ModelPointer, &mut NodeArg)> {
    let nodes = args.nodes.iter_mut();
    let pointers = nodes.filter_map(|(_, node)| match node {
        NodeArg::Pointer(pointer) => Some((pointer.clone(), node)),
        NodeArg::Node(_) => None,
    });
    pointers.collect()
}

async fn ask_mlflow(connection: &ConnectionArgs, pointer: &ModelPointer) -> Result<Node> {
    let mlflow = connect::mlflow(connection, 1)?;
    let version = mlflow.model_version(pointer).await?;
    say!("{pointer} is version {version} now.");
    Ok(Node::model(&pointer.name, version.as_str())?)
}
