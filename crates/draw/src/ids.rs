//! The names that nodes have in files for other programs.

use std::collections::HashSet;

use crate::picture::Picture;
use crate::text::one_line;

/// One name for each node: its id on one line, without characters that XML forbids or that steer a terminal. Ids that differ in
/// such characters alone get a number, so that two nodes never become one.
pub(crate) fn unique_ids(picture: &Picture) -> Vec<String> {
    let mut taken = HashSet::new();
    let ids = picture.nodes().iter().map(|node| {
        let clean = one_line(&node.id).into_owned();
        let mut id = clean.clone();
        let mut number = 2;
        while !taken.insert(id.clone()) {
            id = format!("{clean} ({number})");
            number += 1;
        }
        id
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use super::unique_ids;
    use crate::{NodeKind, Picture, PictureNode};

    #[test]
    fn ids_that_look_the_same_stay_apart() {
        let ids = ["run:a", "run:a\u{1}", "run:a\u{2}", "run:a\u{fffd} (2)"];
        let nodes = ids.map(|id| PictureNode::new(id, NodeKind::Run));
        let picture = Picture::new(nodes.into(), Vec::new()).unwrap();
        let shown = [
            "run:a",
            "run:a\u{fffd}",
            "run:a\u{fffd} (2)",
            "run:a\u{fffd} (2) (2)",
        ];
        assert_eq!(unique_ids(&picture), shown);
    }
}
