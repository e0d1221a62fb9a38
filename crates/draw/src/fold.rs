//! Folding: many siblings of one kind become a few of them and "+37 more".
//!
//! Two sorts of siblings are folded:
//! - `twins`: nodes of one kind with the same neighbours, such as the forty datasets that the same two runs read
//! - `branches`: nodes of one kind on one side of one node, each with all that hangs on it alone, such as the forty runs that
//!   used a model and what they wrote
//!
//! A start, a difference between two graphs and a node that the caller keeps are never folded.

mod branches;
mod twins;

use std::collections::BTreeMap;

use crate::picture::{Hidden, Picture, PictureEdge, PictureNode};

/// Nodes that become one.
struct Group {
    /// The siblings.
    siblings: Vec<usize>,
    /// The nodes that hang on the siblings alone.
    behind: Vec<usize>,
}

impl Picture {
    /// The same graph with at most `shown` siblings of one kind, and the others folded into one node named "+37 more". With 0,
    /// nothing is folded.
    #[must_use]
    pub fn fold(&self, shown: usize) -> Self {
        if shown == 0 {
            return self.clone();
        }
        let without_twins = self.with_groups(twins::groups(self, shown), "twins");
        without_twins.with_groups(branches::groups(&without_twins, shown), "branches")
    }

    /// Replaces each group by one node, in the place of its first sibling.
    fn with_groups(&self, groups: Vec<Group>, sort: &str) -> Self {
        if groups.is_empty() {
            return self.clone();
        }
        let mut group_of = BTreeMap::new();
        let mut first = BTreeMap::new();
        for (number, group) in groups.iter().enumerate() {
            group_of.extend(
                group
                    .siblings
                    .iter()
                    .chain(&group.behind)
                    .map(|&node| (node, number)),
            );
            first.extend(group.siblings.first().map(|&node| (node, number)));
        }
        let mut nodes = Vec::new();
        let mut new_ids = Vec::with_capacity(self.nodes().len());
        for (position, node) in self.nodes().iter().enumerate() {
            let id = match group_of.get(&position) {
                Some(number) => format!("folded:{sort}:{number}"),
                None => {
                    nodes.push(node.clone());
                    node.id.clone()
                }
            };
            if let Some(&number) = first.get(&position) {
                nodes.push(self.folded_node(&groups[number], id.clone()));
            }
            new_ids.push(id);
        }
        let edges = self
            .edges()
            .iter()
            .zip(self.ends())
            .map(|(edge, &(from, to))| PictureEdge {
                from: new_ids[from].clone(),
                to: new_ids[to].clone(),
                ..edge.clone()
            })
            // Edges between a folded sibling and what hangs on it.
            .filter(|edge| edge.from != edge.to || !edge.from.starts_with("folded:"));
        match Self::new(nodes, edges.collect()) {
            Ok(folded) => folded.truncated(self.truncation().map(str::to_owned)),
            // A node has the name of a group: nodes are named by kind, and `folded` is none.
            Err(_) => self.clone(),
        }
    }

    fn folded_node(&self, group: &Group, id: String) -> PictureNode {
        let all = self.nodes();
        let members: Vec<&PictureNode> = group.siblings.iter().map(|&node| &all[node]).collect();
        let size = |node: &PictureNode| node.folded.len().max(1);
        let count: usize = members.iter().copied().map(size).sum();
        let behind: usize = group.behind.iter().map(|&node| size(&all[node])).sum();
        let mut folded = PictureNode::new(id, members[0].kind);
        folded.name = format!("+{} more", Hidden::exactly(count as u64));
        folded.depth = members[0].depth;
        folded.change = members[0].change;
        let counted = |what: &str, applies: fn(&PictureNode) -> bool| {
            let count = members.iter().filter(|node| applies(node)).count();
            (count > 0).then(|| format!("{count} {what}"))
        };
        let unusual: Vec<String> = [
            counted("failed", |node| node.status.as_deref() == Some("FAILED")),
            counted("deleted", |node| node.deleted),
            counted("not mirrored", |node| !node.known),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !unusual.is_empty() {
            folded.lines.push(unusual.join(", "));
        }
        if behind > 0 {
            folded.lines.push(format!("and {behind} behind them"));
        }
        for &node in group.siblings.iter().chain(&group.behind) {
            let node = &all[node];
            if node.folded.is_empty() {
                folded.folded.push(node.id.clone());
            } else {
                folded.folded.extend(node.folded.iter().cloned());
            }
        }
        folded
    }
}
