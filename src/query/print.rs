//! Prints a query as the text that parses back into it.

use std::fmt;
use std::ops::Bound;

use bson::DateTime;

use super::condition::{Condition, Kind as Form};
use super::{Operand, Query, Term};
use crate::node::{Direction, Kind, Node, NodeArg};

impl fmt::Display for Query {
    /// Writes the query in [its grammar](#impl-FromStr-for-Query): a query without a bad argument parses back into itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.terms[..] {
            [] => f.write_str("true"),
            [Term::AnyOf(queries)] => joined(f, " or ", queries.iter()),
            terms => joined(f, " and ", terms.iter()),
        }
    }
}

/// A query in a place where only one term may stand.
struct Single<'a>(&'a Query);

impl fmt::Display for Single<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.terms[..] {
            [] | [_] => match self.0.terms.first() {
                Some(Term::AnyOf(_)) | None => write!(f, "({})", self.0),
                Some(Term::Time(_, from, to)) if is_two_sided(from, to) => {
                    write!(f, "({})", self.0)
                }
                Some(term) => write!(f, "{term}"),
            },
            _ => write!(f, "({})", self.0),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { direction, node } => node_term(f, *direction, "=", node),
            Self::OneOf {
                direction,
                kind,
                key,
                details,
            } => one_of(f, *direction, *kind, key, details),
            Self::WithoutDetail {
                direction,
                kind,
                key,
            } => {
                let word = kind.spec().detail.and_then(|detail| detail.absent);
                write!(
                    f,
                    "{direction}.{} = {}",
                    word.unwrap_or_default(),
                    Text(key)
                )
            }
            Self::Under { direction, node } => node_term(f, *direction, "under", node),
            Self::Path {
                direction,
                kind,
                path,
                under,
            } => {
                let word = kind.spec().detail.and_then(|detail| detail.of_any_key);
                let operator = if *under { "under" } else { "=" };
                let word = word.unwrap_or_default();
                write!(f, "{direction}.{word} {operator} {}", Text(path))
            }
            Self::Nothing(direction) => write!(f, "{} missing", direction.field()),
            Self::Attribute(attribute, text) => {
                write!(f, "{} = {}", attribute.word(), Text(text))
            }
            Self::Exists(attribute) => write!(f, "{} exists", attribute.word()),
            Self::NamePrefix(prefix) => write!(f, "name {}", Begins(prefix)),
            Self::Time(clock, from, to) => time(f, clock.path(), from, to),
            Self::Data {
                root,
                key,
                condition,
                ..
            } => {
                write!(f, "{}.{}", root.name(), Key(key))?;
                self::condition(f, condition)
            }
            Self::Problems => f.write_str("problems exists"),
            Self::AnyOf(queries) => {
                f.write_str("(")?;
                joined(f, " or ", queries.iter())?;
                f.write_str(")")
            }
            Self::NoneOf(queries) => match &queries[..] {
                [query] => write!(f, "not {}", Single(query)),
                queries => {
                    f.write_str("not (")?;
                    joined(f, " or ", queries.iter())?;
                    f.write_str(")")
                }
            },
        }
    }
}

fn joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    parts: impl Iterator<Item = T>,
) -> fmt::Result {
    for (index, part) in parts.enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        write!(f, "{part}")?;
    }
    Ok(())
}

/// In the words of the node's kind where they say it exactly, else as the node prints.
fn node_term(
    f: &mut fmt::Formatter<'_>,
    direction: Direction,
    operator: &str,
    node: &Node,
) -> fmt::Result {
    match short(node) {
        Some(text) => {
            let term = node.kind().term(direction);
            write!(f, "{term} {operator} {}", Text(&text))
        }
        None => write!(f, "{direction} {operator} {}", Text(&node.to_string())),
    }
}

/// The text that the kind reads as this very node.
fn short(node: &Node) -> Option<String> {
    let separator = node.kind().spec().detail.map(|detail| detail.separator);
    let text = match (separator, node.detail()) {
        (Some(separator), Some(detail)) => format!("{}{separator}{detail}", node.key()),
        // A name that holds the separator ends in one.
        (Some(separator), None) if node.key().contains(separator) => {
            format!("{}{separator}", node.key())
        }
        _ => node.key().to_owned(),
    };
    let read = node.kind().read(&text);
    (read == Ok(NodeArg::Node(node.clone()))).then_some(text)
}

