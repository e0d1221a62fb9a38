//! The edges as CSV.

use csv::{Terminator, WriterBuilder};

use crate::picture::Picture;

/// The columns.
const HEADER: [&str; 6] = ["from", "to", "relation", "certain", "overlap", "origins"];

/// Writes one row for each edge, with the ids of its nodes. Several origins stand in one cell, separated by spaces.
pub fn csv(picture: &Picture) -> String {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    let truth = |value: bool| if value { "true" } else { "false" };
    let mut write = |row: [&str; 6]| {
        // Writing into memory cannot fail, and every row has as many cells as the header.
        let _ = writer.write_record(row);
    };
    write(HEADER);
    for edge in picture.edges() {
        write([
            &edge.from,
            &edge.to,
            edge.relation.as_deref().unwrap_or_default(),
            truth(edge.certain),
            truth(edge.overlap),
            &edge.origins.join(" "),
        ]);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
