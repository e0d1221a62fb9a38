//! What a node reached, as CSV.

use runlineage::Node;
use runlineage::graph::Impact;

/// One row for each node that was reached.
///
/// # Errors
/// Never: it writes to memory.
pub fn impact_csv(impact: &Impact) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "distance", "kind", "node", "name", "certain", "deleted", "aliases", "path",
    ];
    writer.write_record(header)?;
    for reached in &impact.reached {
        let node = &reached.shown;
        let name = node.run.as_ref().and_then(|run| run.name.clone());
        let aliases = node.version.iter().flat_map(|version| &version.aliases);
        let path = reached.path.iter().map(Node::to_string);
        let row = [
            node.depth.to_string(),
            node.node.kind().to_string(),
            node.node.to_string(),
            name.unwrap_or_default(),
            reached.is_certain.to_string(),
            node.is_deleted.to_string(),
            aliases.cloned().collect::<Vec<_>>().join(" "),
            path.collect::<Vec<_>>().join(" → "),
        ];
        writer.write_record(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}