fn one_of(
    f: &mut fmt::Formatter<'_>,
    direction: Direction,
    kind: Kind,
    key: &str,
    details: &[String],
) -> fmt::Result {
    let nodes: Vec<Node> = details
        .iter()
        .map(|detail| Node::stored(kind, key, Some(detail)))
        .collect();
    let shorts: Option<Vec<String>> = nodes.iter().map(short).collect();
    let (term, texts) = match shorts {
        Some(shorts) => (kind.term(direction), shorts),
        None => (
            direction.to_string(),
            nodes.iter().map(Node::to_string).collect(),
        ),
    };
    write!(f, "{term} in (")?;
    joined(f, ", ", texts.iter().map(|text| Text(text)))?;
    f.write_str(")")
}

fn time(
    f: &mut fmt::Formatter<'_>,
    field: &str,
    from: &Bound<DateTime>,
    to: &Bound<DateTime>,
) -> fmt::Result {
    if let (Bound::Included(from), Bound::Included(to)) = (from, to)
        && from == to
    {
        return write!(f, "{field} = {}", from.timestamp_millis());
    }
    let from = match from {
        Bound::Included(from) => Some((">=", from)),
        Bound::Excluded(from) => Some((">", from)),
        Bound::Unbounded => None,
    };
    let to = match to {
        Bound::Included(to) => Some(("<=", to)),
        Bound::Excluded(to) => Some(("<", to)),
        Bound::Unbounded => None,
    };
    let bounds = from.into_iter().chain(to);
    joined(
        f,
        " and ",
        bounds.map(|(operator, time)| format!("{field} {operator} {}", time.timestamp_millis())),
    )
}

fn is_two_sided(from: &Bound<DateTime>, to: &Bound<DateTime>) -> bool {
    !matches!(from, Bound::Unbounded) && !matches!(to, Bound::Unbounded)
}

fn condition(f: &mut fmt::Formatter<'_>, Condition(form): &Condition) -> fmt::Result {
    match form {
        Form::In(operands) => match &operands[..] {
            [operand] => write!(f, " = {operand}"),
            operands => list(f, "in", operands),
        },
        Form::NotIn(operands) => match &operands[..] {
            [operand] => write!(f, " != {operand}"),
            operands => list(f, "not in", operands),
        },
        Form::Range(operator, operand) => {
            let operator = match *operator {
                "$lt" => "<",
                "$lte" => "<=",
                "$gt" => ">",
                _ => ">=",
            };
            write!(f, " {operator} {operand}")
        }
        Form::Prefix(prefix) => write!(f, " {}", Begins(prefix)),
        Form::Exists => f.write_str(" exists"),
        Form::Missing => f.write_str(" missing"),
    }
}

fn list(f: &mut fmt::Formatter<'_>, word: &str, operands: &[Operand]) -> fmt::Result {
    write!(f, " {word} (")?;
    joined(f, ", ", operands.iter())?;
    f.write_str(")")
}

impl fmt::Display for Operand {
    /// As a query's text writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", Text(text)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) if number.is_nan() => f.write_str("NaN"),
            Self::Float(number) if number.is_infinite() => f.write_str(if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            // With its point or exponent, or it would be read as an integer.
            Self::Float(number) => write!(f, "{number:?}"),
        }
    }
}

/// A text in quotes, of which one within is doubled.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// What a text begins with: as a pattern, where it is one.
struct Begins<'a>(&'a str);

impl fmt::Display for Begins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains('%') {
            write!(f, "prefix {}", Text(self.0))
        } else {
            write!(f, "like {}", Text(&format!("{}%", self.0)))
        }
    }
}

/// The key of a tag, a param or a metric: in backquotes unless it is a plain word.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/'))
        };
        if self.0.split('.').all(is_word) {
            f.write_str(self.0)
        } else {
            write!(f, "`{}`", self.0.replace('`', "``"))
        }
    }
}
