//! Arguments that name nodes, in the language of selections.

use runlineage::graph::{Selection, Span};
use runlineage::lineage::NodeArg;
use runlineage::{Error, Node};

use super::parse_as;
use crate::connect::usage;

/// One node and, if the text has them, the levels of runs on the side that the command walks.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) node: NodeArg,
    levels: Option<u32>,
}

impl Start {
    /// The levels of the text, or those of the flag, or all.
    pub(crate) fn levels(&self, flag: &'static str, value: Option<u32>) -> Result<u32, Error> {
        match (self.levels, value) {
            (Some(_), Some(_)) => Err(usage(
                flag,
                "the node has levels already; write them with the node or with the flag, not with both",
            )),
            (levels, value) => Ok(levels.or(value).unwrap_or(u32::MAX)),
        }
    }
}

/// Parses a node, which may have levels of runs downstream: `NODE+2`.
pub(super) fn parse_downstream(text: &str) -> Result<Start, String> {
    let span = parse_span(text)?;
    match span.upstream {
        Some(_) => Err("this command walks downstream alone; leave out the + before the node, or use `runlineage graph`".to_owned()),
        None => Ok(Start {
            node: span.node,
            levels: span.downstream,
        }),
    }
}

/// Parses a node, which may have levels of runs upstream: `2+NODE`.
pub(super) fn parse_upstream(text: &str) -> Result<Start, String> {
    let span = parse_span(text)?;
    match span.downstream {
        Some(_) => Err("this command walks upstream alone; leave out the + after the node, or use `runlineage graph`".to_owned()),
        None => Ok(Start {
            node: span.node,
            levels: span.upstream,
        }),
    }
}

/// Parses a node without levels, or a model by what points to one of its versions.
pub(super) fn parse_one(text: &str) -> Result<NodeArg, String> {
    let span = parse_span(text)?;
    match (span.upstream, span.downstream) {
        (None, None) => Ok(span.node),
        _ => Err(
            "this command takes a node without levels; leave out the +, or use `runlineage graph`"
                .to_owned(),
        ),
    }
}

/// Parses a node without levels that needs no registry to resolve it.
pub(super) fn parse_node(text: &str) -> Result<Node, String> {
    match parse_one(text)? {
        NodeArg::Node(node) => Ok(node),
        NodeArg::Pointer(pointer) => parse_as(&pointer.to_string()),
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    let selection: Selection = parse_as(text)?;
    let span = selection.as_span().cloned();
    span.ok_or_else(|| {
        "this command takes one node, and this is a selection of several; use `runlineage graph`"
            .to_owned()
    })
}
