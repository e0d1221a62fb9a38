//! The graph as a tree of lines.

use std::fmt::Write as _;

use crate::picture::{Picture, PictureEdge, PictureNode};
use crate::table::notes;
use crate::text::one_line;

/// Draws the graph for a terminal: below each start what lies upstream of it, then what lies downstream.
///
/// A node that several ways lead to is drawn once, and `(above)` refers to it after. A dotted branch is an uncertain edge.
/// A parent or a child of a run is a branch without branches of its own, since no data flows there.
/// Two edges between references that overlap are no way, so the branch of such an edge does not go on with another one.
pub fn tree(picture: &Picture) -> String {
    let mut drawing = Drawing::new(picture);
    let nodes = picture.nodes();
    let starts = (0..nodes.len()).filter(|&node| nodes[node].start);
    for start in starts {
        drawing.root(start);
    }
    for node in 0..nodes.len() {
        if !drawing.drawn[node] && !drawing.related[node] {
            drawing.root(node);
        }
    }
    if let Some(message) = picture.truncation() {
        let _ = writeln!(drawing.out, "\ncut: {}", one_line(message));
    }
    drawing.out
}

#[derive(Clone, Copy)]
enum Side {
    Up,
    Down,
}

struct Drawing<'a> {
    picture: &'a Picture,
    /// The edges into each node, and out of it.
    into: Vec<Vec<usize>>,
    out_of: Vec<Vec<usize>>,
    drawn: Vec<bool>,
    /// The nodes that stand somewhere as a parent or a child.
    related: Vec<bool>,
    out: String,
}

/// A node whose branches are being drawn.
struct Branch {
    /// The edges to draw, the next one last.
    edges: Vec<usize>,
    /// What stands before each branch.
    indent: String,
}

impl<'a> Drawing<'a> {
    fn new(picture: &'a Picture) -> Self {
        let nodes = picture.nodes().len();
        let (mut into, mut out_of) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
        for (edge, &(from, to)) in picture.ends().iter().enumerate() {
            out_of[from].push(edge);
            into[to].push(edge);
        }
        Self {
            picture,
            into,
            out_of,
            drawn: vec![false; nodes],
            related: vec![false; nodes],
            out: String::new(),
        }
    }

    /// Draws a node and all that is not drawn yet on both of its sides.
    fn root(&mut self, root: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let again = std::mem::replace(&mut self.drawn[root], true);
        let _ = writeln!(
            self.out,
            "{}{}",
            label(&self.picture.nodes()[root]),
            above(again)
        );
        if again {
            return;
        }
        for (side, heading) in [(Side::Up, "upstream"), (Side::Down, "downstream")] {
            let edges = self.edges(root, side, false);
            if !edges.is_empty() {
                let _ = writeln!(self.out, "{heading}");
                self.branches(edges, side);
            }
        }
    }

    /// The edges on one side, the first one last.
    fn edges(&self, node: usize, side: Side, came_by_overlap: bool) -> Vec<usize> {
        let edges = match side {
            Side::Up => &self.into[node],
            Side::Down => &self.out_of[node],
        };
        let edges = edges.iter().rev().copied();
        edges
            .filter(|&edge| !(came_by_overlap && self.picture.edges()[edge].overlap))
            .collect()
    }

    /// Draws branches with a stack of its own: lineage may be many thousand runs deep.
    fn branches(&mut self, edges: Vec<usize>, side: Side) {
        let mut open = vec![Branch {
            edges,
            indent: String::new(),
        }];
        while let Some(branch) = open.last_mut() {
            let Some(edge) = branch.edges.pop() else {
                open.pop();
                continue;
            };
            let is_last = branch.edges.is_empty();
            let PictureEdge {
                certain,
                overlap,
                parent,
                ..
            } = self.picture.edges()[edge];
            let Joint { joint, indent } = Joint::of(is_last, certain);
            let indent = format!("{}{indent}", branch.indent);
            let (from, to) = self.picture.ends()[edge];
            let node = match side {
                Side::Up => from,
                Side::Down => to,
            };
            if parent {
                self.related[node] = true;
                let relative = match side {
                    Side::Up => "parent",
                    Side::Down => "child",
                };
                let label = label(&self.picture.nodes()[node]);
                let _ = writeln!(self.out, "{}{joint}{relative} {label}", branch.indent);
                continue;
            }
            let again = std::mem::replace(&mut self.drawn[node], true);
            let _ = writeln!(
                self.out,
                "{}{joint}{}{}",
                branch.indent,
                label(&self.picture.nodes()[node]),
                above(again)
            );
            if !again {
                let edges = self.edges(node, side, overlap);
                open.push(Branch { edges, indent });
            }
        }
    }
}

/// How a branch leaves the line above it.
struct Joint {
    joint: &'static str,
    /// What stands below the joint.
    indent: &'static str,
}

impl Joint {
    fn of(is_last: bool, certain: bool) -> Self {
        Self {
            joint: match (is_last, certain) {
                (false, true) => "├─ ",
                (false, false) => "├┄ ",
                (true, true) => "└─ ",
                (true, false) => "└┄ ",
            },
            indent: if is_last { "   " } else { "│  " },
        }
    }
}

fn above(again: bool) -> &'static str {
    if again { "  (above)" } else { "" }
}

/// The id, the name where it says more, the status and what is unusual.
fn label(node: &PictureNode) -> String {
    let mut label = one_line(&node.id).into_owned();
    // The id of a version or a path ends with its name.
    if !node.id.ends_with(&node.name) {
        let _ = write!(label, "  {}", one_line(&node.name));
    }
    if let Some(status) = &node.status {
        let _ = write!(label, "  {}", one_line(status));
    }
    let notes = notes(node);
    if !notes.is_empty() {
        let _ = write!(label, "  [{}]", notes.join(", "));
    }
    label
}
