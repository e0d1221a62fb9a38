//! Model URIs that name a stage, an alias or the latest version: MLflow's registry resolves them.

use runlineage::Node;
use runlineage::lineage::{ModelPointer, NodeArg};

use super::Result;
use crate::args::{ConnectionArgs, LineageArgs};
use crate::connect;
use crate::say::say;

/// Replaces each pointer, such as `models:/churn@champion`, by the version that MLflow's registry names now.
pub(crate) async fn resolve(connection: &ConnectionArgs, args: &mut LineageArgs) -> Result<()> {
    let pointers = args.nodes.iter_mut().filter_map(|(_, node)| match node {
        NodeArg::Pointer(pointer) => Some((pointer.clone(), node)),
        NodeArg::Node(_) => None,
    });
    let pointers: Vec<(ModelPointer, &mut NodeArg)> = pointers.collect();
    if pointers.is_empty() {
        return Ok(());
    }
    let mlflow = connect::mlflow(connection, 1)?;
    for (pointer, node) in pointers {
        let version = mlflow.model_version(&pointer).await?;
        say!("{pointer} is version {version} now.");
        *node = NodeArg::Node(Node::model(&pointer.name, version.as_str())?);
    }
    Ok(())
}
