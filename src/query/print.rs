//! Prints a query as a text that parses back into the same query.

use std::fmt;
use std::ops::Bound;

use bson::DateTime;

use super::condition::{Condition, Form};
use super::{Operand, Query, Term};
use crate::node::{Direction, Kind, Node, NodeArg};

impl fmt::Display for Query {
    /// Writes the query in [its grammar](#impl-FromStr-for-Query). The text parses back into an equal query, unless a builder
    /// received a bad argument.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.terms[..] {
            [] => f.write_str("true"),
            [Term::AnyOf(queries)] => joined(f, " or ", queries.iter()),
            terms => joined(f, " and ", terms.iter()),
        }
    }
}

/// The operand of `not`: a query in parentheses, or without them if it prints as a single term.
struct NotOperand<'a>(&'a Query);

impl fmt::Display for NotOperand<'_> {
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
                    Quoted(key)
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
                write!(f, "{direction}.{word} {operator} {}", Quoted(path))
            }
            Self::OfOrigin(origin, term) => write!(f, "{term} from {}", origin.as_str()),
            Self::NoReference(direction) => write!(f, "{} missing", direction.field()),
            Self::Attribute(attribute, text) => {
                write!(f, "{} = {}", attribute.name(), Quoted(text))
            }
            Self::Exists(attribute) => write!(f, "{} exists", attribute.name()),
            Self::NamePrefix(prefix) => write!(f, "name {}", Prefix(prefix)),
            Self::Time(time_field, from, to) => time(f, time_field.path(), from, to),
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
                [query] => write!(f, "not {}", NotOperand(query)),
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

/// Prints `input.model = 'churn:3'` if that text parses into this node, else `input = 'model:churn:3'`.
fn node_term(
    f: &mut fmt::Formatter<'_>,
    direction: Direction,
    operator: &str,
    node: &Node,
) -> fmt::Result {
    match shorthand(node) {
        Some(text) => {
            let term = node.kind().term(direction);
            write!(f, "{term} {operator} {}", Quoted(&text))
        }
        None => write!(f, "{direction} {operator} {}", Quoted(&node.to_string())),
    }
}

/// The text without its kind, if the kind parses it into this same node.
fn shorthand(node: &Node) -> Option<String> {
    let separator = node.kind().spec().detail.map(|detail| detail.separator);
    let text = match (separator, node.detail()) {
        (Some(separator), Some(detail)) => format!("{}{separator}{detail}", node.key()),
        // A name that holds the separator needs one more at the end.
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
    let shorthands: Option<Vec<String>> = nodes.iter().map(shorthand).collect();
    let (term, texts) = match shorthands {
        Some(texts) => (kind.term(direction), texts),
        None => (
            direction.to_string(),
            nodes.iter().map(Node::to_string).collect(),
        ),
    };
    write!(f, "{term} in (")?;
    joined(f, ", ", texts.iter().map(|text| Quoted(text)))?;
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
        Form::Prefix(prefix) => write!(f, " {}", Prefix(prefix)),
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
    /// Writes the operand as a literal of the query language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", Quoted(text)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) if number.is_nan() => f.write_str("NaN"),
            Self::Float(number) if number.is_infinite() => f.write_str(if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            // `{:?}` keeps the point or the exponent. Without it, the text would parse as an integer.
            Self::Float(number) => write!(f, "{number:?}"),
        }
    }
}

/// A text in single quotes; a quote inside is doubled.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// A prefix, as a `like` pattern, or after `prefix` if it holds a `%`.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains('%') {
            write!(f, "prefix {}", Quoted(self.0))
        } else {
            write!(f, "like {}", Quoted(&format!("{}%", self.0)))
        }
    }
}

/// The key of a tag, a param or a metric, in backquotes unless it is a plain word.
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
