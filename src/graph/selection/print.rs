//! Prints a selection as a text that parses back into the same selection.

use std::fmt;

use super::token::separates;
use super::{Expression, Selection, Span};
use crate::node::NodeArg;

impl fmt::Display for Selection {
    /// Writes the selection in [its grammar](#impl-FromStr-for-Selection).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Walk(span) => write!(f, "{span}"),
            Self::All(parts) => joined(f, " and ", parts),
            Self::Any(parts) => joined(f, " or ", parts),
            Self::Not(part) => {
                f.write_str("not ")?;
                operand(f, part)
            }
            Self::Roots(part) => write!(f, "roots({part})"),
            Self::Sinks(part) => write!(f, "sinks({part})"),
            Self::Where(query) => write!(f, "where({query})"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, word: &str, parts: &[Expression]) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        f.write_str(if place == 0 { "" } else { word })?;
        operand(f, part)?;
    }
    Ok(())
}

/// An expression inside another one, in parentheses if it consists of several.
fn operand(f: &mut fmt::Formatter<'_>, part: &Expression) -> fmt::Result {
    match part {
        Expression::All(_) | Expression::Any(_) => write!(f, "({part})"),
        _ => write!(f, "{part}"),
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upstream {
            None => {}
            Some(u32::MAX) => f.write_str("+")?,
            Some(levels) => write!(f, "{levels}+")?,
        }
        let node = match &self.node {
            NodeArg::Node(node) => node.to_string(),
            NodeArg::Pointer(pointer) => pointer.to_string(),
        };
        // Every node begins with its kind, so it is no word of the grammar and begins with no digit.
        match node.contains(separates) {
            true => write!(f, "\"{}\"", node.replace('"', "\"\""))?,
            false => f.write_str(&node)?,
        }
        match self.downstream {
            None => Ok(()),
            Some(u32::MAX) => f.write_str("+"),
            Some(levels) => write!(f, "+{levels}"),
        }
    }
}
