//! The nodes as rows of a table.

use crate::picture::{Picture, PictureNode};
use crate::text::one_line;

/// The columns of [`table_rows`].
pub const TABLE_HEADER: [&str; 6] = ["depth", "kind", "node", "name", "status", "notes"];

/// One row for each node, in the order of the graph. Only the caller knows how wide its terminal is, so the caller draws the
/// lines.
pub fn table_rows(picture: &Picture) -> Vec<[String; 6]> {
    picture.nodes().iter().map(row).collect()
}

fn row(node: &PictureNode) -> [String; 6] {
    // The id of a version or a path ends with its name.
    let name = match node.id.ends_with(&node.name) {
        true => "",
        false => &node.name,
    };
    [
        node.depth.to_string(),
        node.kind.label().to_owned(),
        one_line(&node.id).into_owned(),
        one_line(name).into_owned(),
        one_line(node.status.as_deref().unwrap_or_default()).into_owned(),
        notes(node).join(", "),
    ]
}

/// What is unusual of a node, in words.
pub(crate) fn notes(node: &PictureNode) -> Vec<String> {
    let mut notes = Vec::new();
    for (applies, note) in [
        (node.start, "start"),
        (node.deleted, "deleted"),
        (!node.known, "not mirrored"),
    ] {
        if applies {
            notes.push(note.to_owned());
        }
    }
    notes.extend(
        node.aliases
            .iter()
            .map(|alias| format!("@{}", one_line(alias))),
    );
    for (hidden, side) in [
        (node.hidden_up, "upstream"),
        (node.hidden_down, "downstream"),
    ] {
        if !hidden.is_none() {
            notes.push(format!("{hidden} more {side}"));
        }
    }
    notes
}
